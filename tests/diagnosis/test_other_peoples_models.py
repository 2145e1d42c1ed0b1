"""Models, losses and pictures as other programs have them: right ones raise no alarm, wrong ones are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from vae_utils import data
from vae_utils.diagnosis import Report, examine
from vae_utils.likelihoods import Bernoulli
from vae_utils.losses import bernoulli_nll, gaussian_kl
from vae_utils.models import VAE
from vae_utils.objectives import vae_loss

Change = Callable[[Tensor], Tensor]


def same(values: Tensor) -> Tensor:
    return values


class Other(nn.Module):
    """A VAE with flat pictures, another last step of the decoder, and another third output."""

    def __init__(self, last: Change = torch.sigmoid, sigma: Change = lambda raw: (0.5 * raw).exp()) -> None:
        super().__init__()
        self.encoder, self.body = nn.Linear(64, 64), nn.Sequential(nn.Linear(4, 64), nn.ELU(), nn.Linear(64, 64))
        self.heads, self.last, self.sigma = nn.Linear(64, 8), last, sigma

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.heads(self.encoder(x.flatten(1)).relu()).chunk(2, 1)
        return mu, raw

    def decode(self, z: Tensor) -> Tensor:
        return self.last(self.body(z))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, raw = self.encode(x)
        return self.decode(mu + self.sigma(raw) * torch.randn_like(mu)), mu, raw


def digits() -> Tensor:
    return data.load("digits").train.x


def trained(model: nn.Module, x: Tensor, loss: Callable[[nn.Module, Tensor], Tensor], steps: int = 400) -> nn.Module:
    """The model after some plain training."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-2, betas=(0.9, 0.98))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        batch = x[torch.randint(len(x), (128,))]
        optimizer.zero_grad()
        (loss(model, batch) / len(batch)).backward()
        optimizer.step()
    return model


def squares(half: float, logvar_of: Change = same) -> Callable[[nn.Module, Tensor], Tensor]:
    def loss(model: nn.Module, x: Tensor) -> Tensor:
        back, mu, raw = model(x)
        return half * F.mse_loss(back, x.flatten(1), reduction="sum") + gaussian_kl(mu, logvar_of(raw)).sum()

    return loss


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


# The range of the pictures


def test_right_vae_on_pixels_from_minus_1_to_1_raises_no_alarm() -> None:
    x, loss = 2 * digits() - 1, squares(2)
    report = examine(trained(Other(torch.tanh), x, loss), x, loss=loss)
    assert report.wrong == ()
    assert "between -1 and 1, outside [0, 1]" in report["pixels"].sentence and "means" in report["pixels"].sentence


@pytest.mark.parametrize(
    ("x", "last", "says"),
    [
        (lambda: 2 * digits() - 1, torch.sigmoid, "between -1 and 1, but the decoder's pictures stay in [0, 1]"),
        (lambda: 255 * digits(), torch.sigmoid, "rescale x, x / 255"),
        (lambda: (digits() - 0.3) / 0.37, torch.sigmoid, "rescale x, to [0, 1]"),
    ],
)
def test_decoder_that_cannot_reach_the_pixels_is_named(x: Callable[[], Tensor], last: Change, says: str) -> None:
    report = examine(Other(last), x(), loss=squares(0.5))
    assert "pixels" in report.wrong and says in report["pixels"].sentence


def test_bernoulli_of_pixels_outside_its_range_is_named() -> None:
    report = examine(VAE((1, 8, 8), 4, Bernoulli(), hidden=(16,)), 2 * digits() - 1)
    assert "a Bernoulli's lie in [0, 1]: rescale them, (x + 1) / 2" in report["pixels"].sentence


def test_sigmoid_in_the_decoder_of_a_bernoulli_is_two_sigmoids() -> None:
    model = VAE((1, 8, 8), 4, Bernoulli(), hidden=(16,))
    model.decoder.append(nn.Sigmoid())
    report = examine(model, digits(), loss=vae_loss)
    assert "pixels" in report.wrong and "two sigmoids" in report["pixels"].sentence


def test_cross_entropy_with_logits_of_probabilities_is_two_sigmoids() -> None:
    def loss(model: nn.Module, x: Tensor) -> Tensor:
        back, mu, logvar = model(x)
        return bernoulli_nll(back, x.flatten(1)) + gaussian_kl(mu, logvar)

    assert "two sigmoids" in examine(Other(), digits(), loss=loss)["reconstruction"].sentence


def test_means_without_a_bound_are_no_logits() -> None:
    x, loss = digits(), squares(8)
    report = examine(trained(Other(same), x, loss), x, loss=loss)
    assert report.wrong == () and "Gaussian with sigma 1" in report["reconstruction"].sentence


# The scale of a squared error


@pytest.mark.parametrize(
    ("half", "healthy", "says"),
    [
        (1.0, False, "a squared error without its 1/2. It is right for a Gaussian whose sigma is 0.707"),
        (8.0, True, "right for a Gaussian whose sigma is 0.25; the model does not say its own"),
    ],
)
def test_squared_error_without_its_half_is_not_called_a_wrong_kl(half: float, healthy: bool, says: str) -> None:
    report = examine(Other(), digits(), loss=squares(half))
    assert report["KL"].healthy and report["reconstruction"].healthy
    assert report["weight"].healthy is healthy and says in report["weight"].sentence


