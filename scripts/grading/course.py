"""A course folder: what nbgrader works in, for one term, and the questions that its submissions are judged by."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from functools import cache
from pathlib import Path

from scripts.paths import ROOT
from scripts.publish import bootstrap, read_home

from .question import Question
from .terms import SOURCES, CourseError, Term, term


@cache
def questions(assignment: str, term: Term, sources: Path = SOURCES) -> dict[str, Question]:
    """Return the assignment's coding questions, by name, with this term's probes; from keys/ASSIGNMENT.py.

    Raises:
        CourseError: There is no such file.
    """
    path = sources / "keys" / f"{assignment}.py"
    spec = importlib.util.spec_from_file_location(f"assignment_keys_{assignment}", path)
    if spec is None or spec.loader is None or not path.exists():
        raise CourseError(f"There is no {path}: every assignment needs its answers and known mistakes there.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {question.name: question for question in module.questions(term)}


def fetching() -> str:
    """Return the code that fetches the course where it is not installed, with the address that this copy has."""
    return bootstrap(read_home((ROOT / "pyproject.toml").read_text(encoding="utf-8"))).rstrip()


class Course:
    """A folder that nbgrader works in, for one term. It can be thrown away and made again from the sources."""

    def __init__(self, folder: Path, term: Term, sources: Path = SOURCES):
        self.folder, self.term, self.sources = folder.resolve(), term, sources

    @classmethod
    def at(cls, folder: str | Path) -> Course:
        """Return the course in that folder, as `release.make` left it."""
        made = json.loads((Path(folder) / "term.json").read_text(encoding="utf-8"))
        return cls(Path(folder), term(made["term"], Path(made["sources"])), Path(made["sources"]))

    @property
    def database(self) -> str:
        """The address of nbgrader's gradebook."""
        return f"sqlite:///{self.folder / 'gradebook.db'}"

    def questions(self, assignment: str) -> dict[str, Question]:
        """Return the assignment's coding questions, by name."""
        return questions(assignment, self.term, self.sources)

    def source(self, assignment: str) -> Path:
        """Return the notebook that the release is made of, with solutions and hidden tests."""
        return self.folder / "source" / assignment / f"{assignment}.ipynb"

    def release(self, assignment: str) -> Path:
        """Return the notebook that students get."""
        return self.folder / "release" / assignment / f"{assignment}.ipynb"

    def probes(self, assignment: str) -> Path:
        """Return what the student's kernel reads."""
        return self.folder / "probes" / f"{assignment}.json"

    def graded(self, kind: str, student: str, assignment: str) -> Path:
        """Return where nbgrader keeps a student's work. kind: submitted, autograded or feedback."""
        return self.folder / kind / student / assignment / f"{assignment}.ipynb"

    def fingerprint(self) -> str:
        """Return a text that changes if anything changes that the grades depend on."""
        digest = hashlib.sha256(repr((self.term.name, self.term.seed, self.term.constants, fetching())).encode())
        here = Path(__file__).parent
        for path in sorted([*self.sources.glob("*.ipynb"), *self.sources.glob("keys/*.py"), *here.rglob("*.py")]):
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()

    def is_fresh(self) -> bool:
        """Return whether the releases in the folder are those of these sources."""
        made = self.folder / "term.json"
        return made.exists() and json.loads(made.read_text(encoding="utf-8")).get("fingerprint") == self.fingerprint()

    def note(self, fingerprint: str) -> None:
        """Write down what the folder was made of, for `at` and `is_fresh`."""
        made = {"term": self.term.name, "sources": str(self.sources), "fingerprint": fingerprint}
        (self.folder / "term.json").write_text(json.dumps(made), encoding="utf-8")
