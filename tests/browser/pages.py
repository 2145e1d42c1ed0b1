"""What the browser tests share: a browser context that listens for failing scripts, and how long to wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext

PATIENCE = 120_000  # milliseconds, for whatever a test waits for: a busy machine is slow, not wrong


@contextmanager
def watched(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """Open a browser context; at the end, fail if a script on one of its pages failed."""
    context = browser.new_context(**{"viewport": {"width": 1300, "height": 1000}, **options})
    context.set_default_timeout(PATIENCE)
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield context
    context.close()
    assert errors == []
