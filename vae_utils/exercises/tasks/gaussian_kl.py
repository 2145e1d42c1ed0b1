"""Exercise of notebook 04: the KL between a Gaussian cloud and the prior, in closed form."""

from functools import partial

import torch
from torch import Tensor

from ..attempt import seed
from ..compare import as_double
from ..exercise import Exercise, Probe
from ..values import Sight, by_values
from ..verdict import Verdict


def gaussian_kl(mu, logvar):
    each = 0.5 * (mu.square() + logvar.exp() - 1 - logvar)  # one for each number of each code
    return each.sum(1)


def monte_carlo(sight: Sight) -> Verdict | None:
    """Name a random result that averages out to the right one: for a code of one number, and two of three."""
    average = sight.random and all(_right_on_average(sight, number) for number in (1, 4))
    return sight.named("monte-carlo") if average else None


def _right_on_average(sight: Sight, number: int) -> bool:
    """Return whether the mean of 20 to 400 calls is right, within 5 standard errors."""
    right = sight.expected[number]["value"].double()
    arguments = sight.exercise.probes[number].make().values()
    seed(3000 + number)
    found: list[Tensor] = []
    for calls in range(1, 401):
        value = as_double(sight.attempt(*arguments))
        if value is None or value.shape != right.shape:
            return False
        found.append(value)
        if calls % 20 == 0:
            values = torch.stack(found)
            error = values.std(0) / calls**0.5
            if (error < 0.03 * right.abs()).all():
                break
    return bool(((error > 0) & ((values.mean(0) - right).abs() < 5 * error)).all())


def added_in_the_log(sight: Sight) -> Verdict | None:
    """Describe a small number that is added to sigma² or sigma before the logarithm is taken."""
    logvar = torch.tensor([[-30.0], [-6.0], [-11.0], [0.0]], dtype=torch.float64)
    value = as_double(sight.attempt(torch.zeros_like(logvar), logvar))
    if value is None or value.shape != (4,):
        return None
    for what, root in (("σ²", 1), ("σ", 2)):  # log σ² is taken as `root` times the log of this
        size = (logvar / root).exp()
        added = ((logvar.exp() - 1)[:, 0] - 2 * value).div(root).exp() - size[:, 0]
        expected = 0.5 * (logvar.exp() - 1 - root * (size + added[0]).log())[:, 0]
        if 1e-13 < added[0] < 1e-2 and torch.allclose(value, expected, rtol=1e-6, atol=1e-9):
            return sight.exercise.wrong(ADDED.format(what, f"{added[0].item():.0e}"), sight.evidence(sight.differs[0]))
    return None


ADDED = (
    "You take the logarithm of {} and add a small number first, about {}. That is meant against log 0, but the "
    "logarithm is at hand: log σ² is `logvar` itself, and never infinite. With the addition very narrow clouds pay too "
    "little."
)

TASK = """Write the KL of a cloud $\\mathcal N(\\mu, \\sigma^2)$ from the prior $\\mathcal N(0, I)$, for a batch of
codes. `mu` and `logvar` $= \\log\\sigma^2$ have shape (batch, numbers in the code). Return one number of nats for each
picture: shape (batch,)."""


def _probe(mu: list[list[float]], logvar: list[list[float]], about: str = "", gradients: bool = False) -> Probe:
    return Probe(
        lambda: {"mu": torch.tensor(mu), "logvar": torch.tensor(logvar)},
        about,
        ("mu", "logvar") if gradients else (),
    )


EXERCISE = Exercise(
    name="gaussian_kl",
    task=TASK,
    stub="gaussian_kl(mu, logvar)",
    hints=(
        "For one number of the code, the text above derives it: ½ (μ² + σ² − 1) − log σ. "
        "Numbers of a code are independent of each other: what happens to their KLs?",
        "`logvar` is log σ². So σ² is `logvar.exp()`, and log σ is half of `logvar`. Put both into the formula: ½ (μ² "
        "+ σ² − 1 − log σ²).",
        "KLs of independent numbers add up: `.sum(1)` over the numbers of each code. Do not touch the batch, axis 0: "
        "`0.5 * (mu.square() + … - 1 - …).sum(1)`.",
    ),
    answer=gaussian_kl,
    right="It is 0 for a cloud that is the prior, and never negative. It is summed over the numbers of the code and "
    "not over the batch, so it can be added to each picture's reconstruction term.",
    judge=partial(by_values, shows=(monte_carlo, added_in_the_log)),
    reductions={
        "sum-of-all": lambda kl, latents: kl.sum(),
        "averaged-batch": lambda kl, latents: kl.mean(),
        "mean-of-all": lambda kl, latents: kl.mean() / latents,
        "averaged-latents": lambda kl, latents: kl / latents,
    },
    afterwards="What reads the same {} next would find the overwritten numbers, without an error.",
    probes=(
        _probe([[0.0]], [[0.0]], "the prior itself: it costs nothing"),
        _probe([[2.0]], [[0.0]], "moved by 2, as wide as the prior"),
        _probe([[0.0]], [[1.0]], "around 0, wider than the prior"),
        _probe([[-2.0]], [[-1.0]], "moved and narrower"),
        _probe(
            [[1.0, -0.5, 0.0], [0.0, 2.0, -1.0]], [[0.0, 1.0, -1.0], [0.5, -2.0, 0.0]], "two codes of three numbers"
        ),
        _probe(
            [[0.3, -1.2, 0.8], [2.1, 0.4, -0.7], [-0.5, 0.9, 1.6], [1.1, -0.2, 0.0], [-1.9, 0.6, 0.2]],
            [[-0.4, 0.7, -1.5], [0.2, -2.2, 0.9], [-0.8, 0.1, -3.0], [1.2, -0.6, 0.5], [-1.1, 0.3, -0.2]],
            "five codes of three numbers",
            gradients=True,
        ),
        Probe(
            lambda: {
                "mu": torch.tensor([[0.5, 30.0]], dtype=torch.float64),
                "logvar": torch.tensor([[9.0, -14.0]]).double(),
            },
            "in float64, far from the prior",
            ("mu", "logvar"),
        ),
        _probe([[0.5]], [[2.0]], "moved and wider"),
    ),
)
