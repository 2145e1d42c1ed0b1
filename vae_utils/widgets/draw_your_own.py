"""Draw your own animal and see where a model puts it.

This one asks the kernel for each picture, rather than running in the page: our drawing program is Python, and with
the encoder twice as many weights would have to travel in the notebook (its first layer has 0.2 million, as many as
the whole decoder).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .. import plots
from ..data import Dataset, draw
from ..data.drawing import FACTORS
from ..evaluation import decode, encode
from .kernel import (
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

USUAL = ("species", "ears", "warmth", "tone", "light", "tilt", "muzzle", "eyes")
DOTS = 1000  # test codes on the plane


def draw_your_own(
    models: nn.Module | Mapping[str, nn.Module], pictures: Dataset, factors: Sequence[str] = USUAL
) -> KernelFigure:
    """Sliders draw an animal; the model's cloud for it moves over the plane of test codes, and it is drawn again.

    models: a model with codes of two numbers, or name -> model, to compare them. A cloud is an ellipse at mu with
        half-axes of two sigma; an autoencoder has a dot.
    pictures: the data set of the models. Only cats_dogs has factors to draw from.
    factors: the names of the sliders; the others stay at their usual values.

    Raises TypeError and ValueError for models, a data set or factors that do not fit.
    """
    if not isinstance(pictures, Dataset):
        raise TypeError(f"pictures must be a data set of vae_utils.data, not {describe(pictures)}.")
    if pictures.test.factors is None or set(pictures.test.factors) != set(FACTORS):
        raise ValueError(
            f"This figure draws new pictures from their true factors, and nobody knows those of {pictures.name}: "
            'it works with DATASET = "cats_dogs".'
        )
    unknown = [name for name in factors if name not in FACTORS]
    if unknown or not factors:
        raise ValueError(f"factors are {unknown or 'none'}; choose from {', '.join(FACTORS)}.")
    models = dict(models) if isinstance(models, Mapping) else {"": models}
    if not 1 <= len(models) <= 2:
        raise ValueError(f"There are {len(models)} models; this figure has room for one or two.")
    for name, model in models.items():
        check_model(model, pictures.shape, name or "the model", latent_dim=2)

    sliders = [_slider(name) for name in factors]
    codes = {name: encode(model, pictures.test.x[:DOTS]) for name, model in models.items()}
    sheet, parts = _figure(models, codes, pictures)
    size = pictures.shape[1]

    def look(*values: float) -> Frame:
        chosen = dict(zip(factors, values, strict=True))
        x = drawn(chosen, size)
        pasted = {parts["yours"]: x}
        lines, places = [], []
        for name, model in models.items():
            mu, sigma = (None if part is None else part[0] for part in encode_cloud(model, x[None]))
            back = decode(model, mu[None])[0]
            pasted[parts[name]["back"]] = back
            _move(parts[name], mu.tolist(), None if sigma is None else sigma.tolist())
            error = (back - x).square().sum().item()
            here = f"({mu[0]:.2f}, {mu[1]:.2f})"
            cloud = f", σ = ({sigma[0]:.2f}, {sigma[1]:.2f})" if sigma is not None else ""
            meaning = "μ" if cloud else "code"
            lines.append(f"{name or 'The model'}: {meaning} = {here}{cloud}; squared error {error:.1f}.")
            places.append(f"{name + ' ' if name else ''}at {here}")
        sheet.paste(pasted)
        said = ", ".join(f"{name} {value:.2f}" for name, value in chosen.items())
        alt = f"An animal drawn with {said}; its place among the test codes, {' and '.join(places)}; what comes back."
        return Frame(sheet.image(), alt, "\n".join([f"Yours: {said}.", *lines]))

    return KernelFigure(sliders, look, row(*sliders))


def drawn(factors: Mapping[str, float], size: int = 32) -> Tensor:
    """An animal from factors, as the models see it: (3, size, size) in [0, 1]."""
    return torch.from_numpy(draw(size, **factors)).permute(2, 0, 1).float() / 255


def _slider(name: str) -> ipywidgets.FloatSlider:
    low, high, usual = FACTORS[name]
    control = slider(name, low, high, usual, step=(high - low) / 20)
    control.readout_format = ".2f"
    control.layout.width = "225px"
    return control


def _move(parts: dict, mu: list[float], sigma: list[float] | None) -> None:
    for part in ("dot", "ring"):
        parts[part].set_data(mu[:1], mu[1:])
    if sigma is not None:
        parts["cloud"].set(center=mu, width=4 * sigma[0], height=4 * sigma[1])


def _limits(codes: Tensor, around: float) -> tuple[NDArray, NDArray]:
    """Equal spans on both axes that hold the codes, with some room."""
    low, high = codes.amin(0).numpy(), codes.amax(0).numpy()
    middle, reach = (low + high) / 2, 0.55 * max(high - low) + around
    return middle - reach, middle + reach


def _figure(models: Mapping[str, nn.Module], codes: Mapping[str, Tensor], pictures: Dataset) -> tuple[Sheet, dict]:
    from matplotlib.patches import Ellipse

    labels = pictures.test.y[:DOTS].numpy()
    with course_style():
        figure = new_figure(1.6 + 3.98 * len(models), 2.9, "none")
        yours = picture_axes(figure, 0.05, 0.86, pictures.shape, 1.28)
        yours.set_title("yours")
        parts: dict = {"yours": yours}
        moving = []
        for i, (name, z) in enumerate(codes.items()):
            left = 2.1 + 3.98 * i
            plane = at(figure, left, 0.5, 2, 2)
            back = picture_axes(figure, left + 2.12, 0.86, pictures.shape, 1.28)
            back.set_title("comes back")
            plane.set_title(name)
            for label, color in enumerate(plots.CLASSES[: len(pictures.label_names)]):
                mine = z[labels == label]
                plane.scatter(*mine.T, s=5, lw=0, alpha=0.45, color=color, label=pictures.label_names[label])
            low, high = _limits(z, 0.1)
            plane.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
            plane.set(xlabel="first number", ylabel="second number" if i == 0 else "")
            if i == 0:
                plane.legend(markerscale=3, loc="best", handletextpad=0)
            cloud = plane.add_patch(Ellipse((0, 0), 0, 0, facecolor=plots.VERMILION, alpha=0.8, edgecolor=plots.INK))
            dot = plane.plot([], [], "o", color=plots.INK, ms=3)[0]
            ring = plane.plot([], [], "o", mfc="none", mec=plots.INK, ms=16, mew=1)[0]  # finds a small cloud
            parts[name] = {"back": back, "cloud": cloud, "dot": dot, "ring": ring}
            moving += [cloud, dot, ring]
        return Sheet(figure, moving), parts
