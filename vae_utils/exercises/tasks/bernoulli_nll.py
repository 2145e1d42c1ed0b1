"""Exercise of notebook 04: the negative log-likelihood of Bernoulli pixels, from logits."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attempt import Attempt, Stopped, seed
from ..compare import same
from ..exercise import Exercise, Mistake, Probe, agree, by_comparison
from ..verdict import Result


def bernoulli_nll(logits, x):
    each = F.binary_cross_entropy_with_logits(logits, x, reduction="none")  # one for each pixel
    return each.flatten(1).sum(1)


def _each(logits: Tensor, x: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none")


def _by_logs(p: Tensor, x: Tensor) -> Tensor:
    return -(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)


def _continuous(logits: Tensor, x: Tensor) -> Tensor:
    density = torch.distributions.ContinuousBernoulli(logits=logits, validate_args=False)
    return -density.log_prob(x).flatten(1).sum(1)


NOT_LOGITS = (
    "You took the logits for probabilities: the `sigmoid` is missing. Logits may be any number, and the log of a "
    "negative one is NaN (`F.binary_cross_entropy` refuses it; `F.binary_cross_entropy_with_logits` takes logits as "
    "they are)."
)
CLAMPED = (
    "Right for usual logits, wrong for confident ones: something bounds the logarithm (`F.binary_cross_entropy` at "
    "100 nats for each pixel, a `clamp` or a small number inside the log elsewhere). In float32 the sigmoid of 20 is "
    "already exactly 1, so where the decoder is sure and wrong, it is charged the bound, not the true price, and the "
    "gradient there is 0: it can't learn from its worst pixels. From logits it can be computed exactly: "
    "`F.binary_cross_entropy_with_logits`, `F.logsigmoid` or `F.softplus`."
)

EXP_OVERFLOWS = (
    "Right in theory, and right until a logit is about 88: there `exp` of it is infinite in float32, though its "
    "logarithm would be a plain number again, log(1 + e^logit) ≈ logit. The first pixel of which the decoder is that "
    "sure makes the loss infinite or NaN, and then all weights. `F.softplus(logits)` is the same function without the "
    "overflow; `F.binary_cross_entropy_with_logits` uses it."
)

MISTAKES = (
    Mistake(
        "sigmoid-twice",
        lambda logits, x: _each(logits.sigmoid(), x).flatten(1).sum(1),
        "The sigmoid is taken twice: `binary_cross_entropy_with_logits` has one inside, and you gave it "
        "probabilities. Probabilities can then only lie between 0.5 and 0.73, so no pixel can be black or white: "
        "training runs, pictures stay grey, and the loss stops far too high.",
    ),
    Mistake(
        "swapped",
        lambda logits, x: _each(x, logits).flatten(1).sum(1),
        "The two arguments of the cross-entropy are swapped: first what the decoder says, then the picture. Swapped, "
        "the loss is a straight line in the logits and has no minimum: it falls without end, and every pixel that is "
        "not pure black is pushed to white.",
    ),
    Mistake(
        "swapped-probabilities",
        lambda logits, x: F.binary_cross_entropy(x, logits.sigmoid(), reduction="none").flatten(1).sum(1),
        "The two arguments of the cross-entropy are swapped: it takes the log of the picture's pixels and weighs it "
        "with what the decoder says. For a black or white pixel that log is cut off at −100. The loss is a straight "
        "line in what the decoder says, so every grey pixel is pushed to pure black or white.",
    ),
    Mistake(
        "no-sigmoid",
        _by_logs,
        NOT_LOGITS + " One NaN in a loss, and all weights are NaN after the step.",
    ),
    Mistake(
        "averaged-pixels",
        lambda logits, x: _each(logits, x).flatten(1).mean(1),
        "You averaged over the pixels, where −log p(x|z) is a sum. Beside a KL that is summed this is β = P for P "
        "pixels: no error, a smooth curve, and the code falls silent. The mistake that people make most.",
    ),
    Mistake(
        "averaged-batch",
        lambda logits, x: _each(logits, x).flatten(1).sum(1).mean(),
        "The right sum over pixels, but averaged over the batch too early: return one number for each picture. Then "
        "it can be added to that picture's KL, and you can ask what a single picture costs. Average at the very end.",
    ),
    Mistake(
        "mean-of-all",
        lambda logits, x: F.binary_cross_entropy_with_logits(logits, x),
        "One number, averaged over all pixels of all pictures; that is what `reduction` does if you do not say "
        "otherwise. Beside a KL that is summed it is β = P for P pixels, and the code falls silent. Use "
        '`reduction="none"` and sum over the pixels.',
    ),
    Mistake(
        "sum-of-all",
        lambda logits, x: _each(logits, x).sum(),
        "Summed over the batch, too: one number, which grows with the number of pictures. Added to a KL for each "
        "picture it broadcasts without a word, and after the mean over the batch that is β = 1 / batch size. Sum "
        "inside each picture only.",
    ),
    Mistake(
        "not-summed",
        _each,
        "One number for each pixel: the sum over a picture's pixels is missing. Given the code, pixels are "
        "independent, so their log-probabilities add up: `.flatten(1).sum(1)`.",
    ),
    Mistake(
        "one-axis",
        lambda logits, x: _each(logits, x).sum(1),
        "`sum(1)` adds up the channels only; height and width are left over. A picture has three axes: flatten them "
        "to one first, `.flatten(1).sum(1)`, or sum over all but the first.",
    ),
    Mistake(
        "channels-kept",
        lambda logits, x: _each(logits, x).sum((-2, -1)),
        "You sum over height and width only, so each channel has a number of its own. A picture with three colors is "
        "one picture: sum over all but the first axis, `.flatten(1).sum(1)`.",
    ),
    Mistake(
        "classes",
        lambda logits, x: F.cross_entropy(logits, x, reduction="none"),
        "`F.cross_entropy` takes axis 1, the channels, for classes of which exactly one is true (softmax). Each pixel "
        "value is a coin of its own: `F.binary_cross_entropy_with_logits`. With one channel the softmax is always 1, "
        "so your loss would be 0 and nothing would be learned.",
    ),
    Mistake(
        "batch-axis",
        lambda logits, x: _each(logits, x).sum(0),
        "You summed over the pictures of the batch (`sum(0)`) and kept the pixels. It must be the other way round: "
        "one number for each picture, summed over its pixels.",
    ),
    Mistake(
        "sign-flipped",
        lambda logits, x: -_each(logits, x).flatten(1).sum(1),
        "This is log p(x|z), without the minus. Minimizing it teaches the decoder to make the true picture as "
        "unlikely as it can: the loss falls without end, and black comes back white. −log of a probability is never "
        "negative: a quick check.",
    ),
    Mistake(
        "squared-error",
        lambda logits, x: (logits.sigmoid() - x).square().flatten(1).sum(1),
        "This is the squared error, which belongs to Gaussian pixels (with σ² = ½), not −log p(x|z) of Bernoulli "
        "ones. Training runs and the pictures look fine, but errors cost other amounts, so the KL weighs more than it "
        "should; and a confident error costs at most 1 where it should be dear.",
    ),
    Mistake(
        "only-white",
        lambda logits, x: -(x * F.logsigmoid(logits)).flatten(1).sum(1),
        "Only x · log p is there; the half for black, (1 − x) · log(1 − p), is missing. Then white is never wrong: "
        "the decoder turns all pixels white, and the loss falls to 0.",
    ),
    Mistake(
        "only-black",
        lambda logits, x: -((1 - x) * F.logsigmoid(-logits)).flatten(1).sum(1),
        "Only (1 − x) · log(1 − p) is there; the half for white, x · log p, is missing. Then black is never wrong: "
        "the decoder turns all pixels black, and the loss falls to 0.",
    ),
    Mistake(
        "log-of-sigmoid",
        lambda logits, x: _by_logs(logits.sigmoid(), x),
        "Right in theory, but NaN or infinity at confident logits. In float32 the sigmoid of 20 is already exactly 1, "
        "so log(1 − p) is minus infinity, and 0 times that is NaN. It works for a while, and the first very "
        "confident pixel turns all weights into NaN. From logits it can be computed without that: "
        "`F.binary_cross_entropy_with_logits`, `F.logsigmoid` or `F.softplus`.",
    ),
    Mistake(
        "exp-overflows",
        lambda logits, x: ((1 + logits.exp()).log() - x * logits).flatten(1).sum(1),
        EXP_OVERFLOWS,
    ),
    Mistake(
        "clamped",
        lambda logits, x: F.binary_cross_entropy(logits.sigmoid(), x, reduction="none").flatten(1).sum(1),
        CLAMPED,
    ),
    Mistake(
        "softmax",
        lambda logits, x: -(x.flatten(1) * logits.flatten(1).log_softmax(1)).sum(1),
        "A softmax over the pixels makes them compete: exactly one of them would be white. Each pixel is a coin of "
        "its own, black or white whatever the others are: a sigmoid for each.",
    ),
    Mistake(
        "rounded",
        lambda logits, x: _each(logits, (x > 0.5).to(x.dtype)).flatten(1).sum(1),
        "You rounded the pixels to black and white first. A grey pixel of 0.3 counts as white 3 times in 10 on "
        "average: the formula takes x as it is. Rounded, you model other pictures, with a lower floor, and your "
        "numbers can't be compared with anyone's.",
    ),
    Mistake(
        "sampled-target",
        lambda logits, x: _each(logits, torch.bernoulli(x)).flatten(1).sum(1),
        "You roll dice for the picture: each grey pixel is made black or white at random (`torch.bernoulli(x)` or the "
        "like), and the result is another one in each call. On average it is right, so training works, with more "
        "noise than it needs. But the formula takes x as it is: a grey pixel of 0.3 is white 3 times in 10, and the "
        "average over that is known without dice.",
    ),
    Mistake(
        "grey-refused",
        lambda logits, x: -torch.distributions.Bernoulli(logits=logits).log_prob(x).flatten(1).sum(1),
        "PyTorch's `Bernoulli` refuses a pixel that is neither 0 nor 1. Here grey is meant: a pixel of 0.3 counts as "
        "white 3 times in 10, and the same formula, x log p + (1 − x) log(1 − p), holds for it. "
        "`Bernoulli(logits=logits, validate_args=False)` lets it pass; `F.binary_cross_entropy_with_logits` takes it "
        "as it is.",
    ),
    Mistake(
        "bits",
        lambda logits, x: _each(logits, x).flatten(1).sum(1) / torch.tensor(2.0).log().item(),
        "This is in bits (log to the base 2), the KL is in nats (natural logarithm). Added up, the reconstruction "
        "weighs 1.44 times as much as it should: β = 0.69.",
    ),
    Mistake(
        "continuous-bernoulli",
        _continuous,
        "This is the continuous Bernoulli, a density for grey pixels (Loaiza-Ganem and Cunningham, 2019): a model of "
        "its own, with one more term. Here the plain one is asked for. The two losses can't be compared: one is of a "
        "density, the other of a probability.",
    ),
)

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
                return Result(False, "no-sigmoid", f"{NOT_LOGITS}\n\n{error}")
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
    mistakes=MISTAKES,
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
