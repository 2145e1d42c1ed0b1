"""The VAE's own measures against a linear VAE, where each is known exactly, and against what fools a simpler measure.

The linear VAE at its optimum is probabilistic PCA (Tipping & Bishop, 1999; Lucas et al., 2019): its encoder is the
exact posterior, so the bound is tight.
"""

import functools
import math
from itertools import cycle

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal

from vae_utils.evaluation import (
    aggregate_kl,
    aggregate_log_density,
    kl_of_each_number,
    negative_elbo,
    numbers_in_use,
    posterior,
    rate_and_distortion,
)
from vae_utils.likelihoods import Bernoulli, Gaussian
from vae_utils.losses import gaussian_kl, gaussian_nll
from vae_utils.models import VAE
from vae_utils.objectives import vae_loss
from vae_utils.training import fit

F64 = torch.float64
D = 12  # pixels


def draw(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=F64)


class Plain(Gaussian):
    """Gaussian pixels whose mean is the decoder's output itself, as a linear VAE has them."""

    def mean(self, output):
        return output


class LinearVAE(nn.Module):
    """q(z|x) = N(A x, diag(v)), p(x|z) = N(W z, s2 I)."""

    def __init__(self, A, v, W, s2):
        super().__init__()
        self.A, self.v, self.W = nn.Parameter(A), v, W
        self.shape, self.latent_dim, self.likelihood = (1, 3, 4), len(v), Plain(math.sqrt(s2))

    def encode(self, x):
        mu = x.flatten(1) @ self.A.T
        return mu, self.v.log().expand_as(mu)

    def reparameterize(self, mu, logvar):
        return mu + (0.5 * logvar).exp() * torch.randn_like(mu)

    def decode(self, z):
        return (z @ self.W.T).unflatten(1, self.shape)

    mean = decode

    def forward(self, x):
        mu, logvar = self.encode(x)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def pictures(n=2000):
    """n centered pictures, the variances along their principal components (largest first) and these components."""
    x = draw(n, D) @ torch.diag(torch.linspace(2, 0.3, D, dtype=F64)) @ torch.linalg.qr(draw(D, D, seed=1)).Q
    x = x - x.mean(0)
    values, axes = torch.linalg.eigh(x.T @ x / n)
    return x.unflatten(1, (1, 3, 4)), values.flip(0), axes.flip(1)


def best(values, axes, s2, k=4):
    """The best linear VAE with k numbers and noise of variance s2."""
    scale = (values[:k] - s2).clamp(min=0).sqrt()
    M = scale.square() + s2
    return LinearVAE((axes[:, :k] * scale / M).T, s2 / M, axes[:, :k] * scale, s2)


def density(model):
    return MultivariateNormal(
        torch.zeros(D, dtype=F64), model.W @ model.W.T + model.likelihood.sigma**2 * torch.eye(D, dtype=F64)
    )


# The bound, the rate, the numbers in use


@pytest.mark.parametrize("silent", [0, 1, 4])
def test_measures_of_the_best_linear_vae_are_its_closed_forms(silent):
    x, values, axes = pictures()
    s2 = (0.9 * values[3 - silent] + 0.1 * values[4 - silent]).item() if silent < 4 else 1.1 * values[0].item()
    s2 = s2 if silent else values[4:].mean().item()  # the best of all
    model = best(values, axes, s2)
    each = (0.5 * (values[:4] / s2).log()).clamp(min=0)
    torch.testing.assert_close(kl_of_each_number(model, x), each, rtol=1e-9, atol=1e-9)
    assert numbers_in_use(model, x, least=1e-6) == 4 - silent
    log_p = density(model).log_prob(x.flatten(1))
    if not silent:
        known = -0.5 * (D * math.log(2 * math.pi) + values[:4].log().sum() + (D - 4) * math.log(s2) + D)
        assert log_p.mean().item() == pytest.approx(known.item(), rel=1e-9)
    # with the exact posterior, nll + log q(z|x) - log p(z) is -log p(x) for any draw; nll + KL is on average
    bound = negative_elbo(model, x, draws=20)
    gap = bound + log_p
    assert bound.shape == (2000,) and abs(gap.mean()) < 4.5 * gap.std() / math.sqrt(2000) + 1e-9
    rate, distortion = rate_and_distortion(model, x, draws=20)
    assert rate == pytest.approx(each.sum().item(), rel=1e-9, abs=1e-9)
    floor = D / 2 * math.log(2 * math.pi * s2)
    assert rate + distortion + floor == pytest.approx(bound.mean().item(), rel=1e-9)
    # distortion above the floor: half the expected squared error over s2
    mu, _ = posterior(model, x)
    error = (x.flatten(1) - mu @ model.W.T).square().sum(1).mean() + (model.v * model.W.square().sum(0)).sum()
    known = error.item() / (2 * s2)
    assert abs(distortion - known) < 4.5 * (bound.std() / math.sqrt(2000)).item() / math.sqrt(20) + 0.02 * known


