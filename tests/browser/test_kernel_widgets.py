"""Kernel widgets in JupyterLab, moved by mouse and by keyboard; what the page then shows is read back.

The tests follow one notebook from its opening to the end of its kernel: they stand in this order.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Browser, Locator, Page, expect

from scripts import notebooks as runner
from tests.browser.kernel_figures import picture, same, says, slider
from tests.browser.pages import watched
from tests.support import hygiene
from tests.support.lab_server import Lab, run_all
from vae_utils import data, widgets
from vae_utils.likelihoods import Gaussian
from vae_utils.models import VAE
from vae_utils.widgets import kernel

NAME = "09_kernel_widgets.ipynb"
SETUP = """import os
import torch
from vae_utils import data, setup, widgets
from vae_utils.likelihoods import Gaussian
from vae_utils.models import VAE
setup(0)
torch.set_float32_matmul_precision("highest")  # as in the tests, to compare pictures
pictures, digits = data.load("cats_dogs"), data.load("digits")

def vae(shape, seed=0):
    torch.manual_seed(seed)
    return VAE(shape, 2, Gaussian(0.3), hidden=(16, 16))

model = vae(digits.shape)
print("kernel", os.getpid())"""
CELLS = {
    "setup": SETUP,
    "own": "widgets.draw_your_own(vae(pictures.shape), pictures)",
    "watch": "history = widgets.watch_training(model, digits, steps=1_000_000, record_every=50)",
    "after": 'print(f"trained {model.trained_steps}, history says {history.step[-1]}, stopped: {history.stopped}")',
}


def vae(shape: tuple[int, int, int], seed: int = 0) -> VAE:
    torch.manual_seed(seed)
    return VAE(shape, 2, Gaussian(0.3), hidden=(16, 16))


@pytest.fixture(scope="module")
def opened(browser: Browser, lab: Lab) -> Iterator[Page]:
    """The notebook in JupyterLab, just opened."""
    cells = [new_code_cell(code) for code in CELLS.values()]
    static = widgets.draw_your_own(vae((3, 32, 32)), data.load("cats_dogs")).bundle()
    del static[kernel.VIEW]  # as `make notebooks` stores it
    cells[1].outputs, cells[1].execution_count = [new_output("display_data", data=static)], 2
    name = {"display_name": "Python 3", "language": "python", "name": "python3"}
    path = lab.folder / "notebooks" / NAME
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Widgets"), *cells], metadata={"kernelspec": name}), path)
    with watched(browser, viewport={"width": 1400, "height": 1000}) as context:
        page = context.new_page()
        page.goto(lab.url.replace("01_autoencoder.ipynb?", f"{NAME}?reset&"))
        expect(page.locator(".jp-Notebook .jp-Cell").nth(len(CELLS))).to_be_visible()
        yield page


def output(page: Page, name: str) -> Locator:
    """What stands below a cell."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(list(CELLS).index(name))
    return cell.locator(".jp-OutputArea-child")


def test_before_anything_runs_the_static_figure_stands_there(opened: Page) -> None:
    stored = output(opened, "own")
    expect(stored.locator("img")).to_have_attribute("alt", re.compile("An animal drawn with species 0.00"))
    expect(stored).to_contain_text(kernel.NOTE)
    expect(stored).not_to_contain_text("Error")
    assert picture(output(opened, "own")).shape[2] == 3


def test_stop_reaches_a_busy_kernel_and_the_next_cell_sees_the_trained_model(opened: Page) -> None:
    opened.locator(".jp-Notebook h1").first.click()
    run_all(opened)
    says(output(opened, "watch"), re.compile(r"Step [\d,]+ of 1,000,000"))
    expect(output(opened, "after")).to_have_count(0)  # busy
    stop = output(opened, "watch").get_by_role("button", name="Stop")
    stop.focus()
    opened.keyboard.press("Enter")
    expect(output(opened, "after")).to_contain_text("stopped: True")
    steps = re.search(r"trained (\d+), history says (\d+)", output(opened, "after").inner_text())
    assert steps[1] == steps[2]
    says(output(opened, "watch"), "Stopped; the model keeps what it has learned.")
    expect(output(opened, "watch").get_by_role("button", name="Stop")).to_be_disabled()


def test_an_interrupt_stops_training_too(opened: Page) -> None:
    cell = opened.locator(".jp-Notebook .jp-CodeCell").nth(list(CELLS).index("watch"))
    cell.locator(".cm-content").click()
    opened.keyboard.press("Control+Enter")
    says(output(opened, "watch"), re.compile(r"Step [\d,]+ of 1,000,000: loss [^)]*\)\.\s+These"))
    opened.keyboard.press("Escape")
    opened.keyboard.press("i")
    opened.keyboard.press("i")
    says(output(opened, "watch"), "Stopped; the model keeps what it has learned.")
    expect(output(opened, "watch").filter(has_text="Stopped at step")).to_be_visible()


