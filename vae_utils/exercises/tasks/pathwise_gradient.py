"""Notebook 03: the slope of an average loss, by the reparameterization trick."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Normal

from ..exercise import Exercise, Mistake
from ..gradient_judge import Call, judge, pathwise
from ..randomness import noise

Function = Callable[[Tensor], Tensor]


def pathwise_gradient(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    mu = mu.detach().requires_grad_()  # a copy of our own, to ask for its gradient
    z = mu + sigma * torch.randn(n, dtype=mu.dtype)
    (gradient,) = torch.autograd.grad(f(z).mean(), mu)
    return gradient


def _score_function_instead(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = (mu + sigma * noise(n, mu.dtype)).detach()
    return (f(z) * (z - mu.detach()) / sigma**2).mean()


def _with_baseline_instead(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = (mu + sigma * noise(n, mu.dtype)).detach()
    losses = f(z)
    others = (losses.sum() - losses) / max(n - 1, 1)
    return ((losses - others) * (z - mu.detach()) / sigma**2).mean()


def _detached(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = Normal(mu, sigma).sample((n,))
    return torch.autograd.grad(f(z).mean(), mu)[0]


def _silent_zeros(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = torch.normal(mu.expand(n), sigma.expand(n))
    return torch.autograd.grad(f(z).mean(), mu)[0]


def _sum_not_mean(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = mu + sigma * noise(n, mu.dtype)
    return torch.autograd.grad(f(z).sum(), mu)[0]


def _not_averaged(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    many = mu.detach().repeat(n).requires_grad_()
    return torch.autograd.grad(f(many + sigma * noise(n, mu.dtype)).sum(), many)[0]


def _no_gradient(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    return f(mu + sigma * noise(n, mu.dtype)).mean()


def _averaged_twice(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    copies = mu.detach().repeat(n).requires_grad_()
    return torch.autograd.grad(f(copies + sigma * noise(n, mu.dtype)).mean(), copies)[0].mean()


def _divided_by_n_minus_1(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = mu + sigma * noise(n, mu.dtype)
    return torch.autograd.grad(f(z).sum(), mu)[0] / (n - 1)


def _divided_by_n_plus_1(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = mu + sigma * noise(n, mu.dtype)
    return torch.autograd.grad(f(z).sum(), mu)[0] / (n + 1)


def _loss_at_mu(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    return f(mu)


def _no_noise(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    return torch.autograd.grad(f(mu.expand(n)).mean(), mu)[0]


def _gradient_to_sigma(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    sigma = sigma.detach().requires_grad_()
    z = mu.detach() + sigma * noise(n, mu.dtype)
    return torch.autograd.grad(f(z).mean(), sigma)[0]


def _average_inside(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = mu + sigma * noise(n, mu.dtype)
    return torch.autograd.grad(f(z.mean()), mu)[0]


def _sigma_forgotten(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = mu + noise(n, mu.dtype)
    return torch.autograd.grad(f(z).mean(), mu)[0]


def _sigma_squared(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = mu + sigma**2 * noise(n, mu.dtype)
    return torch.autograd.grad(f(z).mean(), mu)[0]


def _noise_added_before_scaling(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = (mu + noise(n, mu.dtype)) * sigma
    return torch.autograd.grad(f(z).mean(), mu)[0]


def _wrong_sign(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = mu + sigma * noise(n, mu.dtype)
    return -torch.autograd.grad(f(z).mean(), mu)[0]


def _uniform_noise(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = mu + sigma * torch.rand(n, dtype=mu.dtype)
    return torch.autograd.grad(f(z).mean(), mu)[0]


def _single_draw(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    z = mu + sigma * torch.randn((), dtype=mu.dtype)
    return torch.autograd.grad(f(z.expand(n)).mean(), mu)[0]


def _fixed_seed(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    epsilon = torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=mu.dtype)
    return torch.autograd.grad(f(mu + sigma * epsilon).mean(), mu)[0]


def _grad_accumulates(f: Function, mu: Tensor, sigma: Tensor, n: int) -> Tensor:
    mu.requires_grad_()
    f(mu + sigma * noise(n, mu.dtype)).mean().backward()
    assert mu.grad is not None
    return mu.grad.clone()


MISTAKES = (
    Mistake(
        "score-function-instead",
        _score_function_instead,
        "This is the score-function estimator, the other way past the dice. With draws from N(mu, sigma²) it is right "
        "on average, but it never asks for the slope of f, and it scatters far more: with f(z) = (z - 3)², mu = 1 and "
        "sigma = 0.5, the variance of one draw's estimate is 124 in place of 1. For the pathwise gradient, let "
        "autograd go back through f and z to `mu`.",
    ),
    Mistake(
        "with-baseline-instead",
        _with_baseline_instead,
        "This is a score-function estimator with a baseline. It is right on average and quieter than without one, but "
        "it never asks for the slope of f. For the pathwise gradient, let autograd go back through f and z to `mu`.",
    ),
    Mistake(
        "detached",
        _detached,
        "No gradient comes back from the losses to `mu`: the draw has no past (`.sample()`, `no_grad`), or z or f(z) "
        "was detached. So autograd raises an error here, or gives 0. In a VAE nothing would complain, because the KL "
        "still gives the encoder a gradient; it would learn the prior and nothing else. Roll epsilon first, compute z "
        "from `mu` and it, and keep the whole path from `mu` to the loss.",
    ),
    Mistake(
        "silent-zeros",
        _silent_zeros,
        "Your estimate is exactly 0, always. `torch.normal(mu, sigma)` looks as if it knew the way back, and what it "
        "sends back is zero. It raises no error, and a VAE trained with it draws the average picture for everything. "
        "Roll epsilon with `torch.randn`, and compute z from `mu` and it.",
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
        "mean: it scatters n times less (in variance).",
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
        "Everything is divided by n twice: you average the losses, which divides each slope by n, and then divide by n "
        "once more (a second `.mean()` or `/ n`). The more draws you take, the smaller your slope; with 100 draws it "
        "is a hundredth. Take the mean once: of the losses, or of the slopes.",
    ),
    Mistake(
        "loss-at-mu",
        _loss_at_mu,
        "You return f(mu), the loss at the center of the cloud: no dice, and no slope. Asked is how the *average* "
        "loss over draws z = mu + sigma * epsilon changes when `mu` moves. Roll n dice, average the losses, and ask "
        "autograd for the gradient at `mu`.",
    ),
    Mistake(
        "no-gradient",
        _no_gradient,
        "You return the average of f, not its slope: how high the loss is, not which way is down. Ask autograd for "
        "the gradient of this average with respect to `mu`.",
    ),
    Mistake(
        "no-noise",
        _no_noise,
        "All that f gets to see is `mu` itself; no dice are rolled. For (z - 3)² the slope there happens to be the "
        "right average, since its slope is a straight line. For sin(z) it is not: under a wide cloud the waves cancel, "
        "and at its center there is still a slope. Average over draws z = mu + sigma * epsilon.",
    ),
    Mistake(
        "gradient-to-sigma",
        _gradient_to_sigma,
        "This is the slope in sigma: each draw's slope comes multiplied by its epsilon. For `mu` that factor is 1, "
        "since z moves along with `mu` one to one. Ask for the gradient at `mu`.",
    ),
    Mistake(
        "average-inside",
        _average_inside,
        "You average the draws first and give f their mean: f(mean of z) instead of mean of f(z). With many draws, "
        "all the noise is gone before f sees it, and you get the slope at `mu`. f comes first, then the average.",
    ),
    Mistake(
        "sigma-forgotten",
        _sigma_forgotten,
        "Your z = mu + epsilon has standard deviation 1, whatever sigma is. For (z - 3)² the average slope happens "
        "not to depend on sigma; for other losses it does: you look at the hill through a cloud of the wrong size.",
    ),
    Mistake(
        "sigma-squared",
        _sigma_squared,
        "You scale epsilon with sigma². sigma is the standard deviation already: z = mu + sigma * epsilon.",
    ),
    Mistake(
        "noise-added-before-scaling",
        _noise_added_before_scaling,
        "You add `mu` and epsilon first and scale the sum: the cloud's center is sigma times `mu`, and moving `mu` "
        "moves z only sigma times as far. Scale epsilon alone: z = mu + sigma * epsilon.",
    ),
    Mistake(
        "wrong-sign",
        _wrong_sign,
        "The sign is reversed. The optimizer puts in the minus by itself: with yours, it would walk uphill.",
    ),
    Mistake(
        "uniform-noise",
        _uniform_noise,
        "Your dice are uniform, between 0 and 1 (`torch.rand`, one letter short of `torch.randn`). z then lies on one "
        "side of `mu` only, and the slope is the average over another cloud than the one asked for.",
    ),
    Mistake(
        "single-draw",
        _single_draw,
        "All n draws are one and the same. The estimate is right on average, but it scatters as if n were 1: the "
        "other draws cost time and bring nothing. Roll n dice.",
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
    return "silent-zeros" if any(record.silent for record in calls) else "detached"


EXERCISE = Exercise(
    name="pathwise_gradient",
    task="""**Your turn.** Write `pathwise_gradient(f, mu, sigma, n)`: an estimate of
