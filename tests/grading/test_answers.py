"""The assignments' answers, judged: every known mistake is stopped, right answers pass, and nothing leaks."""

from __future__ import annotations

import contextlib
import csv
import importlib
import inspect
import itertools
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest

from tests.support.assignments_right import RIGHT
from tests.support.judged import observed, verdicts

pytest.importorskip("nbgrader", reason="the extra 'instructor' is not installed")

from scripts.grading.cells import grade_id, split
from scripts.grading.course import Course, questions
from scripts.grading.kernel.observer import Observed
from scripts.grading.question import Observation, Question, judge
from scripts.grading.rebuilding import rebuild
from scripts.grading.release import make
from scripts.grading.run import grade
from scripts.grading.terms import ASSIGNMENTS, SOURCES, CourseError, Term, term
from tests.support.submissions import notebook_of, solution

pytestmark = pytest.mark.filterwarnings("ignore")  # nbgrader's own, about its database
TERMS = ("example", "2027-spring")


# Answers and known mistakes


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
@pytest.mark.parametrize("name", TERMS)
def test_known_mistakes_lose_exactly_their_points(assignment: str, name: str) -> None:
    for question in questions(assignment, term(name)).values():
        assert all(verdict.passed for verdict in verdicts(question, question.answer).values()), question.name
        for mistake in question.mistakes:
            found = verdicts(question, mistake.function)
            lost = tuple(part for part, verdict in found.items() if not verdict.passed)
            assert lost == mistake.loses, f"{question.name}: {mistake.slug}"
            assert {found[part].mistake for part in lost} == {mistake.slug}, f"{question.name}: {mistake.slug}"
            assert all(mistake.why in found[part].message for part in lost)


def tried(assignment: str, name: str, function: Callable[..., Any]) -> list[str]:
    """The test cells, as students see them, that stop when this function is the answer to a question."""
    cells = nbformat.read(SOURCES / f"{assignment}.ipynb", as_version=4).cells
    by_id = {cell.metadata.nbgrader.grade_id: cell.source for cell in cells}
    stopped = []
    for part in (part for part in by_id if part.startswith(f"{name}-")):
        space: dict[str, Any] = {name: function}
        exec("import math\n" + by_id["setup"], space)
        try:
            exec(re.sub(r"### BEGIN HIDDEN.*?### END HIDDEN TESTS", "", by_id[part], flags=re.DOTALL), space)
        except Exception:  # a wrong function may stop with anything
            stopped.append(part.removeprefix(f"{name}-"))
    return stopped


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_what_students_can_run_stops_every_known_mistake_and_no_right_answer(assignment: str) -> None:
    for name, question in questions(assignment, term()).items():
        if not question.parameters:
            continue  # a number by hand; showing what is right would give it away
        assert tried(assignment, name, question.answer) == []
        for mistake in question.mistakes:
            stopped = tried(assignment, name, mistake.function)
            assert stopped, f"{name}: {mistake.slug}"
            assert set(stopped) <= set(mistake.loses), f"{name}: {mistake.slug}"


def test_every_question_has_known_mistakes_and_parts() -> None:
    for assignment in ASSIGNMENTS:
        for question in questions(assignment, term()).values():
            assert len(question.mistakes) >= 3, question.name
            lost = {part for mistake in question.mistakes for part in mistake.loses}
            assert lost == set(question.parts), f"{question.name}: no mistake loses {set(question.parts) - lost}"


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_other_right_answers_score_full(assignment: str) -> None:
    found = questions(assignment, term())
    assert set(RIGHT[assignment]) == {name for name, question in found.items() if question.parameters}
    for name, function in RIGHT[assignment].items():
        for part, verdict in verdicts(found[name], function).items():
            assert verdict.passed, f"{name}-{part}: {verdict.message}"


