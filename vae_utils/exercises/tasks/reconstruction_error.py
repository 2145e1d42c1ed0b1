"""Notebook 01: the squared error, summed over a picture."""

import torch
from torch import Tensor

from ..exercise import Exercise, Probe
from ..values import by_values


def reconstruction_error(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x_hat - x).square().flatten(1).sum(1)


def _pictures(*shape: int, seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    dice = torch.Generator().manual_seed(seed)
    x, x_hat = (torch.rand(shape, generator=dice, dtype=torch.float64).to(dtype) for _ in range(2))
    return {"x": x, "x_hat": x_hat}


def _small() -> dict[str, Tensor]:
    x = torch.tensor([[[[0.0, 1.0], [0.5, 1.0]]], [[[1.0, 1.0], [0.0, 0.0]]]])
    x_hat = torch.tensor([[[[0.5, 0.5], [0.5, 0.75]]], [[[0.5, 1.0], [0.0, 1.0]]]])
    return {"x": x, "x_hat": x_hat}


EXERCISE = Exercise(
    name="reconstruction_error",
    task="""**Your turn.** Write `reconstruction_error(x, x_hat)`: one number for each picture of a batch, the squared
error summed over all its pixels. `x` and `x_hat` have shape (batch, channels, height, width); what comes out has shape
(batch,). It must let a gradient through.""",
    stub="reconstruction_error(x, x_hat)",
    hints=(
        "Three steps: a difference, a square, a sum. Write down the shape after each one. Which dimensions should be "
        "gone at the end, and which one should be left?",
        "`x_hat - x` and its square still have the shape of the batch of pictures. `flatten(1)` turns that into "
        "(batch, pixels).",
        "`(x_hat - x) ** 2`, then `.flatten(1)`, then `.sum(1)`: dimension 1 now holds all pixels of a picture.",
    ),
    answer=reconstruction_error,
    right="One number for each picture, for a batch of one as well as of five, in color or grey, and the gradient "
    "reaches the reconstruction. This sum, not the mean, is what the next notebooks build on.",
    judge=by_values,
    afterwards="Whoever calls it finds other numbers in their tensor afterwards, even in their training set.",
    reductions={
        "summed-over-everything": lambda error, pixels: error.sum(),
        "averaged-over-the-batch": lambda error, pixels: error.mean(),
        "averaged-over-everything": lambda error, pixels: error.mean() / pixels,
        "averaged-over-pixels": lambda error, pixels: error / pixels,
    },
    probes=(
        Probe(_small, "two grey pictures of 2 × 2 pixels"),
        Probe(lambda: _pictures(1, 3, 2, 2, seed=1), "a batch of one, in color", gradients=("x_hat",)),
        Probe(lambda: _pictures(5, 3, 4, 3, seed=2), "a batch of five, in color", gradients=("x_hat",)),
        Probe(lambda: _pictures(5, 1, 4, 4, seed=3, dtype=torch.float64), "float64", gradients=("x_hat",)),
    ),
)
