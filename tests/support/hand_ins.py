"""Made-up folders of what students handed in, for tests of collecting."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from scripts.grading.terms import SOURCES


@cache
def a_notebook(assignment: str = "loss") -> bytes:
    """Return a notebook of the assignment."""
    return (SOURCES / f"{assignment}.ipynb").read_bytes()


def export(folder: Path, paths: Iterable[str]) -> None:
    """Write a notebook of `loss` to each path; all have the same time."""
    for path in paths:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(a_notebook())
        os.utime(file, (1.8e9, 1.8e9))


def zipped(members: Mapping[str, bytes]) -> bytes:
    """Return a zip file with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()
