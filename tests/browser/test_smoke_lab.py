"""JupyterLab as `make lab` opens it, and a small notebook run in it: a live figure and a kernel widget answer.

The tests follow one visit: they stand in this order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.kernel_figures import same, says, slider
from tests.browser.live_figures import Shown, assert_map_drawn
from tests.browser.pages import watched
from tests.support.lab_server import Lab, run_all
from vae_utils import data, widgets
from vae_utils.models import VAE

NAME = "smoke.ipynb"
SETUP = """
import torch
from vae_utils import data, widgets
from vae_utils.models import VAE

pictures = data.load("digits")
torch.manual_seed(0)
model = VAE(pictures.shape, 2, pictures.likelihood).eval()
with torch.no_grad():
    model.encoder[-1].weight[:2] *= 20  # codes well apart
    model.decoder[0].weight *= 2
    model.decoder[-1].weight *= 10  # and pictures that differ
"""
OWN = """
animals = data.load("cats_dogs")
torch.manual_seed(0)
own = widgets.draw_your_own(VAE(animals.shape, 2, animals.likelihood, hidden=(16, 16)), animals)
"""
CELLS = [SETUP, "widgets.code_map(model, pictures)", f"{OWN}own"]


@pytest.fixture(scope="module")
def page(browser: Browser, lab: Lab) -> Iterator[Page]:
    """A page at the address that the server printed, which reaches nothing but this machine."""
    with watched(browser, viewport={"width": 1400, "height": 1000}) as context:
        context.route(re.compile(r"^https?://(?!localhost[:/]|127\.0\.0\.1[:/])"), lambda route: route.abort())
        opened = context.new_page()
        opened.goto(lab.url)
        yield opened


@pytest.fixture(scope="module")
def made() -> tuple[data.Dataset, VAE]:
    """The notebook's data set and model, made here as the notebook makes them."""
    space: dict = {}
    exec(SETUP, space)
    return space["pictures"], space["model"]


@pytest.fixture(scope="module")
def opened(page: Page, lab: Lab, made: tuple[data.Dataset, VAE]) -> Page:
    """The small notebook, with what it has stored of an earlier run."""
    pictures, model = made
    cells = [new_code_cell(source, execution_count=i + 1) for i, source in enumerate(CELLS)]
    figure = widgets.code_map(model, pictures)
    cells[1].outputs = [new_output("execute_result", figure._repr_mimebundle_(), execution_count=2)]
    name = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = new_notebook(cells=[new_markdown_cell("# Figures"), *cells], metadata={"kernelspec": name})
    nbformat.write(notebook, lab.folder / "notebooks" / NAME)
    page.goto(lab.url.replace("01_autoencoder.ipynb?", f"{NAME}?reset&"))  # without the notebook opened before
    return page


def output(page: Page, cell: int) -> Locator:
    """The outputs of a code cell, by its number."""
    return page.locator(".jp-Notebook .jp-CodeCell").nth(cell).locator(".jp-OutputArea-child")


def test_opens_the_first_notebook(page: Page, lab: Lab, notebooks: list[Path]) -> None:
    assert "/lab/tree/notebooks/01_autoencoder.ipynb?token=" in lab.url
    title = nbformat.read(notebooks[1], as_version=4).cells[0].source.splitlines()[0].removeprefix("# ")
    heading = page.locator(".jp-Notebook h1").first
    expect(heading).to_be_visible()
    assert heading.inner_text().strip().rstrip("¶").strip() == title


def test_every_stored_figure_says_what_it_shows(page: Page, notebooks: list[Path]) -> None:
    outputs = [
        output
        for cell in nbformat.read(notebooks[1], as_version=4).cells
        for output in cell.get("outputs", [])
        if any(kind.startswith("image/") for kind in output.get("data", {}))
        or "<img" in "".join(output.get("data", {}).get("text/html", ""))
    ]
    assert outputs, "the first notebook stores no figure"
    figures = page.locator(".jp-OutputArea-output img")
    expect(figures.nth(len(outputs) - 1)).to_be_attached()
    silent = [index for index in range(figures.count()) if not (figures.nth(index).get_attribute("alt") or "").strip()]
    assert silent == []


def test_what_instructors_need_is_not_there(page: Page) -> None:
    """nbgrader's menu, panel and buttons stay out of a learner's JupyterLab, even if it is installed."""
    expect(page.get_by_role("menuitem", name="Kernel", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Restart the kernel", exact=True)).to_be_visible()
    expect(page.get_by_role("tab", name="Property Inspector")).to_be_visible()
    assert page.get_by_role("menuitem", name=re.compile("nbgrader|formgrader", re.I)).count() == 0
    assert page.get_by_role("tab", name=re.compile("assignment", re.I)).count() == 0
    for name in ("Validate", "Notebook"):  # the second belongs to Jupyter Notebook, which nbgrader brings
        assert page.get_by_role("button", name=name, exact=True).count() == 0


def test_after_a_run_the_figure_takes_the_pictures_place(opened: Page, made: tuple[data.Dataset, VAE]) -> None:
    pictures, model = made
    expect(output(opened, 1).locator("img")).to_be_visible()
    expect(output(opened, 1).locator("canvas")).to_have_count(0)
    run_all(opened)
    shown = Shown(opened)
    expect(shown.figure(0)).to_be_visible()
    expect(output(opened, 1).locator("img:visible")).to_have_count(0)
    shown.figure(0).get_by_role("button", name="the 3").click()
    (z,) = assert_map_drawn(shown, 0, [model], pictures.shape)
    with torch.no_grad():
        code = model.encode(pictures.test.x[[pictures.followed[0]]])[0][0]
    assert z == pytest.approx(code.tolist(), abs=1e-5)


def test_keys_move_a_slider_of_a_kernel_widget(opened: Page) -> None:
    space: dict = {}
    exec(SETUP + OWN, space)
    figure, shown = space["own"], output(opened, 2)
    says(shown, "Yours: species 0.00")
    assert same(shown, figure)
    slider(shown, "species").focus()
    for value in (0.05, 0.1):
        opened.keyboard.press("ArrowRight")
        says(shown, f"Yours: species {value:.2f}")
        figure.controls[0].value = value
        assert same(shown, figure)
    expect(slider(shown, "species")).to_have_attribute("aria-valuetext", "0.10")
