"""Wrong answers that differ from right ones in one place only: at small n, far from the prior, in rows that differ, or
in the noise; and what a check then says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal

from vae_utils import exercises
from vae_utils.exercises.compare import apart, relation, shortened
from vae_utils.losses import bernoulli_nll, gaussian_kl

# --- Estimators ------------------------------------------------------------------------------------------------------


def slope(f: Callable[[Tensor], Tensor], mu: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
    mu = mu.detach().requires_grad_()
    return torch.autograd.grad(f(draw(mu)).mean(), mu)[0]


def summed_over(divisor: Callable[[int], float]) -> dict[str, Callable[..., Any]]:
    def pathwise(f, mu, sigma, n):
        z = (mu + sigma * torch.randn(n)).detach().requires_grad_()
        f(z).sum().backward()
        return z.grad.sum() / divisor(n)

    def score(f, mu, sigma, n):
        z = torch.normal(mu.item(), sigma.item(), (n,))
        return (f(z) * (z - mu)).sum() / divisor(n) / sigma**2

    return {"pathwise_gradient": pathwise, "score_function_gradient": score}


@pytest.mark.parametrize("name", ["pathwise_gradient", "score_function_gradient"])
@pytest.mark.parametrize(
    ("divisor", "slug"),
    [
        (lambda n: n - 1, "divided-by-n-minus-1"),
        (lambda n: max(n - 1, 1), "divided-by-n-minus-1"),
        (lambda n: n + 1, "divided-by-n-plus-1"),
        (lambda n: n**0.5, None),
    ],
)
def test_a_wrong_divisor_is_found_at_small_n(name, divisor, slug):
    found = getattr(exercises, name).check(summed_over(divisor)[name])
    assert (found.passed, found.mistake) == (False, slug), found
    assert slug or "You divide the sum over the draws by" in found.message


def test_a_wrong_divisor_is_found_next_to_a_baseline_of_another_draw():
    def by(divisor):
        def estimate(f, mu, sigma, n):
            z, again = (mu + sigma * torch.randn(2, n)).detach()
            return ((f(z) - f(again)) * (z - mu) / sigma**2).sum() / divisor(n)

        return exercises.score_function_gradient.check(estimate)

    assert by(lambda n: n).passed
    found = by(lambda n: max(n - 1, 1))
    assert found.passed is False and "n = 2" in found.message


@pytest.mark.parametrize("count", [lambda n: 1000, lambda n: 100, lambda n: 10 * n, lambda n: n + 1])
def test_another_number_of_draws_is_reported(count):
    def pathwise(f, mu, sigma, n):
        return slope(f, mu, lambda m: m + sigma * torch.randn(count(n)))

    def score(f, mu, sigma, n):
        z = (mu + sigma * torch.randn(count(n))).detach()
        return (f(z) * (z - mu) / sigma**2).mean()

    for name, function in (("pathwise_gradient", pathwise), ("score_function_gradient", score)):
        found = getattr(exercises, name).check(function)
        assert (found.passed, found.mistake) == (False, None)
        assert re.search(r"`f` was given [\d,]+ draws", found.message)


def test_calls_of_f_in_pieces_are_right():
    def pieces(f, mu, sigma, n):
        mu = mu.detach().requires_grad_()
        some = [f(mu + sigma * torch.randn(len(part))) for part in torch.zeros(n).split(4)]
        return torch.autograd.grad(torch.cat(some).sum() / n, mu)[0]

    def twice_the_same(f, mu, sigma, n):
        z = (mu + sigma * torch.randn(n)).detach()
        f(z)
        return (f(z) * (z - mu) / sigma**2).mean()

    assert exercises.pathwise_gradient.check(pieces).passed
    assert exercises.score_function_gradient.check(twice_the_same).passed


def test_draws_that_are_only_right_together_are_reported():
    def centered(f, mu, sigma, n):
        epsilon = torch.randn(n)
        return slope(f, mu, lambda m: m + sigma * (epsilon - epsilon.mean()))

    found = exercises.pathwise_gradient.check(centered)
    assert found.passed is False and "300 calls with n = 2" in found.message


def test_a_median_or_trimmed_mean_is_no_mean():
    def robust(f, mu, sigma, n, of):
        z = (mu + sigma * torch.randn(n)).detach().requires_grad_()
        f(z).sum().backward()
        return of(z.grad)

    def trimmed(gradient):
        k = len(gradient) // 10
        return gradient.sort().values[k : len(gradient) - k].mean()

    for of in (torch.median, trimmed):
        found = exercises.pathwise_gradient.check(lambda f, mu, sigma, n, of=of: robust(f, mu, sigma, n, of))
        assert found.passed is False and "is not the slope" in found.message


def test_a_gradient_read_and_then_cleared_is_not_called_detached():
    def cleared(f, mu, sigma, n):
        mu.requires_grad_()
        f(mu + sigma * torch.randn(n)).mean().backward()
        gradient = mu.grad
        mu.grad.zero_()
        return gradient

    found = exercises.pathwise_gradient.check(cleared)
    assert (found.passed, found.mistake) == (False, None)
    assert "always 0, although a gradient does come back" in found.message


def test_a_mean_passed_n_times_is_the_average_inside():
    def expanded(f, mu, sigma, n):
        return slope(f, mu, lambda m: (m + sigma * torch.randn(n)).mean().expand(n))

    assert exercises.pathwise_gradient.check(expanded).mistake == "average-inside"


def differences(f, mu, sigma, n):
    z, h = (mu + sigma * torch.randn(n, dtype=torch.float64)).detach(), 1e-4
    return ((f(z + h) - f(z - h)) / (2 * h)).mean()


def test_finite_differences_are_described_as_what_they_are():
    assert exercises.pathwise_gradient.check(differences).passed
    found = exercises.score_function_gradient.check(differences)
    assert (found.passed, found.mistake) == (False, None)
    assert "finite differences" in found.message and "back through" not in found.message


def test_a_weight_of_epsilon_is_not_called_a_division():
    def epsilon_alone(f, mu, sigma, n):
        epsilon = torch.randn(n)
        return (f(mu + sigma * epsilon) * epsilon).mean()

    found = exercises.score_function_gradient.check(epsilon_alone)
    assert found.mistake == "sigma-not-squared" and "You divide" not in found.message

    def minus(f, mu, sigma, n):
        mu = mu.detach().requires_grad_()
        z = Normal(mu, sigma).sample((n,))
        return torch.autograd.grad((-Normal(mu, sigma).log_prob(z) * f(z)).mean(), mu)[0]

    found = exercises.score_function_gradient.check(minus)
    assert found.mistake == "wrong-sign" and "a minus too many" in found.message


def test_what_scatters_without_bound_is_not_called_right_on_average():
    def divided_by_the_density(f, mu, sigma, n):
        z = (mu + sigma * torch.randn(n)).detach()
        return (f(z) * (z - mu) / sigma**2 / Normal(mu, sigma).log_prob(z).exp()).mean()

    found = exercises.score_function_gradient.check(divided_by_the_density)
    assert found.passed is False and "right on average" not in found.message


def test_one_number_in_another_shape_passes_with_a_remark():
    def in_a_list(f, mu, sigma, n):
        return slope(f, mu, lambda m: m + sigma * torch.randn(n)).reshape(1)

    found = exercises.pathwise_gradient.check(in_a_list)
    assert found.passed and "shape (1,)" in found.message
    assert "shape" not in exercises.pathwise_gradient.check(exercises.pathwise_gradient.answer).message


def test_what_works_in_float32_only_is_not_refused():
    def single(f, mu, sigma, n):
        if mu.dtype != torch.float32:
            raise TypeError("float32 only")
        return exercises.pathwise_gradient.answer(f, mu, sigma, n)

    def kl(mu, logvar):
        each = 0.5 * (mu.square() + logvar.exp() - 1 - logvar)
        return each @ torch.ones(mu.shape[1])  # an error for float64

    assert exercises.pathwise_gradient.check(single).passed
    found = exercises.gaussian_kl.check(kl)
    assert found.passed and "Given float64, it stops" in found.message


# --- reparameterize --------------------------------------------------------------------------------------------------


def sigma(logvar: Tensor) -> Tensor:
    return (0.5 * logvar).exp()


def with_noise(noise: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda mu, logvar: mu + sigma(logvar) * noise(mu)


def halves(mu: Tensor, sign: int, dim: int) -> Tensor:
    half = torch.randn_like(mu).chunk(2, dim)[0]
    return torch.cat([half, sign * half], dim).narrow(dim, 0, mu.shape[dim])


def turned(mu: Tensor) -> Tensor:
    half = torch.randn_like(mu[: (len(mu) + 1) // 2])
    return torch.cat([half, half.flip(0)])[: len(mu)]


@pytest.mark.parametrize(
    ("noise", "says"),
    [
        (lambda mu: halves(mu, 1, 1) if mu.shape[1] > 1 else torch.randn_like(mu), "`z[:, 0]` and `z[:, 2]`"),
        (lambda mu: halves(mu, -1, 1), "are not independent (correlation -"),
        (lambda mu: halves(mu, 1, 0) if len(mu) > 1 else torch.randn_like(mu), "Rows share their rolls"),
        (lambda mu: halves(mu, -1, 0) if len(mu) > 1 else torch.randn_like(mu), "with the other sign"),
        (turned, "Rows share their rolls"),
    ],
)
def test_shared_noise_is_found_wherever_it_is(noise, says):
    found = exercises.reparameterize.check(with_noise(noise))
    assert (found.passed, found.mistake) == (False, None)
    assert says in found.message, found


@pytest.mark.parametrize(
    "function",
    [
        lambda mu, logvar: mu + sigma(logvar[0]) * torch.randn_like(mu),
        lambda mu, logvar: mu[0] + sigma(logvar) * torch.randn_like(mu),
        lambda mu, logvar: mu[torch.randperm(len(mu))] + sigma(logvar) * torch.randn_like(mu),
        lambda mu, logvar: mu + (sigma(logvar) + 0.01) * torch.randn_like(mu),
        lambda mu, logvar: mu + sigma(logvar.clamp(-4, 4)) * torch.randn_like(mu),
        lambda mu, logvar: mu + sigma(logvar.clamp(min=-6)) * torch.randn_like(mu),
        lambda mu, logvar: mu + sigma(logvar.clamp(max=4)) * torch.randn_like(mu),
        lambda mu, logvar: (mu + sigma(logvar) * torch.randn_like(mu)).clamp(-20, 20),
        lambda mu, logvar: mu + sigma(logvar.mean(0)) * torch.randn_like(mu),
        lambda mu, logvar: mu + sigma(logvar.mean()) * torch.randn_like(mu),
        lambda mu, logvar: mu + sigma(logvar.mean(1, keepdim=True)) * torch.randn_like(mu),
    ],
)
def test_a_wrong_center_or_width_is_not_blamed_on_gradients_or_misnamed(function):
    found = exercises.reparameterize.check(function)
    assert (found.passed, found.mistake) == (False, None), found
    assert "gradient" not in found.message and "expected" in found.message


def test_a_bound_that_is_never_met_passes():
    assert exercises.reparameterize.check(
        lambda mu, logvar: mu + sigma(logvar.clamp(-10, 10)) * torch.randn_like(mu)
    ).passed


@pytest.mark.parametrize("in_training", [True, False])
def test_noise_that_depends_on_the_gradient_is_reported(in_training):
    def sometimes(mu, logvar):
        return exercises.reparameterize.answer(mu, logvar) if mu.requires_grad is in_training else mu.clone()

    found = exercises.reparameterize.check(sometimes)
    assert (found.passed, found.mistake) == (False, None)
    assert "require" in found.message and "your draws are right" in found.message


KEPT: dict[Any, Tensor] = {}


def kept(mu, logvar):
    return mu + sigma(logvar) * KEPT.setdefault(mu.shape, torch.randn_like(mu))


def test_noise_kept_from_an_earlier_call_is_not_called_a_seed_alone():
    found = exercises.reparameterize.check(kept)
    assert found.mistake == "fixed-seed" and "kept from an earlier call" in found.message


def test_a_sum_over_the_code_is_shown_on_two_rows():
    message = exercises.reparameterize.check(lambda mu, logvar: (mu + sigma(logvar)).sum(1)).message
    assert "(2,); (2, 4) is expected" in message


def overwrites_logvar(mu, logvar):
    logvar.mul_(0.5).exp_()
    return mu + logvar * torch.randn_like(mu)


def overwrites_both(mu, logvar):
    mu.square_()
    return 0.5 * (mu + logvar.exp() - 1 - logvar).sum(1)


def test_the_consequence_of_a_change_in_place_is_explained_by_argument():
    found = exercises.reparameterize.check(overwrites_logvar)
    assert found.passed and "The KL, computed next from the same `logvar`" in found.message
    found = exercises.gaussian_kl.check(overwrites_both)
    assert found.passed and "the same `mu`" in found.message
    for message in (found.message, exercises.reparameterize.check(overwrites_logvar).message):
        assert "training set" not in message


# --- The losses ------------------------------------------------------------------------------------------------------


def logvar_for_sigma(mu, logvar):
    return (0.5 * (mu**2 + logvar**2 - 1) - torch.log(logvar)).sum(1)


def test_the_toy_formula_with_logvar_for_sigma_has_its_own_name():
    assert exercises.gaussian_kl.check(logvar_for_sigma).mistake == "logvar-for-sigma"


def test_what_is_no_bound_is_not_called_clamped():
    def without_nan(logits, x):
        p = logits.sigmoid()
        return -torch.nan_to_num(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)

    found = exercises.bernoulli_nll.check(without_nan)
    assert (found.passed, found.mistake) == (False, None)


def elbo(nll: Callable[..., Tensor] = bernoulli_nll, kl: Callable[..., Tensor] = gaussian_kl, most: float = 1e9):
    return lambda logits, x, mu, logvar, beta=1.0: nll(logits, x) + min(beta, most) * kl(mu, logvar)


def from_chances(logits: Tensor, x: Tensor, bound: float = 0.0) -> Tensor:
    p = logits.sigmoid()
    return -(x * (p + bound).log() + (1 - x) * (1 - p + bound).log()).flatten(1).sum(1)


def cross_entropy_of_chances(logits: Tensor, x: Tensor) -> Tensor:
    return F.binary_cross_entropy(logits.sigmoid(), x, reduction="none").flatten(1).sum(1)


@pytest.mark.parametrize(
    ("function", "slug"),
    [
        (elbo(), "right"),
        (elbo(lambda logits, x: from_chances(logits, x)), "log-of-sigmoid"),
        (elbo(lambda logits, x: from_chances(logits, x, 1e-6)), "clamped"),
        (elbo(cross_entropy_of_chances), "clamped"),
        (elbo(lambda logits, x: bernoulli_nll(logits.clamp(-5, 5), x)), "clamped"),
        (elbo(lambda logits, x: ((1 + logits.exp()).log() - x * logits).flatten(1).sum(1)), None),
        (elbo(kl=lambda mu, logvar: gaussian_kl(mu, logvar).clamp(min=0.5)), None),
        (elbo(kl=lambda mu, logvar: gaussian_kl(mu, logvar).clamp(max=100)), None),
        (elbo(kl=lambda mu, logvar: gaussian_kl(mu, logvar.clamp(-4, 4))), None),
        (elbo(kl=lambda mu, logvar: gaussian_kl(mu, logvar.clamp(-10, 10))), None),
        (elbo(most=10), None),
    ],
)
def test_bounds_inside_the_elbo_are_found(function, slug):
    found = exercises.negative_elbo.check(function)
    assert (found.passed, found.mistake) == ((True, None) if slug == "right" else (False, slug)), found


def test_a_known_mistake_is_named_though_something_else_breaks_far_out():
    def averaged_and_bounded(logits, x, mu, logvar, beta=1.0):
        return F.binary_cross_entropy(logits.sigmoid(), x) + beta * gaussian_kl(mu, logvar)

    assert exercises.negative_elbo.check(averaged_and_bounded).mistake == "nll-averaged-over-all"


# --- training_step ---------------------------------------------------------------------------------------------------


def move(optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def mean_loss(model: nn.Module, x: Tensor, nll: Callable[..., Tensor] = bernoulli_nll) -> Tensor:
    parameters, mu, logvar = model(x)
    return (nll(parameters, x) + gaussian_kl(mu, logvar)).mean()


def seeded(model, optimizer, x):
    torch.manual_seed(1)
    return move(optimizer, mean_loss(model, x))


def seeded_at_the_end(model, optimizer, x):
    loss = move(optimizer, mean_loss(model, x))
    torch.manual_seed(1)
    return loss


def seeded_by_hand(model, optimizer, x):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return move(optimizer, mean_loss(model, x))


@pytest.mark.parametrize("step", [seeded, seeded_at_the_end, seeded_by_hand])
def test_a_seed_inside_the_step_is_named(step):
    assert exercises.training_step.check(step).mistake == "fixed-seed"


@pytest.mark.parametrize(
    ("nll", "slug"),
    [
        (from_chances, "log-of-sigmoid"),
        (lambda logits, x: from_chances(logits, x, 1e-6), "clamped"),
        (cross_entropy_of_chances, "clamped"),
        (lambda logits, x: bernoulli_nll(logits.clamp(-20, 20), x), "clamped"),
        (lambda logits, x: ((1 + logits.exp()).log() - x * logits).flatten(1).sum(1), None),
    ],
)
def test_bounds_inside_the_step_are_found(nll, slug):
    found = exercises.training_step.check(lambda model, optimizer, x: move(optimizer, mean_loss(model, x, nll)))
    assert (found.passed, found.mistake) == (False, slug), found


def rows_of(message: str) -> list[str]:
    return re.findall(r": (\[[^\n]*\])", message)


def test_a_fixed_batch_size_is_shown_where_it_differs():
    def by_three(model, optimizer, x):
        parameters, mu, logvar = model(x)
        return move(optimizer, (bernoulli_nll(parameters, x) + gaussian_kl(mu, logvar)).sum() / 3)

    message = exercises.training_step.check(by_three).message
    losses, expected, way, right_way = rows_of(message)
    assert losses != expected and way != right_way
    assert "1.33 times" in message


def test_a_small_addition_to_the_loss_is_not_blamed_on_a_later_step():
    def decay(model, optimizer, x):
        return move(optimizer, mean_loss(model, x) + 1e-4 * sum(w.square().sum() for w in model.parameters()))

    message = exercises.training_step.check(decay).message
    assert "nearly, but not exactly" in message and "second step" not in message


def test_two_half_batches_are_no_step_per_picture():
    def by_halves(model, optimizer, x):
        return sum(move(optimizer, mean_loss(model, part)) for part in x.split(2)) / 2

    found = exercises.training_step.check(by_halves)
    assert (found.passed, found.mistake) == (False, None)
    assert "`optimizer.step()` is called 2 times, on parts of a batch of 3" in found.message


def test_three_runs_are_not_called_two():
    def three(model, optimizer, x):
        return move(optimizer, (bernoulli_nll(model(x)[0], x) + gaussian_kl(model(x)[1], model(x)[2])).mean())

    found = exercises.training_step.check(three)
    assert found.mistake == "called-twice" and "twice" not in found.headline


def test_a_detached_tensor_is_not_blamed_for_memory():
    def detached(model, optimizer, x):
        return torch.tensor(move(optimizer, mean_loss(model, x)))

    found = exercises.training_step.check(detached)
    assert found.mistake == "returns-tensor" and "was not detached" in found.message


# --- Words -----------------------------------------------------------------------------------------------------------


def test_a_factor_that_rounds_to_one_is_not_told():
    b = torch.tensor([1.0, 2.0, 5.0])
    for factor in (1.0003, 1.001, 1.003, 0.9996):
        assert relation([(factor * b, b)]) == ""
    assert "1.02 times" in relation([(1.02 * b, b)])


def test_two_numbers_that_differ_are_shown_so():
    a, b = apart(torch.tensor([1.00002, 2.0]), torch.tensor([1.00001, 2.0]))
    assert a != b and a.endswith("2]")
    assert apart(1.5, 2.5) == ("1.5", "2.5")
    found = exercises.gaussian_kl.check(lambda mu, logvar: 1.0006 * gaussian_kl(mu, logvar))
    came, expected = re.findall(r"(?:came out|expected): (.*)", found.message)
    assert came != expected and "Everything" not in found.message


def test_a_long_error_is_cut_between_words():
    assert shortened("one two three", 8) == "one two …"
    assert shortened("one  two", 8) == "one two"


@pytest.mark.parametrize("value", [np.ones(3), torch.ones(2), (1, 2), None])
def test_sentences_about_an_odd_number_start_with_a_capital(value):
    message = exercises.pathwise_gradient.check(lambda f, mu, sigma, n: value if f(mu) is not None else 0).message
    assert not re.search(r": [A-Z][a-z]+ (shape|function)", message)
    assert "(With f(z) = (z - 3)²" in message


def test_draws_that_are_right_for_parabolas_only_are_refused():
    def divided(f, mu, sigma, n):
        epsilon = torch.randn(n)
        both = torch.cat([epsilon, -epsilon])
        return (f(mu + sigma / both) * both / sigma).mean()

    found = exercises.score_function_gradient.check(divided)
    assert found.passed is False and "exp(z)" in found.message


def test_a_sum_that_does_not_start_at_0_is_named():
    def from_one(f, mu, sigma, n):
        total = 1.0
        for _ in range(n):
            z = (mu + sigma * torch.randn(1)).detach()
            total += (f(z) * (z - mu.detach()) / sigma**2).item()
        return total / n

    found = exercises.score_function_gradient.check(from_one)
    assert found.passed is False and "off by 1 before you divide it by n" in found.message


def test_a_baseline_with_the_own_draw_in_it_is_seen_though_it_is_left_out_for_two():
    def own_draw_in_it(f, mu, sigma, n):
        z = (mu + sigma * torch.randn(n)).detach()
        losses = f(z)
        others = (losses.sum() + losses) / (n - 1) if n > 2 else 0.0
        return ((losses - others) * (z - mu) / sigma**2).mean()

    found = exercises.score_function_gradient.check(own_draw_in_it)
    assert found.passed is False and "00 calls with n = 3" in found.message
