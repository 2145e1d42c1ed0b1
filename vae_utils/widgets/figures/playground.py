"""A small VAE that trains in the page, without a kernel: in a notebook's output or on a page of its own.

The computation (forward, backward, Adam) is in js/playground/vae.js and equals PyTorch's; the page is in view.js.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from html import escape
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ... import plots
from ...data import load
from ...likelihoods import Gaussian
from ...models import VAE
from ...training import fit
from ..figure import JS, LiveFigure, as_address, joined, live_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE, N_TRAIN, N_HELD, COLUMNS, SHOWN = 16, 640, 64, 32, 8  # as in trainer.js
SIGMA = 0.2
NAMES = ("cat", "dog")
RANGES = {"beta": (0, 1000), "lr": (1e-5, 10), "seed": (0, 999_999)}  # as in lessons.js
CHOICES = {
    "width": (8, 16, 32, 64),
    "noise": ("on", "cut", "off", "none"),
    "averaged": ("none", "pixels", "code", "both"),
    "plane": ("whole", "shuffled"),
}
LESSONS = ("vae", "autoencoder", "dimension", "holes", "shuffled", "mean", "cut")
ALT = (
    "A small VAE after 400 steps. The codes of 640 thumbnails on a plane, with the circles of the prior: cats on one "
    "side, dogs on the other. Eight pictures and what comes back of them; eight pictures decoded from the prior."
)
HINT = "Run this cell to train it here."
PAGE_HINT = "To train it here, let your browser run scripts."
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body { margin: 0 auto; padding: 12px; max-width: 776px; font: 16px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4em; margin: 0.3em 4px; }
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{figure}
</main>
</body>
</html>
"""


@cache
def thumbnails() -> tuple[Tensor, Tensor]:
    """Return the first 640 training and 64 test pictures at half size, uint8 (704, 3, 16, 16), and labels (704,).

    The first two test pictures are the cat and the dog that the course follows. Each pixel is the mean of four, rounded
    to the middle of one of 32 levels of brightness, which halves the size of the sheet of pictures.
    """
    pictures = load("cats_dogs", dtype=torch.uint8)
    x = torch.cat([pictures.train.x[:N_TRAIN], pictures.test.x[:N_HELD]])
    small = F.avg_pool2d(x.float(), 2).div(8, rounding_mode="floor").mul(8).add(4).byte()
    return small, torch.cat([pictures.train.y[:N_TRAIN], pictures.test.y[:N_HELD]])


def sprite(pictures: Tensor) -> bytes:
    """Encode pictures uint8 (n, 3, 16, 16), n a multiple of 32, in rows of 32, as lossless WebP."""
    from PIL import Image

    file = io.BytesIO()
    sheet = plots.mosaic(pictures, COLUMNS).permute(1, 2, 0).contiguous().numpy()
    Image.fromarray(sheet).save(file, "WEBP", lossless=True, quality=90)
    return file.getvalue()


def playground(
    beta: float = 1.0,
    lr: float = 0.005,
    width: int = 32,
    noise: str = "on",
    averaged: str = "none",
    plane: str = "whole",
    seed: int = 0,
    lesson: str | None = None,
    site: str | None = None,
    address: bool = False,
) -> LiveFigure:
    """Return a VAE of thumbnails that trains in the page, as a cell's output that needs no kernel once it is shown.

    The reader can change each setting in the page.

    Args:
        beta: Weight of the KL, 0 to 1000.
        lr: Adam's learning rate, 1e-5 to 10.
        width: Units in each hidden layer: 8, 16, 32 or 64.
        noise: "on" (the reparameterization trick), "cut" (no gradient through the draw), "off" (z = mu) or "none"
            (z = mu and no KL: an autoencoder).
        averaged: "none" (sums), "pixels", "code" or "both".
        plane: "whole", or "shuffled": its tiles have changed places, for encoder and decoder alike.
        seed: Of weights, batches and noise, 0 to 999,999.
        lesson: Start with a prepared lesson, one of `LESSONS`; of the settings above, only `seed` then counts.
        site: URL of a page with the playground, to which a link to the present settings can be copied.
        address: Keep the settings in the page's own URL, for a page that is not a notebook: `#beta=20&seed=3` opens it
            with these settings, `#lesson=cut` with a lesson. The URL takes precedence over the arguments.

    Raises:
        ValueError: A setting is out of its range.
    """
    settings = {
        "beta": beta,
        "lr": lr,
        "width": width,
        "noise": noise,
        "averaged": averaged,
        "plane": plane,
        "seed": seed,
    }
    check(settings)
    if lesson is not None and lesson not in LESSONS:
        raise ValueError(f"no lesson is called {lesson!r}; it must be one of {', '.join(map(repr, LESSONS))}.")
    return live_figure(
        "buildPlayground",
        _data(settings) | {"lesson": lesson, "site": site, "address": address},
        "playground/view.js",
        _still(),
        ALT,
        PAGE_HINT if address else HINT,
    )


