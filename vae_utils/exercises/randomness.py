"""Judge noise: are these numbers independent standard normal draws, however they were made?

All limits are set so that right noise is refused less than once in 10^9 checks.
"""

from __future__ import annotations

import torch
from torch import Tensor

LIMIT = 7.0  # in standard errors


def standard_error_of_mean(n: int) -> float:
    """Return the standard error of the mean of n standard normal numbers."""
    return n**-0.5


def standard_error_of_deviation(n: int) -> float:
    """Return the standard error of the standard deviation of n standard normal numbers."""
    return (2 * n) ** -0.5


def same_in_rows(values: Tensor) -> bool:
    """Return whether every row of (rows, columns) holds the same numbers."""
    return len(values) > 1 and bool((values - values[:1]).abs().max() < 1e-5 * (1 + values.abs().max()))


def same_in_columns(values: Tensor) -> bool:
    """Return whether the columns of (rows, columns) move together, up to a factor each."""
    if values.shape[1] < 2:
        return False
    centered = values - values.mean(0)
    scale = centered.square().mean(0).sqrt()
    if (scale < 1e-9).any():
        return False
    centered = centered / scale
    return bool(((centered * centered[:, :1]).mean(0).abs() > 0.999).all())


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
    if abs(mean) > LIMIT * standard_error_of_mean(n):
        return f"their mean is {mean:.2f}, and 0 is expected"
    if abs(deviation - 1) > LIMIT * standard_error_of_deviation(n):
        return f"their standard deviation is {deviation:.2f}, and 1 is expected"
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
