"""Chromium for the benchmarks, and the modules of live figures as one object of a page."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from vae_utils.widgets.figure import joined

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def find() -> str | None:
    """Return the path of an installed Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, NAMES)), str(MAC) if MAC.exists() else None)


def as_object(name: str, *modules: str) -> str:
    """Return a script that makes an object of what these modules of js/, and those they import, have at top level."""
    script = joined(*modules)
    names = ", ".join(re.findall(r"^(?:class|const|function) (\w+)", script, re.MULTILINE))
    return f"var {name} = (() => {{\n{script}\nreturn {{ {names} }};\n}})();"


@contextmanager
def headless() -> Iterator[Browser]:
    """Start a headless Chromium. Exit with a message if there is none on the PATH."""
    path = find()
    if path is None:
        raise SystemExit("This benchmark needs Chromium or Chrome on the PATH.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()
