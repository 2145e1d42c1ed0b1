"""Measure kernel widgets as a reader meets them: from a key press to the new picture, in Chromium and JupyterLab.

    python -m scripts.bench.widgets [--presses 30]

Prints, for each widget, the median and the 90th percentile in milliseconds: of keys that move a slider to its next
place, which the widget has drawn ahead while the slider rested, and of clicks far from its handle, which it has not.
The clock runs in the page: it starts when the page gets the key or the click, and stops when the new picture is decoded
and in place. A browser keeps what it has decoded, so no picture of a key comes twice, and few of a click do. The
widgets take turns of some presses, since the machine's load varies. The first line is a slider that changes an image of
8 x 8 pixels: the part of JupyterLab itself. The goal is a median of 60 ms for keys on two idle cores; anything else
that runs at the time is measured, too.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Locator, Position

from scripts.bench.browser import headless
from scripts.bench.lab_server import running_lab
from scripts.notebooks import KERNEL

GOAL = 60  # milliseconds
LOADING = 120_000  # milliseconds
FAR = (5**0.5 - 1) / 2  # distance between clicks in a slider's length, modulo 1: the golden ratio keeps all apart
TURN = 10  # presses of a widget before the next one has its turn
FIRST = 2  # more presses that do not count: the first ones are slower
SETUP = """import ipywidgets
import torch
from vae_utils import data, setup, widgets
from vae_utils.models import VAE, Autoencoder
from vae_utils.widgets.kernel import address, quick_png
setup(0)
knob, place = ipywidgets.FloatSlider(min=0, max=40, step=1), ipywidgets.HTML()
def answer(_=None):
    png = quick_png(torch.full((8, 8, 4), int(4 * knob.value), dtype=torch.uint8).numpy())
    place.value = f'<img src="{address(png)}" alt="nothing to see" width="8" height="8">'
