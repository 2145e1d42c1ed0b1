"""The form of every data set of the course: two splits of pictures, and what is known about them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..likelihoods import Likelihood
from ..types import Shape


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Pictures with their labels and, if known, the factors that they were drawn from.

    Args:
        x: (n, C, H, W), floating point in [0, 1], or uint8 in 0..255.
        y: (n,), int64 class indices.
        factors: name -> (n,) floating-point values, or None if they are unknown.

    Raises:
        ValueError: A shape, a type or a range differs from these.
    """

    x: Tensor
    y: Tensor
    factors: Mapping[str, Tensor] | None = None

    def __post_init__(self) -> None:
        x, y = self.x, self.y
        if x.ndim != 4 or len(x) == 0:
            raise ValueError(f"x must hold at least one picture, as (n, C, H, W), but its shape is {tuple(x.shape)}")
        if x.dtype != torch.uint8 and not x.is_floating_point():
            raise ValueError(f"x must be floating point or uint8, but it is {x.dtype}")
        low, high = (value.item() for value in x.aminmax())
        if x.is_floating_point() and not (low >= 0 and high <= 1):
            raise ValueError(f"x must lie in [0, 1], but its values go from {low:g} to {high:g}")
        if y.shape != (len(x),) or y.dtype != torch.int64:
            raise ValueError(f"y must be int64 of shape ({len(x)},), but it is {y.dtype} of shape {tuple(y.shape)}")
        for name, values in (self.factors or {}).items():
            if values.shape != (len(x),) or not values.is_floating_point():
                raise ValueError(
                    f"factor {name!r} must be floating point of shape ({len(x)},), "
                    f"but it is {values.dtype} of shape {tuple(values.shape)}"
                )

    def __len__(self) -> int:
        return len(self.x)

    def first(self, n: int) -> "Split":
        """Return the first n pictures, or all if there are fewer."""
        factors = self.factors and {name: values[:n] for name, values in self.factors.items()}
        return Split(self.x[:n], self.y[:n], factors)

    def __repr__(self) -> str:
        factors = f", factors: {', '.join(self.factors)}" if self.factors else ""
        return f"<{len(self)} pictures of shape {tuple(self.x.shape[1:])}, {self.x.dtype}{factors}>"


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training and a test split, and the likelihood p(x|z) that suits their pixels.

    Args:
        name: As `load` knows it.
        train: The pictures to learn from.
        test: The pictures to measure on.
        label_names: The name of class 0, 1, 2, ...
        shape: (C, H, W) of one picture.
        likelihood: The distribution of pixels, such as `Bernoulli()` or `Gaussian(sigma)`.
        followed: Indices of the two test pictures that the notebooks follow.
        followed_names: What the notebooks call these two.

    Raises:
        ValueError: These do not fit together.
    """

    name: str
    train: Split
    test: Split
    label_names: tuple[str, ...]
    shape: Shape
    likelihood: Likelihood
    followed: tuple[int, int]
    followed_names: tuple[str, str]

    def __post_init__(self) -> None:
        for part, split in (("train", self.train), ("test", self.test)):
            if tuple(split.x.shape[1:]) != tuple(self.shape):
                raise ValueError(
                    f"{self.name}: {part} pictures must have shape {self.shape}, not {tuple(split.x.shape[1:])}"
                )
            low, high = (value.item() for value in split.y.aminmax())
            if low < 0 or high >= len(self.label_names):
                raise ValueError(
                    f"{self.name}: {part} labels must lie in 0..{len(self.label_names) - 1}, as there are "
                    f"{len(self.label_names)} label names, but they go from {low} to {high}"
                )
        if self.train.x.dtype != self.test.x.dtype:
            raise ValueError(f"{self.name}: train is {self.train.x.dtype} but test is {self.test.x.dtype}")
        if len(self.followed) != 2 or not all(0 <= index < len(self.test) for index in self.followed):
            raise ValueError(f"followed must be two indices in 0..{len(self.test) - 1}, not {self.followed}")
        if len(self.followed_names) != 2:
            raise ValueError(f"followed_names must be two names, not {self.followed_names}")


def check_dtype(dtype: torch.dtype) -> None:
    """Raise ValueError unless pixels can be had as `dtype`: a floating-point type or torch.uint8."""
    if dtype != torch.uint8 and not dtype.is_floating_point:
        raise ValueError(f"dtype must be a floating-point type or torch.uint8, not {dtype}")


def to_tensor(pictures: NDArray[np.uint8] | Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Convert pictures to what models take: uint8 (n, H, W) or (n, H, W, C) -> (n, C, H, W), contiguous.

    A floating-point `dtype` gives values in [0, 1]; torch.uint8 keeps 0..255, and may share memory with
    `pictures`.

    Raises:
        ValueError: `dtype` is of another kind, or the pictures have another shape or type.
    """
    check_dtype(dtype)
    x = pictures if isinstance(pictures, Tensor) else torch.from_numpy(np.require(pictures, requirements=["C", "W"]))
    if x.dtype != torch.uint8 or x.ndim not in (3, 4):
        raise ValueError(f"pictures must be uint8 (n, H, W) or (n, H, W, C), not {x.dtype} {tuple(x.shape)}")
    x = (x.unsqueeze(1) if x.ndim == 3 else x.permute(0, 3, 1, 2)).contiguous()
    return x if dtype == torch.uint8 else x.to(dtype).div_(255)


def clearest(split: Split, label: int, among: int = 200) -> int:
    """Return the index of a clear example of a class: of its first `among` pictures, the one nearest to their mean.

    Distance is Euclidean, over all pixels.

    Raises:
        ValueError: The class has no picture.
    """
    candidates = (split.y == label).nonzero().flatten()[:among]
    if len(candidates) == 0:
        raise ValueError(f"there is no picture with label {label}")
    x = split.x[candidates].flatten(1).double()
    return int(candidates[(x - x.mean(0)).square().sum(1).argmin()])


def stratified_split(
    labels: NDArray[np.integer], test_fraction: float, seed: int = 0
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return indices (train, test), each in rising order; the same labels (n,) and seed give the same everywhere.

    Every class gives `test_fraction` of its pictures, and at least one, to the test set.

    Raises:
        ValueError: A class has fewer than two pictures.
    """
    rng = np.random.RandomState(seed)  # its stream never changes; those of newer generators may
    is_test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            raise ValueError(f"class {label} needs at least two pictures, one to train and one to test")
        n_test = min(max(1, round(test_fraction * len(members))), len(members) - 1)
        is_test[rng.permutation(members)[:n_test]] = True
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)
