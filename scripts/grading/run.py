"""Grade a folder of submissions: each apart from the others and within its limits, all of them reported."""

from __future__ import annotations

import csv
import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook, MissingEntry
from tqdm.auto import tqdm

from . import marks
from .alone import Graded, Limits, Outcome, packed
from .cells import split
from .course import Course
from .intake import UNKNOWN, Listed, Submission, collect
from .nbgrader_settings import api
from .release import make
from .workers import grade_all

LIMITS = Limits()
MOST_SHOWN = 30  # files that were not recognized, on the screen


def grade(
    course: Course,
    submissions: Path,
    results: Path,
    limits: Limits = LIMITS,
    only: str | None = None,
    again: bool = False,
    say: Callable[[str], None] = print,
    jobs: int = 1,
    cluster: str = "",
) -> list[Outcome]:
    """Grade what is in a folder; write grades.csv, written.csv, grading.log and feedback/ into `results`.

    Once grading has begun, no submission stops it.

    Args:
        course: The course that the assignments were made from; it is made if it is not fresh.
        submissions: A folder or a zip file (see `intake.collect`).
        results: The folder to write into.
        limits: For each submission.
        only: Run this assignment alone.
        again: Also grade what was graded before and has not changed.
        say: Where messages for the instructor go, one a line.
        jobs: How many submissions are graded at once.
        cluster: The address of a Dask scheduler that grades them instead; '' for this machine.

    Raises:
        CourseError: The course can't be made, or the cluster not be reached.
        FileNotFoundError: There are no submissions.
        ValueError: written.csv holds marks that can't be.
    """
    found, listed = collect(submissions, course.sources)
    table = marks.load(results / "written.csv")
    if not course.is_fresh():
        say(f"Making the assignments of term {course.term.name} in {course.folder}")
        make(course)
    results.mkdir(parents=True, exist_ok=True)
    known = _known(course, limits)
    before = {key: one for key, one in known.items() if not again or only not in (None, key[1])}
    outcomes: dict[tuple[str, str], Outcome] = {}
    todo: list[Submission] = []
    for submission in found:
        old = before.get(submission.key)
        if old and old.digest == submission.digest:
            outcomes[submission.key] = replace(old, file=submission.file)
        elif only in (None, submission.assignment):
            todo.append(submission)
        else:
            listed.append(Listed(submission.file, "left out", f"another assignment than {only}"))
    with (results / "grading.log").open("a", encoding="utf-8") as log:
        log.write(f"\n===== {time.strftime('%Y-%m-%d %H:%M:%S')} · {submissions} · term {course.term.name}\n")
        done = grade_all(packed(course), todo, limits, jobs, cluster)
        for graded in tqdm(done, total=len(todo), unit=" submission", disable=None):
            outcome = graded.outcome
            _store(course, graded)
            outcomes[outcome.student, outcome.assignment] = outcome
            _remember(course, limits, before | outcomes)
            line = f"{outcome.student}, {outcome.assignment}: {outcome.status}, {outcome.seconds:.1f} s"
            line = " · ".join([line, *outcome.remarks])
            say(line)
            log.write(f"{graded.log}{line}\n")
            log.flush()
        for one in listed:
            log.write(f"{one.status}: {one.file}: {one.reason}\n")
        strange = [one for one in listed if one.status == UNKNOWN]
        for one in strange[:MOST_SHOWN]:
            say(f"  ? {one.file}: {one.reason}")
        if len(strange) > MOST_SHOWN:
            say(f"  ? and {len(strange) - MOST_SHOWN} more, in grades.csv")
    ordered = [outcomes[one.key] for one in found if one.key in outcomes]
    _collect_written(course, ordered, table, results / "pictures")
    marks.save(results / "written.csv", table)
    changed = marks.enter(course.database, table)
    for outcome in ordered:
        _feedback(course, outcome, results, renew=(outcome.student, outcome.assignment) in changed)
    _grades(course, ordered, listed, results / "grades.csv")
    counts = Counter([*(one.status for one in ordered), *(one.status for one in listed)])
    say(f"{counts.total()} files: {', '.join(f'{number} {status}' for status, number in counts.items())}.")
    return ordered


def _store(course: Course, graded: Graded) -> None:
    """Put into the course what was graded apart from it, in the place of an earlier file of the same student."""
    student, assignment = graded.outcome.student, graded.outcome.assignment
    _forget(course, student, assignment)
    if graded.outcome.status != "graded":
        return
    for name, content in graded.files.items():
        path = course.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with Gradebook(course.database, "vae") as book:
        book.update_or_create_student(student)
        book.update_or_create_submission(assignment, student)
        for grade in book.find_submission_notebook(assignment, assignment, student).grades:
            grade.auto_score = graded.scores[grade.name]
            grade.needs_manual_grade = graded.scores[grade.name] is None
        for comment in book.find_submission_notebook(assignment, assignment, student).comments:
            comment.auto_comment = graded.comments[comment.name]
        book.db.commit()


def _forget(course: Course, student: str, assignment: str) -> None:
    """Remove the grade of an earlier file, so that it does not stand for one that can't be graded."""
    for kind in ("submitted", "autograded", "feedback"):
        shutil.rmtree(course.graded(kind, student, assignment).parent, ignore_errors=True)
    with Gradebook(course.database, "vae") as book:
        try:
            book.remove_submission(assignment, student)
        except MissingEntry:
            return


