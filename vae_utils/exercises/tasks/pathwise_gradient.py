"""Notebook 03: the slope of an average loss, by the reparameterization trick."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ..calls import Call, pathwise
from ..estimates import by_estimates
from ..exercise import Exercise

Function = Callable[[Tensor], Tensor]


def pathwise_gradient(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    mu = mu.detach().requires_grad_()  # a copy of our own, to ask for its gradient
    z = mu + sigma * torch.randn(n, dtype=mu.dtype)
    (gradient,) = torch.autograd.grad(f(z).mean(), mu)
    return gradient


def _zero(calls: list[Call]) -> str:
    """Return the slug of the mistake whose estimates are always 0."""
    return "silent-zeros" if any(record.silent for record in calls) else "detached"


EXERCISE = Exercise(
    name="pathwise_gradient",
    task="""**Your turn.** Write `pathwise_gradient(f, mu, sigma, n)`: an estimate of
$\\frac{d}{d\\mu}\\,\\mathbb E[f(z)]$, $z \\sim \\mathcal N(\\mu, \\sigma^2)$, from n draws, by the trick. `mu` and
`sigma` are tensors of one number each; `f` takes a tensor of n draws and returns their n losses. One number comes
back: the mean of the n slopes.""",
    stub="pathwise_gradient(f, mu, sigma, n)",
    hints=(
        "Roll n dice that know nothing of `mu`. Then everything from `mu` to the mean loss is a plain function, and "
        "autograd can tell its slope.",
        "z = mu + sigma * epsilon has shape (n,); `f(z).mean()` is one number. `mu` must require a gradient: take a "
        "copy, `mu.detach().requires_grad_()`.",
        "`torch.autograd.grad(f(z).mean(), mu)` returns a tuple with one entry, the slope. (Or call `backward()` on "
        "your own copy and read its `.grad`.)",
    ),
    answer=pathwise_gradient,
    right="Your number is the mean slope of f over the draws, with `mu` moving all of them along. One draw's slope "
    "scatters as the slope of f does under the cloud: for (z - 3)², with a variance of 4 sigma², wherever the cloud "
    "is.",
    judge=partial(by_estimates, right=pathwise, zero=_zero),
    errors={"no gradient": "detached"},
)
