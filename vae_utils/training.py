"""Fit an autoencoder or a VAE: minimize an objective, record the curve, save and resume.

Built for small networks and data that fit in memory: no loader, batches by index, a fused Adam, a short warm-up, then
a learning rate that falls to zero, and a start at the pictures' principal components, which saves steps.
"""

import os
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .checkpoints import Settings, note_trained_steps, resume, save_checkpoint, trained_steps
from .history import History
from .objectives import autoencoder_loss, vae_loss
from .random_state import own_random_numbers
from .runtime import best_device, scaled
from .start import can_start, start_at_principal_components
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
        batch_size: Pictures in a batch, n at most.
        lr: The highest learning rate (Adam); see `schedule`.
        loss: (model, batch) -> {"loss": (batch,), other terms to record}. None: `autoencoder_loss` or `vae_loss`.
        seed: Of the batches and the noise. The global random state stays as it was.
        device: Where to compute. None: the best there is.
        progress: Show a bar. None: unless the environment variable VAE_PROGRESS is 0.
        record_every: Steps between two entries of the history.
        checkpoint: A file to save to and, if it exists, to resume from, to the same numbers as without a break. It
            must have been made with the same settings, number of pictures, likelihood and loss (by its name).
        checkpoint_every: Steps between two savings, a multiple of `record_every`; the last step is saved, too.
        watch: Called with the history after each entry; True stops there. It must not change the model or draw.

    Raises:
        TypeError: The pictures are no tensor, or of another dtype than the model's weights and uint8.
        ValueError: The pictures have a wrong shape or range, or a setting is out of range.
        TrainingDiverged: The loss is no longer finite. The message names the step.
    """
    steps, device = scaled(steps), torch.device(device) if device is not None else best_device()
    _check(model, x_train, steps=steps, batch_size=batch_size, lr=lr, record_every=record_every)
    _check_saving(checkpoint, checkpoint_every, record_every)
    training = _Training(model, x_train, loss or _default_loss(model), steps, batch_size, lr, seed, device)
    with own_random_numbers(seed, device), _bar(steps, progress) as bar:
        file = training.begin(checkpoint)
        bar.update(training.done)
        try:
            while training.done < steps and not training.history.stopped:
                training.step()
                bar.update()
                if training.done % record_every == 0 or training.done == steps:
                    bar.set_postfix(loss=f"{training.record():.2f}")
                    if file is not None and (training.done % checkpoint_every == 0 or training.done == steps):
                        training.save(file)
                    training.history.stopped = bool(watch and watch(training.history)) and training.done < steps
        except KeyboardInterrupt:
            training.history.stopped = True
    return training.end()


class _Training:
    """The state of one training: what `fit` does before, in and after a step."""

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        loss: Loss,
        steps: int,
        batch_size: int,
        lr: float,
        seed: int,
        device: torch.device,
    ) -> None:
        self.model, self.x, self.loss, self.device = model, x, loss, device
        self.steps, self.batch_size, self.lr, self.seed = steps, min(batch_size, len(x)), lr, seed
        self.settings: Settings = {"steps": steps, "batch_size": self.batch_size, "lr": lr, "seed": seed}
        self.settings |= {"pictures": len(x)} | _objective(model, loss)
        self.history, self.done, self.before = History(), 0, trained_steps(model)
        self.sums, self.count = dict[str, Tensor | float](), 0

    def begin(self, checkpoint: str | Path | None) -> Path | None:
        """Resume from the checkpoint if it exists, else start an untrained model; return the checkpoint's path."""
        file = None if checkpoint is None else Path(checkpoint)
        resumes = file is not None and file.exists()
        if not resumes and not self.before and can_start(self.model):
            start_at_principal_components(self.model, self.x)
        self.model.to(self.device).train()
        self.x = self.x.to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), self.lr, betas=(0.9, 0.98), fused=True)
        if file is not None and resumes:
            self.history = resume(file, self.model, self.optimizer, self.settings, self.device)
            self.done, self.before = self.history.step[-1], 0
        self.started = time.perf_counter() - self.history.seconds
        return file

    def step(self) -> None:
        """Take one step, and add its terms to the sums, which stay on the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * schedule(self.done, self.steps)
        x = self.x[_batch(self.done, self.batch_size, len(self.x), self.seed).to(self.device)]
        terms = self.loss(self.model, x.float() / 255 if x.dtype == torch.uint8 else x)
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        self.done += 1
        self.count += 1
        for name, values in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + values.detach().mean()

    def record(self) -> float:
        """Write the means since the last entry to the history; return that of the loss."""
        means = {name: float(total) / self.count for name, total in self.sums.items()}
        if not all(abs(mean) < float("inf") for mean in means.values()):  # NaN is not below, either
            raise TrainingDiverged(
                f"The loss became {means['loss']} by step {self.done}: lower the learning rate (it is {self.lr}) or "
                "look for a logarithm or exponential without a bound in the loss."
            )
        self.history.step.append(self.done)
        for name, mean in means.items():
            self.history.terms.setdefault(name, []).append(mean)
        self.sums, self.count = {}, 0
        self.history.seconds = time.perf_counter() - self.started
        return means["loss"]

    def save(self, file: Path) -> None:
        """Write a checkpoint."""
        save_checkpoint(file, self.model, self.optimizer, self.settings, self.history, self.device)

    def end(self) -> History:
        """Leave the model ready for use, and return the history."""
        if self.history.stopped:
            print(f"Stopped at step {self.done:,} of {self.steps:,}; the model keeps what it has learned.")
        self.history.seconds = time.perf_counter() - self.started
        note_trained_steps(self.model, self.before + self.done)
        self.model.eval()
        return self.history


def _bar(steps: int, progress: bool | None) -> Any:
    from tqdm.auto import tqdm

    hidden = os.environ.get("VAE_PROGRESS") == "0" if progress is None else not progress
    return tqdm(total=steps, disable=hidden, leave=False, unit="step")


def _check_saving(checkpoint: str | Path | None, checkpoint_every: int, record_every: int) -> None:
    if checkpoint is not None and (checkpoint_every < 1 or checkpoint_every % record_every):
        raise ValueError(
            f"checkpoint_every is {checkpoint_every}; it must be a multiple of record_every, {record_every}."
        )


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
    if not isinstance(x, Tensor):
        raise TypeError(
            f"fit takes a tensor of pictures (n, C, H, W) in [0, 1], not {type(x).__name__}: of a NumPy array "
            "torch.from_numpy(x), of a Split its x, of a DataLoader all its batches in one (torch.cat)."
        )
    shape = tuple(getattr(model, "shape", x.shape[1:]))
    if x.ndim != 4 or len(x) == 0 or tuple(x.shape[1:]) != shape:
        raise ValueError(f"The model takes pictures (n, {', '.join(map(str, shape))}), but got {tuple(x.shape)}.")
    if x.dtype != torch.uint8:
        wanted = next((weight.dtype for weight in model.parameters()), x.dtype)
        if x.dtype != wanted:
            raise TypeError(f"Pixels must be {wanted}, as the weights, or torch.uint8, not {x.dtype}: x.to({wanted}).")
        _check_pixels(x)


def _check_pixels(x: Tensor) -> None:
    low, high = (v.item() for v in x.aminmax())
    if not high - low < float("inf"):  # NaN, too
        odd = int((~x.isfinite()).flatten(1).any(1).sum())
        text = f"{odd} of {len(x)} pictures have pixels that are NaN or infinite: mend them or leave them out."
        raise ValueError(text)
    if low < 0 or high > 1:
        cure = "take (x + 1) / 2" if low >= -1 and high <= 1 else "take x / 255" if low >= 0 and high <= 255 else ""
        cure = cure or "undo the standardization, or take (x - x.min()) / (x.max() - x.min())"
        raise ValueError(f"Pixels must lie in [0, 1], but go from {low:g} to {high:g}; {cure}.")


def _batch(step: int, batch_size: int, n: int, seed: int) -> Tensor:
    """Return the indices of this step's batch: each picture at most once an epoch, in an order of the seed's."""
    epoch, place = divmod(step, n // batch_size)
    return _order(epoch, n, seed)[place * batch_size : (place + 1) * batch_size]


@lru_cache(maxsize=1)
def _order(epoch: int, n: int, seed: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