answer()
knob.observe(answer, names="value")
pictures = data.load("cats_dogs")
small = torch.nn.functional.avg_pool2d(pictures.test.x, 2)
sweep = {2.0**i: VAE((3, 16, 16), 8, pictures.likelihood, (128, 64)) for i in range(-20, 20)}
two = {"autoencoder": Autoencoder(pictures.shape, 2), "VAE": VAE(pictures.shape, 2, pictures.likelihood)}"""
WIDGETS = {  # name: the source of its cell
    "no drawing": "ipywidgets.VBox([knob, place])",  # the rest of those 60 ms is left to the course's widgets
    "trick": "widgets.trick()",
    "two_gaussians": "widgets.two_gaussians()",
    "beta_slider": "widgets.beta_slider(sweep, small)",
    "draw_your_own": "widgets.draw_your_own(two, pictures)",
}
WATCH = """output => {
    const place = output.querySelector('.widget-html-content [role=img], .widget-html-content img:not([hidden])');
    const content = place.closest('.widget-html-content');
    window.seen = null;
    for (const kind of ['keydown', 'pointerdown']) {
        window.addEventListener(kind, () => { window.pressed = performance.now(); window.seen = null; }, true);
    }
    new MutationObserver(() => {
        const parts = [...content.querySelectorAll('img')];
        Promise.all(parts.map(part => part.decode())).then(() => {
            window.seen ??= performance.now() - window.pressed;
        });
    }).observe(content, {childList: true, subtree: true});
}"""


def write_notebook(path: Path) -> None:
    """Write a notebook with one cell for each widget."""
    cells = [new_code_cell(SETUP), *map(new_code_cell, WIDGETS.values())]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), path)


def position(slider: Locator) -> tuple[float, float, float]:
    """Return the least, the largest and the present value of a slider."""
    low, high, now = slider.evaluate(
        "s => ['min', 'max', 'now'].map(part => Number(s.getAttribute(`aria-value${part}`)))"
    )
    return low, high, now


def keys(output: Locator) -> Iterator[Callable[[], None]]:
    """Yield key presses that move each slider of an output step by step from one end to the other."""
    for slider in output.get_by_role("slider").all():
        low, high, now = position(slider)
        if now != low:
            yield partial(slider.press, "Home")
        while position(slider)[2] != high:
            yield partial(slider.press, "ArrowRight")


def clicks(output: Locator) -> Iterator[Callable[[], None]]:
    """Yield clicks on each slider of an output in turn, far from its handle."""
    sliders, tracks = output.get_by_role("slider").all(), output.locator(".noUi-base").all()
    for slider, track in itertools.cycle(zip(sliders, tracks, strict=True)):
        low, high, now = position(slider)
        width, height = track.evaluate("t => [t.getBoundingClientRect().width, t.getBoundingClientRect().height]")
        place: Position = {"x": ((now - low) / (high - low) + FAR) % 1 * width, "y": height / 2}
        yield partial(track.click, position=place, force=True)


RESTS = {  # milliseconds before each press, for the page to scroll and the kernel to become idle
    keys: 200,
    clicks: 400,  # a slider ignores clicks within 300 milliseconds of the last
}


def milliseconds(output: Locator, presses: Iterator[Callable[[], None]], rest: int) -> Iterator[float]:
    """Make each press; yield the milliseconds from it to the new picture."""
    for press in presses:
        output.evaluate("output => output.scrollIntoView({block: 'start'})")
        output.page.wait_for_timeout(rest)
        press()
        output.page.wait_for_function("window.seen !== null", timeout=LOADING)
        yield output.page.evaluate("window.seen")


def measure(presses: int) -> dict[str, list[list[float]]]:
    """Return milliseconds of each key press, and of each click, by widget."""
    with tempfile.TemporaryDirectory() as home, running_lab(Path(home), Path(home)) as lab, headless() as browser:
        write_notebook(lab.folder / "widgets.ipynb")
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        address = urllib.parse.urlsplit(lab.url)
        page.goto(f"{address.scheme}://{address.netloc}/lab/tree/widgets.ipynb?{address.query}")
        page.locator(".jp-CodeCell").first.wait_for(timeout=LOADING)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=LOADING)  # earlier, JupyterLab may run nothing
        page.locator(".jp-CodeCell .cm-content").first.click()
        for item in ("Run", "Run All Cells"):
            page.get_by_role("menuitem", name=item, exact=True).click()
        outputs = {}
        for number, name in enumerate(WIDGETS, 1):
            outputs[name] = page.locator(".jp-CodeCell").nth(number).locator(".jp-OutputArea-output")
            outputs[name].get_by_role("slider").first.wait_for(timeout=LOADING)
            outputs[name].evaluate(WATCH)
        page.wait_for_timeout(1000)
        found: dict[str, list[list[float]]] = {name: [] for name in WIDGETS}
        for kind, rest in RESTS.items():
            walks = {name: milliseconds(output, kind(output), rest) for name, output in outputs.items()}
            times: dict[str, list[float]] = {name: [] for name in WIDGETS}
            while any(len(part) < presses for part in times.values()):
                for name, walk in walks.items():
                    turn = list(itertools.islice(walk, FIRST + TURN))[FIRST:]
                    if len(turn) < TURN:
                        raise RuntimeError(f"the sliders of {name} have too few places for so many presses")
                    times[name] += turn
            for name, part in times.items():
                found[name].append(part)
        return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure kernel widgets in Chromium and JupyterLab.")
    parser.add_argument(
        "--presses", type=int, default=30, help="keys, and clicks, for each widget, in whole turns (30)"
    )
    chosen = parser.parse_args(arguments)
    if chosen.presses < 5:
        parser.error(f"--presses is {chosen.presses}; a median needs 5 or more")
    load = f"load {os.getloadavg()[0]:.1f}, " if hasattr(os, "getloadavg") else ""
    print(f"From key press to new picture, {load}{os.cpu_count()} cores; goal: median {GOAL} ms")
    print(f"  {'':15}  {'a key, to the next place':31}    a click, somewhere else")
    for name, kinds in measure(chosen.presses).items():
        parts = (
            f"median {statistics.median(times):3.0f} ms, 90 % within {statistics.quantiles(times, n=10)[-1]:3.0f}"
            for times in kinds
        )
        print(f"  {name:15}  {'    '.join(parts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
