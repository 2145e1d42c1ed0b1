"""How many steps a training takes, how its learning rate runs, and what its curve says."""

import copy
import json
from dataclasses import asdict

import pytest
import torch

from vae_utils.history import History
from vae_utils.models import Autoencoder
from vae_utils.runtime import scaled
from vae_utils.training import fit, schedule

X = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(0))
QUICK = {"batch_size": 20, "record_every": 10, "progress": False, "device": "cpu"}


def new():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Autoencoder((1, 4, 4), 2, hidden=(8, 6))


# Steps


@pytest.mark.parametrize(
    ("factor", "steps", "result"),
    [("4", 300, 1200), ("0.25", 300, 75), ("1e-9", 300, 1), ("", 300, 300), ("1.5", 1, 2), (" 2 ", 5, 10)],
)
def test_scaled_multiplies_by_the_variable(monkeypatch, factor, steps, result):
    monkeypatch.setenv("VAE_STEPS", factor)
    assert scaled(steps) == result and isinstance(scaled(steps), int)


def test_scaled_without_the_variable_is_what_was_asked():
    assert [scaled(steps) for steps in (1, 1500)] == [1, 1500]


def test_steps_that_are_no_steps_stay_for_fit_to_refuse(monkeypatch):
    monkeypatch.setenv("VAE_STEPS", "4")
    assert [scaled(0), scaled(-3)] == [0, -3]
    with pytest.raises(ValueError, match="steps is 0; it must be above 0"):
        fit(new(), X, steps=0, **QUICK)


@pytest.mark.parametrize("nonsense", ["four", "0", "-1", "nan", "inf", "4x", "1,5"])
def test_nonsense_gives_one_sentence_and_leaves_the_model_alone(monkeypatch, nonsense):
    monkeypatch.setenv("VAE_STEPS", nonsense)
    model, before = new(), new().state_dict()
    with pytest.raises(ValueError) as error:
        fit(model, X, steps=10, **QUICK)
    text = f"VAE_STEPS is {nonsense!r}; it multiplies training steps: a number above 0, such as 4."
    assert str(error.value) == text
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_fit_takes_the_multiplied_steps_and_is_then_the_training_of_that_length(monkeypatch):
    models = new(), new()
    monkeypatch.setenv("VAE_STEPS", "3")
    multiplied = fit(models[0], X, steps=20, **QUICK)
    monkeypatch.delenv("VAE_STEPS")
    asked = fit(models[1], X, steps=60, **QUICK)
    assert multiplied.step == asked.step == [10, 20, 30, 40, 50, 60]
    assert multiplied.terms == asked.terms and models[0].trained_steps == models[1].trained_steps == 60


def test_a_checkpoint_keeps_the_multiplied_steps(monkeypatch, tmp_path):
    path = tmp_path / "run.safetensors"
    monkeypatch.setenv("VAE_STEPS", "2")
    fit(new(), X, steps=20, checkpoint=path, **QUICK)
    monkeypatch.delenv("VAE_STEPS")
    with pytest.raises(ValueError, match="made with steps=40, not 20"):
        fit(new(), X, steps=20, checkpoint=path, **QUICK)
    assert fit(new(), X, steps=40, checkpoint=path, **QUICK).step == [10, 20, 30, 40]


def test_schedule_rises_over_50_steps_and_falls_linearly_to_zero():
    factors = [schedule(step, 1000) for step in range(1000)]
    assert factors[0] == pytest.approx(1 / 50) and factors[49] == pytest.approx(1 - 49 / 1000)
    assert factors.index(max(factors)) == 49 and min(factors[1:900]) > 0.02
    assert factors[500] == pytest.approx(0.5) and factors[999] == pytest.approx(1 / 1000)
    assert all(0 < schedule(step, 3) <= 1 for step in range(3))  # shorter than the rise


