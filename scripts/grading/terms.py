"""The terms: the assignments' names, and the numbers and hidden probes that a term's name chooses."""

from __future__ import annotations

import random
import tomllib
import zlib
from dataclasses import dataclass
from pathlib import Path

from scripts.paths import NOTEBOOKS

SOURCES = NOTEBOOKS / "assignments"
ASSIGNMENTS = ("autoencoder", "vae", "reparameterization", "loss")
EXAMPLE = "example"  # the term whose numbers stand in the sources


class CourseError(Exception):
    """Something an instructor can put right: what is wrong, and what to do."""


@dataclass(frozen=True)
class Term:
    """A term's variant of the assignments.

    Attributes:
        name: The name that `make assignments TERM=...` was given.
        seed: The seed of the hidden probes.
        constants: For each assignment, the numbers in its first code cell.
    """

    name: str
    seed: int
    constants: dict[str, dict[str, float | int]]

    def __hash__(self) -> int:
        return hash((self.name, self.seed))

    def cell(self, assignment: str) -> str:
        """Return the source of the assignment's cell of numbers."""
        lines = [f'TERM = "{self.name}"', *(f"{name} = {value}" for name, value in self.constants[assignment].items())]
        return "\n".join(["# The numbers of this term. Please leave this cell as it is.", *lines])


def term(name: str = EXAMPLE, sources: Path = SOURCES) -> Term:
    """Return the term of that name: any name will do, and chooses its own numbers and probes (see terms.toml).

    Raises:
        CourseError: The name can't be a folder's, or terms.toml fixes a constant that the assignment does not have.
    """
    if not name or not all(letter.isalnum() or letter in "-_." for letter in name) or name[0] in ".-":
        raise CourseError(f"TERM={name!r}: use letters, digits, '-', '_' and '.', for example TERM=2027-spring.")
    with open(sources / "terms.toml", "rb") as file:
        settings = tomllib.load(file)
    fixed = settings.get("terms", {}).get(name, {})
    seed = fixed.get("seed", zlib.crc32(name.encode()) % 1_000_000)
    constants = {}
    for assignment, choices in settings["choices"].items():
        own = fixed.get(assignment, {})
        if unknown := own.keys() - choices.keys():
            raise CourseError(
                f"terms.toml: terms.{name}.{assignment} has {', '.join(sorted(unknown))}, which no choice knows."
            )
        constants[assignment] = {
            key: own.get(key, random.Random(f"{name} {assignment} {key}").choice(values))
            for key, values in choices.items()
        }
    return Term(name, seed, constants)
