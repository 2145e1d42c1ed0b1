"""Find submissions in a folder, however a learning platform has named them."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import nbformat

from .terms import ASSIGNMENTS

MOST_BYTES = 20_000_000  # of one notebook
MOST_FILES = 5_000  # in one zip file
# "loss", "loss-1", "loss (2)", "Loss_3" at the end of a file's name
NAMED = re.compile(
    rf"(?P<before>.*?)(?P<assignment>{'|'.join(ASSIGNMENTS)})(?:[-_ ]?\(?\d{{1,2}}\)?)?", re.IGNORECASE | re.DOTALL
)
# What learning platforms put next to the name: numbers of uploads, LATE, Moodle's assignsubmission_file.
NOISE = re.compile(r"(?:[_ ](?:LATE|late|\d{3,}|assignsubmission(?:_file)?|onlinetext|file))+_*$")


@dataclass
class Submission:
    """One student's file for one assignment.

    Attributes:
        student: The student's name, as `tidy` returns it.
        assignment: One of ASSIGNMENTS.
        file: The file's path in the folder.
        content: Its bytes.
        problem: Why it can't be graded, or ''.
        remarks: What the instructor should know about it.
    """

    student: str
    assignment: str
    file: str
    content: bytes = field(repr=False)
    problem: str = ""
    remarks: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        """Student and assignment."""
        return self.student, self.assignment

    @property
    def digest(self) -> str:
        """The fingerprint of the file's content."""
        return hashlib.sha256(self.content).hexdigest()


def collect(folder: Path) -> tuple[list[Submission], list[str]]:
    """Return the submissions in a folder and in zip files in it, and the files that could not be recognized.

    Understood are STUDENT/ASSIGNMENT/ASSIGNMENT.ipynb (nbgrader), STUDENT/ASSIGNMENT.ipynb (Moodle's folders, too),
    and STUDENT_ASSIGNMENT.ipynb with any numbers that a platform puts between. Of two files of one student for one
    assignment the later counts.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    if not folder.exists():
        raise FileNotFoundError(
            f"There is no {folder}. SUBMISSIONS names the folder (or zip file) with the students' notebooks."
        )
    found: dict[tuple[str, str], Submission] = {}
    strange: list[str] = []
    for name, _, content in sorted(_files(folder), key=lambda file: (file[1], file[0])):
        who = recognize(name)
        if who is None:
            strange.append(name)
            continue
        submission = Submission(*who, name, content, problem(content))
        if earlier := found.get(submission.key):
            submission.remarks.append(f"also handed in: {earlier.file}; the later one was graded")
        found[submission.key] = submission
    return [found[key] for key in sorted(found)], strange


def recognize(name: str) -> tuple[str, str] | None:
    """Return student and assignment from a file's path within the folder; None if it does not name both."""
    *folders, file = Path(name).parts
    match = NAMED.fullmatch(Path(file).stem)
    if not match:
        return None
    assignment = match["assignment"].lower()
    if student := tidy(match["before"]):
        return student, assignment
    while folders and folders[-1].lower() in (*ASSIGNMENTS, "submitted"):
        folders.pop()
    student = tidy(folders[-1]) if folders else ""
    return (student, assignment) if student else None


def tidy(name: str) -> str:
    """Return a name as nbgrader and file systems can carry it: letters, digits, '_', '-', '.'."""
    name = NOISE.sub("", name.strip("_- "))
    return re.sub(r"[^\w.-]+", "-", name).strip("_-.")[:100]


def problem(content: bytes) -> str:
    """Describe why these bytes are no notebook; '' if they are one."""
    if len(content) > MOST_BYTES:
        return f"the file has more than {MOST_BYTES // 1_000_000} MB: outputs cleared, it should be far below 1 MB"
    try:
        raw = json.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        return "the file is not a notebook: it is not JSON"
    try:
        notebook = nbformat.reads(content.decode("utf-8"), as_version=4)
        nbformat.validate(notebook)
        list(notebook.cells)
    except Exception as error:  # nbformat raises many kinds
        if isinstance(raw, dict) and isinstance(raw.get("cells"), list):
            return f"the file is not a valid notebook: {str(error).splitlines()[0][:150]}"
        return "the file is JSON, but not a notebook"
    return ""


def _files(folder: Path) -> Iterator[tuple[str, float, bytes]]:
    """Yield name, time and bytes of each notebook in the folder and in the zip files in it."""
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    for path in paths:
        name = str(path.relative_to(folder)) if path != folder else path.name
        if ".ipynb_checkpoints" in path.parts or "__MACOSX" in path.parts or not path.is_file():
            continue
        if path.suffix == ".ipynb":
            with path.open("rb") as file:
                yield name, path.stat().st_mtime, file.read(MOST_BYTES + 1)
        elif path.suffix == ".zip":
            yield from _unzipped(path, folder)


def _unzipped(path: Path, folder: Path) -> Iterator[tuple[str, float, bytes]]:
    """Yield the notebooks in a zip file, read in memory: nothing is unpacked to disk, so no path can lead elsewhere."""
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist()[:MOST_FILES]:
                if entry.filename.endswith(".ipynb") and "__MACOSX" not in entry.filename:
                    with archive.open(entry) as file:
                        # A zip file of one student, STUDENT_loss.zip or STUDENT/work.zip, names that student.
                        outside = path.relative_to(folder).with_suffix("") if path != folder else Path()
                        inside = Path(entry.filename)
                        name = inside if recognize(str(inside)) else outside / inside
                        yield str(name), _seconds(entry), file.read(MOST_BYTES + 1)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError):
        yield path.name, 0.0, b""


def _seconds(entry: zipfile.ZipInfo) -> float:
    try:
        return datetime(*entry.date_time).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0
