"""Assignment 2: answers, known mistakes and hidden probes. For graders; students get nothing of it."""

import math

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from scripts.grading.question import Mistakes, Part, Question
from scripts.grading.terms import Term


def sample_aggregate(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    return mu.index_select(0, index) + logvar.index_select(0, index).exp().sqrt() * epsilon


SAMPLE_AGGREGATE = Mistakes()


@SAMPLE_AGGREGATE("values", "gradients")
def half_forgotten(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    """You scale the noise by `exp(logvar)`, the variance. The standard deviation is its root, `exp(0.5 * logvar)`."""
    return mu[index] + logvar[index].exp() * epsilon


@SAMPLE_AGGREGATE("values", "gradients")
def logvar_as_sigma(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    """You scale the noise by `logvar` itself, which may even be negative. The standard deviation is `exp(0.5 *
    logvar)`."""
    return mu[index] + logvar[index] * epsilon


@SAMPLE_AGGREGATE("values", "gradients")
def one_average_cloud(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    """You average the clouds and draw from the average. That is one normal distribution, with no clusters and no holes.
    A draw from the mixture picks one picture's cloud, `mu[index]`."""
    return mu.mean(0) + (0.5 * logvar).exp().mean(0) * epsilon


@SAMPLE_AGGREGATE("values", "gradients")
def one_width_for_all(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    """You pick the center by `index`, and use one average width for all clouds. The width belongs to the same picture
    as the center: `logvar[index]`."""
    return mu[index] + (0.5 * logvar).exp().mean(0) * epsilon


@SAMPLE_AGGREGATE("values", "gradients")
def no_noise(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    """You return the centers of the clouds. A draw is center + standard deviation * `epsilon`."""
    return mu[index]


@SAMPLE_AGGREGATE("values", "gradients")
def center_scaled_too(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    """You multiply center and noise by the standard deviation. Only the noise is scaled."""
    return (mu[index] + epsilon) * (0.5 * logvar[index]).exp()


@SAMPLE_AGGREGATE("gradients")
def gradient_cut_off(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    """The draws are right, and no gradient reaches `mu` and `logvar`: something cuts the path (`.detach()`, `.data`,
    `torch.no_grad()`, `.sample()`, NumPy). The encoder could not learn."""
    return sample_aggregate(mu.detach(), logvar.detach(), index, epsilon)


def log_aggregate(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    clouds = Independent(Normal(mu, (0.5 * logvar).exp()), 1)
    return MixtureSameFamily(Categorical(logits=torch.zeros(len(mu), dtype=mu.dtype)), clouds).log_prob(z)


def _each(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Return log N(z; mu_i, sigma_i^2) for each draw, cloud and latent: (n, N, latents)."""
    return Normal(mu, (0.5 * logvar).exp()).log_prob(z[:, None])


LOG_AGGREGATE = Mistakes()


@LOG_AGGREGATE("values", "far")
def mean_of_logs(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You average the logarithms. The mixture averages the densities, and the logarithm comes afterwards. By Jensen's
    inequality your number is always too low, most where clouds are far apart."""
    return _each(z, mu, logvar).sum(-1).mean(1)


@LOG_AGGREGATE("values", "far")
def not_divided_by_n(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You add the densities of the clouds and do not divide by their number N, so the mixture holds N times too much
    probability. Subtract log N."""
    return _each(z, mu, logvar).sum(-1).logsumexp(1)


@LOG_AGGREGATE("far")
def underflow(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You leave the logarithm, average, and come back to it. Far from the clouds every density is rounded to 0, and log
    0 is minus infinity. `torch.logsumexp` never leaves the logarithm."""
    return _each(z, mu, logvar).sum(-1).exp().mean(1).log()


@LOG_AGGREGATE("values", "far")
def constant_forgotten(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """The term -1/2 log(2 pi) for each latent is missing. It cancels in a comparison of two codes, and not in a
    density."""
    return log_aggregate(z, mu, logvar) + 0.5 * z.shape[1] * math.log(2 * math.pi)


@LOG_AGGREGATE("values", "far")
def mean_over_latents(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You average over latents. Latents are independent within a cloud: the density is a product, its logarithm a
    sum."""
    return _each(z, mu, logvar).mean(-1).logsumexp(1) - math.log(len(mu))


@LOG_AGGREGATE("values", "far")
def mixed_each_latent_by_itself(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You mix each latent by itself and multiply. Then one code could take its first number from one picture's cloud
    and its second from another's. Sum over latents first, then mix."""
    return (_each(z, mu, logvar).logsumexp(1) - math.log(len(mu))).sum(-1)


@LOG_AGGREGATE("values", "far")
def logvar_as_log_sigma(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You read `logvar` as log sigma. It is log sigma^2: the variance is `exp(logvar)`."""
    return log_aggregate(z, mu, 2 * logvar)


def aggregate_moments(mu: Tensor, logvar: Tensor) -> Tensor:
    mean = mu.mean(0)
    return torch.stack([mean, (mu.square() + logvar.exp()).mean(0) - mean.square()])


AGGREGATE_MOMENTS = Mistakes()


@AGGREGATE_MOMENTS("many", "single")
def centers_only(mu: Tensor, logvar: Tensor) -> Tensor:
    """This is the variance of the centers. The clouds have a width of their own, which adds to it: variance of the
    means + mean of the variances."""
    return torch.stack([mu.mean(0), mu.var(0, correction=0)])


@AGGREGATE_MOMENTS("many")
def widths_only(mu: Tensor, logvar: Tensor) -> Tensor:
    """This is the mean variance within a cloud. That the clouds stand in different places adds to it: mean of the
    variances + variance of the means."""
    return torch.stack([mu.mean(0), logvar.exp().mean(0)])


@AGGREGATE_MOMENTS("many", "single")
def divided_by_n_1(mu: Tensor, logvar: Tensor) -> Tensor:
    """You divide by N - 1, as one does to estimate a variance from a sample. The mixture is known exactly: divide by N
    (`correction=0`). With a single picture yours is NaN."""
    spread = (mu - mu.mean(0)).square().sum(0) / (len(mu) - 1)
    return torch.stack([mu.mean(0), spread + logvar.exp().mean(0)])


@AGGREGATE_MOMENTS("many")
def mean_sigma_squared(mu: Tensor, logvar: Tensor) -> Tensor:
    """You square the mean standard deviation. The variances are to be averaged: squares first, then the mean."""
    return torch.stack([mu.mean(0), mu.var(0, correction=0) + (0.5 * logvar).exp().mean(0).square()])


@AGGREGATE_MOMENTS("many")
def exp_of_the_mean(mu: Tensor, logvar: Tensor) -> Tensor:
    """You average `logvar` and take the exponential afterwards. That is a geometric mean, always too small. Exponential
    first, then the mean."""
    return torch.stack([mu.mean(0), mu.var(0, correction=0) + logvar.mean(0).exp()])


@AGGREGATE_MOMENTS("many", "single")
def standard_deviation(mu: Tensor, logvar: Tensor) -> Tensor:
    """Row 1 holds the standard deviation. The task asks for the variance."""
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
    variance = Mistakes()

    @variance("value")
    def standard_deviation() -> float:
        """This is the standard deviation. Asked was the variance."""
        return math.sqrt(s**2 + a**2)

    @variance("value")
    def widths_only() -> float:
        """This is the variance within one cloud. The clouds stand apart, which adds to it."""
        return s**2

    @variance("value")
    def centers_only() -> float:
        """This is the variance of the two centers. Each cloud has a width, which adds to it."""
        return a**2

    @variance("value")
    def not_squared() -> float:
        """You added distances. Variances add up, which are squares."""
        return s + a

    return (
        Question(
            "sample_aggregate",
            sample_aggregate,
            {
                "values": Part("The draws.", [draws(2, 1, 0), draws(5, 3, 4)]),
                "gradients": Part("The gradients with respect to mu and logvar.", [draws(4, 2, 3)], ("mu", "logvar")),
            },
            SAMPLE_AGGREGATE,
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
            LOG_AGGREGATE,
        ),
        Question(
            "aggregate_moments",
            aggregate_moments,
            {
                "many": Part("Mean and variance over many pictures.", [clouds(2, 1), clouds(8, 3)]),
                "single": Part("A single picture: its own cloud.", [clouds(1, 2)]),
            },
            AGGREGATE_MOMENTS,
        ),
        Question(
            "variance",
            lambda: s**2 + a**2,
            {"value": Part("The variance of two clouds.", tolerance=5e-3)},
            variance,
        ),
    )
