"""Notebook 10: a KL of which each number of the code has some nats for free."""

from functools import partial

import torch
from torch import Tensor

from ..exercise import Exercise, Probe
from ..values import by_values


def free_bits(kl: Tensor, least: float) -> Tensor:
    return kl.mean(0).clamp(min=least).sum()


def _kl(
    n: int, latent_dim: int, least: float, seed: int, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor | float]:
    dice = torch.Generator().manual_seed(seed)
    size = torch.linspace(0.1, 2.5, latent_dim, dtype=torch.float64)
    kl = size * torch.rand(n, latent_dim, generator=dice, dtype=torch.float64).exponential_(generator=dice)
    return {"kl": kl.to(dtype), "least": least}


EXERCISE = Exercise(
    name="free_bits",
    task="""**Your turn.** Write `free_bits(kl, least)`. `kl` is (batch, latent): a KL for each number and picture.
Average each number's over the batch; where this average is below `least`, `least` is charged in its place. Return the
sum over the numbers: one number.""",
    stub="free_bits(kl, least)",
    hints=(
        "Three steps, and their order matters: average, bound from below, add up. Over which axis goes each?",
        "`kl.mean(0)` has an entry for each number of the code: its average over the pictures of the batch.",
        "`.clamp(min=least)` charges at least that much for each entry. Then `.sum()`.",
    ),
    answer=free_bits,
    right="Each number has its nats for free, on average over the batch. Below that, its gradient is 0: nothing pushes "
    "it toward silence. (What comes out is still a bound on −log p(x), but a looser one than the −ELBO.)",
    judge=partial(by_values, keeps_dtype=True),
    afterwards="Whoever calls it finds other numbers in their KL afterwards.",
    probes=(
        Probe(
            lambda: {"kl": torch.tensor([[0.1, 2.0], [0.3, 4.0]]), "least": 0.5},
            "two pictures; the first number is below, the second above",
            gradients=("kl",),
        ),
        Probe(
            lambda: {"kl": torch.tensor([[0.0, 3.0], [1.2, 0.4], [0.6, 0.2]]), "least": 0.5},
            "pictures on both sides of it, averages above it",
            gradients=("kl",),
        ),
        Probe(lambda: _kl(4, 5, 0.5, seed=1), "four pictures, five numbers", gradients=("kl",)),
        Probe(lambda: {"kl": torch.tensor([[0.1, 0.2], [0.3, 0.1]]), "least": 0.5}, "all of it free"),
        Probe(lambda: _kl(5, 3, 0.0, seed=2), "nothing for free"),
        Probe(lambda: _kl(1, 4, 1.0, seed=3), "one picture"),
        Probe(lambda: _kl(3, 3, 0.3, seed=4, dtype=torch.float64), "float64"),
    ),
)
