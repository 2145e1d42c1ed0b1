"""Grade one submission apart from all others: in a copy of the course, in this process, another, or on a cluster."""

from __future__ import annotations

import io
import tarfile
import tempfile
import time
from dataclasses import dataclass, field
from functools import cache

import nbformat
from nbgrader.api import Gradebook

from . import reading
from .course import Course
from .intake import Submission
from .nbgrader_settings import api
from .submission_log import LOGS, Log

NEEDED = ("term.json", "gradebook.db", "source", "release", "probes")  # of a course's folder


@dataclass(frozen=True)
class Limits:
    """What one submission may take: seconds in all, seconds for one cell, MB of memory."""

    seconds: float = 120
    cell: int = 30
    memory: int = 3000


@dataclass
class Outcome:
    """The outcome of one submission.

    Attributes:
        student: As in `Submission`; so are `assignment`, `file` and `digest`.
        status: "graded" or "not graded".
        remarks: What the instructor should know about it.
        mistakes: The slugs of known mistakes, by the test's id.
        seconds: How long it took.
    """

    student: str
    assignment: str
    file: str
    digest: str
    status: str = "graded"
    remarks: list[str] = field(default_factory=list)
    mistakes: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Graded:
    """A submission's outcome, and what goes into the course.

    Attributes:
        outcome: The outcome.
        files: What nbgrader has written, by its path in the course's folder.
        scores: Of each graded cell, by its id: the points, or None if it waits for a mark.
        comments: Of each answer's cell, by its id, what nbgrader says of it.
        log: What nbgrader said.
    """

    outcome: Outcome
    files: dict[str, bytes] = field(default_factory=dict)
    scores: dict[str, float | None] = field(default_factory=dict)
    comments: dict[str, str | None] = field(default_factory=dict)
    log: str = ""


def packed(course: Course) -> bytes:
    """Return what grading needs of a course's folder, as a tar file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in NEEDED:
            archive.add(course.folder / name, name)
    return file.getvalue()


@cache
def _unpacked(course: bytes) -> tuple[Course, tempfile.TemporaryDirectory]:
    """Return a copy of a course for this process, and its folder, which lasts as long as the process."""
    folder = tempfile.TemporaryDirectory(prefix="course-", ignore_cleanup_errors=True)
    with tarfile.open(fileobj=io.BytesIO(course)) as archive:
        archive.extractall(folder.name, filter="data")
    return Course.at(folder.name), folder


def grade_alone(course: bytes, submission: Submission, limits: Limits) -> Graded:
    """Grade a submission in a copy of the course, as `packed` returns it; no submission makes this fail."""
    started = time.monotonic()
    outcome = Outcome(*submission.key, submission.file, submission.digest, remarks=list(submission.remarks))
    if submission.problem:
        outcome.status, outcome.remarks = "not graded", [submission.problem, *outcome.remarks]
        return Graded(outcome)
    student, assignment = submission.key
    said, files, scores, comments = "", {}, {}, {}
    LOGS[submission.key] = Log()
    try:
        own, _ = _unpacked(course)
        path = own.graded("submitted", student, assignment)
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(reading.read(submission.content), path)
        nbgrader = api(own)
        nbgrader.config.RunLimited.update(seconds=float(limits.seconds), timeout=limits.cell, memory=limits.memory)
        done = nbgrader.autograde(assignment, student, force=True, create=True)
        said = (done.get("log") or "") + (done.get("error") or "")
        if done["success"]:
            with Gradebook(own.database, "vae") as book:
                notebook = book.find_submission_notebook(assignment, assignment, student)
                scores = {one.name: None if one.needs_manual_grade else one.auto_score for one in notebook.grades}
                comments = {comment.name: comment.auto_comment for comment in notebook.comments}
            if not nbgrader.generate_feedback(assignment, student, force=True)["success"]:
                outcome.remarks.append("the feedback page could not be made")
            for kind in ("submitted", "autograded", "feedback"):
                for file in own.graded(kind, student, assignment).parent.glob(f"{assignment}.*"):
                    files[str(file.relative_to(own.folder))] = file.read_bytes()
        else:
            outcome.status = "not graded"
            outcome.remarks.append("nbgrader failed on it; see grading.log")
    except Exception as error:  # one student's file does not stop the next one
        outcome.status = "not graded"
        outcome.remarks.append(f"grading failed: {type(error).__name__}: {str(error)[:200]}")
    noted = LOGS.pop(submission.key)
    outcome.remarks += dict.fromkeys(noted.remarks)
    outcome.mistakes = {test: verdict.mistake for test, verdict in noted.verdicts.items() if verdict.mistake}
    outcome.seconds = time.monotonic() - started
    return Graded(outcome, files, scores, comments, said)
