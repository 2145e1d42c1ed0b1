"""Gradients past a draw: the trick, the score function and the mistakes, against quadrature, closed forms and Monte
Carlo with its standard error."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from tests.project.test_taught_code import definitions, difference, taught_in
from vae_utils.likelihoods import Bernoulli, Gaussian
from vae_utils.losses import gaussian_kl, squared_error
from vae_utils.models import VAE, Autoencoder
from vae_utils.objectives import autoencoder_loss, detached_loss, log_density, score_function_loss, vae_loss
from vae_utils.training import fit

F64 = torch.float64
GAUSSIAN = Gaussian(0.5)
LOSSES = {
    "pathwise": vae_loss,
    "detached": detached_loss,
    "score": lambda model, x: score_function_loss(model, x, baseline=False),
    "score with baseline": score_function_loss,
}


# The closed forms that notebook 03 states, by quadrature: per-draw mean and variance of each estimator


def integrate(function, mu, sigma):
    """Mean of function(z) for z ~ N(mu, sigma^2): a sum over a fine, wide grid, exact here to about 12 digits."""
    z = np.linspace(mu - 14 * sigma, mu + 14 * sigma, 40_001)
    density = np.exp(-0.5 * ((z - mu) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
    return float((function(z) * density).sum() * (z[1] - z[0]))


def moments(estimate, mu, sigma):
    mean = integrate(estimate, mu, sigma)
    return mean, integrate(lambda z: (estimate(z) - mean) ** 2, mu, sigma)


def score_mu(f, mu, sigma, baseline=0.0):
    return lambda z: (f(z) - baseline) * (z - mu) / sigma**2


@pytest.mark.parametrize(("mu", "sigma", "k"), [(1.0, 1.0, 5.0), (0.3, 0.7, -1.2), (2.0, 1.6, 2.0)])
def test_squared_distance_variances_are_the_closed_forms(mu, sigma, k):
    def f(z):
        return (z - k) ** 2

    d, s = mu - k, sigma
    score = (d**4 + 14 * d**2 * s**2 + 15 * s**4) / s**2
    mean, best = d**2 + s**2, d**2 + 3 * s**2
    approx = pytest.approx
    assert moments(score_mu(f, mu, s), mu, s) == approx((2 * d, score), rel=1e-9)
    assert moments(score_mu(f, mu, s, mean), mu, s) == approx((2 * d, 8 * d**2 + 10 * s**2), rel=1e-9)
    assert moments(score_mu(f, mu, s, best), mu, s) == approx((2 * d, 8 * d**2 + 6 * s**2), rel=1e-9)
    assert moments(lambda z: 2 * (z - k), mu, s) == approx((2 * d, 4 * s**2), rel=1e-9)

    def score_sigma(z):
        return f(z) * ((z - mu) ** 2 - s**2) / s**3

    with_sigma = (2 * d**4 + 60 * d**2 * s**2 + 74 * s**4) / s**2
    assert moments(score_sigma, mu, s) == approx((2 * s, with_sigma), rel=1e-9)
    assert moments(lambda z: 2 * (z - k) * (z - mu) / s, mu, s) == approx((2 * s, 4 * d**2 + 8 * s**2), rel=1e-9)
    for b in (best - 1, best + 1):  # no other baseline is better
        assert moments(score_mu(f, mu, s, b), mu, s)[1] > 8 * d**2 + 6 * s**2


def test_the_figures_that_the_notebook_prints():
    d = 1 - 5
    assert d**4 + 14 * d**2 + 15 == 495 and 8 * d**2 + 10 == 138 and 8 * d**2 + 6 == 134
    crossed = [
        next(D for D in range(1, 999) if form(D) > 400) for form in (lambda D: D**2 + 6 * D + 8, lambda D: 2 * D + 8)
    ]
    assert crossed == [18, 197]


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_squared_length_variances_grow_with_the_dimensions(dimensions):
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)  # exact up to degree 15; needed: 6
    z = np.stack(np.meshgrid(*[nodes] * dimensions, indexing="ij"), -1).reshape(-1, dimensions)
    w = np.stack(np.meshgrid(*[weights / math.sqrt(2 * math.pi)] * dimensions, indexing="ij"), -1)
    w = w.reshape(-1, dimensions).prod(1)
    f, D = (z**2).sum(1), dimensions
    for baseline, variance in [(0, D**2 + 6 * D + 8), (D, 2 * D + 8), (D + 2, 2 * D + 4)]:
        estimate = (f - baseline) * z[:, 0]
        assert (w * estimate).sum() == pytest.approx(0, abs=1e-12)
        assert (w * estimate**2).sum() == pytest.approx(variance, rel=1e-12)
    assert (w * (2 * z[:, 0]) ** 2).sum() == pytest.approx(4, rel=1e-12)


@pytest.mark.parametrize(
    ("f", "slope", "mu", "score", "path"),
    [
        (lambda z: np.cos(5 * z), lambda z: -5 * np.sin(5 * z), 1.0, 0.50, 12.5),
        (lambda z: np.cos(5 * z), lambda z: -5 * np.sin(5 * z), 0.0, 0.50, 12.5),
        (lambda z: np.exp(-10 * z**2), lambda z: -20 * z * np.exp(-10 * z**2), 1.0, 0.077, 0.942),
        (lambda z: np.exp(-10 * z**2), lambda z: -20 * z * np.exp(-10 * z**2), 0.0, 0.0038, 1.52),
    ],
)
def test_where_the_trick_loses(f, slope, mu, score, path):
    by_score, by_path = moments(score_mu(f, mu, 1.0), mu, 1.0), moments(slope, mu, 1.0)
    assert by_score[0] == pytest.approx(by_path[0], abs=1e-9)
    assert by_score[1] == pytest.approx(score, rel=0.01)
    assert by_path[1] == pytest.approx(path, rel=0.01)


def test_a_step_has_a_smooth_average_whose_slope_only_the_score_function_sees():
    mu, h = 0.7, 1e-5
    above = [1 - Normal(torch.tensor(m, dtype=F64), 1.0).cdf(torch.tensor(0.0, dtype=F64)) for m in (mu + h, mu - h)]
    density = math.exp(-0.5 * mu**2) / math.sqrt(2 * math.pi)
    assert (above[0] - above[1]).item() / (2 * h) == pytest.approx(density, rel=1e-6)
    assert moments(score_mu(lambda z: (z > 0) * 1.0, mu, 1.0), mu, 1.0)[0] == pytest.approx(density, rel=1e-3)


# The losses for a VAE


def small_vae(likelihood=GAUSSIAN):
    torch.manual_seed(3)
    model = VAE((1, 2, 3), 2, likelihood, hidden=(8, 5)).double()
    return model, torch.rand(4, 1, 2, 3, dtype=F64)


def gradients(loss, model, x, seed=0):
    """Gradients of the mean loss: (of the encoder, of the decoder), each one long vector."""
    torch.manual_seed(seed)
    model.zero_grad()
    loss(model, x)["loss"].mean().backward()
    return tuple(torch.cat([p.grad.flatten() for p in part.parameters()]) for part in (model.encoder, model.decoder))


def test_log_density_is_torchs():
    z, mu, logvar = (torch.randn(5, 3, dtype=F64, generator=torch.Generator().manual_seed(i)) for i in range(3))
    torch.testing.assert_close(log_density(z, mu, logvar), Normal(mu, (logvar / 2).exp()).log_prob(z).sum(1))


@pytest.mark.parametrize("likelihood", [GAUSSIAN, Bernoulli()])
@pytest.mark.parametrize("name", LOSSES)
def test_all_have_the_value_of_the_negative_elbo_and_the_decoders_gradient(name, likelihood):
    model, x = small_vae(likelihood)
    results = []
    for loss in (vae_loss, LOSSES[name]):
        torch.manual_seed(5)
        results.append({term: value.detach() for term, value in loss(model, x).items()})
    torch.testing.assert_close(results[1], results[0])
    assert {tuple(value.shape) for value in results[1].values()} == {(4,)}
    torch.testing.assert_close(gradients(LOSSES[name], model, x)[1], gradients(vae_loss, model, x)[1])


def test_vae_loss_adds_the_terms_of_the_draw_and_beta_weighs_the_kl():
    for likelihood in (GAUSSIAN, Bernoulli()):
        model, x = small_vae(likelihood)
        for beta in (0, 0.5, 1, 4):
            torch.manual_seed(5)
            output, mu, logvar = model(x)
            torch.manual_seed(5)
            terms = vae_loss(model, x, beta)
            torch.testing.assert_close(terms["nll"], likelihood.nll(output, x))
            torch.testing.assert_close(terms["kl"], gaussian_kl(mu, logvar))
            torch.testing.assert_close(terms["loss"], terms["nll"] + beta * terms["kl"])


def test_autoencoder_loss_is_the_squared_error_of_the_reconstructions():
    torch.manual_seed(3)
    model, x = Autoencoder((1, 2, 3), 2, hidden=(8, 5)), torch.rand(4, 1, 2, 3)
    (name, loss), *more = autoencoder_loss(model, x).items()
    assert (name, more) == ("loss", [])
    torch.testing.assert_close(loss, squared_error(model(x), x))


def test_a_detached_draw_leaves_the_encoder_the_gradient_of_the_kl_alone():
    model, x = small_vae()
    only_kl, _ = gradients(
        lambda m, x: {"loss": gaussian_kl(*m.encode(x)) + 0 * m.decoder(m.encode(x)[0]).sum()}, model, x
    )
    torch.testing.assert_close(gradients(detached_loss, model, x)[0], only_kl)
    assert (gradients(vae_loss, model, x)[0] - only_kl).norm() > 0.1 * only_kl.norm()


def expected_gradient(model, x):
    """The encoder's gradient of the negative ELBO by quadrature over both latents: no draw anywhere."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    epsilon = torch.from_numpy(np.stack(np.meshgrid(nodes, nodes, indexing="ij"), -1).reshape(-1, 2))
    weight = torch.from_numpy(np.outer(weights, weights).reshape(-1) / (2 * math.pi))
    model.zero_grad()
    mu, logvar = model.encode(x)
    total = gaussian_kl(mu, logvar)
    for w, e in zip(weight, epsilon, strict=True):
        total = total + w * model.likelihood.nll(model.decode(mu + (logvar / 2).exp() * e), x)
    total.mean().backward()
    return torch.cat([p.grad.flatten() for p in model.encoder.parameters()])


