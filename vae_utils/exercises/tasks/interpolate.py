"""Notebook 01: a straight road between two codes."""

from functools import partial

import torch
from torch import Tensor

from ..exercise import Exercise, Probe
from ..values import by_values


def interpolate(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    t = torch.linspace(0, 1, steps, dtype=z_start.dtype, device=z_start.device)
    return z_start + t[:, None] * (z_end - z_start)


def _codes(steps: int, latent_dim: int, seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor | int]:
    dice = torch.Generator().manual_seed(seed)
    start, end = (2 * torch.randn(latent_dim, generator=dice, dtype=torch.float64).to(dtype) for _ in range(2))
    return {"z_start": start, "z_end": end, "steps": steps}


EXERCISE = Exercise(
    name="interpolate",
    task="""**Your turn.** Write `interpolate(z_start, z_end, steps)`: the codes on the straight road from one code to
another, evenly spaced. The two codes are tensors of shape (latent,). What comes out has shape (steps, latent), one
code in each row; the first row is `z_start`, the last one `z_end`.""",
    stub="interpolate(z_start, z_end, steps)",
    hints=(
        "Halfway is `z_start + 0.5 * (z_end - z_start)`. Which numbers take the place of 0.5 at the first row, at the "
        "last, and between?",
        "`torch.linspace(0, 1, steps)` gives those numbers, both ends included, with shape (steps,). The road's shape "
        "is (steps, latent), so each number has to meet a whole code.",
        "Make it a column: `t[:, None]` has shape (steps, 1). Times a code of shape (latent,), it broadcasts to "
        "(steps, latent).",
    ),
    answer=interpolate,
    right="A straight road, evenly spaced, with both ends, for codes of one, two, three and eight numbers. Give it to "
    "a decoder and you see what lies between two pictures.",
    judge=partial(by_values, keeps_dtype=True),
    probes=(
        Probe(
            lambda: {"z_start": torch.tensor([1.0, 0.0]), "z_end": torch.tensor([3.0, 8.0]), "steps": 5},
            "two numbers, five points",
        ),
        Probe(lambda: _codes(2, 3, seed=1), "only the two ends"),
        Probe(lambda: _codes(3, 1, seed=2), "codes of one number"),
        Probe(lambda: _codes(8, 8, seed=3), "as many points as numbers"),
        Probe(lambda: _codes(4, 3, seed=4, dtype=torch.float64), "float64"),
    ),
)
