"""Wrong ways to write `pathwise_gradient`: the slope of an average loss, by the reparameterization trick."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Normal

from .mistake import mistake
from .noise import noise

Function = Callable[[Tensor], Tensor]


@mistake
def score_function_instead(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """This is the score-function estimator, the other way past the dice. With draws from N(mu, sigma²) it is right on
    average, but it never asks for the slope of f, and it scatters far more: with f(z) = (z - 3)², mu = 1 and sigma =
    0.5, the variance of one draw's estimate is 124 in place of 1. For the pathwise gradient, let autograd go back
    through f and z to `mu`."""
    z = (mu + sigma * noise(n, mu.dtype)).detach()
    return (f(z) * (z - mu.detach()) / sigma**2).mean()


@mistake
def with_baseline_instead(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """This is a score-function estimator with a baseline. It is right on average and mostly quieter than without, but
    it never asks for the slope of f. For the pathwise gradient, let autograd go back through f and z to `mu`."""
    z = (mu + sigma * noise(n, mu.dtype)).detach()
    losses = f(z)
    others = (losses.sum() - losses) / max(n - 1, 1)
    return ((losses - others) * (z - mu.detach()) / sigma**2).mean()


@mistake
def detached(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """No gradient comes back from the losses to `mu`: the draw has no past (`.sample()`, `no_grad`), or z or f(z) was
    detached. So autograd raises an error here, or gives 0. In a VAE nothing would complain, because the KL still gives
    the encoder a gradient; it would learn the prior and nothing else. Roll epsilon first, compute z from `mu` and it,
    and keep the whole path from `mu` to the loss."""
    z = Normal(mu, sigma).sample((n,))
    return torch.autograd.grad(f(z).mean(), mu)[0]


@mistake
def silent_zeros(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """Your estimate is exactly 0, always. `torch.normal(mu, sigma)` looks as if it knew the way back, and what it sends
    back is zero. It raises no error, and a VAE trained with it draws the average picture for everything. Roll epsilon
    with `torch.randn`, and compute z from `mu` and it."""
    z = torch.normal(mu.expand(n), sigma.expand(n))
    return torch.autograd.grad(f(z).mean(), mu)[0]


@mistake
def sum_not_mean(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You add up the n draws without dividing by n: the estimate grows with n, and a learning rate that is right for 10
    draws is ten times too large for 100. An estimate of an average is an average."""
    z = mu + sigma * noise(n, mu.dtype)
    return torch.autograd.grad(f(z).sum(), mu)[0]