def ready_made() -> Iterator[tuple[str, Callable[..., Any]]]:
    """What a student could call in place of an answer: functions and methods of vae_utils, exercises' solutions."""
    from vae_utils import exercises
    from vae_utils.likelihoods import Bernoulli
    from vae_utils.models import VAE

    for module in ("losses", "objectives", "evaluation"):
        loaded = importlib.import_module(f"vae_utils.{module}")
        for name, function in inspect.getmembers(loaded, inspect.isfunction):
            if function.__module__ == loaded.__name__ and not name.startswith("_"):
                yield f"{module}.{name}", function
    yield "VAE.reparameterize", VAE((1, 2, 2), 2, Bernoulli()).reparameterize
    for name in exercises.NAMES:
        yield f"exercises.{name}.solution", getattr(exercises, name).answer


def called_as(question: Question, function: Callable[..., Any]) -> Callable[..., Any]:
    """A student's function of the right signature, which calls that one with as many arguments as it takes."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    takes = sum(parameter.kind in kinds for parameter in inspect.signature(function).parameters.values())
    names = ", ".join(question.parameters)
    passed = ", ".join(question.parameters[:takes])
    space = {"function": function}
    exec(f"def answer({names}):\n    return function({passed})", space)
    return space["answer"]


def test_ready_made_functions_score_zero() -> None:
    candidates = list(ready_made())
    assert len(candidates) > 20
    earned = [
        f"{question.name}-{part} by {name}"
        for assignment in ASSIGNMENTS
        for question in questions(assignment, term()).values()
        if question.parameters
        for name, function in candidates
        for part, verdict in verdicts(question, called_as(question, function)).items()
        if verdict.passed
    ]
    assert not earned


def test_numbers_by_hand_differ_from_their_mistakes_in_every_term() -> None:
    choices = tomllib.loads((SOURCES / "terms.toml").read_text(encoding="utf-8"))["choices"]
    for assignment, lists in choices.items():
        for values in itertools.product(*lists.values()):
            numbers = choices | {assignment: dict(zip(lists, values, strict=True))}
            others = {name: {key: some[0] for key, some in kinds.items()} for name, kinds in choices.items()}
            variant = Term("-".join(map(str, values)), 0, others | {assignment: numbers[assignment]})
            for question in questions(assignment, variant).values():
                if question.parameters:
                    continue
                for mistake in question.mistakes:
                    found = verdicts(question, mistake.function)
                    lost = tuple(part for part, verdict in found.items() if not verdict.passed)
                    assert lost == mistake.loses, (numbers[assignment], mistake.slug)


# Sources


def points_of(notebook: nbformat.NotebookNode, assignment: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Run a notebook's cells in this process, and return which tests give their points."""
    found = questions(assignment, term())
    reports: dict[str, dict[str, list[Observation]]] = defaultdict(dict)

    def observe(test: str, function: Callable[..., Any]) -> None:
        name, part = split(test)
        reports[name][part] = observed(found[name], part, function)
        raise Observed

    monkeypatch.setitem(sys.modules, "observer", SimpleNamespace(observe=observe))
    space: dict[str, Any] = {}
    for cell in notebook.cells:
        if cell.cell_type == "code" and not str(grade_id(cell)).startswith("look"):
            with contextlib.suppress(Exception):
                exec(cell.source, space)
    return {
        f"{name}-{part}": judge(question, part, reports[name]).passed is True
        for name, question in found.items()
        for part in question.parts
    }


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_solutions_score_full_and_an_untouched_release_zero(
    leaky: Course, assignment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = nbformat.read(SOURCES / f"{assignment}.ipynb", as_version=4)
    solved = points_of(source, assignment, monkeypatch)
    assert all(solved.values()), solved
    untouched, _ = rebuild(source, nbformat.read(leaky.release(assignment), as_version=4))
    assert "raise NotImplementedError" in str(untouched) and "BEGIN SOLUTION" not in str(untouched)
    empty = points_of(untouched, assignment, monkeypatch)
    assert not any(empty.values()), empty


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_sources_are_clean_and_complete(assignment: str) -> None:
    notebook = nbformat.read(SOURCES / f"{assignment}.ipynb", as_version=4)
    nbformat.validate(notebook)
    by_id = {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells}
    assert len(by_id) == len(notebook.cells)
    assert by_id["term"].source == term().cell(assignment)
    assert sum(cell.metadata.nbgrader.get("points", 0) for cell in notebook.cells) == 20
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
    for name, cell in by_id.items():
        if cell.metadata.nbgrader.solution:
            assert "### BEGIN SOLUTION" in cell.source and "### END SOLUTION" in cell.source
        if cell.metadata.nbgrader.grade and cell.cell_type == "code":
            points = cell.metadata.nbgrader.points
            assert cell.source.startswith(f"# {points} point{'s' * (points != 1)}: ")
            assert f'observe("{name}", ' in cell.source
        if cell.metadata.nbgrader.grade and cell.cell_type == "markdown":
            assert "**Rubric.**" in cell.source
            points = cell.metadata.nbgrader.points
            assert any(f"({points} points, written)" in other.source for other in notebook.cells)


def test_the_figures_of_a_model_answer_are_the_records(root: Path) -> None:
    """The one that quotes the comparison of autoencoder and VAE: averages over the seeds, autoencoder and VAE."""
    runs = json.loads((root / "data" / "records" / "ae_against_vae.json").read_text(encoding="utf-8"))["runs"]
    cells = nbformat.read(SOURCES / "vae.ipynb", as_version=4).cells
    answer = next(cell.source for cell in cells if cell.metadata.nbgrader.grade_id == "not_promised")

    def both(dataset: str, part: str, figure: str, digits: int) -> tuple[str, ...]:
        found = [[run[part][kind][figure] for run in runs if run["dataset"] == dataset] for kind in ("ae", "vae")]
        return tuple(f"{sum(values) / len(values):.{digits}f}" for values in found)

    quoted = re.findall(r"([\d.]+\d) against ([\d.]+\d)", answer)
    assert [tuple(reversed(pair)) for pair in quoted[:3]] == [
        both("cats_dogs", "8", "normal", 2),
        both("mnist", "8", "normal", 2),
        both("mnist", "few", "error", 1),
    ]
    assert quoted[3:] == [
        both("cats_dogs", "few", "error", 2),
        both("cats_dogs", "8", "error", 2),
        both("mnist", "8", "error", 1),
    ]
    for run in runs:
        autoencoder, vae = run["8"]["ae"], run["8"]["vae"]
        assert vae["normal"] < autoencoder["normal"] and vae["coverage"] > autoencoder["coverage"]
        assert vae["path"] < autoencoder["path"] and autoencoder["mixture"] < vae["normal"]


@pytest.mark.parametrize(("pixels", "batch"), [(6, 4), (3072, 64)])
def test_the_weight_of_a_batch_is_what_the_gradients_say(pixels: int, batch: int) -> None:
    cells = nbformat.read(SOURCES / "loss.ipynb", as_version=4).cells
    by_id = {cell.metadata.nbgrader.grade_id: cell.source for cell in cells}
    space: dict[str, Any] = {}
    exec(by_id["setup"] + "\n" + by_id["agrees"], space)
    assert space["agrees"](pixels * batch, pixels, batch)
    assert not any(space["agrees"](beta, pixels, batch) for beta in (1, batch, pixels, pixels / batch))


def copied(folder: Path) -> Path:
    """The assignments' sources, to be changed."""
    return Path(
        shutil.copytree(SOURCES, folder / "assignments", ignore=shutil.ignore_patterns("__pycache__", ".ipynb*"))
    )


def test_a_test_cell_that_no_key_describes_is_named(tmp_path: Path) -> None:
    sources = copied(tmp_path)
    path = sources / "loss.ipynb"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"grade_id": "bits-value"', '"grade_id": "bits-all"'), encoding="utf-8"
    )
    with pytest.raises(CourseError, match="'bits-value'"):
        make(Course(tmp_path / "course", term("example", sources), sources))


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CourseError, match="something else"):
        make(Course(tmp_path, term()))
    assert (tmp_path / "thesis.txt").exists()


