"""Notebook 01: the squared error, summed over a picture."""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe


def reconstruction_error(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x_hat - x).square().flatten(1).sum(1)


def _averaged_over_pixels(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x_hat - x).square().flatten(1).mean(1)


def _summed_over_everything(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x_hat - x).square().sum()


def _averaged_over_everything(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x_hat - x).square().mean()


def _averaged_over_the_batch(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x_hat - x).square().flatten(1).sum(1).mean()


def _summed_over_the_batch(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x_hat - x).square().sum(0)


def _summed_over_one_axis(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x_hat - x).square().sum(1)


def _not_summed(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x_hat - x).square()


def _not_squared(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x_hat - x).flatten(1).sum(1)


def _square_of_the_sum(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x_hat - x).flatten(1).sum(1).square()


def _difference_of_squares(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x_hat.square() - x.square()).flatten(1).sum(1)


def _absolute(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x_hat - x).abs().flatten(1).sum(1)


def _square_root(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x_hat - x).flatten(1).norm(dim=1)


def _detached(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x_hat - x).detach().square().flatten(1).sum(1)


MISTAKES = (
    Mistake(
        "averaged-over-pixels",
        _averaged_over_pixels,
        "You average over the pixels; the task asks for their sum. Alone, that is only another unit. But the VAE of "
        "the next notebook adds a second term, which is a sum. Beside it an error divided by 3,072 weighs nothing: "
        "the encoder then ignores the pictures, and every reconstruction is the same blur. Take the sum over a "
        "picture, and averages only over the batch.",
    ),
    Mistake(
        "summed-over-everything",
        _summed_over_everything,
        "You add up all pictures, too, so the batch is one number. You can't see any more which picture was drawn "
        "badly, and the loss grows with the batch: twice the pictures, twice the step. Keep the first dimension: "
        "`flatten(1)` makes each picture one row.",
    ),
    Mistake(
        "averaged-over-everything",
        _averaged_over_everything,
        "You average over pixels and pictures at once (`mse_loss` does so, too). It trains an autoencoder well "
        "enough. But it is one number for the whole batch, and thousands of times smaller than the sum over a "
        "picture, which will matter as soon as another term stands beside it. Sum each picture; keep the first "
        "dimension.",
    ),
    Mistake(
        "averaged-over-the-batch",
        _averaged_over_the_batch,
        "The sum over pixels is right. But then you average over the batch, and it is one number. Leave that to the "
        "caller: training wants the mean, a list of the worst pictures wants each one.",
    ),
    Mistake(
        "summed-over-the-batch",
        _summed_over_the_batch,
        "You sum over dimension 0. That is the batch: the pictures are laid on top of each other, and a pixel is left "
        "over for each pixel. The sum goes over everything *but* dimension 0.",
    ),
    Mistake(
        "summed-over-one-axis",
        _summed_over_one_axis,
        "You sum over dimension 1 only. A picture has three dimensions after the batch (color, height, width), and "
        "yours still has two of them. Make each picture one row first, with `flatten(1)`, or name all three.",
    ),
    Mistake(
        "not-summed",
        _not_summed,
        "These are the squared errors of single pixels. One number for each picture is asked for: add them up over "
        "color, height and width.",
    ),
    Mistake(
        "not-squared",
        _not_squared,
        "You add up differences that are not squared. A pixel too bright and a pixel too dark then cancel: a "
        "checkerboard and its negative have error 0, and a picture that is simply black has a *negative* error, so "
        "training would paint everything black.",
    ),
    Mistake(
        "square-of-the-sum",
        _square_of_the_sum,
        "You square after adding up. Inside the sum, too bright and too dark cancel first: only the average "
        "brightness of the picture counts, and a grey rectangle is as good as a cat. Square each pixel, then add up.",
    ),
    Mistake(
        "difference-of-squares",
        _difference_of_squares,
        "You square the two pictures and subtract. That is x̂² − x², not (x̂ − x)². It can be negative, and its "
        "minimum is a black picture. Subtract first.",
    ),
    Mistake(
        "absolute",
        _absolute,
        "These are absolute differences (the L1 error). A fair loss, but another one: it asks for the median where "
        "squares ask for the mean, and large errors weigh less. The rest of the course builds on squares.",
    ),
    Mistake(
        "square-root",
        _square_root,
        "You take the root at the end: that is the distance between the two pictures, not its square. Its gradient "
        "has length 1 however small the error is, and breaks down at exactly 0. And the squares will turn out to be "
        "the logarithm of a Gaussian; their roots are not. Leave the root out.",
    ),
    Mistake(
        "detached",
        _detached,
        "The numbers are right, but you cut them off from the network (`detach`, `no_grad`, `.data`). For a loss the "
        "way back is all that matters: with this one `backward` raises an error, or, added to another term, it prints "
        "a fine curve and teaches nothing.",
    ),
)


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
    solution=reconstruction_error,
    mistakes=MISTAKES,
    right="One number for each picture, for a batch of one as well as of five, in color or grey, and the gradient "
    "reaches the reconstruction. This sum, not the mean, is what the next notebooks build on.",
    probes=(
        Probe(_small, "two grey pictures of 2 × 2 pixels"),
        Probe(lambda: _pictures(1, 3, 2, 2, seed=1), "a batch of one, in color", gradients=("x_hat",)),
        Probe(lambda: _pictures(5, 3, 4, 3, seed=2), "a batch of five, in color", gradients=("x_hat",)),
        Probe(lambda: _pictures(5, 1, 4, 4, seed=3, dtype=torch.float64), "float64", gradients=("x_hat",)),
    ),
)
