"""Measure kernel widgets as a reader meets them: from a key press to the new picture, in Chromium and JupyterLab.

    bench_widgets.py [--presses 30]

Prints, for each widget, the median and the 90th percentile in milliseconds: of keys that move a slider to its next
place, which the widget has drawn ahead while the slider rested, and of clicks far from its handle, which it has not.
The clock runs in the page: it starts when the page gets the key or the click, and stops when the new picture is decoded
and in place. A browser keeps what it has decoded, so no picture of a key comes twice, and few of a click do; the
widgets take turns of some presses, as a machine has good and bad moments. The first line is a slider that changes an
image of 8 x 8 pixels: what JupyterLab itself takes. The goal is a median of 60 ms for keys on two idle cores; anything
else that runs at the time is measured, too.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Locator, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
GOAL = 60  # milliseconds
LOADING = 120_000  # milliseconds
FAR = (5**0.5 - 1) / 2  # of a slider's length: so far on, round and round, is each click, never near the last ones
TURN = 10  # presses of a widget before the next one has its turn
FIRST = 2  # more presses that do not count: they draw what is drawn once
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
sweep = {2.0**i: VAE((3, 16, 16), 8, (128, 64)) for i in range(-20, 20)}
two = {"autoencoder": Autoencoder(pictures.shape, 2), "VAE": VAE(pictures.shape, 2)}"""
WIDGETS = {  # name: what a cell says
    "no drawing": "ipywidgets.VBox([knob, place])",  # what is left to the course's widgets of those 60 ms
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


@contextmanager
def lab(folder: Path) -> Iterator[str]:
    """A JupyterLab as `make lab` starts it, on a notebook with the widgets; its address."""
    cells = [new_code_cell(SETUP), *map(new_code_cell, WIDGETS.values())]
    name = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": name}), folder / "widgets.ipynb")
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    environment = os.environ | {name: str(folder / name) for name in own} | {"CI": "true", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(ROOT / "scripts" / "lab.py"), "--port=0", f"--ServerApp.root_dir={folder}"]
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    )
    try:
        said = []
        for line in server.stdout:
            said.append(line)
            address = next((word for word in line.split() if word.startswith("http") and "token=" in word), None)
            if address:
                parts = urllib.parse.urlsplit(address)
                yield f"{parts.scheme}://{parts.netloc}/lab/tree/widgets.ipynb?{parts.query}"
                return
        raise RuntimeError(f"JupyterLab printed no address: {''.join(said)}")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
        server.stdout.close()


def keys(output: Locator) -> Iterator[Callable[[], None]]:
    """Key presses that move each slider of an output step by step from one end to the other."""
    for slider in output.get_by_role("slider").all():
        if slider.get_attribute("aria-valuenow") != slider.get_attribute("aria-valuemin"):
            yield partial(slider.press, "Home")
        while slider.get_attribute("aria-valuenow") != slider.get_attribute("aria-valuemax"):
            yield partial(slider.press, "ArrowRight")


def clicks(output: Locator) -> Iterator[Callable[[], None]]:
    """Clicks on each slider of an output in turn, far from its handle."""
    sliders, tracks = output.get_by_role("slider").all(), output.locator(".noUi-base").all()
    for slider, track in itertools.cycle(zip(sliders, tracks, strict=True)):
        low, high, now = (float(slider.get_attribute(f"aria-value{part}")) for part in ("min", "max", "now"))
        box = track.bounding_box()
        place = {"x": ((now - low) / (high - low) + FAR) % 1 * box["width"], "y": box["height"] / 2}
        yield partial(track.click, position=place, force=True)


RESTS = {  # milliseconds before each press: the page scrolls to the widget, and the kernel comes to rest
    keys: 200,
    clicks: 400,  # a slider heeds no click within 300 milliseconds of the last
}


def milliseconds(output: Locator, presses: Iterator[Callable[[], None]], rest: int) -> Iterator[float]:
    """From key press or click to picture."""
    for press in presses:
        output.evaluate("output => output.scrollIntoView({block: 'start'})")
        output.page.wait_for_timeout(rest)
        press()
        output.page.wait_for_function("window.seen !== null", timeout=LOADING)
        yield output.page.evaluate("window.seen")


def measure(presses: int) -> dict[str, list[list[float]]]:
    """Milliseconds of each key press, and of each click, by widget."""
    browser_path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if browser_path is None:
        raise SystemExit("bench_widgets needs Chromium or Chrome on the PATH.")
    with tempfile.TemporaryDirectory() as folder, lab(Path(folder)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=OPTIONS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(address)
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
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
