"""Measure a kernel widget as a reader meets it: from a key press to the new picture, in Chromium and JupyterLab.

    python -m scripts.bench.widgets [--presses 30]

Prints the median and the 90th percentile in milliseconds of keys that move a slider by a step. The clock runs in the
page: it starts when the page gets the key, and stops when the new picture is decoded and in place. The widgets take
turns of some presses, since the machine's load varies. The first line is a slider that changes an image of 8 x 8
pixels: the part of JupyterLab itself. The goal is a median of 100 ms on two idle cores.
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
from playwright.sync_api import Locator

from scripts.bench.browser import headless
from scripts.bench.lab_server import running_lab
from scripts.notebooks import KERNEL

GOAL = 100  # milliseconds
LOADING = 120_000  # milliseconds
TURN = 10  # presses of a widget before the next one has its turn
FIRST = 2  # more presses that do not count: the first ones are slower
SETUP = """import ipywidgets
from vae_utils import data, setup, widgets
from vae_utils.models import VAE, Autoencoder
from PIL import Image
from io import BytesIO
from vae_utils.widgets.figure import as_address
setup(0)
knob, place = ipywidgets.FloatSlider(min=0, max=40, step=1), ipywidgets.HTML()
def answer(_=None):
    png = BytesIO()
    Image.new("L", (8, 8), int(4 * knob.value)).save(png, "PNG")
    place.value = f'<img src="{as_address(png.getvalue(), "image/png")}" alt="nothing to see" width="8" height="8">'
answer()
knob.observe(answer, names="value")
pictures = data.load("cats_dogs")
two = {"autoencoder": Autoencoder(pictures.shape, 2), "VAE": VAE(pictures.shape, 2, pictures.likelihood)}"""
WIDGETS = {  # name: the source of its cell
    "no drawing": "ipywidgets.VBox([knob, place])",
    "draw_your_own": "widgets.draw_your_own(two, pictures)",
}
WATCH = """output => {
    const place = output.querySelector('.widget-html-content [role=img], .widget-html-content img:not([hidden])');
    const content = place.closest('.widget-html-content');
    window.seen = null;
    window.addEventListener('keydown', () => { window.pressed = performance.now(); window.seen = null; }, true);
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


REST = 200  # milliseconds before each press, for the page to scroll and the kernel to become idle


def milliseconds(output: Locator, presses: Iterator[Callable[[], None]]) -> Iterator[float]:
    """Make each press; yield the milliseconds from it to the new picture."""
    for press in presses:
        output.evaluate("output => output.scrollIntoView({block: 'start'})")
        output.page.wait_for_timeout(REST)
        press()
        output.page.wait_for_function("window.seen !== null", timeout=LOADING)
        yield output.page.evaluate("window.seen")


def measure(presses: int) -> dict[str, list[float]]:
    """Return milliseconds of each key press, by widget."""
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
        walks = {name: milliseconds(output, keys(output)) for name, output in outputs.items()}
        times: dict[str, list[float]] = {name: [] for name in WIDGETS}
        while any(len(part) < presses for part in times.values()):
            for name, walk in walks.items():
                turn = list(itertools.islice(walk, FIRST + TURN))[FIRST:]
                if len(turn) < TURN:
                    raise RuntimeError(f"the sliders of {name} have too few places for so many presses")
                times[name] += turn
        return times


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure kernel widgets in Chromium and JupyterLab.")
    parser.add_argument("--presses", type=int, default=30, help="keys for each widget, in whole turns (30)")
    chosen = parser.parse_args(arguments)
    if chosen.presses < 5:
        parser.error(f"--presses is {chosen.presses}; a median needs 5 or more")
    load = f"load {os.getloadavg()[0]:.1f}, " if hasattr(os, "getloadavg") else ""
    print(f"From key press to new picture, {load}{os.cpu_count()} cores; goal: median {GOAL} ms")
    for name, times in measure(chosen.presses).items():
        slow = statistics.quantiles(times, n=10)[-1]
        print(f"  {name:15}  median {statistics.median(times):3.0f} ms, 90 % within {slow:3.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
