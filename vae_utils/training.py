"""Fit an autoencoder or a VAE: minimize an objective, record the curve, save and resume.

Built for small networks and data that fit in memory: no loader, batches by index, a fused Adam, a short warm-up, then
a learning rate that falls to zero, and a start at the pictures' principal components, which saves most of the steps.
"""

import os
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import torch
from torch import Tensor, nn

from .checkpoints import Settings, note_trained_steps, resume, save_checkpoint, trained_steps
from .history import History
from .objectives import autoencoder_loss, vae_loss
from .random_state import own_random_numbers
from .runtime import best_device, scaled
from .start import start_at_principal_components
from .types import Loss


class TrainingDiverged(RuntimeError):
    """The loss is no longer a finite number."""


def schedule(step: int, steps: int) -> float:
    """Return the factor of the learning rate in a step of 0..steps - 1: up over 50 steps, then linearly to zero."""
    return min((step + 1) / 50, 1) * (1 - step / steps)


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

    The history's `still_falling` says whether more steps would lower the loss visibly.

    Args:
        model: An autoencoder, a VAE, or any model that `loss` takes. It is left in evaluation mode.
        x_train: Pictures (n, C, H, W), floating point in [0, 1] or uint8 in 0..255.
        steps: How many batches to learn from; the environment variable VAE_STEPS multiplies it.
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

    steps = scaled(steps)
    _check(model, x_train, steps=steps, batch_size=batch_size, lr=lr, record_every=record_every)
    if checkpoint is not None and (checkpoint_every < 1 or checkpoint_every % record_every):
        raise ValueError(
            f"checkpoint_every is {checkpoint_every}; it must be a multiple of record_every, {record_every}."
        )
    device = torch.device(device) if device is not None else best_device()
    loss = loss or _default_loss(model)
    batch_size = min(batch_size, len(x_train))
    settings: Settings = {"steps": steps, "batch_size": batch_size, "lr": lr, "seed": seed, "pictures": len(x_train)}
    settings |= _objective(model, loss)
    file = None if checkpoint is None else Path(checkpoint)
    resumes = file is not None and file.exists()
    trained = 0 if resumes else trained_steps(model)
    if not resumes and not trained and isinstance(getattr(model, "decoder", None), nn.Sequential):
        start_at_principal_components(model, x_train)
    model.to(device).train()
    x_train = x_train.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr, betas=(0.9, 0.98), fused=True)
    hidden = os.environ.get("VAE_PROGRESS") == "0" if progress is None else not progress
    with own_random_numbers(seed, device), tqdm(total=steps, disable=hidden, leave=False, unit="step") as bar:
        history = resume(file, model, optimizer, settings, device) if file and resumes else History()
        curve = _Curve(history)
        done = history.step[-1] if resumes else 0
        bar.update(done)
        try:
            for step in range(done, steps):
                for group in optimizer.param_groups:
                    group["lr"] = lr * schedule(step, steps)
                x = x_train[_batch(step, batch_size, len(x_train), seed).to(device)]
                terms = loss(model, x.float() / 255 if x.dtype == torch.uint8 else x)
                optimizer.zero_grad()
                terms["loss"].mean().backward()
                optimizer.step()
                curve.add(terms)
                bar.update()
                done = step + 1
                if done % record_every == 0 or done == steps:
                    curve.record(done, lr)
                    bar.set_postfix(loss=f"{history['loss'][-1]:.2f}")
                    if file is not None and (done % checkpoint_every == 0 or done == steps):
                        save_checkpoint(file, model, optimizer, settings, history, device)
                    if watch is not None and watch(history) and done < steps:
                        history.stopped = True
                        break
        except KeyboardInterrupt:
            history.stopped = True
    if history.stopped:
        print(f"Stopped at step {done:,} of {steps:,}; the model keeps what it has learned.")
    curve.clock()
    note_trained_steps(model, trained + done)
    model.eval()
    return history


class _Curve:
    """Sums the terms of steps, on the device, and writes their means to a history."""

    def __init__(self, history: History) -> None:
        self.history, self.sums, self.count = history, dict[str, Tensor | float](), 0
        self.started = time.perf_counter() - history.seconds

    def add(self, terms: dict[str, Tensor]) -> None:
        for name, values in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + values.detach().mean()
        self.count += 1

    def record(self, step: int, lr: float) -> None:
        means = {name: float(total) / self.count for name, total in self.sums.items()}
        if not all(abs(mean) < float("inf") for mean in means.values()):  # NaN is not below, either
            raise TrainingDiverged(
                f"The loss became {means['loss']} by step {step}: lower the learning rate (it is {lr}) or "
                "look for a logarithm or exponential without a bound in the loss."
            )
        self.history.step.append(step)
        for name, mean in means.items():
            self.history.terms.setdefault(name, []).append(mean)
        self.sums, self.count = {}, 0
        self.clock()

    def clock(self) -> None:
        self.history.seconds = time.perf_counter() - self.started


def _default_loss(model: nn.Module) -> Loss:
    return vae_loss if hasattr(model, "likelihood") else autoencoder_loss


def _objective(model: nn.Module, loss: Loss) -> Settings:
    """Identify the objective by the loss's name and the model's likelihood."""
    return {"loss": _name(loss), "likelihood": repr(getattr(model, "likelihood", None))}


def _name(loss: Loss) -> str:
    """Return a function's name with its module's; for a functools.partial, with its arguments."""
    if isinstance(loss, partial):
        given = [*((None, value) for value in loss.args), *loss.keywords.items()]
        plain = [(key, repr(v) if isinstance(v, str | int | float | None) else type(v).__name__) for key, v in given]
        return f"{_name(loss.func)}({', '.join(f'{key}={text}' if key else text for key, text in plain)})"
    named = loss if hasattr(loss, "__qualname__") else type(loss)
    return f"{named.__module__}.{named.__qualname__}"


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
