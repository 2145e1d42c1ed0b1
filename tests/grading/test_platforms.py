"""Made-up exports of learning platforms, a class of 30 in each: whose files they are, and that none is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("nbgrader", reason="the extra 'instructor' is not installed")

from scripts.grading import names
from scripts.grading.intake import OTHER, UNKNOWN, collect
from scripts.grading.platforms import owner
from tests.support.hand_ins import a_notebook, export, zipped

# First and last names; the last two are two people.
CLASS = [
    *((f"First{letter}", "Smith") for letter in "ABCDEFGHIJ"),
    *(("Jane", f"Last{letter}") for letter in "ABCDEFGHIJ"),
    ("José", "Núñez"), ("कुमार", "शर्मा"), ("Nguyễn", "Ánh"), ("Conor", "O'Brien"), ("Mary-Ann", "van der Berg"),
    ("李", "伟"), ("Zoë", "Ünal"), ("Øyvind", "Å"), ("Anna", "Lee"), ("Anna", "Lee"),
]  # fmt: skip
PLACE = {
    "Moodle": lambda n, first, last: f"{first} {last}_{1000 + n}_assignsubmission_file_/Copy of loss.ipynb",
    "Moodle, files": lambda n, first, last: f"{first} {last}_{1000 + n}_assignsubmission_file_loss.ipynb",
    "Moodle, blind": lambda n, first, last: f"Participant_{1000 + n}_assignsubmission_file_/my_loss.ipynb",
    "Canvas": lambda n, first, last: (
        f"{last}{first}_{'LATE_' * (n % 2)}{81000 + n}_{99990 + n}_loss-{n % 3}.ipynb".lower()
    ),
    "Canvas, blind": lambda n, first, last: f"anon_x7K{n}_{99990 + n}_loss.ipynb",
    "Blackboard": lambda n, first, last: f"Homework 4_u{n}_attempt_2027-05-03-17-12-{n:02}_loss.ipynb",
    "Brightspace": lambda n, first, last: f"{100 + n}-777 - {first} {last} - May 3, 2027 512 PM/loss.ipynb",
    "Brightspace, files": lambda n, first, last: f"{100 + n}-777 - {first} {last}- May 3, 2027 512 PM - loss.ipynb",
    "ILIAS": lambda n, first, last: f"Abgaben/{last}_{first}_u{n}_{4000 + n}/20270503171209_loss.ipynb",
    "Gradescope": lambda n, first, last: f"assignment_1_export/submission_{3000 + n}/hw4_loss.ipynb",
    "Google Classroom": lambda n, first, last: f"Homework 4/{first} {last}{' (2)' * (n == 29)} - homework.ipynb",
}


@pytest.mark.parametrize("platform", PLACE)
@pytest.mark.parametrize("packed", [False, True])
def test_no_student_of_an_export_is_lost(tmp_path: Path, platform: str, packed: bool) -> None:
    place: Callable[[int, str, str], str] = PLACE[platform]
    paths = [place(number, *names) for number, names in enumerate(CLASS)]
    assert len(set(paths)) == 30
    if packed:
        (tmp_path / "export.zip").write_bytes(zipped(dict.fromkeys(paths, a_notebook())))
    else:
        export(tmp_path, paths)
    found, listed = collect(tmp_path)
    assert len({names.folded(one.student) for one in found}) == 30 and not listed
    assert all(one.assignment == "loss" and not one.problem and not one.remarks for one in found)
    if platform in ("Moodle", "Brightspace"):
        assert {"FirstA-Smith", "José-Núñez", "कुमार-शर्मा", "Conor-O-Brien"} <= {one.student for one in found}
        assert sum(one.student.startswith("Anna-Lee_1") for one in found) == 2


def test_gradescope_says_who_handed_in(tmp_path: Path) -> None:
    export(tmp_path, [f"submission_{number}/loss.ipynb" for number in (30111, 30112, 30113, 30114, 30115)])
    people = {
        30111: [("Jane Doe", "77")],
        30112: [("Jane Doe", "78")],
        30113: [("Ann Lee", "79"), ("Bob Ray", "80")],
        30114: [("Cy Poe", "81")],
    }
    lines = ["---"]
    for number, submitters in people.items():
        lines += [f"submission_{number}:", "  :submitters:"]
        lines += [line for name, sid in submitters for line in (f"  - :name: {name}", f"    :sid: '{sid}'")]
        lines += ["  :created_at: 2027-05-03 17:12:09.5 Z"]
    (tmp_path / "submission_metadata.yml").write_text("\n".join(lines), encoding="utf-8")
    found, listed = collect(tmp_path)
    students = ["Ann-Lee-and-Bob-Ray", "Cy-Poe", "Jane-Doe_77", "Jane-Doe_78", "submission_30115"]
    assert [one.student for one in found] == students
    assert [one.status for one in listed] == [OTHER]
    (tmp_path / "submission_metadata.yml").write_text("a: [", encoding="utf-8")
    found, listed = collect(tmp_path)
    assert len(found) == 5 and [one.status for one in listed] == [UNKNOWN]


def test_the_later_of_one_students_submissions_in_gradescope(tmp_path: Path) -> None:
    export(tmp_path, [f"submission_{number}/loss.ipynb" for number in (9, 10)])
    lines = []
    for number, day in ((9, 4), (10, 3)):
        lines += [f"submission_{number}:", "  :submitters:", "  - :name: Ann", "    :sid: '1'"]
        lines += [f"  :created_at: 2027-05-0{day} 17:12:09 Z"]
    (tmp_path / "submission_metadata.yml").write_text("\n".join(lines), encoding="utf-8")
    assert [one.file for one in collect(tmp_path)[0]] == ["submission_9/loss.ipynb"]


@pytest.mark.parametrize(
    "parts", [("ann_loss",), ("student_101_loss",), ("WS_2027_123456_loss",), ("group 101", "loss"), ("a", "b_c_loss")]
)
def test_a_name_that_no_platform_made_is_none_of_theirs(parts: tuple[str, ...]) -> None:
    assert owner(parts, {}) is None


def test_ids_of_an_assignment_do_not_tell_people_apart_in_another(tmp_path: Path) -> None:
    export(tmp_path, ["Jane Doe_1_assignsubmission_file_/loss.ipynb"])
    (tmp_path / "Jane Doe_2_assignsubmission_file_").mkdir()
    (tmp_path / "Jane Doe_2_assignsubmission_file_" / "x.ipynb").write_bytes(a_notebook("vae"))
    assert [one.key for one in collect(tmp_path)[0]] == [("Jane-Doe", "loss"), ("Jane-Doe", "vae")]
