"""Stand in for the former module of this name until its last user, tests/project/test_trouble.py, reads pages."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from scripts import pages
from scripts.pages import Page, read

__all__ = ["Page", "headings", "read"]


def headings(page: Page) -> Iterator[tuple[str, int, str]]:
    """Yield place, level and text of each heading."""
    yield from page.headings


if __name__ == "__main__":
    sys.exit(pages.main())
