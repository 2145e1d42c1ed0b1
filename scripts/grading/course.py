"""The assignments of a term: their numbers, their questions, and the nbgrader course that is made of them."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import random
import shutil
import sys
import tomllib
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from . import question as questions_module
from .question import Question, probes_of

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "notebooks" / "assignments"
ASSIGNMENTS = ("autoencoder", "vae", "reparameterization", "loss")
EXAMPLE = "example"  # the term whose numbers stand in the sources
KEPT = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}}


class CourseError(Exception):
    """Something an instructor can put right: what is wrong, and what to do."""


@dataclass(frozen=True)
class Term:
    """A term's variant of the assignments. constants: for each assignment, the numbers in its first code cell."""

    name: str
    seed: int
    constants: dict[str, dict[str, float | int]]

    def __hash__(self) -> int:
        return hash((self.name, self.seed))

    def cell(self, assignment: str) -> str:
        """The source of the assignment's cell of numbers."""
        lines = [f'TERM = "{self.name}"', *(f"{name} = {value}" for name, value in self.constants[assignment].items())]
        return "\n".join(["# The numbers of this term. Please leave this cell as it is.", *lines])


def term(name: str = EXAMPLE, sources: Path = SOURCES) -> Term:
    """The term of that name: any name will do, and makes its own choice of numbers and probes (see terms.toml)."""
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


