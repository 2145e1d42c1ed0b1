"""Figures in the course's one style. Arrays in, figures out; every figure is shown with its alternative text."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from PIL.Image import Image

# The hues of Okabe & Ito (2008), for people with any color vision; their orange is darkened, for contrast with white.
ORANGE, BLUE, GREEN, VERMILION, SKY, PURPLE, YELLOW = (
    "#D98200",
    "#0072B2",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
    "#F0E442",
)
INK, GREY = "#222222", "#8A8A8A"
# By label: brick, khaki, violet and a darker grey are not Okabe & Ito's. Each two stay apart (CIEDE2000 above 8.5) with
# protanopia, deuteranopia and tritanopia. On white, sky blue (2.3:1) and orange (2.9:1) have less contrast than 3:1.
CLASSES = (ORANGE, BLUE, GREEN, "#B03000", SKY, PURPLE, "#8C793F", "#A666FF", "#606060", INK)
PICTURE = 0.62  # inches: a picture's side, wherever pictures are compared


def use_style() -> None:
    """Make the course's style matplotlib's default: white ground, so that figures read on dark pages, too."""
    import matplotlib as mpl
    from cycler import cycler

    mpl.rcParams.update(
        {
            "figure.dpi": 110,
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "savefig.bbox": "tight",
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.titlesize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=CLASSES),
            "lines.linewidth": 2,
            "legend.frameon": False,
            "image.interpolation": "nearest",
            "image.cmap": "gray",
        }
    )


def show(figure: Figure, alt: str) -> None:
    """Show a finished figure with its alternative text (for people who cannot see it), and close it.

    The figure goes out as HTML, where alternative text is read out, and as a plain picture for viewers that show no
    HTML.

    Raises:
        ValueError: The text is empty.
    """
    import matplotlib.pyplot as plt
    from IPython.display import display
    from PIL import Image

    if not alt.strip():
        raise ValueError("A figure needs a text that says what it shows, for people who cannot see it.")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=150)
    plt.close(figure)
    image = Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE)  # a third of the size
    png = encoded(image, "PNG", optimize=True)
    webp = encoded(image.convert("RGB"), "WEBP", lossless=True, quality=100)  # the same pixels, a fifth smaller
    width = round(image.width / 1.5)  # shown at 100 dots per inch
    html = (
        f'<img src="data:image/webp;base64,{webp}" alt="{escape(alt)}" width="{width}" '
        'style="max-width: 100%; height: auto; background: white">'
    )
    bundle = {"image/png": png, "text/html": html, "text/plain": f"[Figure: {alt}]"}
    display(bundle, raw=True, metadata={"image/png": {"alt": alt, "width": width}})


def encoded(image: Image, kind: str, **options: object) -> str:
    """Return a picture's file of this kind (as Pillow names it) in base64."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()


def to_image(picture: Tensor) -> NDArray[np.float32]:
    """Return a picture (C, H, W) in [0, 1] as matplotlib takes it: (H, W, 3) or (H, W), clipped to [0, 1]."""
    array = picture.detach().cpu().float().clamp(0, 1).permute(1, 2, 0).numpy()
    return array[..., 0] if array.shape[2] == 1 else array


def picture(ax: Axes, x: Tensor) -> None:
    """Show one picture (C, H, W) in [0, 1] on an axes without ticks or frame, pixels crisp."""
    ax.imshow(to_image(x), vmin=0, vmax=1)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def grid(
    rows: Sequence[Tensor],
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    scale: float = 1.0,
) -> Figure:
    """Return a figure of rows of pictures, each (k, C, H, W) in [0, 1], with labels at the left and on top.

    Raises:
        ValueError: The labels do not match the rows and columns.
    """
    import matplotlib.pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = max(len(row) for row in rows)
    if row_labels is not None and len(row_labels) != len(rows):
        raise ValueError(f"{len(rows)} rows of pictures need {len(rows)} labels, not {len(row_labels)}.")
    if column_labels is not None and len(column_labels) != columns:
        raise ValueError(f"{columns} columns of pictures need {columns} labels, not {len(column_labels)}.")
    side = PICTURE * scale
    words = 0.09 * max((len(part) for label in row_labels or () for part in label.split("\n")), default=0)
    figure, axes = plt.subplots(
        len(rows),
        columns,
        figsize=(columns * side + words, len(rows) * side + 0.25),
        squeeze=False,
        layout=ConstrainedLayoutEngine(w_pad=0.015, h_pad=0.015, wspace=0.02, hspace=0.02),
    )
    for row, line in zip(rows, axes, strict=True):
        for x, ax in zip(row, line, strict=False):
            picture(ax, x)
        for ax in line[len(row) :]:
            ax.set_axis_off()
    for label, ax in zip(row_labels or (), axes[:, 0], strict=False):
        ax.set_ylabel(label, rotation=0, ha="right", va="center", labelpad=8)
    for label, ax in zip(column_labels or (), axes[0], strict=False):
        ax.set_title(label)
    return figure


