"""Traversals: one slider for each number of the code, to see what it does to the picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .. import evaluation, plots
from ..data import Dataset
from . import live
from .live import Codes, LiveFigure

SHOWN = 12  # real pictures to start from
MOST = 16  # sliders


def traversals(model: nn.Module, pictures: Dataset) -> LiveFigure:
    """A figure to move: a slider for each number of the code, those that change the picture most on top.

    model: with codes of 2 to 16 numbers. pictures: the data set; its test pictures say how far the sliders reach.

    Raises ValueError for other codes, and for what the page can't run (see `live.pack`).
    """
    ((name, model),) = live.as_models(model, pictures).items()
    test = pictures.test.x[live.choose(pictures, 500)]
    codes = live.encode(model, test, name)
    if not 2 <= codes.numbers <= MOST:
        raise ValueError(
            f"Traversals show one slider for each number, 2 to {MOST}, but the codes of {name} have {codes.numbers}."
        )
    effect = effects(model, codes)
    low, high = reach(codes)
    origin = torch.zeros(codes.numbers) if codes.width is not None else codes.center.mean(0)
    data = {
        "name": name,
        "decoder": live.pack(model, around(codes, low, high), name).for_page(),
        "order": effect.argsort(descending=True, stable=True).tolist(),
        "effect": [round(value, 4) for value in effect.tolist()],
        "low": low.tolist(),
        "high": high.tolist(),
        "origin": [origin.tolist(), "the prior's middle" if codes.width is not None else "the average code"],
        "pictures": live.sheet(test[:SHOWN]) | {"codes": codes.center[:SHOWN].tolist()},
        "kinds": [pictures.label_names[int(pictures.test.y[i])] for i in live.choose(pictures, SHOWN)],
        "followed": pictures.followed_names,
    }
    order = data["order"][:6]
    cat = pictures.followed_names[0]
    alt = (
        f"What the {len(order)} numbers that do most change in the {cat}, drawn by the {name}: "
        "each row shows one number from its low end to its high end."
    )
    return live.live_figure("traversals", data, ["traversals.js"], still(model, codes, order, low, high), alt)


def effects(model: nn.Module, codes: Codes) -> Tensor:
    """How much a pixel changes, on average, when a number grows by its standard deviation: (latent_dim,) in [0, 1]."""
    z, spread, changes = codes.center[:200], codes.spread, []
    for j in range(codes.numbers):
        step = torch.zeros(codes.numbers)
        step[j] = spread[j] / 2
        changes.append((evaluation.decode(model, z + step) - evaluation.decode(model, z - step)).abs().mean())
    return torch.stack(changes)


def reach(codes: Codes) -> tuple[Tensor, Tensor]:
    """The sliders' ends (latent_dim,): three standard deviations to each side, more where a code lies there."""
    middle, spread = codes.center.mean(0), codes.spread
    return (
        torch.minimum(middle - 3 * spread, codes.center[:SHOWN].amin(0)),
        torch.maximum(middle + 3 * spread, codes.center[:SHOWN].amax(0)),
    )


def around(codes: Codes, low: Tensor, high: Tensor) -> Tensor:
    """Codes (n, latent_dim) that the sliders can reach: pictures' own, others by chance, and corners."""
    chance = torch.Generator().manual_seed(0)
    inside = torch.rand(250, codes.numbers, generator=chance)
    corners = torch.randint(0, 2, (100, codes.numbers), generator=chance)
    return torch.cat([codes.center[:150], low + inside * (high - low), low + corners * (high - low)])


def still(model: nn.Module, codes: Codes, order: list[int], low: Tensor, high: Tensor) -> object:
    """The picture that stands there where no script runs: rows of five steps for the numbers that do most."""
    rows = []
    for j in order:
        z = codes.center[:1].repeat(5, 1)
        z[:, j] = torch.linspace(low[j].item(), high[j].item(), 5)
        rows.append(evaluation.decode(model, z))
    return plots.grid(rows, [f"number {j + 1}" for j in order], ["low", "", "", "", "high"])