def test_keys_draw_your_own(opened: Page) -> None:
    pictures = data.load("cats_dogs")
    figure = widgets.draw_your_own(vae(pictures.shape), pictures)
    slider(output(opened, "own"), "species").focus()
    opened.keyboard.press("End")
    says(output(opened, "own"), "species 1.00")
    figure.controls[0].value = 1
    assert same(output(opened, "own"), figure)


def test_the_mouse_draws_your_own(opened: Page) -> None:
    handle = slider(output(opened, "own"), "warmth")
    handle.scroll_into_view_if_needed()
    box, track = handle.bounding_box(), output(opened, "own").locator(".noUi-base").nth(2).bounding_box()
    opened.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    opened.mouse.down()
    opened.mouse.move(track["x"] + track["width"] / 2, box["y"] + box["height"] / 2, steps=5)
    opened.mouse.up()
    place = float(slider(output(opened, "own"), "warmth").get_attribute("aria-valuetext"))
    assert abs(place - 0.5) <= 0.051
    says(output(opened, "own"), f"warmth {place:.2f}")


def test_on_a_narrow_page_figures_get_smaller(opened: Page) -> None:
    sizes = opened.viewport_size
    opened.set_viewport_size({"width": 800, "height": 1000})
    try:
        for figure in opened.locator(".vae-figure").all():
            assert figure.evaluate("figure => figure.scrollWidth <= figure.clientWidth")
    finally:
        opened.set_viewport_size(sizes)


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])  # it has to be light again afterwards
def test_names_roles_values_and_colors_serve_everybody(opened: Page, theme: str) -> None:
    """axe-core finds nothing to complain of, with the theme chosen while the widgets are there."""
    opened.locator(".lm-MenuBar-itemLabel", has_text="Settings").click()
    opened.locator(".lm-Menu-itemLabel", has_text="Theme").first.hover()
    opened.locator(".lm-Menu-itemLabel", has_text=theme).first.click()
    opened.wait_for_selector(f"body[data-jp-theme-name='{theme}']", state="attached")
    for name in list(CELLS)[1:3]:
        output(opened, name).first.evaluate("part => part.setAttribute('data-checked', '')")
    found = Axe().run(opened, context="[data-checked]").response["violations"]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []


def test_a_page_made_of_the_notebook_shows_the_static_figures(opened: Page, lab: Lab, browser: Browser) -> None:
    opened.locator(".jp-Notebook h1").first.click()
    with opened.expect_response(lambda reply: reply.request.method == "PUT" and NAME in reply.url):
        opened.keyboard.press("Control+s")
    path = lab.folder / "notebooks" / NAME
    saved = nbformat.read(path, as_version=4)
    assert any(kernel.VIEW in part.get("data", {}) for cell in saved.cells[1:] for part in cell.outputs)
    html = runner.page(runner.Execution(path, saved, 0.0, 0.0, None))
    Path(lab.folder / "page.html").write_text(html, encoding="utf-8")
    with watched(browser, offline=True) as context:
        page = context.new_page()
        page.goto((lab.folder / "page.html").as_uri())
        assert page.get_by_text(kernel.NOTE).count() == 1
        images = page.locator(".jp-OutputArea-output img")
        assert images.count() == 2
        for image in images.all():
            assert image.evaluate("image => image.complete && image.naturalWidth > 0")
            assert image.get_attribute("alt")


def test_when_its_kernel_dies_the_last_picture_stays_and_the_page_says_so(opened: Page) -> None:
    before = picture(output(opened, "own"))
    lost = output(opened, "own").get_by_text(kernel.LOST)
    expect(lost).to_be_hidden()
    os.kill(int(re.search(r"kernel (\d+)", output(opened, "setup").inner_text())[1]), signal.SIGKILL)
    expect(lost).to_be_visible()
    assert np.array_equal(before, picture(output(opened, "own")))


# In a kernel without a page


def test_run_all_trains_shows_the_end_and_goes_on(tmp_path: Path) -> None:
    """By nbclient, as `make notebooks`, nbval and papermill use it."""
    code = (
        "import torch\nfrom vae_utils import data, widgets\nfrom vae_utils.models import Autoencoder\n"
        "torch.manual_seed(0)\nd = data.load('digits')\nmodel = Autoencoder(d.shape, 2, (8,))\n"
        "history = widgets.watch_training(model, d, steps=50)"
    )
    own = (
        "from vae_utils.models import VAE\ncats = data.load('cats_dogs')\n"
        "widgets.draw_your_own(VAE(cats.shape, 2, cats.likelihood), cats)"
    )
    cells = [new_code_cell(code), new_code_cell(own), new_code_cell("print(model.trained_steps)")]
    path = tmp_path / "01_run_all.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    run = runner.execute(path)
    assert run.error is None
    assert run.notebook.cells[2].outputs[0].text == "50\n"
    (trained,), (still,) = (cell.outputs for cell in run.notebook.cells[:2])
    assert "Step 50 of 50" in trained.data["text/html"]
    assert kernel.VIEW not in {*trained.data, *still.data}
    assert kernel.NOTE in runner.page(run)
    assert list(hygiene.output_problems(run.notebook)) == []
