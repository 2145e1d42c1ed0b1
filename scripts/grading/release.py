"""Make the students' versions of the assignments: this term's numbers in, solutions and hidden tests out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from scripts.paths import ROOT
from scripts.publish import CELL

from .course import Course, fetching
from .nbgrader_settings import api
from .question import probes_of
from .terms import ASSIGNMENTS, CourseError

KEPT = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}}
# JupyterHub and the formgrader read this file from the course folder, outside of the repository.
CONFIG = '''"""nbgrader's settings for this folder, for JupyterHub or the formgrader; made by `make assignments`."""
import sys
from pathlib import Path

sys.path.insert(0, {root!r})
from scripts.grading.course import Course
from scripts.grading.nbgrader_settings import config

c = get_config()  # noqa: F821
c.merge(config(Course.at(Path(__file__).parent)))
'''


def make(course: Course) -> list[Path]:
    """Write the students' versions of all assignments; submissions and grades that are in the folder go.

    Returns:
        Their paths.

    Raises:
        CourseError: The folder holds something else, a source and its key don't fit together, or nbgrader fails.
    """
    if course.folder.exists():
        if any(course.folder.iterdir()) and not (course.folder / "term.json").exists():
            raise CourseError(f"{course.folder} holds something else; name another folder.")
        shutil.rmtree(course.folder)
    course.folder.mkdir(parents=True)
    course.note("unfinished")
    for assignment in ASSIGNMENTS:
        notebook = _source(course, assignment)
        course.source(assignment).parent.mkdir(parents=True)
        nbformat.write(notebook, course.source(assignment))
        probes = course.probes(assignment)
        probes.parent.mkdir(exist_ok=True)
        probes.write_text(json.dumps(probes_of(course.questions(assignment).values())), encoding="utf-8")
    (course.folder / "nbgrader_config.py").write_text(CONFIG.format(root=str(ROOT)), encoding="utf-8")
    nbgrader = api(course)
    for assignment in ASSIGNMENTS:
        done = nbgrader.generate_assignment(assignment, force=True, create=True)
        if not done["success"]:
            raise CourseError(f"nbgrader could not make {assignment}:\n{done.get('log') or done.get('error')}")
    course.note(course.fingerprint())
    return [course.release(assignment) for assignment in ASSIGNMENTS]


def _source(course: Course, assignment: str) -> NotebookNode:
    """Return the source notebook with this term's numbers, and nothing in it that would leak into the release."""
    notebook = nbformat.read(course.sources / f"{assignment}.ipynb", as_version=4)
    # Outputs, widget states, tags and attachments would go into the release as they are.
    notebook.metadata = nbformat.from_dict(KEPT)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({"nbgrader": cell.metadata.get("nbgrader", {})})
        cell.pop("attachments", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    _check(course, assignment, notebook)
    for cell in notebook.cells:
        if cell.metadata.nbgrader.get("grade_id") == "term":
            cell.source = course.term.cell(assignment)
    first = next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    notebook.cells.insert(first, _fetching())
    return notebook


def _fetching() -> NotebookNode:
    """Return the cell that fetches the course where it is not installed, as on Colab."""
    cell = nbformat.v4.new_code_cell(fetching())
    mark = {"grade": False, "grade_id": CELL, "locked": True, "schema_version": 3, "solution": False, "task": False}
    cell.metadata = nbformat.from_dict({"nbgrader": mark})
    return cell


def _check(course: Course, assignment: str, notebook: NotebookNode) -> None:
    """Raise CourseError if notebook and key don't fit together."""
    where = f"notebooks/assignments/{assignment}.ipynb"
    marks = [cell.metadata.nbgrader for cell in notebook.cells]
    if not all(mark.get("grade_id") for mark in marks):
        number = next(i for i, mark in enumerate(marks) if not mark.get("grade_id"))
        raise CourseError(
            f"{where}: cell {number + 1} has no nbgrader id. Give it one (Create Assignment panel), locked."
        )
    found = {mark.grade_id for mark in marks if mark.grade and not mark.solution}
    wanted = set(probes_of(course.questions(assignment).values()))
    for missing in sorted(wanted - found):
        raise CourseError(f"{where} has no test cell {missing!r}, which keys/{assignment}.py describes.")
    for extra in sorted(found - wanted):
        raise CourseError(f"{where}: test cell {extra!r} has no part of a question in keys/{assignment}.py.")
    if not any(mark.grade_id == "term" for mark in marks):
        raise CourseError(f"{where} has no cell 'term' for the numbers of the term.")
