"""An animal that the reader draws, its code and its reconstruction.

This figure asks the kernel for each picture instead of running in the page: the drawing program is Python, and the
encoder would double the weights stored in the notebook (its first layer has 0.2 million, as many as the whole decoder).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ... import plots
from ...data import Dataset, draw
from ...data.drawing import FACTORS
from ...evaluation import decode
from ...types import LatentModel
from ..kernel import KernelFigure, new_figure, slider
from ..pictures import Codes, check_model, encode, kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D
    from matplotlib.patches import Ellipse

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
        raise TypeError(f"pictures must be a data set of vae_utils.data, not {kind(pictures)}.")
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

    sliders = [
        slider(name, low, high, usual, (high - low) / 20) for name in factors for low, high, usual in [FACTORS[name]]
    ]
    figure, yours, planes = _figure(
        {name: encode(model, pictures.test.x[:DOTS]) for name, model in named.items()}, pictures
    )

    def render(*values: float) -> tuple[str, str]:
        chosen = dict(zip(factors, values, strict=True))
        x = drawn(chosen, pictures.shape[1])
        yours.set_data(plots.to_image(x))
        lines, places = [], []
        for (name, model), plane in zip(named.items(), planes, strict=True):
            code = encode(model, x[None], name)
            back = decode(model, code.center)[0]
            plane.move(code, back)
            error = (back - x).square().sum().item()
            place = pair(code.center)
            cloud = f", σ = {pair(code.width)}" if code.width is not None else ""
            meaning = "μ" if cloud else "code"
            lines.append(f"{name or 'The model'}: {meaning} = {place}{cloud}; squared error {error:.1f}.")
            places.append(f"{name + ' ' if name else ''}at {place}")
        drawing = ", ".join(f"{name} {value:.2f}" for name, value in chosen.items())
        alt = (
            f"An animal drawn with {drawing}; its place among the test codes, {' and '.join(places)}; what comes back."
        )
        return alt, "\n".join([f"Yours: {drawing}.", *lines])

    return KernelFigure(figure, sliders, render)


def pair(numbers: Tensor) -> str:
    """Return two numbers (1, 2) as a point is written."""
    return f"({numbers[0, 0]:.2f}, {numbers[0, 1]:.2f})"


def drawn(factors: Mapping[str, float], size: int = 32) -> Tensor:
    """Draw an animal from factors, as models take it: (3, size, size) in [0, 1]."""
    return torch.from_numpy(draw(size, **factors)).permute(2, 0, 1).float() / 255


class _Plane(NamedTuple):
    """What moves on a model's plane, and the picture that comes back."""

    dot: Line2D
    ring: Line2D  # to spot a small cloud
    cloud: Ellipse
    back: AxesImage

    def move(self, code: Codes, back: Tensor) -> None:
        """Show a code (1, 2) and the picture (C, H, W) that comes back."""
        self.back.set_data(plots.to_image(back))
        center = code.center[0].tolist()
        for part in (self.dot, self.ring):
            part.set_data(center[:1], center[1:])
        if code.width is not None:
            across, up = (4 * code.width[0]).tolist()
            self.cloud.set(center=center, width=across, height=up)


def _figure(codes: Mapping[str, Codes], pictures: Dataset) -> tuple[Figure, AxesImage, list[_Plane]]:
    from matplotlib.patches import Ellipse

    labels, blank = pictures.test.y[:DOTS], torch.zeros(pictures.shape)
    with new_figure(1.5 + 3.9 * len(codes), 2.9) as figure:
        axes = figure.subplots(1, 1 + 2 * len(codes), width_ratios=[1, *[1.9, 1] * len(codes)], squeeze=False)[0]

        def picture(ax: Axes, title: str) -> AxesImage:
            plots.picture(ax, blank)
            ax.set_title(title)
            ax.set_axis_off()
            return ax.images[0]

        yours, planes = picture(axes[0], "yours"), []
        for i, (name, z) in enumerate(codes.items()):
            plane = axes[1 + 2 * i]
            plots.codes(plane, z.center, labels, pictures.label_names)
            if i == 0:
                plane.legend(markerscale=2, loc="best", handletextpad=0)
            else:
                plane.legend().remove()
            plane.locator_params(nbins=4)  # each tick takes a millisecond
            plane.set(title=name, aspect="equal", adjustable="datalim")
            cloud = plane.add_patch(Ellipse((0, 0), 0, 0, facecolor=plots.VERMILION, alpha=0.6, edgecolor=plots.INK))
            dot = plane.plot([], [], "o", color=plots.INK, ms=3)[0]
            ring = plane.plot([], [], "o", mfc="none", mec=plots.INK, ms=16, mew=1)[0]
            planes.append(_Plane(dot, ring, cloud, picture(axes[2 + 2 * i], "comes back")))
        return figure, yours, planes
