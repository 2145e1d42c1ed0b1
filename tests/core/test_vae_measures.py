"""The VAE's own measures against a linear VAE, where each is known exactly, and against what fools a simpler measure.

The linear VAE at its optimum is probabilistic PCA (Tipping & Bishop, 1999; Lucas et al., 2019): its encoder is the
exact posterior, so the bound is tight.
"""

import copy
import functools
import math
from itertools import cycle

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from vae_utils.evaluation import (
    active_units,
    aggregate_kl,
    aggregate_log_density,
    importance_weighted_bound,
    kl_of_each_number,
    negative_elbo,
    numbers_in_use,
    posterior,
    rate_and_distortion,
)
from vae_utils.likelihoods import Bernoulli, Gaussian
from vae_utils.losses import gaussian_kl, gaussian_nll
from vae_utils.models import VAE, LinearVAE
from vae_utils.objectives import iwae_loss, log_weights, vae_loss
from vae_utils.training import fit

F64 = torch.float64
D = 12  # pixels


def draw(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=F64)


def pictures(n=2000):
    """n centered pictures, the variances along their principal components (largest first) and these components."""
    x = draw(n, D) @ torch.diag(torch.linspace(2, 0.3, D, dtype=F64)) @ torch.linalg.qr(draw(D, D, seed=1)).Q
    x = x - x.mean(0)
    values, axes = torch.linalg.eigh(x.T @ x / n)
    return x.unflatten(1, (1, 3, 4)), values.flip(0), axes.flip(1)


def best(x, s2, k=4):
    """The best linear VAE with k numbers and noise of variance s2."""
    return LinearVAE.at_its_best(x, k, math.sqrt(s2)).requires_grad_(False)


def density(model):
    W = model.decoder[0].weight
    return MultivariateNormal(model.decoder[0].bias, W @ W.T + model.likelihood.sigma**2 * torch.eye(D, dtype=F64))


# The bound, the rate, the numbers in use


@pytest.mark.parametrize("silent", [0, 1, 4])
def test_measures_of_the_best_linear_vae_are_its_closed_forms(silent):
    x, values, _ = pictures()
    s2 = (0.9 * values[3 - silent] + 0.1 * values[4 - silent]).item() if silent < 4 else 1.1 * values[0].item()
    s2 = s2 if silent else values[4:].mean().item()  # the best of all
    model = best(x, s2)
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
    mu, logvar = posterior(model, x)
    W = model.decoder[0].weight
    error = (x.flatten(1) - mu @ W.T).square().sum(1).mean() + (logvar[0].exp() * W.square().sum(0)).sum()
    known = error.item() / (2 * s2)
    assert abs(distortion - known) < 4.5 * (bound.std() / math.sqrt(2000)).item() / math.sqrt(20) + 0.02 * known


def test_negative_elbo_exceeds_minus_log_p_by_the_divergence_from_the_posterior():
    x, _, _ = pictures()
    exact = best(x, 0.5)
    wider = copy.deepcopy(exact)
    wider.encoder[0].bias[4:] += math.log(2)
    gap = negative_elbo(wider, x, draws=20) + density(exact).log_prob(x.flatten(1))
    known = 4 * 0.5 * (2 - 1 - math.log(2))  # KL(N(m, 2v) || N(m, v)), four times
    assert abs(gap.mean() - known) < 4.5 * gap.std() / math.sqrt(2000)


def test_decoding_the_posterior_mean_gives_no_bound_and_negative_elbo_does_not_do_it():
    x, values, _ = pictures()
    model = best(x, values[4:].mean().item())
    mu, logvar = posterior(model, x)
    fooled = gaussian_nll(mu @ model.decoder[0].weight.T, x.flatten(1), model.likelihood.sigma) + gaussian_kl(
        mu, logvar
    )
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
    model = LinearVAE((1, 3, 4), k, 1.0).double().requires_grad_(False)
    for weights in model.parameters():
        weights.zero_()
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
    x, values, _ = pictures()
    model = best(x, 0.6 * values[1].item(), k=2)
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
    x, _, _ = pictures()
    model = best(x, 1e-4, k=4)  # thin clouds: a rate far above log 20
    rate = kl_of_each_number(model, x).sum().item()
    assert rate > 4 * math.log(20)
    few = x[:20]
    assert aggregate_kl(model, few) > kl_of_each_number(model, few).sum().item() - math.log(20) - 4


