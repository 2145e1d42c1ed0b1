"""Assignment 2: answers, known mistakes and hidden probes. For graders; students get nothing of it."""

import math

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from scripts.grading.question import Mistake, Part, Question
from scripts.grading.terms import Term


def sample_aggregate(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    return mu.index_select(0, index) + logvar.index_select(0, index).exp().sqrt() * epsilon


def _no_half(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    return mu[index] + logvar[index].exp() * epsilon


def _logvar_as_sigma(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    return mu[index] + logvar[index] * epsilon


def _one_average_cloud(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    return mu.mean(0) + (0.5 * logvar).exp().mean(0) * epsilon


def _one_width(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    return mu[index] + (0.5 * logvar).exp().mean(0) * epsilon


def _no_noise(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    return mu[index]


def _wrong_scaling(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    return (mu[index] + epsilon) * (0.5 * logvar[index]).exp()


def _detached(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    return sample_aggregate(mu.detach(), logvar.detach(), index, epsilon)


def log_aggregate(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    clouds = Independent(Normal(mu, (0.5 * logvar).exp()), 1)
    return MixtureSameFamily(Categorical(logits=torch.zeros(len(mu), dtype=mu.dtype)), clouds).log_prob(z)


def _each(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Return log N(z; mu_i, sigma_i^2) for each draw, cloud and latent: (n, N, latents)."""
    return Normal(mu, (0.5 * logvar).exp()).log_prob(z[:, None])


def _mean_of_logs(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    return _each(z, mu, logvar).sum(-1).mean(1)


def _not_divided(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    return _each(z, mu, logvar).sum(-1).logsumexp(1)


def _underflow(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    return _each(z, mu, logvar).sum(-1).exp().mean(1).log()


def _constant_lost(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    return log_aggregate(z, mu, logvar) + 0.5 * z.shape[1] * math.log(2 * math.pi)


def _mean_over_latents(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    return _each(z, mu, logvar).mean(-1).logsumexp(1) - math.log(len(mu))


def _product_of_marginals(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    return (_each(z, mu, logvar).logsumexp(1) - math.log(len(mu))).sum(-1)


def _wide(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    return log_aggregate(z, mu, 2 * logvar)


def aggregate_moments(mu: Tensor, logvar: Tensor) -> Tensor:
    mean = mu.mean(0)
    return torch.stack([mean, (mu.square() + logvar.exp()).mean(0) - mean.square()])


def _only_centers(mu: Tensor, logvar: Tensor) -> Tensor:
    return torch.stack([mu.mean(0), mu.var(0, correction=0)])


def _only_widths(mu: Tensor, logvar: Tensor) -> Tensor:
    return torch.stack([mu.mean(0), logvar.exp().mean(0)])


def _one_less(mu: Tensor, logvar: Tensor) -> Tensor:
    spread = (mu - mu.mean(0)).square().sum(0) / (len(mu) - 1)
    return torch.stack([mu.mean(0), spread + logvar.exp().mean(0)])


def _mean_sigma_squared(mu: Tensor, logvar: Tensor) -> Tensor:
    return torch.stack([mu.mean(0), mu.var(0, correction=0) + (0.5 * logvar).exp().mean(0).square()])


def _exp_of_mean(mu: Tensor, logvar: Tensor) -> Tensor:
    return torch.stack([mu.mean(0), mu.var(0, correction=0) + logvar.mean(0).exp()])


def _deviation(mu: Tensor, logvar: Tensor) -> Tensor:
    mean, variance = aggregate_moments(mu, logvar)
    return torch.stack([mean, variance.sqrt()])


def questions(term: Term) -> tuple[Question, ...]:
    generator = torch.Generator().manual_seed(term.seed + 1)
    a, s = term.constants["vae"]["A"], term.constants["vae"]["S"]

    def some(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def clouds(count: int, latents: int) -> dict[str, Tensor]:
        return {"mu": 2 * some(count, latents), "logvar": some(count, latents) - 0.7}

    def picks(count: int, draws: int) -> Tensor:
        """Draw numbers of pictures: one twice, and not in order."""
        return torch.cat([torch.tensor([count - 1, 0, 0]), torch.randint(count, (draws,), generator=generator)])

    def draws(count: int, latents: int, number: int) -> dict[str, Tensor]:
        return clouds(count, latents) | {"index": picks(count, number), "epsilon": some(number + 3, latents)}

    def at(count: int, latents: int, number: int) -> dict[str, Tensor]:
        return {"z": 2 * some(number, latents), **clouds(count, latents)}

    far = clouds(4, 2)
    return (
        Question(
            "sample_aggregate",
            sample_aggregate,
            {
                "values": Part("The draws.", [draws(2, 1, 0), draws(5, 3, 4)]),
                "gradients": Part("The gradients with respect to mu and logvar.", [draws(4, 2, 3)], ("mu", "logvar")),
            },
            (
                Mistake(
                    "half forgotten",
                    _no_half,
                    "You scale the noise by `exp(logvar)`, the variance. The standard deviation is its root, "
                    "`exp(0.5 * logvar)`.",
                    ("values", "gradients"),
                ),
                Mistake(
                    "logvar as sigma",
                    _logvar_as_sigma,
                    "You scale the noise by `logvar` itself, which may even be negative. The standard deviation is "
                    "`exp(0.5 * logvar)`.",
                    ("values", "gradients"),
                ),
                Mistake(
                    "one average cloud",
                    _one_average_cloud,
                    "You average the clouds and draw from the average. That is one normal distribution, with no "
                    "clusters and no holes. A draw from the mixture picks one picture's cloud, `mu[index]`.",
                    ("values", "gradients"),
                ),
                Mistake(
                    "one width for all",
                    _one_width,
                    "You pick the center by `index`, and use one average width for all clouds. The width belongs to "
                    "the same picture as the center: `logvar[index]`.",
                    ("values", "gradients"),
                ),
                Mistake(
                    "no noise",
                    _no_noise,
                    "You return the centers of the clouds. A draw is center + standard deviation * `epsilon`.",
                    ("values", "gradients"),
                ),
                Mistake(
                    "center scaled, too",
                    _wrong_scaling,
                    "You multiply center and noise by the standard deviation. Only the noise is scaled.",
                    ("values", "gradients"),
                ),
                Mistake(
                    "gradient cut off",
                    _detached,
                    "The draws are right, and no gradient reaches `mu` and `logvar`: something cuts the path "
                    "(`.detach()`, `.data`, `torch.no_grad()`, `.sample()`, NumPy). The encoder could not learn.",
                    ("gradients",),
                ),
            ),
        ),
        Question(
            "log_aggregate",
            log_aggregate,
            {
                "values": Part(
                    "The log density, for few and many pictures and latents.",
                    [at(2, 1, 1), at(3, 2, 2), at(7, 4, 5)],
                ),
                "far": Part(
                    "Codes far from every cloud: finite numbers.",
                    [{name: value.double() for name, value in {"z": 90 + some(3, 2), **far}.items()}],
                ),
            },
            (
                Mistake(
                    "mean of logs",
                    _mean_of_logs,
                    "You average the logarithms. The mixture averages the densities, and the logarithm comes "
                    "afterwards. By Jensen's inequality your number is always too low, most where clouds are far "
                    "apart.",
                    ("values", "far"),
                ),
                Mistake(
                    "not divided by N",
                    _not_divided,
                    "You add the densities of the clouds and do not divide by their number N, so the mixture holds N "
                    "times too much probability. Subtract log N.",
                    ("values", "far"),
                ),
                Mistake(
                    "underflow",
                    _underflow,
                    "You leave the logarithm, average, and come back to it. Far from the clouds every density is "
                    "rounded to 0, and log 0 is minus infinity. `torch.logsumexp` never leaves the logarithm.",
                    ("far",),
                ),
                Mistake(
                    "constant forgotten",
                    _constant_lost,
                    "The term -1/2 log(2 pi) for each latent is missing. It cancels in a comparison of two codes, and "
                    "not in a density.",
                    ("values", "far"),
                ),
                Mistake(
                    "mean over latents",
                    _mean_over_latents,
                    "You average over latents. Latents are independent within a cloud: the density is a product, its "
                    "logarithm a sum.",
                    ("values", "far"),
                ),
                Mistake(
                    "mixed each latent by itself",
                    _product_of_marginals,
                    "You mix each latent by itself and multiply. Then one code could take its first number from one "
                    "picture's cloud and its second from another's. Sum over latents first, then mix.",
                    ("values", "far"),
                ),
                Mistake(
                    "logvar as log sigma",
                    _wide,
                    "You read `logvar` as log sigma. It is log sigma^2: the variance is `exp(logvar)`.",
                    ("values", "far"),
                ),
            ),
        ),
        Question(
            "aggregate_moments",
            aggregate_moments,
            {
                "many": Part("Mean and variance over many pictures.", [clouds(2, 1), clouds(8, 3)]),
                "single": Part("A single picture: its own cloud.", [clouds(1, 2)]),
            },
            (
                Mistake(
                    "centers only",
                    _only_centers,
                    "This is the variance of the centers. The clouds have a width of their own, which adds to it: "
                    "variance of the means + mean of the variances.",
                    ("many", "single"),
                ),
                Mistake(
                    "widths only",
                    _only_widths,
                    "This is the mean variance within a cloud. That the clouds stand in different places adds to it: "
                    "mean of the variances + variance of the means.",
                    ("many",),
                ),
                Mistake(
                    "divided by N - 1",
                    _one_less,
                    "You divide by N - 1, as one does to estimate a variance from a sample. The mixture is known "
                    "exactly: divide by N (`correction=0`). With a single picture yours is NaN.",
                    ("many", "single"),
                ),
                Mistake(
                    "mean sigma squared",
                    _mean_sigma_squared,
                    "You square the mean standard deviation. The variances are to be averaged: squares first, then "
                    "the mean.",
                    ("many",),
                ),
                Mistake(
                    "exp of the mean",
                    _exp_of_mean,
                    "You average `logvar` and take the exponential afterwards. That is a geometric mean, always too "
                    "small. Exponential first, then the mean.",
                    ("many",),
                ),
                Mistake(
                    "standard deviation",
                    _deviation,
                    "Row 1 holds the standard deviation. The task asks for the variance.",
                    ("many", "single"),
                ),
            ),
        ),
        Question(
            "variance",
            lambda: s**2 + a**2,
            {"value": Part("The variance of two clouds.", tolerance=5e-3)},
            (
                Mistake(
                    "standard deviation",
                    lambda: math.sqrt(s**2 + a**2),
                    "This is the standard deviation. Asked was the variance.",
                    ("value",),
                ),
                Mistake(
                    "widths only",
                    lambda: s**2,
                    "This is the variance within one cloud. The clouds stand apart, which adds to it.",
                    ("value",),
                ),
                Mistake(
                    "centers only",
                    lambda: a**2,
                    "This is the variance of the two centers. Each cloud has a width, which adds to it.",
                    ("value",),
                ),
                Mistake(
                    "not squared",
                    lambda: s + a,
                    "You added distances. Variances add up, which are squares.",
                    ("value",),
                ),
            ),
        ),
    )
