"""Two Gaussians, and the KL divergence of one from the other as an area."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ... import plots
from ..figure import LiveFigure, live_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANGES = {"mu": (-2.0, 2.0), "sigma": (0.3, 2.5)}


def two_gaussians(mu: float = 1.0, sigma: float = 0.6) -> LiveFigure:
    """Show q = N(mu, sigma^2) next to p = N(0, 1), and KL(q || p) = integral of q log(q / p) as an area.

    The integrand is positive where q > p and negative where q < p; that area is subtracted. The text compares the area,
    by numerical integration, with the closed form; a switch turns to KL(p || q).

    Args:
        mu: In [-2, 2].
        sigma: In [0.3, 2.5].

    Raises:
        ValueError: A setting is out of its range.
    """
    check_ranges({"mu": mu, "sigma": sigma}, RANGES)
    alt = (
        f"Two densities, p around 0 and q around {mu:.2f} with standard deviation {sigma:.2f}; beside them the curve "
        "q log(q / p), whose area is their KL divergence."
    )
    data = {"mu": mu, "sigma": sigma, "ranges": RANGES}
    return live_figure("twoGaussians", data, "two_gaussians.js", _still(mu, sigma), alt)


def check_ranges(settings: dict[str, float], ranges: dict[str, tuple[float, float]]) -> None:
    """Raise ValueError if a setting is out of its range."""
    for name, (low, high) in ranges.items():
        if not low <= settings[name] <= high:
            raise ValueError(f"{name} is {settings[name]}; it must lie between {low:g} and {high:g}.")


def _still(mu: float, sigma: float) -> Figure:
    import matplotlib.pyplot as plt

    z = np.linspace(-5, 5, 400)
    log_p, log_q = (-0.5 * ((z - m) / s) ** 2 - math.log(s * math.sqrt(2 * math.pi)) for m, s in ((0, 1), (mu, sigma)))
    curve = np.exp(log_q) * (log_q - log_p)
    figure, (densities, area) = plt.subplots(1, 2, figsize=(7.6, 2.7))
    densities.fill_between(z, np.exp(log_p), color=plots.GREY, alpha=0.35, lw=0, label="p = N(0, 1)")
    densities.fill_between(z, np.exp(log_q), color=plots.BLUE, alpha=0.35, lw=0, label="q = N(μ, σ²)")
    densities.set(xlabel="z", ylabel="density", ylim=(0, 1.4))
    densities.legend(loc="upper left")
    area.fill_between(z, curve.clip(min=0), color=plots.BLUE, alpha=0.75, lw=0, label="counts")
    area.fill_between(z, curve.clip(max=0), color=plots.ORANGE, alpha=0.85, lw=0, label="is taken off")
    area.plot(z, curve, color=plots.INK, lw=1.2)
    area.set(xlabel="z", title="q log(q / p): its area is KL(q ‖ p)")
    area.legend(loc="upper left")
    return figure
