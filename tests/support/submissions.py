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
