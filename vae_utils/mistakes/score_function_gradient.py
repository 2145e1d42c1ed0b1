"""Wrong ways to write `score_function_gradient`: the slope of an average loss, by the score function."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Normal

from .mistake import mistake
from .noise import noise

Function = Callable[[Tensor], Tensor]


def _draws(mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    return (mu + sigma * noise(n, mu.dtype)).detach()


@mistake
def loss_at_mu(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You return f(mu), the loss at the center of the cloud: no dice, and no slope. Asked is how the *average* loss
    over draws z ~ N(mu, sigma²) changes when `mu` moves. Draw n values of z, and average the products of their losses
    and their scores."""
    return f(mu)


@mistake
def slope_at_mu(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You take the slope of f at `mu` itself: no dice are rolled, and autograd looks into f, which is a closed box
    here. It is not even right on average, except where the slope of f is a straight line, as for (z - 3)²; for sin(z)
    it is wrong. Draw n values of z, and use f(z) and the slope of log q(z)."""
    mu = mu.detach().requires_grad_()
    return torch.autograd.grad(f(mu), mu)[0]


@mistake
def no_noise(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """All that f gets to see is `mu` itself; no dice are rolled. The score (z - mu) / sigma² is 0 at z = mu, so the
    estimate is 0 whatever f is. This estimator lives on the differences between draws: draw n values of z from N(mu,
    sigma²)."""
    z = mu.detach().expand(n)
    return (f(z) * (z - mu) / sigma**2).mean()


@mistake
def pathwise_instead(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """This is the pathwise gradient: it goes back through f. Right on average, and quieter here. But the score function
    is asked for, which never needs the slope of f: it also works where f jumps, or is a program that autograd can't see
    into. Use the value f(z) and the slope of log q(z)."""
    mu = mu.detach().requires_grad_()
    return torch.autograd.grad(f(mu + sigma * noise(n, mu.dtype)).mean(), mu)[0]


@mistake
def sigma_not_squared(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """Each loss is multiplied by (z - mu) / sigma, which is epsilon, and not by (z - mu) / sigma²: one division by
    sigma is missing, and the estimate is sigma times the slope. At sigma = 1 nobody notices. The square comes from the
    exponent of the normal density, -(z - mu)² / (2 sigma²)."""
    z = _draws(mu, sigma, n)
    return (f(z) * (z - mu) / sigma).mean()


@mistake
def sigma_forgotten(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """Each loss is multiplied by (z - mu), without the division by sigma²: the estimate is sigma² times the slope. At
    sigma = 1 nobody notices; for a narrow cloud almost nothing is left. The score of a normal density is (z - mu) /
    sigma²."""
    z = _draws(mu, sigma, n)
    return (f(z) * (z - mu)).mean()


@mistake
def wrong_sign(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """The sign is reversed (a minus too many, or (mu - z) in place of (z - mu)): training would walk uphill. Where
    draws to the right of `mu` have larger losses, the slope is positive."""
    z = _draws(mu, sigma, n)
    return (f(z) * (mu - z) / sigma**2).mean()


@mistake
def loss_forgotten(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You average the score alone. Its average is 0 for every cloud, which is why a baseline changes nothing on
    average. The score of each draw must be multiplied by that draw's loss."""
    z = _draws(mu, sigma, n)
    f(z)
    return ((z - mu) / sigma**2).mean()


@mistake
def averages_multiplied(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You average the losses and the scores separately and multiply the two averages. But all that this estimator knows
    is *which* draw had the larger loss, and an average forgets that; what is left is mostly noise around 0. Multiply
    draw by draw, then average."""
    z = _draws(mu, sigma, n)
    return f(z).mean() * ((z - mu) / sigma**2).mean()


@mistake
def log_density_not_its_slope(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You multiply the losses by log q(z), not by its derivative. What is needed is how log q changes with `mu`: (z -
    mu) / sigma², or autograd on `log_prob`."""
    z = _draws(mu, sigma, n)
    return (f(z) * Normal(mu.detach(), sigma).log_prob(z)).mean()


@mistake
def density_not_its_log(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You take the slope of the density q(z), without the logarithm. In the integral it is right. But an average over
    draws has weighted with q already, so dense places count twice. The logarithm takes that q out: the slope of log q
    is the slope of q divided by q."""
    mu = mu.detach().requires_grad_()
    z = _draws(mu, sigma, n)
    return torch.autograd.grad((f(z) * Normal(mu, sigma).log_prob(z).exp()).mean(), mu)[0]


@mistake
def z_not_detached(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You let the gradient go through z as well. When `mu` moves, z moves along, log q(z) stays as it is, and its slope
    is exactly 0; what comes out is the slope of f times log q, which means nothing (and is 0 where f(z) is detached).
    For the score function z is a mere number: `z.detach()`, or draw it under `torch.no_grad()`."""
    mu = mu.detach().requires_grad_()
    z = mu + sigma * noise(n, mu.dtype)
    return torch.autograd.grad((f(z) * Normal(mu, sigma).log_prob(z)).mean(), mu)[0]


@mistake
def nothing_to_differentiate(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """Nothing that you send backward depends on `mu` in a way that autograd can follow, so it stops with an error, or
    gives 0. z is a mere number here, and f(z) too. In this estimator the path to `mu` is log q(z): multiply f(z) by
    `Normal(mu, sigma).log_prob(z)`, with a `mu` that requires a gradient; or do without autograd, by the formula (z -
    mu) / sigma²."""
    mu = mu.detach().requires_grad_()
    return torch.autograd.grad(f(_draws(mu, sigma, n)).mean(), mu)[0]


@mistake
def both_at_once(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You add the pathwise gradient and the score function. Each of them alone is right on average, so the sum is twice
    the slope. It happens where z is detached in log q but not in f. Detach it in both."""
    mu = mu.detach().requires_grad_()
    z = mu + sigma * noise(n, mu.dtype)
    log_q = Normal(mu, sigma).log_prob(z.detach())
    return torch.autograd.grad((f(z) + f(z).detach() * log_q).mean(), mu)[0]


@mistake
def score_of_sigma(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """This is the slope in sigma: ((z - mu)² - sigma²) / sigma³ is the score for the width. For the center it is (z -
    mu) / sigma²."""
    z = _draws(mu, sigma, n)
    return (f(z) * ((z - mu) ** 2 - sigma**2) / sigma**3).mean()


@mistake
def baseline_from_the_same_draws(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """A baseline is a good idea, but yours is the mean of the very losses that it is taken from. Each draw pulls it
    toward itself, and the estimate shrinks by 1 - 1/n: nothing you would see at n = 1,000, half of the slope at n = 2,
    and always 0 at n = 1. Take the mean of the *other* draws, or of a second set, or leave the baseline out."""
    z = _draws(mu, sigma, n)
    losses = f(z)
    return ((losses - losses.mean()) * (z - mu) / sigma**2).mean()


@mistake
def sum_not_mean(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You add up the n draws without dividing by n: the estimate grows with n, and a learning rate that is right for 10
    draws is ten times too large for 100. An estimate of an average is an average."""
    z = _draws(mu, sigma, n)
    return (f(z) * (z - mu) / sigma**2).sum()


@mistake
def not_averaged(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You return n estimates, one for each draw. Each of them is right on average. One number is asked for, their mean:
    it scatters n times less (in variance), and this estimator needs that."""
    z = _draws(mu, sigma, n)
    return f(z) * (z - mu) / sigma**2


@mistake
def single_draw(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """All n draws are one and the same. The estimate is right on average, but it scatters as if n were 1: the other
    draws cost time and bring nothing. Roll n dice."""
    z = (mu + sigma * torch.randn((), dtype=mu.dtype)).detach().expand(n)
    return (f(z) * (z - mu) / sigma**2).mean()


@mistake
def sigma_squared(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """Your draws scatter around `mu` with standard deviation sigma². sigma is the standard deviation already: z = mu +
    sigma * epsilon, and `torch.normal` and `Normal` take it as it is, too. At sigma = 1 nobody notices; elsewhere you
    look at f through a cloud of the wrong size, and get sigma² times the slope there."""
    z = (mu + sigma**2 * noise(n, mu.dtype)).detach()
    return (f(z) * (z - mu) / sigma**2).mean()


@mistake
def divided_by_n_minus_1(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You divide the sum over the draws by n - 1. That is for a variance, where a mean was estimated from the same
    draws; nothing of that kind is done here. Your estimate is n / (n - 1) times what it should be: nothing you would
    see at n = 1,000, twice the slope at n = 2, and infinite at n = 1. Take the plain mean."""
    z = _draws(mu, sigma, n)
    return (f(z) * (z - mu) / sigma**2).sum() / (n - 1)


@mistake
def divided_by_n_plus_1(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You divide the sum over n draws by n + 1. Your estimate is n / (n + 1) times what it should be: nothing you would
    see at n = 1,000, two thirds of the slope at n = 2, and half of it at n = 1. Take the plain mean."""
    z = _draws(mu, sigma, n)
    return (f(z) * (z - mu) / sigma**2).sum() / (n + 1)


@mistake
def averaged_twice(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """Everything is divided by n twice: the mean over the draws is taken, and then divided by n once more (a second
    `.mean()` or `/ n`). The more draws you take, the smaller your estimate; with 100 draws it is a hundredth. Take the
    mean once."""
    z = _draws(mu, sigma, n)
    return (f(z) * (z - mu) / sigma**2).mean() / n


@mistake
def uniform_noise(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """Your dice are uniform, between 0 and 1 (`torch.rand`, one letter short of `torch.randn`). The score (z - mu) /
    sigma² belongs to the normal density; for draws from another one it estimates nothing."""
    z = (mu + sigma * torch.rand(n, dtype=mu.dtype)).detach()
    return (f(z) * (z - mu) / sigma**2).mean()


@mistake
def fixed_seed(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """Two calls use the same noise: a fixed seed is set inside the function, or numbers are kept from an earlier call
    (or were never rolled). The error of the estimate is then always the same, and averaging over calls, or over
    training steps, never removes it. Seed once, outside, and roll anew in each call."""
    epsilon = torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=mu.dtype)
    z = (mu + sigma * epsilon).detach()
    return (f(z) * (z - mu) / sigma**2).mean()


@mistake
def grad_accumulates(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """With a new `mu` it is right. Called again with the same `mu`, it adds its gradient to what `mu.grad` still holds
    from the first call: what `zero_grad()` is for in training. `torch.autograd.grad` leaves nothing behind; or work on
    a copy, `mu.detach().requires_grad_()`."""
    mu.requires_grad_()
    z = _draws(mu, sigma, n)
    (f(z) * Normal(mu, sigma).log_prob(z)).mean().backward()
    assert mu.grad is not None
    return mu.grad.clone()
