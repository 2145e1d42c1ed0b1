"""Fit an autoencoder or a VAE: what turns a loss into a trained model, with the chores that a notebook leaves out.

Built for small networks and data that fit in memory: no loader, batches by index, a fused Adam, a short warm-up and
then a learning rate that falls to zero, and a start at the mean picture, so that no step is spent on finding it.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from .files import write_atomically
from .losses import bernoulli_nll, gaussian_kl, gaussian_nll, squared_error
from .runtime import best_device

Loss = Callable[[nn.Module, Tensor], dict[str, Tensor]]


class TrainingDiverged(RuntimeError):
    """The loss is no longer a finite number."""


@dataclass
class History:
    """What happened: `step[i]` steps were done when `terms[name][i]`, an average since the entry before, was noted."""

    step: list[int] = field(default_factory=list)
    terms: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    stopped: bool = False  # by hand, before the last step

    def __getitem__(self, name: str) -> list[float]:
        return self.terms[name]

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.2f}" for name, values in self.terms.items())
        return f"<{self.step[-1] if self.step else 0} steps in {self.seconds:.1f} s: {last}>"


def autoencoder_loss(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """{"loss": squared error summed over each picture, (batch,)} of model(x), a picture for each picture."""
    return {"loss": squared_error(model(x), x)}


def vae_loss(model: nn.Module, x: Tensor, beta: float = 1.0) -> dict[str, Tensor]:
    """{"loss": nll + beta * KL, "nll", "kl"}, each (batch,) in nats; with beta = 1 the loss is the negative ELBO.

    Raises ValueError for a negative beta.
    """
    if beta < 0:
        raise ValueError(f"beta must be 0 or more, not {beta}")
    parameters, mu, logvar = model(x)
    nll = reconstruction_nll(model, parameters, x)
    kl = gaussian_kl(mu, logvar)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}


def reconstruction_nll(model: nn.Module, parameters: Tensor, x: Tensor) -> Tensor:
    """-log p(x|z), (batch,), by the likelihood that the model names."""
    if model.likelihood == "bernoulli":
        return bernoulli_nll(parameters, x)
    return gaussian_nll(parameters, x, model.sigma)


@torch.no_grad()
def start_at_mean(model: nn.Module, x_train: Tensor) -> None:
    """Let an untrained model's pictures start at the mean of x_train, and its codes in the middle.

    The output's bias becomes the mean's log-odds, the output's weights shrink, the encoder sees pictures less their
    mean, and a VAE's log variances start at -2 for every picture. For models whose `encoder` and `decoder` are the
    `mlp` of vae_utils.models.
    """
    scale = 255 if x_train.dtype == torch.uint8 else 1
    first, last, head = model.encoder[0], model.decoder[-1], model.encoder[-1]
    total = sum(part.sum(0, dtype=torch.float64) for part in x_train.split(1000))  # in parts, to save memory
    mean = (total / (scale * len(x_train))).flatten().to(last.bias)
    last.bias.copy_(mean.clamp(0.01, 0.99).logit())
    last.weight.mul_(0.3)
    first.bias.copy_(-(first.weight @ mean))
    if hasattr(model, "likelihood"):
        head.weight[model.latent_dim :] = 0
        head.bias[model.latent_dim :] = -2


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
    """Train the model in place, on the best device there is, and return its history. Interrupt it when you like.

    x_train: pictures (n, C, H, W), floating point in [0, 1] or uint8 in 0..255.
    lr: the highest learning rate (Adam); it rises over 50 steps and falls to zero in a straight line.
    loss: (model, batch) -> {"loss": (batch,), other terms to note}. None: squared error for an autoencoder, the
        negative ELBO for a VAE.
    seed: of the batches and the noise; the global random state stays as it was.
    progress: show a bar; None does unless the environment variable VAE_PROGRESS is 0.
    checkpoint: a file to save to every `checkpoint_every` steps (a multiple of `record_every`) and at the end; where
        it exists, training goes on from it, to the same numbers as without a break. It must have been made with the
        same settings, pictures, likelihood and loss (by its name; what else a function of yours does is not seen).
    watch: called with the history after each of its entries; where it returns True, training stops there, as if
        interrupted. It may look at the model, must leave it as it is, and draw no random numbers.

    Raises ValueError for pictures of a wrong shape or range or settings out of range, and TrainingDiverged, with
    the step, where the loss is no longer finite.
    """
    from tqdm.auto import tqdm

    _check(model, x_train, steps=steps, batch_size=batch_size, lr=lr, record_every=record_every)
    if checkpoint is not None and (checkpoint_every < 1 or checkpoint_every % record_every):
        raise ValueError(
            f"checkpoint_every is {checkpoint_every}; it must be a multiple of record_every, {record_every}."
        )
    device = torch.device(device) if device is not None else best_device()
    if loss is None:
        loss = vae_loss if hasattr(model, "likelihood") else autoencoder_loss
    if progress is None:
        progress = os.environ.get("VAE_PROGRESS") != "0"
    batch_size = min(batch_size, len(x_train))
    settings = {"steps": steps, "batch_size": batch_size, "lr": lr, "seed": seed, "pictures": len(x_train)}
    settings |= _objective(model, loss)
    resumes = checkpoint is not None and Path(checkpoint).exists()
    trained = 0 if resumes else _trained(model)
    if not resumes and trained == 0 and isinstance(getattr(model, "decoder", None), nn.Sequential):
        start_at_mean(model, x_train)

    model.to(device).train()
    x_train = x_train.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr, betas=(0.9, 0.98), fused=True)
    history, sums, counted = History(), {}, 0
    started, done = time.perf_counter(), 0
    with _own_random_numbers(seed, device):
        if resumes:
            history = _resume(Path(checkpoint), model, optimizer, settings, device)
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
                    sums[name] = sums.get(name, 0) + values.detach().mean()
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
                    if checkpoint is not None and (done % checkpoint_every == 0 or done == steps):
                        _save_checkpoint(Path(checkpoint), model, optimizer, settings, history, device)
                    if watch is not None and watch(history) and done < steps:
                        raise KeyboardInterrupt
        except KeyboardInterrupt:
            history.stopped = True
            print(f"Stopped at step {done:,} of {steps:,}; the model keeps what it has learned.")
        finally:
            bar.close()
    history.seconds = earlier + time.perf_counter() - started
    model.trained_steps = trained + done
    model.eval()
    return history


def _objective(model: nn.Module, loss: Loss) -> dict[str, str | float | None]:
    """What tells one thing to minimize from another, as far as names and numbers do."""
    found = {"loss": _name(loss)}
    for name in ("likelihood", "sigma"):
        value = getattr(model, name, None)
        found[name] = value if isinstance(value, str | int | float | None) else type(value).__name__
    return found


def _name(loss: Loss) -> str:
    """A function's name with its module's; of a functools.partial, with what it fills in."""
    if isinstance(loss, partial):
        given = [*((None, value) for value in loss.args), *loss.keywords.items()]
        plain = [(key, repr(v) if isinstance(v, str | int | float | None) else type(v).__name__) for key, v in given]
        return f"{_name(loss.func)}({', '.join(f'{key}={text}' if key else text for key, text in plain)})"
    named = loss if hasattr(loss, "__qualname__") else type(loss)
    return f"{named.__module__}.{named.__qualname__}"


@contextmanager
def _own_random_numbers(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers start anew from the seed, and afterwards go on as if none had been drawn."""
    before = _random_state(device)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        _set_random_state(before, device)


