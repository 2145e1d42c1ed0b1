"""Assignment 4: answers, known mistakes and hidden probes. For graders; students get nothing of it."""

import math

import torch
from torch import Tensor
from torch.distributions import Laplace, Normal, kl_divergence

from scripts.grading.question import Mistakes, Part, Question
from scripts.grading.terms import Term


def kl_between(mu_q: Tensor, logvar_q: Tensor, mu_p: Tensor, logvar_p: Tensor) -> Tensor:
    q, p = Normal(mu_q, (0.5 * logvar_q).exp()), Normal(mu_p, (0.5 * logvar_p).exp())
    return kl_divergence(q, p).sum(1)


def _terms(mu_q: Tensor, logvar_q: Tensor, mu_p: Tensor, logvar_p: Tensor) -> Tensor:
    return 0.5 * (logvar_p - logvar_q + (logvar_q - logvar_p).exp() + (mu_q - mu_p).square() / logvar_p.exp() - 1)


KL_BETWEEN = Mistakes()


@KL_BETWEEN("moved", "any", "gradients")
def p_ignored(mu_q: Tensor, logvar_q: Tensor, mu_p: Tensor, logvar_p: Tensor) -> Tensor:
    """Your function does not look at `mu_p` and `logvar_p`: it is the KL from the standard normal distribution. A prior
    that learns would never move."""
    return _terms(mu_q, logvar_q, torch.zeros_like(mu_q), torch.zeros_like(mu_q)).sum(1)


@KL_BETWEEN("moved", "any", "gradients")
def the_other_way_round(mu_q: Tensor, logvar_q: Tensor, mu_p: Tensor, logvar_p: Tensor) -> Tensor:
    """This is KL(p || q). The two are not the same: in KL(q || p) the average is taken over q, and what p finds
    impossible costs most."""
    return _terms(mu_p, logvar_p, mu_q, logvar_q).sum(1)


@KL_BETWEEN("moved", "any", "gradients")
def half_forgotten(mu_q: Tensor, logvar_q: Tensor, mu_p: Tensor, logvar_p: Tensor) -> Tensor:
    """Every number is twice what it should be: the 1/2 before the sum is missing. In training that is beta = 2."""
    return 2 * _terms(mu_q, logvar_q, mu_p, logvar_p).sum(1)


@KL_BETWEEN("moved", "any")
def one_forgotten(mu_q: Tensor, logvar_q: Tensor, mu_p: Tensor, logvar_p: Tensor) -> Tensor:
    """The -1 is missing, half a nat for each latent. Gradients don't show it. A KL of two equal distributions must be
    0."""
    return (_terms(mu_q, logvar_q, mu_p, logvar_p) + 0.5).sum(1)


@KL_BETWEEN("moved", "any", "gradients")
def logvar_as_log_sigma(mu_q: Tensor, logvar_q: Tensor, mu_p: Tensor, logvar_p: Tensor) -> Tensor:
    """You read `logvar` as log sigma. It is log sigma^2: the variance is `exp(logvar)`."""
    return _terms(mu_q, 2 * logvar_q, mu_p, 2 * logvar_p).sum(1)


@KL_BETWEEN("moved", "any", "gradients")
def mean_over_latents(mu_q: Tensor, logvar_q: Tensor, mu_p: Tensor, logvar_p: Tensor) -> Tensor:
    """You average over latents. The KL of independent latents is their sum; an average is a hidden beta of 1 over their
    number."""
    return _terms(mu_q, logvar_q, mu_p, logvar_p).mean(1)


@KL_BETWEEN("moved", "any", "gradients")
def summed_over_the_batch(mu_q: Tensor, logvar_q: Tensor, mu_p: Tensor, logvar_p: Tensor) -> Tensor:
    """You return one number for the whole batch. Each picture has its own KL: sum along dimension 1 only."""
    return _terms(mu_q, logvar_q, mu_p, logvar_p).sum()


