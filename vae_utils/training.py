"""Fit an autoencoder or a VAE: minimize a loss, record the curve, save and resume.

Built for small networks and data that fit in memory: no loader, batches by index, a fused Adam, a short warm-up, then
a learning rate that falls to zero, and a start at the mean picture, which saves the steps that would find it.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import torch
from torch import Tensor, nn

from .files import write_atomically
from .losses import bernoulli_nll, gaussian_kl, gaussian_nll, squared_error
from .runtime import best_device
from .types import Loss, VariationalModel

Settings = dict[str, str | float | None]


class TrainingDiverged(RuntimeError):
    """The loss is no longer a finite number."""


@dataclass
class History:
    """The training curve. `terms[name][i]` is the mean since the previous entry, recorded after step `step[i]`."""

    step: list[int] = field(default_factory=list)
    terms: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    stopped: bool = False  # interrupted before the last step

    def __getitem__(self, name: str) -> list[float]:
        return self.terms[name]

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.2f}" for name, values in self.terms.items())
        return f"<{self.step[-1] if self.step else 0} steps in {self.seconds:.1f} s: {last}>"


def autoencoder_loss(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Return {"loss": squared error of the reconstructions model(x), summed over each picture, (batch,)}."""
    return {"loss": squared_error(model(x), x)}


def vae_loss(model: VariationalModel, x: Tensor, beta: float = 1.0) -> dict[str, Tensor]:
    """Return {"loss": nll + beta * KL, "nll", "kl"}, each (batch,) in nats; with beta = 1, "loss" is the negative ELBO.

    Raises:
        ValueError: beta is negative.
    """
    if beta < 0:
        raise ValueError(f"beta must be 0 or more, not {beta}")
    parameters, mu, logvar = model(x)
    nll = reconstruction_nll(model, parameters, x)
    kl = gaussian_kl(mu, logvar)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}


def reconstruction_nll(model: VariationalModel, parameters: Tensor, x: Tensor) -> Tensor:
    """Return -log p(x|z), (batch,) in nats, for the model's likelihood and the parameters that it decoded."""
    if model.likelihood == "bernoulli":
        return bernoulli_nll(parameters, x)
    if model.sigma is None:
        raise ValueError("a Gaussian likelihood needs a sigma above 0, not None")
    return gaussian_nll(parameters, x, model.sigma)