@pytest.mark.parametrize("name", ["pathwise", "score", "score with baseline"])
def test_the_average_gradient_is_the_gradient_of_the_average(name):
    model, x = small_vae()
    exact = expected_gradient(model, x)
    along = exact / exact.norm()
    torch.manual_seed(0)
    many = x.repeat(1000, 1, 1, 1)  # 4,000 draws at a time; their gradients are averaged
    drawn = torch.stack([gradients(LOSSES[name], model, many, seed=i)[0] for i in range(20)])
    error = (drawn @ along).std() / math.sqrt(len(drawn))
    assert error < 0.1 * exact.norm()
    assert abs((drawn @ along).mean() - exact.norm()) < 4 * error
    sideways = drawn.mean(0) - exact
    allowed = drawn.std(0) / math.sqrt(len(drawn))
    assert (sideways.abs() < 6 * allowed + 1e-9).all()


def test_the_gradient_that_reaches_both_heads_is_the_chain_rule_by_hand():
    model, x = small_vae()
    mu, logvar = (part.detach().requires_grad_() for part in model.encode(x))
    torch.manual_seed(1)
    model.likelihood.nll(model.decode(model.reparameterize(mu, logvar)), x).sum().backward()
    torch.manual_seed(1)
    epsilon = torch.randn_like(mu)
    sigma = (0.5 * logvar.detach()).exp()
    z = (mu.detach() + sigma * epsilon).requires_grad_()
    model.likelihood.nll(model.decode(z), x).sum().backward()
    torch.testing.assert_close(mu.grad, z.grad)
    torch.testing.assert_close(logvar.grad, z.grad * epsilon * sigma / 2)


