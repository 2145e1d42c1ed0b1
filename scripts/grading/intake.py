"""Collect submissions: which file is whose, and for which assignment. No file is lost: what isn't graded is listed."""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from . import names, platforms, reading
from .archives import File, files
from .platforms import Owner
from .terms import ASSIGNMENTS, SOURCES

# What programs leave beside people's files
LEFT_FOLDERS, LEFT_FILES = ("__MACOSX", ".ipynb_checkpoints", "__pycache__"), (".DS_Store", "Thumbs.db", "desktop.ini")
MOST_ALIKE = 3  # files without a name in one folder that can be one student's
SAME_TIME = 2.0  # seconds; zip files hold no less


@dataclass
class Submission:
    """One student's file for one assignment.

    Attributes:
        student: The student's name, as `names.tidy` returns it.
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


@dataclass(frozen=True)
class Listed:
    """A file that is not graded: its path, what it is in a word or two, and why it is not graded."""

    file: str
    status: str
    reason: str


UNKNOWN, EARLIER, OTHER = "not recognized", "earlier try", "no submission"


@dataclass
class _Notebook:
    """A notebook on its way to a student.

    Attributes:
        file: The file.
        parts: Its path, without suffixes.
        assignment: The assignment it is for.
        problem: Why it can't be graded, or ''.
        owner: Whose it is, as far as is known yet.
        sure: Whether a platform says so.
        word: What its own name says about the student, or ''.
        number: The number of the copy, as its name says.
        chain: The names that it may go by, from within outwards, each with the folder in which it stands.
        level: Which of them it goes by.
        remarks: As in `Submission`.
    """

    file: File
    parts: tuple[str, ...]
    assignment: str
    problem: str
    owner: Owner
    sure: bool
    word: str
    number: int
    remarks: list[str]
    chain: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    level: int = 0

    @property
    def identity(self) -> tuple[bool, str]:
        """What tells the student apart from all others."""
        return self.sure, names.folded(self.owner.full)

    def rename(self, name: str) -> None:
        """Give it another student, of whom nothing but the name is known."""
        self.owner = Owner(name, name)


def collect(folder: Path, sources: Path = SOURCES) -> tuple[list[Submission], list[Listed]]:
    """Return the submissions in a folder and in the archives in it, and the files that are none, or can't be placed.

    A file's assignment is what its cells say, or else its name. Its student is whom a platform's folder or file name
    says (`platforms.TABLE`), or else the word beside the assignment's in the file's name, or else a folder. Numbers
    of platforms go only from names that one student has. Of one student's files the later counts.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    if not folder.exists():
        raise FileNotFoundError(
            f"There is no {folder}. SUBMISSIONS names the folder (or zip file) with the students' notebooks."
        )
    listed: list[Listed] = []
    candidates: list[File] = []
    known: dict[str, Owner] = {}
    for file in files(folder):
        path = PurePosixPath(file.path)
        if set(path.parts) & set(LEFT_FOLDERS) or path.name in LEFT_FILES or path.name.startswith(("._", "~$")):
            listed.append(Listed(file.path, OTHER, "left by a program"))
        elif file.problem:
            listed.append(Listed(file.path, UNKNOWN, file.problem))
        elif path.name == platforms.METADATA:
            try:
                known |= platforms.gradescope(_bare(path.parent), reading.text_of(file.content))
                listed.append(Listed(file.path, OTHER, "the platform's own"))
            except ValueError as error:
                listed.append(Listed(file.path, UNKNOWN, str(error)))
        elif ".ipynb" in map(str.lower, path.suffixes) or reading.is_like_a_notebook(file.content):
            candidates.append(file)
        elif platforms.RECEIPT.fullmatch(path.name):
            listed.append(Listed(file.path, OTHER, "the platform's own; it may hold a comment"))
        else:
            listed.append(Listed(file.path, UNKNOWN, "not a notebook"))
    notebooks = []
    for file in candidates:
        placed = _placed(file, known, sources)
        if isinstance(placed, Listed):
            listed.append(placed)
        else:
            notebooks.append(placed)
    _name_by_folders([one for one in notebooks if not one.sure])
    students = _students(notebooks)
    found: list[Submission] = []
    for (student, assignment), tries in sorted(_grouped(zip(students, notebooks, strict=True)).items()):
        if _can_not_be_one(tries):
            reason = f"{len(tries)} files without a student's name in one folder; put each student's in one of its own"
            listed += [Listed(one.file.path, UNKNOWN, reason) for one in tries]
            continue
        # A file that can't be read is graded only if there is no other.
        *earlier, last = _in_time([one for one in tries if not one.problem] or tries)
        for one in tries:
            if one.problem and one is not last and last.problem == "":
                listed.append(Listed(one.file.path, UNKNOWN, one.problem))
                last.remarks.append(f"another file, {one.file.path}, can't be read: {one.problem}")
        submission = Submission(student, assignment, last.file.path, last.file.content, last.problem, last.remarks)
        if earlier:
            others = ", ".join(one.file.path for one in earlier)
            submission.remarks.append(f"also handed in: {others}; the later one was graded")
        listed += [Listed(one.file.path, EARLIER, f"{last.file.path} of {student} is later") for one in earlier]
        found.append(submission)
    return found, sorted(listed, key=lambda one: (one.status == OTHER, names.in_order(one.file)))


