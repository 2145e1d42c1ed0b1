"""Notebook 06: the way around between two codes."""

from functools import partial

import torch
from torch import Tensor

from ..exercise import Exercise, Probe
from ..values import by_values


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    cosine = (a * b).sum(1, keepdim=True) / (a.norm(dim=1, keepdim=True) * b.norm(dim=1, keepdim=True))
    angle = cosine.clamp(-1, 1).acos()
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()


def _codes(
    n: int, latent_dim: int, t: float, seed: int, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor | float]:
    dice = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(n, latent_dim, generator=dice, dtype=torch.float64).to(dtype) for _ in range(2))
    return {"a": a, "b": 1.5 * b, "t": t}


EXERCISE = Exercise(
    name="slerp",
    task="""**Your turn.** Write `slerp(a, b, t)`, the way around between codes. `a` and `b` have shape (n, latent),
`t` is one number from 0 to 1. With the angle Ω between the two codes of a pair, return, for each pair, [sin((1 − t)
Ω) a + sin(t Ω) b] / sin Ω; shape (n, latent).""",
    stub="slerp(a, b, t)",
    hints=(
        "The angle of a pair comes from its cosine: the product of the two codes, number by number and added up, over "
        "the product of their lengths. `.acos()` makes an angle of it, in radians.",
        "Each pair has an angle of its own: sum over axis 1 with `keepdim=True`, so that the angles have shape (n, 1) "
        "and meet the codes' shape (n, latent).",
        "`angle = ((a * b).sum(1, keepdim=True) / (a.norm(dim=1, keepdim=True) * b.norm(dim=1, keepdim=True))).acos()`;"
        " then `((1 - t) * angle).sin() / angle.sin()` is the weight of `a`.",
    ),
    answer=slerp,
    right="Around, at every place of the way, for codes of one length and of two. At t = 0 and 1 it is at its ends.",
    judge=partial(by_values, keeps_dtype=True),
    probes=(
        Probe(
            lambda: {"a": torch.tensor([[2.0, 0.0]]), "b": torch.tensor([[0.0, 2.0]]), "t": 0.5},
            "halfway between two codes at a right angle",
        ),
        Probe(
            lambda: {"a": torch.tensor([[1.0, 0.0]]), "b": torch.tensor([[-1.5, 2.6]]), "t": 0.25},
            "a quarter of the way, to a code three times as long",
        ),
        Probe(lambda: _codes(4, 8, 0.3, seed=1), "four pairs of eight numbers"),
        Probe(lambda: _codes(3, 3, 0.0, seed=2), "the start of the way"),
        Probe(lambda: _codes(3, 4, 1.0, seed=4), "its end"),
        Probe(lambda: _codes(5, 2, 0.8, seed=3, dtype=torch.float64), "float64"),
    ),
)
