"""`make bench` trains both ways, takes them in turn and prints their ratios. Nothing here looks at a clock."""

import math
import re
from collections.abc import Iterator

import pytest
import torch

from scripts.bench import training as bench
from vae_utils import data
from vae_utils.losses import gaussian_kl, squared_error
from vae_utils.models import VAE, Autoencoder
from vae_utils.training import vae_loss

NUMBER = r"\d+\.\d\d"
RATIO = rf"{NUMBER} \({NUMBER} to {NUMBER}\)"


@pytest.fixture(autouse=True)
def _precision() -> Iterator[None]:
    """The benchmark sets the precision of matrix products: put it back."""
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits")


def test_prints_times_and_ratios_of_both_models(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "IMPORTS", ("json",))
    bench.main(["--dataset", "digits", "--epochs", "1", "--repeats", "2"])
    header, *rest = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"\d+ cores, \d+ threads, \w+, torch {re.escape(torch.__version__)}\.", header)
    assert "ratios matter" in rest[0]
    assert re.fullmatch(rf" *import json +{NUMBER} s", rest[2])
    for kind, lines in (("VAE", rest[4:8]), ("Autoencoder", rest[9:13])):
        title, *rows = lines
        assert re.fullmatch(rf"{kind} on digits +usual +fit +usual / fit", title)
        names = ("seconds per epoch, batches of 128", r"epochs to a test loss of \d+\.\d", "seconds to it")
        for name, row in zip(names, rows, strict=True):
            assert re.fullmatch(rf"  {name} +{NUMBER} +(?:{NUMBER}|never)  {RATIO}", row), row
    assert len(rest) == 13


def test_the_two_take_turns_from_the_same_weights_and_medians_are_printed(
    digits: data.Dataset, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, times = [], iter([8.0, 2.0, 12.0, 6.0, 4.0, 2.0])  # usual, fit, usual, ... of two epochs

    def seconds(task, model, *_):
        calls.append((task.__name__, next(model.parameters()).sum().item()))
        return next(times)

    monkeypatch.setattr(bench, "seconds", seconds)
    monkeypatch.setattr(bench, "train_as_usual", named("usual"))
    monkeypatch.setattr(bench, "train_by_fit", named("fit"))
    monkeypatch.setattr(bench, "test_loss", lambda *_: 5.0)
    found = iter([(0.5, 1.0), (1.0, 2.0), (math.inf, math.inf)])
    monkeypatch.setattr(bench, "shortest_fit", lambda *_: next(found))
    bench.compare("VAE", digits, epochs=2, repeats=3)
    names, weights = zip(*calls, strict=True)
    assert names == ("usual", "fit") * 3
    assert weights[::2] == weights[1::2] and len(set(weights)) == 3
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == [
        "seconds per epoch, batches of 128 4.00 1.00 2.00 (2.00 to 4.00)",
        "epochs to a test loss of 5.0 2.00 1.00 2.00 (0.00 to 4.00)",
        "seconds to it 8.00 2.00 6.00 (0.00 to 8.00)",
    ]


def named(name: str):
    def nothing(*_) -> None:
        pass

    nothing.__name__ = name
    return nothing


@pytest.mark.parametrize("kind", ["VAE", "Autoencoder"])
def test_both_ways_learn(kind: str, digits: data.Dataset) -> None:
    untrained = bench.test_loss(bench.build(kind, digits, 0), digits.test.x)
    for train, more in ((bench.train_as_usual, ()), (bench.train_by_fit, (0, 128))):
        model = bench.build(kind, digits, 0)
        train(model, digits.train.x, 4, *more)
        assert bench.test_loss(model, digits.test.x) < untrained - 2


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_usual_loss_is_that_of_fit_up_to_a_constant(likelihood: str) -> None:
    torch.manual_seed(0)
    model = VAE((1, 4, 4), 2, hidden=(8,), likelihood=likelihood, sigma=0.3)
    differences = []
    for seed in range(3):
        x = torch.rand(5, 1, 4, 4)
        torch.manual_seed(seed)
        usual = bench.usual_loss(model, x)
        torch.manual_seed(seed)
        differences.append((usual - vae_loss(model, x)["loss"].sum()).item())
    constant = 0 if likelihood == "bernoulli" else -5 * 16 * math.log(0.3 * math.sqrt(2 * math.pi))
    assert differences == pytest.approx([constant] * 3, abs=1e-3)


def test_the_usual_loss_of_an_autoencoder_is_the_squared_error() -> None:
    model, x = Autoencoder((1, 4, 4), 2, hidden=(8,)), torch.rand(5, 1, 4, 4)
    assert bench.usual_loss(model, x).item() == pytest.approx(squared_error(model(x), x).sum().item(), rel=1e-5)


def test_the_test_loss_of_a_model_is_always_the_same_number(digits: data.Dataset) -> None:
    model = bench.build("VAE", digits, 0)
    first = bench.test_loss(model, digits.test.x)
    torch.rand(3)
    assert bench.test_loss(model, digits.test.x) == first
    mu, logvar = model.encode(digits.test.x)
    assert first > gaussian_kl(mu, logvar).mean().item()


def test_the_shortest_fit_is_the_first_to_reach_the_level(
    digits: data.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = []
    monkeypatch.setattr(bench, "train_by_fit", lambda model, x, epochs, seed: lengths.append(epochs))
    monkeypatch.setattr(bench, "test_loss", lambda *_: 10 - lengths[-1])
    epochs, spent = bench.shortest_fit("VAE", digits, 9.25, 3, 0)
    assert epochs == 0.75 and lengths == [0.25, 0.5, 0.75] and spent < math.inf
    assert bench.shortest_fit("VAE", digits, 0, 1, 0) == (math.inf, math.inf)
    assert lengths[3:] == [0.25, 0.5, 0.75, 1.0]


def test_cats_and_dogs_take_the_place_of_mnist_where_it_cannot_be_had(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name):
        if name == "mnist":
            raise data.DataError("No network.")
        return name

    compared = []
    monkeypatch.setattr(bench, "IMPORTS", ())
    monkeypatch.setattr(bench.data, "load", load)
    monkeypatch.setattr(bench, "compare", lambda *arguments: compared.append(arguments))
    bench.main([])
    assert compared == [("VAE", "cats_dogs", 3, 3), ("Autoencoder", "cats_dogs", 3, 3)]
    assert "No network. The VAE takes cats_dogs here." in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--epochs", "0"], ["--repeats", "-1"], ["--epochs", "many"]])
def test_settings_that_make_no_sense_are_refused(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit, match="2"):
        bench.main(arguments)
    assert arguments[0] in capsys.readouterr().err