def test_fit_follows_the_schedule(monkeypatch):
    rates = []

    class Watched(torch.optim.Adam):
        def step(self, *more):
            rates.append(self.param_groups[0]["lr"])
            return super().step(*more)

    monkeypatch.setattr("torch.optim.Adam", Watched)
    fit(new(), X, steps=80, lr=0.01, **QUICK)
    assert rates == pytest.approx([0.01 * schedule(step, 80) for step in range(80)])


# Still falling


def recorded(curve, steps=1000, every=50):
    """Return the history of a loss that is curve(t) at t = step / steps: means since the entry before."""
    history = History()
    for end in range(every, steps + 1, every):
        history.step.append(end)
        values = [curve(step / steps) for step in range(end - every, end)]
        history.terms.setdefault("loss", []).append(sum(values) / every)
    return history


def noise(size, seed=0):
    draws = iter(torch.randn(10_000, generator=torch.Generator().manual_seed(seed)).tolist())
    return lambda: size * next(draws)


FALLING = {
    "a straight fall": lambda t: 10 - 8 * t,
    "slower and slower": lambda t: 10 * 2 ** (-t / 0.3),
    "a late fall": lambda t: 10 - 6 * (t > 0.55),
    "from a very bad first moment": lambda t: 100 if t < 0.01 else 12 - 4 * t,
}
RESTING = {
    "at the bottom early": lambda t: 2 + 8 * 2 ** (-t / 0.03),
    "a fall at the end alone, as the learning rate goes to zero": lambda t: (
        4 + 8 * 2 ** (-t / 0.03) - 2 * max(t - 0.9, 0) / 0.1
    ),
    "a plateau": lambda t: 3 + 7 * 2 ** (-t / 0.03),
    "constant": lambda t: 5.0,
    "rising": lambda t: 2 + t,
    "up and at rest": lambda t: 2 + min(t, 0.2),
    "down and up again": lambda t: 10 - 20 * t if t < 0.4 else 2 + 5 * (t - 0.4),
}


@pytest.mark.parametrize("name", FALLING)
def test_a_loss_that_falls_is_said_to_fall(name):
    history = recorded(FALLING[name])
    assert history.still_falling and repr(history).endswith("; still falling>")


@pytest.mark.parametrize("name", RESTING)
def test_a_loss_that_rests_or_rises_is_not(name):
    history = recorded(RESTING[name])
    assert not history.still_falling and "falling" not in repr(history)


@pytest.mark.parametrize("name", [*FALLING, *RESTING])
def test_units_offset_and_spacing_of_the_entries_do_not_matter(name):
    curve = (FALLING | RESTING)[name]
    expected = recorded(curve).still_falling
    assert recorded(lambda t: 70 * curve(t) - 900).still_falling == expected, "a density's loss may be negative"
    assert all(recorded(curve, every=every).still_falling == expected for every in (10, 25, 100))


def test_noise_of_the_batches_is_no_fall():
    for seed in range(20):
        jitter = noise(0.1 * 50**0.5, seed)  # a hundredth of the whole fall in each entry of 50 steps
        assert not recorded(lambda t, jitter=jitter: 2 + 10 * 2 ** (-t / 0.03) + jitter()).still_falling


def test_it_cannot_see_what_comes_after_a_plateau():
    """Its stated limit: the same curve, seen for longer, falls on."""

    def curve(step):
        return 32 + 8 * 2 ** (-step / 40) - 10 * max(step - 1500, 0) / 2500

    assert not recorded(lambda t: curve(800 * t), 800).still_falling
    assert recorded(lambda t: curve(4000 * t), 4000).still_falling


def test_too_few_entries_say_nothing():
    straight = recorded(FALLING["a straight fall"])
    assert not History(straight.step[:7], {"loss": straight["loss"][:7]}).still_falling
    assert History(straight.step[:8], {"loss": straight["loss"][:8]}).still_falling
    assert not History().still_falling and repr(History()) == "<0 steps in 0.0 s: >"


def test_a_history_is_kept_whole_in_a_checkpoint():
    history = recorded(FALLING["a straight fall"])
    again = History(**json.loads(json.dumps(asdict(history))))
    assert again == history and again.still_falling and copy.copy(again) == history
