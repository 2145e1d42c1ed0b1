"""What `make lab` opens: the first notebook, readable before anything is run."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, expect

from tests.support.lab_server import Lab

LOADING = 60_000  # milliseconds for JupyterLab to draw a notebook


@pytest.fixture
def first(lab: Lab, page: Page) -> Page:
    """The page at the address that the server printed, with the notebook drawn."""
    page.goto(lab.url)
    expect(page.locator(".jp-Notebook .jp-Cell").first).to_be_visible(timeout=LOADING)
    return page


def test_opens_the_first_notebook(first: Page, lab: Lab, notebooks: list[Path]) -> None:
    assert "/lab/tree/notebooks/01_autoencoder.ipynb?token=" in lab.url
    title = nbformat.read(notebooks[1], as_version=4).cells[0].source.splitlines()[0].removeprefix("# ")
    heading = first.locator(".jp-Notebook h1").first
    expect(heading).to_be_visible(timeout=LOADING)
    assert heading.inner_text().strip().rstrip("¶").strip() == title


def test_every_stored_figure_says_what_it_shows(first: Page, notebooks: list[Path]) -> None:
    outputs = [
        output
        for cell in nbformat.read(notebooks[1], as_version=4).cells
        for output in cell.get("outputs", [])
        if any(kind.startswith("image/") for kind in output.get("data", {}))
        or "<img" in "".join(output.get("data", {}).get("text/html", ""))
    ]
    assert outputs, "the first notebook stores no figure"
    figures = first.locator(".jp-OutputArea-output img")
    expect(figures.nth(len(outputs) - 1)).to_be_attached(timeout=LOADING)
    silent = [index for index in range(figures.count()) if not (figures.nth(index).get_attribute("alt") or "").strip()]
    assert silent == []
