"""Notebook 02: which real picture a made-up one is closest to."""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe


def nearest_real(samples: Tensor, real: Tensor) -> Tensor:
    distances = torch.cdist(samples.flatten(1), real.flatten(1))  # (n, number of real pictures)
    return distances.argmin(1)


def _squared(samples: Tensor, real: Tensor) -> Tensor:
    """Return the squared distances, (samples, real)."""
    return (samples.flatten(1)[:, None] - real.flatten(1)[None]).square().sum(2)


def _farthest(samples: Tensor, real: Tensor) -> Tensor:
    return _squared(samples, real).argmax(1)


def _wrong_way_round(samples: Tensor, real: Tensor) -> Tensor:
    return _squared(samples, real).argmin(0)


def _distances(samples: Tensor, real: Tensor) -> Tensor:
    return _squared(samples, real).amin(1).sqrt()


def _squared_distances(samples: Tensor, real: Tensor) -> Tensor:
    return _squared(samples, real).amin(1)


def _pictures_not_indices(samples: Tensor, real: Tensor) -> Tensor:
    return real[_squared(samples, real).argmin(1)]


def _one_for_all(samples: Tensor, real: Tensor) -> Tensor:
    return _squared(samples, real).argmin()


def _not_squared(samples: Tensor, real: Tensor) -> Tensor:
    return (samples.flatten(1)[:, None] - real.flatten(1)[None]).sum(2).argmin(1)


def _brightness(samples: Tensor, real: Tensor) -> Tensor:
    return (samples.flatten(1).mean(1)[:, None] - real.flatten(1).mean(1)[None]).abs().argmin(1)


def _dot_product(samples: Tensor, real: Tensor) -> Tensor:
    return (samples.flatten(1) @ real.flatten(1).T).argmax(1)


def _cosine(samples: Tensor, real: Tensor) -> Tensor:
    a, b = (x.flatten(1) / x.flatten(1).norm(dim=1, keepdim=True) for x in (samples, real))
    return (a @ b.T).argmax(1)


def _absolute(samples: Tensor, real: Tensor) -> Tensor:
    return torch.cdist(samples.flatten(1), real.flatten(1), p=1).argmin(1)


def _in_the_order_given(samples: Tensor, real: Tensor) -> Tensor:
    n = min(len(samples), len(real))
    return (samples[:n] - real[:n]).square().flatten(1).sum(1).argsort()


MISTAKES = (
    Mistake(
        "farthest",
        _farthest,
        "You look for the *largest* distance: `argmax`, or the last of a sorted list. Yours is the real picture that "
        "a sample resembles least. The nearest has the smallest distance: `argmin`.",
    ),
    Mistake(
        "wrong-way-round",
        _wrong_way_round,
        "You answer for each real picture which sample is nearest. Asked is, for each sample, which real picture. It "
        "is the other axis of the table of distances. (The two questions differ in more than shape: one sample may be "
        "nearest to a thousand real pictures.)",
    ),
    Mistake(
        "distances",
        _distances,
        "You return how far the nearest picture is, not which one it is. To look at it you need its index: `argmin` "
        "in place of `min`.",
    ),
    Mistake(
        "squared-distances",
        _squared_distances,
        "You return the squared distance to the nearest picture, not which one it is. To look at it you need its "
        "index: `argmin` in place of `min`.",
    ),
    Mistake(
        "pictures-not-indices",
        _pictures_not_indices,
        "You return the nearest pictures themselves. Asked are their indices: with them you get at the picture, at "
        "its label and at its factors.",
    ),
    Mistake(
        "one-for-all",
        _one_for_all,
        "`argmin` without a dimension searches the whole table of distances and gives one position, counted through "
        "all rows. Each sample needs its own answer: say along which dimension, `argmin(1)`.",
    ),
    Mistake(
        "not-squared",
        _not_squared,
        "You add up differences without squaring them. They cancel, and the smallest sum is the most negative one: "
        "the brightest real picture is then 'nearest' to everything. Square each difference first.",
    ),
    Mistake(
        "brightness",
        _brightness,
        "You compare only how bright the pictures are on average. Averages first and differences afterwards forget "
        "where the light is. Compare pixel with pixel, then add up.",
    ),
    Mistake(
        "dot-product",
        _dot_product,
        "You take the largest product of the two pictures as the nearest. A bright picture has a large product with "
        "everything, so it wins everywhere. The squared distance is |a|² − 2ab + |b|²; you have the middle part and "
        "miss |b|², which makes bright pictures pay.",
    ),
    Mistake(
        "cosine",
        _cosine,
        "You compare by angle (cosine similarity), which does not see brightness: a picture and the same one at half "
        "the light count as equal. That is a fair question, but another one. Here it is the squared error over all "
        "pixels.",
    ),
    Mistake(
        "absolute",
        _absolute,
        "You add up absolute differences (L1). Often that gives the same picture, and not always: squares punish one "
        "large difference more than many small ones. The squared error is asked for, the course's measure of "
        "closeness.",
    ),
    Mistake(
        "in-the-order-given",
        _in_the_order_given,
        "You compare the first sample with the first real picture, the second with the second, and so on. But each "
        "sample must be compared with *all* real pictures: a table of n × m distances.",
    ),
)


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
    solution=nearest_real,
    mistakes=MISTAKES,
    right="The index of the closest real picture for every sample, in grey and in color, for one sample and for many. "
    "Now look at some pairs: a made-up animal without a real twin was hardly learned by heart. The test is a weak one, "
    "though, since a blurred picture is near to many.",
    probes=(
        Probe(_small, "two samples and three real pictures of 1 × 2 pixels"),
        Probe(lambda: _pictures(1, 6, 3, 2, 2, seed=1), "one sample, in color"),
        Probe(lambda: _pictures(5, 4, 1, 3, 2, seed=2), "more samples than real pictures"),
        Probe(lambda: _pictures(6, 6, 3, 2, 3, seed=3), "as many samples as real pictures"),
        Probe(lambda: _pictures(8, 30, 1, 2, 2, seed=4, dtype=torch.float64), "float64"),
    ),
)
