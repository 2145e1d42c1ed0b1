"""The code map: move a point over the plane of codes, and the decoder draws what it finds there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ... import evaluation, plots
from ...data import Dataset
from ...types import LatentModel
from ..figure import LiveFigure, as_data, live_figure
from ..packing import pack
from ..pictures import Codes, as_models, choose, encode, sprite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 120  # real pictures on the plane


def code_map(model: LatentModel | Mapping[str, LatentModel], pictures: Dataset) -> LiveFigure:
    """Return a figure with a point to move over the plane of codes, and the picture that is decoded there.

    Args:
        model: A model with codes of 2 numbers, or several by name, {"autoencoder": ae, "VAE": vae}, whose points move
            together.
        pictures: The data set; some of its test pictures are dots at their codes. A VAE also shows q(z|x) of the
            chosen one.

    Raises:
        ValueError: The codes have another length, or the page can't run the decoder (see `packing.pack`).
    """
    models = as_models(model, pictures)
    chosen = choose(pictures, SHOWN)
    x = pictures.test.x[chosen]
    parts, codes = [], {}
    for name, one in models.items():
        placed = codes[name] = encode(one, x, name)
        if placed.numbers != 2:
            raise ValueError(
                f"A code map is a plane: it needs codes of 2 numbers, but those of {name} have {placed.numbers}. "
                "Train a model with latent_dim=2, or use widgets.traversals."
            )
        box = plane(placed)
        parts.append(
            {
                "name": name,
                "decoder": pack(one, around(placed, box), name).for_page(),
                "box": box.tolist(),
                "codes": as_data(placed.center),
                "clouds": None if placed.width is None else as_data(placed.width),
            }
        )
    data: dict[str, Any] = {
        "models": parts,
        "pictures": sprite(x) | {"labels": pictures.test.y[chosen].tolist(), "names": pictures.label_names},
        "followed": pictures.followed_names,
    }
    cat, dog = pictures.followed_names
    alt = (
        f"The codes of {len(chosen)} real pictures as dots on a plane, {' and '.join(models)}, "
        f"and the {cat} and the {dog} as drawn from their codes."
    )
    return live_figure("codeMap", data, "code_map.js", still(models, codes, pictures, chosen), alt)


def plane(codes: Codes) -> Tensor:
    """Return the square that is shown, [[left, right], [bottom, top]]: it holds all codes, with some margin."""
    low, high = codes.center.amin(0), codes.center.amax(0)
    middle, half = (low + high) / 2, 0.55 * (high - low).max().clamp(min=1e-3)
    if codes.width is not None:  # to hold the prior's inner circles
        low, high = low.clamp(max=-2), high.clamp(min=2)
        middle, half = (low + high) / 2, 0.55 * (high - low).max()
    return torch.stack([middle - half, middle + half], dim=1)


def around(codes: Codes, box: Tensor) -> Tensor:
    """Return codes (n, 2) that the figure can show: the pictures' codes, and a grid over the plane."""
    grid = torch.cartesian_prod(*(torch.linspace(low.item(), high.item(), 21) for low, high in box))
    return torch.cat([codes.center, grid])


def still(
    models: Mapping[str, LatentModel], codes: Mapping[str, Codes], pictures: Dataset, chosen: list[int]
) -> Figure:
    """Draw the picture for pages without scripts: each model's plane, and what it decodes from two codes."""
    import matplotlib.pyplot as plt

    y = pictures.test.y[chosen]
    figure = plt.figure(figsize=(4.6 * len(models), 3.0), layout="constrained")
    for number, (part, name) in enumerate(
        zip(figure.subfigures(1, len(models), squeeze=False)[0], models, strict=True)
    ):
        grid = part.add_gridspec(2, 2, width_ratios=(2.4, 1))
        ax = part.add_subplot(grid[:, 0])
        draw_plane(ax, codes[name], y, pictures, legend=number == 0)
        ax.set(title=name, xlabel="first number of the code", ylabel="second number")
        for i, called in enumerate(pictures.followed_names):
            drawn = part.add_subplot(grid[i, 1])
            plots.picture(drawn, evaluation.decode(models[name], codes[name].center[i : i + 1])[0])
            drawn.set_title(f"{called}, drawn", fontsize=9)
    return figure


def draw_plane(ax: Axes, codes: Codes, y: Tensor, pictures: Dataset, legend: bool) -> None:
    """Draw codes as dots, name the two followed pictures, and draw their q(z|x) for a VAE."""
    from matplotlib.patches import Ellipse

    plots.codes(ax, codes.center, y, pictures.label_names, size=12)
    if legend and len(pictures.label_names) <= 4:
        ax.legend(markerscale=1.5, loc="best", fontsize=8)
    elif (shown := ax.get_legend()) is not None:
        shown.remove()
    for i, name in enumerate(pictures.followed_names):
        across, up = codes.center[i].tolist()
        if codes.width is not None:
            for sd in (1, 2):
                size = (2 * sd * codes.width[i]).tolist()
                ax.add_patch(Ellipse((across, up), *size, fill=False, color=plots.INK, lw=1))
        ax.plot(across, up, "o", ms=6, mfc="none", mec=plots.INK)
        ax.annotate(name, (across, up), xytext=(6, 6), textcoords="offset points", fontsize=9)
    box = plane(codes)
    ax.set(xlim=box[0].tolist(), ylim=box[1].tolist(), aspect="equal")
