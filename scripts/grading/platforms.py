"""How learning platforms name the files and folders that they export: a table, and who it says a file is of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml
from dateutil import parser


@dataclass(frozen=True)
class Platform:
    """A platform's way to name a file or a folder.

    Attributes:
        name: The platform's.
        pattern: Of a name without suffix; groups `name` and `id` of a student, `when`, and the student's `file`.
        per_assignment: Whether a student has another id in each assignment.
    """

    name: str
    pattern: re.Pattern[str]
    per_assignment: bool = False


@dataclass(frozen=True)
class Owner:
    """Whose a file is, as a platform says.

    Attributes:
        name: The student's name; two students may have the same.
        full: The name with what else tells the student apart.
        when: What orders a student's files, a time or a number; None if the platform does not say.
        per_assignment: As in `Platform`.
    """

    name: str
    full: str
    when: float | None = None
    per_assignment: bool = False


TABLE = (
    # Gradescope: submission_30111/loss.ipynb; the names stand in submission_metadata.yml beside the folders
    Platform("Gradescope", re.compile(r"(?P<name>submission)_(?P<id>\d+)")),
    # Moodle, a folder or a file: Jane Doe_12345_assignsubmission_file_; marking blind: Participant_12345_...
    Platform("Moodle", re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_[a-z]+(?:_(?P<file>.*))?"), True),
    # Blackboard: Homework 4_jdoe_attempt_2027-05-03-17-12-09_loss.ipynb
    Platform(
        "Blackboard",
        re.compile(r"(?P<id>.+)_(?P<name>[^_]+)_attempt_(?P<when>\d{4}(?:-\d{1,2}){5})(?:_(?P<file>.+))?"),
        True,
    ),
    # Brightspace, a folder or the start of a file's name: 12345-67890 - Jane Doe - May 3, 2027 512 PM
    Platform(
        "Brightspace",
        re.compile(r"(?P<id>\d+-\d+) - (?P<name>.+?) ?- (?P<when>[^-]*\d{4}[^-]*?)(?: ?- (?P<file>.+))?"),
        True,
    ),
    # Canvas: doejane_81234_99120_loss-1.ipynb, doejane_LATE_81234_99120_...; anonymous: anon_x7Kq2_99120_...
    Platform("Canvas", re.compile(r"(?P<name>anon)_(?:LATE_)?(?P<id>[A-Za-z0-9]+)_(?P<when>\d+)_(?P<file>.+)")),
    Platform(
        "Canvas",
        re.compile(r"(?P<name>.+?)_(?:LATE_)?(?!(?:19|20)\d\d_)(?P<id>\d{3,})_(?P<when>\d{4,})_(?P<file>.+)"),
    ),
    # ILIAS: Doe_Jane_jdoe_12345/20270503171209_loss.ipynb
    Platform("ILIAS", re.compile(r"(?P<name>[^\W\d_][^_]*_[^\W\d_][^_]*)_(?P<id>[^_]+_\d{2,})")),
)
STAMP = re.compile(r"(?P<when>\d{14})_+")  # ILIAS puts it before a file's name
# Google Classroom: Jane Doe - loss.ipynb. A student may name a file so, too: a folder of another platform wins.
CLASSROOM = re.compile(r"(?P<name>[^\W\d_][^\d_]*?) - (?P<file>.+)")
# What Blackboard and Brightspace write about the files beside them
RECEIPT = re.compile(r".+_attempt_\d{4}(?:-\d{1,2}){5}\.txt|index\.html")
METADATA = "submission_metadata.yml"


def owner(parts: Sequence[str], known: Mapping[str, Owner]) -> tuple[Owner, str] | None:
    """Return whose a file is, and the file's name as the student chose it; None if no platform named it.

    The outermost name counts: what lies inside is the student's.

    Args:
        parts: The file's path, without suffixes of files and archives.
        known: What `gradescope` has read, by the path of the folder.
    """
    for depth, part in enumerate(parts):
        for platform in TABLE:
            if not (match := platform.pattern.fullmatch(part)):
                continue
            found = match.groupdict()
            file = parts[-1] if depth + 1 < len(parts) else found.get("file") or ""
            when = _number(found.get("when") or "")
            if platform.name == "ILIAS" and (stamp := STAMP.match(file)):
                when, file = _number(stamp["when"]), file[stamp.end() :]
            full = f"{found['name']}_{found['id']}"
            if platform.name == "Gradescope":
                default = Owner(full, full)
                return known.get("/".join(parts[: depth + 1]), default), file
            return Owner(found["name"], full, when, platform.per_assignment), file
    return None


def gradescope(folder: str, text: str) -> dict[str, Owner]:
    """Return whose each folder of a Gradescope export is, by its path, from the submission_metadata.yml beside it.

    Raises:
        ValueError: The file can't be read so.
    """
    try:
        table = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return {
            f"{folder}{name}": Owner(*_submitters(entry, name), _number(_get(entry, "created_at") or ""))
            for name, entry in table.items()
        }
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{METADATA} can't be read: {str(error).splitlines()[0][:100]}") from error


def _submitters(entry: Any, folder: str) -> tuple[str, str]:
    """Return the names of who handed in together, and the names with ids."""
    people = [one for one in _get(entry, "submitters") or [] if _get(one, "name")]
    if not people:
        return folder, folder
    names = [str(_get(one, "name")) for one in people]
    ids = [str(_get(one, "sid") or _get(one, "email") or folder) for one in people]
    return " and ".join(names), " and ".join(f"{name}_{mark}" for name, mark in zip(names, ids, strict=True))


def _get(entry: Any, name: str) -> Any:
    """Return a value of a table that Ruby wrote, with a colon before its names."""
    return entry.get(f":{name}", entry.get(name))


def _number(when: Any) -> float | None:
    """Return a time or a number as what it is compared by; None if it is neither."""
    if isinstance(when, datetime):
        return when.timestamp()
    text = str(when).strip()
    if re.fullmatch(r"[\d-]+", text):
        return float("".join(f"{int(part):02}" for part in text.split("-")))
    # Brightspace drops the colon: "May 3, 2027 512 PM"
    text = re.sub(r"(\d{4}) +(\d{1,2}):?(\d\d)( *[APap]\.?[Mm]\.?)?$", r"\1 \2:\3\4", text)
    try:
        return parser.parse(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
