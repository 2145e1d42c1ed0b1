"""`make grade`: grade a folder of submissions, and write grades, feedback pages and the answers to mark by hand."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm.auto import tqdm

from scripts.assignments import BUILD, nbgrader_is_there
from scripts.grading import container
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
    parser.add_argument("--jobs", type=int, help="how many at once (default: one a core, as many as the memory holds)")
    parser.add_argument("--cluster", default="", help="address of a Dask scheduler whose workers grade instead")
    parser.add_argument("--container", choices=("auto", "no"), default="auto", help="no: even if an engine is there")
    options = parser.parse_args(arguments)
    if options.submissions is None:
        print("Which submissions? make grade SUBMISSIONS=folder", file=sys.stderr)
        return 1
    if options.only and options.only not in ASSIGNMENTS:
        print(f"--only={options.only}: there are {', '.join(ASSIGNMENTS)}.", file=sys.stderr)
        return 1
    if not nbgrader_is_there():
        return 1
    folder = options.submissions.resolve()
    results = (options.out or folder.with_name(f"{folder.stem if folder.is_file() else folder.name}-graded")).resolve()
    if options.container == "auto" and not options.cluster:
        if engine := container.engine():
            return container.grade_inside(
                engine, folder, results, BUILD / options.term, _again(options, folder, results)
            )
        print(container.NONE_HERE, file=sys.stderr)
    from scripts.grading.alone import Limits
    from scripts.grading.course import Course
    from scripts.grading.run import grade
    from scripts.grading.workers import fitting

    try:
        course = Course(BUILD / options.term, term(options.term))
        limits = Limits(options.seconds, options.cell, options.memory)
        jobs = options.jobs or fitting(options.memory)
        outcomes = grade(
            course, folder, results, limits, options.only, options.again, tqdm.write, jobs, options.cluster
        )
    except (CourseError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    failed = sum(outcome.status != "graded" for outcome in outcomes)
    print(f"\n{len(outcomes) - failed} of {len(outcomes)} submissions graded. In {results}:")
    print("  grades.csv     points, known mistakes, remarks")
    print("  written.csv    written answers: fill in points and comment, then run this again")
    print("  feedback/      a page for each student")
    return 0


def _again(options: argparse.Namespace, folder: Path, results: Path) -> list[str]:
    """Return the options as arguments, for the same program in a container."""
    numbers = ("term", "seconds", "cell", "memory", "jobs", "only")
    given = [f"--{name}={value}" for name in numbers if (value := getattr(options, name)) is not None]
    return [str(folder), f"--out={results}", *given, *(["--again"] if options.again else [])]


if __name__ == "__main__":
    sys.exit(main())
