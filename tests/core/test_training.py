"""Training lowers the loss, gives the same numbers for a seed, and survives interrupts, full disks and bad input."""

import copy
import errno
import functools
import os
import re
from contextlib import nullcontext

import pytest
import torch

from vae_utils import random_state, training
from vae_utils.checkpoints import load_weights, save_weights
from vae_utils.data import DataError
from vae_utils.likelihoods import Bernoulli, Gaussian
from vae_utils.models import VAE, Autoencoder
from vae_utils.objectives import autoencoder_loss, vae_loss
from vae_utils.start import start_at_mean, start_at_principal_components
from vae_utils.training import TrainingDiverged, fit

SHAPE = (1, 6, 6)
FACTORS = torch.randn(150, 2, generator=torch.Generator().manual_seed(0))
X = torch.sigmoid(FACTORS @ torch.randn(2, 36, generator=torch.Generator().manual_seed(1))).view(-1, *SHAPE)
QUICK = {"steps": 40, "batch_size": 32, "record_every": 10, "progress": False, "device": "cpu"}


def new(kind=VAE, seed=0, latent_dim=2):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        more = (Gaussian(0.2),) if kind is VAE else ()
        return kind(SHAPE, latent_dim, *more, hidden=(16, 12))


def same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def stop_at(step, loss=vae_loss, error=KeyboardInterrupt):
    """A loss that works for `step` steps, and then raises the error."""
    calls = 0

    @functools.wraps(loss)  # a checkpoint knows a loss by its name
    def stopping(model, x):
        nonlocal calls
        if calls == step:
            raise error
        calls += 1
        return loss(model, x)

    return stopping


# What training does


@pytest.mark.parametrize(("kind", "terms"), [(Autoencoder, {"loss"}), (VAE, {"loss", "nll", "kl"})])
def test_fit_lowers_the_loss_and_notes_its_terms(kind, terms):
    model = new(kind)
    history = fit(model, X, **QUICK | {"steps": 210, "lr": 1e-2})
    assert history.step == [*range(10, 211, 10)] and history.terms.keys() == terms
    first, last = history["loss"][0], history["loss"][-1]
    assert last < first - 0.2 * abs(first)
    assert not history.stopped and not model.training and history.seconds > 0
    assert repr(history).startswith("<210 steps in ")


def test_terms_are_averages_since_the_entry_before():
    values = iter(range(1, 41))
    history = fit(new(), X, **QUICK, loss=lambda m, x: vae_loss(m, x) | {"count": torch.tensor([float(next(values))])})
    assert history["count"] == [5.5, 15.5, 25.5, 35.5]


def test_vae_loss_weighs_the_kl_with_beta():
    one, four = ({k: v.detach() for k, v in vae_loss(m, X, beta=b).items()} for m, b in ((new(), 1), (new(), 4)))
    torch.testing.assert_close(one["loss"], one["nll"] + one["kl"])
    torch.testing.assert_close(four["loss"], four["nll"] + 4 * four["kl"])
    assert one["loss"].shape == (len(X),)


def test_vae_loss_refuses_a_negative_beta():
    with pytest.raises(ValueError, match="beta must be 0 or more, not -0.5"):
        vae_loss(new(), X, beta=-0.5)


def test_same_seed_same_numbers_and_the_global_random_state_stays():
    a, b, c = new(), new(), new()
    before = torch.get_rng_state()
    history_a = fit(a, X, **QUICK, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)  # the global state does not matter
    history_b, history_c = fit(b, X, **QUICK, seed=3), fit(c, X, **QUICK, seed=4)
    assert same_weights(a, b) and history_a.terms == history_b.terms
    assert not same_weights(a, c) and history_a.terms != history_c.terms


def test_the_seed_is_that_of_the_noise_too():
    same = X[:1].expand(64, *SHAPE)  # in whatever order
    a, b = new(), new()
    fit(a, same, **QUICK, seed=3)
    fit(b, same, **QUICK, seed=4)
    assert not same_weights(a, b)


