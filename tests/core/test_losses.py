"""Each term of the objectives against an independent route: closed form, quadrature, Monte Carlo, torch's density."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal

from vae_utils import losses
from vae_utils.losses import bernoulli_nll, gaussian_kl, gaussian_nll, squared_error

F64 = torch.float64


def normal(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=F64)


# The KL divergence


@pytest.mark.parametrize(("mu", "logvar"), [(0.0, 0.0), (1.3, -0.7), (-2.0, 1.1), (0.4, -5.0)])
def test_kl_is_the_integral_by_quadrature(mu, logvar):
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)  # exact here: the integrand is a polynomial of degree 2
    q, prior = Normal(torch.tensor(mu, dtype=F64), math.exp(logvar / 2)), Normal(torch.tensor(0.0, dtype=F64), 1)
    z = mu + math.exp(logvar / 2) * torch.from_numpy(nodes)
    integral = (torch.from_numpy(weights) * (q.log_prob(z) - prior.log_prob(z))).sum() / math.sqrt(2 * math.pi)
    kl = gaussian_kl(torch.tensor([[mu]], dtype=F64), torch.tensor([[logvar]], dtype=F64))
    assert kl.item() == pytest.approx(integral.item(), abs=1e-12)


def test_kl_is_the_mean_of_the_log_ratio_by_monte_carlo():
    mu, logvar = torch.tensor([0.5, -1.0, 2.0], dtype=F64), torch.tensor([-1.0, 0.3, -2.0], dtype=F64)
    sigma = (logvar / 2).exp()
    z = mu + sigma * normal(100_000, 3)
    ratio = (Normal(mu, sigma).log_prob(z) - Normal(0.0, 1.0).log_prob(z)).sum(1)
    error = ratio.std() / math.sqrt(len(z))
    assert error < 0.02
    assert abs(ratio.mean() - gaussian_kl(mu[None], logvar[None])) < 4 * error


@pytest.mark.parametrize(
    ("mu", "logvar", "kl"), [(0.0, 0.0, 0.0), (2.0, 0.0, 2.0), (-2.0, 0.0, 2.0), (0.0, 1.0, math.e / 2 - 1)]
)
def test_kl_at_points_where_each_usual_mistake_gives_another_value(mu, logvar, kl):
    assert gaussian_kl(torch.tensor([[mu]]), torch.tensor([[logvar]])).tolist() == pytest.approx([kl], abs=1e-6)


def test_kl_adds_over_latents_and_leaves_the_batch():
    mu, logvar = normal(5, 3), normal(5, 3, seed=1)
    by_latent = torch.cat([gaussian_kl(mu[:, [i]], logvar[:, [i]])[:, None] for i in range(3)], 1)
    assert gaussian_kl(mu, logvar).shape == (5,)
    torch.testing.assert_close(gaussian_kl(mu, logvar), by_latent.sum(1))


# The likelihoods


def test_bernoulli_nll_is_torchs_density():
    logits, x = 3 * normal(4, 2, 3, 3), (normal(4, 2, 3, 3, seed=1) > 0).to(F64)
    torch.testing.assert_close(bernoulli_nll(logits, x), -Bernoulli(logits=logits).log_prob(x).sum((1, 2, 3)))


def test_bernoulli_nll_of_a_grey_pixel_is_its_mean_over_black_and_white():
    logits, grey = normal(1, 6), normal(1, 6, seed=1).sigmoid()
    white, black = Bernoulli(logits=logits).log_prob(torch.ones(6)), Bernoulli(logits=logits).log_prob(torch.zeros(6))
    torch.testing.assert_close(bernoulli_nll(logits, grey), -(grey * white + (1 - grey) * black).sum(1))


def test_bernoulli_nll_stays_finite_for_extreme_logits():
    logits = torch.tensor([[500.0], [-500.0]])
    assert bernoulli_nll(logits, torch.tensor([[0.0], [1.0]])).tolist() == [500, 500]
    assert bernoulli_nll(logits, torch.tensor([[1.0], [0.0]])).tolist() == [0, 0]


def test_gaussian_nll_is_torchs_density_for_one_sigma_and_for_many():
    mean, x = normal(4, 2, 3, 3), normal(4, 2, 3, 3, seed=1)
    for sigma in (0.2, torch.tensor(1.7, dtype=F64), normal(2, 3, 3, seed=2).exp()):
        torch.testing.assert_close(gaussian_nll(mean, x, sigma), -Normal(mean, sigma).log_prob(x).sum((1, 2, 3)))


def test_gaussian_nll_keeps_the_type_of_the_pictures_and_lets_sigma_learn():
    mean, x = normal(4, 2, 3, 3), normal(4, 2, 3, 3, seed=1)
    for sigma in (0.2, torch.tensor(0.2), torch.tensor(0.2, dtype=F64)):
        assert gaussian_nll(mean.float(), x.float(), sigma).dtype == torch.float32
        assert gaussian_nll(mean, x, sigma).dtype == F64
    number = gaussian_nll(mean, x, 0.2)  # not rounded to 32 bits on its way
    torch.testing.assert_close(number, -Normal(mean, 0.2).log_prob(x).sum((1, 2, 3)), rtol=1e-13, atol=0)
    sigma = torch.tensor(0.7, dtype=F64, requires_grad=True)
    gaussian_nll(mean, x, sigma).sum().backward()
    slope = (1 / 0.7 - (x - mean).square() / 0.7**3).sum()  # derivative of log sigma + e^2 / (2 sigma^2)
    assert sigma.grad.item() == pytest.approx(slope.item(), rel=1e-10)


def test_gaussian_nll_may_be_negative_as_a_density_may_exceed_one():
    x = torch.full((1, 3, 4, 4), 0.5)
    assert gaussian_nll(x, x, 0.2).item() == pytest.approx(48 * math.log(0.2 * math.sqrt(2 * math.pi)), rel=1e-6)
    assert gaussian_nll(x, x, 0.2).item() < 0


def test_squared_error_sums_over_all_but_the_batch():
    a, b = normal(3, 2, 4, 5), normal(3, 2, 4, 5, seed=1)
    expected = [float(((a[i] - b[i]) ** 2).sum()) for i in range(3)]
    assert squared_error(a, b).tolist() == pytest.approx(expected)


# The bound: z ~ N(0, 1), x|z ~ N(z, 1), x = 1.3, where log p(x) is known: x ~ N(0, 2), z|x ~ N(x/2, 1/2)

X = 1.3
LOG_P = -0.5 * math.log(4 * math.pi) - X**2 / 4


def elbo(mu, variance, n=200_000):
    """Monte Carlo mean of the ELBO's terms for q = N(mu, variance), and its standard error."""
    mu, logvar = torch.full((n, 1), mu, dtype=F64), torch.full((n, 1), math.log(variance), dtype=F64)
    z = mu + (logvar / 2).exp() * normal(n, 1)
    x = torch.full_like(z, X)
    bound = -(gaussian_nll(z, x, 1.0) + gaussian_kl(mu, logvar))
    return bound.mean().item(), (bound.std() / math.sqrt(n)).item()


