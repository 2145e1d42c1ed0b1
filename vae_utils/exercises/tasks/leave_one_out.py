"""Notebook 09: the score-function gradient with the other draws' losses as baselines."""

from functools import partial

import torch
from torch import Tensor

from ..exercise import Exercise, Probe
from ..values import by_values


def leave_one_out(losses: Tensor, scores: Tensor) -> Tensor:
    others = (losses.sum() - losses) / (len(losses) - 1)
    return ((losses - others)[:, None] * scores).mean(0)


def _draws(k: int, n: int, seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    dice = torch.Generator().manual_seed(seed)
    scores = torch.randn(k, n, generator=dice, dtype=torch.float64)
    losses = (scores.sum(1) + 3).square() + torch.rand(k, generator=dice, dtype=torch.float64)
    return {"losses": losses.to(dtype), "scores": scores.to(dtype)}


EXERCISE = Exercise(
    name="leave_one_out",
    task="""**Your turn.** Write `leave_one_out(losses, scores)`: the score-function gradient from k draws. `losses` has
shape (k,), `scores` (k, n): the scores of each draw, one for each of n parameters. From each draw's loss take the mean
loss of the *other* draws, multiply by that draw's scores, and average over draws; shape (n,).""",
    stub="leave_one_out(losses, scores)",
    hints=(
        "Every draw has a baseline of its own: it must not see that draw's loss, or the average is off. How do you get "
        "the mean of all but one from the sum of all?",
        "`(losses.sum() - losses) / (len(losses) - 1)` holds, for each draw, the mean of the others; shape (k,).",
        "A number for each draw meets n scores for each draw: `[:, None]` makes shape (k, 1) of (k,). Then the mean "
        "over draws, `.mean(0)`.",
    ),
    answer=leave_one_out,
    right="Each draw's loss less the others' mean, times its scores: right on average from two draws on, whatever is "
    "added to all losses. (It is the sample covariance of losses and scores.)",
    judge=partial(by_values, keeps_dtype=True),
    probes=(
        Probe(
            lambda: {"losses": torch.tensor([5.0, 1.0]), "scores": torch.tensor([[1.0, 0.0], [2.0, -3.0]])},
            "two draws, two parameters",
        ),
        Probe(
            lambda: {
                "losses": torch.tensor([10.0, 2.0, 6.0]),
                "scores": torch.tensor([[1.0, -1.0], [0.5, 2.0], [-2.0, 0.0]]),
            },
            "three draws, two parameters",
        ),
        Probe(lambda: _draws(5, 1, seed=1), "five draws, one parameter"),
        Probe(lambda: _draws(4, 6, seed=2), "four draws, six parameters"),
        Probe(lambda: _draws(3, 4, seed=3, dtype=torch.float64), "float64"),
    ),
)
