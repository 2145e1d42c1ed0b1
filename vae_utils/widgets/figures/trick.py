"""A draw z = mu + sigma * epsilon whose mu and sigma the reader moves, with two estimators of the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import plots
from ..figure import LiveFigure, live_figure
from .two_gaussians import check_ranges

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

RANGES = {"mu": (-1.0, 7.0), "sigma": (0.1, 2.0), "target": (0.0, 6.0), "draws": (100.0, 100_000.0)}
EDGES = np.linspace(-80, 40, 121)  # of the bars of single-draw slopes, as in trick.js
REACH = 0.25  # length of the arrow for a slope of 1, as in trick.js


def trick(mu: float = 1.0, sigma: float = 1.0, target: float = 5.0, seed: int = 0, draws: int = 4000) -> LiveFigure:
    """Show the reparameterization trick for the loss f(z) = (z - target)^2 of one number z from N(mu, sigma^2).

    The reader moves mu and sigma, and keeps epsilon or draws it again at each move. Left: z, its loss, and an arrow
    against its gradient. Middle: the losses at all visited mu. Right: slopes in mu as `draws` single draws estimate
    them, pathwise and by the score function, and the exact slope 2 (mu - target).

    Args:
        mu: In [-1, 7].
        sigma: In [0.1, 2].
        target: In [0, 6].
        seed: The same seed gives the same noise.
        draws: 100 or more.

    Raises:
        ValueError: A setting is out of its range.
    """
    check_ranges({"mu": mu, "sigma": sigma, "target": target, "draws": draws}, RANGES)
    noise = np.random.default_rng(seed).standard_normal(draws)
    epsilon = round(float(noise[0]), 3)
    z = mu + sigma * epsilon
    alt = (
        f"The loss (z - {target:g})² with z at {z:.2f} and an arrow toward {'larger' if z < target else 'smaller'} "
        f"z; losses against μ; histograms of single-draw slopes around {2 * (mu - target):.1f}, pathwise and by the "
        "score function."
    )
    data = {"mu": mu, "sigma": sigma, "target": target, "seed": seed, "draws": draws, "epsilon": epsilon}
    still = _still(mu, sigma, target, noise)
    return live_figure("trick", data | {"ranges": RANGES}, "trick.js", still, alt)


def _still(mu: float, sigma: float, target: float, noise: NDArray) -> Figure:
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(7.6, 2.9))
    panels = figure.add_gridspec(2, 3, width_ratios=(1.25, 1, 1))
    curve, visited = figure.add_subplot(panels[:, 0]), figure.add_subplot(panels[:, 1])
    z, visits, drawn = np.linspace(-5, 11, 200), np.linspace(-1.2, 7.2, 100), mu + sigma * noise
    dot, loss = drawn[0], (drawn[0] - target) ** 2
    height = 9 * np.exp(-0.5 * ((z - mu) / sigma) ** 2) / max(sigma, 0.5)
    curve.fill_between(z, height, color=plots.SKY, alpha=0.5, lw=0)
    curve.plot(z, (z - target) ** 2, color=plots.INK, lw=1.5)
    end = dot - 2 * REACH * (dot - target)
    curve.annotate("", (end, loss), (dot, loss), arrowprops={"color": plots.VERMILION, "width": 2, "headwidth": 8})
    curve.plot(dot, loss, "o", color=plots.BLUE)
    curve.set(ylim=(-3, 60), xlabel="z", ylabel="loss f(z)")
    visited.plot(visits, (visits - target) ** 2 + sigma**2, color=plots.INK, lw=1.5, label="average of all draws")
    visited.plot(visits, (visits + dot - mu - target) ** 2, color=plots.SKY, lw=1.5, label="this ε, kept")
    visited.plot(mu, loss, "o", color=plots.BLUE)
    visited.set(ylim=(-3, 60), xlabel="μ")
    visited.legend(loc="upper right")
    estimates = {"pathwise": 2 * (drawn - target), "score": (drawn - target) ** 2 * noise / sigma}
    for row, (name, values) in enumerate(estimates.items()):
        bars = figure.add_subplot(panels[row, 2])
        bars.hist(values.clip(EDGES[0], EDGES[-1]), EDGES.tolist(), color=(plots.GREEN, plots.VERMILION)[row])
        bars.axvline(2 * (mu - target), color=plots.INK, lw=1.2)
        bars.set(yticks=[], ylabel=name, xlabel="slope in μ from one draw" if row else "")
    return figure
