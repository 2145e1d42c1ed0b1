"""One model for each beta: its reconstructions, its new pictures, and its rate and distortion."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import ipywidgets
import torch
from torch import Tensor

from ... import plots
from ...data import Dataset
from ...evaluation import decode, rate_and_distortion, reconstruct
from ...types import VariationalModel
from ..kernel import (
    Frame,
    KernelFigure,
    Sheet,
    at,
    check_model,
    course_style,
    new_figure,
    picture_size,
    strip,
    test_pictures,
)

MOST = 6  # pictures in a row


def beta_slider(
    models: Mapping[float, VariationalModel],
    pictures: Dataset | Tensor,
    *,
    shown: Tensor | None = None,
    record: Mapping[str, Any] | None = None,
    dataset: str | None = None,
    samples: int = MOST,
    seed: int = 0,
) -> KernelFigure:
    """Show a slider over VAEs trained with several values of beta.

    Left: the rate-distortion curve, with the chosen model's point. Right: pictures, their reconstructions, and new
    pictures from noise that is the same for all models.

    Args:
        models: beta -> VAE, two or more, all for pictures of one shape and with codes of one length.
        pictures: Test pictures, (n, C, H, W) in [0, 1], or a data set; rate and distortion are averages over them.
        shown: Pictures to reconstruct, up to six; None takes the first ones.
        record: The result of vae_utils.records.load("beta"); its runs on `dataset` become grey lines.
        dataset: A data set's name; None shows all runs of the record.
        samples: The number of new pictures, 1 to 6.
        seed: Of the noise.

    Raises:
        TypeError: These are not VAEs or pictures.
        ValueError: Models and pictures do not fit together, or a setting is out of its range.
    """
    x = test_pictures(pictures)
    shown = x[:MOST] if shown is None else test_pictures(shown)[:MOST]
    models = _checked(models, tuple(x.shape[1:]))
    if shown.shape[1:] != x.shape[1:]:
        raise ValueError(f"The pictures to show are {tuple(shown.shape[1:])}, the others {tuple(x.shape[1:])}.")
    if not 1 <= samples <= MOST:
        raise ValueError(f"samples is {samples}; it must be from 1 to {MOST}.")
    runs = [run for run in (record or {}).get("runs", []) if dataset in (None, run["dataset"])]
    latent_dim = next(iter(models.values())).latent_dim
    noise = torch.randn(samples, latent_dim, generator=torch.Generator().manual_seed(seed))
    terms = {beta: rate_and_distortion(model, x, seed=seed) for beta, model in models.items()}
    rows = {beta: (reconstruct(model, shown), decode(model, noise)) for beta, model in models.items()}
    error = {beta: (back - shown).square().flatten(1).sum(1).mean().item() for beta, (back, _) in rows.items()}

    betas = list(models)
    start = min(betas, key=lambda beta: abs(math.log(max(beta, 1e-9))))
    slider = ipywidgets.SelectionSlider(
        options=[(name_of(beta), beta) for beta in betas],
        value=start,
        description="β",
        continuous_update=True,
        style={"description_width": "initial"},
        layout={"width": "420px", "max_width": "100%"},
    )
    sheet, parts = _figure(shown, samples, terms, runs)

    def render(beta: float) -> Frame:
        rate, distortion = terms[beta]
        parts["point"].set_data([rate], [distortion])
        back, new = rows[beta]
        columns = zip((parts["real"], parts["back"], parts["new"]), (shown, back, new), strict=True)
        sheet.paste({ax: picture for axes, row in columns for ax, picture in zip(axes, row, strict=True)})
        text = (
            f"β = {name_of(beta)}: the code costs {rate:.2f} nats (rate R), the distortion D is {distortion:.1f} "
            f"nats above its floor, D + R = {distortion + rate:.1f}.\n"
            f"The pictures above come back with a squared error of {error[beta]:.2f} on average."
        )
        alt = (
            f"Rates and distortions of {len(betas)} models, with a point at rate {rate:.1f}, distortion "
            f"{distortion:.0f}; {len(shown)} pictures, what comes back at β = {name_of(beta)}, and {samples} new ones."
        )
        return Frame(sheet.image(), alt, text)

    return KernelFigure([slider], render)


def name_of(beta: float) -> str:
    """Return beta as people write it: 1/16, 0.3, 4."""
    fraction = Fraction(beta).limit_denominator(1024)
    if fraction.numerator == 1 and fraction.denominator > 1 and math.isclose(fraction, beta):
        return f"1/{fraction.denominator}"
    return f"{beta:g}"


def _checked(models: Mapping[float, VariationalModel], shape: tuple[int, ...]) -> dict[float, VariationalModel]:
    """Return the models in order of beta."""
    if not isinstance(models, Mapping) or len(models) < 2:
        raise TypeError("models must be a dictionary, beta -> model, with two models or more.")
    for beta, model in models.items():
        if not isinstance(beta, int | float) or not 0 <= beta < math.inf:
            raise ValueError(f"{beta!r} is no beta: the keys of models must be numbers, 0 or more.")
        check_model(model, shape, f"the model for beta = {name_of(beta)}")
        if not hasattr(model, "likelihood"):
            raise TypeError(f"the model for beta = {name_of(beta)} is no VAE: it has no rate.")
    lengths = {model.latent_dim for model in models.values()}
    if len(lengths) > 1:
        raise ValueError(f"The models have codes of {sorted(lengths)} numbers; they must be of one length.")
    return {beta: models[beta] for beta in sorted(models)}


def _figure(
    shown: Tensor, samples: int, terms: Mapping[float, tuple[float, float]], runs: Sequence[Mapping[str, Any]]
) -> tuple[Sheet, dict[str, Any]]:
    with course_style():
        shape = shown.shape[1:]
        columns, (width, height) = max(len(shown), samples), picture_size(shape, 0.75)
        figure = new_figure(4.62 + columns * (width + 0.06), max(3 * height + 0.4, 2.6), "none")
        middle = (figure.get_size_inches()[1] - 3 * height - 0.24) / 2
        real, back, new = (
            strip(figure, 4.58, middle + i * (height + 0.12), shape, 0.75, n, name)
            for i, n, name in ((2, len(shown), "picture"), (1, len(shown), "comes back"), (0, samples, "new"))
        )
        ax = at(figure, 0.7, 0.5, 2.75, figure.get_size_inches()[1] - 0.7)
        for run in runs:
            ax.plot(run["rate"], run["distortion"], color=plots.GREY, lw=0.8)
        rates, distortions = zip(*terms.values(), strict=True)
        ax.plot(rates, distortions, "o-", color=plots.GREEN, ms=4, lw=1.5)
        ax.set(xlabel="rate R in nats", ylabel="distortion D above its floor")
        point = ax.plot([], [], "o", color=plots.VERMILION, ms=10)[0]
        return Sheet(figure, [point]), {"point": point, "real": real, "back": back, "new": new}
