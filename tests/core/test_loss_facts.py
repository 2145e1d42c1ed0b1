"""What notebook 04 says about the loss and proves no cell: each sentence against an independent route."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from vae_utils.losses import bernoulli_nll, gaussian_kl, gaussian_nll

F64 = torch.float64
X = 1.3  # of the toy: z ~ N(0, 1), x|z ~ N(z, 1)
LOG_P = -0.5 * math.log(4 * math.pi) - X**2 / 4


def normal(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=F64)


def expectation(function, mu: float, s: float) -> float:
    """E[function(z)], z ~ N(mu, s^2), exact for polynomials up to degree 39."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    return float(weights @ function(mu + s * nodes) / math.sqrt(2 * math.pi))


def toy_terms(m: float, s: float) -> tuple[float, float]:
    """Distortion and rate of q = N(m, s^2) in the toy, as the notebook writes them."""
    distortion = 0.5 * math.log(2 * math.pi) + 0.5 * ((X - m) ** 2 + s**2)
    return distortion, 0.5 * (m**2 + s**2 - 1) - math.log(s)


# The toy


def test_toys_density_is_the_integral_over_codes():
    z = torch.linspace(-12, 12, 4001, dtype=F64)
    joint = Normal(0.0, 1.0).log_prob(z) + Normal(z, 1.0).log_prob(torch.tensor(X, dtype=F64))
    assert torch.trapezoid(joint.exp(), z).log().item() == pytest.approx(LOG_P, abs=1e-10)


@pytest.mark.parametrize(("m", "s"), [(0.65, 1.0), (0.0, 0.4), (-1.0, 2.0), (1.3, 0.2)])
def test_toys_terms_are_the_integrals(m, s):
    distortion, rate = toy_terms(m, s)
    nll = expectation(lambda z: 0.5 * (X - z) ** 2 + 0.5 * math.log(2 * math.pi), m, s)
    assert distortion == pytest.approx(nll, abs=1e-12)
    mu, logvar = torch.tensor([[m]], dtype=F64), torch.tensor([[2 * math.log(s)]], dtype=F64)
    assert rate == pytest.approx(gaussian_kl(mu, logvar).item(), abs=1e-12)
    posterior = Normal(torch.tensor(X / 2, dtype=F64), math.sqrt(0.5))
    gap = kl_divergence(Normal(torch.tensor(m, dtype=F64), s), posterior).item()
    assert LOG_P + distortion + rate == pytest.approx(gap, abs=1e-12)


def test_weighted_objective_exceeds_log_p_where_beta_is_small():
    beta = 0.25
    s, m = (1 / (1 + 1 / beta)) ** 0.5, X / (1 + beta)  # where its derivatives are 0
    distortion, rate = toy_terms(m, s)
    for dm, ds in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01)):
        other = toy_terms(m + dm, s + ds)
        assert distortion + beta * rate < other[0] + beta * other[1]
    assert -(distortion + beta * rate) > LOG_P > -(distortion + rate)


@pytest.mark.parametrize("beta", [1.5, 4, 100])
def test_weighted_objective_stays_below_the_elbo_where_beta_is_large(beta):
    for m, s in ((0.65, 0.7), (0.1, 1.0), (2.0, 0.3)):
        distortion, rate = toy_terms(m, s)
        assert -(distortion + beta * rate) < -(distortion + rate) <= LOG_P


# Floors, units, sigma


def test_floor_of_gaussian_pixels_is_the_peak_of_their_density():
    x = normal(2, 3, 4, 4).sigmoid()
    for sigma in (0.1, 0.3, 0.6):
        floor = 48 * math.log(sigma * math.sqrt(2 * math.pi))
        assert gaussian_nll(x, x, sigma).tolist() == pytest.approx([floor] * 2, rel=1e-9)
        assert (gaussian_nll(x + 0.01, x, sigma) > floor).all()
    assert (gaussian_nll(x, x, 0.398) < 0).all() and (gaussian_nll(x, x, 0.400) > 0).all()


def test_floor_of_grey_bernoulli_pixels_is_their_entropy():
    x = normal(3, 20).sigmoid()
    entropy = torch.distributions.Bernoulli(x).entropy().sum(1)
    torch.testing.assert_close(bernoulli_nll(x.logit(), x), entropy)
    assert (bernoulli_nll(x.logit() + 0.1 * normal(3, 20, seed=1), x) > entropy).all()
    assert entropy.min() > 0


def test_other_units_move_the_loss_by_the_logarithm_of_their_ratio():
    mean, x = normal(4, 30), normal(4, 30, seed=1)
    moved = gaussian_nll(255 * mean, 255 * x, 255 * 0.2) - gaussian_nll(mean, x, 0.2)
    torch.testing.assert_close(moved, torch.full((4,), 30 * math.log(255), dtype=F64))


def test_best_sigma_is_the_root_of_the_mean_squared_error():
    mean, x = normal(50, 30), normal(50, 30, seed=1)
    best = (mean - x).square().mean().sqrt()
    sigma = best.clone().requires_grad_()
    gaussian_nll(mean, x, sigma).mean().backward()
    assert abs(sigma.grad.item()) < 1e-9
    least = gaussian_nll(mean, x, best).mean()
    assert least.item() == pytest.approx(30 * (math.log(best) + 0.5 * math.log(2 * math.pi) + 0.5))
    assert all(gaussian_nll(mean, x, best * factor).mean() > least for factor in (0.9, 1.1))


