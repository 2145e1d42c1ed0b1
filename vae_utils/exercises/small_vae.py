"""A small VAE that records what a training step does with it, in a few steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from ..likelihoods import Bernoulli
from ..models import VAE
from .attempt import seed
from .compare import as_double, same
from .exercise import Probe

Optimizer = torch.optim.Optimizer
STEPS = 3  # accumulated gradients show from the second step on


class SmallVAE(VAE):
    """A VAE of a few weights that records what a step does with it, with a generator of its own for its noise.

    Attributes:
        replayed: Noise to use in place of the generator's, if its shape fits.
        events: What happened since the last `clear`, in order, such as "forward", "zero_grad", "a picture".
        codes: The latest "cloud" (mu, logvar) that it returned, "own z" that it drew and "z" that it decoded, and the
            "state" of torch's global generator at that time.
    """

    def __init__(self, shape: tuple[int, int, int], latent_dim: int, batch: int):
        super().__init__(shape, latent_dim, Bernoulli(), hidden=(4,))
        self.batch = batch
        self.generator = torch.Generator().manual_seed(8)  # a seed with which the loss falls in each step
        self.replayed: Tensor | None = None
        self.events: list[str] = []
        self.codes: dict[str, Any] = {}
        with torch.no_grad():
            for weights in self.parameters():
                weights.copy_(0.7 * torch.randn(weights.shape, generator=self.generator))
        self.register_forward_pre_hook(self._before_forward)

    def clear(self) -> None:
        """Forget events and codes."""
        self.events, self.codes = [], {}

    def flat(self) -> Tensor:
        """Return a copy of all weights, (number of weights,)."""
        return torch.cat([weights.detach().flatten() for weights in self.parameters()]).clone()

    @staticmethod
    def _before_forward(model: nn.Module, _: Any) -> None:
        assert isinstance(model, SmallVAE)
        model.events.append("forward")
        if not torch.is_grad_enabled():
            model.events.append("without gradients")
        if not model.training:
            model.events.append("in eval mode")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients, and record it."""
        self.events.append("zero_grad")
        super().zero_grad(set_to_none)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and logvar, and record them."""
        if len(x) < self.batch:
            self.events.append("a part" if len(x) > 1 else "a picture")
        self.codes["cloud"] = super().encode(x)
        return self.codes["cloud"]

    def reparameterize(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Draw z, or return mu in eval mode, and record it."""
        z = mu
        if self.training:
            epsilon = self.replayed
            if epsilon is None or epsilon.shape != mu.shape:
                epsilon = torch.randn(mu.shape, generator=self.generator)
            z = mu + (0.5 * logvar).exp() * epsilon.to(mu)
        self.codes["own z"] = z
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Return logits, and record z and the state of the global generator."""
        self.codes["z"], self.codes["state"] = z, torch.get_rng_state()
        return super().decode(z)


def small(
    batch: int, latent_dim: int, optimizer: Callable[..., Optimizer], lr: float, sure: float = 0.0
) -> Callable[[], dict[str, Any]]:
    """Return a probe's `make`; sure: a bias that makes all logits nearly this, whatever z is."""

    def make() -> dict[str, Any]:
        model = SmallVAE((1, 2, 3), latent_dim, batch)
        x = torch.rand(batch, 1, 2, 3, generator=torch.Generator().manual_seed(6))
        if sure:
            x = x.round()
            with torch.no_grad():
                [*model.decoder.parameters()][-1].fill_(sure)
        return {"model": model, "optimizer": optimizer(model.parameters(), lr=lr), "x": x}

    return make


@dataclass
class Run:
    """What a function did with a probe in `STEPS` steps on the same pictures.

    Attributes:
        returned: What each step returned.
        weights: All weights, flattened: before the first step, and after each.
        events: What happened in each step (`SmallVAE.events`, "backward" and "step").
        noise: (z - mu) / sigma of each step's last z, if it was drawn by hand; else None.
        error: What ended the run, if anything did.
        states: torch's global generator in each step, when z was decoded.
    """

    returned: list[Any] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    events: list[list[str]] = field(default_factory=list)
    noise: list[Tensor | None] = field(default_factory=list)
    error: BaseException | None = None
    states: list[Tensor] = field(default_factory=list)

    @property
    def losses(self) -> Tensor:
        """What was returned, as numbers; NaN for what is none."""
        found = [as_double(value) for value in self.returned]
        return torch.tensor([v.item() if v is not None and v.numel() == 1 else float("nan") for v in found])

    @property
    def moved(self) -> bool:
        """Whether any weight ever moved."""
        return any(not torch.equal(weights, self.weights[0]) for weights in self.weights)

    def happened(self, event: str) -> bool:
        """Return whether some step had this event."""
        return any(event in events for events in self.events)


def run(
    function: Callable[..., Any], probe: Probe, like: Run | None = None, replayed: Run | None = None, start: int = 0
) -> Run:
    """Run a function's steps, and record what it calls. An error ends the run and is recorded, too.

    Args:
        function: The training step.
        probe: What it gets.
        like: End as soon as weights or losses differ from those of this run.
        replayed: Let the model draw with the noise of this run.
        start: Seed of the global generator, which `SmallVAE` itself does not use.
    """
    if like is None:
        seed(start)
    model, optimizer, x = probe.make().values()
    record = Run(weights=[model.flat()])
    optimizer.register_step_pre_hook(lambda *_: model.events.append("step"))
    zero_grad = _noting(optimizer.zero_grad, "zero_grad", model)
    backward = _noting(torch.autograd.backward, "backward", model)
    for step in range(STEPS):
        model.clear()
        model.replayed = replayed.noise[step] if replayed else None
        try:
            with patch.object(torch.autograd, "backward", backward), patch.object(optimizer, "zero_grad", zero_grad):
                value = function(model, optimizer, x)
        except Exception as error:
            record.error = error
        record.events.append(model.events)
        if "state" in model.codes:
            record.states.append(model.codes["state"])
        torch.rand(1)  # so that the global generator moves on from step to step
        record.noise.append(_noise(model.codes))
        if record.error:
            break
        record.returned.append(value.detach().clone() if isinstance(value, Tensor) else value)
        record.weights.append(model.flat())
        if like and not (
            same(record.weights[-1], like.weights[step + 1]) and same(record.losses[-1], like.losses[step])
        ):
            break
    return record


def _noise(codes: dict[str, Any]) -> Tensor | None:
    """Return the noise of a z that the model did not draw itself, (z - mu) / sigma; None if there is none."""
    if not {"cloud", "z"} <= codes.keys() or not isinstance(codes["z"], Tensor):
        return None
    mu, logvar = (part.detach() for part in codes["cloud"])
    z = codes["z"].detach()
    if z.shape != mu.shape or torch.equal(z, mu) or ("own z" in codes and torch.equal(z, codes["own z"])):
        return None
    return (z - mu) / (0.5 * logvar).exp()


def _noting(function: Callable[..., Any], event: str, model: SmallVAE) -> Callable[..., Any]:
    def noted(*arguments: Any, **named: Any) -> Any:
        model.events.append(event)
        return function(*arguments, **named)

    return noted
