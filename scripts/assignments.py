"""`make assignments`: write the student versions of the assignments, without solutions and hidden tests."""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "assignments"
WITHOUT = "nbgrader is not there. It comes with the extra for instructors: make extras"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make assignments", description=__doc__)
    parser.add_argument("--term", default="example", help="any name; it chooses numbers and probes (default: example)")
    parser.add_argument("--out", type=Path, help=f"folder (default: {BUILD.relative_to(ROOT)}/TERM)")
    parser.add_argument("--check", action="store_true", help="grade the solutions and the untouched releases, too")
    options = parser.parse_args(arguments)
    try:
        import nbgrader  # noqa: F401
    except ImportError:
        print(WITHOUT, file=sys.stderr)
        return 1
    from scripts.grading.course import Course, CourseError, term

    warnings.filterwarnings("ignore", module="nbgrader")  # about its database; nothing to act on
    try:
        course = Course(options.out or BUILD / options.term, term(options.term))
        made = course.make()
        print(f"Term {course.term.name}: for students")
        for path in made:
            marks = [cell.metadata.nbgrader for cell in nbformat.read(path, as_version=4).cells]
            coded = sum(mark.points for mark in marks if mark.grade and not mark.solution)
            written = sum(mark.points for mark in marks if mark.grade and mark.solution)
            print(f"  {_shown(path)}   {coded + written:g} points, {written:g} of them written")
        if options.check:
            return _check(course.term)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _check(term: object) -> int:
    """Whether the solutions earn all points that no hand gives, and the untouched releases none."""
    from scripts.grading.course import ASSIGNMENTS, Course
    from scripts.grading.run import grade

    with tempfile.TemporaryDirectory() as folder:
        course, handed_in = Course(Path(folder) / "course", term), Path(folder) / "in"
        course.make()
        handed_in.mkdir()
        for name in ASSIGNMENTS:
            (handed_in / f"solution_{name}.ipynb").write_bytes(
                (course.folder / "source" / name / f"{name}.ipynb").read_bytes()
            )
            (handed_in / f"untouched_{name}.ipynb").write_bytes(course.release(name).read_bytes())
        grade(course, handed_in, Path(folder) / "out", say=lambda line: None)
        return _compare(Path(folder) / "out" / "grades.csv")


def _compare(grades: Path) -> int:
    import csv

    wrong = 0
    with grades.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            tests = {name: row[name] for name in row if name.startswith(f"{row['assignment']}.") and row[name]}
            lost = [name for name, points in tests.items() if (float(points) == 0) == (row["student"] == "solution")]
            print(
                f"  {row['assignment']}, {row['student']}: {row['points']} points"
                + (f"; unexpected: {', '.join(lost)}" if lost else "")
            )
            wrong += bool(lost) or row["status"] != "graded"
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