def _random_state(device: torch.device) -> dict[str, Tensor]:
    """Kind of device -> state of its random numbers, for the CPU and the device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def _set_random_state(states: dict[str, Tensor], device: torch.device) -> None:
    """Set what `_random_state` returned, here or on another kind of device, as far as it fits."""
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
    """Indices of the batch of this step: every picture once an epoch, in an order that seed and epoch decide."""
    per_epoch = n // batch_size
    epoch, place = divmod(step, per_epoch)
    if _batch.order is None or _batch.key != (epoch, n, seed):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        _batch.order, _batch.key = torch.randperm(n, generator=generator), (epoch, n, seed)
    return _batch.order[place * batch_size : (place + 1) * batch_size]


_batch.order, _batch.key = None, None


def save_weights(model: nn.Module, path: str | Path) -> None:
    """Write the model's weights to a safetensors file, whole or not at all (DataError where the disk refuses)."""
    from safetensors.torch import save

    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_atomically(path, lambda file: file.write(save(weights, {"trained_steps": str(_trained(model))})))


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Read weights that `save_weights` wrote into a model of the same shape.

    Raises ValueError where the file is damaged or belongs to a model of another shape; the model is then unchanged.
    """
    tensors, metadata = _read(Path(path))
    _fill(model, tensors, Path(path))
    model.trained_steps = int(metadata.get("trained_steps", 1))


def _trained(model: nn.Module) -> int:
    return getattr(model, "trained_steps", 0)


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
    settings: dict,
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
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, settings: dict, device: torch.device
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
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, i, key = name.split(".", 2)
            state.setdefault(int(i), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    states = {k.removeprefix("random."): v for k, v in tensors.items() if k.startswith("random.")}
    _set_random_state(states, device)
    return History(**json.loads(metadata["history"]))
