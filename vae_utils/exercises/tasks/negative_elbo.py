"""Exercise of notebook 04: the negative ELBO, with a weight on the KL."""

from collections.abc import Mapping

import torch

from ...losses import bernoulli_nll, gaussian_kl
from ..attempt import Attempt, Stopped
from ..compare import same
from ..exercise import Exercise, Probe, agree, by_comparison
from ..verdict import Result


def negative_elbo(logits, x, mu, logvar, beta=1.0):
    return bernoulli_nll(logits, x) + beta * gaussian_kl(mu, logvar)


TASK = """Put the two together: $-\\log p(x|z) + \\beta\\,\\mathrm{KL}(q(z|x)\\,\\|\\,p(z))$, which with `beta` at 1
is the negative ELBO. `logits` and `x` are as in `bernoulli_nll`, `mu` and `logvar` as in `gaussian_kl`; both functions
are yours to use. Return one number for each picture: shape (batch,)."""

SMALL = {
    "logits": [[[[1.0, -2.0]]]],
    "x": [[[[1.0, 0.3]]]],
    "mu": [[1.0, -2.0, 0.0]],
    "logvar": [[0.0, 1.0, -1.0]],
}
FULL = {
    "logits": [[[[0.3, -1.1], [2.4, 0.9]]], [[[-0.2, 1.7], [-2.6, 0.1]]], [[[0.8, -0.7], [1.3, -1.9]]]],
    "x": [[[[0.0, 0.2], [1.0, 0.6]]], [[[0.4, 0.9], [0.0, 0.5]]], [[[1.0, 0.3], [0.8, 0.1]]]],
    "mu": [[0.3, -1.2], [2.1, 0.4], [-0.5, 0.9]],
    "logvar": [[-0.4, 0.7], [0.2, -2.2], [-0.8, 0.1]],
}


def _probe(
    arguments: Mapping[str, object],
    about: str,
    beta: float | None = None,
    gradients: bool = False,
    extreme: bool = False,
) -> Probe:
    named = {} if beta is None else {"beta": beta}
    return Probe(
        lambda: {name: torch.tensor(values) for name, values in arguments.items()} | named,
        about,
        ("logits", "mu", "logvar") if gradients else (),
        extreme,
    )


SURE = {
    "logits": [[[[120.0, -30.0]]], [[[-30.0, 120.0]]]],
    "x": [[[[1.0, 0.0]]], [[[1.0, 0.0]]]],
    "mu": [[0.3, -1.2], [0.5, 0.9]],
    "logvar": [[-0.4, 0.7], [0.2, -0.8]],
}
FAR = {
    "logits": [[[[1.0, -2.0]]], [[[0.5, 2.0]]]],
    "x": [[[[1.0, 0.3]]], [[[0.0, 0.8]]]],
    "mu": [[0.1, -0.05], [20.0, -30.0]],
    "logvar": [[0.1, -0.05], [-11.0, 7.0]],
}
SURE_PROBE = 5


def judge(attempt: Attempt, exercise: Exercise) -> Result:
    """Judge by comparison; recognize a bound on confident logits, whatever its size, by what it does."""
    result = by_comparison(attempt, exercise)
    if result.passed or result.mistake:
        return result
    try:
        seen = [exercise.observed(attempt, i) for i in range(len(exercise.probes))]
    except Stopped:
        return result
    right = [exercise.observed(exercise.answer, i) for i in range(len(exercise.probes))]
    if [agree(a, b) for a, b in zip(seen, right, strict=True)] != [i != SURE_PROBE for i in range(len(seen))]:
        return result
    finite = bool(seen[SURE_PROBE]["value"].isfinite().all())
    logits, *others = exercise.probes[SURE_PROBE].make().values()
    # An overflow is right at 30; a bound makes errors too cheap from some logit on.
    other = logits.clamp(-30, 30) if not finite else 10 * logits
    try:
        got, expected = attempt(other, *others), exercise.answer(other, *others)
    except Stopped:
        return result
    if not finite and not same(got, expected):
        slug = "log-of-sigmoid"
    elif finite and bool(got[1] < expected[1]):
        slug = "clamped"
    else:
        return result
    evidence = result.message[result.message.find("This went in") :]
    return Result(False, slug, f"{exercise.mistake(slug).why}\n\n{evidence}")


EXERCISE = Exercise(
    name="negative_elbo",
    task=TASK,
    stub="negative_elbo(logits, x, mu, logvar, beta=1.0)",
    hints=(
        "The ELBO is how well the picture comes back minus how far the cloud is from the prior. An optimizer makes "
        "things small, so both signs turn.",
        "`bernoulli_nll(logits, x)` is −log p(x|z) already, the minus included, and `gaussian_kl(mu, logvar)` is the "
        "KL. Both are (batch,). Which of the two does β weigh?",
        "`bernoulli_nll(logits, x) + beta * …`. No sum and no mean: one number for each picture.",
    ),
    solution=negative_elbo,
    right="With `beta` at 1 this is the negative ELBO of each picture, with one draw of z: on average, at least −log "
    "p(x).",
    probes=(
        _probe(SMALL, "one picture of two pixels, a code of three numbers, β not given"),
        _probe(SMALL, "the same with β = 4", 4.0),
        _probe(FULL, "three pictures of 2 × 2 pixels, codes of two numbers, β not given", gradients=True),
        _probe(FULL, "the same with β = 0.25", 0.25, gradients=True),
        _probe(FULL, "the same with β = 0", 0.0),
        _probe(SURE, "a decoder that is sure: right of the first picture, wrong of the second", extreme=True),
        _probe(FAR, "a code near the prior and one far from it, β = 100", 100.0, gradients=True, extreme=True),
    ),
    judge=judge,
)
