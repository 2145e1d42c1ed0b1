"""A code of choices: the model, its objectives, and the experiment's exact loss, against enumeration by hand."""

import math
from functools import partial

import pytest
import torch

from scripts.experiments.discrete import exact_loss, nll_of_every_code
from vae_utils.likelihoods import Bernoulli, Gaussian
from vae_utils.models import CategoricalVAE
from vae_utils.objectives import (
    categorical_kl,
    choice_score_loss,
    gumbel,
    gumbel_softmax,
    hard,
    relaxed_loss,
    straight_through,
)
from vae_utils.start import start_at_principal_components
from vae_utils.training import fit

SHAPE = (1, 4, 4)
GAUSSIAN = Gaussian(0.3)


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def model(likelihood=GAUSSIAN, choices=2, values=3):
    made = CategoricalVAE(SHAPE, choices, values, likelihood, (8, 8)).double()
    for weight in made.parameters():
        weight.data.mul_(3)  # choices that are not all alike
    return made


def enumerated(vae, x):
    """The exact -ELBO of each picture, by two loops over the values."""
    chances = vae.encode(x).softmax(2)
    total = torch.zeros(len(x), dtype=torch.double)
    for i in range(3):
        for j in range(3):
            z = torch.zeros(len(x), 2, 3, dtype=torch.double)
            z[:, 0, i] = z[:, 1, j] = 1
            q = chances[:, 0, i] * chances[:, 1, j]
            total = total + q * (vae.likelihood.nll(vae.decode(z), x) + q.log() + math.log(9))
    return total


def test_shapes_codes_and_samples():
    vae, x = model(choices=3, values=4), torch.rand(5, *SHAPE).double()
    assert vae.encode(x).shape == (5, 3, 4) and vae.latent_dim == 12
    codes = vae.every_code()
    assert codes.shape == (64, 3, 4) and len(codes.unique(dim=0)) == 64
    assert (codes.sum(2) == 1).all() and codes.dtype == torch.double
    assert codes[7].argmax(1).tolist() == [0, 1, 3]  # the last choice turns fastest
    assert vae.decode(codes).shape == (64, *SHAPE)
    assert vae.sample(7).shape == (7, *SHAPE) and 0 <= vae.sample(7).min() <= vae.sample(7).max() <= 1
    assert CategoricalVAE(SHAPE, 1, 5, Bernoulli(), (8,)).every_code().shape == (5, 1, 5)


@pytest.mark.parametrize("likelihood", [Gaussian(0.3), Bernoulli()])
def test_the_experiments_exact_loss_is_the_enumerated_one(likelihood):
    vae, x = model(likelihood), torch.rand(4, *SHAPE).double()
    torch.testing.assert_close(exact_loss(vae, x)["loss"], enumerated(vae, x))
    by_hand = torch.stack([likelihood.nll(vae.decode(vae.every_code()), one.expand(9, *SHAPE)) for one in x])
    torch.testing.assert_close(nll_of_every_code(vae, x), by_hand)


def test_kl_to_the_uniform_prior():
    assert categorical_kl(torch.zeros(2, 3, 8)).tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    sure = torch.tensor([[[40.0, 0, 0, 0], [0, 0, 40.0, 0]]])
    assert categorical_kl(sure).item() == pytest.approx(2 * math.log(4), rel=1e-6)
    chances = torch.tensor([0.5, 0.25, 0.25])
    expected = math.log(3) - 1.5 * math.log(2)
    assert categorical_kl(chances.log().view(1, 1, 3)).item() == pytest.approx(expected, rel=1e-5)


def test_the_largest_of_logits_and_dice_is_a_fair_choice():
    logits = torch.tensor([1.5, 0.0, -1.0, 0.5]).expand(100_000, 4)
    shares, chances = hard(logits + gumbel(logits)).mean(0), logits[0].softmax(0)
    assert ((shares - chances).abs() < 5 * (chances * (1 - chances) / 100_000).sqrt()).all()


def test_straight_through_has_hard_values_and_soft_slopes():
    logits, noise = torch.randn(5, 2, 4).requires_grad_(), gumbel(torch.zeros(5, 2, 4))
    weights, slopes = torch.randn(5, 2, 4), []
    for relax in (straight_through, gumbel_softmax):
        z = relax(logits, noise, 0.7)
        slopes.append(torch.autograd.grad((z * weights).sum(), logits)[0])
    torch.testing.assert_close(*slopes)
    z = straight_through(logits, noise, 0.7)
    torch.testing.assert_close(z, hard(logits + noise))
    torch.testing.assert_close(gumbel_softmax(logits, noise, 0.7).sum(2), torch.ones(5, 2))


def slopes(vae, loss, x, times):
    """The gradient at the encoder's last bias, many times: (times, values)."""
    bias = vae.encoder[-1].bias
    return torch.stack([torch.autograd.grad(loss(vae, x)["loss"].sum(), bias)[0] for _ in range(times)])


@pytest.mark.parametrize("draws", [1, 2, 4])
def test_the_score_loss_is_unbiased_and_its_value_is_the_negative_elbos(draws):
    vae, x = model(), torch.rand(3, *SHAPE).double()
    (exact,) = torch.autograd.grad(enumerated(vae, x).sum(), vae.encoder[-1].bias)
    found = slopes(vae, partial(choice_score_loss, draws=draws), x, 1500)
    error = found.std(0) / 1500**0.5
    assert ((found.mean(0) - exact).abs() < 5 * error).all()
    values = torch.stack([choice_score_loss(vae, x, draws)["loss"].detach() for _ in range(1500)])
    assert ((values.mean(0) - enumerated(vae, x)).abs() < 5 * values.std(0) / 1500**0.5).all()


def test_leaving_one_out_scatters_less_than_no_baseline():
    vae, x = model(), torch.rand(3, *SHAPE).double()
    alone, two = (slopes(vae, partial(choice_score_loss, draws=k), x, 400).var(0).sum() for k in (1, 2))
    assert 2 * two < alone / 2  # per draw


def test_the_straight_through_loss_has_the_negative_elbos_value_and_a_bias():
    vae, x = model(), torch.rand(3, *SHAPE).double()
    loss = partial(relaxed_loss, relax=straight_through, temperature=1.0)
    values = torch.stack([loss(vae, x)["loss"].detach() for _ in range(1500)])
    assert ((values.mean(0) - enumerated(vae, x)).abs() < 5 * values.std(0) / 1500**0.5).all()
    (exact,) = torch.autograd.grad(enumerated(vae, x).sum(), vae.encoder[-1].bias)
    found = slopes(vae, loss, x, 800)
    assert ((found.mean(0) - exact).abs() > 5 * found.std(0) / 800**0.5).any()


def test_training_starts_with_open_choices_and_learns():
    x = torch.rand(200, 1, 8, 8) * 0.2
    x[:100, :, :4] += 0.7
    vae = CategoricalVAE((1, 8, 8), 2, 4, Gaussian(0.3), (16, 16))
    head = vae.encoder[-1].weight.clone()
    start_at_principal_components(vae, x)
    torch.testing.assert_close(vae.encoder[-1].weight, head)  # no log variances among the logits
    history = fit(vae, x, steps=200, loss=choice_score_loss, progress=False, device="cpu")
    assert history["loss"][-1] < history["loss"][0] - 5
