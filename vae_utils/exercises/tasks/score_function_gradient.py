"""Notebook 03: the slope of an average loss, by the score function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ..calls import Call, leave_one_out, score
from ..estimates import by_estimates
from ..exercise import Exercise

Function = Callable[[Tensor], Tensor]


def score_function_gradient(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    with torch.no_grad():  # no gradient has to pass anywhere
        z = mu + sigma * torch.randn(n, dtype=mu.dtype)
        return (f(z) * (z - mu) / sigma**2).mean()


def _zero(calls: list[Call]) -> str:
    """Return the slug of the mistake whose estimates are always 0."""
    attached, silent = any(record.attached for record in calls), any(record.silent for record in calls)
    return "z-not-detached" if attached and not silent else "nothing-to-differentiate"


EXERCISE = Exercise(
    name="score_function_gradient",
    task="""**Your turn.** Write `score_function_gradient(f, mu, sigma, n)`: the same number,
$\\frac{d}{d\\mu}\\,\\mathbb E[f(z)]$ from n draws, by the score function. This time f is a closed box: you may use the
losses it returns, not their slopes. One number comes back: the mean of the n estimates.""",
    stub="score_function_gradient(f, mu, sigma, n)",
    hints=(
        "The last line of the derivation is an average over draws. Of which two factors? Which of the two needs f, "
        "and which one only `mu` and sigma?",
        "For the normal distribution the score is (z - mu) / sigma²; no autograd is needed. Each draw's score is "
        "multiplied by that draw's loss.",
        "Draw z with shape (n,), as plain numbers without a past. The products f(z) * (z - mu) / sigma² have shape "
        "(n,), too; return their mean.",
    ),
    answer=score_function_gradient,
    right="Each draw's loss times its score, averaged: the slope, from losses alone. For (z - 3)² at mu = 1 and "
    "sigma = 0.5 one draw's estimate has a variance of 124, as long as no baseline is taken from the losses; the "
    "pathwise one has 1.",
    judge=partial(by_estimates, right=score, zero=_zero, also=(leave_one_out,)),
    errors={"no gradient": "nothing-to-differentiate"},
)
