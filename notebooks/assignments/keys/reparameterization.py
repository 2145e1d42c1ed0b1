"""Assignment 3: answers, known mistakes and hidden probes. For graders; students get nothing of it."""

import math

import torch
from torch import Tensor

from scripts.grading.question import Mistakes, Part, Question
from scripts.grading.terms import Term


def laplace_draw(mu: Tensor, log_b: Tensor, u: Tensor) -> Tensor:
    lower = (2 * u.clamp(max=0.5)).log()
    upper = -(2 * (1 - u).clamp(max=0.5)).log()
    return mu + log_b.exp() * torch.where(u < 0.5, lower, upper)


LAPLACE_DRAW = Mistakes()


@LAPLACE_DRAW("values", "gradients")
def log_b_as_b(mu: Tensor, log_b: Tensor, u: Tensor) -> Tensor:
    """You scale by `log_b` itself, which may be negative: then the draw is turned over. The scale is `log_b.exp()`."""
    return mu + log_b * laplace_draw(torch.zeros_like(mu), torch.zeros_like(log_b), u)


@LAPLACE_DRAW("values", "gradients")
def log_b_as_a_log_variance(mu: Tensor, log_b: Tensor, u: Tensor) -> Tensor:
    """You take the root, as for `logvar`. Here the network gives the logarithm of the scale b itself: `log_b.exp()`."""
    return laplace_draw(mu, 0.5 * log_b, u)


@LAPLACE_DRAW("values", "gradients")
def mirrored(mu: Tensor, log_b: Tensor, u: Tensor) -> Tensor:
    """The sign is turned round: a small `u` gives a large draw. These draws do follow the distribution, since u and 1 -
    u do alike, so no histogram shows it. But they are not the quantiles: below z lies a share 1 - u."""
    return 2 * mu - laplace_draw(mu, log_b, u)


@LAPLACE_DRAW("values", "gradients")
def two_forgotten(mu: Tensor, log_b: Tensor, u: Tensor) -> Tensor:
    """The 2 before |u - 1/2| is missing. Then the logarithm never goes below log(1/2), and no draw ever lies further
    than 0.69 b from the center: there are no tails."""
    side = u - 0.5
    return mu - log_b.exp() * side.sign() * torch.log1p(-side.abs())


@LAPLACE_DRAW("values", "gradients")
def sign_forgotten(mu: Tensor, log_b: Tensor, u: Tensor) -> Tensor:
    """The sign of u - 1/2 is missing: all draws lie on one side of the center."""
    return mu - log_b.exp() * torch.log1p(-2 * (u - 0.5).abs())


@LAPLACE_DRAW("values", "gradients")
def a_normal_distribution(mu: Tensor, log_b: Tensor, u: Tensor) -> Tensor:
    """This is the quantile of a normal distribution. The Laplace distribution is sharper in the middle and has heavier
    tails."""
    return mu + log_b.exp() * math.sqrt(2) * torch.special.erfinv(2 * u - 1)


@LAPLACE_DRAW("gradients")
def gradient_cut_off(mu: Tensor, log_b: Tensor, u: Tensor) -> Tensor:
    """The draws are right, and no gradient reaches `mu` and `log_b`: something cuts the path (`.detach()`, `.data`,
    `torch.no_grad()`, `.sample()`, NumPy). The encoder could not learn."""
    return laplace_draw(mu.detach(), log_b.detach(), u)


def laplace_pathwise(u: Tensor, mu: Tensor, log_b: Tensor, k: float) -> Tensor:
    noise = laplace_draw(torch.zeros_like(u), torch.zeros_like(u), u) * log_b.exp()
    return torch.stack([(2 * (mu + noise - k)).mean(), (2 * (mu + noise - k) * noise).mean()])


LAPLACE_PATHWISE = Mistakes()


@LAPLACE_PATHWISE("log_b")
def derivative_for_b(u: Tensor, mu: Tensor, log_b: Tensor, k: float) -> Tensor:
    """The second number is the derivative with respect to b. The network gives log b: by the chain rule it is b times
    as large, so dz/d log b = z - mu."""
    return laplace_pathwise(u, mu, log_b, k) / torch.stack([torch.ones(()), log_b.exp()])