@KL_BETWEEN("any", "gradients")
def distance_not_scaled(mu_q: Tensor, logvar_q: Tensor, mu_p: Tensor, logvar_p: Tensor) -> Tensor:
    """The distance of the means is not divided by the variance of p. A narrow p finds the same distance much less
    likely than a wide one."""
    return 0.5 * (logvar_p - logvar_q + (logvar_q - logvar_p).exp() + (mu_q - mu_p).square() - 1).sum(1)


@KL_BETWEEN("moved", "any", "gradients")
def logs_swapped(mu_q: Tensor, logvar_q: Tensor, mu_p: Tensor, logvar_p: Tensor) -> Tensor:
    """The two logarithms have each other's sign: it is log sigma_p^2 - log sigma_q^2."""
    return (_terms(mu_q, logvar_q, mu_p, logvar_p) + logvar_q - logvar_p).sum(1)


def _kl(mu: Tensor, logvar: Tensor) -> Tensor:
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def laplace_objective(x_hat: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, s: float, beta: float) -> Tensor:
    return -Laplace(x_hat, s).log_prob(x).sum(1) + beta * _kl(mu, logvar).sum(1)


def _nll(x_hat: Tensor, x: Tensor, s: float) -> Tensor:
    return ((x - x_hat).abs() / s + math.log(2 * s)).sum(1)


LAPLACE_OBJECTIVE = Mistakes()


@LAPLACE_OBJECTIVE("likelihood", "whole", "gradients")
def mean_over_pixels(x_hat: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, s: float, beta: float) -> Tensor:
    """You average over pixels and sum the KL over latents. The bound sums both. Yours is in truth a beta as large as
    the number of pixels, and with real pictures the code collapses."""
    return _nll(x_hat, x, s) / x.shape[1] + beta * _kl(mu, logvar).sum(1)


@LAPLACE_OBJECTIVE("likelihood", "whole")
def constant_forgotten(x_hat: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, s: float, beta: float) -> Tensor:
    """The log(2 s) for each pixel is missing. Gradients don't need it. The number is then no bound on -log p(x), and
    two values of s can't be compared."""
    return (x - x_hat).abs().sum(1) / s + beta * _kl(mu, logvar).sum(1)


@LAPLACE_OBJECTIVE("likelihood", "whole")
def constant_once_for_each_picture(
    x_hat: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, s: float, beta: float
) -> Tensor:
    """The log(2 s) belongs to each pixel's density: a picture has as many of them as pixels."""
    return (x - x_hat).abs().sum(1) / s + math.log(2 * s) + beta * _kl(mu, logvar).sum(1)


@LAPLACE_OBJECTIVE("likelihood", "whole", "gradients")
def squared_error(x_hat: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, s: float, beta: float) -> Tensor:
    """You square the error. The Laplace density has its absolute value in the exponent."""
    return ((x - x_hat).square() / s + math.log(2 * s)).sum(1) + beta * _kl(mu, logvar).sum(1)


@LAPLACE_OBJECTIVE("likelihood", "whole", "gradients")
def a_normal_distribution(x_hat: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, s: float, beta: float) -> Tensor:
    """This is the objective with Gaussian pixels. The Laplace density is exp(-|x - x_hat| / s) / (2 s)."""
    return -Normal(x_hat, s).log_prob(x).sum(1) + beta * _kl(mu, logvar).sum(1)


@LAPLACE_OBJECTIVE("likelihood", "whole", "gradients")
def not_divided_by_s(x_hat: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, s: float, beta: float) -> Tensor:
    """The absolute error is not divided by s. A small s means that small errors already cost much."""
    return ((x - x_hat).abs() + math.log(2 * s)).sum(1) + beta * _kl(mu, logvar).sum(1)


@LAPLACE_OBJECTIVE("whole", "gradients")
def beta_at_the_wrong_term(x_hat: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, s: float, beta: float) -> Tensor:
    """You multiply the reconstruction term by beta. It belongs to the KL."""
    return beta * _nll(x_hat, x, s) + _kl(mu, logvar).sum(1)


@LAPLACE_OBJECTIVE("whole", "gradients")
def beta_ignored(x_hat: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, s: float, beta: float) -> Tensor:
    """`beta` does nothing in your function."""
    return _nll(x_hat, x, s) + _kl(mu, logvar).sum(1)