def test_bytes_train_as_their_fractions_do():
    as_bytes = (X * 255).round().to(torch.uint8)
    a, b = new(), new()
    fit(a, as_bytes, **QUICK)
    fit(b, as_bytes.float() / 255, **QUICK)
    for name, weight in a.state_dict().items():
        torch.testing.assert_close(weight, b.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_an_epoch_has_every_picture_once_and_the_next_another_order():
    batches = [training._batch(step, 10, 50, seed=0) for step in range(10)]
    first, second = torch.cat(batches[:5]), torch.cat(batches[5:])
    assert sorted(first.tolist()) == sorted(second.tolist()) == [*range(50)]
    assert not torch.equal(first, second)
    assert torch.equal(training._batch(7, 10, 50, seed=0), batches[7])  # as after a resumption
    assert not torch.equal(training._batch(7, 10, 50, seed=1), batches[7])


def test_fewer_pictures_than_a_batch():
    assert fit(new(), X[:5], **QUICK | {"batch_size": 64}).step[-1] == 40


@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize("kind", [Autoencoder, VAE])
def test_start_at_mean_draws_the_mean_picture(kind, as_bytes):
    model = new(kind)
    start_at_mean(model, (X * 255).round().to(torch.uint8) if as_bytes else X)
    mean = X.mean(0, keepdim=True)
    with torch.no_grad():
        draw = getattr(model, "mean", model.decode)
        torch.testing.assert_close(draw(torch.zeros(1, 2)), mean, atol=0.1, rtol=0)
        assert (draw(torch.randn(200, 2)) - mean).abs().mean() < 0.05
        torch.testing.assert_close(model.encoder[0](mean.flatten(1)), torch.zeros(1, 12), atol=2e-3, rtol=0)
        if kind is VAE:
            assert torch.equal(model.encode(X)[1], torch.full((len(X), 2), -2.0))


STILL = QUICK | {"steps": 1, "lr": 1e-12}  # no step to speak of


def assert_near(model, other):
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, other.state_dict()[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [Autoencoder, VAE])
def test_fit_starts_an_untrained_model_at_the_principal_components_and_a_trained_one_where_it_is(kind):
    model, started = new(kind), new(kind)
    start_at_principal_components(started, X)
    fit(model, X, **STILL)
    assert_near(model, started)
    with torch.no_grad():
        model.encoder[0].weight.mul_(2)
    moved = copy.deepcopy(model)
    fit(model, X, **STILL)
    assert_near(model, moved)


def test_fit_starts_other_networks_as_they_are():
    model = new(Autoencoder)
    model.decoder = torch.nn.ModuleList([model.decoder])
    model.decode = lambda z: model.decoder[0](z).sigmoid().unflatten(1, SHAPE)
    as_it_was = copy.deepcopy(model.state_dict())
    fit(model, X, **STILL)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, as_it_was[name], rtol=0, atol=1e-6)


def test_fit_leaves_weights_that_were_loaded_by_any_way_as_they_are():
    trained, other = new(), new(seed=1)
    fit(trained, X, **QUICK | {"steps": 200, "lr": 1e-2})
    other.load_state_dict(trained.state_dict())  # torch's own way, which notes no steps
    fit(other, X, **STILL)
    for name, weight in trained.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], weight, rtol=0, atol=1e-6)


def test_fit_starts_convolutions_as_they_are():
    model = new()
    model.encoder = torch.nn.Sequential(torch.nn.Unflatten(1, SHAPE), torch.nn.Conv2d(1, 1, 6), torch.nn.Flatten())
    model.encoder.append(torch.nn.Linear(1, 4))
    before = copy.deepcopy(model)
    fit(model, X, **STILL)
    for name, weight in before.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, rtol=0, atol=1e-6)


def test_training_goes_on_from_where_it_was():
    model = new()
    first = fit(model, X, **QUICK | {"steps": 200, "lr": 1e-2})
    second = fit(model, X, **QUICK)
    assert second["loss"][0] < first["loss"][0] and second["loss"][0] == pytest.approx(first["loss"][-1], rel=0.2)
    assert model.trained_steps == 240