def test_mean_squared_error_is_named() -> None:
    def loss(model: nn.Module, x: Tensor) -> Tensor:
        back, mu, logvar = model(x)
        return F.mse_loss(back, x.flatten(1)) + gaussian_kl(mu, logvar).mean()

    assert "a mean squared error, without its 1/2" in examine(Other(), digits(), loss=loss)["weight"].sentence


# Another third output


def of_softplus(raw: Tensor) -> Tensor:
    return 2 * F.softplus(raw).log()


def test_right_vae_with_softplus_raises_no_alarm() -> None:
    x, loss = digits(), squares(8, of_softplus)
    report = examine(trained(Other(sigma=F.softplus), x, loss), x, loss=loss)
    assert report.wrong == () and "sigma is the softplus of the third output" in report["spread"].sentence
    assert examine(trained(Other(sigma=F.softplus), x, loss), x).wrong == ()


def test_softplus_in_the_draw_alone_is_a_wrong_kl() -> None:
    report = examine(Other(sigma=F.softplus), digits(), loss=squares(0.5))
    assert report["KL"].healthy is False


def test_right_vae_that_returns_sigma_raises_no_alarm() -> None:
    class Sigma(Other):
        def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
            mu, raw = super().encode(x)
            return mu, F.softplus(raw) + 1e-3

    x, loss = digits(), squares(8, lambda sigma: 2 * sigma.log())
    assert examine(trained(Sigma(sigma=same), x, loss), x, loss=loss).wrong == ()


def test_right_vae_with_log_sigma_raises_no_alarm_once_the_loss_is_known() -> None:
    x, loss = digits(), squares(8, lambda raw: 2 * raw)
    model = trained(Other(sigma=torch.exp), x, loss)
    assert examine(model, x, loss=loss).wrong == ()
    assert "spread" in examine(model, x).wrong  # it may be a mistake in the draw
    assert "spread" in examine(model, x, loss=squares(8)).wrong


# What is handed over as pictures


def test_pictures_come_in_many_forms() -> None:
    x = digits()[:300]
    model = VAE((1, 8, 8), 4, Bernoulli(), hidden=(16,))
    bytes_ = (x * 255).round().byte()
    rounded = bytes_.float() / 255
    expected = str(examine(model, rounded))
    labels = torch.zeros(len(x))
    forms: list[Any] = [
        *(bytes_, bytes_.numpy(), rounded.numpy(), rounded.double(), rounded.numpy().astype(np.float64)),
        *(DataLoader(TensorDataset(rounded, labels), batch_size=64), DataLoader(TensorDataset(rounded), 7)),
        *(TensorDataset(rounded, labels), list(rounded), data.Split(rounded, labels.long(), None)),
    ]
    assert {str(examine(model, form)) for form in forms} == {expected}


@pytest.mark.parametrize("x", [3, "pictures", None, {"x": 1}, [1, 2], [("a", 1)]])
def test_what_is_no_pictures_is_refused_in_one_sentence(x: Any) -> None:
    with pytest.raises(TypeError, match="x must be a tensor of pictures, a NumPy array or a DataLoader, not"):
        examine(VAE((1, 8, 8), 4, Bernoulli(), hidden=(16,)), x)


def test_pictures_of_doubles_suit_a_model_of_doubles() -> None:
    model = VAE((1, 8, 8), 4, Bernoulli(), hidden=(16,)).double()
    assert "pixels" not in examine(model, digits()).wrong


# Losses of another form


def head(report: Report) -> str:
    return str(report).splitlines()[0]


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        (lambda recon, x, mu, logvar: recon.sum(), "it takes (recon, x, mu, logvar), and is asked with (model, x)"),
        (lambda out: out[0].sum(), "it takes (out)"),
        (lambda model, x: (vae_loss(model, x)["loss"], 0), "returned a tuple"),
        (lambda model, x: vae_loss(model, x)["loss"].sum().item(), "returned a float"),
        (lambda model, x: {"total": vae_loss(model, x)["loss"]}, "a dict without a tensor at 'loss'"),
    ],
)
def test_loss_of_another_form_is_a_finding(loss: Callable, says: str) -> None:
    report = examine(VAE((1, 8, 8), 4, Bernoulli(), hidden=(16,)), digits(), loss=loss)
    assert "loss" in report.wrong and says in report["loss"].sentence
    assert "Nothing looks wrong" not in head(report)


def test_loss_that_fails_is_not_called_healthy() -> None:
    def loss(model: nn.Module, x: Tensor) -> Tensor:
        raise RuntimeError("no such thing")

    report: Report = examine(trained(Other(), digits(), squares(8)), digits(), loss=loss)
    assert report.wrong == () and head(report) == "The loss could not be asked; nothing else looks wrong."


def test_clouds_too_narrow_for_a_number_are_told_from_no_draw() -> None:
    class Narrow(Other):
        def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
            mu, raw = super().encode(x)
            return mu, raw - 300  # sigma is 0 in single precision

    report = examine(Narrow(), digits())
    assert report["noise"].healthy is None and "too narrow" in report["noise"].sentence
