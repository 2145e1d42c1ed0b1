"""JupyterLab on a copy of the notebooks, as `make lab` starts it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.bench import lab_server
from scripts.bench.lab_server import PATIENCE, Lab
from scripts.paths import NOTEBOOKS

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["Lab", "run_all", "running_lab"]

# Every cell is drawn at once, so that a test finds it without scrolling.
NO_WINDOWING = '{"windowingMode": "none"}'


@contextmanager
def running_lab(home: Path) -> Iterator[Lab]:
    """Start JupyterLab on a copy of notebooks/ under `home`, which also holds its settings; stop it at the end."""
    folder = home / "course"
    shutil.copytree(NOTEBOOKS, folder / "notebooks", ignore=shutil.ignore_patterns(".*"))
    plugin = home / "settings" / "@jupyterlab" / "notebook-extension"
    plugin.mkdir(parents=True)
    (plugin / "tracker.jupyterlab-settings").write_text(NO_WINDOWING)
    with lab_server.running_lab(folder, home) as lab:
        yield lab


def run_all(page: Page) -> None:
    """Choose Run All Cells in an open notebook, once its kernel has answered.

    Before that, JupyterLab may accept the command and run nothing.
    """
    page.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| Idle$")).wait_for(timeout=1000 * PATIENCE)
    for item in ("Run", "Run All Cells"):
        page.get_by_role("menuitem", name=item, exact=True).click()
