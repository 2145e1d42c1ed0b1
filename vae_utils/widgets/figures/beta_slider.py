"""One model for each beta: its reconstructions, its new pictures, and its rate and distortion."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ... import plots
from ...data import Dataset
from ...evaluation import decode, rate_and_distortion, reconstruct
from ...types import VariationalModel
from ..figure import LiveFigure, live_figure
from ..pictures import check_model, sprite, test_pictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
) -> LiveFigure:
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
    told, drawn = [], [shown]
    for beta, model in models.items():
        rate, distortion = rate_and_distortion(model, x, seed=seed)
        back = reconstruct(model, shown)
        error = (back - shown).square().flatten(1).sum(1).mean().item()
        told.append({"name": name_of(beta), "rate": rate, "distortion": distortion, "error": error})
        drawn += [back, decode(model, noise)]
    start = min(range(len(models)), key=lambda i: abs(math.log(max(list(models)[i], 1e-9))))
    data = {
        "models": told,
        "start": start,
        "runs": [{"rate": run["rate"], "distortion": run["distortion"]} for run in runs],
        "pictures": sprite(torch.cat(drawn)),
        "shown": len(shown),
        "samples": samples,
    }
    rows = {"picture": shown, "comes back": drawn[1 + 2 * start], "new": drawn[2 + 2 * start]}
    now = told[start]
    alt = (
        f"Rates and distortions of {len(told)} models, with a point at rate {now['rate']:.1f}, distortion "
        f"{now['distortion']:.0f}; {len(shown)} pictures, what comes back at β = {now['name']}, and {samples} new ones."
    )
    return live_figure("betaSlider", data, "beta_slider.js", _still(told, start, runs, rows), alt)


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


def _still(
    told: Sequence[Mapping[str, Any]], start: int, runs: Sequence[Mapping[str, Any]], rows: Mapping[str, Tensor]
) -> Figure:
    import matplotlib.pyplot as plt

    figure, (plane, right) = plt.subplots(1, 2, figsize=(7.6, 2.9), width_ratios=(1, 1.2))
    for run in runs:
        plane.plot(run["rate"], run["distortion"], color=plots.GREY, lw=0.8)
    rates, distortions = ([model[part] for model in told] for part in ("rate", "distortion"))
    plane.plot(rates, distortions, "o-", color=plots.GREEN, ms=4, lw=1.5)
    plane.plot(rates[start], distortions[start], "o", color=plots.VERMILION, ms=9)
    plane.set(xlabel="rate R in nats", ylabel="distortion D above its floor")
    right.set_axis_off()
    widest = max(map(len, rows.values()))
    for i, (name, row) in enumerate(rows.items()):
        ax = right.inset_axes((0, 0.7 - 0.34 * i, len(row) / widest, 0.24))
        plots.picture(ax, plots.mosaic(row, len(row)))
        ax.set_title(name, fontsize=9)
    return figure
