"""Wrong answers that are no known mistake alone: two at once, other weights, pixels, widths, another dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_utils import exercises
from vae_utils.exercises.verdict import Verdict
from vae_utils.losses import bernoulli_nll, gaussian_kl


def unnamed(found: Verdict, says: str) -> None:
    assert (found.passed, found.mistake) == (False, None), found
    assert says in found.message, found


# A known mistake and a reduction that nobody asked for.


@pytest.mark.parametrize(
    ("name", "function", "slug", "other"),
    [
        ("bernoulli_nll", lambda logits, x: F.binary_cross_entropy_with_logits(x, logits), "swapped", "mean-of-all"),
        ("bernoulli_nll", lambda logits, x: F.mse_loss(logits.sigmoid(), x), "squared-error", "mean-of-all"),
        (
            "bernoulli_nll",
            lambda logits, x: F.binary_cross_entropy_with_logits(logits.sigmoid(), x, reduction="sum"),
            "sigmoid-twice",
            "sum-of-all",
        ),
        (
            "gaussian_kl",
            lambda mu, logvar: 0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(),
            "sign-flipped",
            "sum-of-all",
        ),
        ("gaussian_kl", lambda mu, logvar: -(1 + logvar - mu**2 - logvar.exp()).mean(), "no-half", "mean-of-all"),
        ("gaussian_kl", lambda mu, logvar: gaussian_kl(mu, 2 * logvar).mean(), "log-std", "averaged-batch"),
        ("gaussian_kl", lambda mu, logvar: gaussian_kl(logvar, mu) / mu.shape[1], "swapped", "averaged-latents"),
        ("reconstruction_error", lambda x, x_hat: F.l1_loss(x, x_hat), "absolute", "averaged-over-everything"),
        (
            "negative_elbo",
            lambda logits, x, mu, logvar, beta=1.0: (
                bernoulli_nll(logits, x) + 2 * beta * gaussian_kl(mu, logvar)
            ).sum(),
            "no-half",
            "sum-of-all",
        ),
    ],
)
def test_a_mistake_with_a_reduction_is_named_as_both(
    name: str, function: Callable[..., Any], slug: str, other: str
) -> None:
    exercise = getattr(exercises, name)
    found = exercise.check(function)
    assert (found.passed, found.mistake) == (False, slug), found
    assert exercise.mistake(slug).why in found.message and exercise.mistake(other).why in found.message


@pytest.mark.parametrize(("reduction", "slug"), [("mean", "mean-of-all"), ("sum", "sum-of-all")])
def test_a_cross_entropy_of_chances_is_named_by_its_reduction(reduction: str, slug: str) -> None:
    """What is bounded far out, too, is not described by an accident of a single pixel."""
    found = exercises.bernoulli_nll.check(
        lambda logits, x: F.binary_cross_entropy(logits.sigmoid(), x, reduction=reduction)
    )
    assert found.mistake == slug and "numbers are right" not in found.message


def test_one_number_is_never_called_right_by_accident() -> None:
    for function in (lambda mu, logvar: mu.sum() * 0, lambda mu, logvar: (mu**2).sum() ** 2 / 8):
        assert "numbers are right" not in exercises.gaussian_kl.check(function).message


# Weights on the terms, and a factor on both.


def weighed(a: float, b: float) -> Callable[..., Tensor]:
    return lambda logits, x, mu, logvar, beta=1.0: a * bernoulli_nll(logits, x) + b * beta * gaussian_kl(mu, logvar)


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        (weighed(1, 0.1), "the KL weighs 0.1 times what it should"),
        (weighed(1, 0.00025), "the KL weighs 0.00025 times what it should"),
        (weighed(10, 1), "The reconstruction weighs 10 times what it should"),
        (weighed(2, 3), "a silent β = 1.5"),
        (
            lambda logits, x, *a: bernoulli_nll(logits, x) / x[0].numel() + 0.1 * a[2] * gaussian_kl(a[0], a[1]),
            "is divided by the number of pixel values, and the KL weighs 0.1 times",
        ),
        (weighed(0.3, 0.3), "Both terms are multiplied by 0.3"),
        (lambda *a: weighed(1, 1)(*a) / a[1][0].numel(), "Both terms are divided by the number of pixel values"),
        (lambda *a: weighed(1, 1)(*a) / len(a[1]), "Both terms are divided by the batch size"),
        (lambda *a: weighed(1, 5)(*a).mean(), "the KL weighs 5 times what it should"),
        (lambda *a: weighed(1, 0.1)(*a[:4]), "`beta` comes in and is not used"),
    ],
)
def test_weights_are_found_and_said_with_their_number(loss: Callable[..., Tensor], says: str) -> None:
    def negative_elbo(logits, x, mu, logvar, beta=1.0):
        return loss(logits, x, mu, logvar, beta)

    unnamed(exercises.negative_elbo.check(negative_elbo), says)


Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def step_on(loss: Loss, after_backward: Callable[[nn.Module], Any] = lambda model: None) -> Callable[..., float]:
    def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor) -> float:
        parameters, mu, logvar = model(x)
        mean = loss(parameters, x, mu, logvar)
        optimizer.zero_grad()
        mean.backward()
        after_backward(model)
        optimizer.step()
        return mean.item()

    return step


def right(*arguments: Tensor) -> Tensor:
    return weighed(1, 1)(*arguments).mean()


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (step_on(lambda *a: weighed(1, 0.1)(*a).mean()), "the KL weighs 0.1 times"),
        (step_on(lambda *a: weighed(1, 0.1)(*a).sum()), "everything is multiplied by the batch size"),
        (step_on(lambda *a: right(*a) / a[1][0].numel()), "Both terms are divided by the number of pixel values"),
        (step_on(lambda p, x, mu, logvar: right(p, x, logvar, mu)), "`model(x)` returns (parameters, mu, logvar)"),
        (step_on(lambda p, x, mu, logvar: right(p, 2 * x - 1, mu, logvar)), "rescaled inside: 2x − 1"),
        (lambda model, optimizer, x: step_on(right)(model, optimizer, x / 255), "rescaled inside: x / 255"),
        (step_on(right, lambda model: nn.utils.clip_grad_norm_(model.parameters(), 1.0)), "its norm is at most 1."),
        (step_on(right, lambda model: nn.utils.clip_grad_value_(model.parameters(), 0.5)), "entries are at most 0.5."),
    ],
)
def test_what_a_step_alters_is_described(step: Callable[..., float], says: str) -> None:
    unnamed(exercises.training_step.check(step), says)


# Arguments that are altered before they are used.


@pytest.mark.parametrize(
    ("change", "says"),
    [(lambda x: 2 * x - 1, "2x − 1"), (lambda x: x / 255, "x / 255"), (lambda x: 1 - x, "a negative")],
)
def test_pixels_rescaled_inside_are_described(change: Callable[[Tensor], Tensor], says: str) -> None:
    unnamed(exercises.bernoulli_nll.check(lambda logits, x: bernoulli_nll(logits, change(x))), says)
    unnamed(
        exercises.negative_elbo.check(
            lambda logits, x, mu, logvar, beta=1.0: exercises.negative_elbo.answer(logits, change(x), mu, logvar, beta)
        ),
        says,
    )


@pytest.mark.parametrize(
    ("sigma", "says"),
    [
        (F.softplus, "Your standard deviation is softplus(logvar)"),
        (lambda logvar: F.softplus(logvar).sqrt(), "the root of softplus(logvar)"),
    ],
)
def test_another_reading_of_logvar_is_described(sigma: Callable[[Tensor], Tensor], says: str) -> None:
    unnamed(exercises.reparameterize.check(lambda mu, logvar: mu + sigma(logvar) * torch.randn_like(mu)), says)
    unnamed(exercises.gaussian_kl.check(lambda mu, logvar: gaussian_kl(mu, 2 * sigma(logvar).log())), says)


@pytest.mark.parametrize("small", [1e-10, 1e-8, 1e-6, 1e-3])
def test_a_small_number_in_the_log_of_the_kl_is_described(small: float) -> None:
    def of_variance(mu: Tensor, logvar: Tensor) -> Tensor:
        return 0.5 * (mu**2 + logvar.exp() - 1 - (logvar.exp() + small).log()).sum(1)

    def of_sigma(mu: Tensor, logvar: Tensor) -> Tensor:
        sigma = (0.5 * logvar).exp()
        return (0.5 * (mu**2 + sigma**2 - 1) - (sigma + small).log()).sum(1)

    for function in (of_variance, of_sigma):
        found = exercises.gaussian_kl.check(function)
        if not found.passed:  # the smallest of all may be within the tolerance
            unnamed(found, f"add a small number first, about {small:.0e}")
    assert not exercises.gaussian_kl.check(of_variance).passed or small < 1e-9


# Noise.


def test_noise_in_float64_is_not_right() -> None:
    unnamed(
        exercises.reparameterize.check(
            lambda mu, logvar: mu + (0.5 * logvar).exp() * torch.from_numpy(np.random.randn(*mu.shape))
        ),
        "float32 comes in and float64 comes out",
    )
    unnamed(
        exercises.generate.check(lambda decode, n, latent: decode(torch.from_numpy(np.random.randn(n, latent)))),
        "float32 comes in and float64 comes out",
    )


def test_noise_that_is_scaled_or_cut_off_is_described() -> None:
    def with_noise(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda mu, logvar: mu + (0.5 * logvar).exp() * change(torch.randn_like(mu))

    unnamed(exercises.reparameterize.check(with_noise(lambda e: 0.1 * e)), "Everywhere it is 0.1 times sigma")
    unnamed(exercises.reparameterize.check(with_noise(lambda e: e.clamp(-2, 2))), "they are cut off there")
    unnamed(exercises.generate.check(lambda d, n, latent: d(torch.randn(n, latent).clamp(-2, 2))), "cut off there")
    unnamed(exercises.generate.check(lambda d, n, latent: d(0.7 * torch.randn(n, latent))), "deviation is 0.70")
    many = with_noise(lambda e: torch.randn_like(e[: (len(e) + 5) // 6]).repeat_interleave(6, 0)[: len(e)])
    unnamed(exercises.reparameterize.check(many), "Rows share their rolls")


@pytest.mark.parametrize(
    "change", [lambda p: 255 * p, lambda p: p.clamp(0.2, 0.8), lambda p: p.flip(0), lambda p: (p > 0.5).float()]
)
def test_altered_pictures_are_not_called_noisy(change: Callable[[Tensor], Tensor]) -> None:
    found = exercises.generate.check(lambda decode, n, latent: change(decode(torch.randn(n, latent))))
    unnamed(found, "not those that `decode` gave")


def test_channels_folded_into_the_batch_are_described() -> None:
    def folded(logits: Tensor, x: Tensor) -> Tensor:
        return bernoulli_nll(logits.flatten(0, 1), x.flatten(0, 1))

    unnamed(exercises.bernoulli_nll.check(folded), "Two axes are folded into one")
