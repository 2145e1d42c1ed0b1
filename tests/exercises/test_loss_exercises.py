"""The exercises of notebook 04 beyond what every exercise is tested for: mistakes written another way than ours, and
odd things that a step may do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_utils import exercises
from vae_utils.exercises import attempt
from vae_utils.likelihoods import Bernoulli
from vae_utils.losses import bernoulli_nll, gaussian_kl

Optimizer = torch.optim.Optimizer


def mean_loss(model: nn.Module, x: Tensor) -> Tensor:
    parameters, mu, logvar = model(x)
    return (bernoulli_nll(parameters, x) + gaussian_kl(mu, logvar)).mean()


# --- bernoulli_nll ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [1e-3, 1e-6, 1e-7])
def test_a_clamp_is_named_whatever_its_bound(bound: float) -> None:
    def clamped(logits: Tensor, x: Tensor) -> Tensor:
        p = logits.sigmoid().clamp(bound, 1 - bound)
        return -(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)

    assert exercises.bernoulli_nll.check(clamped).mistake == "clamped"


def test_a_small_number_in_the_log_is_named() -> None:
    def bounded(logits: Tensor, x: Tensor) -> Tensor:
        p = logits.sigmoid()
        return -(x * (p + 1e-8).log() + (1 - x) * (1 - p + 1e-8).log()).flatten(1).sum(1)

    assert exercises.bernoulli_nll.check(bounded).mistake == "clamped"


def test_log1p_of_exp_overflows_and_is_named() -> None:
    def overflows(logits: Tensor, x: Tensor) -> Tensor:
        return ((1 + logits.exp()).log() - x * logits).flatten(1).sum(1)

    result = exercises.bernoulli_nll.check(overflows)
    assert (result.passed, result.mistake) == (False, "exp-overflows")
    assert "200" in result.message and "sigmoid" not in result.message


def test_logits_given_to_the_plain_cross_entropy_are_named() -> None:
    def no_sigmoid(logits: Tensor, x: Tensor) -> Tensor:
        return F.binary_cross_entropy(logits, x, reduction="none").flatten(1).sum(1)

    result = exercises.bernoulli_nll.check(no_sigmoid)
    assert result.mistake == "no-sigmoid"
    assert "F.binary_cross_entropy(logits, x" in result.message  # its line


def below(x: Tensor) -> Tensor:
    return (torch.rand_like(x) < x).to(x.dtype)


@pytest.mark.parametrize("sampled", [torch.bernoulli, below, lambda x: torch.distributions.Bernoulli(x).sample()])
def test_a_sampled_target_is_named_however_it_is_sampled(sampled: Callable[[Tensor], Tensor]) -> None:
    def nll(logits: Tensor, x: Tensor) -> Tensor:
        return -torch.distributions.Bernoulli(logits=logits).log_prob(sampled(x)).flatten(1).sum(1)

    assert exercises.bernoulli_nll.check(nll).mistake == "sampled-target"


def test_a_target_that_is_sampled_unfairly_is_not() -> None:
    def nll(logits: Tensor, x: Tensor) -> Tensor:
        return bernoulli_nll(logits, (torch.rand_like(x) < 0.8).to(x.dtype))

    assert exercises.bernoulli_nll.check(nll).mistake is None


def test_grey_pixels_that_pytorch_refuses_are_explained() -> None:
    def from_logits(logits: Tensor, x: Tensor) -> Tensor:
        return -torch.distributions.Bernoulli(logits=logits).log_prob(x).flatten(1).sum(1)

    def from_chances(logits: Tensor, x: Tensor) -> Tensor:
        return -torch.distributions.Bernoulli(logits.sigmoid()).log_prob(x).flatten(1).sum(1)

    def from_logits_as_chances(logits: Tensor, x: Tensor) -> Tensor:
        return -torch.distributions.Bernoulli(logits).log_prob(x).flatten(1).sum(1)

    result = exercises.bernoulli_nll.check(from_logits)
    assert result.mistake == "grey-refused"
    assert "validate_args=False" in result.message and "from_logits" not in result.message
    assert "Bernoulli(logits=logits).log_prob(x)" in result.message  # its line
    assert exercises.bernoulli_nll.check(from_chances).mistake == "grey-refused"
    assert exercises.bernoulli_nll.check(from_logits_as_chances).mistake == "no-sigmoid"


# --- gaussian_kl -----------------------------------------------------------------------------------------------------


def test_a_change_in_place_that_breaks_the_way_back_is_reported() -> None:
    def breaks(mu: Tensor, logvar: Tensor) -> Tensor:
        out = logvar.exp()
        out += mu**2 - 1 - logvar
        return 0.5 * out.sum(1)

    result = exercises.gaussian_kl.check(breaks)
    assert result.passed is False
    assert "in place" in result.message


@pytest.mark.parametrize("n", [1, 10, 1000])
def test_an_estimate_from_draws_is_named(n: int) -> None:
    def kl(mu: Tensor, logvar: Tensor) -> Tensor:
        sigma = (0.5 * logvar).exp()
        epsilon = torch.randn(n, *mu.shape, dtype=mu.dtype)
        z = mu + sigma * epsilon
        return (0.5 * (z.square() - epsilon.square()) - 0.5 * logvar).sum(2).mean(0)

    result = exercises.gaussian_kl.check(kl)
    assert result.mistake == "monte-carlo"
    assert "closed form" in result.message or "formula" in result.message


def test_a_random_kl_that_is_wrong_on_average_is_only_called_random() -> None:
    result = exercises.gaussian_kl.check(lambda mu, logvar: 3 * gaussian_kl(mu, logvar) * torch.rand(len(mu)))
    assert (result.passed, result.mistake) == (False, None)
    assert result.message.startswith("Your result is random")


def test_what_a_wrong_width_costs_is_reported_as_it_is_shown() -> None:
    """Of the log-std mistake: the part of the price that is for the width is more than doubled, whatever the width."""
    mu, logvar = torch.zeros(1001, 1), torch.linspace(-8, 8, 1001)[:, None]
    found = exercises.gaussian_kl.mistake("log-std").function(mu, logvar)
    right, apart = gaussian_kl(mu, logvar), logvar[:, 0].abs() > 0.1
    assert (found[apart] > 2 * right[apart]).all()


# --- training_step ---------------------------------------------------------------------------------------------------


def in_another_order(*order: str) -> Callable[..., float]:
    """A step whose calls come in this order; what is left out is not called."""

    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        loss = mean_loss(model, x)
        for call in order:
            {"clear": model.zero_grad, "backward": lambda: torch.autograd.backward(loss), "step": optimizer.step}[
                call
            ]()
        return loss.item()

    return step


@pytest.mark.parametrize(
    ("order", "mistake"),
    [
        (("clear", "backward", "step"), None),
        (("backward", "step", "clear"), None),
        (("clear", "clear", "backward", "step", "clear"), None),
        (("backward", "step"), "no-zero-grad"),
        (("step", "backward"), None),  # lags behind and accumulates: described in words
        (("step", "clear", "backward"), None),  # the step comes one call late
        (("clear", "step", "backward"), "step-before-backward"),
        (("step", "backward", "clear"), "step-before-backward"),
        (("backward", "clear", "step"), "zero-grad-too-late"),
        (("clear", "backward", "clear", "step"), "zero-grad-too-late"),
        (("backward",), "no-step"),
        (("backward", "clear"), "no-step"),
        (("clear", "step"), "no-backward"),
        (("step",), "no-backward"),
        ((), "no-backward"),
    ],
)
def test_the_order_of_the_calls(order: tuple[str, ...], mistake: str | None) -> None:
    result = exercises.training_step.check(in_another_order(*order))
    right = {
        ("clear", "backward", "step"),
        ("backward", "step", "clear"),
        ("clear", "clear", "backward", "step", "clear"),
    }
    assert result.passed is (order in right)
    assert result.mistake == mistake


def test_a_loss_without_a_past_is_named() -> None:
    def new_tensor(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        loss = torch.tensor(mean_loss(model, x).item(), requires_grad=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def item(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        loss = mean_loss(model, x).detach()
        loss.backward()
        return loss.item()

    assert exercises.training_step.check(new_tensor).mistake == "detached"
    result = exercises.training_step.check(item)
    assert result.mistake == "detached"
    assert "loss.backward()" in result.message  # the line that raised


def test_backward_on_a_number_is_named() -> None:
    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        loss = mean_loss(model, x).item()
        loss.backward()
        return loss

    assert exercises.training_step.check(step).mistake == "detached"


def test_inference_mode_is_named() -> None:
    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        with torch.inference_mode():
            loss = mean_loss(model, x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    assert exercises.training_step.check(step).mistake == "no-grad"


def test_the_model_moved_to_get_device_is_named() -> None:
    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        model.to(x.get_device())
        return in_another_order("clear", "backward", "step")(model, optimizer, x)

    assert exercises.training_step.check(step).mistake == "get-device"


def test_a_step_of_another_length_is_reported_with_its_factor() -> None:
    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        loss = mean_loss(model, x)
        optimizer.zero_grad()
        (3 * loss).backward()
        optimizer.step()
        return loss.item()

    result = exercises.training_step.check(step)
    assert (result.passed, result.mistake) == (False, None)
    assert "The loss of the first step is right" in result.message
    assert "exactly 3 times" in result.message


def test_two_mistakes_at_once_are_distinguished() -> None:
    def summed(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        parameters, mu, logvar = model(x)
        loss = F.mse_loss(parameters.sigmoid(), x, reduction="sum") + gaussian_kl(mu, logvar).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def never_cleared(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        loss = bernoulli_nll(model(x)[0], x).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    result = exercises.training_step.check(summed)
    assert result.mistake == "squared-error"
    assert "you sum over the batch" in result.message
    result = exercises.training_step.check(never_cleared)
    assert result.mistake == "kl-forgotten"
    assert "something else" in result.message


def test_a_right_step_that_reports_another_loss_is_reported() -> None:
    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        return 5 * in_another_order("clear", "backward", "step")(model, optimizer, x)

    result = exercises.training_step.check(step)
    assert (result.passed, result.mistake) == (False, None)
    assert "The weights move as they should" in result.message
    assert "exactly 5 times" in result.message


def test_a_returned_sum_is_reported() -> None:
    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        return len(x) * in_another_order("clear", "backward", "step")(model, optimizer, x)

    result = exercises.training_step.check(step)
    assert (result.passed, result.mistake) == (False, None)
    assert "It is the sum over the batch" in result.message


def by_hand(
    draw: Callable[[Tensor, Tensor], Tensor], order: tuple[str, ...] = ("clear", "backward", "step"), weight: float = 1
) -> Callable[..., float]:
    """A step that draws z itself."""

    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        mu, logvar = model.encode(x)
        parameters = model.decode(draw(mu, (0.5 * logvar).exp()))
        loss = (bernoulli_nll(parameters, x) + weight * gaussian_kl(mu, logvar)).mean()
        calls = {"clear": optimizer.zero_grad, "backward": loss.backward, "step": optimizer.step}
        for call in order:
            calls[call]()
        return loss.item()

    return step


def fair(mu: Tensor, sigma: Tensor) -> Tensor:
    return mu + sigma * torch.randn_like(mu)


@pytest.mark.parametrize(
    ("step", "mistake"),
    [
        (by_hand(lambda mu, sigma: torch.distributions.Normal(mu, sigma).sample()), "z-detached"),
        (by_hand(fair, ("backward", "step")), "no-zero-grad"),
        (by_hand(fair, ("clear", "backward")), "no-step"),
        (by_hand(fair, weight=0), "kl-forgotten"),
        (by_hand(fair, weight=2), "no-half"),
        (by_hand(lambda mu, sigma: mu), "no-noise"),
    ],
)
def test_mistakes_are_named_in_steps_that_draw_by_hand(step: Callable[..., float], mistake: str) -> None:
    assert exercises.training_step.check(step).mistake == mistake


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda mu, sigma: mu + sigma.square() * torch.randn_like(mu), "standard deviation"),
        (lambda mu, sigma: mu + sigma * torch.rand_like(mu), "their mean is 0.50"),
        (lambda mu, sigma: mu + sigma * torch.randn(mu.shape[1]), "All pictures of a batch share one roll"),
        (lambda mu, sigma: mu + sigma * torch.randn(len(mu), 1), "All numbers of a code share one roll"),
        (lambda mu, sigma: mu + sigma * torch.ones_like(mu), "Two steps roll the same ones"),
    ],
)
def test_an_unfair_draw_by_hand_is_reported(draw: Callable[[Tensor, Tensor], Tensor], says: str) -> None:
    result = exercises.training_step.check(by_hand(draw))
    assert (result.passed, result.mistake) == (False, None)
    assert "You draw z yourself" in result.message and says in result.message


def test_a_step_that_draws_by_hand_must_return_a_float_too() -> None:
    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> Tensor:
        return torch.tensor(by_hand(fair)(model, optimizer, x))

    assert exercises.training_step.check(step).mistake == "returns-tensor"


def test_a_draw_that_the_check_cannot_see_is_reported() -> None:
    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        mu, logvar = model.encoder(x.flatten(1)).chunk(2, 1)
        logits = model.decoder(fair(mu, (0.5 * logvar).exp())).view_as(x)
        loss = (bernoulli_nll(logits, x) + gaussian_kl(mu, logvar)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    assert "could not see how z is drawn" in exercises.training_step.check(step).message


def test_right_draws_by_hand_are_never_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(5):
        monkeypatch.setattr(attempt, "OFFSET", 1_000_000 * (seed + 1))
        assert exercises.training_step.check(by_hand(fair)).passed


@pytest.mark.parametrize("by_pictures", [True, False])
def test_loops_inside_a_step_are_named(by_pictures: bool) -> None:
    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        right = in_another_order("clear", "backward", "step")
        values = [right(model, optimizer, some) for some in (x.split(1) if by_pictures else [x] * 4)]
        return sum(values) / len(values)

    assert exercises.training_step.check(step).mistake == ("step-per-picture" if by_pictures else "several-steps")


@pytest.mark.parametrize("quietly", [True, False])
def test_a_loss_computed_after_the_step_is_named(quietly: bool) -> None:
    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        in_another_order("clear", "backward", "step")(model, optimizer, x)
        with torch.set_grad_enabled(not quietly):
            return mean_loss(model, x).item()

    assert exercises.training_step.check(step).mistake == "loss-after-step"


def test_an_error_inside_is_shown_with_its_line() -> None:
    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        _parameters, _mu = model(x)
        return 0.0

    result = exercises.training_step.check(step)
    assert (result.passed, result.mistake) == (False, None)
    assert "_parameters, _mu = model(x)" in result.message
    assert "ValueError" in result.message


def test_an_error_in_a_later_step_is_shown_too() -> None:
    calls = []

    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        calls.append(1)
        if len(calls) == 2:
            raise KeyError("second")
        return in_another_order("clear", "backward", "step")(model, optimizer, x)

    assert "KeyError" in exercises.training_step.check(step).message


def test_the_check_leaves_torch_as_it_was() -> None:
    def fails(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        torch.set_grad_enabled(False)
        raise RuntimeError("stop")

    backward, state = torch.autograd.backward, torch.get_rng_state()
    exercises.training_step.check(fails)
    assert torch.is_grad_enabled()
    assert torch.autograd.backward is backward
    assert torch.equal(torch.get_rng_state(), state)


def test_noise_that_the_learner_draws_changes_nothing() -> None:
    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        torch.randn(7)
        return in_another_order("clear", "backward", "step")(model, optimizer, x)

    assert exercises.training_step.check(step).passed


def test_the_known_mistakes_train_a_vae_of_the_course() -> None:
    """They are runnable on any VAE with Bernoulli pixels, which the bug clinic needs."""
    from vae_utils.models import VAE

    x = torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    refused = set()
    for mistake in exercises.training_step.mistakes:
        torch.manual_seed(0)
        model = VAE((1, 6, 6), 2, Bernoulli(), hidden=(8,))
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        try:
            for _ in range(2):
                mistake.function(model, optimizer, x)
        except RuntimeError:
            refused.add(mistake.slug)
    assert refused == {"no-grad", "not-averaged", "no-sigmoid", "get-device"}


def test_the_solutions_are_the_course_s_own_functions() -> None:
    close = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-5)  # sums of a dozen numbers, in float32
    generator = torch.Generator().manual_seed(0)
    mu, logvar, logits = (torch.randn(7, 12, generator=generator) for _ in range(3))
    x = torch.rand(7, 12, generator=generator)
    close(exercises.gaussian_kl.answer(mu, logvar), gaussian_kl(mu, logvar))
    close(exercises.bernoulli_nll.answer(logits, x), bernoulli_nll(logits, x))
    close(exercises.negative_elbo.answer(logits, x, mu, logvar), bernoulli_nll(logits, x) + gaussian_kl(mu, logvar))


def test_the_kl_probes_of_the_course_stand_among_ours() -> None:
    """(mu, logvar) at which the usual wrong formulas all give different numbers."""
    found = {
        (round(mu.item(), 3), round(logvar.item(), 3))
        for mu, logvar in (probe.make().values() for probe in exercises.gaussian_kl.probes)
        if mu.numel() == 1
    }
    assert {(0.0, 0.0), (2.0, 0.0), (0.0, 1.0)} <= found


def test_a_rule_is_reported_only_where_every_number_follows_it() -> None:
    """One large number must not hide that the small ones follow no such rule."""
    found = exercises.gaussian_kl.check(lambda mu, logvar: 0.5 * (mu.abs() + logvar.exp() - 1 - logvar).sum(1))
    assert found.passed is False and "Everything" not in found.message
    found = exercises.gaussian_kl.check(lambda mu, logvar: 1.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1))
    assert "Everything is exactly 3 times" in found.message