@LAPLACE_OBJECTIVE("whole", "gradients")
def kl_subtracted(x_hat: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, s: float, beta: float) -> Tensor:
    """You subtract the KL. What is minimized is -log p(x|z) plus the KL; with a minus the clouds run away from the
    prior, and the loss falls for ever."""
    return _nll(x_hat, x, s) - beta * _kl(mu, logvar).sum(1)


@LAPLACE_OBJECTIVE("likelihood", "whole", "gradients")
def sign_of_the_likelihood(x_hat: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, s: float, beta: float) -> Tensor:
    """The first term is +log p(x|z). The objective is minimized, so it has to be minus that."""
    return -_nll(x_hat, x, s) + beta * _kl(mu, logvar).sum(1)


def free_nats(mu: Tensor, logvar: Tensor, floor: float) -> Tensor:
    each = _kl(mu, logvar).mean(0)
    return torch.where(each > floor, each, torch.full_like(each, floor)).sum()


FREE_NATS = Mistakes()


@FREE_NATS("one", "floor", "gradients")
def floor_for_each_picture(mu: Tensor, logvar: Tensor, floor: float) -> Tensor:
    """You raise the KL of every single picture to the floor and average afterwards. Then a latent that few pictures use
    pays for all the others. First average over the batch, then take the maximum."""
    return _kl(mu, logvar).clamp(min=floor).mean(0).sum()


@FREE_NATS("floor", "gradients")
def floor_for_all_latents_together(mu: Tensor, logvar: Tensor, floor: float) -> Tensor:
    """You compare the sum over latents with the floor. One busy latent then pays for all the silent ones. Each latent
    has its own floor."""
    return _kl(mu, logvar).mean(0).sum().clamp(min=floor * mu.shape[1])


@FREE_NATS("one", "floor", "gradients")
def minimum(mu: Tensor, logvar: Tensor, floor: float) -> Tensor:
    """You take the smaller of floor and KL. Then a latent that says much costs nothing more. It is the larger:
    `clamp(min=floor)`."""
    return _kl(mu, logvar).mean(0).clamp(max=floor).sum()


@FREE_NATS("one", "floor")
def floor_subtracted(mu: Tensor, logvar: Tensor, floor: float) -> Tensor:
    """You subtract the floor. The gradients are the same, so training is, too. The number is not the one asked for: a
    latent below the floor counts as `floor`, not as 0."""
    return (_kl(mu, logvar).mean(0) - floor).clamp(min=0).sum()


@FREE_NATS("one", "floor", "gradients")
def sum_over_the_batch(mu: Tensor, logvar: Tensor, floor: float) -> Tensor:
    """You sum over the batch. The floor is meant for an average picture: take the mean over the batch."""
    return _kl(mu, logvar).sum(0).clamp(min=floor).sum()


@FREE_NATS("floor", "gradients")
def averaged_latents(mu: Tensor, logvar: Tensor, floor: float) -> Tensor:
    """You average over latents. The KL of independent latents is their sum."""
    return _kl(mu, logvar).mean(0).clamp(min=floor).mean()


@FREE_NATS("one", "floor", "gradients")
def floor_ignored(mu: Tensor, logvar: Tensor, floor: float) -> Tensor:
    """`floor` does nothing in your function."""
    return _kl(mu, logvar).mean(0).sum()