def test_the_divergence_is_the_same_for_the_same_seed_and_leaves_the_random_state():
    x, _, _ = pictures(300)
    model, before = best(x, 0.5), torch.get_rng_state()
    assert aggregate_kl(model, x, seed=1) == aggregate_kl(model, x, seed=1) != aggregate_kl(model, x)
    assert torch.equal(torch.get_rng_state(), before)


# The bound from k weighted draws


X = 1.3  # the toy: z ~ N(0, 1), x|z ~ N(z, 1)
LOG_P = -0.5 * math.log(4 * math.pi) - X**2 / 4


def toy(mu, sigma, n):
    """The toy as a linear VAE whose cloud is N(mu, sigma^2) whatever it sees, and n times the picture 1.3."""
    model = LinearVAE((1, 1, 1), 1, 1.0).double().requires_grad_(False)
    model.decoder[0].weight.fill_(1), model.decoder[0].bias.fill_(0)
    model.encoder[0].weight.zero_(), model.encoder[0].bias.copy_(torch.tensor([mu, 2 * math.log(sigma)]))
    return model, torch.full((n, 1, 1, 1), X, dtype=F64)


@pytest.mark.parametrize(
    ("k", "known"), [(1, -1.84144), (2, -1.7411), (4, -1.7106), (16, -1.6932), (64, -1.6891), (5000, LOG_P)]
)
def test_bound_rises_from_the_elbo_to_log_p(k, known):
    n = 1_000_000 // k
    found = importance_weighted_bound(*toy(X / 2, 1.0, n), k, chunk=20_000)
    error = found.std() / math.sqrt(n)
    assert found.shape == (n,) and abs(found.mean() - known) < 4.5 * error + 1e-4 and error < 0.001


def test_gap_falls_as_the_weights_variance_over_twice_the_draws():
    model, x = toy(X / 2, 1.0, 20_000)
    z = torch.linspace(-12, 12, 20_001, dtype=F64)
    q = Normal(torch.tensor(X / 2, dtype=F64), 1.0).log_prob(z)
    w = (Normal(0.0, 1.0).log_prob(z) + Normal(z, 1.0).log_prob(torch.tensor(X, dtype=F64)) - q - LOG_P).exp()
    variance = torch.trapezoid(q.exp() * (w - 1).square(), z).item()
    assert variance == pytest.approx(0.1547, abs=1e-4)
    found = importance_weighted_bound(model, x, 50)
    assert abs(LOG_P - found.mean() - variance / 100) < 4.5 * found.std() / math.sqrt(20_000) + 2e-5


