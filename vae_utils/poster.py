"""The strip that sums up what notebooks 01 to 04 show of two pictures: bytes, code, cloud, gradient, nats."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from . import evaluation, plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .data import Dataset
    from .models import VAE

PANELS = ("bytes", "code", "cloud", "gradient", "nats")
SPAN = torch.tensor([-2.8, 2.8])  # of the plane of codes, and in standard deviations around a cloud


def strip(model: VAE, pictures: Dataset, costs: Sequence[Mapping[str, float]]) -> tuple[Figure, str]:
    """Return the figure and its alternative text: a row for each followed picture, a panel for each idea.

    Args:
        model: A VAE with a code of two numbers, on the CPU.
        pictures: The data set that it was trained on.
        costs: For each followed picture, in nats, "kl" and "above", the nll above its floor.

    Raises:
        ValueError: The code has another size, or there is another number of costs.
    """
    import matplotlib.pyplot as plt

    if model.latent_dim != 2:
        raise ValueError(f"The strip shows codes on a plane: it needs a code of 2 numbers, not {model.latent_dim}.")
    if len(costs) != len(pictures.followed):
        raise ValueError(f"{len(pictures.followed)} followed pictures need as many costs, not {len(costs)}.")
    pair = pictures.test.x[list(pictures.followed)]
    with torch.no_grad():
        means, logvars = model.encode(pair)
    deviations = (0.5 * logvars).exp()
    pulls = [pulled_draws(model, *each) for each in zip(pair, means, deviations, strict=True)]
    longest = max(pull.norm(dim=1).max().item() for _, pull in pulls)
    everyone = evaluation.encode(model, pictures.test.x[:1000])
    shades = [plots.CLASSES[label % 10] for label in pictures.test.y[:1000]]
    figure, axes = plt.subplots(len(pair), 5, figsize=(9.6, 4.1), width_ratios=[1, 1, 1, 1, 1.25], squeeze=False)
    rows = zip(axes, pair, means, deviations, pulls, costs, plots.CLASSES, strict=False)
    for row, x, mu, deviation, (z, pull), cost, color in rows:
        draw_bytes(row[0], x)
        plots.picture(row[1], evaluation.decode(model, mu[None])[0])
        row[1].set_xlabel(f"z = ({mu[0]:.2f}, {mu[1]:.2f})")
        row[2].scatter(*everyone.T, s=1.5, lw=0, color=shades, alpha=0.5)
        draw_cloud(row[2], mu, deviation, color)
        draw_cloud_of_arrows(row[3], z, pull / longest, mu, deviation, color)
        draw_costs(row[4], cost, color)
        row[4].set_xlim(0, 1.35 * max(cost["above"] for cost in costs))
    for ax, title in zip(axes[0], PANELS, strict=True):
        ax.set_title(title, fontweight="bold")
    names = " and one for the ".join(pictures.followed_names)
    panels = "its bytes; what comes back from two numbers; its cloud among 1,000 codes; gradients of draws; two terms"
    return figure, f"A strip of five panels for the {names}: {panels}."


def draw_bytes(ax: Axes, x: Tensor) -> None:
    """Show the picture itself, and how many bytes it is before and after zip."""
    raw = (x * 255).round().byte().numpy().tobytes()
    plots.picture(ax, x)
    ax.set_xlabel(f"{len(raw):,} bytes,\nzipped {len(zlib.compress(raw, 9)):,}")


def draw_cloud(ax: Axes, mu: Tensor, deviation: Tensor, color: str) -> None:
    """Show the cloud of three standard deviations, over rings at 1, 2 and 3 of the prior's."""
    from matplotlib.patches import Circle, Ellipse

    for radius in (1, 2, 3):
        ax.add_patch(Circle((0, 0), radius, fill=False, color=plots.GREY, lw=0.6))
    ax.add_patch(Ellipse(tuple(mu.tolist()), *(6 * deviation).tolist(), facecolor=color, edgecolor="white"))
    show_plane(ax, torch.zeros(2), 1.1)


def pulled_draws(model: VAE, x: Tensor, mu: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
    """Return 40 draws from the cloud, (40, 2), and from each the negative gradient of its nll, (40, 2)."""
    epsilon = torch.randn(40, 2, generator=torch.Generator().manual_seed(1))
    z = (mu + deviation * epsilon).requires_grad_()
    output = model.decode(z)
    (gradient,) = torch.autograd.grad(model.likelihood.nll(output, x.expand_as(output)).sum(), z)
    return z.detach(), -gradient


def draw_cloud_of_arrows(ax: Axes, z: Tensor, arrows: Tensor, mu: Tensor, deviation: Tensor, color: str) -> None:
    """Show the cloud of two standard deviations, and an arrow at each draw; one of length 1 is 0.4 axes wide."""
    from matplotlib.patches import Ellipse

    ax.add_patch(Ellipse(tuple(mu.tolist()), *(4 * deviation).tolist(), color=color, alpha=0.2, lw=0))
    ax.quiver(*z.T, *arrows.T, color=color, width=0.012, scale=2.5, scale_units="width")
    show_plane(ax, mu, deviation.max().item())


def draw_costs(ax: Axes, cost: Mapping[str, float], color: str) -> None:
    """Show two bars, the KL and the nll above its floor, with their nats."""
    for height, (name, label) in enumerate({"kl": "KL", "above": "nll above\nits floor"}.items()):
        ax.barh(label, cost[name], color=color, height=0.5)
        ax.text(cost[name], height, f" {cost[name]:.1f}", va="center")
    ax.set(ylim=(-0.8, 1.8), xticks=[])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def show_plane(ax: Axes, middle: Tensor, reach: float) -> None:
    """Limit the axes to a square piece of the plane of codes, and hide them."""
    (left, right), (bottom, top) = (middle[:, None] + reach * SPAN).tolist()
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    ax.set_axis_off()