def questions(term: Term) -> tuple[Question, ...]:
    generator = torch.Generator().manual_seed(term.seed + 3)
    m, s = term.constants["loss"]["M"], term.constants["loss"]["S"]

    def some(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def two(batch: int, latents: int) -> dict[str, Tensor]:
        return {name: some(batch, latents) * 0.8 + 0.3 for name in ("mu_q", "logvar_q", "mu_p", "logvar_p")}

    def moved(batch: int, latents: int) -> dict[str, Tensor]:
        return two(batch, latents) | {"mu_p": some(batch, latents), "logvar_p": torch.zeros(batch, latents)}

    def whole(batch: int, pixels: int, latents: int, s: float, beta: float) -> dict[str, object]:
        pair = {"x_hat": some(batch, pixels), "x": some(batch, pixels)}
        return pair | {"mu": some(batch, latents), "logvar": some(batch, latents) - 0.5, "s": s, "beta": beta}

    def likelihood(batch: int, pixels: int, latents: int, s: float) -> dict[str, object]:
        zero = torch.zeros(batch, latents)
        return whole(batch, pixels, latents, s, 1.0) | {"mu": zero, "logvar": zero}

    def codes(batch: int, latents: int) -> dict[str, object]:
        """Draw latents with a KL from almost 0 to some nats."""
        width = torch.logspace(-1, 0.4, latents)
        return {"mu": some(batch, latents) * width, "logvar": 0.5 * some(batch, latents) * width}

    # Two of these pictures need few nats, two many: 1.3 to 2.3 on average.
    single = {
        "mu": torch.tensor([[0.1], [2.0], [-0.2], [2.2]]) + 0.1 * some(4, 1),
        "logvar": 0.1 * some(4, 1),
    }
    bits = Mistakes()

    @bits("value")
    def nats() -> float:
        """This is in nats. Divide by ln 2."""
        return 0.5 * (m**2 + s**2 - 1 - 2 * math.log(s))

    @bits("value")
    def multiplied_by_ln_2() -> float:
        """You multiplied by ln 2. A nat is more than a bit, so the number of bits is larger."""
        return 0.5 * (m**2 + s**2 - 1 - 2 * math.log(s)) * math.log(2)

    @bits("value")
    def half_forgotten() -> float:
        """The 1/2 is missing."""
        return (m**2 + s**2 - 1 - 2 * math.log(s)) / math.log(2)

    @bits("value")
    def s_as_a_variance() -> float:
        """You took S for the variance. It is the standard deviation."""
        return 0.5 * (m**2 + s - 1 - math.log(s)) / math.log(2)

    return (
        Question(
            "kl_between",
            kl_between,
            {
                "moved": Part("p has variance 1 and any mean.", [moved(1, 2), moved(5, 3)]),
                "any": Part("p is any normal distribution.", [two(1, 2), two(5, 3), two(2, 7)]),
                "gradients": Part(
                    "The gradients with respect to mu_p and logvar_p.", [two(4, 3)], ("mu_p", "logvar_p")
                ),
            },
            KL_BETWEEN,
        ),
        Question(
            "laplace_objective",
            laplace_objective,
            {
                "likelihood": Part(
                    "The likelihood alone, with a KL of 0.",
                    [likelihood(1, 3, 2, 0.8), likelihood(4, 12, 2, 0.15)],
                ),
                "whole": Part(
                    "Likelihood and KL, with any weight.",
                    [whole(1, 3, 2, 0.7, 4.0), whole(5, 8, 3, 0.3, 0.25), whole(2, 6, 1, 1.3, 0.0)],
                ),
                "gradients": Part(
                    "The gradients with respect to x_hat, mu and logvar.",
                    [whole(3, 5, 2, 0.4, 2.5)],
                    ("x_hat", "mu", "logvar"),
                ),
            },
            LAPLACE_OBJECTIVE,
        ),
        Question(
            "free_nats",
            free_nats,
            {
                "one": Part("A single latent.", [single | {"floor": 2.5}, single | {"floor": 0.5}]),
                "floor": Part(
                    "Some latents lie below the floor, some above.",
                    [
                        codes(4, 3) | {"floor": 0.25},
                        codes(6, 5) | {"floor": 0.5},
                        {"mu": 0.1 * some(3, 2), "logvar": 0.1 * some(3, 2), "floor": 0.5},
                    ],
                ),
                "gradients": Part(
                    "The gradients with respect to mu and logvar.",
                    [codes(12, 4) | {"floor": 0.3}],
                    ("mu", "logvar"),
                ),
            },
            FREE_NATS,
        ),
        Question(
            "bits",
            lambda: 0.5 * (m**2 + s**2 - 1 - 2 * math.log(s)) / math.log(2),
            {"value": Part("The KL divergence in bits.", tolerance=5e-3)},
            bits,
        ),
    )
