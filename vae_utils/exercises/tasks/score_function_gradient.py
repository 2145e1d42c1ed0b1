"""Notebook 03: the slope of an average loss, by the score function."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Normal

from ..exercise import Exercise, Mistake
from ..gradient_judge import Call, judge, leave_one_out, score
from ..randomness import noise

Function = Callable[[Tensor], Tensor]


def score_function_gradient(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    with torch.no_grad():  # no gradient has to pass anywhere
        z = mu + sigma * torch.randn(n, dtype=mu.dtype)
        return (f(z) * (z - mu) / sigma**2).mean()


def _draws(mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    return (mu + sigma * noise(n, mu.dtype)).detach()


def _pathwise_instead(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    mu = mu.detach().requires_grad_()
    return torch.autograd.grad(f(mu + sigma * noise(n, mu.dtype)).mean(), mu)[0]


def _loss_at_mu(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    return f(mu)


def _slope_at_mu(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    mu = mu.detach().requires_grad_()
    return torch.autograd.grad(f(mu), mu)[0]


def _no_noise(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = mu.detach().expand(n)
    return (f(z) * (z - mu) / sigma**2).mean()


def _nothing_to_differentiate(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    mu = mu.detach().requires_grad_()
    return torch.autograd.grad(f(_draws(mu, sigma, n)).mean(), mu)[0]


def _sigma_squared(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = (mu + sigma**2 * noise(n, mu.dtype)).detach()
    return (f(z) * (z - mu) / sigma**2).mean()


def _averaged_twice(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = _draws(mu, sigma, n)
    return (f(z) * (z - mu) / sigma**2).mean() / n


def _divided_by_n_minus_1(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = _draws(mu, sigma, n)
    return (f(z) * (z - mu) / sigma**2).sum() / (n - 1)


def _divided_by_n_plus_1(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = _draws(mu, sigma, n)
    return (f(z) * (z - mu) / sigma**2).sum() / (n + 1)


def _sigma_not_squared(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = _draws(mu, sigma, n)
    return (f(z) * (z - mu) / sigma).mean()


def _sigma_forgotten(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = _draws(mu, sigma, n)
    return (f(z) * (z - mu)).mean()


def _wrong_sign(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = _draws(mu, sigma, n)
    return (f(z) * (mu - z) / sigma**2).mean()


def _loss_forgotten(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = _draws(mu, sigma, n)
    f(z)
    return ((z - mu) / sigma**2).mean()


def _averages_multiplied(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = _draws(mu, sigma, n)
    return f(z).mean() * ((z - mu) / sigma**2).mean()


def _log_density_not_its_slope(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = _draws(mu, sigma, n)
    return (f(z) * Normal(mu.detach(), sigma).log_prob(z)).mean()


def _density_not_its_log(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    mu = mu.detach().requires_grad_()
    z = _draws(mu, sigma, n)
    return torch.autograd.grad((f(z) * Normal(mu, sigma).log_prob(z).exp()).mean(), mu)[0]


def _z_not_detached(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    mu = mu.detach().requires_grad_()
    z = mu + sigma * noise(n, mu.dtype)
    return torch.autograd.grad((f(z) * Normal(mu, sigma).log_prob(z)).mean(), mu)[0]


def _both_at_once(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    mu = mu.detach().requires_grad_()
    z = mu + sigma * noise(n, mu.dtype)
    log_q = Normal(mu, sigma).log_prob(z.detach())
    return torch.autograd.grad((f(z) + f(z).detach() * log_q).mean(), mu)[0]


def _score_of_sigma(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = _draws(mu, sigma, n)
    return (f(z) * ((z - mu) ** 2 - sigma**2) / sigma**3).mean()


def _baseline_from_the_same_draws(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = _draws(mu, sigma, n)
    losses = f(z)
    return ((losses - losses.mean()) * (z - mu) / sigma**2).mean()


def _sum_not_mean(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = _draws(mu, sigma, n)
    return (f(z) * (z - mu) / sigma**2).sum()


def _not_averaged(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = _draws(mu, sigma, n)
    return f(z) * (z - mu) / sigma**2


def _single_draw(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = (mu + sigma * torch.randn((), dtype=mu.dtype)).detach().expand(n)
    return (f(z) * (z - mu) / sigma**2).mean()


def _uniform_noise(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = (mu + sigma * torch.rand(n, dtype=mu.dtype)).detach()
    return (f(z) * (z - mu) / sigma**2).mean()


def _fixed_seed(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    epsilon = torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=mu.dtype)
    z = (mu + sigma * epsilon).detach()
    return (f(z) * (z - mu) / sigma**2).mean()


def _grad_accumulates(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    mu.requires_grad_()
    z = _draws(mu, sigma, n)
    (f(z) * Normal(mu, sigma).log_prob(z)).mean().backward()
    assert mu.grad is not None
    return mu.grad.clone()


MISTAKES = (
    Mistake(
        "loss-at-mu",
        _loss_at_mu,
        "You return f(mu), the loss at the center of the cloud: no dice, and no slope. Asked is how the *average* loss "
        "over draws z ~ N(mu, sigma²) changes when `mu` moves. Draw n values of z, and average the products of their "
        "losses and their scores.",
    ),
    Mistake(
        "slope-at-mu",
        _slope_at_mu,
        "You take the slope of f at `mu` itself: no dice are rolled, and autograd looks into f, which is a closed box "
        "here. It is not even right on average, except where the slope of f is a straight line, as for (z - 3)²; for "
        "sin(z) it is wrong. Draw n values of z, and use f(z) and the slope of log q(z).",
    ),
    Mistake(
        "no-noise",
        _no_noise,
        "All that f gets to see is `mu` itself; no dice are rolled. The score (z - mu) / sigma² is 0 at z = mu, so the "
        "estimate is 0 whatever f is. This estimator lives on the differences between draws: draw n values of z from "
        "N(mu, sigma²).",
    ),
    Mistake(
        "pathwise-instead",
        _pathwise_instead,
        "This is the pathwise gradient: it goes back through f. Right on average, and quieter here. But the score "
        "function is asked for, which never needs the slope of f: it also works where f jumps, or is a program that "
        "autograd can't see into. Use the value f(z) and the slope of log q(z).",
    ),
    Mistake(
        "sigma-not-squared",
        _sigma_not_squared,
        "Each loss is multiplied by (z - mu) / sigma, which is epsilon, and not by (z - mu) / sigma²: one division by "
        "sigma is missing, and the estimate is sigma times the slope. At sigma = 1 nobody notices. The square comes "
        "from the exponent of the normal density, -(z - mu)² / (2 sigma²).",
    ),
    Mistake(
        "sigma-forgotten",
        _sigma_forgotten,
        "Each loss is multiplied by (z - mu), without the division by sigma²: the estimate is sigma² times the "
        "slope. At sigma = 1 nobody notices; for a narrow cloud almost nothing is left. The score of a normal "
        "density is (z - mu) / sigma².",
    ),
    Mistake(
        "wrong-sign",
        _wrong_sign,
        "The sign is reversed (a minus too many, or (mu - z) in place of (z - mu)): training would walk uphill. "
        "Where draws to the right of `mu` have larger losses, the slope is positive.",
    ),
    Mistake(
        "loss-forgotten",
        _loss_forgotten,
        "You average the score alone. Its average is 0 for every cloud, which is why a baseline changes nothing on "
        "average. The score of each draw must be multiplied by that draw's loss.",
    ),
    Mistake(
        "averages-multiplied",
        _averages_multiplied,
        "You average the losses and the scores separately and multiply the two averages. But all that this estimator "
        "knows is *which* draw had the larger loss, and an average forgets that; what is left is mostly noise around "
        "0. Multiply draw by draw, then average.",
    ),
    Mistake(
        "log-density-not-its-slope",
        _log_density_not_its_slope,
        "You multiply the losses by log q(z), not by its derivative. What is needed is how log q changes with `mu`: "
        "(z - mu) / sigma², or autograd on `log_prob`.",
    ),
    Mistake(
        "density-not-its-log",
        _density_not_its_log,
        "You take the slope of the density q(z), without the logarithm. In the integral it is right. But an average "
        "over draws has weighted with q already, so dense places count twice. The logarithm takes that q out: the "
        "slope of log q is the slope of q divided by q.",
    ),
    Mistake(
        "z-not-detached",
        _z_not_detached,
        "You let the gradient go through z as well. When `mu` moves, z moves along, log q(z) stays as it is, and its "
        "slope is exactly 0; what comes out is the slope of f times log q, which means nothing (and is 0 where f(z) is "
        "detached). For the score function z is a mere number: `z.detach()`, or draw it under `torch.no_grad()`.",
    ),
    Mistake(
        "nothing-to-differentiate",
        _nothing_to_differentiate,
        "Nothing that you send backward depends on `mu` in a way that autograd can follow, so it stops with an error, "
        "or gives 0. z is a mere number here, and f(z) too. In this estimator the path to `mu` is log q(z): multiply "
        "f(z) by `Normal(mu, sigma).log_prob(z)`, with a `mu` that requires a gradient; or do without autograd, by the "
        "formula (z - mu) / sigma².",
    ),
    Mistake(
        "both-at-once",
        _both_at_once,
        "You add the pathwise gradient and the score function. Each of them alone is right on average, so the sum is "
        "twice the slope. It happens where z is detached in log q but not in f. Detach it in both.",
    ),
    Mistake(
        "score-of-sigma",
        _score_of_sigma,
        "This is the slope in sigma: ((z - mu)² - sigma²) / sigma³ is the score for the width. For the center it is "
        "(z - mu) / sigma².",
    ),
    Mistake(
        "baseline-from-the-same-draws",
        _baseline_from_the_same_draws,
        "A baseline is a good idea, but yours is the mean of the very losses that it is taken from. Each draw pulls "
        "it toward itself, and the estimate shrinks by 1 - 1/n: nothing you would see at n = 1,000, half of the slope "
        "at n = 2, and always 0 at n = 1. Take the mean of the *other* draws, or of a second set, or leave the "
        "baseline out.",
    ),
    Mistake(
        "sum-not-mean",
        _sum_not_mean,
        "You add up the n draws without dividing by n: the estimate grows with n, and a learning rate that is right "
        "for 10 draws is ten times too large for 100. An estimate of an average is an average.",
    ),
    Mistake(
        "not-averaged",
        _not_averaged,
        "You return n estimates, one for each draw. Each of them is right on average. One number is asked for, their "
        "mean: it scatters n times less (in variance), and this estimator needs that.",
    ),
    Mistake(
        "single-draw",
        _single_draw,
        "All n draws are one and the same. The estimate is right on average, but it scatters as if n were 1: the "
        "other draws cost time and bring nothing. Roll n dice.",
    ),
    Mistake(
        "sigma-squared",
        _sigma_squared,
        "Your draws scatter around `mu` with standard deviation sigma². sigma is the standard deviation already: z = "
        "mu + sigma * epsilon, and `torch.normal` and `Normal` take it as it is, too. At sigma = 1 nobody notices; "
        "elsewhere you look at f through a cloud of the wrong size.",
    ),
    Mistake(
        "divided-by-n-minus-1",
        _divided_by_n_minus_1,
        "You divide the sum over the draws by n - 1. That is for a variance, where a mean was estimated from the same "
        "draws; nothing of that kind is done here. Your estimate is n / (n - 1) times what it should be: nothing you "
        "would see at n = 1,000, twice the slope at n = 2, and infinite at n = 1. Take the plain mean.",
    ),
    Mistake(
        "divided-by-n-plus-1",
        _divided_by_n_plus_1,
        "You divide the sum over n draws by n + 1. Your estimate is n / (n + 1) times what it should be: nothing you "
        "would see at n = 1,000, two thirds of the slope at n = 2, and half of it at n = 1. Take the plain mean.",
    ),
    Mistake(
        "averaged-twice",
        _averaged_twice,
        "Everything is divided by n twice: the mean over the draws is taken, and then divided by n once more (a second "
        "`.mean()` or `/ n`). The more draws you take, the smaller your estimate; with 100 draws it is a hundredth. "
        "Take the mean once.",
    ),
    Mistake(
        "uniform-noise",
        _uniform_noise,
        "Your dice are uniform, between 0 and 1 (`torch.rand`, one letter short of `torch.randn`). The score (z - mu) "
        "/ sigma² belongs to the normal density; for draws from another one it estimates nothing.",
    ),
    Mistake(
        "fixed-seed",
        _fixed_seed,
        "Two calls use the same noise: a fixed seed is set inside the function, or numbers are kept from an earlier "
        "call (or were never rolled). The error of the estimate is then always the same, and averaging over calls, "
        "or over training steps, never removes it. Seed once, outside, and roll anew in each call.",
    ),
    Mistake(
        "grad-accumulates",
        _grad_accumulates,
        "With a new `mu` it is right. Called again with the same `mu`, it adds its gradient to what `mu.grad` still "
        "holds from the first call: what `zero_grad()` is for in training. `torch.autograd.grad` leaves nothing "
        "behind; or work on a copy, `mu.detach().requires_grad_()`.",
    ),
)


def _zero(calls: list[Call]) -> str:
    """Return the slug of the mistake whose estimates are always 0."""
    attached, silent = any(record.attached for record in calls), any(record.silent for record in calls)
    return "z-not-detached" if attached and not silent else "nothing-to-differentiate"


EXERCISE = Exercise(
    name="score_function_gradient",
    task="""**Your turn.** Write `score_function_gradient(f, mu, sigma, n)`: the same number,
$\\frac{d}{d\\mu}\\,\\mathbb E[f(z)]$ from n draws, by the score function. This time f is a closed box: you may use the
losses it returns, not their slopes. One number comes back: the mean of the n estimates.""",
    stub="score_function_gradient(f, mu, sigma, n)",
    hints=(
        "The last line of the derivation is an average over draws. Of which two factors? Which of the two needs f, "
        "and which one only `mu` and sigma?",
        "For the normal distribution the score is (z - mu) / sigma²; no autograd is needed. Each draw's score is "
        "multiplied by that draw's loss.",
        "Draw z with shape (n,), as plain numbers without a past. The products f(z) * (z - mu) / sigma² have shape "
        "(n,), too; return their mean.",
    ),
    solution=score_function_gradient,
    mistakes=MISTAKES,
    right="Each draw's loss times its score, averaged: the slope, from losses alone. For (z - 3)² at mu = 1 and "
    "sigma = 0.5 one draw's estimate has a variance of 124, as long as no baseline is taken from the losses; the "
    "pathwise one has 1.",
    judge=judge(score, (leave_one_out,), detached="nothing-to-differentiate", zero=_zero),
)
