"""A plane through the codes of three pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import evaluation, plots
from ...data import Dataset
from ...types import LatentModel
from ..figure import LiveFigure, live_figure
from ..packing import pack
from ..pictures import as_models, choose, encode, floats, sprite

CHOICE = 24  # pictures to choose the corners from
SHOWN = 7  # tiles in a row of the still picture
FROM, TO = -0.3, 1.3  # what is shown, as in plane.js; the corners are at (0, 0), (1, 0) and (0, 1)


def plane(model: LatentModel, pictures: Dataset) -> LiveFigure:
    """Return a figure of what a decoder draws on the plane through three pictures' codes, which the reader chooses.

    Args:
        model: A model with codes of any length. It begins at the two pictures that the notebooks follow and a third.
        pictures: The data set, for the pictures to choose from.

    Raises:
        TypeError: These are not a model and a data set.
        ValueError: The page can't run the decoder (see `packing.pack`).
    """
    ((name, model),) = as_models(model, pictures).items()
    chosen = choose(pictures, CHOICE)
    x = floats(pictures.test.x[chosen])
    z = encode(model, x, name).center
    steps = torch.linspace(TO, FROM, SHOWN)
    grid = torch.stack([at(z[:3], u, v) for v in steps for u in steps.flip(0)])
    ends = [(u, v) for u in (FROM, TO) for v in (FROM, TO)]
    reach = torch.stack([at(z[three], *end) for three in _triples(len(z)) for end in ends])
    data = {
        "decoder": pack(model, torch.cat([z, grid, reach]), name).for_page(),
        "pictures": sprite(x),
        "codes": z.tolist(),
        "kinds": [pictures.label_names[int(label)] for label in pictures.test.y[chosen]],
    }
    tiles = evaluation.decode(model, grid)
    still = plots.grid(tiles.unflatten(0, (SHOWN, SHOWN)), scale=0.7)
    names = [*(f"the {called}" for called in pictures.followed_names), "a third picture"]
    return live_figure(
        "planeOfThree", data, "plane.js", still, f"What is drawn on the plane through {', '.join(names)}."
    )


def at(corners: Tensor, u: Tensor | float, v: Tensor | float) -> Tensor:
    """Return the code at the place (u, v) of the plane through three codes (3, latent_dim)."""
    start, right, up = corners
    return start + u * (right - start) + v * (up - start)


def _triples(n: int) -> Tensor:
    """Return 40 triples of different pictures: those that the decoder's packing is tried on."""
    dice = torch.Generator().manual_seed(0)
    return torch.stack([torch.randperm(n, generator=dice)[:3] for _ in range(40)])
