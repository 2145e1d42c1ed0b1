"""A browser and a running JupyterLab, for the tests of what a learner sees."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, Route, sync_playwright

from lab_server import Lab, running_lab

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def installed_browser() -> str | None:
    """Where a Chromium or Chrome is installed, None if nowhere."""
    found = filter(None, map(shutil.which, NAMES))
    return next(found, str(MAC) if MAC.exists() else None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium. Without one the test is skipped, or fails where VAE_REQUIRE_BROWSER=1."""
    path = installed_browser()
    if path is None:
        reason = "no Chromium or Chrome on PATH"
        if os.environ.get("VAE_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield chromium
        chromium.close()


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