def mosaic(pictures: Tensor, columns: int) -> Tensor:
    """Join pictures (n, C, H, W), n a multiple of columns, into one: (C, n / columns * H, columns * W).

    Raises:
        ValueError: n is not a multiple of columns.
    """
    if len(pictures) % columns:
        raise ValueError(f"{len(pictures)} pictures do not fill rows of {columns}.")
    n, channels, height, width = pictures.shape
    tiles = pictures.reshape(n // columns, columns, channels, height, width)
    return tiles.permute(2, 0, 3, 1, 4).reshape(channels, n // columns * height, columns * width)


def codes(ax: Axes, z: Tensor, y: Tensor, names: Sequence[str], size: float = 5) -> None:
    """Show codes (n, 2) as dots on a plane, colored by their label (n,), with a legend of names."""
    for label, name in enumerate(names):
        own = z[y == label]
        ax.scatter(own[:, 0], own[:, 1], s=size, color=CLASSES[label % len(CLASSES)], alpha=0.5, lw=0, label=name)
    ax.set(xlabel="first number of the code", ylabel="second number")
    ax.legend(markerscale=3, loc="center left", bbox_to_anchor=(1, 0.5))


def heat_map(ax: Axes, values: Tensor, rows: Sequence[str], left: float, right: float) -> AxesImage:
    """Show values (rows, columns) in [0, 1] as cells from white to blue, and return them, for a color bar.

    Args:
        ax: Where to show them.
        values: One row for each name.
        rows: The names, from the top.
        left: Where the first column begins on the x axis.
        right: Where the last one ends.
    """
    ax.set_yticks([place + 0.5 for place in range(len(rows))], rows)
    place = (left, right, len(rows), 0)
    return ax.imshow(values, vmin=0, vmax=1, cmap="Blues", aspect="auto", extent=place)


def dots_by_seed(ax: Axes, sides: Tensor, checks: Sequence[str], color: str) -> None:
    """Show figures (rows, seeds, checks) as dots, rows from the top: 0 is filled, 1 an open ring, -1 a red one.

    0 stands for a figure that passes its check, 1 for one that is too high, -1 for one that is suspiciously low.
    """
    rows, seeds, _ = sides.shape
    for side, face, edge in ((0, color, color), (1, "none", "#B5B5B5"), (-1, "none", VERMILION)):
        row, seed, check = (sides == side).nonzero().T
        ax.scatter((seeds + 2) * check + seed, row, s=14, facecolors=face, edgecolors=edge)
    ax.set_xticks([(seeds + 2) * place + (seeds - 1) / 2 for place in range(len(checks))], checks)
    ax.set_ylim(rows - 0.4, -0.6)


def codes_over_prior(ax: Axes, z: Tensor, y: Tensor, names: Sequence[str], reach: float) -> None:
    """Show codes (n, 2) as `codes` does, without a legend, over the density of N(0, I) from -reach to reach."""
    line = np.linspace(-reach, reach, 300)
    density = np.exp(-0.5 * (line**2 + line[:, None] ** 2))
    ax.imshow(density, extent=(-reach, reach, -reach, reach), cmap="Greys", vmin=0, vmax=1.6)
    codes(ax, z, y, names, size=3)
    if legend := ax.get_legend():
        legend.remove()


def clouds_around(ax: Axes, overview: Axes, mu: Tensor, sigma: Tensor, y: Tensor, i: int, widths: float = 5) -> None:
    """Show the clouds N(mu, sigma^2) in a square around cloud i, and the square's frame in an overview of the plane.

    Each is an ellipse of one standard deviation in the color of its label; cloud i, in ink, has one of two as well,
    and twelve draws.

    Args:
        ax: Where to show them.
        overview: Where the frame goes.
        mu: Centers (n, 2).
        sigma: Widths (n, 2).
        y: Labels (n,).
        i: Which cloud is in the middle.
        widths: Half the square's side, in units of the larger width of cloud i.
    """
    from matplotlib.patches import Ellipse, Rectangle

    center, half = mu[i].numpy(), widths * float(sigma[i].max())
    near = ((mu - mu[i]).abs() < half + 2 * sigma).all(1).nonzero()[:, 0].tolist()
    for j, reach in [*((j, 1) for j in near), (i, 2)]:
        (width, height), (across, up) = (2 * reach * sigma[j]).tolist(), mu[j].tolist()
        color = INK if j == i else CLASSES[int(y[j]) % len(CLASSES)]
        ax.add_patch(Ellipse((across, up), width, height, fc=color, ec=color, alpha=0.3))
    draws = center + sigma[i].numpy() * np.random.default_rng(0).standard_normal((12, 2))
    ax.scatter(draws[:, 0], draws[:, 1], s=6, color=INK)
    (left, right), (low, high) = np.stack([center - half, center + half], 1)
    overview.add_patch(Rectangle((left, low), 2 * half, 2 * half, fill=False, ec=INK))
    ax.set(xlim=(left, right), ylim=(low, high), aspect="equal", xlabel="first number of the code")
    ax.set_title("the frame, enlarged")
    ax.locator_params(nbins=5)


def rings(ax: Axes, mu: Tensor, sigma: Tensor, color: str, label: str) -> None:
    """Show the cloud N(mu, sigma^2), mu and sigma (2,), as rings at one and two standard deviations."""
    angle = np.linspace(0, 2 * np.pi, 100)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    for reach, name in ((1, label), (2, None)):
        ring = mu.numpy()[:, None] + reach * sigma.numpy()[:, None] * circle
        ax.plot(ring[0], ring[1], color=color, lw=1.5, label=name)


def curves(
    ax: Axes, lines: Mapping[str, Any], dots: Mapping[str, Any] | None = None, legend: bool = False, log: str = ""
) -> None:
    """Show named curves, each with its measured dots in the same color.

    Args:
        ax: Where to show them.
        lines: name -> (x, y).
        dots: name -> (x, y), for all of the names or none.
        legend: Name them at the right.
        log: The axes that are logarithmic: "", "x", "y" or "xy". Such an x has its ticks at the dots.
    """
    for (name, line), color in zip(lines.items(), CLASSES, strict=False):
        ax.plot(*line, color=color, label=name)
        if dots:
            ax.plot(*dots[name], "o", ms=5, color=color)
    ax.set(**{f"{axis}scale": "log" for axis in log})
    if dots and "x" in log:
        places = [float(x) for x in next(iter(dots.values()))[0]]
        ax.set_xticks(places, [f"{x:g}" for x in places])
        ax.set_xticks([], minor=True)
    if legend:
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def dots_by_way(ax: Axes, figures: Mapping[str, Mapping[str, Sequence[float]]], label: str) -> None:
    """Show figures[way][data set], one for each seed, as dots: a row for each way from the top, a color for each set.

    The axis is linear from -1 to 1 and logarithmic beyond.
    """
    ax.set_xscale("symlog", linthresh=1)
    for row, sets in enumerate(figures.values()):
        for place, (name, values) in enumerate(sets.items()):
            height = [row + 0.3 * (place - (len(sets) - 1) / 2)] * len(values)
            ax.plot(values, height, "o", ms=4, alpha=0.7, color=CLASSES[place], label=None if row else name)
    ax.axvline(0, color=GREY, lw=1, zorder=0)
    ax.set_yticks(range(len(figures)), figures)
    ax.set(ylim=(len(figures) - 0.5, -0.5), xlabel=label)
    ax.set_xticks([-10, -1, 0, 1, 10, 100])
    ax.xaxis.set_major_formatter("{x:g}")


def dots(ax: Axes, rows: Mapping[str, Tensor], color: str, filled: bool = True) -> None:
    """Show the figures (seeds,) of each name as dots in a row of its own, from the top, each seed a little lower.

    Args:
        ax: Where to show them; a second call with the same names adds to the first.
        rows: The figures of each name; none for an empty row.
        color: Of the dots.
        filled: Discs; else rings.
    """
    for place, figures in enumerate(rows.values()):
        lower = np.linspace(-0.25, 0.25, len(figures))
        ax.scatter(figures, place + lower, s=16, facecolors=color if filled else "none", edgecolors=color)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set_ylim(len(rows) - 0.5, -0.5)
