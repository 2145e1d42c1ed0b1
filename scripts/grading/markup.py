"""Make what students wrote and what their code showed harmless for the browser that opens a feedback page."""

from __future__ import annotations

import re

from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor

from .submission_log import Resources


class EscapeMarkup(NbGraderPreprocessor):
    """Show markup in what students wrote as text, so that no page runs their scripts."""

    def preprocess_cell(self, cell: NotebookNode, resources: Resources, index: int) -> tuple[NotebookNode, Resources]:
        """Escape the markup in a text cell that is the student's."""
        if cell.cell_type == "markdown" and not cell.metadata.get("nbgrader", {}).get("locked", False):
            cell.source = re.sub(r"<(?=[a-zA-Z/!?])", "&lt;", cell.source)
        return cell, resources


def harmless(output: NotebookNode) -> NotebookNode | None:
    """Return a student's output without what a page could run: text and pixels stay. None if nothing does."""
    if "data" in output:
        output.data = {kind: value for kind, value in output.data.items() if kind in ("text/plain", "image/png")}
        if not re.fullmatch(r"[A-Za-z0-9+/=\s]*", str(output.data.get("image/png", ""))):
            del output.data["image/png"]
        output.metadata = {}
        if not output.data:
            return None
    return output