def playground_page(title: str = "A VAE that trains in this page") -> str:
    """Return a complete HTML page with the playground, which works from a file, without a network.

    It keeps its settings in its URL: `page.html#beta=20&seed=3` opens it with these settings, `page.html#lesson=cut`
    with a prepared lesson.
    """
    figure = playground(address=True)
    return PAGE.replace("{title}", escape(title)).replace("{figure}", figure.html)


def check(settings: Mapping[str, object]) -> None:
    """Raise ValueError if a setting is out of its range (the page itself takes the nearest value, or the default)."""
    for name, (low, high) in RANGES.items():
        value = settings[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"{name} is {value!r}; it must be a number from {low:g} to {high:g}.")
        if name == "seed" and value != int(value):
            raise ValueError(f"seed is {value!r}; it must be a whole number.")
    for name, choices in CHOICES.items():
        if settings[name] not in choices:
            raise ValueError(f"{name} is {settings[name]!r}; it must be one of {', '.join(map(repr, choices))}.")


def _data(settings: Mapping[str, object]) -> dict[str, object]:
    """Return the page's input: the pictures, the labels, the initial settings."""
    x, y = thumbnails()
    return {
        "sheet": as_address(sprite(x), "image/webp"),
        "trained": N_TRAIN,
        "labels": y[:N_TRAIN].tolist(),
        "names": NAMES,
        "settings": dict(settings),
        "worker": joined("playground/host.js") + "\nserve();",
        "style": (JS / "playground" / "playground.css").read_text(encoding="utf-8"),
    }


@cache
def _trained() -> tuple[VAE, Tensor, Tensor]:
    """Train the playground's network for the still picture; return it, its training codes and held-out pictures."""
    x = thumbnails()[0].float() / 255
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VAE((3, SIDE, SIDE), 2, Gaussian(SIGMA), hidden=(32,))
        fit(model, x[:N_TRAIN], steps=400, lr=0.005, device="cpu", progress=False)
    with torch.no_grad():
        return model, model.encode(x[:N_TRAIN])[0], x[N_TRAIN:]


def _still() -> Figure:
    """Draw the picture for before the script runs: codes, pictures and their reconstructions, samples."""
    import matplotlib.pyplot as plt

    model, z, held = _trained()
    figure, (plane, column) = plt.subplots(1, 2, figsize=(7.6, 3.5), width_ratios=(1, 1.15), layout="constrained")
    plots.codes(plane, z, thumbnails()[1][:N_TRAIN], NAMES, size=9)
    plane.legend(markerscale=2, loc="upper right", fontsize=8)
    for radius in (1, 2, 3):
        plane.add_patch(plt.Circle((0, 0), radius, fill=False, color=plots.GREY, lw=0.8, ls="--"))
    plane.set(xlim=(-3.3, 3.3), ylim=(-3.3, 3.3), aspect="equal")
    with torch.no_grad():
        again = model.mean(model.encode(held[:SHOWN])[0])
        samples = model.mean(torch.randn(SHOWN, 2, generator=torch.Generator().manual_seed(0)))
    column.set_axis_off()
    rows = {
        "pictures held out of training": held[:SHOWN],
        "what comes back": again,
        "decoded from codes drawn from N(0, I)": samples,
    }
    for i, (title, row) in enumerate(rows.items()):
        ax = column.inset_axes((0, 0.7 - 0.34 * i, 1, 0.2))
        plots.picture(ax, plots.mosaic(row, SHOWN))
        ax.set_title(title, fontsize=9)
    return figure
