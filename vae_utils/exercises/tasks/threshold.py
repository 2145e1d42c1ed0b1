"""Notebook 07: where to put the border when only normal scores are known."""

import math
from functools import partial

import torch
from torch import Tensor

from ..exercise import Exercise, Probe
from ..values import by_values


def threshold(scores: Tensor, share: float) -> float:
    k = math.ceil((len(scores) + 1) * (1 - share))
    return math.inf if k > len(scores) else scores.sort().values[k - 1].item()


def _scores(n: int, share: float, seed: int) -> dict[str, Tensor | float]:
    dice = torch.Generator().manual_seed(seed)
    return {"scores": 100 + torch.randn(n, generator=dice).exp(), "share": share}


EXERCISE = Exercise(
    name="threshold",
    task="""**Your turn.** Write `threshold(scores, share)`: n scores of normal pictures (shape (n,), high is odd) go
in, and the border comes out, a number. The chance that the score of a new normal picture lies above it must be `share`
at most. Return the ⌈(n + 1)(1 − share)⌉-th smallest score; infinity if there are not so many.""",
    stub="threshold(scores, share)",
    hints=(
        "Put the new score among the n old ones: each of its n + 1 places has the same chance. How many places may "
        "count as odd?",
        "`math.ceil` rounds up. Sorted, the k-th smallest stands at `[k - 1]`.",
        "`k = math.ceil((len(scores) + 1) * (1 - share))`; if k is above n, `math.inf`, else "
        "`scores.sort().values[k - 1].item()`.",
    ),
    answer=threshold,
    right="So many false alarms and no more, whatever the shape of the scores, if new pictures are of the same kind.",
    judge=partial(by_values),
    errors={"index": "last-for-infinity"},
    probes=(
        Probe(
            lambda: {"scores": torch.tensor([3.0, 1.0, 4.0, 2.0, 8.0, 6.0, 5.0, 7.0, 9.5]), "share": 0.25},
            "nine scores, a quarter may lie above: the eighth",
        ),
        Probe(lambda: _scores(40, 0.1, seed=1), "forty scores, a tenth"),
        Probe(lambda: _scores(333, 0.02, seed=2), "333 scores, one in fifty"),
        Probe(lambda: _scores(12, 0.05, seed=3), "twelve scores are too few for one in twenty"),
        Probe(lambda: _scores(63, 0.5, seed=4), "half of them"),
    ),
)
