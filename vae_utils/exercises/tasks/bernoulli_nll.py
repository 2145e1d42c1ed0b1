"""Exercise of notebook 04: the negative log-likelihood of Bernoulli pixels, from logits."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attempt import Attempt, Stopped, seed
from ..compare import same
from ..exercise import Exercise, Probe, agree, by_comparison
from ..verdict import Result


def bernoulli_nll(logits, x):
    each = F.binary_cross_entropy_with_logits(logits, x, reduction="none")  # one for each pixel
    return each.flatten(1).sum(1)


GREY = 2  # the probe of one grey pixel
CONFIDENT = 200.0  # a logit whose sigmoid is exactly 0 or 1, so that its logarithm is of no use


def _is_confident(probe: Probe) -> bool:
    return bool((probe.make()["logits"].abs() >= CONFIDENT).any())


def _samples_the_target(attempt: Attempt, exercise: Exercise) -> bool:
    """Return whether the grey pixel counts as white in the right share of calls, and as black in all others."""
    logits, x = exercise.probes[GREY].make().values()
    white, black = (exercise.answer(logits, torch.full_like(x, value)) for value in (1.0, 0.0))
    count, calls = 0, 200
    seed(3000)
    for _ in range(calls):
        try:
            value = attempt(logits, x)
        except Stopped:
            return False
        if same(value, white):
            count += 1
        elif not same(value, black):
            return False
    share = x.item()
    return abs(count / calls - share) < 6 * (share * (1 - share) / calls) ** 0.5


def _of_confident(values: list[Tensor], exercise: Exercise, attempt: Attempt) -> str | None:
    """Return the slug of the mistake that shows on confident logits only; None if it is none of the known ones."""
    place = next(i for i, probe in enumerate(exercise.probes) if _is_confident(probe))
    got, right = values[place].detach(), exercise.observed(exercise.answer, place)["value"].detach()
    if got.isfinite().all():
        costs = right > 0  # pixels that are confident and wrong: if bounded, they cost less than they should
        return "clamped" if bool((got[costs] < right[costs]).all()) else None
    logits, x = (torch.tensor([30.0, -30.0, 30.0, -30.0]).view(4, 1, 1, 1), exercise.probes[place].make()["x"])
    try:
        moderate = attempt(logits, x)
    except Stopped:
        return None
    return "exp-overflows" if same(moderate, exercise.answer(logits, x)) else "log-of-sigmoid"


def judge(attempt: Attempt, exercise: Exercise) -> Result:
    """Judge by comparison; recognize mistakes that can be written in many ways by what they do."""
    stopped = None
    try:
        result = by_comparison(attempt, exercise)
    except Stopped as error:
        result, stopped = Result(False, None, str(error)), error
    if result.passed or result.mistake:
        return result
    values, agrees = [], []
    for i in range(len(exercise.probes)):
        try:
            seen = exercise.observed(attempt, i)
        except Stopped as error:
            if "within the support (Boolean())" in str(error):  # torch's Bernoulli, given grey pixels
                return Result(False, "grey-refused", f"{exercise.mistake('grey-refused').why}\n\n{error}")
            if "between 0 and 1" in str(error) or "parameter probs" in str(error):  # F.binary_..., Bernoulli
                return Result(False, "no-sigmoid", f"{exercise.mistake('no-sigmoid').why}\n\n{error}")
            raise (stopped or error) from None
        values.append(seen["value"])
        agrees.append(agree(seen, exercise.observed(exercise.answer, i)))
    if not agrees[GREY] and _samples_the_target(attempt, exercise):
        evidence = result.message[result.message.find("This went in") :]
        return Result(False, "sampled-target", f"{exercise.mistake('sampled-target').why}\n\n{evidence}")
    if agrees != [not _is_confident(probe) for probe in exercise.probes]:
        return result
    slug = _of_confident(values, exercise, attempt)
    if slug is None:
        return result
    return Result(
        False, slug, f"{exercise.mistake(slug).why}\n\n{result.message[result.message.find('This went in') :]}"
    )


TASK = """Write $-\\log p(x|z)$ of Bernoulli pixels. `logits` is what the decoder gives, any real number for each
pixel: `sigmoid` of it is the chance of white. `x` has the same shape, (batch, channels, height, width), with values
from 0 to 1; a grey pixel of 0.3 counts as white 3 times in 10. Return one number for each picture: shape (batch,)."""


def _pictures(
    logits: list[float], x: list[float], shape: tuple[int, ...], about: str, gradients: bool = False
) -> Probe:
    return Probe(
        lambda: {"logits": torch.tensor(logits).view(shape), "x": torch.tensor(x).view(shape)},
        about,
        ("logits",) if gradients else (),
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
    solution=bernoulli_nll,
    right="Summed over the pixels and not over the batch, exact at confident logits too, and fine with grey pixels.",
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
        ),
    ),
    judge=judge,
)
