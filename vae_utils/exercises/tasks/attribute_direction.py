"""Notebook 06: the direction in which an attribute lies."""

from functools import partial

import torch
from torch import Tensor

from ..exercise import Exercise, Probe
from ..values import by_values


def attribute_direction(codes: Tensor, has: Tensor) -> Tensor:
    return codes[has].mean(0) - codes[~has].mean(0)


def _codes(n: int, latent_dim: int, share: float, seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    dice = torch.Generator().manual_seed(seed)
    has = torch.rand(n, generator=dice) < share
    has[:2] = torch.tensor([True, False])
    codes = torch.randn(n, latent_dim, generator=dice, dtype=torch.float64) + 1.5 * has[:, None]
    return {"codes": codes.to(dtype), "has": has}


EXERCISE = Exercise(
    name="attribute_direction",
    task="""**Your turn.** Write `attribute_direction(codes, has)`: the way from pictures without an attribute to
those with it. `codes` has shape (n, latent), `has` says of each picture whether it has the attribute, as n truth
values. Return the mean code with it minus the mean code without; shape (latent,).""",
    stub="attribute_direction(codes, has)",
    hints=(
        "Two groups of codes, a mean of each. Which of the two is subtracted?",
        "`codes[has]` keeps the rows where `has` is true, `codes[~has]` the others.",
        "A group's mean code is `.mean(0)`: over pictures, number by number.",
    ),
    answer=attribute_direction,
    right="From without to with, for groups of one size and of two. Added to a code, it should add the attribute; "
    "whether it does, pictures must tell.",
    judge=partial(by_values, keeps_dtype=True),
    errors={"sizes": "mean-of-each-code"},
    probes=(
        Probe(
            lambda: {
                "codes": torch.tensor([[1.0, 0.0], [3.0, 1.0], [0.0, 4.0], [0.0, 8.0], [3.0, 6.0]]),
                "has": torch.tensor([True, True, False, False, False]),
            },
            "two pictures with it, three without",
        ),
        Probe(lambda: _codes(9, 3, 0.3, seed=1), "fewer with it than without"),
        Probe(lambda: _codes(40, 8, 0.8, seed=2), "more with it than without"),
        Probe(lambda: _codes(8, 8, 0.5, seed=3), "as many pictures as numbers"),
        Probe(lambda: _codes(12, 2, 0.5, seed=4, dtype=torch.float64), "float64"),
    ),
)