@mistake
def not_averaged(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You return n estimates, one for each draw. Each of them is right on average. One number is asked for, their mean:
    it scatters n times less (in variance)."""
    many = mu.detach().repeat(n).requires_grad_()
    return torch.autograd.grad(f(many + sigma * noise(n, mu.dtype)).sum(), many)[0]


@mistake
def divided_by_n_minus_1(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You divide the sum over the draws by n - 1. That is for a variance, where a mean was estimated from the same
    draws; nothing of that kind is done here. Your estimate is n / (n - 1) times what it should be: nothing you would
    see at n = 1,000, twice the slope at n = 2, and infinite at n = 1. Take the plain mean."""
    z = mu + sigma * noise(n, mu.dtype)
    return torch.autograd.grad(f(z).sum(), mu)[0] / (n - 1)


@mistake
def divided_by_n_plus_1(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You divide the sum over n draws by n + 1. Your estimate is n / (n + 1) times what it should be: nothing you would
    see at n = 1,000, two thirds of the slope at n = 2, and half of it at n = 1. Take the plain mean."""
    z = mu + sigma * noise(n, mu.dtype)
    return torch.autograd.grad(f(z).sum(), mu)[0] / (n + 1)


@mistake
def averaged_twice(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """Everything is divided by n twice: you average the losses, which divides each slope by n, and then divide by n
    once more (a second `.mean()` or `/ n`). The more draws you take, the smaller your slope; with 100 draws it is a
    hundredth. Take the mean once: of the losses, or of the slopes."""
    copies = mu.detach().repeat(n).requires_grad_()
    return torch.autograd.grad(f(copies + sigma * noise(n, mu.dtype)).mean(), copies)[0].mean()


@mistake
def loss_at_mu(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You return f(mu), the loss at the center of the cloud: no dice, and no slope. Asked is how the *average* loss
    over draws z = mu + sigma * epsilon changes when `mu` moves. Roll n dice, average the losses, and ask autograd for
    the gradient at `mu`."""
    return f(mu)


@mistake
def no_gradient(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You return the average of f, not its slope: how high the loss is, not which way is down. Ask autograd for the
    gradient of this average with respect to `mu`."""
    return f(mu + sigma * noise(n, mu.dtype)).mean()


@mistake
def no_noise(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """All that f gets to see is `mu` itself; no dice are rolled. For (z - 3)² the slope there happens to be the right
    average, since its slope is a straight line. For sin(z) it is not: under a wide cloud the waves cancel, and at its
    center there is still a slope. Average over draws z = mu + sigma * epsilon."""
    return torch.autograd.grad(f(mu.expand(n)).mean(), mu)[0]


@mistake
def gradient_to_sigma(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """This is the slope in sigma: each draw's slope comes multiplied by its epsilon. For `mu` that factor is 1, since z
    moves along with `mu` one to one. Ask for the gradient at `mu`."""
    sigma = sigma.detach().requires_grad_()
    z = mu.detach() + sigma * noise(n, mu.dtype)
    return torch.autograd.grad(f(z).mean(), sigma)[0]


@mistake
def average_inside(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You average the draws first and give f their mean: f(mean of z) instead of mean of f(z). With many draws, all the
    noise is gone before f sees it, and you get the slope at `mu`. f comes first, then the average."""
    z = mu + sigma * noise(n, mu.dtype)
    return torch.autograd.grad(f(z.mean()), mu)[0]


@mistake
def sigma_forgotten(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """Your z = mu + epsilon has standard deviation 1, whatever sigma is. For (z - 3)² the average slope happens not to
    depend on sigma; for other losses it does: you look at the hill through a cloud of the wrong size."""
    z = mu + noise(n, mu.dtype)
    return torch.autograd.grad(f(z).mean(), mu)[0]


@mistake
def sigma_squared(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You scale epsilon with sigma². sigma is the standard deviation already: z = mu + sigma * epsilon."""
    z = mu + sigma**2 * noise(n, mu.dtype)
    return torch.autograd.grad(f(z).mean(), mu)[0]


@mistake
def noise_added_before_scaling(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """You add `mu` and epsilon first and scale the sum: the cloud's center is sigma times `mu`, and moving `mu` moves z
    only sigma times as far. Scale epsilon alone: z = mu + sigma * epsilon."""
    z = (mu + noise(n, mu.dtype)) * sigma
    return torch.autograd.grad(f(z).mean(), mu)[0]


@mistake
def wrong_sign(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """The sign is reversed. The optimizer puts in the minus by itself: with yours, it would walk uphill."""
    z = mu + sigma * noise(n, mu.dtype)
    return -torch.autograd.grad(f(z).mean(), mu)[0]


@mistake
def uniform_noise(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """Your dice are uniform, between 0 and 1 (`torch.rand`, one letter short of `torch.randn`). z then lies on one side
    of `mu` only, and the slope is the average over another cloud than the one asked for."""
    z = mu + sigma * torch.rand(n, dtype=mu.dtype)
    return torch.autograd.grad(f(z).mean(), mu)[0]


@mistake
def single_draw(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """All n draws are one and the same. The estimate is right on average, but it scatters as if n were 1: the other
    draws cost time and bring nothing. Roll n dice."""
    z = mu + sigma * torch.randn((), dtype=mu.dtype)
    return torch.autograd.grad(f(z.expand(n)).mean(), mu)[0]


@mistake
def fixed_seed(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """Two calls use the same noise: a fixed seed is set inside the function, or numbers are kept from an earlier call
    (or were never rolled). The error of the estimate is then always the same, and averaging over calls, or over
    training steps, never removes it. Seed once, outside, and roll anew in each call."""
    epsilon = torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=mu.dtype)
    return torch.autograd.grad(f(mu + sigma * epsilon).mean(), mu)[0]


@mistake
def grad_accumulates(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    """With a new `mu` it is right. Called again with the same `mu`, it adds its gradient to what `mu.grad` still holds
    from the first call: what `zero_grad()` is for in training. `torch.autograd.grad` leaves nothing behind; or work on
    a copy, `mu.detach().requires_grad_()`."""
    mu.requires_grad_()
    f(mu + sigma * noise(n, mu.dtype)).mean().backward()
    assert mu.grad is not None
    return mu.grad.clone()
