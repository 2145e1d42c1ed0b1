"""A draw z = mu + sigma * epsilon whose mu and sigma the reader moves, with two estimators of the gradient."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import ipywidgets
import numpy as np
from numpy.typing import NDArray

from ... import plots
from ..kernel import Frame, KernelFigure, Sheet, course_style, new_figure, row, slider

Z = (-5.0, 11.0)  # the part of the axis of z that is drawn
SLOPES = np.linspace(-80, 40, 121)  # the bins of single-draw slopes
REACH = 0.25  # length of the arrow for a slope of 1
TRAIL = 200  # points kept


class _Moment(NamedTuple):
    """The controls' values, epsilon, and the points visited since sigma or keeping changed."""

    mu: float
    sigma: float
    kept: bool
    epsilon: float
    trail: list[tuple[float, float]]  # mu, and the loss there

    def then(self, target: float, mu: float, sigma: float, kept: bool) -> _Moment:
        """Return the moment after a move, with the same epsilon. Losses at another sigma belong to another curve."""
        point = mu, (mu + sigma * self.epsilon - target) ** 2
        earlier = self.trail if (sigma, kept) == (self.sigma, self.kept) else []
        return _Moment(mu, sigma, kept, self.epsilon, [*(other for other in earlier if other != point), point][-TRAIL:])


def trick(mu: float = 1.0, sigma: float = 1.0, target: float = 5.0, seed: int = 0, draws: int = 4000) -> KernelFigure:
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
    for name, value, low, high in (("mu", mu, -1, 7), ("sigma", sigma, 0.1, 2), ("target", target, 0, 6)):
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}; it must lie between {low} and {high}.")
    if draws < 100:
        raise ValueError(f"draws is {draws}; a histogram needs 100 or more.")
    random = np.random.default_rng(seed)
    noise = random.standard_normal(draws)  # the same at each move, so that the histograms change smoothly

    def draw() -> float:
        return round(float(random.standard_normal()), 3)

    now = _Moment(mu, sigma, True, draw(), []).then(target, mu, sigma, True)
    sliders = slider("μ", -1, 7, mu), slider("σ", 0.1, 2, sigma)
    keep = ipywidgets.Checkbox(True, description="keep ε when μ or σ moves", indent=False)
    keep.layout.width = "auto"
    again = ipywidgets.Button(description="Roll again", tooltip="Roll a new ε")
    sheet, parts = _figure(target)

    def render(mu: float, sigma: float, kept: bool) -> Frame:
        return _frame(sheet, parts, now.then(target, mu, sigma, kept), target, noise)

    def moved() -> None:
        nonlocal now
        if not keep.value and not now.kept:  # not when it was just switched
            now = now._replace(epsilon=draw())
            figure.discard_ahead()
        now = now.then(target, *figure.values())

    def draw_again(_: object) -> None:
        nonlocal now
        now = now._replace(epsilon=draw(), trail=[] if keep.value else now.trail).then(target, *figure.values())
        figure.redraw()

    figure = KernelFigure([*sliders, keep], render, row(*sliders, keep, again), moved)
    again.on_click(draw_again)
    return figure


def slopes(mu: float, sigma: float, target: float, epsilon: NDArray) -> tuple[NDArray, NDArray]:
    """Return estimates of d/dmu E[(z - target)^2], one for each epsilon: pathwise, and by the score function."""
    z = mu + sigma * epsilon
    return 2 * (z - target), (z - target) ** 2 * (z - mu) / sigma**2


def variances(mu: float, sigma: float, target: float) -> tuple[float, float]:
    """Return the exact variances of the two estimates of `slopes`."""
    d = mu - target
    return 4 * sigma**2, (d**4 + 14 * d**2 * sigma**2 + 15 * sigma**4) / sigma**2


