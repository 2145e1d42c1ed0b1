"""Wrong ways to write `nearest_real`: which real picture a made-up one is closest to."""

import torch
from torch import Tensor

from .mistake import mistake


def _squared(samples: Tensor, real: Tensor) -> Tensor:
    """Return the squared distances, (samples, real)."""
    return (samples.flatten(1)[:, None] - real.flatten(1)[None]).square().sum(2)


@mistake
def farthest(samples: Tensor, real: Tensor) -> Tensor:
    """You look for the *largest* distance: `argmax`, or the last of a sorted list. Yours is the real picture that a
    sample resembles least. The nearest has the smallest distance: `argmin`."""
    return _squared(samples, real).argmax(1)


@mistake
def wrong_way_round(samples: Tensor, real: Tensor) -> Tensor:
    """You answer for each real picture which sample is nearest. Asked is, for each sample, which real picture. It is
    the other axis of the table of distances. (The two questions differ in more than shape: one sample may be nearest to
    a thousand real pictures.)"""
    return _squared(samples, real).argmin(0)


@mistake
def distances(samples: Tensor, real: Tensor) -> Tensor:
    """You return how far the nearest picture is, not which one it is. To look at it you need its index: `argmin` in
    place of `min`."""
    return _squared(samples, real).amin(1).sqrt()


@mistake
def squared_distances(samples: Tensor, real: Tensor) -> Tensor:
    """You return the squared distance to the nearest picture, not which one it is. To look at it you need its index:
    `argmin` in place of `min`."""
    return _squared(samples, real).amin(1)


@mistake
def pictures_not_indices(samples: Tensor, real: Tensor) -> Tensor:
    """You return the nearest pictures themselves. Asked are their indices: with them you get at the picture, at its
    label and at its factors."""
    return real[_squared(samples, real).argmin(1)]


@mistake
def one_for_all(samples: Tensor, real: Tensor) -> Tensor:
    """`argmin` without a dimension searches the whole table of distances and gives one position, counted through all
    rows. Each sample needs its own answer: say along which dimension, `argmin(1)`."""
    return _squared(samples, real).argmin()


@mistake
def not_squared(samples: Tensor, real: Tensor) -> Tensor:
    """You add up differences without squaring them. They cancel, and the smallest sum is the most negative one: the
    brightest real picture is then 'nearest' to everything. Square each difference first."""
    return (samples.flatten(1)[:, None] - real.flatten(1)[None]).sum(2).argmin(1)


@mistake
def brightness(samples: Tensor, real: Tensor) -> Tensor:
    """You compare only how bright the pictures are on average. Averages first and differences afterwards forget where
    the light is. Compare pixel with pixel, then add up."""
    return (samples.flatten(1).mean(1)[:, None] - real.flatten(1).mean(1)[None]).abs().argmin(1)


@mistake
def dot_product(samples: Tensor, real: Tensor) -> Tensor:
    """You take the largest product of the two pictures as the nearest. A bright picture has a large product with
    everything, so it wins everywhere. The squared distance is |a|² − 2ab + |b|²; you have the middle part and miss
    |b|², which makes bright pictures pay."""
    return (samples.flatten(1) @ real.flatten(1).T).argmax(1)


@mistake
def cosine(samples: Tensor, real: Tensor) -> Tensor:
    """You compare by angle (cosine similarity), which does not see brightness: a picture and the same one at half the
    light count as equal. That is a fair question, but another one. Here it is the squared error over all pixels."""
    a, b = (x.flatten(1) / x.flatten(1).norm(dim=1, keepdim=True) for x in (samples, real))
    return (a @ b.T).argmax(1)


@mistake
def absolute(samples: Tensor, real: Tensor) -> Tensor:
    """You add up absolute differences (L1). Often that gives the same picture, and not always: squares punish one large
    difference more than many small ones. The squared error is asked for, the course's measure of closeness."""
    return torch.cdist(samples.flatten(1), real.flatten(1), p=1).argmin(1)


@mistake
def in_the_order_given(samples: Tensor, real: Tensor) -> Tensor:
    """You compare the first sample with the first real picture, the second with the second, and so on. But each sample
    must be compared with *all* real pictures: a table of n × m distances."""
    n = min(len(samples), len(real))
    return (samples[:n] - real[:n]).square().flatten(1).sum(1).argsort()
