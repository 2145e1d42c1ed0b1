"""Measure kernel widgets as a reader meets them: from a key press to the new picture, in Chromium and JupyterLab.

    bench_widgets.py [--presses 30]

Prints, for each widget, the median and the 90th percentile in milliseconds. The clock runs in the page: it starts when
the page gets the key, and stops when the new picture is decoded and in place. No picture comes twice, as a browser
keeps what it has decoded; the widgets take turns of some presses, as a machine has good and bad moments. The first line
is a slider that changes an image of 8 x 8 pixels: what JupyterLab itself takes. The goal is a median of 60 ms on two
idle cores; anything else that runs at the time is measured, too.
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
GOAL = 60  # milliseconds
LOADING = 120_000  # milliseconds
REST = 200  # milliseconds before each press: the page scrolls to the widget, and the kernel comes to rest
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
    window.addEventListener('keydown', () => { window.pressed = performance.now(); window.seen = null; }, true);
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


def milliseconds(page: Page, number: int) -> Iterator[float]:
    """From key press to picture, for the widget below code cell `number`: each slider from one end to the other."""
    output = page.locator(".jp-CodeCell").nth(number).locator(".jp-OutputArea-output")
    output.evaluate(WATCH)

    def press(key: str) -> float:
        slider.evaluate("slider => { slider.scrollIntoView({block: 'start'}); slider.focus(); }")
        page.wait_for_timeout(REST)
        page.keyboard.press(key)
        page.wait_for_function("window.seen !== null", timeout=LOADING)
        return page.evaluate("window.seen")

    for slider in output.get_by_role("slider").all():
        if slider.get_attribute("aria-valuenow") != slider.get_attribute("aria-valuemin"):
            yield press("Home")
        while slider.get_attribute("aria-valuenow") != slider.get_attribute("aria-valuemax"):
            yield press("ArrowRight")
    raise RuntimeError(f"the sliders of widget {number} have too few places for so many presses")


def measure(presses: int) -> dict[str, list[float]]:
    """Milliseconds of each press, by widget."""
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
        for number in range(1, len(WIDGETS) + 1):
            page.locator(".jp-CodeCell").nth(number).get_by_role("slider").first.wait_for(timeout=LOADING)
        page.wait_for_timeout(1000)
        walks = {name: milliseconds(page, number) for number, name in enumerate(WIDGETS, 1)}
        found: dict[str, list[float]] = {name: [] for name in WIDGETS}
        while any(len(times) < presses for times in found.values()):
            for name, walk in walks.items():
                found[name] += list(itertools.islice(walk, FIRST + TURN))[FIRST:]
        return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presses", type=int, default=30, help="key presses for each widget, in whole turns (30)")
    chosen = parser.parse_args(arguments)
    if chosen.presses < 5:
        parser.error(f"--presses is {chosen.presses}; a median needs 5 or more")
    load = f"load {os.getloadavg()[0]:.1f}, " if hasattr(os, "getloadavg") else ""
    print(f"From key press to new picture, {load}{os.cpu_count()} cores; goal: median {GOAL} ms")
    for name, times in measure(chosen.presses).items():
        slow = statistics.quantiles(times, n=10)[-1]
        print(f"  {name:15} median {statistics.median(times):5.0f} ms   90 % within {slow:5.0f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
