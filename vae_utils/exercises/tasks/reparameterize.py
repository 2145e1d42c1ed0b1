"""Notebook 03: the reparameterization trick."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...draws import Sample
from ...mistakes import Mistake
from ..altered import SIGMAS, WORDS
from ..attempt import Attempt, Stopped, seed
from ..compare import apart, difference, finer, kind, numbers
from ..exercise import Exercise
from ..verdict import Evidence, Verdict


def reparameterize(mu: Tensor, logvar: Tensor) -> Tensor:
    sigma = torch.exp(logvar / 2)
    epsilon = torch.randn_like(mu)
    return mu + sigma * epsilon


@dataclass(frozen=True)
class Clouds:
    """Centers and log-variances of many rows: one kind of row after the other, over and over."""

    means: tuple[tuple[float, ...], ...]
    logvars: tuple[tuple[float, ...], ...]
    rows: int = 1500

    def parameters(self, rows: int | None = None) -> tuple[Tensor, Tensor]:
        """Return mu and logvar, each (rows, numbers in a code)."""
        times = math.ceil((rows or self.rows) / len(self.means))
        mu, logvar = (
            torch.tensor(values).repeat(times, 1)[: rows or self.rows] for values in (self.means, self.logvars)
        )
        return mu, logvar

    def sample(self, *draws: Tensor) -> Sample:
        """Return the noise (z - mu) / sigma of two calls, with a column for each kind of row and place in the code."""
        mu, logvar = (values.double() for values in self.parameters())
        noise = [
            ((z.detach().double() - mu) / (0.5 * logvar).exp()).reshape(-1, mu[: len(self.means)].numel())
            for z in draws
        ]
        return Sample(noise[0], noise[-1])

    def evidence(self, sample: Sample, only: Tensor | None = None) -> Evidence:
        """Return center and width, and what they should be, of all columns or of `only` some."""
        mu, sigma = (
            torch.tensor(self.means).flatten().double(),
            (0.5 * torch.tensor(self.logvars).flatten()).exp().double(),
        )
        means, deviations, rows = mu + sigma * sample.mean, sigma * sample.deviation, []
        several, columns = len(self.means), len(self.means[0])
        for i in range(len(mu)) if only is None else only.nonzero().flatten().tolist():
            (mean, wanted), (deviation, width) = apart(means[i], mu[i]), apart(deviations[i], sigma[i])
            place = f"z[{i // columns}::{several}, {i % columns}], " if several > 1 else ""
            rows.append(
                (
                    f"{place}mu = {mu[i].item():g}, logvar = {2 * sigma[i].log().item():g}",
                    f"mean {mean} (expected {wanted}), standard deviation {deviation} (expected {width})",
                )
            )
        return Evidence(f"Over {len(sample.first):,} draws each:", tuple(rows))


SAME = Clouds(((0.0, 2.0, -1.0, 3.0),), ((-2.0, 2.0, 1.0, 0.0),))
SHOWN = 1  # with mu = 2, sigma = e: the column that messages show
# Two kinds of rows, alternating: they show whether rows or columns are mixed up, or something is bounded.
MIXED = Clouds(((1.0, -2.0, 0.0, 4.0), (-3.0, 0.5, 2.0, -1.0)), ((-8.0, 3.0, 2.0, 6.0), (2.0, -5.0, 4.0, 4.0)))


def draw(function: Callable[..., Any], clouds: Clouds, in_training: bool = False) -> Sample:
    """Call the function twice, and return its noise; raise `Stopped` if what comes back is no draw.

    With `in_training`, mu and logvar require a gradient in the second call.
    """
    draws = []
    for require in (False, in_training):
        mu, logvar = (values.requires_grad_(require).clone() for values in clouds.parameters())
        draws.append(function(mu, logvar))
        _demand_shape(draws[-1], *clouds.parameters())
    return clouds.sample(*draws)


def judge(attempt: Attempt, exercise: Exercise) -> Verdict:
    """Compare the noise behind the draws with what it should be, then the gradients that come back."""
    for rows in (2, 1):
        mu, logvar = SAME.parameters(rows)
        z = attempt(mu.clone(), logvar.clone())
        if _is_nan_below_zero(z, logvar):
            return exercise.named("std-is-root-of-logvar", _came_out(z, mu, logvar))
        _demand_shape(z, mu, logvar)
    seed(0)
    same, mixed = draw(attempt, SAME), draw(attempt, MIXED, in_training=True)
    given = Sample(mixed.again, mixed.first)

    def does_the_same(mistake: Mistake) -> bool:
        seed(1)
        try:
            return same.alike(draw(mistake.function, SAME)) and mixed.alike(
                draw(mistake.function, MIXED, in_training=True)
            )
        except Stopped:
            return False

    fault, how = same.fault
    if fault:
        table = _table(same)
        if not (same.first.any() or _off(given).any()):
            return exercise.wrong(ONLY_IN_TRAINING, table)
        if slug := None if fault in ("shape", "ties") else exercise.first(does_the_same):
            return exercise.named(slug, table)
        for name, sigma in SIGMAS.items():
            if does_the_same(Mistake("", lambda mu, logvar, s=sigma: mu + s(logvar) * torch.randn_like(mu), "")):
                return exercise.wrong(WORDS["logvar"].format(name), SAME.evidence(same))
        if fault in ("center", "width"):
            times = same.deviation.mean().item()
            scaled = same.alike(Sample(times * torch.randn_like(same.first), torch.randn_like(same.first)))
            scale = f" Everywhere it is {times:.2g} times sigma: is the noise scaled?" if scaled else ""
            return exercise.wrong(f"The {fault} of the clouds is not right.{scale}", SAME.evidence(same))
        return exercise.wrong(FAULTS[fault].format(how), table)
    if _off(mixed).any():
        return exercise.wrong(ONLY_ALIKE, MIXED.evidence(mixed, _off(mixed)))
    if _off(given).any():
        return exercise.wrong(NOT_IN_TRAINING, MIXED.evidence(given, _off(given)))
    if how := finer(z, mu):
        return exercise.wrong(how)
    return _of_gradients(attempt, exercise)


def _off(sample: Sample) -> Tensor:
    return torch.stack([*sample.off().values()]).any(0)


FAULTS = {
    "repeats": "Two calls with the same arguments return the same numbers: nothing random happens in between.",
    "constant": "All rows get the same noise. Each row is another picture and needs rolls of its own.",
    "together": "All numbers of a code move together, as if they came of one roll (up to sign and scale). Each needs "
    "its own.",
    "shape": "The rolls that you used, (z - mu) / sigma, are not standard normal: {}.",
    "ties": "{} Every number of every code needs a roll of its own, in every call.",
}
ONLY_IN_TRAINING = (
    "Where `mu` and `logvar` require a gradient, as in training, your draws are right. Where they require none, no "
    "dice are rolled and `mu` itself comes back. But a draw is a draw: whoever wants the center takes `mu`."
)
NOT_IN_TRAINING = (
    "Where `mu` and `logvar` require no gradient your draws are right; where they require one, as in training, they "
    "are not."
)
ONLY_ALIKE = (
    "Where all rows of `mu` and `logvar` are alike and their numbers are moderate, your draws are right. With rows "
    "that differ, and narrower and wider clouds, they are not. Does each number of each row have its own `mu` and its "
    "own `logvar`, and is nothing added to sigma or bounded?"
)


def _is_nan_below_zero(z: Any, logvar: Tensor) -> bool:
    return isinstance(z, Tensor) and z.shape == logvar.shape and torch.equal(z.isfinite(), logvar >= 0)


def _demand_shape(z: Any, mu: Tensor, logvar: Tensor) -> None:
    if isinstance(z, Tensor) and z.shape == mu.shape and z.is_floating_point() and z.isfinite().all():
        return
    raise Stopped(difference(z, mu) or f"Your function returned {kind(z)}.", _came_out(z, mu, logvar))


def _came_out(z: Any, mu: Tensor, logvar: Tensor) -> Evidence:
    values = {"mu": mu, "logvar": logvar, "came out": z}
    return Evidence("This went in:", tuple((name, numbers(value)) for name, value in values.items()))


def _table(sample: Sample) -> Evidence:
    """Return a few draws, and mean and standard deviation of a column."""
    mu, logvar = (values.double() for values in SAME.parameters(1))
    first, again = (mu + (0.5 * logvar).exp() * noise for noise in (sample.first, sample.again))
    m, s = mu[0, SHOWN].item(), (0.5 * logvar[0, SHOWN]).exp().item()
    rows = {
        "first two rows": numbers(first[:2].round(decimals=2)),
        "the next call": numbers(again[:2].round(decimals=2)),
        f"mean of z[:, {SHOWN}]": f"{first[:, SHOWN].mean().item():.2f}, expected {m:.2f}",
        f"standard deviation of z[:, {SHOWN}]": f"{first[:, SHOWN].std().item():.2f}, expected {s:.2f}",
    }
    about = f"Asked for {SAME.rows:,} codes; for `z[:, {SHOWN}]`, mu = {m:g} and logvar = {2 * math.log(s):g}"
    return Evidence(f"{about} (so sigma = {s:.3g}):", tuple(rows.items()))


# Which gradient reaches mu and logvar, and the mistake that shows so; "cut" is none, or zeros.
CUT = {
    ("zero", "zero"): "silent-zeros",
    ("right", "cut"): "sigma-detached",
    ("cut", "right"): "mu-detached",
    ("cut", "cut"): "detached",
}


def _of_gradients(attempt: Attempt, exercise: Exercise) -> Verdict:
    """Judge the gradients of draws that are right."""
    mu, logvar = SAME.parameters(5)
    mu, logvar = mu + torch.linspace(-1, 1, 20).view(5, 4), logvar + torch.linspace(0.5, -0.5, 20).view(5, 4)
    leaves = mu.requires_grad_(), logvar.requires_grad_()
    z = attempt(*(leaf.clone() for leaf in leaves))
    if not z.requires_grad:
        return exercise.named("detached")
    weights = torch.linspace(1, 2, 20, dtype=z.dtype).view(5, 4)
    found = torch.autograd.grad((z * weights).sum(), leaves, allow_unused=True)
    right = weights, weights * (z - mu).detach() / 2
    kinds = [_kind_of_gradient(got, wanted) for got, wanted in zip(found, right, strict=True)]
    if kinds == ["right", "right"]:
        return exercise.passes()
    rows: list[tuple[str, str]] = []
    for name, got, wanted in zip(("mu", "logvar"), found, right, strict=True):
        rows += [(f"gradient at {name}", "None" if got is None else numbers(got[0])), ("expected", numbers(wanted[0]))]
    shown = Evidence("In the first row:", tuple(rows))
    cut = ["cut" if kind in ("none", "zero") else kind for kind in kinds]
    if slug := CUT.get((kinds[0], kinds[1])) or CUT.get((cut[0], cut[1])):
        return exercise.named(slug, shown)
    return exercise.wrong(
        "The draws are right, but the gradient that reaches `mu` or `logvar` is not. For z = mu + sigma * epsilon it "
        "arrives at `mu` unchanged, and at `logvar` times (z - mu) / 2.",
        shown,
    )


def _kind_of_gradient(got: Tensor | None, wanted: Tensor) -> str:
    if got is None or (got == 0).all():
        return "none" if got is None else "zero"
    return "right" if torch.allclose(got.double(), wanted.double(), rtol=1e-3, atol=1e-4) else "wrong"


EXERCISE = Exercise(
    name="reparameterize",
    task="""**Your turn.** Before you scroll on: write it. `reparameterize(mu, logvar)` gets the encoder's two answers
for a batch, each of shape (batch, latent), and returns one code for each picture, of the same shape, drawn from
$\\mathcal N(\\mu, \\sigma^2)$, so that the gradient reaches both `mu` and `logvar`. Mind what `logvar` is the logarithm
of.""",
    stub="reparameterize(mu, logvar)",
    hints=(
        "Two things are needed: a width sigma that you compute from `logvar`, and dice that know neither `mu` nor "
        "sigma. Where must the gradient pass, and where need it not?",
        "`logvar` is the logarithm of sigma *squared*. Half of it is log sigma, and `exp` undoes a logarithm. "
        "`torch.randn_like(mu)` rolls one standard normal number for every entry of `mu`.",
        "Stretch the dice by `(0.5 * logvar).exp()`, then shift them by `mu`.",
    ),
    answer=reparameterize,
    right="Every number has its own roll, anew in each call; the clouds have the center and the width that the encoder "
    "asked for; and the gradient reaches `mu` and `logvar`. Of the ways to get this wrong, some never show in a "
    "training curve.",
    judge=judge,
    afterwards="The KL, computed next from the same {}, would read the overwritten numbers, without an error.",
)
