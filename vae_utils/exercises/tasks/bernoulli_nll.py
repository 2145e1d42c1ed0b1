"""Exercise of notebook 04: the negative log-likelihood of Bernoulli pixels, from logits."""

from functools import partial

import torch
import torch.nn.functional as F

from ..attempt import seed
from ..compare import same
from ..exercise import Exercise, Probe
from ..values import Sight, by_values
from ..verdict import Verdict


def bernoulli_nll(logits, x):
    each = F.binary_cross_entropy_with_logits(logits, x, reduction="none")  # one for each pixel
    return each.flatten(1).sum(1)


GREY = 2  # the probe of one grey pixel


def sampled_target(sight: Sight) -> Verdict | None:
    """Name a cost for which the grey pixel counts as white in the right share of calls, and as black in all others."""
    if GREY not in sight.differs:
        return None
    logits, x = sight.exercise.probes[GREY].make().values()
    white, black = (sight.exercise.answer(logits, torch.full_like(x, value)) for value in (1.0, 0.0))
    seed(3000)
    calls, share = 200, x.item()
    values = [sight.attempt(logits, x) for _ in range(calls)]
    count = sum(same(value, white) for value in values)
    fair = abs(count / calls - share) < 6 * (share * (1 - share) / calls) ** 0.5
    blacks = sum(same(value, black) for value in values)
    return sight.named("sampled-target") if fair and count + blacks == calls else None


TASK = """Write $-\\log p(x|z)$ of Bernoulli pixels. `logits` is what the decoder gives, any real number for each
pixel: `sigmoid` of it is the chance of white. `x` has the same shape, (batch, channels, height, width), with values
from 0 to 1; a grey pixel of 0.3 counts as white 3 times in 10. Return one number for each picture: shape (batch,)."""


def _pictures(
    logits: list[float], x: list[float], shape: tuple[int, ...], about: str, gradients: bool = False, sure: bool = False
) -> Probe:
    return Probe(
        lambda: {"logits": torch.tensor(logits).view(shape), "x": torch.tensor(x).view(shape)},
        about,
        ("logits",) if gradients else (),
        sure=sure,
    )


EXERCISE = Exercise(
    name="bernoulli_nll",
    task=TASK,
    stub="bernoulli_nll(logits, x)",
    hints=(
        "A coin that shows white with probability p costs −log p when it shows white and −log(1 − p) when it shows "
        "black. A pixel x between 0 and 1 is white the share x of the time: −(x log p + (1 − x) log(1 − p)), on "
        "average.",
        "`logits.sigmoid()` is p, but its log is of no use where p is 0 or 1. `F.binary_cross_entropy_with_logits` "
        "does "
        'the same from the logits, without that trouble. Say `reduction="none"`, or it averages over everything.',
        "First the logits, then x. Then sum over each picture's pixels, not over the batch: `.flatten(1).sum(1)`.",
    ),
    answer=bernoulli_nll,
    right="Summed over the pixels and not over the batch, exact at confident logits too, and fine with grey pixels.",
    judge=partial(by_values, shows=(sampled_target,)),
    errors={"grey": "grey-refused", "no chance": "no-sigmoid"},
    reductions={
        "sum-of-all": lambda nll, pixels: nll.sum(),
        "averaged-batch": lambda nll, pixels: nll.mean(),
        "mean-of-all": lambda nll, pixels: nll.mean() / pixels,
        "averaged-pixels": lambda nll, pixels: nll / pixels,
    },
    probes=(
        _pictures([0.0], [1.0], (1, 1, 1, 1), "one white pixel, p = 0.5"),
        _pictures([2.0], [0.0], (1, 1, 1, 1), "one black pixel, p = 0.88"),
        _pictures([-1.0], [0.3], (1, 1, 1, 1), "one grey pixel, p = 0.27"),
        _pictures(
            [1.0, -2.0, 0.5, 3.0, -1.0, 0.0, 2.0, -0.5, 1.5, -3.0, 0.2, -1.2],
            [1.0, 0.0, 0.7, 1.0, 0.2, 0.5, 0.0, 1.0, 0.9, 0.1, 0.4, 0.0],
            (3, 1, 2, 2),
            "three pictures of 2 × 2 pixels",
        ),
        _pictures(
            [0.3, -1.1, 2.4, 0.9, -0.2, 1.7, -2.6, 0.1, 0.8, -0.7, 1.3, -1.9, 0.6, 2.2, -0.4, -1.5, 0.2, 1.0],
            [0.0, 0.2, 1.0, 0.6, 0.4, 0.9, 0.0, 0.5, 1.0, 0.3, 0.8, 0.1, 0.7, 1.0, 0.0, 0.2, 0.6, 0.9],
            (2, 3, 1, 3),
            "two pictures in color",
            gradients=True,
        ),
        _pictures(
            [200.0, -200.0, 200.0, -200.0],
            [1.0, 0.0, 0.0, 1.0],
            (4, 1, 1, 1),
            "four pictures of one pixel; the decoder is sure, twice right and twice wrong",
            gradients=True,
            sure=True,
        ),
    ),
)
