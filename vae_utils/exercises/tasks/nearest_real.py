"""Notebook 02: which real picture a made-up one is closest to."""

import torch
from torch import Tensor

from ..exercise import Exercise, Probe
from ..values import by_values


def nearest_real(samples: Tensor, real: Tensor) -> Tensor:
    distances = torch.cdist(samples.flatten(1), real.flatten(1))  # (n, number of real pictures)
    return distances.argmin(1)


def _pictures(n: int, m: int, *shape: int, seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    dice = torch.Generator().manual_seed(seed)
    samples, real = (torch.rand(k, *shape, generator=dice, dtype=torch.float64) for k in (n, m))
    light = 0.3 + 0.9 * torch.rand(m, 1, 1, 1, generator=dice, dtype=torch.float64)
    return {"samples": samples.to(dtype), "real": (real * light).to(dtype)}


def _small() -> dict[str, Tensor]:
    samples = torch.tensor([[[[0.5, 0.5]]], [[[0.25, 0.0]]]])
    real = torch.tensor([[[[1.0, 1.0]]], [[[0.5, 0.25]]], [[[0.0, 0.25]]]])
    return {"samples": samples, "real": real}


EXERCISE = Exercise(
    name="nearest_real",
    task="""**Your turn.** Does a generator only repeat what it has seen? To find out, look up the closest real picture.
Write `nearest_real(samples, real)`: for each of n made-up pictures, the index of the real picture with the smallest
squared error over all pixels. `samples` has shape (n, channels, height, width), `real` (m, channels, height, width);
what comes out has shape (n,) and holds whole numbers from 0 to m − 1.""",
    stub="nearest_real(samples, real)",
    hints=(
        "Think of a table with a row for each sample and a column for each real picture, holding their distance. What "
        "do you look for in each row?",
        "`flatten(1)` makes each picture a row of numbers. `torch.cdist(a, b)` takes two such lists and gives the "
        "whole table of distances (square roots don't change which one is smallest).",
        "The table has shape (n, m). `.argmin(1)` gives, for each row, the column of its smallest number.",
    ),
    answer=nearest_real,
    right="The index of the closest real picture for every sample, in grey and in color, for one sample and for many. "
    "Now look at some pairs: a made-up animal without a real twin is no plain copy. The test is a weak one, though: a "
    "copy shifted by a pixel passes it, and a blurred picture is near to many.",
    judge=by_values,
    afterwards="Whoever calls it finds other numbers in their tensor afterwards, even in their training set.",
    probes=(
        Probe(_small, "two samples and three real pictures of 1 × 2 pixels"),
        Probe(lambda: _pictures(1, 6, 3, 2, 2, seed=1), "one sample, in color"),
        Probe(lambda: _pictures(5, 4, 1, 3, 2, seed=2), "more samples than real pictures"),
        Probe(lambda: _pictures(6, 6, 3, 2, 3, seed=3), "as many samples as real pictures"),
        Probe(lambda: _pictures(8, 30, 1, 2, 2, seed=4, dtype=torch.float64), "float64"),
    ),
)