@torch.no_grad()
def start_at_mean(model: nn.Module, x_train: Tensor) -> None:
    """Initialize an untrained model so that it decodes the mean of x_train, and its codes are centered.

    The output's bias becomes the mean's log-odds, the output's weights shrink, the encoder sees pictures less their
    mean, and a VAE's log variances start at -2 for every picture. For models whose `encoder` and `decoder` are the
    `mlp` of vae_utils.models.

    Raises:
        TypeError: The encoder or the decoder does not begin and end with a linear layer.
    """
    scale = 255 if x_train.dtype == torch.uint8 else 1
    first, last, head = _linear(model.encoder, 0), _linear(model.decoder, -1), _linear(model.encoder, -1)
    total = sum(part.sum(0, dtype=torch.float64) for part in x_train.split(1000))  # in parts, to save memory
    mean = (total / (scale * len(x_train))).flatten().to(last.bias)
    last.bias.copy_(mean.clamp(0.01, 0.99).logit())
    last.weight.mul_(0.3)
    first.bias.copy_(-(first.weight @ mean))
    if hasattr(model, "likelihood"):
        head.weight[head.out_features // 2 :] = 0
        head.bias[head.out_features // 2 :] = -2


def _linear(layers: object, index: int) -> nn.Linear:
    layer = layers[index] if isinstance(layers, nn.Sequential) else layers
    if not isinstance(layer, nn.Linear):
        raise TypeError(f"a start at the mean picture needs linear layers at both ends, not {type(layer).__name__}")
    return layer


def fit(
    model: nn.Module,
    x_train: Tensor,
    *,
    steps: int = 1500,
    batch_size: int = 64,
    lr: float = 3e-3,
    loss: Loss | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: bool | None = None,
    record_every: int = 50,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 500,
    watch: Callable[[History], bool | None] | None = None,
) -> History:
    """Train the model in place and return its history. An interrupt stops the training and keeps the model.

    Args:
        model: An autoencoder, a VAE, or any model that `loss` takes. It is left in evaluation mode.
        x_train: Pictures (n, C, H, W), floating point in [0, 1] or uint8 in 0..255.
        steps: How many batches to learn from.
        batch_size: Pictures in a batch (all of them if there are fewer).
        lr: The highest learning rate (Adam). It rises over 50 steps, then falls linearly to zero.
        loss: (model, batch) -> {"loss": (batch,), other terms to record}. None: squared error for an autoencoder,
            the negative ELBO for a VAE.
        seed: Of the batches and the noise. The global random state stays as it was.
        device: Where to compute. None: the best there is.
        progress: Show a bar. None: unless the environment variable VAE_PROGRESS is 0.
        record_every: Steps between two entries of the history.
        checkpoint: A file to save to every `checkpoint_every` steps (a multiple of `record_every`) and at the end.
            If it exists, training continues from it, to the same numbers as without a break. It must have been made
            with the same settings, number of pictures, likelihood and loss (by its name; its code is not compared).
        checkpoint_every: Steps between two checkpoints.
        watch: Called with the history after each of its entries. If it returns True, training stops there, as if
            interrupted. It may read the model, must not change it, and must draw no random numbers.

    Raises:
        ValueError: The pictures have a wrong shape or range, or a setting is out of range.
        TrainingDiverged: The loss is no longer finite. The message names the step.
    """
    from tqdm.auto import tqdm

    _check(model, x_train, steps=steps, batch_size=batch_size, lr=lr, record_every=record_every)
    if checkpoint is not None and (checkpoint_every < 1 or checkpoint_every % record_every):
        raise ValueError(
            f"checkpoint_every is {checkpoint_every}; it must be a multiple of record_every, {record_every}."
        )
    device = torch.device(device) if device is not None else best_device()
    if loss is None:
        loss = _default_loss(model)
    if progress is None:
        progress = os.environ.get("VAE_PROGRESS") != "0"
    batch_size = min(batch_size, len(x_train))
    settings: Settings = {"steps": steps, "batch_size": batch_size, "lr": lr, "seed": seed, "pictures": len(x_train)}
    settings |= _objective(model, loss)
    file = None if checkpoint is None else Path(checkpoint)
    resumes = file is not None and file.exists()
    trained = 0 if resumes else _trained(model)
    if not resumes and trained == 0 and isinstance(getattr(model, "decoder", None), nn.Sequential):
        start_at_mean(model, x_train)

    model.to(device).train()
    x_train = x_train.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr, betas=(0.9, 0.98), fused=True)
    history, sums, counted = History(), dict[str, Tensor | float](), 0
    started, done = time.perf_counter(), 0
    with _own_random_numbers(seed, device):
        if file is not None and resumes:
            history = _resume(file, model, optimizer, settings, device)
            done = history.step[-1]
        earlier = history.seconds
        bar = tqdm(total=steps, initial=done, disable=not progress, leave=False, unit="step")
        try:
            for step in range(done, steps):
                for group in optimizer.param_groups:
                    group["lr"] = lr * min((step + 1) / 50, 1) * (1 - step / steps)
                x = x_train[_batch(step, batch_size, len(x_train), seed).to(device)]
                terms = loss(model, x.float() / 255 if x.dtype == torch.uint8 else x)
                optimizer.zero_grad()
                terms["loss"].mean().backward()
                optimizer.step()
                done = step + 1

                for name, values in terms.items():
                    sums[name] = sums.get(name, 0.0) + values.detach().mean()
                counted += 1
                bar.update()
                if done % record_every == 0 or done == steps:
                    means = {name: float(total) / counted for name, total in sums.items()}
                    if not all(map(_is_finite, means.values())):
                        raise TrainingDiverged(
                            f"The loss became {means['loss']} by step {done}: lower the learning rate (it is {lr}) or "
                            "look for a logarithm or exponential without a bound in the loss."
                        )
                    history.step.append(done)
                    for name, value in means.items():
                        history.terms.setdefault(name, []).append(value)
                    sums, counted = {}, 0
                    bar.set_postfix(loss=f"{means['loss']:.2f}")
                    history.seconds = earlier + time.perf_counter() - started
                    if file is not None and (done % checkpoint_every == 0 or done == steps):
                        _save_checkpoint(file, model, optimizer, settings, history, device)
                    if watch is not None and watch(history) and done < steps:
                        raise KeyboardInterrupt
        except KeyboardInterrupt:
            history.stopped = True
            print(f"Stopped at step {done:,} of {steps:,}; the model keeps what it has learned.")
        finally:
            bar.close()
    history.seconds = earlier + time.perf_counter() - started
    _note_trained(model, trained + done)
    model.eval()
    return history


def _default_loss(model: nn.Module) -> Loss:
    return vae_loss if hasattr(model, "likelihood") else autoencoder_loss


def _objective(model: nn.Module, loss: Loss) -> Settings:
    """Identify the objective by the loss's name and the model's likelihood."""
    found: Settings = {"loss": _name(loss)}
    for name in ("likelihood", "sigma"):
        value = getattr(model, name, None)
        found[name] = value if isinstance(value, str | int | float | None) else type(value).__name__
    return found


def _name(loss: Loss) -> str:
    """Return a function's name with its module's; for a functools.partial, with its arguments."""
    if isinstance(loss, partial):
        given = [*((None, value) for value in loss.args), *loss.keywords.items()]
        plain = [(key, repr(v) if isinstance(v, str | int | float | None) else type(v).__name__) for key, v in given]
        return f"{_name(loss.func)}({', '.join(f'{key}={text}' if key else text for key, text in plain)})"
    named = loss if hasattr(loss, "__qualname__") else type(loss)
    return f"{named.__module__}.{named.__qualname__}"


@contextmanager
def _own_random_numbers(seed: int, device: torch.device) -> Iterator[None]:
    """Draw random numbers from the seed inside; restore the global random state afterwards."""
    before = _random_state(device)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        _set_random_state(before, device)


def _random_state(device: torch.device) -> dict[str, Tensor]:
    """Return kind of device -> state of its random numbers, for the CPU and the device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def _set_random_state(states: dict[str, Tensor], device: torch.device) -> None:
    """Set what `_random_state` returned, here or on another kind of device, as far as it applies."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    elif device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"])


