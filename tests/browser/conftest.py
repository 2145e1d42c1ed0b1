"""A browser and a running JupyterLab, for the tests of what a learner sees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, Page, Route, sync_playwright

from tests.support import chromium
from tests.support.lab_server import Lab, running_lab


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    path = chromium.required()
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


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new page that reaches nothing but this machine; it fails the test if a script on it fails."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    errors: list[Error] = []

    def only_here(route: Route) -> None:
        here = route.request.url.split("/")[2].split(":")[0] in ("localhost", "127.0.0.1")
        route.continue_() if here else route.abort()

    context.route("http://**", only_here)
    context.route("https://**", only_here)
    opened = context.new_page()
    opened.on("pageerror", lambda error: errors.append(error))
    yield opened
    context.close()
    assert errors == []