# Interrupts and checkpoints


def test_an_interrupt_keeps_what_was_learned(capsys):
    model, start = new(), new()
    history = fit(model, X, **QUICK, loss=stop_at(25))
    assert history.stopped and history.step == [10, 20] and model.trained_steps == 25
    assert capsys.readouterr().out == "Stopped at step 25 of 40; the model keeps what it has learned.\n"
    assert not same_weights(model, start) and not model.training
    history = fit(new(), X, **QUICK, loss=stop_at(0))
    assert history.stopped and history.step == [] and repr(history).startswith("<0 steps")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])  # by hand; as a killed process ends
@pytest.mark.parametrize("kind", [Autoencoder, VAE])
def test_resumed_training_ends_as_uninterrupted_training_does(tmp_path, kind, error):
    loss = vae_loss if kind is VAE else autoencoder_loss
    whole, broken, resumed = new(kind), new(kind), new(kind, seed=9)
    expected = fit(whole, X, **QUICK)
    saving = QUICK | {"checkpoint": tmp_path / "run.safetensors", "checkpoint_every": 20}
    try:
        fit(broken, X, **saving, loss=stop_at(27, loss, error))
    except SystemExit:
        assert error is SystemExit
    torch.rand(5)
    history = fit(resumed, X, **saving)
    assert same_weights(resumed, whole) and resumed.trained_steps == 40
    assert (history.step, history.terms) == (expected.step, expected.terms)
    assert not history.stopped
    again = new(kind, seed=8)  # a finished run is read, not run again
    assert fit(again, X, **saving, loss=stop_at(0, loss)).terms == expected.terms
    assert same_weights(again, whole) and again.trained_steps == 40
    assert os.listdir(tmp_path) == ["run.safetensors"]


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "run.safetensors"
    fit(new(), X, **QUICK, checkpoint=path)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 1e-4}, "made with lr=0.003, not 0.0001"),
        ({"steps": 50}, "made with steps=40, not 50"),
        ({"seed": 1}, "made with seed=0, not 1"),
        ({"batch_size": 16}, "made with batch_size=32, not 16"),
    ],
)
def test_checkpoint_of_other_settings(checkpoint, changes, message):
    with pytest.raises(ValueError, match=message):
        fit(new(), X, **QUICK | changes, checkpoint=checkpoint)


def my_loss(model, x, weight=1.0):
    return vae_loss(model, x, beta=weight)


class MyLoss:
    def __call__(self, model, x):
        return vae_loss(model, x)


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (None, "vae_utils.objectives.vae_loss"),
        (my_loss, f"{__name__}.my_loss"),
        (functools.partial(vae_loss, beta=4.0), "vae_utils.objectives.vae_loss(beta=4.0)"),
        (functools.partial(vae_loss, beta=2), "vae_utils.objectives.vae_loss(beta=2)"),
        (functools.partial(my_loss, weight=torch.ones(1)), f"{__name__}.my_loss(weight=Tensor)"),
        (MyLoss(), f"{__name__}.MyLoss"),
    ],
)
def test_checkpoint_of_another_loss(tmp_path, loss, name):
    path = tmp_path / "run.safetensors"
    fit(new(), X, **QUICK, checkpoint=path, loss=loss)
    assert fit(new(), X, **QUICK, checkpoint=path, loss=loss).step[-1] == 40  # the same is no other
    with pytest.raises(ValueError) as error:
        fit(new(), X, **QUICK, checkpoint=path, loss=autoencoder_loss)
    message = f"made with loss={name}, not vae_utils.objectives.autoencoder_loss: use the same settings"
    assert message in str(error.value)