def _collect_written(course: Course, outcomes: list[Outcome], table: marks.Table, pictures: Path) -> None:
    """Add what is to be marked; a mark stays as long as the answer it was given for."""
    graded = {(one.student, one.assignment) for one in outcomes}
    for outcome in outcomes:
        path = course.graded("autograded", outcome.student, outcome.assignment)
        prefix = f"{outcome.student}_{outcome.assignment}"
        answers = marks.written(nbformat.read(path, as_version=4), pictures, prefix) if path.exists() else {}
        for key in [key for key in table if key[:2] == (outcome.student, outcome.assignment) and key[2] not in answers]:
            del table[key]
        for question, (most, text) in answers.items():
            key = (outcome.student, outcome.assignment, question)
            row = table.get(key) or _renamed(table, key, text, graded)
            if row is None or _text(row["answer"]) != _text(marks.safe(text)):
                table[key] = dict(zip(marks.FIELDS, (*key, f"{most:g}", "", "", text), strict=True))


def _renamed(
    table: marks.Table, key: tuple[str, str, str], text: str, graded: set[tuple[str, str]]
) -> marks.Row | None:
    """Take the mark of the same answer over from a student who goes by another name since another of it came."""
    student, *question = key
    old = [
        other
        for other, row in table.items()
        if [*other[1:]] == question and other[:2] not in graded and _text(row["answer"]) == _text(marks.safe(text))
        if student.startswith(other[0])
    ]
    if len(old) != 1:
        return None
    table[key] = table.pop(old[0]) | {"student": student}
    return table[key]


def _text(answer: str) -> str:
    """Return an answer as it is compared: spreadsheets change line ends and drop the quote before a formula."""
    return " ".join(answer.lstrip("'").split())


def _feedback(course: Course, outcome: Outcome, results: Path, renew: bool) -> None:
    """Write the student's page, if there is one, as STUDENT_ASSIGNMENT.html."""
    page = course.graded("feedback", outcome.student, outcome.assignment).with_suffix(".html")
    copy = results / "feedback" / f"{outcome.student}_{outcome.assignment}.html"
    if outcome.status != "graded":
        copy.unlink(missing_ok=True)
        return
    notebook = course.graded("autograded", outcome.student, outcome.assignment)
    if renew or not page.exists() or page.stat().st_mtime < notebook.stat().st_mtime:
        done = api(course).generate_feedback(outcome.assignment, outcome.student, force=True)
        if not done["success"]:
            outcome.remarks.append("the feedback page could not be made")
            return
    with Gradebook(course.database, "vae") as book:
        grades = book.find_submission_notebook(outcome.assignment, outcome.assignment, outcome.student).grades
        waiting = {one.name for one in grades if one.needs_manual_grade}
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(named(page.read_text(encoding="utf-8"), waiting), encoding="utf-8")


def named(page: str, waiting: set[str]) -> str:
    """Return nbgrader's page with the tests' names in its list of points, and without points not given yet."""
    page = re.sub(r'<a href="#([\w-]+)">(?:Test cell|Written response)</a>', r'<a href="#\1">\1</a>', page)
    for name in waiting:
        page = re.sub(rf'(<a href="#{name}">{name}</a>) \(Score: [\d. /]+\)', r"\1 (not marked yet)", page)
    return page


def _grades(course: Course, outcomes: list[Outcome], listed: list[Listed], path: Path) -> None:
    """Write one row for each file: points by test and by written answer, what waits for a mark; why it has none."""
    rows: list[dict[str, str]] = []
    columns: list[str] = []
    with Gradebook(course.database, "vae") as book:
        for outcome in outcomes:
            row = {"student": outcome.student, "assignment": outcome.assignment, "status": outcome.status}
            if outcome.status == "graded":
                notebook = book.find_submission_notebook(outcome.assignment, outcome.assignment, outcome.student)
                row |= {"points": f"{notebook.score:g}", "most": f"{notebook.max_score:g}"}
                row["to_mark"] = str(sum(grade.needs_manual_grade for grade in notebook.grades))
                for one in notebook.grades:
                    name = f"{outcome.assignment}.{one.name}"
                    columns.append(name)
                    row[name] = "" if one.needs_manual_grade else f"{one.score:g}"
            else:
                most = book.find_notebook(outcome.assignment, outcome.assignment).max_score
                row |= {"points": "0", "most": f"{most:g}", "to_mark": "0"}
            row["mistakes"] = "; ".join(
                dict.fromkeys(f"{split(test)[0]}: {slug}" for test, slug in outcome.mistakes.items())
            )
            row["remarks"] = "; ".join(outcome.remarks)
            row["seconds"] = f"{outcome.seconds:.1f}"
            rows.append(row | {"file": outcome.file})
    rows += [{"status": one.status, "remarks": one.reason, "file": one.file} for one in listed]
    fixed = ("student", "assignment", "status", "points", "most", "to_mark", "mistakes", "remarks", "seconds", "file")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*fixed, *dict.fromkeys(columns)])
        writer.writeheader()
        writer.writerows({name: marks.safe(value) for name, value in row.items()} for row in rows)


def _state(course: Course, limits: Limits) -> tuple[Path, str]:
    return course.folder / "graded.json", f"{course.fingerprint()} {limits}"


def _known(course: Course, limits: Limits) -> dict[tuple[str, str], Outcome]:
    """Return what was graded before with the same sources and limits."""
    path, mark = _state(course, limits)
    if not path.exists():
        return {}
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored["mark"] != mark:
        return {}
    return {(one["student"], one["assignment"]): Outcome(**one) for one in stored["outcomes"]}


def _remember(course: Course, limits: Limits, outcomes: dict[tuple[str, str], Outcome]) -> None:
    path, mark = _state(course, limits)
    fresh = path.with_suffix(".new")
    fresh.write_text(
        json.dumps({"mark": mark, "outcomes": [asdict(one) for one in outcomes.values()]}), encoding="utf-8"
    )
    fresh.replace(path)