@cache
def questions(assignment: str, term: Term, sources: Path = SOURCES) -> dict[str, Question]:
    """The assignment's coding questions, by name, with this term's probes; from keys/ASSIGNMENT.py."""
    path = sources / "keys" / f"{assignment}.py"
    spec = importlib.util.spec_from_file_location(f"assignment_keys_{assignment}", path)
    if spec is None or spec.loader is None or not path.exists():
        raise CourseError(f"There is no {path}: every assignment needs its answers and known mistakes there.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {question.name: question for question in module.questions(term)}


def split(test: str) -> tuple[str, str]:
    """Question and part of a test cell's id."""
    name, _, part = test.rpartition("-")
    return name, part


class Course:
    """A folder that nbgrader works in, for one term. It can be thrown away and made again from the sources."""

    def __init__(self, folder: Path, term: Term, sources: Path = SOURCES):
        self.folder, self.term, self.sources = folder.resolve(), term, sources

    @classmethod
    def at(cls, folder: str | Path) -> Course:
        """The course in that folder, as `make` left it."""
        made = json.loads((Path(folder) / "term.json").read_text(encoding="utf-8"))
        return cls(Path(folder), term(made["term"], Path(made["sources"])), Path(made["sources"]))

    @property
    def database(self) -> str:
        return f"sqlite:///{self.folder / 'gradebook.db'}"

    def questions(self, assignment: str) -> dict[str, Question]:
        """The assignment's coding questions, by name."""
        return questions(assignment, self.term, self.sources)

    def release(self, assignment: str) -> Path:
        """The notebook that students get."""
        return self.folder / "release" / assignment / f"{assignment}.ipynb"

    def probes(self, assignment: str) -> Path:
        """What the student's kernel reads."""
        return self.folder / "probes" / f"{assignment}.json"

    def config(self) -> Any:
        """nbgrader's settings: where things lie, and the three steps of our own (see steps.py)."""
        from nbconvert.preprocessors import ClearMetadataPreprocessor, CSSHTMLHeaderPreprocessor
        from nbgrader import preprocessors as steps
        from traitlets.config import Config

        from .steps import EscapeMarkup, JudgeAnswers, RebuildSubmission, RunLimited

        c = Config()
        c.CourseDirectory.root = str(self.folder)
        c.CourseDirectory.course_id = "vae"
        c.CourseDirectory.db_url = self.database
        c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\nraise NotImplementedError"}
        c.ClearSolutions.text_stub = "YOUR ANSWER HERE"
        c.Autograde.sanitize_preprocessors = [
            RebuildSubmission,
            steps.ClearOutput,
            steps.DeduplicateIds,
            steps.OverwriteKernelspec,
            steps.OverwriteCells,
            steps.CheckCellMetadata,
        ]
        c.Autograde.autograde_preprocessors = [
            RunLimited,
            ClearMetadataPreprocessor,
            JudgeAnswers,
            steps.LimitOutput,
            steps.SaveAutoGrades,
            steps.AssignLatePenalties,
            steps.CheckCellMetadata,
        ]
        c.GenerateFeedback.preprocessors = [EscapeMarkup, steps.GetGrades, CSSHTMLHeaderPreprocessor]
        for step in ("RebuildSubmission", "RunLimited", "JudgeAnswers"):
            c[step].course = str(self.folder)
        return c

    def api(self) -> Any:
        """nbgrader's Python interface to this course."""
        from nbgrader.apps import NbGraderAPI

        # nbgrader starts `alembic` by its bare name.
        beside = str(Path(sys.executable).parent)
        if beside not in os.environ.get("PATH", "").split(os.pathsep):
            os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", "")])
        return NbGraderAPI(config=self.config())

    def fingerprint(self) -> str:
        """Changes where anything that the grades depend on has changed."""
        digest = hashlib.sha256(repr((self.term.name, self.term.seed, self.term.constants)).encode())
        here = Path(questions_module.__file__).parent
        for path in sorted([*self.sources.glob("*.ipynb"), *self.sources.glob("keys/*.py"), *here.rglob("*.py")]):
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()

    def is_fresh(self) -> bool:
        """Whether the releases there are those of these sources."""
        made = self.folder / "term.json"
        return made.exists() and json.loads(made.read_text(encoding="utf-8")).get("fingerprint") == self.fingerprint()

    def make(self) -> list[Path]:
        """Write the student versions, anew; returns their paths. Submissions and grades that are there go."""
        if self.folder.exists():
            if any(self.folder.iterdir()) and not (self.folder / "term.json").exists():
                raise CourseError(f"{self.folder} holds something else; name another folder.")
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        self._note("unfinished")
        for assignment in ASSIGNMENTS:
            notebook = self._source(assignment)
            path = self.folder / "source" / assignment / f"{assignment}.ipynb"
            path.parent.mkdir(parents=True)
            nbformat.write(notebook, path)
            probes = self.probes(assignment)
            probes.parent.mkdir(exist_ok=True)
            probes.write_text(json.dumps(probes_of(list(self.questions(assignment).values()))), encoding="utf-8")
        (self.folder / "nbgrader_config.py").write_text(CONFIG.format(scripts=str(ROOT / "scripts")), encoding="utf-8")
        api = self.api()
        for assignment in ASSIGNMENTS:
            done = api.generate_assignment(assignment, force=True, create=True)
            if not done["success"]:
                raise CourseError(f"nbgrader could not make {assignment}:\n{done.get('log') or done.get('error')}")
        self._note(self.fingerprint())
        return [self.release(assignment) for assignment in ASSIGNMENTS]

    def _note(self, fingerprint: str) -> None:
        made = {"term": self.term.name, "sources": str(self.sources), "fingerprint": fingerprint}
        (self.folder / "term.json").write_text(json.dumps(made), encoding="utf-8")

    def _source(self, assignment: str) -> NotebookNode:
        """The source notebook with this term's numbers, and nothing in it that a student should not see by accident."""
        path = self.sources / f"{assignment}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        # Outputs, widget states, tags and attachments would go into the release as they are.
        notebook.metadata = nbformat.from_dict(KEPT)
        for cell in notebook.cells:
            cell.metadata = nbformat.from_dict({"nbgrader": cell.metadata.get("nbgrader", {})})
            cell.pop("attachments", None)
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        self._complain(assignment, notebook)
        for cell in notebook.cells:
            if cell.metadata.nbgrader.get("grade_id") == "term":
                cell.source = self.term.cell(assignment)
        return notebook

    def _complain(self, assignment: str, notebook: NotebookNode) -> None:
        """Raise CourseError where notebook and key don't fit together."""
        where = f"notebooks/assignments/{assignment}.ipynb"
        marks = [cell.metadata.nbgrader for cell in notebook.cells]
        if not all(mark.get("grade_id") for mark in marks):
            number = next(i for i, mark in enumerate(marks) if not mark.get("grade_id"))
            raise CourseError(
                f"{where}: cell {number + 1} has no nbgrader id. Give it one (Create Assignment panel), locked."
            )
        found = {mark.grade_id for mark in marks if mark.grade and not mark.solution}
        wanted = set(probes_of(list(self.questions(assignment).values())))
        for missing in sorted(wanted - found):
            raise CourseError(f"{where} has no test cell {missing!r}, which keys/{assignment}.py describes.")
        for extra in sorted(found - wanted):
            raise CourseError(f"{where}: test cell {extra!r} has no part of a question in keys/{assignment}.py.")
        if not any(mark.grade_id == "term" for mark in marks):
            raise CourseError(f"{where} has no cell 'term' for the numbers of the term.")


CONFIG = '''"""nbgrader's settings for this folder, for JupyterHub or the formgrader; made by `make assignments`."""
import sys
from pathlib import Path

sys.path.insert(0, {scripts!r})
from scripts.grading.course import Course

c = get_config()  # noqa: F821
c.merge(Course.at(Path(__file__).parent).config())
'''
