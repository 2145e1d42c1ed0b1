"""Pictures in what students wrote: kept with the text, whatever program put them there and under whatever name."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nbformat
from nbformat import NotebookNode

# No SVG: a page or a sheet that shows it might run what is in it.
KINDS = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")
TAG = re.compile(r"<img\b[^>]*?\bsrc\s*=\s*[\"']?((?:attachment|data):[^\"'\s>]+)[^>]*>", re.IGNORECASE)
# In Markdown: ![...](attachment:image.png), [1]: data:image/png;base64,...
REFERENCE = re.compile(r"(?P<lead>\]\(\s*<?|\]:\s*<?)(?P<where>attachment|data):(?P<rest>[^)\s\"'<>]+)")
GONE = "a-picture-that-can-not-be-shown"


def text_cell(cells: Sequence[NotebookNode]) -> tuple[NotebookNode, int]:
    """Return a text cell with the texts and pictures of cells, and the number of pictures that are not in the file."""
    kept = _Kept()
    texts = [kept.text(cell.source, cell.get("attachments")) for cell in cells]
    joined = nbformat.v4.new_markdown_cell("\n\n".join(texts))
    if kept.pictures:
        joined["attachments"] = nbformat.from_dict(kept.pictures)
    return joined, kept.lost


class _Kept:
    """The pictures of some texts, under names that no two of them share, and how many could not be kept."""

    def __init__(self) -> None:
        self.pictures: dict[str, dict[str, str]] = {}
        self.lost = 0

    def text(self, source: str, attached: Any) -> str:
        """Return a text that refers to its pictures by their new names."""
        return REFERENCE.sub(lambda match: self._keep(match, attached), TAG.sub(r"![](\1)", source))

    def _keep(self, match: re.Match[str], attached: Any) -> str:
        if not (found := _picture(match["where"], match["rest"], attached)):
            self.lost += 1
            return match["lead"] + GONE
        kind, data = found
        name = f"picture-{len(self.pictures) + 1}.{KINDS[kind]}"
        self.pictures[name] = {kind: data}
        return f"{match['lead']}attachment:{name}"


def saved(cell: NotebookNode, folder: Path, name: str) -> str:
    """Write a cell's pictures into a folder; return its text with their paths, from the folder's parent.

    The files' names begin with `name`, and change with the pictures.
    """
    text = cell.source
    for old, bundle in cell.get("attachments", {}).items():
        for kind, data in bundle.items():
            content = base64.b64decode(data)
            file = f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.{KINDS[kind]}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
            text = text.replace(f"attachment:{old}", f"{folder.name}/{file}")
    return text


def _picture(where: str, rest: str, attached: Any) -> tuple[str, str] | None:
    """Return kind and bytes, in base 64, of the picture that a reference means; None if there is none to show."""
    if where == "data":
        kind, _, data = rest.partition(";base64,")
        bundle: Any = {kind: data}
    else:
        bundle = None
        if isinstance(attached, dict):
            bundle = attached.get(rest) or attached.get(unquote(rest))
    for kind, data in bundle.items() if isinstance(bundle, dict) else ():
        data = "".join(data) if isinstance(data, list) else data
        if kind in KINDS and isinstance(data, str) and BASE64.fullmatch(data):
            try:
                return kind, base64.b64encode(base64.b64decode(data)).decode()
            except ValueError:
                continue
    return None