def test_negative_elbo_exceeds_minus_log_p_by_the_divergence_from_the_posterior():
    x, values, axes = pictures()
    exact = best(values, axes, 0.5)
    wider = LinearVAE(exact.A.detach(), 2 * exact.v, exact.W, 0.5)
    gap = negative_elbo(wider, x, draws=20) + density(exact).log_prob(x.flatten(1))
    known = 4 * 0.5 * (2 - 1 - math.log(2))  # KL(N(m, 2v) || N(m, v)), four times
    assert abs(gap.mean() - known) < 4.5 * gap.std() / math.sqrt(2000)


def test_decoding_the_posterior_mean_gives_no_bound_and_negative_elbo_does_not_do_it():
    x, values, axes = pictures()
    model = best(values, axes, values[4:].mean().item())
    mu, logvar = posterior(model, x)
    fooled = gaussian_nll(mu @ model.W.T, x.flatten(1), model.likelihood.sigma) + gaussian_kl(mu, logvar)
    truth = -density(model).log_prob(x.flatten(1)).mean()
    assert fooled.mean() < truth - 0.5, "below -log p(x): too good to be true"
    assert negative_elbo(model, x, draws=20).mean() > truth - 0.05


@pytest.mark.parametrize("likelihood", [Gaussian(0.4), Bernoulli()])
def test_negative_elbo_is_with_beta_1_whatever_the_training_was(likelihood):
    torch.manual_seed(0)
    model, x = VAE((1, 3, 4), 2, likelihood, hidden=(8,)), torch.rand(50, 1, 3, 4)
    history = fit(model, x, steps=20, loss=functools.partial(vae_loss, beta=20.0), progress=False, device="cpu")
    assert history.step == [20]
    before = torch.get_rng_state()
    found = negative_elbo(model, x, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(3)
    with torch.no_grad():
        output, mu, logvar = model(x)
    torch.testing.assert_close(found, likelihood.nll(output, x) + gaussian_kl(mu, logvar))
    assert torch.equal(found, negative_elbo(model, x, seed=3)) and not torch.equal(found, negative_elbo(model, x))
    rate, distortion = rate_and_distortion(model, x)
    assert distortion > 0 and rate == pytest.approx(kl_of_each_number(model, x).sum().item(), rel=1e-5)


def test_the_floor_of_grey_bernoulli_pixels_is_not_distortion():
    torch.manual_seed(0)
    model = VAE((1, 3, 4), 2, Bernoulli(), hidden=(8,))
    with torch.no_grad():
        model.decoder[-1].weight.zero_()
        model.decoder[-1].bias.copy_(torch.linspace(-2, 2, 12))
    perfect = model.decoder[-1].bias.detach().sigmoid().view(1, 1, 3, 4).expand(10, -1, -1, -1)
    rate, distortion = rate_and_distortion(model, perfect)
    assert distortion == pytest.approx(0, abs=1e-4)
    assert negative_elbo(model, perfect).mean() > rate + 5


def constant(mean, logvar, n=500, k=2):
    """A model whose encoder gives mu and logvar whatever it sees, and n pictures."""
    model = LinearVAE(torch.zeros(k, D, dtype=F64), torch.ones(k, dtype=F64), torch.zeros(D, k, dtype=F64), 1.0)
    model.encode = lambda x: (torch.full((len(x), k), mean, dtype=F64), torch.full((len(x), k), logvar, dtype=F64))
    return model, torch.zeros(n, 1, 3, 4, dtype=F64)


def test_a_collapsed_model_has_rate_zero_no_number_in_use_and_the_prior_as_its_codes():
    model, x = constant(0.0, 0.0)
    rate, _ = rate_and_distortion(model, x)
    assert rate == 0 and numbers_in_use(model, x) == 0 and kl_of_each_number(model, x).tolist() == [0, 0]
    assert aggregate_kl(model, x) == pytest.approx(0, abs=1e-9)


def test_kl_is_kept_apart_by_number_and_in_use_is_above_the_border():
    mu = torch.tensor([[0.0, 3.0, 0.6], [0.0, -1.0, -0.6]], dtype=F64)
    logvar = torch.tensor([[0.0, -2.0, 0.0], [0.0, 1.0, 0.0]], dtype=F64)
    model, x = constant(0.0, 0.0)
    model.encode = lambda x: (mu, logvar)
    each = kl_of_each_number(model, x[:2])
    by_hand = [0, ((9 + math.exp(-2) + 1) / 2 + (1 + math.e - 2) / 2) / 2, 0.18]
    assert each.tolist() == pytest.approx(by_hand)
    assert [numbers_in_use(model, x[:2], least) for least in (0.2, 0.17, 10)] == [1, 2, 0]


# The codes of all pictures together


def test_codes_of_the_best_linear_vae_together_are_the_prior():
    x, values, axes = pictures()
    model = best(values, axes, 0.6 * values[1].item(), k=2)
    rate = kl_of_each_number(model, x).sum().item()
    assert 0.5 < rate < 0.2 * math.log(len(x))
    assert abs(aggregate_kl(model, x)) < 0.02 < 0.05 * rate


def mixture(centers, s, n=3000):
    """A model with one number whose clouds N(c, s^2) have the centers c in turn, and n pictures."""
    model, x = constant(0.0, 0.0, n, k=1)
    mu = torch.tensor(centers, dtype=F64).repeat(n // len(centers)).view(-1, 1)
    both = cycle(zip(mu.split(1000), torch.full_like(mu, 2 * math.log(s)).split(1000), strict=True))
    model.encode = lambda x: next(both)
    return model, x


def test_density_of_all_clouds_is_that_of_the_mixture():
    centers, s, z = (-1.0, 0.5, 2.0), 0.4, torch.linspace(-4, 4, 250, dtype=F64).view(-1, 1)
    expected = Normal(torch.tensor(centers, dtype=F64), s).log_prob(z).logsumexp(1) - math.log(3)
    assert torch.allclose(aggregate_log_density(*mixture(centers, s), z), expected)


def quadrature(centers, s):
    """KL of the mixture of N(c, s^2) from N(0, 1), and the standard deviation of log q(z) - log p(z)."""
    z = torch.linspace(-14, 14, 40_001, dtype=F64).view(-1, 1)
    log_q = Normal(torch.tensor(centers, dtype=F64), s).log_prob(z).logsumexp(1) - math.log(len(centers))
    ratio = log_q - Normal(0.0, 1.0).log_prob(z).squeeze()
    kl = torch.trapezoid(log_q.exp() * ratio, z.squeeze())
    return kl.item(), torch.trapezoid(log_q.exp() * (ratio - kl).square(), z.squeeze()).sqrt().item()


@pytest.mark.parametrize(
    ("centers", "s"),
    [((-3.0, 3.0), 0.2), ((-1.0, 1.0), 0.5), ((0.5, 2.0, -4.0), 0.7), ((2.0,), 1.0), ((0.0,), 0.1)],
)
def test_divergence_of_known_clouds_is_their_quadrature(centers, s):
    kl, spread = quadrature(centers, s)
    found = aggregate_kl(*mixture(centers, s))
    assert abs(found - kl) < 4.5 * spread / math.sqrt(3000) and kl > 0.1
    # the rate is the information (ln 2 for two far clouds) plus this
    rate = kl_of_each_number(*mixture(centers, s)).item()
    assert rate - kl > -1e-9 and (centers != (-3.0, 3.0) or rate - kl == pytest.approx(math.log(2), abs=1e-6))


def test_moments_like_the_priors_fool_and_the_divergence_does_not():
    """Two clouds with mean 0 and variance 1 together: a comparison of moments takes them for the prior."""
    s = 0.1
    center = math.sqrt(1 - s**2)
    kl, spread = quadrature((-center, center), s)
    assert kl > 0.9
    assert abs(aggregate_kl(*mixture((-center, center), s)) - kl) < 4.5 * spread / math.sqrt(3000)


def test_a_number_in_use_may_say_nothing_if_all_clouds_lie_at_the_same_wrong_place():
    model, x = constant(3.0, 0.0)
    rate, _ = rate_and_distortion(model, x)
    assert numbers_in_use(model, x) == 2 and rate == pytest.approx(9)
    assert abs(aggregate_kl(model, x) - 9) < 4.5 * math.sqrt(18 / 500), "no information: all of the rate is this"


def test_too_few_pictures_make_the_divergence_too_large_by_the_rate_less_their_logarithm():
    """Its stated limit: 20 pictures can't carry more than log 20 nats."""
    x, values, axes = pictures()
    model = best(values, axes, 1e-4, k=4)  # thin clouds: a rate far above log 20
    rate = kl_of_each_number(model, x).sum().item()
    assert rate > 4 * math.log(20)
    few = x[:20]
    assert aggregate_kl(model, few) > kl_of_each_number(model, few).sum().item() - math.log(20) - 4


def test_the_divergence_is_the_same_for_the_same_seed_and_leaves_the_random_state():
    x, values, axes = pictures(300)
    model, before = best(values, axes, 0.5), torch.get_rng_state()
    assert aggregate_kl(model, x, seed=1) == aggregate_kl(model, x, seed=1) != aggregate_kl(model, x)
    assert torch.equal(torch.get_rng_state(), before)
