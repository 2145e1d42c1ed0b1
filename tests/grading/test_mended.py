"""Hand-ins that went wrong on the way, graded: right code has its points, a written answer goes to who marks."""

from __future__ import annotations

import base64
import csv
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

pytest.importorskip("nbgrader", reason="the extra 'instructor' is not installed")

from scripts.grading import marks
from scripts.grading.course import Course
from scripts.grading.release import make
from scripts.grading.run import grade
from scripts.grading.terms import term
from tests.support.hand_ins import zipped
from tests.support.submissions import notebook_of, solution

pytestmark = pytest.mark.filterwarnings("ignore")  # nbgrader's own, about its database
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ANSWER = "It is P times B."


def place(notebook: NotebookNode, name: str) -> int:
    return next(
        at for at, cell in enumerate(notebook.cells) if cell.metadata.get("nbgrader", {}).get("grade_id") == name
    )


def halved(notebook: NotebookNode) -> None:
    """Split an answer as JupyterLab does: both halves keep the id."""
    where = place(notebook, "kl_between")
    whole = notebook.cells[where]
    half = nbformat.from_dict(whole)
    half.source = "def half(x):\n    return 0.5 * x"
    whole.source = whole.source.replace("0.5 * ", "half(1) * ")
    assert "half(1)" in whole.source
    notebook.cells.insert(where, half)


def below(notebook: NotebookNode) -> None:
    """Write the answer into a new cell below the one for it."""
    notebook.cells.insert(place(notebook, "mean_or_sum") + 1, nbformat.v4.new_markdown_cell(ANSWER))


def unmarked(notebook: NotebookNode) -> None:
    """Lose the mark of the answer's cell."""
    cell = notebook.cells[place(notebook, "mean_or_sum")]
    cell.source, cell.metadata = ANSWER, nbformat.from_dict({})


def all_unmarked(notebook: NotebookNode) -> None:
    """Lose all marks."""
    unmarked(notebook)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})


def with_picture(notebook: NotebookNode) -> None:
    """Paste a picture into an answer, and refer to one that is not there in a cell of one's own."""
    cell = notebook.cells[place(notebook, "mean_or_sum")]
    cell.source = f"{ANSWER}\n\n![image.png](attachment:image.png)"
    cell["attachments"] = {"image.png": {"image/png": base64.b64encode(PIXEL).decode()}}
    notebook.cells.append(nbformat.v4.new_markdown_cell("![gone](attachment:gone.png)"))


@dataclass(frozen=True)
class Graded:
    """What came out: rows of grades.csv by student, those without one, written.csv, what was said, the folder."""

    rows: dict[str, dict[str, str]]
    listed: list[dict[str, str]]
    written: marks.Table
    said: str
    out: Path


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Graded:
    folder = tmp_path_factory.mktemp("mended")
    course = Course(folder / "course", term())
    make(course)
    right = solution(course, "loss")
    right.pop("mean_or_sum")
    members = {}
    for number, change in enumerate((halved, below, unmarked, all_unmarked, with_picture)):
        notebook = notebook_of(course, "loss", right)
        change(notebook)
        members[f"submission_{number}/my_loss.ipynb"] = b"\xef\xbb\xbf" + nbformat.writes(notebook).encode()
    members |= {"submission_0/._my_loss.ipynb": b"\0\5\x16\7", "submission_0/notes.pdf": b"%PDF"}
    lines = [f"submission_{number}:\n  :submitters:\n  - :name: {name}\n" for number, name in enumerate("ABCDE")]
    members["submission_metadata.yml"] = "".join(lines).encode()
    (folder / "it's mine.zip").write_bytes(zipped(members))
    said: list[str] = []
    grade(course, folder / "it's mine.zip", folder / "out", say=said.append)
    with (folder / "out" / "grades.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    table = marks.load(folder / "out" / "written.csv")
    by_student = {row["student"]: row for row in rows if row["student"]}
    return Graded(by_student, [row for row in rows if not row["student"]], table, "\n".join(said), folder / "out")


def test_every_file_is_counted(graded: Graded) -> None:
    assert "8 files: 5 graded, 1 not recognized, 2 no submission." in graded.said
    assert len(graded.rows) + len(graded.listed) == 8
    (strange,) = (row for row in graded.listed if row["status"] == "not recognized")
    assert (strange["file"], strange["remarks"]) == ("submission_0/notes.pdf", "not a notebook")


@pytest.mark.parametrize("student", "ABCDE")
def test_right_code_has_its_points(graded: Graded, student: str) -> None:
    assert (graded.rows[student]["status"], graded.rows[student]["points"]) == ("graded", "17")


@pytest.mark.parametrize("student", "BCDE")
def test_a_written_answer_goes_to_who_marks(graded: Graded, student: str) -> None:
    assert graded.rows[student]["to_mark"] == "1"
    assert graded.written[student, "loss", "mean_or_sum"]["answer"].startswith(ANSWER)
    assert ANSWER in (graded.out / "feedback" / f"{student}_loss.html").read_text(encoding="utf-8")


def test_an_untouched_one_does_not(graded: Graded) -> None:
    assert graded.rows["A"]["to_mark"] == "0" and ("A", "loss", "mean_or_sum") not in graded.written


def test_remarks_say_what_was_done(graded: Graded) -> None:
    assert graded.rows["A"]["remarks"] == (
        "cells found more than once: kl_between; what differs in them is kept, in order"
    )
    assert "mean_or_sum may stand in other cells" in graded.rows["B"]["remarks"]
    assert "picture that the text shows is not in the file" in graded.rows["E"]["remarks"]
    assert not any(word in row["remarks"] for row in graded.rows.values() for word in ("missing", "changed", "failed"))


def test_pictures_come_to_the_page_and_to_who_marks(graded: Graded) -> None:
    (picture,) = (graded.out / "pictures").iterdir()
    assert picture.read_bytes() == PIXEL
    assert f"pictures/{picture.name}" in graded.written["E", "loss", "mean_or_sum"]["answer"]
    page = (graded.out / "feedback" / "E_loss.html").read_text(encoding="utf-8")
    assert f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}" in page