def _figure(target: float) -> tuple[Sheet, dict[str, Any]]:
    with course_style():
        figure = new_figure(9.6, 3.3)
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1.9, 1])[0]
        curve, visited = left.subplots(1, 2, width_ratios=[1.25, 1])
        z = np.linspace(*Z, 200)
        curve.plot(z, (z - target) ** 2, color=plots.INK, lw=1.5)
        curve.set(xlim=Z, ylim=(-3, 60), xlabel="z", ylabel="loss f(z)", yticks=[0, 20, 40, 60], xticks=[-5, 0, 5, 10])
        visited.set(xlim=(-1.2, 7.2), ylim=(-3, 60), xlabel="μ", yticks=[0, 20, 40, 60])
        visited.set_title("losses where μ has been")
        parts = {
            "cloud": curve.fill_between(z, 0 * z, 0 * z, color=plots.SKY, alpha=0.6, lw=0),
            "drop": curve.plot([], [], color=plots.GREY, lw=1, ls=":")[0],
            "arrow": curve.annotate("", (0, 0), (1, 1), arrowprops={"arrowstyle": "-|>", "color": plots.VERMILION}),
            "dot": curve.plot([], [], "o", color=plots.BLUE, ms=7)[0],
            "average": visited.plot([], [], color=plots.INK, lw=1.5, label="average of all draws")[0],
            "loss": visited.plot([], [], color=plots.SKY, lw=1.5, label="this ε, kept")[0],
            "trail": visited.plot([], [], "o", color=plots.SKY, ms=4)[0],
            "point": visited.plot([], [], "o", color=plots.BLUE, ms=7)[0],
        }
        visited.legend(loc="upper right")
        parts["arrow"].arrow_patch.set(linewidth=2.5, mutation_scale=16)
        curve.set_title("z, and the arrow against its gradient")
        axes = right.subplots(2, 1, sharex=True)
        for ax, name, color in zip(axes, ("pathwise", "score function"), (plots.GREEN, plots.VERMILION), strict=True):
            ax.set(xlim=(SLOPES[0], SLOPES[-1]), ylim=(0, 1.1), yticks=[], ylabel=name)
            parts[name] = ax.stairs(np.zeros(len(SLOPES) - 1), SLOPES, fill=True, color=color)
            parts[f"exact, {name}"] = ax.axvline(0, color=plots.INK, lw=1.2)
        axes[1].set_xlabel("slope in μ from one draw (line: exact)")
        return Sheet(figure, list(parts.values())), parts


def _frame(sheet: Sheet, parts: dict[str, Any], now: _Moment, target: float, noise: NDArray) -> Frame:
    mu, sigma, kept, epsilon, trail = now
    z = mu + sigma * epsilon
    loss, gradient = (z - target) ** 2, 2 * (z - target)
    axis = np.linspace(*Z, 200)
    height = 9 * np.exp(-0.5 * ((axis - mu) / sigma) ** 2) / max(sigma, 0.5)
    parts["cloud"].set_verts([np.column_stack([np.r_[axis, axis[::-1]], np.r_[height, 0 * axis]])])
    parts["drop"].set_data([z, z], [0, loss])
    parts["dot"].set_data([z], [loss])
    parts["arrow"].set_position((z, loss))  # where it starts
    parts["arrow"].xy = (z - REACH * gradient, loss)
    parts["arrow"].set_visible(abs(gradient) > 0.5)  # shorter than its head
    visits = np.linspace(-1.2, 7.2, 100)
    parts["average"].set_data(visits, (visits - target) ** 2 + sigma**2)
    parts["loss"].set_data(visits, (visits + sigma * epsilon - target) ** 2)
    parts["loss"].set_visible(kept)
    parts["trail"].set_data(*np.array(trail).T)
    parts["point"].set_data([mu], [loss])
    exact = 2 * (mu - target)
    estimated = []
    for name, estimates in zip(("pathwise", "score function"), slopes(mu, sigma, target, noise), strict=True):
        counts = np.histogram(np.clip(estimates, SLOPES[0], SLOPES[-1]), SLOPES)[0]
        parts[name].set_data(counts / counts.max())
        parts[f"exact, {name}"].set_xdata([exact, exact])
        estimated.append(estimates)
    path, score = estimated
    outside = np.mean((score < SLOPES[0]) | (score > SLOPES[-1]))
    edge = f" ({outside:.0%} beyond the axis, in its last bars)" if outside > 0.005 else ""
    exact_path, exact_score = variances(mu, sigma, target)
    text = (
        f"ε = {epsilon:.2f} ({'kept' if kept else 'rolled anew at each move'}), so z = {mu:.1f} + {sigma:.1f} · "
        f"({epsilon:.2f}) = {z:.2f}. Loss {loss:.2f}; its gradient {gradient:.2f} reaches μ as it is, and σ "
        f"times ε: {gradient * epsilon:.2f}.\n"
        f"Slope of the average loss in μ: exactly {exact:.2f}. One draw says, pathwise, {path.mean():.2f} on average "
        f"with standard deviation {path.std():.1f} (formula {math.sqrt(exact_path):.1f});\nby the score function "
        f"{score.mean():.2f} with {score.std():.1f} (formula {math.sqrt(exact_score):.1f}){edge}: "
        f"{exact_score / exact_path:,.0f} times the variance."
    )
    alt = (
        f"The loss (z - {target:g})² with z at {z:.2f} and an arrow toward {'larger' if gradient < 0 else 'smaller'} "
        f"z; losses against μ; histograms of single-draw slopes around {exact:.1f}, narrow for the path, wide for the "
        "score function."
    )
    return Frame(sheet.image(), alt, text)
