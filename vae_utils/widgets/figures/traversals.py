"""Traversals: one slider for each number of the code, which shows its effect on the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ... import evaluation, plots
from ...data import Dataset
from ...types import LatentModel
from ..figure import LiveFigure, live_figure
from ..packing import pack
from ..pictures import Codes, as_models, choose, encode, sprite

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 12  # real pictures to start from
MOST = 16  # sliders


def traversals(model: LatentModel, pictures: Dataset) -> LiveFigure:
    """Return a figure with a slider for each number of the code; those that change the picture most come first.

    Args:
        model: A model with codes of 2 to 16 numbers.
        pictures: The data set; its test pictures set the sliders' range.

    Raises:
        ValueError: The codes have another length, or the page can't run the decoder (see `packing.pack`).
    """
    ((name, model),) = as_models(model, pictures).items()
    test = pictures.test.x[choose(pictures, 500)]
    codes = encode(model, test, name)
    if not 2 <= codes.numbers <= MOST:
        raise ValueError(
            f"Traversals show one slider for each number, 2 to {MOST}, but the codes of {name} have {codes.numbers}."
        )
    effect = effects(model, codes)
    order = effect.argsort(descending=True, stable=True).tolist()
    low, high = limits(codes)
    origin = torch.zeros(codes.numbers) if codes.width is not None else codes.center.mean(0)
    data = {
        "name": name,
        "decoder": pack(model, around(codes, low, high), name).for_page(),
        "order": order,
        "effect": [round(value, 4) for value in effect.tolist()],
        "low": low.tolist(),
        "high": high.tolist(),
        "origin": [origin.tolist(), "the prior's middle" if codes.width is not None else "the average code"],
        "pictures": sprite(test[:SHOWN]) | {"codes": codes.center[:SHOWN].tolist()},
        "kinds": [pictures.label_names[int(pictures.test.y[i])] for i in choose(pictures, SHOWN)],
        "followed": pictures.followed_names,
    }
    most = order[:6]
    cat = pictures.followed_names[0]
    alt = (
        f"What the {len(most)} numbers that do most change in the {cat}, drawn by the {name}: "
        "each row shows one number from its low end to its high end."
    )
    return live_figure("traversals", data, "traversals.js", still(model, codes, most, low, high), alt)


def effects(model: LatentModel, codes: Codes) -> Tensor:
    """Return the mean change of a pixel when a number grows by one standard deviation: (latent_dim,), in [0, 1]."""
    z, spread, changes = codes.center[:200], codes.spread, []
    for j in range(codes.numbers):
        step = torch.zeros(codes.numbers)
        step[j] = spread[j] / 2
        changes.append((evaluation.decode(model, z + step) - evaluation.decode(model, z - step)).abs().mean())
    return torch.stack(changes)


def limits(codes: Codes) -> tuple[Tensor, Tensor]:
    """Return the sliders' ends (latent_dim,): three standard deviations to each side, or up to a shown code."""
    middle, spread = codes.center.mean(0), codes.spread
    return (
        torch.minimum(middle - 3 * spread, codes.center[:SHOWN].amin(0)),
        torch.maximum(middle + 3 * spread, codes.center[:SHOWN].amax(0)),
    )


def around(codes: Codes, low: Tensor, high: Tensor) -> Tensor:
    """Return codes (n, latent_dim) that the sliders can reach: pictures' codes, random ones, and corners."""
    chance = torch.Generator().manual_seed(0)
    inside = torch.rand(250, codes.numbers, generator=chance)
    corners = torch.randint(0, 2, (100, codes.numbers), generator=chance)
    return torch.cat([codes.center[:150], low + inside * (high - low), low + corners * (high - low)])


def still(model: LatentModel, codes: Codes, order: list[int], low: Tensor, high: Tensor) -> Figure:
    """Draw the picture for pages without scripts: a row of five steps for each of these numbers."""
    rows = []
    for j in order:
        z = codes.center[:1].repeat(5, 1)
        z[:, j] = torch.linspace(low[j].item(), high[j].item(), 5)
        rows.append(evaluation.decode(model, z))
    return plots.grid(rows, [f"number {j + 1}" for j in order], ["low", "", "", "", "high"])
