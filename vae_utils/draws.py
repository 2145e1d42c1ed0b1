"""What draws look like: are they independent standard normal numbers, however they were made?

All limits are set so that right noise is refused less than once in 10^9 checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

LIMIT = 7.0  # in standard errors
APART = 1.5 * LIMIT  # for the difference of two samples: sqrt(2) times, and a bit


@dataclass(frozen=True)
class Sample:
    """Noise of two calls, each (rows, columns): every number should be standard normal, and drawn on its own."""

    first: Tensor
    again: Tensor

    @cached_property
    def repeats(self) -> bool:
        """Whether both calls have the same noise."""
        return torch.equal(self.first, self.again)

    @cached_property
    def constant(self) -> bool:
        """Whether every row of a call has the same noise."""
        rows = self.first
        return len(rows) > 0 and bool((rows - rows[:1]).abs().max() < 1e-5 * (1 + rows.abs().max()))

    @cached_property
    def together(self) -> bool:
        """Whether the columns move together, up to a factor each; if rows are constant, whether they are equal."""
        if self.first.shape[1] < 2:
            return False
        if self.constant:
            rolls = torch.cat([self.first[:1], self.again[:1]])
            return bool((rolls - rolls[:, :1]).abs().max() < 1e-4)
        centered = self.first - self.mean
        scale = centered.square().mean(0).sqrt()
        if (scale < 1e-9).any():
            return False
        centered = centered / scale
        return bool(((centered * centered[:, :1]).mean(0).abs() > 0.999).all())

    @cached_property
    def bounded(self) -> bool:
        """Whether no number is far from the mean of its column, as of a uniform one."""
        return bool(((self.first - self.mean).abs() <= 2 * self.deviation + 1e-9).all())

    @cached_property
    def mean(self) -> Tensor:
        """The mean of each column of the first call."""
        return self.first.mean(0)

    @cached_property
    def deviation(self) -> Tensor:
        """The standard deviation of each column of the first call."""
        return self.first.std(0) if len(self.first) > 1 else torch.zeros_like(self.first[0])

    def alike(self, other: Sample) -> bool:
        """Return whether two samples are of one kind and have the same moments, within their standard errors."""
        names = ("repeats", "constant", "together", "bounded")
        if self.first.shape != other.first.shape or any(getattr(self, n) != getattr(other, n) for n in names):
            return False
        off = self.off(other.mean, other.deviation)
        return not (off["width"].any() or (off["center"].any() and (self.repeats or not self.constant)))

    def off(self, mean: Tensor | float = 0.0, deviation: Tensor | float = 1.0) -> dict[str, Tensor]:
        """Return in which columns the "center" and the "width" are not these."""
        error = APART * (torch.as_tensor(deviation) + 1e-6) * len(self.first) ** -0.5
        return {
            "center": (self.mean - mean).abs() >= error + 1e-5,
            "width": (self.deviation - deviation).abs() >= error * 2**-0.5,
        }

    @cached_property
    def fault(self) -> tuple[str, str]:
        """What kind of fault the noise has, and how, in words; two empty texts if it is as it should be."""
        for kind in ("repeats", "constant", "together"):
            if getattr(self, kind):
                return kind, ""
        both = torch.cat([self.first, self.again])
        how = not_standard_normal(both)
        for kind, columns in self.off().items():
            if columns.any():
                return kind, how
        if how:
            return "shape", how
        tied = ties(self.first, self.again)
        return ("ties", tied) if tied else ("", "")


def ties(epsilon: Tensor, again: Tensor) -> str:
    """Describe how the noise (rows, columns) of two calls depends on itself; '' if it is independent."""
    n = epsilon.numel()
    # Correlations of columns: reliable from 100 rows on.
    both = torch.cat([epsilon, again]) if epsilon.shape == again.shape else epsilon
    if len(both) >= 100:
        together = both.T @ both / len(both)
        for i in range(both.shape[1]):
            for j in range(i):
                if abs(together[i, j].item()) > LIMIT * len(both) ** -0.5:
                    found = f"correlation {together[i, j].item():.2f}"
                    return f"The rolls of `z[:, {j}]` and `z[:, {i}]` are not independent ({found})."
    if shared := _rows_shared(epsilon):
        return shared
    pairs = {
        "neighboring rows": (epsilon[1:], epsilon[:-1]),
        "neighboring columns": (epsilon[:, 1:], epsilon[:, :-1]),
        "the first and the second half of the rows": epsilon.chunk(2) if len(epsilon) % 2 == 0 else (epsilon, again),
        "one call and the next": (epsilon, again),
    }
    for name, (a, b) in pairs.items():
        if a.numel() and abs((a * b).mean().item()) > LIMIT * a.numel() ** -0.5:
            return f"The rolls of {name} are not independent (correlation {(a * b).mean().item():.2f})."
        sizes = (a.square() - 1) * (b.square() - 1) / 2  # of mean 0 and variance 1, with a heavy tail: a wide limit
        if a.numel() > 500 and abs(sizes.mean().item()) > 4 * LIMIT * n**-0.5:
            return f"The sizes of the rolls of {name} are not independent."
    return ""


def _rows_shared(epsilon: Tensor) -> str:
    """Describe which rows hold the same noise, up to the sign; '' if (nearly) all rows have their own."""
    if epsilon.shape[1] < 3 or len(epsilon) < 100:  # too few numbers to tell rows apart for sure
        return ""
    for sign in (1, -1):
        distances = torch.cdist(epsilon, sign * epsilon, compute_mode="donot_use_mm_for_euclid_dist")
        pairs = (distances < 1e-3).nonzero()
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
        if len(pairs) > 5:
            i, j = pairs[0].tolist()
            which = f"`z[{i}]` and `z[{j}]`"
            return f"Rows share their rolls: {which} have the same ones{'' if sign > 0 else ', with the other sign'}."
    return ""


def not_standard_normal(epsilon: Tensor) -> str:
    """Describe how n independent numbers (500 or more) fail to be standard normal; '' if they are."""
    e = epsilon.flatten().double()
    n = len(e)
    mean, deviation = e.mean().item(), e.std().item()
    if abs(mean) > LIMIT * n**-0.5:
        return f"their mean is {mean:.2f}, and 0 is expected"
    if abs(deviation - 1) > LIMIT * (2 * n) ** -0.5:
        return f"their standard deviation is {deviation:.2f}, and 1 is expected"
    for sign in (1, -1):
        bound = (sign * e).max()
        inside = sign * e[sign * e < bound - 1e-4]
        if n - len(inside) > 4 and (inside > inside.max() - 1e-4).sum() < 3:  # else many are shared, not these alone
            bounded = f"several are exactly {sign * bound.item():.3g}"
            return f"{bounded}: they are cut off there, and a normal number has no bound"
    if e.abs().max() > 9:
        return f"one of them is {e[e.abs().argmax()].item():.1f}, and a normal number is practically never that large"
    standard = (e - mean) / deviation
    order = standard.sort().values
    steps = torch.arange(1, n + 1, dtype=torch.float64) / n
    farthest = torch.maximum(
        (steps - torch.special.ndtr(order)).abs(), (steps - 1 / n - torch.special.ndtr(order)).abs()
    )
    fourth = standard.pow(4).mean().item()
    if fourth < 3 - LIMIT * (24 / n) ** 0.5:
        return "their mean and width are right, their shape is not: they have no tails, as uniform numbers have none"
    if farthest.max() > 3.4 * n**-0.5 or fourth > 3 + 25 * (24 / n) ** 0.5:
        return "their mean and width are right, but their shape is not the normal one"
    return ""
