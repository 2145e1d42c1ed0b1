"""Notebook 09: a hard choice with a soft one's gradient."""

from functools import partial

import torch
from torch import Tensor

from ..exercise import Exercise, Probe
from ..values import by_values


def straight_through(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    soft = ((logits + noise) / temperature).softmax(-1)
    hard = torch.zeros_like(soft).scatter_(-1, soft.argmax(-1, keepdim=True), 1.0)
    return hard + soft - soft.detach()


def _logits(
    shape: tuple[int, ...], temperature: float, seed: int, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor | float]:
    dice = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=dice, dtype=torch.float64)
    noise = -torch.rand(shape, generator=dice, dtype=torch.float64).clamp(0.01, 0.99).log().neg().log()
    return {"logits": logits.to(dtype), "noise": noise.to(dtype), "temperature": temperature}


GRADIENT = ("logits",)
EXERCISE = Exercise(
    name="straight_through",
    task="""**Your turn.** Write `straight_through(logits, noise, temperature)`: hard choices with a gradient. `logits`
and `noise` have shape (..., values). The soft choice is the softmax of (logits + noise) / temperature over the last
axis. Return one-hot numbers, 1 where the soft choice is largest, through which `logits` gets the gradient of the soft
choice.""",
    stub="straight_through(logits, noise, temperature)",
    hints=(
        "Forward, the decoder is to see the hard choice; backward, the gradient is to go through the soft one. A "
        "number that is 0, but whose slope is that of the soft choice, would do.",
        "`soft - soft.detach()` is 0 everywhere, and its gradient is that of `soft`. Add it to the hard choice, which "
        "has no gradient of its own.",
        "`soft = ((logits + noise) / temperature).softmax(-1)`; the hard choice is "
        "`torch.nn.functional.one_hot(soft.argmax(-1), soft.shape[-1])`, as numbers of soft's dtype.",
    ),
    answer=straight_through,
    right="Hard forward, soft backward. What comes out is a fair choice; what goes back is the slope of another "
    "function, so it need not be right on average.",
    judge=partial(by_values, keeps_dtype=True),
    probes=(
        Probe(
            lambda: {
                "logits": torch.tensor([[0.0, 1.0, -1.0]]),
                "noise": torch.tensor([[0.5, -1.2, 0.3]]),
                "temperature": 1.0,
            },
            "one choice among three values; the dice overrule the logits",
            GRADIENT,
        ),
        Probe(lambda: _logits((2, 4), 0.5, seed=1), "two choices, temperature 1/2", GRADIENT),
        Probe(lambda: _logits((5, 3), 2.0, seed=2), "five choices, temperature 2", GRADIENT),
        Probe(lambda: _logits((3, 2, 8), 0.7, seed=3), "three pictures with two choices each", GRADIENT),
        Probe(lambda: _logits((2, 3, 4), 1.0, seed=4, dtype=torch.float64), "float64", GRADIENT),
    ),
)
