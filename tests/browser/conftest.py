"""A browser, a running JupyterLab and the playground's own page, for the tests of what a learner sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.pages import PATIENCE, watched
from tests.support import chromium
from tests.support.lab_server import Lab, running_lab


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    path = chromium.required()
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=chromium.OPTIONS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab as `make lab` starts it, on a copy of the notebooks; one for each module, since JupyterLab opens
    what was open before."""
    with running_lab(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The playground on a page of its own, as a file."""
    from vae_utils.widgets.figures.playground import playground_page

    file = tmp_path_factory.mktemp("playground") / "playground.html"
    file.write_text(playground_page(), encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens the playground in a fresh context; fails the test if a script fails or the page asks for anything."""
    asked: list[str] = []
    with ExitStack() as contexts:

        def visit(hash: str = "", before: str = "", **options: object) -> Page:
            page = contexts.enter_context(watched(browser, **options)).new_page()
            page.on("request", lambda r: r.url.startswith(("file:", "data:", "blob:")) or asked.append(r.url))
            if before:
                page.add_init_script(before)
            page.goto(address + hash)
            expect(page.locator(".playground")).to_be_visible()
            return page

        yield visit
    assert asked == []
