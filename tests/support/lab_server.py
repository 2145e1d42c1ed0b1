"""scripts/lab.py as `make lab` starts it, for tests."""

from __future__ import annotations

import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60  # seconds for the server to start, and to stop
ADDRESS = re.compile(r"http://(?:localhost|127\.0\.0\.1):\d+\S*")
# Every cell is drawn at once, so that a test finds it without scrolling.
NO_WINDOWING = '{"windowingMode": "none"}'


@dataclass
class Lab:
    """A running JupyterLab: the address that it printed, the folder it serves, and its process."""

    url: str
    folder: Path
    process: subprocess.Popen

    def interrupt(self) -> int:
        """Stop it as Ctrl-C does; returns its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


@contextmanager
def running_lab(home: Path) -> Iterator[Lab]:
    """JupyterLab on a copy of notebooks/ under `home`, which also holds its settings; stopped at the end."""
    folder = home / "course"
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns(".*"))
    settings = home / "settings"
    plugin = settings / "@jupyterlab" / "notebook-extension"
    plugin.mkdir(parents=True)
    (plugin / "tracker.jupyterlab-settings").write_text(NO_WINDOWING)
    environment = os.environ | {
        "CI": "true",
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    environment.pop("JUPYTER_TOKEN", None)
    command = [sys.executable, str(ROOT / "scripts" / "lab.py"), "--port=0", f"--ServerApp.root_dir={folder}"]
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        preexec_fn=heed_interrupts if os.name == "posix" else None,
    )
    try:
        url = printed_address(process)
        wait_until_open(url, process)
        yield Lab(url, folder, process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def heed_interrupts() -> None:
    """Undo what a shell does to programs that it starts in the background: they and their children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_until_open(url: str, process: subprocess.Popen) -> None:
    """Return when the address takes connections: the server prints it a moment before that."""
    where = urllib.parse.urlsplit(url)
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((where.hostname, where.port), timeout=PATIENCE).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"JupyterLab printed {url} but nothing answers there")


def printed_address(process: subprocess.Popen) -> str:
    """The first address that a program prints. Raises AssertionError with all it said if there is none."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    said = []
    while True:
        try:
            line = lines.get(timeout=PATIENCE)
        except queue.Empty:
            line = None
        if line is None:
            raise AssertionError(f"JupyterLab printed no address: {''.join(said)}")
        said.append(line)
        if match := ADDRESS.search(line):
            return match[0]


def run_all(page: Page) -> None:
    """Choose Run All Cells in an open notebook, once its kernel has answered.

    Before that, JupyterLab may take the order and run nothing.
    """
    page.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| Idle$")).wait_for(timeout=1000 * PATIENCE)
    for item in ("Run", "Run All Cells"):
        page.get_by_role("menuitem", name=item, exact=True).click()
