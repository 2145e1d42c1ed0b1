"""Each likelihood against torch's density, its least value over outputs, and the moments of its draws."""

import math

import pytest
import torch

from vae_utils.likelihoods import Bernoulli, Gaussian, LinearGaussian
from vae_utils.losses import bernoulli_nll, gaussian_nll, squared_error
from vae_utils.models import VAE

F64 = torch.float64
# Each likelihood, and the variance of its pixels as a function of their means.
ALL = [(Bernoulli(), lambda mean: mean * (1 - mean)), (Gaussian(0.3), lambda mean: torch.full_like(mean, 0.3**2))]
every_likelihood = pytest.mark.parametrize("likelihood", [likelihood for likelihood, _ in ALL])


def draw(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=F64)


OUTPUT, X = 2 * draw(4, 2, 3, 3), draw(4, 2, 3, 3, seed=1).sigmoid()


@every_likelihood
def test_mean_is_a_picture(likelihood):
    torch.testing.assert_close(likelihood.mean(OUTPUT), 1 / (1 + (-OUTPUT).exp()))
    low, high = likelihood.mean(1000 * OUTPUT).aminmax()
    assert 0 <= low < high <= 1


def test_nll_is_torchs_density():
    black_and_white = (X > 0.5).to(F64)
    density = torch.distributions.Bernoulli(logits=OUTPUT).log_prob(black_and_white).sum((1, 2, 3))
    torch.testing.assert_close(Bernoulli().nll(OUTPUT, black_and_white), -density)
    density = torch.distributions.Normal(OUTPUT.sigmoid(), 0.3).log_prob(X).sum((1, 2, 3))
    torch.testing.assert_close(Gaussian(0.3).nll(OUTPUT, X), -density)


def test_a_linear_gaussians_mean_is_the_output_itself():
    likelihood = LinearGaussian(0.3)
    assert torch.equal(likelihood.mean(OUTPUT), OUTPUT)
    density = torch.distributions.Normal(OUTPUT, 0.3).log_prob(X).sum((1, 2, 3))
    torch.testing.assert_close(likelihood.nll(OUTPUT, X), -density)
    torch.testing.assert_close(likelihood.nll(X, X), likelihood.floor(X))
    torch.manual_seed(0)
    assert abs((likelihood.sample(OUTPUT) - OUTPUT).std() - 0.3) < 0.1
    assert likelihood != Gaussian(0.3) and repr(likelihood) == "LinearGaussian(sigma=0.3)"


def test_nll_is_the_loss_of_that_name():
    torch.testing.assert_close(Bernoulli().nll(OUTPUT, X), bernoulli_nll(OUTPUT, X))
    torch.testing.assert_close(Gaussian(0.3).nll(OUTPUT, X), gaussian_nll(OUTPUT.sigmoid(), X, 0.3))


def test_a_gaussian_above_its_floor_is_the_squared_error_in_units_of_two_variances():
    above = Gaussian(0.3).nll(OUTPUT, X) - Gaussian(0.3).floor(X)
    torch.testing.assert_close(above, squared_error(OUTPUT.sigmoid(), X) / (2 * 0.3**2))


@every_likelihood
def test_floor_is_the_least_nll_over_all_outputs(likelihood):
    """A mean that equals x reaches it, and no output on a fine grid is below: no gradient, as an nll may have kinks."""
    floor, perfect = likelihood.floor(X), X.logit()
    assert floor.shape == (4,)
    torch.testing.assert_close(likelihood.nll(perfect, X), floor, rtol=1e-9, atol=1e-9)
    for seed in range(5):
        assert (likelihood.nll(perfect + 0.1 * draw(*X.shape, seed=seed), X) > floor).all()
    outputs = torch.linspace(-9, 9, 3601, dtype=F64).view(-1, 1, 1, 1)
    for pixel in X[0].flatten():
        x = pixel.expand_as(outputs)
        assert (likelihood.nll(outputs, x) >= likelihood.floor(x) - 1e-9).all()


def test_floor_of_black_and_white_pixels_is_zero_and_of_grey_ones_their_entropy():
    assert Bernoulli().floor(torch.tensor([[0.0, 1.0, 1.0]])).tolist() == [0]
    assert Bernoulli().floor(torch.full((1, 3, 2, 2), 0.5)).item() == pytest.approx(12 * math.log(2))
    assert Bernoulli().floor(torch.tensor([[0.25]])).item() == pytest.approx(2 * math.log(2) - 0.75 * math.log(3))


def test_floor_of_gaussian_pixels_knows_their_number_and_sigma_alone():
    floor = 18 * (math.log(0.3) + 0.5 * math.log(2 * math.pi))
    assert Gaussian(0.3).floor(X).tolist() == pytest.approx([floor] * 4, rel=1e-12)
    assert floor < 0, "a density, not a probability"


@pytest.mark.parametrize(("likelihood", "variance_of"), ALL)
def test_draws_have_the_mean_and_the_variance_of_the_pixels(likelihood, variance_of):
    n, output = 40_000, torch.linspace(-3, 3, 12, dtype=F64)
    torch.manual_seed(0)
    x = likelihood.sample(output.expand(n, 12))
    p = output.sigmoid()
    variance = variance_of(p)
    assert ((x.mean(0) - p).abs() < 4.5 * (variance / n).sqrt()).all()
    deviations = (x - p).square()
    error = deviations.std(0) / math.sqrt(n)
    assert ((deviations.mean(0) - variance).abs() < 4.5 * error + 1e-12).all()
    correlation = (x - p).T @ (x - p) / n / (variance.outer(variance)).sqrt()
    assert (correlation - torch.eye(12)).abs().fill_diagonal_(0).max() < 5 / math.sqrt(n), "each pixel on its own"
    assert not torch.equal(x, likelihood.sample(output.expand(n, 12)))


def test_draws_of_a_bernoulli_are_black_and_white_and_those_of_a_gaussian_leave_the_range():
    torch.manual_seed(0)
    assert set(Bernoulli().sample(OUTPUT).flatten().tolist()) == {0, 1}
    low, high = Gaussian(0.3).sample(OUTPUT).aminmax()
    assert low < 0 and high > 1


def test_a_mean_picture_is_no_draw():
    """The predecessor: `VAE.sample` shows means. A real sample has the noise, too."""
    z = draw(500, 2)
    for likelihood, _ in ALL:
        torch.manual_seed(0)
        model = VAE((1, 4, 4), 2, likelihood, hidden=(8,)).double()
        with torch.no_grad():
            output = model.decode(z)
        assert likelihood.sample(output).var(0).mean() > 2 * likelihood.mean(output).var(0).mean()


def test_likelihoods_are_values():
    assert Bernoulli() == Bernoulli() != Gaussian(0.3) == Gaussian(0.3) != Gaussian(0.2)
    assert repr(Gaussian(0.3)) == "Gaussian(sigma=0.3)" and repr(Bernoulli()) == "Bernoulli()"


@pytest.mark.parametrize("sigma", [0, 0.0, -0.2, math.nan])
def test_sigma_must_be_above_zero(sigma):
    with pytest.raises(ValueError, match=f"needs a sigma above 0, not {sigma!r}"):
        Gaussian(sigma)


@every_likelihood
def test_shapes_that_would_broadcast_are_refused(likelihood):
    with pytest.raises(ValueError, match="must have the same shape"):
        likelihood.nll(torch.zeros(5, 3), torch.zeros(5, 1))