def _bare(path: PurePosixPath) -> str:
    """Return a folder's path as `_Notebook.parts` has it, with a stroke behind; '' for the outermost."""
    return "".join(f"{names.bare(part)}/" for part in path.parts)


def _placed(file: File, known: dict[str, Owner], sources: Path) -> _Notebook | Listed:
    """Return the notebook with its assignment and what its path says about its student, or why it can't be placed."""
    parts = tuple(names.bare(part) for part in PurePosixPath(file.path).parts)
    owned = platforms.owner(parts, known)
    stem = owned[1] if owned else parts[-1]
    named = names.assignment_in(stem)
    folders = [part.lower() for part in parts[:-1] if part.lower() in ASSIGNMENTS]
    assignment, problem, remarks = None, "", []
    try:
        assignment = reading.assignment_of(reading.read(file.content), sources)
        if assignment and named and named != assignment:
            remarks.append(f"by its cells this is {assignment}; the file's name says {named}")
        if not assignment and (named or folders):
            remarks.append("no cell of the assignment was recognized in it")
    except reading.NotANotebook as error:
        problem = str(error)
    assignment = assignment or named or (folders[-1] if folders else None)
    if not assignment:
        return Listed(file.path, UNKNOWN, problem or "which assignment? Neither its cells nor its name say so")
    student, beside, number = names.student_in(stem)
    if owned:
        return _Notebook(file, parts, assignment, problem, owned[0], True, student, number, remarks)
    if (match := platforms.CLASSROOM.fullmatch(stem)) and (plain := names.student_in(match["name"])[0]):
        student, beside = plain, True
    chain = [
        (name, parts[: depth + 1])
        for depth, part in reversed(list(enumerate(parts[:-1])))
        if (name := names.student_of_folder(part))
    ]
    if student:
        # A word alone, or a number such as that of the course's notebooks, is a student's name if no folder has one.
        at = 0 if beside and not (student.isdigit() and len(student) < 3) else len(chain)
        chain.insert(at, (student, parts[:-1]))
    if not chain:
        return Listed(file.path, UNKNOWN, "whose? Neither its name nor a folder's names a student")
    return _Notebook(file, parts, assignment, problem, Owner("", ""), False, student, number, remarks, chain)


