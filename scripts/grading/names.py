"""What a name of a file or folder says about the student, and names that file systems can carry."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from .archives import SUFFIXES
from .terms import ASSIGNMENTS

MOST_BYTES = 120  # of a name; file systems take 255 for a whole file name
_WORDS = f"(?:{'|'.join(ASSIGNMENTS)})"
# At the end, also without a mark before it, with the number of a download: "smith_loss", "SmithLoss-1", "loss (2)"
AT_END = re.compile(
    rf"(?P<before>.*?)(?P<assignment>{_WORDS})(?:[-_ ]?\(?(?P<number>\d{{1,2}})\)?)?", re.IGNORECASE | re.DOTALL
)
WITHIN = re.compile(rf"(?:(?<=[\W_])|^){_WORDS}(?=[\W_]|$)", re.IGNORECASE)
# What copying adds: "Copy of", "-Copy1", " - Copy (2)", " (3)", "-checkpoint"
BEFORE = re.compile(r"(?:copy of|kopie von|copi[ae] de)[ _]+", re.IGNORECASE)
BEHIND = re.compile(r"(?:[-_ ]+(?:copy|kopie|copi[ae]|checkpoint) ?(?P<n>\d*)|[-_ ]*\((?P<m>\d{1,3})\))", re.IGNORECASE)
OLD = re.compile(r"(?:[\W_]|^)(?:old|backup|draft|checkpoint)\d*$", re.IGNORECASE)
# Words that are no student's name, with a number or without
NOISE = re.compile(
    r"(?:(?:my|mein|meine|hw|homework|home|work|hausaufgabe|assignments?|ass|ex|exercises?|übung|übungen|aufgaben?|"
    r"lab|week|attempt|try|versuch|task|ps|pset|problem|set|sheet|blatt|project|course|class|classroom|vae|term|final|finished|"
    r"done|late|new|neu|old|last|latest|version|v|rev|draft|backup|copy|solutions?|"
    r"answers?|lösung|notebooks?|untitled|jupyter|ipynb|colab|drive|submissions?|submitted|submit|hand|ins?|handins?|"
    r"abgaben?|all|uploads?|downloads?|desktop|documents|users?|files?|archive|zip|export|release|build|src|the|of|and|to)"
    r"\d*)|\d{1,2}",
    re.IGNORECASE,
)


def bare(name: str) -> str:
    """Return a file's name without the suffixes of notebooks and archives, its letters composed."""
    name = unicodedata.normalize("NFC", name)
    for suffix in (*SUFFIXES, ".txt", ".json", ".ipynb"):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    return name.removesuffix(".ipynb")


def student_in(stem: str) -> tuple[str, bool, int]:
    """Return the student that a file's name names, or ''; whether beside an assignment; and the number of the copy."""
    rest, number = _without_copies(stem)
    if match := AT_END.fullmatch(rest):
        before, behind, number = match["before"], "", max(number, int(match["number"] or 0))
    elif found := list(WITHIN.finditer(rest)):
        before, behind = rest[: found[-1].start()], rest[found[-1].end() :]
    else:
        return _unless_noise(rest), False, number
    kept = _without_noise(behind)
    return _unless_noise(f"{before.rstrip('-_ ')}_{kept}" if kept and before else before or kept), True, number


def student_of_folder(name: str) -> str:
    """Return the student that a folder's name names, or ''."""
    match = AT_END.fullmatch(name)
    return _unless_noise(match["before"] if match else name)


def assignment_in(stem: str) -> str | None:
    """Return the assignment that a name ends with, or names; None if it names none, or several."""
    rest, _ = _without_copies(stem)
    if match := AT_END.fullmatch(rest):
        return match["assignment"].lower()
    found = {word.lower() for word in WITHIN.findall(rest)}
    return found.pop() if len(found) == 1 else None


def tidy(name: str) -> str:
    """Return a name as nbgrader and file systems can carry it: letters with their marks, digits, '_', '-', '.'."""
    name = unicodedata.normalize("NFC", name)
    tidied = "".join(one if one in "_.-" or unicodedata.category(one)[0] in "LMN" else "-" for one in name)
    tidied = re.sub(r"--+", "-", tidied).strip("_-.") or hashlib.sha256(name.encode()).hexdigest()[:8]
    if len(tidied.encode()) > MOST_BYTES:
        mark = hashlib.sha256(name.encode()).hexdigest()[:8]
        tidied = f"{tidied.encode()[:MOST_BYTES].decode('utf-8', 'ignore')}-{mark}"
    return tidied


def folded(name: str) -> str:
    """Return what two names have in common that no file system tells apart."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def in_order(path: str) -> list[tuple[int, int, str]]:
    """Return what paths are sorted by, so that 10 comes after 9."""
    parts = re.findall(r"\d+|\D+", path)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _without_copies(stem: str) -> tuple[str, int]:
    number, stem = -1 if OLD.search(stem) else 0, stem.strip()
    while match := BEFORE.match(stem):
        number, stem = number + 1, stem[match.end() :]
    while match := re.search(BEHIND.pattern + "$", stem, re.IGNORECASE):
        number, stem = max(number, int(match["n"] or match["m"] or 1)), stem[: match.start()]
    return stem.strip(), number


def _tokens(name: str) -> list[str]:
    return [token for token in re.split(r"[\s_.,()-]+", name) if token]


def _unless_noise(name: str) -> str:
    """Return the name, without marks around it; '' if it holds nothing but words that are no student's."""
    name = name.strip("-_ .,()")
    tokens = _tokens(name)
    plain = all(NOISE.fullmatch(token) or token in ASSIGNMENTS for token in tokens)
    return "" if plain and not all(token.isdigit() for token in tokens) else name


def _without_noise(name: str) -> str:
    """Return the name without such words at its ends."""
    tokens = _tokens(name)
    while tokens and NOISE.fullmatch(tokens[0]) and not tokens[0].isdigit():
        del tokens[0]
    while tokens and NOISE.fullmatch(tokens[-1]) and not tokens[-1].isdigit():
        del tokens[-1]
    return "_".join(tokens)
