"""Read what was handed in as a notebook, whatever a program has done to the file, and tell which assignment it is."""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from .archives import MOST_BYTES
from .cells import grade_id
from .terms import ASSIGNMENTS, SOURCES

HIDDEN = re.compile(r"^ *### BEGIN (HIDDEN TESTS|SOLUTION)\n.*?^ *### END \1\n?", re.DOTALL | re.MULTILINE)
BYTE_ORDER = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class NotANotebook(ValueError):
    """A file that can't be graded; the message says why."""


def text_of(content: bytes) -> str:
    """Return a file's text, without a byte-order mark."""
    encoding = next((name for mark, name in BYTE_ORDER.items() if content.startswith(mark)), "utf-8")
    return content.decode(encoding)


def is_like_a_notebook(content: bytes) -> bool:
    """Return whether the bytes are a table with cells in JSON, whatever the file is called."""
    try:
        raw = _table(content) if b"{" in content[:64] else None
    except NotANotebook:
        return False
    return isinstance(raw, dict) and isinstance(raw.get("cells", raw.get("worksheets")), list)


def read(content: bytes) -> NotebookNode:
    """Return the notebook in a file; what tools leave out of cells, such as empty metadata, is filled in.

    Raises:
        NotANotebook: There is none.
    """
    raw = _table(content)
    if not isinstance(raw, dict):
        raise NotANotebook("the file is JSON, but not a notebook")
    try:
        notebook = nbformat.reads(json.dumps(_filled(raw)), as_version=4)
        nbformat.validate(notebook)
        list(notebook.cells)
    except Exception as error:  # nbformat raises many kinds
        if isinstance(raw.get("cells"), list):
            reason = (str(error).splitlines() or [type(error).__name__])[0][:150]
            raise NotANotebook(f"the file is not a valid notebook: {reason}") from error
        raise NotANotebook("the file is JSON, but not a notebook") from error
    return notebook


def assignment_of(notebook: NotebookNode, sources: Path = SOURCES) -> str | None:
    """Return the assignment that a notebook is, by the ids, texts and functions that no other has; None if none is."""
    found = _marks(notebook)
    counts = Counter({name: len(found & marks) for name, marks in _known(sources).items()})
    (first, most), (_, second) = counts.most_common(2)
    return first if most > second else None


def _table(content: bytes) -> Any:
    if len(content) > MOST_BYTES:
        raise NotANotebook(
            f"the file has more than {MOST_BYTES // 1_000_000} MB: outputs cleared, it should be far below 1 MB"
        )
    if not content.strip():
        raise NotANotebook("the file is empty, not JSON")
    try:
        return json.loads(text_of(content))
    except (UnicodeError, ValueError, RecursionError) as error:
        raise NotANotebook("the file is not a notebook: it is not JSON") from error


def _filled(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook of format 4 with what it must have and nothing that grading has no need of, outputs above all.

    Programs leave required parts out, and write others that the format does not know.
    """
    if not isinstance(raw.get("cells"), list):
        return raw
    cells = [_plain(cell, number) if isinstance(cell, dict) else cell for number, cell in enumerate(raw["cells"])]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}


def _plain(cell: dict[str, Any], number: int) -> dict[str, Any]:
    kind = cell.get("cell_type") if cell.get("cell_type") in ("code", "raw") else "markdown"
    metadata = cell.get("metadata")
    mark = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    plain = {"cell_type": kind, "id": f"cell-{number}", "source": cell.get("source") or ""}
    plain["metadata"] = {} if mark is None else {"nbgrader": mark}
    if kind == "code":
        return plain | {"outputs": [], "execution_count": None}
    attached = cell.get("attachments")
    if isinstance(attached, dict) and all(isinstance(bundle, dict) for bundle in attached.values()):
        plain["attachments"] = attached
    return plain


def _marks(notebook: NotebookNode) -> set[tuple[str, str]]:
    marks: set[tuple[str, str]] = set()
    for cell in notebook.cells:
        marks.add(("id", grade_id(cell) or ""))
        marks.add(("text", HIDDEN.sub("", cell.source).strip()))
        marks.update(("function", name) for name in re.findall(r"^def (\w+)", cell.source, re.MULTILINE))
    return marks


@cache
def _known(sources: Path) -> dict[str, set[tuple[str, str]]]:
    """Return for each assignment the marks that no other has."""
    all_marks = {name: _marks(nbformat.read(sources / f"{name}.ipynb", as_version=4)) for name in ASSIGNMENTS}
    times = Counter(mark for marks in all_marks.values() for mark in marks)
    return {name: {mark for mark in marks if times[mark] == 1 and mark[1]} for name, marks in all_marks.items()}
