"""`make grade`: grade a folder of submissions, and write grades, feedback pages and the answers to mark by hand."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.assignments import BUILD, nbgrader_is_there
from scripts.grading.terms import ASSIGNMENTS, CourseError, term


def main(arguments: list[str] | None = None) -> int:
    """Run the program.

    Returns:
        Its exit status.
    """
    parser = argparse.ArgumentParser(prog="make grade", description=__doc__)
    parser.add_argument("submissions", type=Path, nargs="?", help="folder or zip file with the students' notebooks")
    parser.add_argument("--term", default="example", help="the term the assignments were made for")
    parser.add_argument("--out", type=Path, help="where the results go (default: SUBMISSIONS-graded)")
    parser.add_argument("--only", help="this assignment alone")
    parser.add_argument("--again", action="store_true", help="grade also what has not changed since the last time")
    parser.add_argument("--seconds", type=float, default=120, help="for one notebook (default: 120)")
    parser.add_argument("--cell", type=int, default=30, help="seconds for one cell (default: 30)")
    parser.add_argument("--memory", type=int, default=3000, help="MB for one student's program (default: 3000)")
    options = parser.parse_args(arguments)
    if options.submissions is None:
        print("Which submissions? make grade SUBMISSIONS=folder", file=sys.stderr)
        return 1
    if options.only and options.only not in ASSIGNMENTS:
        print(f"--only={options.only}: there are {', '.join(ASSIGNMENTS)}.", file=sys.stderr)
        return 1
    if not nbgrader_is_there():
        return 1
    from scripts.grading.course import Course
    from scripts.grading.run import Limits, grade

    folder = options.submissions.resolve()
    results = options.out or folder.with_name(f"{folder.stem if folder.is_file() else folder.name}-graded")
    try:
        course = Course(BUILD / options.term, term(options.term))
        limits = Limits(options.seconds, options.cell, options.memory)
        outcomes = grade(course, folder, results, limits, options.only, options.again)
    except (CourseError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    failed = sum(outcome.status != "graded" for outcome in outcomes)
    print(f"\n{len(outcomes) - failed} of {len(outcomes)} submissions graded. In {results}:")
    print("  grades.csv     points, known mistakes, remarks")
    print("  written.csv    written answers: fill in points and comment, then run this again")
    print("  feedback/      a page for each student")
    return 0


if __name__ == "__main__":
    sys.exit(main())