@pytest.mark.parametrize("other", [Bernoulli(), Gaussian(0.4)])
def test_checkpoint_of_another_likelihood(tmp_path, other):
    model = new()
    fit(model, X, **QUICK, checkpoint=tmp_path / "run.safetensors")
    model.likelihood = other
    message = f"made with likelihood=Gaussian(sigma=0.2), not {other}: use the same settings"
    with pytest.raises(ValueError, match=re.escape(message)):
        fit(model, X, **QUICK, checkpoint=tmp_path / "run.safetensors")


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_random_numbers_of_a_gpu_are_kept_and_set(monkeypatch, kind):
    state, seen = {"now": torch.tensor([1], dtype=torch.uint8)}, []
    monkeypatch.setattr(f"torch.{kind}.get_rng_state", lambda *device: state["now"].clone())
    monkeypatch.setattr(f"torch.{kind}.set_rng_state", lambda value, *device: state.update(now=value))
    monkeypatch.setattr(f"torch.{kind}.manual_seed", lambda seed: seen.append(seed))
    monkeypatch.setattr("torch.cuda.device", lambda device: nullcontext())
    device = torch.device(kind)
    with random_state.own_random_numbers(5, device):
        with random_state.own_random_numbers(0, torch.device("cpu")):
            pass  # the other device is not seeded again
        state["now"] = torch.tensor([2], dtype=torch.uint8)
        during = random_state.get_state(device)
    assert seen == [5] and during.keys() == {"cpu", kind}
    assert state["now"].item() == 1, "as it was before"
    random_state.set_state(during, device)
    assert state["now"].item() == 2
    random_state.set_state({"cpu": torch.get_rng_state()}, device)  # kept on a CPU: what is here stays
    assert state["now"].item() == 2


def test_checkpoint_of_other_pictures_or_another_model_or_of_weights(checkpoint, tmp_path):
    with pytest.raises(ValueError, match="pictures=150, not 149"):
        fit(new(), X[1:], **QUICK, checkpoint=checkpoint)
    with pytest.raises(ValueError, match="holds another model: decoder.0.weight is"):
        fit(new(latent_dim=3), X, **QUICK, checkpoint=checkpoint)
    save_weights(new(), tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="not a checkpoint of fit: use load_weights"):
        fit(new(), X, **QUICK, checkpoint=tmp_path / "weights.safetensors")


@pytest.mark.parametrize("damage", [lambda b: b[:-100], lambda b: b"", lambda b: b"PK\3\4" + b[4:]])
def test_damaged_checkpoint_leaves_the_model_alone(checkpoint, damage):
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    model = new()
    with pytest.raises(ValueError, match="not a whole safetensors file.*delete it and train again"):
        fit(model, X, **QUICK, checkpoint=checkpoint)
    assert same_weights(model, new())