@LAPLACE_PATHWISE("log_b")
def sign_of_the_noise(u: Tensor, mu: Tensor, log_b: Tensor, k: float) -> Tensor:
    """In the second number you use |z - mu|. A draw left of the center moves left when b grows: dz/d log b = z - mu,
    with its sign."""
    noise = laplace_draw(torch.zeros_like(u), log_b.expand_as(u), u)
    slope = 2 * (mu + noise - k)
    return torch.stack([slope.mean(), (slope * noise.abs()).mean()])


@LAPLACE_PATHWISE("log_b")
def averaged_too_early(u: Tensor, mu: Tensor, log_b: Tensor, k: float) -> Tensor:
    """You average the slope and the path by themselves and multiply the averages. The average of a product is not the
    product of the averages: multiply draw by draw."""
    noise = laplace_draw(torch.zeros_like(u), log_b.expand_as(u), u)
    slope = (2 * (mu + noise - k)).mean()
    return torch.stack([slope, slope * noise.mean()])


@LAPLACE_PATHWISE("mu", "log_b")
def a_sum(u: Tensor, mu: Tensor, log_b: Tensor, k: float) -> Tensor:
    """You sum over the draws. An estimate of an average is the mean over the draws; a sum grows with their number."""
    return laplace_pathwise(u, mu, log_b, k) * len(u)


@LAPLACE_PATHWISE("mu", "log_b")
def two_of_the_slope(u: Tensor, mu: Tensor, log_b: Tensor, k: float) -> Tensor:
    """Both numbers are half of what they should be: the derivative of (z - k)^2 is 2 (z - k)."""
    return laplace_pathwise(u, mu, log_b, k) / 2


def score_gradient(z: Tensor, f: Tensor, mu: Tensor, log_b: Tensor, baseline: float) -> Tensor:
    away = (z - mu) / log_b.exp()
    scores = torch.stack([away.sign() / log_b.exp(), away.abs() - 1])
    return (scores * (f - baseline)).mean(1)


SCORE_GRADIENT = Mistakes()


@SCORE_GRADIENT("mu", "log_b", "baseline")
def score_of_a_normal_distribution(z: Tensor, f: Tensor, mu: Tensor, log_b: Tensor, baseline: float) -> Tensor:
    """These are the derivatives of a normal distribution's log density. The Laplace density has |z - mu| / b in the
    exponent, whose derivative is a sign."""
    b, weight = log_b.exp(), f - baseline
    return torch.stack([(weight * (z - mu) / b**2).mean(), (weight * ((z - mu).square() / b**2 - 1)).mean()])


@SCORE_GRADIENT("mu", "baseline")
def b_forgotten(z: Tensor, f: Tensor, mu: Tensor, log_b: Tensor, baseline: float) -> Tensor:
    """In the first number the 1/b is missing: d log q / d mu = sign(z - mu) / b."""
    return score_gradient(z, f, mu, log_b, baseline) * torch.stack([log_b.exp(), torch.ones(())])


@SCORE_GRADIENT("log_b", "baseline")
def one_forgotten(z: Tensor, f: Tensor, mu: Tensor, log_b: Tensor, baseline: float) -> Tensor:
    """In the second number the -1 is missing. It comes from the factor 1/(2b) before the exponential, which depends on
    b, too. Without it the average score is not 0, and every estimate is off."""
    return score_gradient(z, f, mu, log_b, baseline) + torch.stack([torch.zeros(()), (f - baseline).mean()])


@SCORE_GRADIENT("log_b", "baseline")
def score_for_b(z: Tensor, f: Tensor, mu: Tensor, log_b: Tensor, baseline: float) -> Tensor:
    """The second number is the derivative with respect to b. The network gives log b: by the chain rule it is b times
    as large."""
    return score_gradient(z, f, mu, log_b, baseline) / torch.stack([torch.ones(()), log_b.exp()])


@SCORE_GRADIENT("baseline")
def no_baseline(z: Tensor, f: Tensor, mu: Tensor, log_b: Tensor, baseline: float) -> Tensor:
    """The baseline does nothing in your function. Subtract it from the loss of each draw."""
    return score_gradient(z, f, mu, log_b, 0.0)


