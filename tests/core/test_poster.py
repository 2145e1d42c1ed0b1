"""The poster strip: what stands in it is what it was given."""

from __future__ import annotations

import re
import zlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.patches import Ellipse

from vae_utils import data, poster
from vae_utils.models import VAE

COSTS = ({"kl": 3.25, "above": 40.5}, {"kl": 1.5, "above": 20.0})


@pytest.fixture(scope="module")
def pictures() -> data.Dataset:
    return data.load("cats_dogs")


@pytest.fixture(scope="module")
def model(pictures: data.Dataset) -> VAE:
    torch.manual_seed(0)
    return VAE(pictures.shape, 2, pictures.likelihood)


def test_a_row_for_each_picture_and_a_panel_for_each_idea(model: VAE, pictures: data.Dataset) -> None:
    figure, text = poster.strip(model, pictures, COSTS)
    panels = figure.axes
    assert [ax.get_title() for ax in panels[:5]] == list(poster.PANELS) and len(panels) == 10
    for name in pictures.followed_names:
        assert name in text
    plt.close(figure)


def test_its_numbers_are_those_of_the_pictures(model: VAE, pictures: data.Dataset) -> None:
    figure, _ = poster.strip(model, pictures, COSTS)
    for i, cost in enumerate(COSTS):
        x = pictures.test.x[pictures.followed[i]]
        raw = (x * 255).round().byte().numpy().tobytes()
        bytes_, code, cloud, _, nats = figure.axes[5 * i : 5 * i + 5]
        assert f"{len(raw):,} bytes" in bytes_.get_xlabel()
        assert f"zipped {len(zlib.compress(raw, 9)):,}" in bytes_.get_xlabel()
        with torch.no_grad():
            mu, logvar = (part[0] for part in model.encode(x[None]))
        shown = re.fullmatch(r"z = \((-?\d+\.\d\d), (-?\d+\.\d\d)\)", code.get_xlabel())
        assert shown and [float(number) for number in shown.groups()] == pytest.approx(mu.tolist(), abs=0.0051)
        ellipse = next(patch for patch in cloud.patches if isinstance(patch, Ellipse) and patch.get_fill())
        # one picture and a batch are summed in different orders, which differ between processors
        assert ellipse.get_center() == pytest.approx(tuple(mu.tolist()), rel=1e-4, abs=1e-6)
        assert ellipse.width == pytest.approx(6 * (0.5 * logvar[0]).exp().item(), rel=1e-4)
        assert [bar.get_width() for bar in nats.patches] == [cost["kl"], cost["above"]]
    plt.close(figure)


def test_arrows_point_where_the_loss_falls(model: VAE, pictures: data.Dataset) -> None:
    """A small step along each arrow makes that draw's loss smaller."""
    figure, _ = poster.strip(model, pictures, COSTS)
    arrows = figure.axes[3].collections[0]
    z = torch.from_numpy(np.array(arrows.get_offsets(), dtype=np.float64))
    direction = torch.from_numpy(np.array([arrows.U, arrows.V], dtype=np.float64)).T
    step = 1e-4 * direction / direction.norm(dim=1, keepdim=True)
    twin = VAE(pictures.shape, 2, pictures.likelihood).double()
    twin.load_state_dict(model.state_dict())
    x = pictures.test.x[pictures.followed[0]].double().expand(len(z), *pictures.shape)
    with torch.no_grad():
        before = twin.likelihood.nll(twin.decode(z), x)
        after = twin.likelihood.nll(twin.decode(z + step), x)
    assert (after < before).all()
    plt.close(figure)


def test_refuses_what_it_cannot_draw(pictures: data.Dataset, model: VAE) -> None:
    with pytest.raises(ValueError, match="2 numbers, not 8"):
        poster.strip(VAE(pictures.shape, 8, pictures.likelihood), pictures, COSTS)
    with pytest.raises(ValueError, match="as many costs, not 1"):
        poster.strip(model, pictures, COSTS[:1])