def test_checkpoint_on_a_full_disk(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("vae_utils.files.os.replace", full)
    with pytest.raises(DataError, match="the disk is full"):
        fit(new(), X, **QUICK, checkpoint=tmp_path / "run.safetensors")
    assert os.listdir(tmp_path) == []


# Weights


def test_weights_come_back(tmp_path):
    model, other = new(), new(seed=1)
    fit(model, X, **QUICK)
    save_weights(model, tmp_path / "deep" / "weights.safetensors")
    load_weights(other, tmp_path / "deep" / "weights.safetensors")
    assert same_weights(model, other) and other.trained_steps == 40
    save_weights(new(seed=2), tmp_path / "deep" / "weights.safetensors")  # replaces
    load_weights(other, tmp_path / "deep" / "weights.safetensors")
    assert same_weights(other, new(seed=2)) and os.listdir(tmp_path / "deep") == ["weights.safetensors"]


@pytest.mark.parametrize("wrong", [new(Autoencoder), new(latent_dim=3)])
def test_weights_of_another_model(tmp_path, wrong):
    save_weights(new(), tmp_path / "weights.safetensors")
    before = copy.deepcopy(wrong)
    with pytest.raises(ValueError, match=r"holds another model: .* is \(.*\) there and \(.*\) here"):
        load_weights(wrong, tmp_path / "weights.safetensors")
    assert same_weights(wrong, before)


def test_damaged_weights(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(new(), path)
    path.write_bytes(path.read_bytes()[:-1])
    model = new(seed=1)
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_weights(model, path)
    assert same_weights(model, new(seed=1))


@pytest.mark.parametrize("broken", ["os.replace", "open"])
def test_weights_on_a_full_disk(tmp_path, monkeypatch, broken):
    path = tmp_path / "weights.safetensors"
    save_weights(new(), path)
    before = path.read_bytes()

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"vae_utils.files.{broken}", full, raising=False)
    with pytest.raises(DataError, match="weights.safetensors can't be written.*the disk is full.*free some space"):
        save_weights(new(seed=1), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["weights.safetensors"]


# Bad input


def test_a_loss_that_is_not_a_number_names_the_step_and_the_learning_rate():
    factors = iter([1.0] * 15 + [torch.nan] * 25)

    def nan_from_15(model, x):
        return {"loss": vae_loss(model, x)["loss"] * next(factors)}

    with pytest.raises(TrainingDiverged, match=r"became nan by step 20: lower the learning rate \(it is 0.003\)"):
        fit(new(), X, **QUICK, loss=nan_from_15)


@pytest.mark.parametrize(
    ("x", "changes", "message"),
    [
        (X[:, :, :5], {}, r"takes pictures \(n, 1, 6, 6\), but got \(150, 1, 5, 6\)"),
        (X[0], {}, r"but got \(1, 6, 6\)"),
        (X[:0], {}, r"but got \(0, 1, 6, 6\)"),
        (X * 255, {}, r"lie in \[0, 1\], but go from .*; take x / 255"),
        (X - 0.5, {}, r"lie in \[0, 1\]"),
        (X * torch.nan, {}, "pictures have pixels that are NaN"),
        (X, {"steps": 0}, "steps is 0; it must be above 0"),
        (X, {"batch_size": -1}, "batch_size is -1"),
        (X, {"lr": 0.0}, "lr is 0.0"),
        (X, {"lr": float("nan")}, "lr is nan"),
        (X, {"record_every": 0}, "record_every is 0"),
        (X, {"checkpoint": "run", "checkpoint_every": 15}, "15; it must be a multiple of record_every, 10"),
        (X, {"checkpoint": "run", "checkpoint_every": 0}, "checkpoint_every is 0"),
    ],
)
def test_fit_rejects(tmp_path, monkeypatch, x, changes, message):
    monkeypatch.chdir(tmp_path)
    model = new()
    with pytest.raises(ValueError, match=message):
        fit(model, x, **QUICK | changes)
    assert same_weights(model, new()) and os.listdir(tmp_path) == []


def test_a_bar_is_shown_unless_it_is_not_wanted(monkeypatch, capsys):
    quiet = QUICK | {"progress": None, "steps": 2}
    monkeypatch.setenv("VAE_PROGRESS", "0")
    fit(new(), X, **quiet)
    assert capsys.readouterr().err == ""
    monkeypatch.delenv("VAE_PROGRESS")
    fit(new(), X, **quiet)
    assert "/2" in capsys.readouterr().err


def with_nan():
    x = X.clone()
    x[3:5, 0, 0, 0] = torch.nan
    return x


@pytest.mark.parametrize(
    ("x", "kind", "message"),
    [
        (2 * X - 1, ValueError, r"\[0, 1\], but go from -0\.\d+ to 0\.\d+; take \(x \+ 1\) / 2"),
        (255 * X, ValueError, r"take x / 255"),
        ((X - 0.5) / 0.1, ValueError, "undo the standardization"),
        (with_nan(), ValueError, "2 of 150 pictures have pixels that are NaN or infinite"),
        (X.double(), TypeError, r"Pixels must be torch.float32.*not torch.float64: x.to\(torch.float32\)"),
        (X.numpy(), TypeError, r"not ndarray: of a NumPy array torch.from_numpy\(x\)"),
        (None, TypeError, "fit takes a tensor of pictures .* not NoneType"),
    ],
)
def test_pictures_of_another_form_are_refused_with_a_cure(x, kind, message):
    with pytest.raises(kind, match=message):
        fit(new(), x, **QUICK)


def test_doubles_suit_a_model_of_doubles():
    assert fit(new().double(), X.double(), **QUICK).step[-1] == 40
