"""What the two networks take and give, how they draw codes, and that they are of the same size."""

import copy

import pytest
import torch

from vae_utils.likelihoods import Bernoulli, Gaussian
from vae_utils.losses import bernoulli_nll, gaussian_kl, squared_error
from vae_utils.models import VAE, Autoencoder, mlp
from vae_utils.objectives import vae_loss

COLOR, GREY = (3, 32, 32), (1, 28, 28)
GAUSSIAN = Gaussian(0.2)


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


def in_range(pictures):
    low, high = pictures.aminmax()
    return 0 <= low < high <= 1


@pytest.mark.parametrize("shape", [COLOR, GREY])
def test_autoencoder_shapes_and_range(shape):
    model, x = Autoencoder(shape, 2), torch.rand(5, *shape)
    assert model.encode(x).shape == (5, 2)
    assert model.decode(100 * torch.randn(5, 2)).shape == model(x).shape == (5, *shape)
    assert in_range(model.decode(100 * torch.randn(5, 2)))
    torch.testing.assert_close(model(x), model.decode(model.encode(x)))


@pytest.mark.parametrize(("shape", "likelihood"), [(COLOR, GAUSSIAN), (GREY, Bernoulli())])
def test_vae_shapes_and_ranges(shape, likelihood):
    model, x = VAE(shape, 8, likelihood), torch.rand(5, *shape)
    output, mu, logvar = model(x)
    assert output.shape == (5, *shape) and mu.shape == logvar.shape == (5, 8)
    assert in_range(model.mean(30 * torch.randn(5, 8)))
    assert not in_range(model.decode(30 * torch.randn(5, 8)))  # any real numbers, for either
    assert model.sample(7).shape == (7, *shape) and in_range(model.sample(7))


def test_mean_is_what_the_likelihood_expects():
    z = torch.randn(5, 8)
    for model in (VAE(COLOR, 8, GAUSSIAN), VAE(GREY, 8, Bernoulli())):
        torch.testing.assert_close(model.mean(z), torch.distributions.Bernoulli(logits=model.decode(z)).mean)


def test_bernoulli_logits_fit_the_loss():
    model, x = VAE(GREY, 8, Bernoulli()), torch.rand(5, *GREY)
    mu, _ = model.encode(x)
    p = model.decode(mu).sigmoid().double()
    by_hand = -(x * p.log() + (1 - x) * (1 - p).log()).sum((1, 2, 3))
    torch.testing.assert_close(bernoulli_nll(model.decode(mu), x).double(), by_hand, rtol=1e-4, atol=1e-3)
    vae_loss(model, x)["loss"].mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_sample_decodes_draws_from_the_prior():
    model = VAE((1, 1, 2), 2, GAUSSIAN, hidden=(4,))
    model.mean = lambda z: z.view(-1, 1, 1, 2)
    z = model.sample(50_000).flatten(1)
    torch.testing.assert_close(z.mean(0), torch.zeros(2), atol=0.02, rtol=0)
    torch.testing.assert_close(z.T.cov(), torch.eye(2), atol=0.03, rtol=0)


def test_reparameterized_draws_have_the_asked_moments():
    model = VAE((1, 2, 2), 3, GAUSSIAN)
    mu, logvar = torch.tensor([1.0, -2.0, 0.0]), torch.tensor([0.0, 1.0, -3.0])
    z = model.reparameterize(mu.expand(50_000, 3), logvar.expand(50_000, 3))
    sigma = (logvar / 2).exp()
    standard = (z - mu) / sigma
    torch.testing.assert_close(standard.mean(0), torch.zeros(3), atol=0.02, rtol=0)
    torch.testing.assert_close(standard.T.cov(), torch.eye(3), atol=0.03, rtol=0)
    assert abs((standard[1:] * standard[:-1]).mean()) < 0.02  # rows have noise of their own


def test_gradients_pass_through_the_draw():
    model = VAE((1, 2, 2), 3, GAUSSIAN)
    mu, logvar = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    z = model.reparameterize(mu, logvar)
    z.sum().backward()
    sigma_epsilon = (z - mu).detach()
    torch.testing.assert_close(mu.grad, torch.ones(4, 3))
    torch.testing.assert_close(logvar.grad, 0.5 * sigma_epsilon)
    assert not torch.equal(model.reparameterize(mu, logvar), z)


def test_same_size_but_for_the_second_number_of_each_code():
    autoencoder, vae = Autoencoder(COLOR, 8), VAE(COLOR, 8, GAUSSIAN)
    assert n_parameters(vae.decoder) == n_parameters(autoencoder.decoder)
    assert n_parameters(vae.encoder) - n_parameters(autoencoder.encoder) == 8 * (256 + 1)
    sizes = [[tuple(layer.weight.shape) for layer in part[::2]] for part in (autoencoder.encoder, autoencoder.decoder)]
    assert sizes[1] == [shape[::-1] for shape in reversed(sizes[0])]


def test_any_invertible_map_of_the_codes_costs_an_autoencoder_nothing_and_a_vae_much():
    """z -> A z + b in the encoder's last layer, undone in the decoder's first."""
    x, stretch, shift = torch.rand(16, *GREY), torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([4.0, -1.0])

    def undo(decoder, stretch):
        first = decoder[0]
        first.weight.copy_(first.weight @ stretch.inverse())
        first.bias.sub_(first.weight @ shift)

    with torch.no_grad():
        plain = Autoencoder(GREY, 2)
        mapped = copy.deepcopy(plain)
        last = mapped.encoder[-1]
        last.weight.copy_(stretch @ last.weight)
        last.bias.copy_(stretch @ last.bias + shift)
        undo(mapped.decoder, stretch)
        assert (mapped.encode(x) - plain.encode(x)).abs().min() > 0.5
        torch.testing.assert_close(squared_error(mapped(x), x), squared_error(plain(x), x), rtol=1e-5, atol=1e-4)

        vae = VAE(GREY, 2, GAUSSIAN)
        moved = copy.deepcopy(vae)
        head, diagonal = moved.encoder[-1], torch.diag(torch.tensor([2.0, 3.0]))
        head.weight[:2], head.bias[:2] = diagonal @ head.weight[:2], diagonal @ head.bias[:2] + shift
        head.bias[2:] += 2 * diagonal.diag().log()
        undo(moved.decoder, diagonal)
        (mu, logvar), (mu_moved, logvar_moved) = vae.encode(x), moved.encode(x)
        torch.testing.assert_close(moved.mean(mu_moved), vae.mean(mu), rtol=1e-5, atol=1e-5)
        assert (gaussian_kl(mu_moved, logvar_moved) - gaussian_kl(mu, logvar)).min() > 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent_dim": 0}, "positive layer sizes"),
        ({"shape": (3, 0, 32)}, "positive layer sizes"),
        ({"hidden": (256, -1)}, "positive layer sizes"),
    ],
)
def test_vae_rejects(changes, message):
    with pytest.raises(ValueError, match=message):
        VAE(**{"shape": COLOR, "latent_dim": 2, "likelihood": GAUSSIAN} | changes)


def test_a_picture_of_another_shape_is_refused():
    for model in (Autoencoder(COLOR, 2), VAE(COLOR, 2, GAUSSIAN)):
        with pytest.raises(RuntimeError, match="shape"):
            model(torch.rand(5, *GREY))


def test_mlp_has_an_elu_between_layers_only():
    kinds = [type(layer).__name__ for layer in mlp(4, 3, 2)]
    assert kinds == ["Linear", "ELU", "Linear"]
    with pytest.raises(ValueError, match="two or more"):
        mlp(4)