# Releases


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course made of sources with a canary in every place that students must not see."""
    folder = tmp_path_factory.mktemp("leaky")
    sources = copied(folder)
    for assignment in ASSIGNMENTS:
        path = sources / f"{assignment}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        state = {"state": {"CANARY-widgets": {}}, "version_major": 2, "version_minor": 0}
        notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": state}
        notebook.metadata["note"] = "CANARY-notebook"
        for number, cell in enumerate(notebook.cells):
            for mark in ("### BEGIN SOLUTION", "### BEGIN HIDDEN TESTS"):
                cell.source = re.sub(rf"( *){mark}", rf"\g<0>\n\1# CANARY-{number}", cell.source)
            cell.metadata["note"] = "CANARY-cell"
            if cell.cell_type == "code":
                cell.outputs = [nbformat.v4.new_output("stream", text="CANARY-output")]
            else:
                cell["attachments"] = {"a.txt": {"text/plain": "CANARY-attachment"}}
        planted = json.dumps(notebook).count("CANARY-")
        assert planted > 2.4 * len(notebook.cells)
        nbformat.write(notebook, path)
    made = Course(folder / "course", term("2027-spring", sources), sources)
    make(made)
    return made


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_releases_leak_nothing(leaky: Course, assignment: str) -> None:
    raw = leaky.release(assignment).read_text(encoding="utf-8")
    assert "CANARY" not in raw
    for word in ("observe", "SOLUTION", "HIDDEN", "Rubric", "A good answer", "keys"):
        assert word not in raw
    assert [path.name for path in leaky.release(assignment).parent.iterdir()] == [f"{assignment}.ipynb"]
    # Nor does a line of a solution stand anywhere in it.
    solved = nbformat.read(SOURCES / f"{assignment}.ipynb", as_version=4)
    for cell in solved.cells:
        for region in re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", cell.source, re.DOTALL):
            for line in filter(None, map(str.strip, region.splitlines())):
                assert json.dumps(line)[1:-1] not in raw, line


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_releases_hold_the_terms_numbers_and_all_points(leaky: Course, assignment: str) -> None:
    notebook = nbformat.read(leaky.release(assignment), as_version=4)
    by_id = {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells}
    assert by_id["term"].source == leaky.term.cell(assignment)
    assert 'TERM = "2027-spring"' in by_id["term"].source
    assert sum(cell.metadata.nbgrader.get("points", 0) for cell in notebook.cells) == 20
    for name, question in questions(assignment, leaky.term, leaky.sources).items():
        assert "raise NotImplementedError" in by_id[name].source
        assert all(f"{name}-{part}" in by_id for part in question.parts)


def test_no_answer_is_in_the_package(root: Path) -> None:
    names = [name for one in ASSIGNMENTS for name, question in questions(one, term()).items() if question.parameters]
    for path in (root / "vae_utils").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not [name for name in names if f"def {name}(" in text], path


def test_nbgraders_own_commands_work_on_the_course(leaky: Course) -> None:
    command = [sys.executable, "-m", "nbgrader", "db", "assignment", "list"]
    done = subprocess.run(command, cwd=leaky.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(assignment in done.stdout for assignment in ASSIGNMENTS)


def test_a_submission_is_run_judged_and_reported(leaky: Course, tmp_path: Path) -> None:
    """One through a kernel and nbgrader's gradebook; the class with all its troubles is in the next module."""
    answers = solution(leaky, "loss")
    wrong = {"kl_between": answers["kl_between"].replace("0.5 * ", ""), "mean_or_sum": "A mean divides the KL, too."}
    assert wrong["kl_between"] != answers["kl_between"]
    (tmp_path / "in").mkdir()
    nbformat.write(notebook_of(leaky, "loss", answers | wrong), tmp_path / "in" / "ann_loss.ipynb")
    (outcome,) = grade(leaky, tmp_path / "in", tmp_path / "out", say=lambda line: None)
    assert outcome.status == "graded" and set(outcome.mistakes.values()) == {"half-forgotten"}
    with (tmp_path / "out" / "grades.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    lost = {name for name, points in row.items() if name.startswith("loss.") and points == "0"}
    assert lost == {"loss.kl_between-moved", "loss.kl_between-any", "loss.kl_between-gradients"}
    assert (row["most"], row["to_mark"], row["remarks"]) == ("20", "1", "")
    assert "half-forgotten" in (tmp_path / "out" / "feedback" / "ann_loss.html").read_text(encoding="utf-8")
