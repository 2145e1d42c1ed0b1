"""The Chromium of the tests that need one, and what happens where there is none."""

from __future__ import annotations

import os

import pytest

from scripts.bench import browser

OPTIONS = [*browser.OPTIONS]


def required() -> str:
    """Return the path of an installed Chromium or Chrome; else skip the test, or fail if VAE_REQUIRE_BROWSER=1."""
    path = browser.find()
    if path is None:
        reason = "no Chromium or Chrome on PATH"
        if os.environ.get("VAE_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path
