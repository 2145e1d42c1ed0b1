"""Where a Chromium is for the tests that need one, and what happens where there is none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def required() -> str:
    """The path of an installed Chromium or Chrome. Without one the test is skipped, or fails where
    VAE_REQUIRE_BROWSER=1."""
    path = next(filter(None, map(shutil.which, NAMES)), str(MAC) if MAC.exists() else None)
    if path is None:
        reason = "no Chromium or Chrome on PATH"
        if os.environ.get("VAE_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path
