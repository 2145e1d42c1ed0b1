"""`make assignments`: write the student versions of the assignments, without solutions and hidden tests."""

from __future__ import annotations

import argparse
import csv
import importlib.util
import sys
import tempfile
import warnings
from pathlib import Path

import nbformat

from scripts import paths
from scripts.grading.terms import ASSIGNMENTS, CourseError, Term, term

BUILD = paths.BUILD / "assignments"


def main(arguments: list[str] | None = None) -> int:
    """Run the program.

    Returns:
        Its exit status.
    """
    parser = argparse.ArgumentParser(prog="make assignments", description=__doc__)
    parser.add_argument("--term", default="example", help="any name; it chooses numbers and probes (default: example)")
    parser.add_argument("--out", type=Path, help=f"folder (default: {BUILD.relative_to(paths.ROOT)}/TERM)")
    parser.add_argument("--check", action="store_true", help="grade the solutions and the untouched releases, too")
    options = parser.parse_args(arguments)
    if not nbgrader_is_there():
        return 1
    from scripts.grading.course import Course
    from scripts.grading.release import make

    try:
        course = Course(options.out or BUILD / options.term, term(options.term))
        made = make(course)
        print(f"Term {course.term.name}: for students")
        for path in made:
            marks = [cell.metadata.nbgrader for cell in nbformat.read(path, as_version=4).cells]
            coded = sum(mark.points for mark in marks if mark.grade and not mark.solution)
            written = sum(mark.points for mark in marks if mark.grade and mark.solution)
            shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
            print(f"  {shown}   {coded + written:g} points, {written:g} of them written")
        if options.check:
            return _check(course.term)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def nbgrader_is_there() -> bool:
    """Return whether nbgrader is installed; if not, say how to get it."""
    if importlib.util.find_spec("nbgrader"):
        warnings.filterwarnings("ignore", module="nbgrader")  # about its database; nothing to act on
        return True
    print("nbgrader is not there. make install-dev installs the tools for instructors.", file=sys.stderr)
    return False


def _check(term: Term) -> int:
    """Return 1 unless the solutions earn all points that no hand gives, and the untouched releases none."""
    from scripts.grading.course import Course
    from scripts.grading.release import make
    from scripts.grading.run import grade

    with tempfile.TemporaryDirectory() as folder:
        course, handed_in = Course(Path(folder) / "course", term), Path(folder) / "in"
        make(course)
        handed_in.mkdir()
        for name in ASSIGNMENTS:
            (handed_in / f"solved_{name}.ipynb").write_bytes(course.source(name).read_bytes())
            (handed_in / f"untouched_{name}.ipynb").write_bytes(course.release(name).read_bytes())
        grade(course, handed_in, Path(folder) / "out", say=lambda line: None)
        return _compare(Path(folder) / "out" / "grades.csv")


def _compare(grades: Path) -> int:
    """Print what solutions and untouched releases earned; return 1 if a test's points are not as expected."""
    wrong = False
    with grades.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            tests = {name: row[name] for name in row if name.startswith(f"{row['assignment']}.") and row[name]}
            lost = [name for name, points in tests.items() if (float(points) == 0) == (row["student"] == "solved")]
            print(
                f"  {row['assignment']}, {row['student']}: {row['points']} points"
                + (f"; unexpected: {', '.join(lost)}" if lost else "")
            )
            wrong |= bool(lost) or row["status"] != "graded"
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
