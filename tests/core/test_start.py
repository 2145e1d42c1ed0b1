"""Principal components against an exact decomposition, and what a network does at the start of its training."""

import pytest
import torch
from torch import nn

from vae_utils.likelihoods import Bernoulli, Gaussian
from vae_utils.models import VAE, Autoencoder
from vae_utils.pca import principal_components
from vae_utils.start import start_at_mean, start_at_principal_components

SHAPE, UNITS = (2, 4, 5), 8
KINDS = [None, Gaussian(0.2), Bernoulli()]


def draw(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def pictures(n: int = 600) -> torch.Tensor:
    """Return pictures (n, 2, 4, 5) with falling variances along their components, none of them black or white."""
    spread = 0.15 * 0.88 ** torch.arange(40)
    x = 0.5 + 0.1 * draw(40, seed=5) + (draw(n, 40) * spread) @ torch.linalg.qr(draw(40, 40, seed=1)).Q
    return x.clamp(0.02, 0.98).view(n, *SHAPE)


def new(likelihood=None, hidden=(12, UNITS), seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return VAE(SHAPE, 3, likelihood, hidden) if likelihood else Autoencoder(SHAPE, 3, hidden)


def weights(model):
    return torch.cat([value.flatten() for value in model.state_dict().values()])


def exact(x, k):
    x = x.flatten(1).double()
    _, values, axes = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    return x.mean(0), axes[:k].T, values[:k] / (len(x) - 1) ** 0.5


# Principal components


@pytest.mark.parametrize("k", [1, 8, 40])
def test_principal_components_are_those_of_a_singular_value_decomposition(k):
    x = pictures().flatten(1)
    mean, axes, deviations = principal_components(x, k)
    expected = exact(x, k)
    assert mean.shape == (40,) and axes.shape == (40, k) and deviations.shape == (k,)
    torch.testing.assert_close(mean.double(), expected[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(deviations.double(), expected[2], rtol=1e-3, atol=0)
    torch.testing.assert_close(axes.T @ axes, torch.eye(k), rtol=0, atol=1e-4)
    along = (axes.double() * expected[1]).sum(0).abs()  # 1 for the same axis, of either sign
    torch.testing.assert_close(along, torch.ones(k).double(), rtol=0, atol=0.01)


def test_principal_components_of_data_off_center_are_about_their_mean():
    x = draw(500, 6) * torch.tensor([1.0, 3.0, 0.5, 0.2, 0.1, 0.1]) + 100 * torch.tensor([1.0, 0, 0, 0, 0, 0])
    _, axes, deviations = principal_components(x, 1)
    assert abs(axes[1, 0]) > 0.99 and deviations.item() == pytest.approx(3, rel=0.1), "not the direction of the mean"


def test_principal_components_are_the_same_each_time_and_leave_the_random_state():
    x, before = pictures().flatten(1), torch.get_rng_state()
    first = principal_components(x, 5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert all(torch.equal(a, b) for a, b in zip(first, principal_components(x, 5), strict=True))


@pytest.mark.parametrize("k", [0, 41])
def test_there_are_no_more_components_than_pictures_or_pixels(k):
    with pytest.raises(ValueError, match=f"has 1 to 40 principal components, not {k}"):
        principal_components(pictures().flatten(1), k)
    with pytest.raises(ValueError, match="has 1 to 4 principal components, not 5"):
        principal_components(pictures()[:4].flatten(1), 5)


# The start


@pytest.mark.parametrize("likelihood", KINDS)
def test_first_layer_gives_uncorrelated_coordinates_of_variance_one(likelihood):
    model, x = new(likelihood), pictures()
    start_at_principal_components(model, x)
    with torch.no_grad():
        coordinates = model.encoder[0](x.flatten(1))
    torch.testing.assert_close(coordinates.mean(0), torch.zeros(UNITS), rtol=0, atol=1e-3)
    torch.testing.assert_close(coordinates.T.cov(), torch.eye(UNITS), rtol=0, atol=5e-3)
    before = new(likelihood)
    start_at_mean(before, x)
    covariance = before.encoder[0](x.flatten(1)).T.cov().detach()
    assert (covariance - torch.eye(UNITS)).abs().max() > 0.5, "a random layer has none of this"


@pytest.mark.parametrize("likelihood", KINDS)
def test_last_layer_paints_half_of_each_component_onto_the_mean_picture(likelihood):
    model, x = new(likelihood), pictures()
    start_at_principal_components(model, x)
    mean, axes, deviations = exact(x, UNITS)
    last = model.decoder[-1].double()
    paint = lambda units: last(units).sigmoid()  # noqa: E731
    nothing = torch.zeros(1, UNITS).double()
    with torch.no_grad():
        torch.testing.assert_close(paint(nothing)[0], mean, rtol=0, atol=1e-5)
        units = 1e-3 * torch.eye(UNITS).double()
        slope = (paint(units) - paint(nothing)) / 1e-3
    half = 0.5 * (axes * deviations).T
    sign = (slope * half).sum(1, keepdim=True).sign()
    torch.testing.assert_close(slope, sign * half, rtol=0, atol=2e-3)


@pytest.mark.parametrize("likelihood", KINDS)
def test_with_nothing_between_the_network_is_pca_halved(likelihood):
    """If the layers between pass their inputs on, the mean picture plus half of each component comes back."""
    model, x = new(likelihood), pictures()
    start_at_principal_components(model, x)
    mean, axes, _ = exact(x, UNITS)
    near = mean + 0.05 * (x.flatten(1).double() - mean)  # near the mean, where the sigmoid is straight
    with torch.no_grad():
        back = model.decoder[-1](model.encoder[0](near.float())).sigmoid()
    halved = mean + 0.5 * (near - mean) @ axes @ axes.T
    torch.testing.assert_close(back.double(), halved, rtol=0, atol=5e-4)
    assert (halved - mean).abs().max() > 5e-3


def test_layers_between_stay_as_they_were_and_a_vae_starts_with_a_logvar_of_minus_two():
    model, x = new(Gaussian(0.2)), pictures()
    start_at_principal_components(model, x)
    other = new(Gaussian(0.2))
    for part, i in (("encoder", 2), ("decoder", 0), ("decoder", 2)):
        assert torch.equal(getattr(model, part)[i].weight, getattr(other, part)[i].weight)
    with torch.no_grad():
        assert torch.equal(model.encode(x)[1], torch.full((600, 3), -2.0))


@pytest.mark.parametrize("likelihood", KINDS)
def test_bytes_and_their_fractions_start_alike(likelihood):
    as_bytes = (pictures() * 255).round().to(torch.uint8)
    models = [new(likelihood), new(likelihood)]
    before = torch.get_rng_state()
    start_at_principal_components(models[0], as_bytes)
    start_at_principal_components(models[1], as_bytes.float() / 255)
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(weights(models[0]), weights(models[1]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("hidden", "n"),
    [((12, UNITS), 2 * UNITS - 1), ((12, 21), 600), ((), 600), ((12, 30), 35)],
    ids=["few pictures", "wide layers", "no hidden layer", "both"],
)
@pytest.mark.parametrize("likelihood", KINDS)
def test_else_it_starts_at_the_mean(likelihood, hidden, n):
    x = pictures()[:n]
    model, mean_alone = new(likelihood, hidden), new(likelihood, hidden)
    start_at_principal_components(model, x)
    start_at_mean(mean_alone, x)
    assert torch.equal(weights(model), weights(mean_alone))


def test_just_enough_pictures_and_pixels_start_at_the_components():
    x = pictures()
    for hidden, n in (((12, UNITS), 2 * UNITS), ((12, 20), 600)):
        model, mean_alone = new(None, hidden), new(None, hidden)
        start_at_principal_components(model, x[:n])
        start_at_mean(mean_alone, x[:n])
        assert not torch.equal(weights(model), weights(mean_alone))


def test_layers_wider_than_the_pictures_looked_at_start_at_the_mean():
    x = torch.rand(4001, 1, 1, 4500, generator=torch.Generator().manual_seed(0))  # every other one is looked at
    model = nn.Module()
    model.encoder = nn.Sequential(nn.Linear(4500, 1001), nn.ELU(), nn.Linear(1001, 1))
    model.decoder = nn.Sequential(nn.Linear(1, 1001), nn.ELU(), nn.Linear(1001, 4500))
    start_at_principal_components(model, x)  # needs 2,002 pictures of 2,001
    torch.testing.assert_close(model.decoder[-1].bias.sigmoid(), x.mean(0).flatten(), rtol=0, atol=1e-4)


def test_outer_layers_of_two_widths_start_at_the_mean():
    model = new()
    model.decoder[2] = nn.Linear(12, 6)
    model.decoder[4] = nn.Linear(6, 40)
    before = model.decoder[4].weight.detach().clone()
    start_at_principal_components(model, pictures())
    torch.testing.assert_close(model.decoder[4].weight, 0.3 * before)


@pytest.mark.parametrize("start", [start_at_mean, start_at_principal_components])
def test_black_and_constant_pixels_leave_no_infinity(start):
    x = pictures()
    x[:, 0, 0], x[:, 1, 0] = 0, 1
    model = new(Bernoulli())
    start(model, x)
    assert weights(model).isfinite().all() and weights(model).abs().max() < 1000
    black = torch.zeros(50, *SHAPE)
    start(model, black)
    assert weights(model).isfinite().all()


@pytest.mark.parametrize("start", [start_at_mean, start_at_principal_components])
def test_networks_without_linear_layers_at_their_ends_are_refused(start):
    model = new()
    model.decoder.append(nn.Sigmoid())
    with pytest.raises(TypeError, match="linear layers at both ends, not Sigmoid"):
        start(model, pictures())