$\\frac{d}{d\\mu}\\,\\mathbb E[f(z)]$, $z \\sim \\mathcal N(\\mu, \\sigma^2)$, from n draws, by the trick. `mu` and
`sigma` are tensors of one number each; `f` takes a tensor of n draws and returns their n losses. One number comes
back: the mean of the n slopes.""",
    stub="pathwise_gradient(f, mu, sigma, n)",
    hints=(
        "Roll n dice that know nothing of `mu`. Then everything from `mu` to the mean loss is a plain function, and "
        "autograd can tell its slope.",
        "z = mu + sigma * epsilon has shape (n,); `f(z).mean()` is one number. `mu` must require a gradient: take a "
        "copy, `mu.detach().requires_grad_()`.",
        "`torch.autograd.grad(f(z).mean(), mu)` returns a tuple with one entry, the slope. (Or call `backward()` on "
        "your own copy and read its `.grad`.)",
    ),
    solution=pathwise_gradient,
    mistakes=MISTAKES,
    right="Your number is the mean slope of f over the draws, with `mu` moving all of them along. One draw's slope "
    "scatters as the slope of f does under the cloud: for (z - 3)², with a variance of 4 sigma², wherever the cloud "
    "is.",
    judge=judge(pathwise, (), detached="detached", zero=_zero),
)
