"""Notebooks as students hand them in."""

from __future__ import annotations

import re

import nbformat
from nbformat import NotebookNode

from scripts.grading.course import Course


def notebook_of(course: Course, assignment: str, answers: dict[str, str] | None = None) -> NotebookNode:
    """Return the release with these sources in its cells, by id."""
    notebook = nbformat.read(course.release(assignment), as_version=4)
    for cell in notebook.cells:
        cell.source = (answers or {}).get(cell.metadata.nbgrader.grade_id, cell.source)
    return notebook


def solution(course: Course, assignment: str) -> dict[str, str]:
    """Return the solution cells of the source, by id, without the marks around them."""
    notebook = nbformat.read(course.source(assignment), as_version=4)
    found = {cell.metadata.nbgrader.grade_id: cell.source for cell in notebook.cells if cell.metadata.nbgrader.solution}
    return {name: re.sub(r" *### (BEGIN|END) SOLUTION\n?", "", source) for name, source in found.items()}


def as_colab_saves(notebook: NotebookNode, marks: bool = True) -> dict:
    """Return a notebook as Colab writes it: format 4.0, no ids of cells, metadata of its own, and outputs.

    Args:
        notebook: What was opened there.
        marks: Whether nbgrader's metadata is still there.
    """
    cells = []
    for number, cell in enumerate(notebook.cells):
        metadata: dict = dict(cell.metadata) if marks else {}
        metadata |= {"id": f"bX{number:02}kQz_Lm9"}
        saved: dict = {"cell_type": cell.cell_type, "source": cell.source.splitlines(keepends=True)}
        if cell.cell_type == "code":
            metadata |= {"colab": {"base_uri": "https://localhost:8080/"}, "outputId": f"0f{number:02}-11"}
            stream = {"output_type": "stream", "name": "stdout", "text": ["ran\n"]}
            saved |= {"execution_count": number, "outputs": [stream]}
        cells.append(saved | {"metadata": metadata})
    top = {"colab": {"provenance": [], "toc_visible": True}, "accelerator": "GPU", "language_info": {"name": "python"}}
    return {
        "nbformat": 4,
        "nbformat_minor": 0,
        "metadata": top | {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "cells": cells,
    }