def _is_finite(value: float) -> bool:
    return abs(value) < float("inf")  # False for NaN, too


def _check(model: nn.Module, x: Tensor, **above_zero: float) -> None:
    for name, value in above_zero.items():
        if not value > 0:
            raise ValueError(f"{name} is {value}; it must be above 0.")
    shape = tuple(getattr(model, "shape", x.shape[1:]))
    if x.ndim != 4 or len(x) == 0 or tuple(x.shape[1:]) != shape:
        raise ValueError(f"The model takes pictures (n, {', '.join(map(str, shape))}), but got {tuple(x.shape)}.")
    if x.dtype != torch.uint8:
        low, high = (v.item() for v in x.aminmax())
        if not (low >= 0 and high <= 1):  # False for NaN, too
            raise ValueError(
                f"Pixels must lie in [0, 1], but go from {low:g} to {high:g}; divide by the largest possible value."
            )


def _batch(step: int, batch_size: int, n: int, seed: int) -> Tensor:
    """Return the indices of this step's batch: each picture at most once an epoch, in an order of the seed's."""
    epoch, place = divmod(step, n // batch_size)
    return _order(epoch, n, seed)[place * batch_size : (place + 1) * batch_size]


@lru_cache(maxsize=1)
def _order(epoch: int, n: int, seed: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))


def save_weights(model: nn.Module, path: str | Path) -> None:
    """Write the model's weights to a safetensors file, whole or not at all.

    Raises:
        DataError: The disk is full or refuses otherwise.
    """
    from safetensors.torch import save

    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_atomically(path, lambda file: file.write(save(weights, {"trained_steps": str(_trained(model))})))


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Read weights that `save_weights` wrote into a model of the same shape.

    Raises:
        ValueError: The file is damaged or belongs to a model of another shape; the model is then unchanged.
    """
    tensors, metadata = _read(Path(path))
    _fill(model, tensors, Path(path))
    _note_trained(model, int(metadata.get("trained_steps", 1)))


def _trained(model: nn.Module) -> int:
    steps: int = getattr(model, "trained_steps", 0)
    return steps


def _note_trained(model: nn.Module, steps: int) -> None:
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


def _save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: Settings,
    history: History,
    device: torch.device,
) -> None:
    from safetensors.torch import save

    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": torch.as_tensor(value) for name, value in state.items()}
    tensors |= {f"random.{kind}": state for kind, state in _random_state(device).items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    metadata = {"settings": json.dumps(settings), "history": json.dumps(asdict(history))}
    write_atomically(path, lambda file: file.write(save(tensors, metadata)))


def _resume(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, settings: Settings, device: torch.device
) -> History:
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
    _set_random_state(states, device)
    return History(**json.loads(metadata["history"]))