@pytest.mark.parametrize("k", [1, 7, 300])
def test_bound_is_log_p_for_any_draws_where_the_cloud_is_the_posterior(k):
    x, values, _ = pictures(50)
    for sigma in (None, math.sqrt(1.1 * values[2].item())):
        model = LinearVAE.at_its_best(x, 4, sigma)
        found = importance_weighted_bound(model, x, k, chunk=64)
        torch.testing.assert_close(found, density(model).log_prob(x.flatten(1)).detach(), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(found, model.log_density(x), rtol=1e-9, atol=1e-9)


def test_bound_may_draw_from_other_clouds_than_the_encoders():
    x, _, _ = pictures(40)
    model = best(x, 0.5)
    mu, logvar = posterior(model, x)
    off = importance_weighted_bound(model, x, 500, clouds=(mu + 0.3, logvar + 0.5))
    log_p = model.log_density(x)
    assert (off - log_p).abs().max() > 1e-3
    assert abs((off - log_p).mean()) < 0.05
    model.encoder[0].weight.zero_()
    torch.testing.assert_close(importance_weighted_bound(model, x, 3, clouds=(mu, logvar)), log_p)


def test_far_pictures_overflow_nothing_and_chunks_change_nothing_but_the_draws():
    model, x = toy(0.0, 1.0, 6)
    model, x = model.float(), 100 * x.float()  # weights around exp(-8450)
    found = [importance_weighted_bound(model, x, 5000, chunk=chunk) for chunk in (1, 7, 5000, 10**6)][1:]
    assert all(part.isfinite().all() and part.dtype == torch.float32 for part in found)
    model, x = toy(X / 2, 1.0, 200)
    means = [importance_weighted_bound(model, x, 200, chunk=chunk).mean() for chunk in (60, 200, 1000)]
    assert all(abs(mean - LOG_P) < 0.01 for mean in means)
    before = torch.get_rng_state()
    a, b, c = (importance_weighted_bound(model, x, 5, seed) for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c) and torch.equal(torch.get_rng_state(), before)


def test_no_more_codes_than_the_chunk_are_decoded_at_once():
    model, x = toy(X / 2, 1.0, 9)
    sizes, decode = [], model.decode
    model.decode = lambda z: sizes.append(len(z)) or decode(z)
    importance_weighted_bound(model, x, 5, chunk=12)
    assert max(sizes) == 10 and sum(sizes) == 45
    sizes.clear()
    importance_weighted_bound(model, x, 50, chunk=12)
    assert max(sizes) == 12 and sum(sizes) == 450


@pytest.mark.parametrize(("k", "chunk"), [(0, 10), (-3, 10), (5, 0)])
def test_bound_needs_a_draw(k, chunk):
    with pytest.raises(ValueError, match="must be 1 or more"):
        importance_weighted_bound(*toy(0.0, 1.0, 1), k, chunk=chunk)


# The loss of that name


@pytest.mark.parametrize("likelihood", [Gaussian(0.4), Bernoulli()])
def test_weighted_loss_is_minus_the_bound_of_the_same_draws(likelihood):
    torch.manual_seed(0)
    model, x = VAE((1, 3, 4), 2, likelihood, hidden=(8,)).double(), torch.rand(50, 1, 3, 4, dtype=F64)
    for k in (1, 6):
        terms, again = ((torch.manual_seed(3), iwae_loss(model, x, k))[1] for _ in range(2))
        torch.testing.assert_close(terms, again)
        torch.testing.assert_close(-terms["loss"].detach(), importance_weighted_bound(model, x, k, seed=3))
        torch.manual_seed(3)
        log_w = log_weights(model, x, *model.encode(x), k)
        assert log_w.shape == (50, k)
        torch.testing.assert_close(terms["one"], -log_w.mean(1))
        assert (terms["loss"] <= terms["one"] + 1e-9).all()
    found = importance_weighted_bound(model, x.repeat(200, 1, 1, 1), 1)
    assert abs(found.mean() + negative_elbo(model, x, 200).mean()) < 4.5 * found.std() / 100


def test_weighted_loss_trains_and_its_gradient_is_that_of_its_average():
    model, x = toy(0.2, 0.8, 200_000)
    bias = model.encoder[0].bias.requires_grad_()
    torch.manual_seed(0)
    iwae_loss(model, x, 3)["loss"].mean().backward()
    values = []
    for step in (1e-2, -1e-2):  # the same draws
        with torch.no_grad():
            bias[0] += step
            torch.manual_seed(0)
            values.append(iwae_loss(model, x, 3)["loss"].mean().item())
            bias[0] -= step
    assert bias.grad[0].item() == pytest.approx((values[0] - values[1]) / 2e-2, rel=1e-3)
    torch.manual_seed(0)
    vae = VAE((1, 3, 4), 2, Gaussian(0.4), hidden=(8,))
    history = fit(vae, torch.rand(50, 1, 3, 4), steps=100, loss=iwae_loss, progress=False, device="cpu")
    assert history.terms["loss"][-1] < history.terms["loss"][0] and "one" in history.terms


# Active units


def test_active_units_of_the_best_linear_vae_are_those_whose_kl_is_above_a_half_percent():
    x, values, _ = pictures()
    for i, share in enumerate((1.005, 1.02)):  # the fourth number's variance of means: 0.5 % and 2 % of it
        model = best(x, values[3].item() / share)
        mu, _ = posterior(model, x)
        torch.testing.assert_close(mu.var(0, correction=0), 1 - values[3] / share / values[:4], rtol=1e-9, atol=1e-9)
        kl = kl_of_each_number(model, x)
        torch.testing.assert_close(kl, -0.5 * (1 - mu.var(0, correction=0)).log(), rtol=1e-9, atol=1e-9)
        assert active_units(model, x) == 3 + i and numbers_in_use(model, x) < 4


def test_a_mean_far_from_zero_that_never_moves_is_not_active():
    model, x = constant(3.0, 0.0)
    assert active_units(model, x) == 0 and numbers_in_use(model, x) == 2


# The linear VAE


def test_the_best_sigma_is_the_one_with_the_highest_likelihood():
    x, values, _ = pictures()
    model = LinearVAE.at_its_best(x, 4)
    assert model.likelihood.sigma**2 == pytest.approx(values[4:].mean().item())
    known = -0.5 * (D * math.log(2 * math.pi) + values[:4].log().sum() + 8 * values[4:].mean().log() + D)
    assert model.log_density(x).mean().item() == pytest.approx(known.item(), rel=1e-12)
    for factor in (0.97, 1.03):
        assert LinearVAE.at_its_best(x, 4, factor * model.likelihood.sigma).log_density(x).mean() < known


def test_training_a_linear_vae_ends_at_its_best():
    x, values, _ = pictures(500)
    best_one = best(x, 0.5)
    torch.manual_seed(0)
    model = LinearVAE((1, 3, 4), 4, math.sqrt(0.5)).double()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for step in range(1500):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 1500)
        optimizer.zero_grad()
        vae_loss(model, x)["loss"].mean().backward()
        optimizer.step()
    assert model.log_density(x).mean().item() == pytest.approx(best_one.log_density(x).mean().item(), abs=0.02)
    each = kl_of_each_number(model, x).sort(descending=True).values
    torch.testing.assert_close(each, (0.5 * (values[:4] / 0.5).log()).clamp(min=0), atol=0.05, rtol=0.05)


