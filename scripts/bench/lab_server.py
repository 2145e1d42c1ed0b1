"""A JupyterLab as `make lab` starts it, for benchmarks and tests."""

from __future__ import annotations

import os
import queue
import re
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

from scripts.paths import ROOT

PATIENCE = 60  # seconds for the server to start, and to stop
ADDRESS = re.compile(r"http://(?:localhost|127\.0\.0\.1):\d+\S*")


@dataclass
class Lab:
    """A running JupyterLab: the address that it printed, the folder it serves, and its process."""

    url: str
    folder: Path
    process: subprocess.Popen[str]

    def interrupt(self) -> int:
        """Stop it as Ctrl-C does; return its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


@contextmanager
def running_lab(folder: Path, home: Path) -> Iterator[Lab]:
    """Start JupyterLab on `folder`, with its settings in `home`, and stop it at the end.

    Raises:
        RuntimeError: It printed no address, or nothing answers there.
    """
    environment = os.environ | {
        "CI": "true",
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    environment.pop("JUPYTER_TOKEN", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.lab", "--port=0", f"--ServerApp.root_dir={folder}"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        preexec_fn=_heed_interrupts if os.name == "posix" else None,
    )
    try:
        url = _printed_address(process)
        _wait_until_open(url, process)
        yield Lab(url, folder, process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _heed_interrupts() -> None:
    """Restore SIGINT, which a shell makes the programs that it starts in the background ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_until_open(url: str, process: subprocess.Popen[str]) -> None:
    """Wait until the address takes connections; the server prints it a moment before."""
    where = urllib.parse.urlsplit(url)
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((where.hostname or "", where.port or 0), timeout=PATIENCE).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"JupyterLab printed {url} but nothing answers there")


def _printed_address(process: subprocess.Popen[str]) -> str:
    """Return the first address that a program prints. Raise RuntimeError with its output if there is none."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        """Read to the end, long after the address, so that the program never waits for a reader."""
        for line in process.stdout or ():
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    printed: list[str] = []
    while True:
        try:
            line = lines.get(timeout=PATIENCE)
        except queue.Empty:
            line = None
        if line is None:
            raise RuntimeError(f"JupyterLab printed no address: {''.join(printed)}")
        printed.append(line)
        if match := ADDRESS.search(line):
            return match[0]
