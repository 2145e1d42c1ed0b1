"""The exercises of notebook 04 beyond what every exercise is tested for: mistakes written another way than ours, and
odd things that a step may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_utils import exercises
from vae_utils.losses import bernoulli_nll, gaussian_kl, negative_elbo

Optimizer = torch.optim.Optimizer


def mean_loss(model: nn.Module, x: Tensor) -> Tensor:
    parameters, mu, logvar = model(x)
    return negative_elbo(parameters, x, mu, logvar).mean()


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
    assert (result.passed, result.mistake) == (False, "log-of-sigmoid")
    assert "200" in result.message


def test_logits_given_to_the_plain_cross_entropy_are_named() -> None:
    def no_sigmoid(logits: Tensor, x: Tensor) -> Tensor:
        return F.binary_cross_entropy(logits, x, reduction="none").flatten(1).sum(1)

    result = exercises.bernoulli_nll.check(no_sigmoid)
    assert result.mistake == "no-sigmoid"
    assert "F.binary_cross_entropy(logits, x" in result.message  # its line


# --- gaussian_kl -----------------------------------------------------------------------------------------------------


def test_a_change_in_place_that_breaks_the_way_back_is_told() -> None:
    def breaks(mu: Tensor, logvar: Tensor) -> Tensor:
        out = logvar.exp()
        out += mu**2 - 1 - logvar
        return 0.5 * out.sum(1)

    result = exercises.gaussian_kl.check(breaks)
    assert result.passed is False
    assert "in place" in result.message


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
        (("step", "backward"), None),  # lags behind and piles up: told in words
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


def test_a_step_of_another_length_is_told_with_its_factor() -> None:
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


def test_two_mistakes_at_once_are_told_apart() -> None:
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


def test_a_right_step_that_reports_another_loss_is_told() -> None:
    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        return 5 * in_another_order("clear", "backward", "step")(model, optimizer, x)

    result = exercises.training_step.check(step)
    assert (result.passed, result.mistake) == (False, None)
    assert "The weights move as they should" in result.message
    assert "exactly 5 times" in result.message


@pytest.mark.parametrize("returned", ["loss", (1, 2), [1.0], {"loss": 1.0}, torch.ones(3), float("nan"), nn.Identity()])
def test_odd_returns_are_told(returned: Any) -> None:
    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> Any:
        in_another_order("clear", "backward", "step")(model, optimizer, x)
        return returned

    result = exercises.training_step.check(step)
    assert (result.passed, result.mistake) == (False, None)
    assert result.message


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


def test_dice_that_the_learner_rolls_change_nothing() -> None:
    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        torch.manual_seed(0)
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
        model = VAE((1, 6, 6), 2, hidden=(8,), likelihood="bernoulli", sigma=None)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        try:
            for _ in range(2):
                mistake.function(model, optimizer, x)
        except RuntimeError:
            refused.add(mistake.slug)
    assert refused == {"no-grad", "not-averaged", "no-sigmoid", "get-device"}


def test_the_solutions_are_the_course_s_own_functions() -> None:
    generator = torch.Generator().manual_seed(0)
    mu, logvar, logits = (torch.randn(7, 12, generator=generator) for _ in range(3))
    x = torch.rand(7, 12, generator=generator)
    torch.testing.assert_close(exercises.gaussian_kl.answer(mu, logvar), gaussian_kl(mu, logvar))
    torch.testing.assert_close(exercises.bernoulli_nll.answer(logits, x), bernoulli_nll(logits, x))
    torch.testing.assert_close(
        exercises.negative_elbo.answer(logits, x, mu, logvar), negative_elbo(logits, x, mu, logvar)
    )


def test_the_kl_probes_of_the_course_stand_among_ours() -> None:
    """(mu, logvar) at which the usual wrong formulas all give different numbers."""
    found = {
        (round(mu.item(), 3), round(logvar.item(), 3))
        for mu, logvar in (probe.make().values() for probe in exercises.gaussian_kl.probes)
        if mu.numel() == 1
    }
    assert {(0.0, 0.0), (2.0, 0.0), (0.0, 1.0)} <= found


def test_a_rule_is_told_only_where_every_number_follows_it() -> None:
    """One large number must not hide that the small ones follow no such rule."""
    found = exercises.gaussian_kl.check(lambda mu, logvar: 0.5 * (mu.abs() + logvar.exp() - 1 - logvar).sum(1))
    assert found.passed is False and "Everything" not in found.message
    found = exercises.gaussian_kl.check(lambda mu, logvar: 1.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1))
    assert "Everything is exactly 3 times" in found.message
