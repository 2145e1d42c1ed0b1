"""Figures in the course's one style. Arrays in, figures out; every figure is shown with its alternative text."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

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


def clouds(ax: Axes, mu: Tensor, sigma: Tensor, color: str, alpha: float = 0.25, reach: float = 1) -> None:
    """Show clouds N(mu, sigma^2), mu and sigma (n, 2), as ellipses of `reach` standard deviations around their centers.

    They do not change the limits of the axes.
    """
    from matplotlib.collections import EllipseCollection

    widths, heights = (2 * reach * sigma).T.numpy()
    look = {"facecolor": color, "edgecolor": color, "alpha": alpha, "offset_transform": ax.transData}
    ax.add_collection(
        EllipseCollection(widths, heights, 0 * widths, units="xy", offsets=mu.numpy(), **look), autolim=False
    )