def test_density_of_dequantized_levels_bounds_their_probability():
    """What notebook 10 says of bits per dimension (Theis et al., 2016)."""
    levels, mean, sigma = torch.arange(256, dtype=F64), 0.4, 0.03
    pixel = Normal(torch.tensor(mean, dtype=F64), sigma)
    exact = torch.diff(pixel.cdf(torch.arange(257, dtype=F64) / 256)).log()[60:140]
    u = (torch.arange(2000, dtype=F64) + 0.5) / 2000
    smooth = (pixel.log_prob((levels[60:140, None] + u) / 256) - math.log(256)).mean(1)
    assert (smooth < exact).all() and (exact - smooth).max() < 0.03
    bits = -smooth / math.log(2)
    torch.testing.assert_close(bits, -(smooth + math.log(256)) / math.log(2) + 8)


# Beta


def test_beta_and_sigma_are_one_knob():
    mean, x = normal(5, 30), normal(5, 30, seed=1)
    mu, logvar = normal(5, 3), normal(5, 3, seed=2)
    gradients = []
    for beta, sigma, scale in ((9.0, 0.1, 1 / 9), (1.0, 0.3, 1.0)):
        inputs = [part.clone().requires_grad_() for part in (mean, mu, logvar)]
        loss = gaussian_nll(inputs[0], x, sigma) + beta * gaussian_kl(*inputs[1:])
        gradients.append([scale * part for part in torch.autograd.grad(loss.sum(), inputs)])
    torch.testing.assert_close(*gradients)


def test_rate_is_the_information_plus_the_distance_of_all_codes_from_the_prior():
    """Hoffman & Johnson (2016): so the rate is at least what the code tells about the picture."""
    means, sds = torch.tensor([-1.2, 0.3, 2.0], dtype=F64), torch.tensor([0.3, 0.6, 0.2], dtype=F64)
    z = torch.linspace(-9, 9, 20_001, dtype=F64).view(-1, 1)
    each = Normal(means, sds).log_prob(z)  # three pictures, equally likely
    together = each.logsumexp(1, keepdim=True) - math.log(3)
    information = torch.trapezoid(each.exp() * (each - together), z, dim=0).mean()
    prior = Normal(0.0, 1.0).log_prob(z)
    marginal = torch.trapezoid(together.exp() * (together - prior), z, dim=0).squeeze()
    rate = gaussian_kl(means.view(-1, 1), 2 * sds.log().view(-1, 1)).mean()
    assert rate.item() == pytest.approx((information + marginal).item(), abs=1e-8)
    assert 0 < information < rate and information <= math.log(3)


# The linear VAE (Lucas et al., 2019; Tipping & Bishop, 1999)


@pytest.fixture
def spectrum() -> tuple[torch.Tensor, torch.Tensor]:
    """Centered data (500, 12) and the variances along its principal components, largest first."""
    x = normal(500, 12) @ torch.diag(torch.linspace(3, 0.3, 12, dtype=F64)) @ normal(12, 12, seed=1)
    x = x - x.mean(0)
    return x, torch.linalg.eigvalsh(x.T @ x / len(x)).flip(0)


def linear_terms(x: torch.Tensor, W: torch.Tensor, s2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """-log p(x|z), averaged over x and over the exact posterior's z; and the KL of each latent."""
    M = W.T @ W + s2 * torch.eye(W.shape[1], dtype=F64)
    mu, cov = x @ W @ torch.linalg.inv(M), s2 * torch.linalg.inv(M)
    error = (x - mu @ W.T).square().sum(1).mean() + torch.trace(W @ cov @ W.T)
    nll = 0.5 * x.shape[1] * torch.log(2 * math.pi * s2) + error / (2 * s2)
    logvar = cov.diagonal().log().expand_as(mu)
    return nll, torch.stack([gaussian_kl(mu[:, [i]], logvar[:, [i]]).mean() for i in range(W.shape[1])])


@pytest.mark.parametrize("silent", [0, 2, 6])
def test_kl_of_a_linear_vae_is_its_closed_form_and_exactly_zero_below_the_noise(spectrum, silent):
    x, values = spectrum
    s2 = (values[5 - silent] * values[6 - silent]).sqrt() if silent < 6 else values[0] * 1.1
    vectors = torch.linalg.eigh(x.T @ x / len(x)).eigenvectors.flip(1)[:, :6]
    W = vectors * (values[:6] - s2).clamp(min=0).sqrt()
    nll, kl = linear_terms(x, W, s2)
    torch.testing.assert_close(kl, (0.5 * (values[:6] / s2).log()).clamp(min=0), atol=1e-10, rtol=0)
    assert (kl.abs() < 1e-12).sum() == silent
    marginal = torch.distributions.MultivariateNormal(
        torch.zeros(12, dtype=F64), W @ W.T + s2 * torch.eye(12, dtype=F64)
    )
    assert (nll + kl.sum()).item() == pytest.approx(-marginal.log_prob(x).mean().item(), rel=1e-10)  # a tight bound
    for seed in range(5):  # and no decoder near it does better
        other = W + 0.02 * normal(12, 6, seed=seed + 10)
        density = torch.distributions.MultivariateNormal(
            torch.zeros(12, dtype=F64), other @ other.T + s2 * torch.eye(12, dtype=F64)
        )
        assert density.log_prob(x).mean() < marginal.log_prob(x).mean()


def test_exponential_of_logvar_overflows_in_single_precision():
    kl = gaussian_kl(torch.zeros(2, 1), torch.tensor([[88.0], [89.0]]))
    assert math.isfinite(kl[0]) and math.isinf(kl[1])