def _name_by_folders(notebooks: list[_Notebook]) -> None:
    """Name the students of notebooks that no platform names: by the nearest name that no other folder's files have."""
    words: dict[tuple[str, tuple[str, ...]], set[str]] = defaultdict(set)
    for one in notebooks:
        words[one.assignment, one.parts[:-1]] |= {one.word} - {""}
    for one in notebooks:
        if one.word and len(words[one.assignment, one.parts[:-1]]) > 1:  # a folder of several students
            one.chain.sort(key=lambda link: link != (one.word, one.parts[:-1]))
        one.rename(one.chain[0][0])
    for _ in range(max((len(one.chain) for one in notebooks), default=0)):
        groups = _grouped(((names.folded(one.owner.name), one.assignment), one) for one in notebooks)
        for group in groups.values():
            if _nested(one.chain[one.level][1] for one in group):
                continue
            for one in group:
                one.level = min(one.level + 1, len(one.chain) - 1)
            shared = any(len(_words_in(one.chain[one.level][1], one.assignment, notebooks)) > 1 for one in group)
            for one in group:
                (nearest, _), (name, place) = one.chain[0], one.chain[one.level]
                if one.level == 0:  # no other name there
                    name = " ".join([*place, nearest])
                one.rename(f"{name} {nearest}" if shared and one.level else name)
                one.remarks.append("files in other folders would go by the same name, so this one has its folder's")


def _words_in(place: tuple[str, ...], assignment: str, notebooks: list[_Notebook]) -> set[str]:
    """Return the nearest names of the files that lie in a folder."""
    return {
        names.folded(one.chain[0][0])
        for one in notebooks
        if one.assignment == assignment and one.parts[: len(place)] == place
    }


def _nested(places: Iterable[tuple[str, ...]]) -> bool:
    """Return whether each of the folders lies in the one before, or is it."""
    ordered = sorted(places, key=len)
    return all(inner[: len(outer)] == outer for outer, inner in itertools.pairwise(ordered))


def _students(notebooks: list[_Notebook]) -> list[tuple[str, str]]:
    """Return student and assignment for each notebook, so that no two students go by one name."""
    ids: dict[tuple[str, str], set[tuple[bool, str]]] = defaultdict(set)
    for one in notebooks:
        name = names.folded(names.tidy(one.owner.name))
        ids[name, one.assignment].add(one.identity)
        if not one.owner.per_assignment:
            ids[name, ""].add(one.identity)
    shared = {name for (name, _), found in ids.items() if len(found) > 1}
    shown: dict[str, str] = {}
    ids.clear()
    students = []
    for one in notebooks:
        name = names.tidy(one.owner.name)
        name = names.tidy(one.owner.full) if names.folded(name) in shared else name
        shown[names.folded(name)] = min(name, shown.get(names.folded(name), name))
        ids[names.folded(name), one.assignment].add(one.identity)
        students.append(names.folded(name))
    return [
        (shown[name] + (f"-{_mark(one)}" if len(ids[name, one.assignment]) > 1 else ""), one.assignment)
        for name, one in zip(students, notebooks, strict=True)
    ]


def _mark(one: _Notebook) -> str:
    return hashlib.sha256(repr(one.identity).encode()).hexdigest()[:6]


def _can_not_be_one(tries: list[_Notebook]) -> bool:
    """Return whether too many files lie in one folder, with nothing to tell apart whose they are."""
    nameless = [one for one in tries if not one.sure and not one.word]
    return len(nameless) > MOST_ALIKE and len({one.parts[:-1] for one in nameless}) == 1


def _in_time(tries: list[_Notebook]) -> list[_Notebook]:
    """Return one student's files, the latest last: by what the platform says, else by time, number and name."""
    whens = [one.owner.when for one in tries]
    times = [one.file.time for one in tries]
    told, differ = None not in whens, max(times) - min(times) > SAME_TIME
    return sorted(
        tries,
        key=lambda one: (
            one.owner.when or 0.0 if told else 0.0,
            one.file.time if differ else 0.0,
            one.number,
            names.in_order("/".join(one.parts)),
        ),
    )


def _grouped(pairs: Iterable[tuple[tuple[str, str], _Notebook]]) -> dict[tuple[str, str], list[_Notebook]]:
    groups: dict[tuple[str, str], list[_Notebook]] = defaultdict(list)
    for key, one in pairs:
        groups[key].append(one)
    return groups
