"""Notebook 07: the loss where entries of a table are missing."""

from functools import partial

import torch
from torch import Tensor

from ..exercise import Exercise, Probe
from ..values import by_values


def masked_nll(nll: Tensor, known: Tensor) -> Tensor:
    return nll.where(known, 0).sum(1)


def _table(rows: int, columns: int, share: float, seed: int, nan: bool = False) -> dict[str, Tensor]:
    dice = torch.Generator().manual_seed(seed)
    nll = torch.randn(rows, columns, generator=dice).square() + 0.2
    known = torch.rand(rows, columns, generator=dice) < share
    known[0, 0], known[-1, -1] = False, True
    return {"nll": nll.where(known, torch.nan) if nan else nll, "known": known}


EXERCISE = Exercise(
    name="masked_nll",
    task="""**Your turn.** Write `masked_nll(nll, known)`. `nll` holds the negative log-likelihood of each entry of a
batch, shape (batch, columns), NaN where the entry is missing; `known` is true where it is not, the same shape. Return
each row's sum over what is known, shape (batch,).""",
    stub="masked_nll(nll, known)",
    hints=(
        "What is NaN times 0? A mask that multiplies does not help here.",
        "`where` chooses entry by entry, without looking at what it leaves out.",
        "`nll.where(known, 0)` has a 0 in each gap; its sum over axis 1 is what is asked for.",
    ),
    answer=masked_nll,
    right="What is known counts, gaps don't. In training take NaN out of the values, too, before the nll is computed: "
    "`where` stops it on the way forward, but 0 times NaN comes back in the gradient.",
    judge=partial(by_values, keeps_dtype=True),
    probes=(
        Probe(
            lambda: {
                "nll": torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]),
                "known": torch.tensor([[True, True, False], [True, False, True]]),
            },
            "two rows, a gap in each, whose numbers happen to be there",
            gradients=("nll",),
        ),
        Probe(lambda: _table(4, 6, 0.6, seed=1, nan=True), "gaps are NaN"),
        Probe(lambda: _table(7, 3, 0.5, seed=2), "seven rows, three columns", gradients=("nll",)),
        Probe(lambda: {"nll": torch.ones(2, 2), "known": torch.zeros(2, 2, dtype=torch.bool)}, "nothing is known"),
        Probe(lambda: {k: v.double() if k == "nll" else v for k, v in _table(5, 4, 0.7, seed=3).items()}, "float64"),
    ),
)
