"""An animal that the reader draws, its code and its reconstruction.

This figure asks the kernel for each picture instead of running in the page: the drawing program is Python, and the
encoder would double the weights stored in the notebook (its first layer has 0.2 million, as many as the whole decoder).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets
import torch
from torch import Tensor

from ... import plots
from ...data import Dataset, draw
from ...data.drawing import FACTORS
from ...evaluation import decode, encode
from ...types import LatentModel
from ..kernel import (
    Frame,
    KernelFigure,
    Sheet,
    at,
    check_model,
    course_style,
    describe,
    encode_cloud,
    new_figure,
    picture_axes,
    row,
    slider,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist

USUAL = ("species", "ears", "warmth", "tone", "light", "tilt", "muzzle", "eyes")
DOTS = 1000  # test codes on the plane


def draw_your_own(
    models: LatentModel | Mapping[str, LatentModel], pictures: Dataset, factors: Sequence[str] = USUAL
) -> KernelFigure:
    """Show sliders that draw an animal, its code on the plane of test codes, and its reconstruction.

    Args:
        models: A model with codes of two numbers, or two by name, to compare them. q(z|x) is an ellipse at mu with
            half-axes of two sigma; an autoencoder has a dot.
        pictures: The data set of the models. Only cats_dogs has factors to draw from.
        factors: The names of the sliders; the other factors keep their usual values.

    Raises:
        TypeError: These are not models, or `pictures` is not a data set.
        ValueError: Models, data set or factors do not fit.
    """
    if not isinstance(pictures, Dataset):
        raise TypeError(f"pictures must be a data set of vae_utils.data, not {describe(pictures)}.")
    if pictures.test.factors is None or set(pictures.test.factors) != set(FACTORS):
        raise ValueError(
            f"This figure draws cats and dogs from their true factors, which {pictures.name} does not have: "
            'it works with DATASET = "cats_dogs".'
        )
    unknown = [name for name in factors if name not in FACTORS]
    if unknown or not factors:
        raise ValueError(f"factors are {unknown or 'none'}; choose from {', '.join(FACTORS)}.")
    named = dict(models) if isinstance(models, Mapping) else {"": models}
    if not 1 <= len(named) <= 2:
        raise ValueError(f"There are {len(named)} models; this figure has room for one or two.")
    for name, model in named.items():
        check_model(model, pictures.shape, name or "the model", latent_dim=2)

    sliders = [_slider(name) for name in factors]
    codes = {name: encode(model, pictures.test.x[:DOTS]) for name, model in named.items()}
    sheet, parts = _figure(codes, pictures)
    size = pictures.shape[1]

    def render(*values: float) -> Frame:
        chosen = dict(zip(factors, values, strict=True))
        x = drawn(chosen, size)
        pasted = {parts["yours"]: x}
        lines, places = [], []
        for name, model in named.items():
            mu, sigma = encode_cloud(model, x[None])
            back = decode(model, mu)[0]
            pasted[parts[name]["back"]] = back
            _move(parts[name], mu[0].tolist(), None if sigma is None else sigma[0].tolist())
            error = (back - x).square().sum().item()
            place = f"({mu[0, 0]:.2f}, {mu[0, 1]:.2f})"
            cloud = f", σ = ({sigma[0, 0]:.2f}, {sigma[0, 1]:.2f})" if sigma is not None else ""
            meaning = "μ" if cloud else "code"
            lines.append(f"{name or 'The model'}: {meaning} = {place}{cloud}; squared error {error:.1f}.")
            places.append(f"{name + ' ' if name else ''}at {place}")
        sheet.paste(pasted)
        drawing = ", ".join(f"{name} {value:.2f}" for name, value in chosen.items())
        alt = (
            f"An animal drawn with {drawing}; its place among the test codes, {' and '.join(places)}; what comes back."
        )
        return Frame(sheet.image(), alt, "\n".join([f"Yours: {drawing}.", *lines]))

    return KernelFigure(sliders, render, row(*sliders))


def drawn(factors: Mapping[str, float], size: int = 32) -> Tensor:
    """Draw an animal from factors, as models take it: (3, size, size) in [0, 1]."""
    return torch.from_numpy(draw(size, **factors)).permute(2, 0, 1).float() / 255


def _slider(name: str) -> ipywidgets.FloatSlider:
    low, high, usual = FACTORS[name]
    control = slider(name, low, high, usual, step=(high - low) / 20)
    control.readout_format = ".2f"
    control.layout.width = "225px"
    return control


def _move(parts: dict[str, Any], mu: list[float], sigma: list[float] | None) -> None:
    for part in ("dot", "ring"):
        parts[part].set_data(mu[:1], mu[1:])
    if sigma is not None:
        parts["cloud"].set(center=mu, width=4 * sigma[0], height=4 * sigma[1])


def _limits(codes: Tensor, margin: float) -> list[tuple[float, float]]:
    """Return limits of both axes, of equal span, that hold the codes (n, 2) with some margin."""
    low, high = codes.amin(0).numpy(), codes.amax(0).numpy()
    middle, reach = (low + high) / 2, 0.55 * max(high - low) + margin
    return [(float(center - reach), float(center + reach)) for center in middle]


def _figure(codes: Mapping[str, Tensor], pictures: Dataset) -> tuple[Sheet, dict[str, Any]]:
    from matplotlib.patches import Ellipse

    labels = pictures.test.y[:DOTS].numpy()
    with course_style():
        figure = new_figure(1.6 + 3.98 * len(codes), 2.9, "none")
        yours = picture_axes(figure, 0.05, 0.86, pictures.shape, 1.28)
        yours.set_title("yours")
        parts: dict[str, Any] = {"yours": yours}
        moving: list[Artist] = []
        for i, (name, z) in enumerate(codes.items()):
            left = 2.1 + 3.98 * i
            plane = at(figure, left, 0.5, 2, 2)
            back = picture_axes(figure, left + 2.12, 0.86, pictures.shape, 1.28)
            back.set_title("comes back")
            plane.set_title(name)
            for label, color in enumerate(plots.CLASSES[: len(pictures.label_names)]):
                mine = z[labels == label].numpy()
                plane.scatter(
                    mine[:, 0], mine[:, 1], s=5, lw=0, alpha=0.45, color=color, label=pictures.label_names[label]
                )
            across, up = _limits(z, 0.1)
            plane.set(xlim=across, ylim=up)
            plane.set(xlabel="first number", ylabel="second number" if i == 0 else "")
            if i == 0:
                plane.legend(markerscale=3, loc="best", handletextpad=0)
            cloud = plane.add_patch(Ellipse((0, 0), 0, 0, facecolor=plots.VERMILION, alpha=0.8, edgecolor=plots.INK))
            dot = plane.plot([], [], "o", color=plots.INK, ms=3)[0]
            ring = plane.plot([], [], "o", mfc="none", mec=plots.INK, ms=16, mew=1)[0]  # to spot a small ellipse
            parts[name] = {"back": back, "cloud": cloud, "dot": dot, "ring": ring}
            moving += [cloud, dot, ring]
        return Sheet(figure, moving), parts
