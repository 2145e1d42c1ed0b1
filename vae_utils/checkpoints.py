"""Save a model's weights, and the state of a training so that it can resume, to safetensors files."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from .files import write_atomically
from .history import History
from .random_state import get_state, set_state

Settings = dict[str, str | float | None]


def save_weights(model: nn.Module, path: str | Path) -> None:
    """Write the model's weights to a safetensors file, whole or not at all.

    Raises:
        DataError: The disk is full or refuses otherwise.
    """
    from safetensors.torch import save

    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_atomically(path, lambda file: file.write(save(weights, {"trained_steps": str(trained_steps(model))})))


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Read weights that `save_weights` wrote into a model of the same shape.

    Raises:
        ValueError: The file is damaged or belongs to a model of another shape; the model is then unchanged.
    """
    tensors, metadata = _read(Path(path))
    _fill(model, tensors, Path(path))
    note_trained_steps(model, int(metadata.get("trained_steps", 1)))


def trained_steps(model: nn.Module) -> int:
    """Return how many steps the model has been trained for; 0 if none."""
    steps: int = getattr(model, "trained_steps", 0)
    return steps


def note_trained_steps(model: nn.Module, steps: int) -> None:
    """Set `model.trained_steps`, which nn.Module's types allow for tensors and modules only."""
    vars(model)["trained_steps"] = steps


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file ({error}): delete it and train again.") from error


def _fill(model: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if wanted != found:
        odd = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise ValueError(
            f"{path} holds another model: {odd[0]} is {found.get(odd[0])} there and {wanted.get(odd[0])} here."
        )
    model.load_state_dict(weights)


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: Settings,
    history: History,
    device: torch.device,
) -> None:
    """Write all that a training needs to continue: weights, optimizer, random state, settings and history."""
    from safetensors.torch import save

    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": torch.as_tensor(value) for name, value in state.items()}
    tensors |= {f"random.{kind}": state for kind, state in get_state(device).items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    metadata = {"settings": json.dumps(settings), "history": json.dumps(asdict(history))}
    write_atomically(path, lambda file: file.write(save(tensors, metadata)))


def resume(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, settings: Settings, device: torch.device
) -> History:
    """Read what `save_checkpoint` wrote into model, optimizer and random state, and return the history.

    Raises:
        ValueError: The file is damaged, holds no checkpoint, or was made with other settings.
    """
    tensors, metadata = _read(path)
    if "settings" not in metadata:
        raise ValueError(f"{path} holds weights, not a checkpoint of fit: use load_weights, or name another file.")
    before = json.loads(metadata["settings"])
    for name, value in settings.items():
        if before.get(name) != value:
            raise ValueError(
                f"{path} was made with {name}={before.get(name)}, not {value}: "
                "use the same settings, or name another file."
            )
    model_part = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    _fill(model, model_part, path)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, i, key = name.split(".", 2)
            state.setdefault(int(i), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    states = {k.removeprefix("random."): v for k, v in tensors.items() if k.startswith("random.")}
    set_state(states, device)
    return History(**json.loads(metadata["history"]))