def test_the_mean_picture_and_other_pixels_than_0_to_1_are_kept():
    x, _, _ = pictures()
    model = LinearVAE.at_its_best(x + 7, 3, 0.4)
    torch.testing.assert_close(model.log_density(x + 7), best(x, 0.16, 3).log_density(x), rtol=1e-8, atol=1e-8)
    assert model.mean(torch.zeros(1, 3, dtype=F64)).mean().item() == pytest.approx(7, abs=0.2)
    torch.manual_seed(0)
    assert abs(model.float().sample(500).mean() - 7) < 0.5


@pytest.mark.parametrize("latent_dim", [0, 12, 13])
def test_as_many_numbers_as_pixels_leave_no_noise(latent_dim):
    with pytest.raises(ValueError, match="need fewer numbers"):
        LinearVAE.at_its_best(pictures(30)[0], latent_dim)


def test_a_rotated_code_keeps_the_density_and_costs_the_elbo_its_tilt():
    x, _, _ = pictures()
    model = best(x, 0.1)
    turned, W = copy.deepcopy(model), model.decoder[0].weight
    R = torch.linalg.qr(draw(4, 4, seed=5)).Q
    M = R.T @ W.T @ W @ R + 0.1 * torch.eye(4, dtype=F64)
    turned.decoder[0].weight.copy_(W @ R)
    for part in (turned.encoder[0].weight, turned.encoder[0].bias):
        part[:4] = R.T @ part[:4]
    turned.encoder[0].bias[4:] = (0.1 / M.diagonal()).log()  # the best cloud that can't tilt
    torch.testing.assert_close(turned.log_density(x), model.log_density(x), rtol=1e-9, atol=1e-9)
    often = x.repeat(50, 1, 1, 1)
    lost = model.log_density(often) - importance_weighted_bound(turned, often, 1)
    known = 0.5 * (M.diagonal().log().sum() - torch.logdet(M)).item()
    assert known > 0.02 and abs(lost.mean() - known) < 4.5 * lost.std() / math.sqrt(1e5) < known / 3