def test_elbo_of_a_linear_gaussian_model_is_its_closed_form():
    assert pytest.approx(-1.68801, abs=1e-5) == LOG_P
    mean, error = elbo(X / 2, 1.0)
    assert error < 0.005
    assert abs(mean - -1.84144) < 4 * error


@pytest.mark.parametrize(("mu", "variance"), [(X / 2, 1.0), (X / 2, 0.5), (0.0, 1.0), (1.0, 0.2)])
def test_what_the_elbo_lacks_is_the_divergence_from_the_posterior(mu, variance):
    posterior = Normal(torch.tensor(X / 2, dtype=F64), math.sqrt(0.5))
    gap = torch.distributions.kl_divergence(Normal(torch.tensor(mu, dtype=F64), math.sqrt(variance)), posterior)
    mean, error = elbo(mu, variance)
    assert abs(LOG_P - mean - gap.item()) < 4 * error


# Bad input


@pytest.mark.parametrize("name", ["squared_error", "gaussian_kl", "bernoulli_nll", "gaussian_nll"])
def test_shapes_that_would_broadcast_are_refused(name):
    more = (0.2,) if name == "gaussian_nll" else ()
    with pytest.raises(ValueError, match=r"\(5, 3\).*\(5, 1\).*same shape"):
        getattr(losses, name)(torch.zeros(5, 3), torch.zeros(5, 1), *more)


@pytest.mark.parametrize(
    "sigma", [0, -0.2, math.nan, torch.tensor(0.0), torch.tensor([0.2, -0.1, 0.3]), torch.tensor([0.2, math.nan, 1.0])]
)
def test_sigma_must_be_above_zero(sigma):
    with pytest.raises(ValueError, match="sigma must be above 0"):
        gaussian_nll(torch.zeros(1, 3), torch.zeros(1, 3), sigma)
