"""What a check says of wrong functions that are no known mistake, and what it forgives."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
import torch

from vae_utils import exercises
from vae_utils.draws import not_standard_normal, ties
from vae_utils.exercises import attempt
from vae_utils.exercises.compare import difference, relation, same
from vae_utils.exercises.verdict import Verdict, as_html


def error(x, x_hat):
    return (x - x_hat).square().flatten(1).sum(1)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda x, x_hat: 2 * error(x, x_hat), "exactly twice what it should be"),
        (lambda x, x_hat: error(x, x_hat) / 2, "exactly half what it should be"),
        (lambda x, x_hat: error(x, x_hat) / 3, "exactly 1/3 of what it should be"),
        (lambda x, x_hat: -error(x, x_hat), "wrong sign"),
        (lambda x, x_hat: error(x, x_hat) + 1, "too large by 1."),
        (lambda x, x_hat: 1.37 * error(x, x_hat), "1.37 times"),
        (lambda x, x_hat: error(x, x_hat)[:, None], "(2, 1); (2,) is expected. For this input the numbers are right"),
        (lambda x, x_hat: error(x, x_hat).detach().numpy(), "NumPy array"),
        (lambda x, x_hat: error(x, x_hat).tolist(), "a list with 2 entries"),
        (lambda x, x_hat: error(x, x_hat).log().log(), "NaN"),
        (lambda x, x_hat: error(x, x_hat).round().long(), "float dtype"),
        (lambda x, x_hat: torch.ones(len(x)), "the same number whatever comes in"),
        (lambda x, x_hat: x.flatten(1) @ x_hat.flatten(1).T, "The shape is (2, 2)"),
        (lambda x, x_hat: (x - x_hat).square().sum((1, 2)), "Only the sum over the last dimensions is missing"),
    ],
)
def test_what_is_unknown_is_described(function, says):
    found = exercises.reconstruction_error.check(function)
    assert (found.passed, found.mistake) == (False, None)
    assert says in found.message
    assert "came out" in found.message and "expected" in found.message


def test_a_gradient_that_is_wrong_is_found_though_the_numbers_are_right():
    def half_of_the_gradient(x, x_hat):
        return error(x, x_hat) / 2 + (error(x, x_hat) / 2).detach()

    found = exercises.reconstruction_error.check(half_of_the_gradient)
    assert found.passed is False and "gradient of x_hat" in found.message and "exactly half" in found.message


def test_the_mistake_wins_over_a_cut_gradient():
    function = lambda x, x_hat: torch.from_numpy((x - x_hat).detach().square().flatten(1).mean(1).numpy())  # noqa: E731
    assert exercises.reconstruction_error.check(function).mistake == "averaged-over-pixels"


def test_changing_an_argument_is_reported_and_does_not_leak():
    def careless(x, x_hat):
        x_hat -= x
        return x_hat.square_().flatten(1).sum(1)

    for _ in range(2):
        found = exercises.reconstruction_error.check(careless)
        assert found.passed and "changes its argument `x_hat` in place" in found.message


def test_parameters_in_another_order_are_reported():
    def interpolate(z_end, z_start, steps):
        return exercises.interpolate.answer(z_start, z_end, steps)

    found = exercises.interpolate.check(interpolate)
    assert found.mistake == "backwards"
    assert "(z_end, z_start, steps), but the check hands them over as (z_start, z_end, steps)" in found.message


def test_lost_digits_are_reported():
    def single(x, x_hat):
        return error(x.float(), x_hat.float())

    found = exercises.reconstruction_error.check(single)
    assert found.passed and "returns float32 and loses digits" in found.message


def test_what_was_printed_is_shown_only_where_it_helps(capsys):
    def chatty(x, x_hat, factor=1):
        print("shape", tuple(x.shape))
        return factor * error(x, x_hat)

    assert "printed" not in exercises.reconstruction_error.check(chatty).message
    found = exercises.reconstruction_error.check(lambda x, x_hat: chatty(x, x_hat, 2))
    assert "shape (2, 1, 2, 2)" in found.message
    assert capsys.readouterr().out == ""


def test_an_unknown_hint_of_a_mistake_names_those_there_are():
    with pytest.raises(KeyError, match="averaged-over-pixels"):
        exercises.reconstruction_error.mistake("nothing")


def test_keyboard_interrupt_passes_and_leaves_the_generator():
    def stopped(x, x_hat):
        raise KeyboardInterrupt

    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        exercises.reconstruction_error.check(stopped)
    assert torch.equal(before, torch.get_rng_state())


def test_tolerance_follows_the_coarser_dtype():
    expected = torch.tensor([1.0, 2.0], dtype=torch.float64)
    assert same(expected.float() * (1 + 1e-5), expected)
    assert not same(expected * (1 + 1e-5), expected)
    assert not same(expected.long(), expected)
    assert same(torch.tensor([1], dtype=torch.int32), torch.tensor([1]))


def test_a_scalar_for_a_batch_is_recognized_as_sum_or_mean():
    expected = torch.tensor([1.0, 2.0, 6.0])
    assert "the sum of what is expected" in difference(expected.sum(), expected)
    assert "the mean of what is expected" in difference(expected.mean(), expected)


def test_a_relation_needs_three_numbers():
    assert relation([(torch.tensor([2.0]), torch.tensor([1.0]))]) == ""


def test_html_is_escaped_and_code_kept():
    shown = Verdict(False, None, "a `<b>` c\n\n    x <  y\n\n    z\n\nend")._repr_html_()
    assert "<code>&lt;b&gt;</code>" in shown and "x &lt;  y" in shown and "<b>" not in shown
    assert as_html("one\n\ntwo").count("<p") == 2
    assert "<em>not</em> a * b * c <code>x*y*z</code>" in as_html("*not* a * b * c `x*y*z`")


def mirrored_pathwise(f, mu, sigma, n):
    epsilon = torch.randn(n)
    losses = torch.stack([f(mu + sigma * epsilon), f(mu - sigma * epsilon)])
    return torch.autograd.grad(losses.mean(), mu)[0]


def second_draw(f, mu, sigma, n):
    z, again = (mu + sigma * torch.randn(2, n)).detach()
    return ((f(z) - f(again)) * (z - mu) / sigma**2).mean()


# What is wrong with the noise, if it is no known mistake.


def reparameterized(epsilon_of, width=1.0):
    return lambda mu, logvar: mu + width * (0.5 * logvar).exp() * epsilon_of(mu)


def laplace(mu):
    return torch.distributions.Laplace(0.0, 0.5**0.5).sample(mu.shape)


def mirrored(mu):
    half = torch.randn_like(mu[: (len(mu) + 1) // 2])
    return torch.cat([half, -half])[: len(mu)]


def shared_by_neighbors(mu):
    return torch.randn_like(mu[: (len(mu) + 1) // 2]).repeat_interleave(2, 0)[: len(mu)]


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (reparameterized(lambda mu: (torch.rand_like(mu) - 0.5) * 12**0.5), "no tails"),
        (reparameterized(lambda mu: torch.randn_like(mu).sign()), "no tails"),
        (reparameterized(laplace), "not the normal one"),
        (reparameterized(lambda mu: torch.empty_like(mu).exponential_() - 1), "not the normal one"),
        (reparameterized(torch.randn_like, width=1.08), "standard deviation is 1.0"),
        (reparameterized(mirrored), "have the same ones, with the other sign"),
        (reparameterized(shared_by_neighbors), "Rows share their rolls: `z[0]` and `z[1]`"),
        (reparameterized(torch.randn_like, width=3.0), "The width of the clouds is not right"),
        (lambda mu, logvar: mu + 1 + (0.5 * logvar).exp() * torch.randn_like(mu), "The center of the clouds"),
        (lambda mu, logvar: torch.randn(len(mu)), "The shape is"),
        (lambda mu, logvar: (mu + (0.5 * logvar).exp() * torch.randn_like(mu)).sum(1), "The shape is"),
    ],
)
def test_wrong_noise_is_described(function, says):
    found = exercises.reparameterize.check(function)
    assert found.passed is False and found.mistake is None
    assert says in found.message, found


def test_a_gradient_through_sigma_alone_twice_is_described():
    def doubled(mu, logvar):
        sigma = (0.5 * logvar).exp()
        return mu + (2 * sigma - sigma.detach()) * torch.randn_like(mu)

    found = exercises.reparameterize.check(doubled)
    assert found.passed is False and "gradient at logvar" in found.message


@pytest.mark.parametrize(
    ("function", "slug"),
    [
        (lambda mu, logvar: (mu + (0.5 * logvar).exp() * torch.randn_like(mu)).detach(), "detached"),
        (torch.no_grad()(lambda mu, logvar: mu + (0.5 * logvar).exp() * torch.randn_like(mu)), "detached"),
        (lambda mu, logvar: mu + (0.5 * logvar).exp().mul(torch.randn_like(mu) * 0), "no-noise"),
        (lambda mu, logvar: mu + logvar.exp().sqrt() * torch.randn(1, mu.shape[1]), "one-noise-per-batch"),
        (lambda mu, logvar: torch.normal(mu, logvar.exp()), "std-is-exp-logvar"),
        (lambda mu, logvar: torch.normal(mu, logvar.abs()), "std-is-logvar"),
    ],
)
def test_a_known_mistake_is_named_in_other_clothes(function, slug):
    assert exercises.reparameterize.check(function).mistake == slug


def test_fixed_seed_through_the_global_generator_is_named():
    def seeded(mu, logvar):
        torch.manual_seed(3)
        return mu + (0.5 * logvar).exp() * torch.randn_like(mu)

    assert exercises.reparameterize.check(seeded).mistake == "fixed-seed"


STYLES = {
    "reparameterize": (
        lambda mu, logvar: mu + (0.5 * logvar).exp() * torch.randn_like(mu),
        lambda mu, logvar: torch.distributions.Normal(mu, (0.5 * logvar).exp()).rsample(),
        lambda mu, logvar: mu + logvar.exp().sqrt() * torch.tensor(np.random.randn(*mu.shape), dtype=mu.dtype),
        lambda mu, logvar: (mu.double() + (0.5 * logvar).exp() * torch.randn(mu.shape, dtype=torch.float64)).float(),
        lambda mu, logvar: mu + (0.5 * logvar).exp() * torch.stack([torch.randn(mu.shape[1]) for _ in mu]),
    ),
    "generate": (
        lambda decode, n, latent_dim: decode(torch.randn(n, latent_dim)),
        lambda decode, n, latent_dim: torch.cat([decode(z) for z in torch.randn(n, latent_dim).split(100)]),
    ),
    "pathwise_gradient": (exercises.pathwise_gradient.answer, mirrored_pathwise),
    "score_function_gradient": (exercises.score_function_gradient.answer, second_draw),
}


@pytest.mark.parametrize("name", STYLES)
def test_right_noise_is_never_refused(name, monkeypatch):
    """A few seeds here; VAE_NOISE_SEEDS=1000 tries as many."""
    for seed in range(int(os.environ.get("VAE_NOISE_SEEDS", "3"))):
        monkeypatch.setattr(attempt, "OFFSET", 1_000_000 * (seed + 1))
        for function in STYLES[name]:
            found = getattr(exercises, name).check(function)
            assert found.passed, (seed, found)


def test_limits_of_the_noise_hold_over_many_seeds():
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        epsilon, again = torch.randn(2, 500, 4, generator=generator, dtype=torch.float64)
        assert not_standard_normal(torch.cat([epsilon, again])) == ""
        assert ties(epsilon, again) == ""


# Estimators that are neither the formula nor a known mistake.


def test_unbiased_but_noisier_is_reported():
    def noisy(f, mu, sigma, n):
        z = (mu + sigma * torch.randn(n)).requires_grad_()
        slope = torch.autograd.grad(f(z).sum(), z)[0].mean()
        return slope + 30 * torch.randn(())

    found = exercises.pathwise_gradient.check(noisy)
    assert found.passed is False and "scatter more than they need to" in found.message


def test_a_factor_is_found_without_error_bars():
    found = exercises.score_function_gradient.check(
        lambda f, mu, sigma, n: 1.3 * exercises.score_function_gradient.answer(f, mu, sigma, n)
    )
    assert found.passed is False and "1.3 times" in found.message


def test_a_biased_estimate_is_shown_with_its_error_bar():
    def shrunk(f, mu, sigma, n):
        z = (mu + sigma * torch.randn(n)).detach()
        return ((f(z) - 0.5 * f(2 * mu - z)) * (z - mu) / sigma**2).mean()

    found = exercises.score_function_gradient.check(shrunk)
    assert found.passed is False and "is not the slope" in found.message and "±" in found.message


def test_pathwise_with_mirrored_noise_is_no_score_function():
    assert exercises.score_function_gradient.check(mirrored_pathwise).mistake == "pathwise-instead"


def test_a_function_that_never_calls_f_is_reported():
    found = exercises.pathwise_gradient.check(lambda f, mu, sigma, n: mu + 0.0 * sigma)
    assert found.passed is False and "never calls `f`" in found.message


def test_a_lost_gradient_is_distinguished_from_a_missing_return():
    def without_gradient(f, mu, sigma, n):
        copy = mu.detach().clone().requires_grad_()
        f((copy + sigma * torch.randn(n)).detach())
        return copy.grad

    assert "`.grad` that no gradient has reached" in exercises.pathwise_gradient.check(without_gradient).message


def test_half_of_the_draws_are_missed():
    def lazy(f, mu, sigma, n):
        mu = mu.detach().requires_grad_()
        z = mu + sigma * torch.randn((n + 1) // 2)
        return torch.autograd.grad(f(z).mean(), mu)[0]

    assert "`f` was given 5 draws, and n is 10" in exercises.pathwise_gradient.check(lazy).message


# Estimators: what the message says holds for the draws that it shows.


def from_the_prior(f, mu, sigma, n):
    z = torch.randn(n)
    return (f(z) * (z - mu) / sigma**2).mean()


def with_tails(f, mu, sigma, n):
    mu = mu.detach().requires_grad_()
    z = mu + sigma * torch.distributions.Laplace(0.0, 0.5**0.5).sample((n,))
    return torch.autograd.grad(f(z).mean(), mu)[0]


def test_the_wrong_cloud_is_described_for_the_call_that_is_shown():
    found = exercises.score_function_gradient.check(from_the_prior)
    assert (found.passed, found.mistake) == (False, None)
    (said,) = re.findall(r"their mean is (\S+), and 0 is expected", found.message)
    (shown,) = re.findall(r"\(z - mu\) / sigma: mean (\S+) \(expected 0\)", found.message)
    assert said == shown and float(said) == pytest.approx(-2, abs=0.3)
    assert "mu = 1, sigma = 0.5" in found.message and "should be standard normal, and are not" in found.message


def test_noise_of_another_shape_is_no_known_mistake():
    found = exercises.pathwise_gradient.check(with_tails)
    assert (found.passed, found.mistake) == (False, None)
    assert "their shape is not the normal one" in found.message


def drawn_with_the_variance(f, mu, sigma, n):
    mu = mu.detach().requires_grad_()
    q = torch.distributions.Normal(mu, sigma**2)
    z = q.sample((n,))
    return torch.autograd.grad((f(z) * q.log_prob(z)).mean(), mu)[0]


def variance_and_epsilon(f, mu, sigma, n):
    epsilon = torch.randn(n)
    return (f(mu + sigma**2 * epsilon) * epsilon / sigma).mean()


def at_mu(f, mu, sigma, n):
    return f(mu.expand(n)).mean()


def slope_at_mu(f, mu, sigma, n):
    mu = mu.detach().requires_grad_()
    return torch.autograd.grad(f(mu), mu)[0]


def rsample_and_a_detached_loss(f, mu, sigma, n):
    mu = mu.detach().requires_grad_()
    q = torch.distributions.Normal(mu, sigma)
    z = q.rsample((n,))
    return torch.autograd.grad((f(z).detach() * q.log_prob(z)).mean(), mu)[0]


def a_detached_loss_alone(f, mu, sigma, n):
    mu = mu.detach().requires_grad_()
    return torch.autograd.grad(f(mu + sigma * torch.randn(n)).detach().mean(), mu)[0]


def nothing_came_so_zero(f, mu, sigma, n):
    mu = mu.detach().requires_grad_()
    z = (mu + sigma * torch.randn(n)).detach().requires_grad_()
    found = torch.autograd.grad(f(z).mean(), mu, allow_unused=True)[0]
    return torch.zeros(()) if found is None else found


def from_torch_normal(f, mu, sigma, n):
    mu = mu.detach().requires_grad_()
    return torch.autograd.grad(f(torch.normal(mu.expand(n), sigma.expand(n))).mean(), mu)[0]


def second_mean(f, mu, sigma, n):
    mu = mu.detach().requires_grad_()
    return torch.autograd.grad(f(mu + sigma * torch.randn(n)).mean(), mu)[0] / n


@pytest.mark.parametrize(
    ("function", "pathwise", "score"),
    [
        (drawn_with_the_variance, None, "sigma-squared"),
        (variance_and_epsilon, None, "sigma-squared"),
        (at_mu, "loss-at-mu", "loss-at-mu"),
        (slope_at_mu, "no-noise", "slope-at-mu"),
        (rsample_and_a_detached_loss, "detached", "z-not-detached"),
        (a_detached_loss_alone, "detached", "nothing-to-differentiate"),
        (nothing_came_so_zero, "detached", "nothing-to-differentiate"),
        (from_torch_normal, "silent-zeros", "nothing-to-differentiate"),
        (second_mean, "averaged-twice", None),
    ],
)
def test_each_estimator_has_its_own_name_for_a_mistake(function, pathwise, score):
    if pathwise:
        assert exercises.pathwise_gradient.check(function).mistake == pathwise
    if score:
        assert exercises.score_function_gradient.check(function).mistake == score


def test_no_number_for_a_single_draw_is_reported_and_forgiven():
    def unbiased(f, mu, sigma, n):
        z = (mu + sigma * torch.randn(n)).detach()
        losses = f(z)
        return ((losses - (losses.sum() - losses) / (n - 1)) * (z - mu) / sigma**2).mean()

    found = exercises.score_function_gradient.check(unbiased)
    assert found.passed and "For n = 1 there is no number" in found.message
    found = exercises.score_function_gradient.check(lambda f, mu, sigma, n: 1.3 * unbiased(f, mu, sigma, n))
    assert found.passed is False and "NaN" not in found.message


# Defaults, and noise that is not asked for.


def test_a_default_that_is_missing_or_another_is_reported():
    right = exercises.negative_elbo.answer
    found = exercises.negative_elbo.check(lambda logits, x, mu, logvar, beta: right(logits, x, mu, logvar, beta))
    assert "with `beta` and without" in found.message and "beta=1.0" in found.message
    found = exercises.negative_elbo.check(lambda logits, x, mu, logvar, beta=4.0: right(logits, x, mu, logvar, beta))
    assert found.passed is False and "it should be 1.0; your default is 4.0" in found.message


def test_a_random_result_is_called_random():
    found = exercises.reconstruction_error.check(lambda x, x_hat: error(x, x_hat) + torch.rand(len(x)))
    assert found.passed is False and found.message.startswith("Your result is random")
    found = exercises.reconstruction_error.check(lambda x, x_hat: error(x, x_hat) + 0.37)
    assert "random" not in found.message


@pytest.mark.parametrize("name", exercises.NAMES)
def test_mistakes_of_shapes_and_averages_are_shown_on_a_batch(name):
    exercise = getattr(exercises, name)
    about = ("batch", "axis", "averaged", "mean-", "sum", "broadcast", "kept", "channels", "means-")
    alone = ("one picture of", "one code of", "one white", "one grey", "one black", "moved", "around 0", "itself")
    for mistake in exercise.mistakes:
        if mistake.several or mistake.slug.startswith(about) or mistake.slug.endswith(("-batch", "averaged", "-all")):
            message = exercise.check(mistake.function).message
            assert not any(f"This went in ({words}" in message for words in alone), message


def test_a_named_mistake_leads_to_the_atlas(monkeypatch):
    def wrong(x, x_hat):
        return error(x, x_hat) / 3

    def half(mu, logvar):
        return mu.square().sum(1) + logvar.exp().sum(1) - mu.shape[1] - logvar.sum(1)

    assert "gaussian_kl/no-half in the site's atlas of mistakes" in exercises.gaussian_kl.check(half).message
    assert "atlas" not in exercises.reconstruction_error.check(wrong).message
    monkeypatch.setattr("vae_utils.exercises.verdict._site", lambda: "https://ada.github.io/course")
    page = exercises.gaussian_kl.check(half)._repr_html_()
    address = "https://ada.github.io/course/atlas/gaussian_kl.html#no-half"
    assert f'<a href="{address}">{address}</a>' in page


def test_the_site_is_where_github_serves_the_repository(monkeypatch):
    from email.message import Message

    from vae_utils.exercises import verdict

    for url, site in (
        ("https://github.com/Ada/vae-course", "https://ada.github.io/vae-course"),
        ("https://github.com/Ada/vae-course/tree/spring", "https://ada.github.io/vae-course"),
        ("https://unset.invalid/owner/name", None),
    ):
        message = Message()
        message["Project-URL"] = f"Repository, {url}"
        monkeypatch.setattr(verdict, "metadata", lambda _, found=message: found)
        assert verdict._site.__wrapped__() == site
