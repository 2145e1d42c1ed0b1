"""`make bench` trains both ways, on losses that are comparable, and prints figures. Nothing here looks at a clock."""

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from scripts.bench import training as bench
from vae_utils import data
from vae_utils.likelihoods import Bernoulli, Gaussian, Likelihood
from vae_utils.losses import squared_error
from vae_utils.models import VAE, Autoencoder
from vae_utils.objectives import vae_loss


@pytest.fixture(autouse=True)
def _precision() -> Iterator[None]:
    """Restore the precision of matrix products, which the benchmark sets."""
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def test_prints_figures_of_both_models_without_mnist(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = data.load("digits")
    small = replace(digits, train=data.Split(digits.train.x[:300], digits.train.y[:300], None))

    def load(name: str) -> data.Dataset:
        if name == "mnist":
            raise data.DataError("No network.")
        return small

    monkeypatch.setattr(bench, "IMPORTS", ("json",))
    monkeypatch.setattr(bench.data, "load", load)
    bench.main(["--epochs", "1", "--repeats", "1"])
    printed = capsys.readouterr().out
    assert "No network. The VAE takes cats_dogs here." in printed
    for part in ("import json", "VAE on digits", "Autoencoder on digits", "usual / fit"):
        assert part in printed
    assert printed.count("seconds per epoch") == printed.count("epochs to a test loss of") == 2


@pytest.mark.parametrize("kind", ["VAE", "Autoencoder"])
def test_both_ways_learn(kind: str) -> None:
    digits = data.load("digits")
    untrained = bench.test_loss(bench.build(kind, digits, 0), digits.test.x)
    for train, more in ((bench.train_as_usual, ()), (bench.train_by_fit, (0, 128))):
        model = bench.build(kind, digits, 0)
        train(model, digits.train.x, 4, *more)
        assert bench.test_loss(model, digits.test.x) < untrained - 2


@pytest.mark.parametrize(
    ("likelihood", "constant"),
    [(Bernoulli(), 0), (Gaussian(0.3), -5 * 16 * math.log(0.3 * math.sqrt(2 * math.pi)))],
)
def test_the_usual_loss_is_that_of_fit_up_to_a_constant(likelihood: Likelihood, constant: float) -> None:
    torch.manual_seed(0)
    model = VAE((1, 4, 4), 2, likelihood, hidden=(8,))
    differences = []
    for seed in range(3):
        x = torch.rand(5, 1, 4, 4)
        torch.manual_seed(seed)
        usual = bench.usual_loss(model, x)
        torch.manual_seed(seed)
        differences.append((usual - vae_loss(model, x)["loss"].sum()).item())
    assert differences == pytest.approx([constant] * 3, abs=1e-3)


def test_the_usual_loss_refuses_a_likelihood_that_it_does_not_know() -> None:
    class Other:
        """A likelihood of another kind."""

        mean = Bernoulli().mean

    model = VAE((1, 4, 4), 2, Other(), hidden=(8,))
    with pytest.raises(TypeError, match="knows Bernoulli and Gaussian pixels, not .*Other"):
        bench.usual_loss(model, torch.rand(5, 1, 4, 4))


def test_the_usual_loss_of_an_autoencoder_is_the_squared_error() -> None:
    model, x = Autoencoder((1, 4, 4), 2, hidden=(8,)), torch.rand(5, 1, 4, 4)
    assert bench.usual_loss(model, x).item() == pytest.approx(squared_error(model(x), x).sum().item(), rel=1e-5)


@pytest.mark.parametrize("arguments", [["--epochs", "0"], ["--repeats", "-1"]])
def test_settings_that_make_no_sense_are_refused(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit, match="2"):
        bench.main(arguments)
    assert arguments[0] in capsys.readouterr().err
