"""What nbgrader's marks on a cell mean."""

from __future__ import annotations

from nbformat import NotebookNode
from nbgrader.utils import is_grade, is_solution


def grade_id(cell: NotebookNode) -> str | None:
    """Return the cell's id, or None if it has none: students' files hold anything."""
    mark = cell.metadata.get("nbgrader")
    name = mark.get("grade_id") if isinstance(mark, dict) else None
    return name if isinstance(name, str) else None


def is_test(cell: NotebookNode) -> bool:
    """Return whether the cell tests an answer."""
    return cell.cell_type == "code" and is_grade(cell) and not is_solution(cell)


def split(test: str) -> tuple[str, str]:
    """Return question and part from a test cell's id, "QUESTION-PART"."""
    name, _, part = test.rpartition("-")
    return name, part