def test_what_pytorch_does_at_a_draw():
    mu, sigma = torch.tensor([0.5], requires_grad=True), torch.tensor([2.0], requires_grad=True)
    assert Normal(mu, sigma).sample().grad_fn is None
    silent = torch.normal(mu, sigma)
    assert silent.grad_fn is not None
    silent.square().sum().backward()
    assert mu.grad.item() == sigma.grad.item() == 0
    torch.manual_seed(0)
    z = Normal(mu, sigma).rsample()
    z.sum().backward()
    assert mu.grad.item() == 1
    assert sigma.grad.item() == pytest.approx((z.item() - 0.5) / 2)


def test_variance_at_the_encoder_orders_the_estimators():
    model, x = small_vae()
    spread = {}
    for name in ("pathwise", "score", "score with baseline"):
        drawn = torch.stack([gradients(LOSSES[name], model, x, seed=i)[0] for i in range(200)])
        spread[name] = drawn.var(0).sum().item()
    assert spread["pathwise"] < spread["score with baseline"] < spread["score"]


def test_fit_takes_each_and_the_detached_encoder_goes_to_the_prior():
    torch.manual_seed(0)
    x = torch.rand(64, 1, 2, 3)
    for name in ("score", "score with baseline", "detached"):
        model = VAE((1, 2, 3), 2, GAUSSIAN, hidden=(8, 5))
        history = fit(model, x, steps=200, lr=0.02, loss=LOSSES[name], progress=False)
        assert set(history.terms) == {"loss", "nll", "kl"}
    assert history["kl"][-1] < 0.1 * history["kl"][0]


@pytest.mark.parametrize("loss", [detached_loss, score_function_loss])
def test_an_autoencoder_is_refused(loss):
    with pytest.raises(TypeError, match="Autoencoder draws no code: this loss needs a VAE"):
        loss(Autoencoder((1, 2, 3), 2), torch.rand(4, 1, 2, 3))


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"z \(5, 3\) and mu \(5, 1\) must have the same shape"):
        log_density(torch.zeros(5, 3), torch.zeros(5, 1), torch.zeros(5, 1))
    with pytest.raises(ValueError, match=r"mu \(5, 3\) and logvar \(1, 3\) must have the same shape"):
        log_density(torch.zeros(5, 3), torch.zeros(5, 3), torch.zeros(1, 3))


def test_the_notebook_teaches_this_code(root):
    ours = {node.name: node for node in definitions((root / "vae_utils/objectives.py").read_text(encoding="utf-8"))}
    taught = [node for node in taught_in(root / "notebooks/03_reparameterization_trick.ipynb") if node.name in ours]
    assert {node.name for node in taught} == {"detached_loss"}
    assert [difference(node, ours[node.name]) for node in taught] == [""] * len(taught)