@SCORE_GRADIENT("baseline")
def baseline_added(z: Tensor, f: Tensor, mu: Tensor, log_b: Tensor, baseline: float) -> Tensor:
    """You add the baseline. It is subtracted: what counts is how much worse than usual a draw is."""
    return score_gradient(z, f, mu, log_b, -baseline)


@SCORE_GRADIENT("mu", "log_b", "baseline")
def scores_alone(z: Tensor, f: Tensor, mu: Tensor, log_b: Tensor, baseline: float) -> Tensor:
    """You average the scores alone, whose average is 0 for any distribution. Each draw must be weighted by its loss."""
    return score_gradient(z, torch.ones_like(f), mu, log_b, 0.0)


def questions(term: Term) -> tuple[Question, ...]:
    generator = torch.Generator().manual_seed(term.seed + 2)
    numbers = term.constants["reparameterization"]
    center, log_scale, pull = numbers["MU"], numbers["LOG_B"], numbers["K"]

    def some(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def uniform(*shape: int) -> Tensor:
        """Draw numbers between 0.02 and 0.98, and nowhere near the median."""
        drawn = 0.02 + 0.43 * torch.rand(*shape, generator=generator)
        return torch.where(torch.rand(*shape, generator=generator) < 0.5, drawn, 1 - drawn)

    def draw(*shape: int) -> dict[str, Tensor]:
        return {"mu": 2 * some(*shape), "log_b": some(*shape) - 0.5, "u": uniform(*shape)}

    def path(n: int) -> dict[str, object]:
        return {
            "u": uniform(n),
            "mu": some(),
            "log_b": 0.3 + 0.5 * some().abs(),
            "k": round(2 + some().item(), 2),
        }

    def score(n: int, baseline: float) -> dict[str, object]:
        z = 2 * some(n)
        return {
            "z": z,
            "f": (z - 3).square(),
            "mu": some(),
            "log_b": 0.3 + 0.5 * some().abs(),
            "baseline": baseline,
        }

    scored, paths = [score(1, 0.0), score(6, 0.0)], [path(2), path(7)]
    exact = Mistakes()

    @exact("log_b")
    def derivative_for_b() -> float:
        """The second number is the derivative with respect to b, 4 b. For log b it is b times as large."""
        return (2 * (center - pull), 4 * math.exp(log_scale))

    @exact("log_b")
    def variance_of_a_normal_distribution() -> float:
        """You took b^2 for the variance, as for a normal distribution. A Laplace distribution's is 2 b^2."""
        return (2 * (center - pull), 2 * math.exp(2 * log_scale))

    @exact("mu")
    def sign() -> float:
        """The first number has the wrong sign: (mu - k)^2 falls when mu comes nearer to k."""
        return (2 * (pull - center), 4 * math.exp(2 * log_scale))

    return (
        Question(
            "laplace_draw",
            laplace_draw,
            {
                "values": Part(
                    "The draws, one by one.",
                    [
                        draw(3),
                        draw(4, 2),
                        {"mu": torch.zeros(2), "log_b": some(2), "u": torch.tensor([1e-4, 0.999])},
                    ],
                ),
                "gradients": Part(
                    "The gradients with respect to mu and log b.", [draw(4), draw(3, 2)], ("mu", "log_b")
                ),
            },
            LAPLACE_DRAW,
        ),
        Question(
            "laplace_pathwise",
            laplace_pathwise,
            {
                "mu": Part("The gradient for mu.", paths, pick=0),
                "log_b": Part("The gradient for log b.", paths, pick=1),
            },
            LAPLACE_PATHWISE,
        ),
        Question(
            "score_gradient",
            score_gradient,
            {
                "mu": Part("The gradient for mu, without a baseline.", scored, pick=0),
                "log_b": Part("The gradient for log b, without a baseline.", scored, pick=1),
                "baseline": Part("Both, with a baseline.", [score(4, 2.5), score(5, -1.25)]),
            },
            SCORE_GRADIENT,
        ),
        Question(
            "exact",
            lambda: (2 * (center - pull), 4 * math.exp(2 * log_scale)),
            {
                "mu": Part("The derivative for mu, as a number.", pick=0, tolerance=5e-3),
                "log_b": Part("The derivative for log b, as a number.", pick=1, tolerance=5e-3),
            },
            exact,
        ),
    )
