"""Two Gaussians, and the KL divergence of one from the other as an area."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
from numpy.typing import NDArray

from ... import plots
from ..kernel import Frame, KernelFigure, Sheet, course_style, new_figure, slider

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MU, SIGMA = (-2.0, 2.0), (0.3, 2.5)
HEIGHTS = (1, 2, 5, 14)  # of the second panel's axis; the smallest that holds the curve is used
AXIS = np.linspace(-25, 25, 4_001)  # so wide that every density here is 0 at its ends
SHOWN = np.abs(AXIS) <= 6


def two_gaussians(mu: float = 1.0, sigma: float = 0.6) -> KernelFigure:
    """Show q = N(mu, sigma^2) next to p = N(0, 1), and KL(q || p) = integral of q log(q / p) as an area.

    The integrand is positive where q > p and negative where q < p; that area is subtracted. The text compares the area,
    by numerical integration, with the closed form; a switch turns to KL(p || q).

    Args:
        mu: In [-2, 2].
        sigma: In [0.3, 2.5].

    Raises:
        ValueError: A setting is out of its range.
    """
    for name, value, (low, high) in (("mu", mu, MU), ("sigma", sigma, SIGMA)):
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}; it must lie between {low} and {high}.")
    sliders = slider("μ", *MU, mu, 0.05), slider("σ", *SIGMA, sigma, 0.05)
    reverse = ipywidgets.Checkbox(False, description="the other way round: KL(p ‖ q)", indent=False)
    reverse.layout.width = "auto"
    sheet, parts = _figure()

    return KernelFigure([*sliders, reverse], partial(_frame, sheet, parts))


def closed_forms(mu: float, sigma: float) -> tuple[float, float]:
    """Return KL(q || p) and KL(p || q) in nats for q = N(mu, sigma^2), p = N(0, 1).

    Kingma & Welling (2014), appendix B.
    """
    forward = 0.5 * (mu**2 + sigma**2 - 1) - math.log(sigma)
    return forward, math.log(sigma) + (1 + mu**2) / (2 * sigma**2) - 0.5


def integrand(mu: float, sigma: float, reverse: bool = False) -> NDArray:
    """Return q log(q / p) on `AXIS`, or p log(p / q)."""
    log_q = -0.5 * ((AXIS - mu) / sigma) ** 2 - math.log(sigma * math.sqrt(2 * math.pi))
    log_p = -0.5 * AXIS**2 - math.log(math.sqrt(2 * math.pi))
    return np.exp(log_p) * (log_p - log_q) if reverse else np.exp(log_q) * (log_q - log_p)


def areas(values: NDArray) -> tuple[float, float]:
    """Return the areas above and below 0 between a curve on `AXIS` and the axis, both as positive numbers."""
    step = AXIS[1] - AXIS[0]  # the curve is 0 at both ends: the trapezoid rule is a sum
    return float(values.clip(min=0).sum() * step), float(-values.clip(max=0).sum() * step)


def _density(z: NDArray, mu: float, sigma: float) -> NDArray:
    return np.exp(-0.5 * ((z - mu) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))


def _area(z: NDArray, values: NDArray) -> list[NDArray]:
    return [np.column_stack([np.r_[z, z[::-1]], np.r_[values, 0 * z]])]


def _figure() -> tuple[Sheet, dict[str, Any]]:
    with course_style():
        figure = new_figure(9.2, 3.1)
        densities, area = figure.subplots(1, 2)
        z = np.linspace(-6, 6, 400)
        nothing = 0 * z
        densities.fill_between(z, _density(z, 0, 1), color=plots.GREY, alpha=0.35, lw=0, label="p = N(0, 1)")
        densities.set(xlim=(-5, 5), ylim=(0, 1.4), xlabel="z", ylabel="density", yticks=[0, 0.5, 1])
        area.set(xlim=(-5, 5), xlabel="z", yticks=[])
        area.axhline(0, color=plots.INK, lw=0.8)
        parts = {
            "q": densities.fill_between(z, nothing, nothing, color=plots.BLUE, alpha=0.3, lw=0, label="q = N(μ, σ²)"),
            "line": densities.plot([], [], color=plots.BLUE, lw=2)[0],
            "more": area.fill_between(z, nothing, nothing, color=plots.BLUE, alpha=0.75, lw=0, label="counts"),
            "less": area.fill_between(z, nothing, nothing, color=plots.ORANGE, alpha=0.75, lw=0, label="is taken off"),
            "curve": area.plot([], [], color=plots.INK, lw=1.2)[0],
        }
        area.set_title(" ")  # reserves its height
        densities.legend(loc="upper left")
        area.legend(loc="upper left")
        parts["area"] = area
        return Sheet(figure, [part for name, part in parts.items() if name != "area"]), parts


def _scale(sheet: Sheet, area: Axes, top: float, title: str) -> None:
    """Set the second panel's title and upper limit."""
    with course_style():
        area.set_title(title)
        area.set(ylim=(-0.35 * top if top < 1 else -max(0.3, 0.12 * top), top))
        area.set_yticks([0, top / 2, top], ["0", f"{top / 2:g}", f"{top:g}"])
        sheet.refresh(key=(top, title))


def _frame(sheet: Sheet, parts: dict[str, Any], mu: float, sigma: float, reverse: bool) -> Frame:
    values = integrand(mu, sigma, reverse)
    more, less = areas(values)
    numeric = more - less
    exact = closed_forms(mu, sigma)
    z = AXIS[SHOWN][::2]
    curve = values[SHOWN][::2]
    parts["q"].set_verts(_area(z, _density(z, mu, sigma)))
    parts["line"].set_data(z, _density(z, mu, sigma))
    parts["more"].set_verts(_area(z, curve.clip(min=0)))
    parts["less"].set_verts(_area(z, curve.clip(max=0)))
    parts["curve"].set_data(z, curve)
    name = "KL(p ‖ q)" if reverse else "KL(q ‖ p)"
    title = f"{'p log(p / q)' if reverse else 'q log(q / p)'}: its area is {name}"
    top = next(height for height in HEIGHTS if height >= 1.05 * curve.max() or height == HEIGHTS[-1])
    if (parts["area"].get_ylim()[1], parts["area"].get_title()) != (top, title):
        _scale(sheet, parts["area"], top, title)
    text = (
        f"q = N({mu:.2f}, {sigma:.2f}²), p = N(0, 1). {name}: area above 0 {more:.3f}, minus area below {less:.3f}, "
        f"makes {numeric:.4f} nats; the closed form says {exact[reverse]:.4f}.\n"
        f"The other way round, {'KL(q ‖ p)' if reverse else 'KL(p ‖ q)'} = {exact[not reverse]:.4f} nats."
    )
    alt = (
        f"Two densities, p around 0 and q around {mu:.2f} with standard deviation {sigma:.2f}; beside them the curve "
        f"{'p log(p / q)' if reverse else 'q log(q / p)'}, area {more:.2f} above 0 and {less:.2f} below."
    )
    return Frame(sheet.image(), alt, text)
