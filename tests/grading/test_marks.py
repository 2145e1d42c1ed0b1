"""The table of written answers: what spreadsheets do to it is understood, and marks that can't be are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("nbgrader", reason="the extra 'instructor' is not installed")

from scripts.grading import marks

KEY = ("ann", "loss", "mean_or_sum")


def a_row(**values: str) -> dict[str, str]:
    empty = {"points": "", "comment": "", "answer": "A mean."}
    return dict(zip(marks.FIELDS[:3], KEY, strict=True)) | {"most": "3"} | empty | values


@pytest.mark.parametrize("points", ["4", "many", "-1", "nan"])
def test_marks_that_can_not_be_are_refused(tmp_path: Path, points: str) -> None:
    marks.save(tmp_path / "written.csv", {KEY: a_row(points=points)})
    with pytest.raises(ValueError, match="row 2.*from 0 to 3"):
        marks.load(tmp_path / "written.csv")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "written.csv").write_text(
        "student,assignment,question,most\nann,loss,mean_or_sum,3\n", encoding="utf-8"
    )
    with pytest.raises(ValueError, match="row 2 has no points"):
        marks.load(tmp_path / "written.csv")


def test_a_table_comes_back_from_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "written.csv"
    assert marks.load(path) == {}
    marks.save(path, {KEY: a_row(points="2.5", answer="one line\nand another")})
    table = marks.load(path)
    assert (table[KEY]["points"], table[KEY]["answer"]) == ("2.5", "one line\nand another")
    # Some countries save with semicolons and commas in numbers, and some programs with a mark at the file's start.
    path.write_text(f"{';'.join(marks.FIELDS)}\n{';'.join(KEY)};3;2,5;Which weight?;A mean.\n", encoding="utf-8-sig")
    assert (marks.load(path)[KEY]["points"], marks.load(path)[KEY]["comment"]) == ("2.5", "Which weight?")


@pytest.mark.parametrize(
    ("text", "safe"), [("=SUM(A1)", "'=SUM(A1)"), ("+1", "'+1"), ("@x", "'@x"), ("-x", "'-x"), ("-1", "-1"), ("a", "a")]
)
def test_no_answer_is_a_formula(text: str, safe: str) -> None:
    assert marks.safe(text) == safe
