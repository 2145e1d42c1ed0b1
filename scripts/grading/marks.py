"""Keep the written answers in a table to mark by hand, and put its marks into the gradebook."""

from __future__ import annotations

import csv
from pathlib import Path

from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.utils import compute_checksum, is_grade, is_solution

from .pictures import saved

Row = dict[str, str]
Table = dict[tuple[str, str, str], Row]  # rows by student, assignment and question
FIELDS = ("student", "assignment", "question", "most", "points", "comment", "answer")


def written(notebook: NotebookNode, folder: Path, prefix: str) -> dict[str, tuple[float, str]]:
    """Return the written answers in an autograded notebook, points at most and text by id, without untouched ones.

    Their pictures go into the folder, as PREFIX_QUESTION-*, and the texts name the files.
    """
    return {
        (name := cell.metadata.nbgrader.grade_id): (
            float(cell.metadata.nbgrader.points),
            saved(cell, folder, f"{prefix}_{name}"),
        )
        for cell in notebook.cells
        if is_grade(cell) and is_solution(cell) and cell.metadata.nbgrader.get("checksum") != compute_checksum(cell)
    }


def load(path: Path) -> Table:
    """Read the table; it is empty if there is no such file.

    Raises:
        ValueError: A column is missing, or a row's points can't be; the message names the row.
    """
    if not path.exists():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        text = file.read()
    # Spreadsheets in some countries save with semicolons.
    first = text.splitlines()[0] if text.strip() else ""
    rows = csv.DictReader(text.splitlines(keepends=True), delimiter=";" if first.count(";") > first.count(",") else ",")
    table = {}
    for number, row in enumerate(rows, start=2):
        if missing := [name for name in FIELDS[:5] if row.get(name) is None]:
            raise ValueError(f"{path}: row {number} has no {', '.join(missing)}; the columns are {', '.join(FIELDS)}.")
        if points := row["points"].strip().replace(",", "."):
            try:
                fits = 0 <= float(points) <= float(row["most"].replace(",", "."))
            except ValueError:
                fits = False
            if not fits:
                raise ValueError(
                    f"{path}: row {number}: points {row['points']!r}, expected a number from 0 to {row['most']}."
                )
        row["points"] = points
        table[row["student"], row["assignment"], row["question"]] = row
    return table


def save(path: Path, table: Table) -> None:
    """Write the table, sorted by question, so that one question is marked at a time."""
    rows = sorted(table.values(), key=lambda row: (row["assignment"], row["question"], row["student"]))
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({name: safe(str(value)) for name, value in row.items() if name in FIELDS} for row in rows)
    fresh.replace(path)


def safe(text: str) -> str:
    """Return a text so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "@") or (text[:1] == "-" and not _is_number(text)) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def enter(database: str, table: Table) -> set[tuple[str, str]]:
    """Put the marks and comments into the gradebook.

    Returns:
        The pairs of student and assignment that changed.
    """
    changed = set()
    with Gradebook(database, "vae") as book:
        for (student, assignment, question), row in table.items():
            try:
                grade = book.find_grade(question, assignment, assignment, student)
                comment = book.find_comment(question, assignment, assignment, student)
            except MissingEntry:
                continue
            points = float(row["points"]) if row["points"] else None
            text = (row.get("comment") or "").strip() or None
            waits = points is None and grade.auto_score is None
            if (grade.manual_score, comment.manual_comment, grade.needs_manual_grade) != (points, text, waits):
                grade.manual_score, comment.manual_comment, grade.needs_manual_grade = points, text, waits
                changed.add((student, assignment))
        book.db.commit()
    return changed
