"""The assignments: nothing leaks, known mistakes lose what they should, and no submission stops the next one."""

from __future__ import annotations

import contextlib
import csv
import importlib
import inspect
import io
import itertools
import json
import re
import shutil
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
import torch

from tests.support.assignments_right import RIGHT

pytest.importorskip("nbgrader", reason="the extra 'instructor' is not installed")

from scripts.grading import course as courses
from scripts.grading import marks
from scripts.grading.course import ASSIGNMENTS, SOURCES, Course, CourseError, Term, questions, split, term
from scripts.grading.intake import collect, recognize
from scripts.grading.kernel.observer import Other, decode, encode, report
from scripts.grading.question import Question, Verdict, judge, probes_of, read
from scripts.grading.run import Limits, Outcome, grade
from scripts.grading.steps import rebuild

pytestmark = pytest.mark.filterwarnings("ignore")  # nbgrader's own, about its database
TERMS = ("example", "2027-spring")


# The judge, without a kernel


def verdicts(question: Question, function: Callable[..., Any]) -> dict[str, Verdict]:
    """What each part says of a function, through the same JSON that a kernel would send."""
    sent = json.loads(json.dumps(probes_of([question])))
    seen = {}
    for name, part in question.parts.items():
        answer = json.loads(json.dumps(report(function, sent[f"{question.name}-{name}"])))
        seen[name] = read(answer, part)
    return {name: judge(question, name, seen) for name in question.parts}


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
@pytest.mark.parametrize("name", TERMS)
def test_known_mistakes_lose_exactly_their_points(assignment: str, name: str) -> None:
    for question in questions(assignment, term(name)).values():
        assert all(verdict.right for verdict in verdicts(question, question.answer).values()), question.name
        for mistake in question.mistakes:
            found = verdicts(question, mistake.function)
            lost = tuple(part for part, verdict in found.items() if not verdict.right)
            assert lost == mistake.loses, f"{question.name}: {mistake.slug}"
            assert {found[part].mistake for part in lost} == {mistake.slug}, f"{question.name}: {mistake.slug}"
            assert all(mistake.why in found[part].text for part in lost)


def tried(assignment: str, name: str, function: Callable[..., Any]) -> list[str]:
    """The test cells, as students see them, that stop when this function is the answer to a question."""
    cells = nbformat.read(SOURCES / f"{assignment}.ipynb", as_version=4).cells
    by_id = {cell.metadata.nbgrader.grade_id: cell.source for cell in cells}
    stopped = []
    for part in (part for part in by_id if part.startswith(f"{name}-")):
        seen: dict[str, Any] = {name: function}
        exec("import math\n" + by_id["setup"], seen)
        try:
            exec(re.sub(r"### BEGIN HIDDEN.*?### END HIDDEN TESTS", "", by_id[part], flags=re.DOTALL), seen)
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
            assert verdict.right, f"{name}-{part}: {verdict.text}"


def ready_made() -> Iterator[tuple[str, Callable[..., Any]]]:
    """What a student could call in place of an answer: functions and methods of vae_utils, exercises' solutions."""
    from vae_utils import exercises
    from vae_utils.models import VAE

    for module in ("losses", "estimators", "evaluation"):
        loaded = importlib.import_module(f"vae_utils.{module}")
        for name, function in inspect.getmembers(loaded, inspect.isfunction):
            if function.__module__ == loaded.__name__ and not name.startswith("_"):
                yield f"{module}.{name}", function
    yield "VAE.reparameterize", VAE((1, 2, 2), 2).reparameterize
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
        if verdict.right
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
                    lost = tuple(part for part, verdict in found.items() if not verdict.right)
                    assert lost == mistake.loses, (numbers[assignment], mistake.slug)


def test_numbers_by_hand_may_be_rounded_and_of_any_kind() -> None:
    exact = questions("reparameterization", term())["exact"]
    a, b = exact.answer()
    for value in ((a, b), [a, b], (torch.tensor(a), torch.tensor(b)), torch.tensor([a, b]), (round(a, 2), round(b, 2))):
        assert all(verdict.right for verdict in verdicts(exact, lambda value=value: value).values()), value
    for value in (None, "2", (), (a,), (a, b, b), a, {"a": a}, (b, a), (float("nan"), float("nan"))):
        assert not any(verdict.right for verdict in verdicts(exact, lambda value=value: value).values()), value


def broken(kind: str) -> Callable[..., Any]:
    def answer(mu_q: torch.Tensor, logvar_q: torch.Tensor, mu_p: torch.Tensor, logvar_p: torch.Tensor) -> Any:
        if kind == "raises":
            raise ValueError("no idea")
        return {"none": None, "text": "42", "list": [1.0], "numpy": mu_q.sum(1).numpy(), "whole": mu_q.sum(1).long()}[
            kind
        ]

    return answer


@pytest.mark.parametrize("kind", ["raises", "none", "text", "list", "numpy", "whole"])
def test_broken_answers_earn_nothing_and_are_told_why(kind: str) -> None:
    found = verdicts(questions("loss", term())["kl_between"], broken(kind))
    assert not any(verdict.right for verdict in found.values())
    assert all(len(verdict.text) > 20 and verdict.mistake is None for verdict in found.values())


@pytest.mark.parametrize(
    "value", [torch.zeros(0, 3), torch.tensor(2.5).double(), torch.tensor([True]), None, True, 3, 1.5, (1, None)]
)
def test_reports_survive_the_way(value: Any) -> None:
    back = decode(json.loads(json.dumps(encode(value))))
    if isinstance(value, torch.Tensor):
        assert back.dtype == value.dtype and torch.equal(back, value)
    else:
        assert back == value and type(back) is type(value)
    assert isinstance(decode(encode("text")), Other)
    assert isinstance(decode(encode(torch.zeros(10**6))), Other)


@pytest.mark.parametrize(
    "forged",
    [
        [],
        {"tensor": "AAAA", "dtype": "float32", "shape": [2]},
        {"tensor": "????", "dtype": "float32", "shape": [1]},
        {"tensor": "", "dtype": "object", "shape": [0]},
        {"tensor": "", "dtype": "float32", "shape": [-1]},
        {"plain": "text"},
        {"plain": [1]},
    ],
)
def test_forged_reports_are_refused(forged: Any) -> None:
    with pytest.raises(ValueError):
        decode(forged)
    part = questions("loss", term())["kl_between"].parts["any"]
    for whole in (forged, [{"value": forged}], [{}], [{"right": True}], ["right"], [{"stub": 1}] * 100):
        if whole != []:
            with pytest.raises(ValueError):
                read(whole, part)


# Sources and terms


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


def test_any_name_makes_a_term_of_its_own() -> None:
    made = [term(f"term-{number}") for number in range(8)]
    assert made[0] == term("term-0")
    assert len({one.seed for one in made}) == 8
    for assignment in ASSIGNMENTS:
        assert len({one.cell(assignment).split("\n", 2)[2] for one in made}) > 2
    first, second = (probes_of(list(questions("loss", one).values()))["kl_between-any"]["probes"] for one in made[:2])
    assert first != second


@pytest.mark.parametrize("name", ["", "../away", "a b", ".hidden", "-x", 'x"'])
def test_terms_with_odd_names_are_refused(name: str) -> None:
    with pytest.raises(CourseError, match="TERM="):
        term(name)


def test_constants_that_nothing_uses_are_refused(tmp_path: Path) -> None:
    text = (SOURCES / "terms.toml").read_text(encoding="utf-8")
    (tmp_path / "terms.toml").write_text(text + "\n[terms.odd]\nloss = { NOTHING = 1 }\n", encoding="utf-8")
    with pytest.raises(CourseError, match="NOTHING"):
        term("odd", tmp_path)
    assert term("example", tmp_path) == term()


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
        Course(tmp_path / "course", term("example", sources), sources).make()


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CourseError, match="something else"):
        Course(tmp_path, term()).make()
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
    made.make()
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


def test_nothing_for_graders_is_in_the_package(root: Path) -> None:
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert settings["wheel"]["packages"] == ["vae_utils"]
    shipped = [*settings["wheel"]["force-include"], *settings["sdist"]["include"]]
    assert not any("notebooks" in path or "scripts" in path for path in shipped)
    names = [name for one in ASSIGNMENTS for name, question in questions(one, term()).items() if question.parameters]
    for path in (root / "vae_utils").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not [name for name in names if f"def {name}(" in text], path


# Submissions


def notebook_of(course: Course, assignment: str, answers: dict[str, str] | None = None) -> nbformat.NotebookNode:
    """The release with these sources in its cells, by id."""
    notebook = nbformat.read(course.release(assignment), as_version=4)
    for cell in notebook.cells:
        cell.source = (answers or {}).get(cell.metadata.nbgrader.grade_id, cell.source)
    return notebook


def solution(course: Course, assignment: str) -> dict[str, str]:
    """The solution cells of the source, without the marks around them."""
    notebook = nbformat.read(course.folder / "source" / assignment / f"{assignment}.ipynb", as_version=4)
    found = {cell.metadata.nbgrader.grade_id: cell.source for cell in notebook.cells if cell.metadata.nbgrader.solution}
    return {name: re.sub(r" *### (BEGIN|END) SOLUTION\n?", "", source) for name, source in found.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The example term's course."""
    course = Course(tmp_path_factory.mktemp("made") / "course", term())
    course.make()
    return course


LOOP = "def laplace_objective(x_hat, x, mu, logvar, s, beta):\n    while True:\n        print('again')"
HOG = """def kl_between(mu_q, logvar_q, mu_p, logvar_p):
    return torch.ones(10**9, dtype=torch.float64).sum()"""
CHEAT = """import ast, os, subprocess, torch, observer
subprocess.Popen(["sleep", "4321.5"], start_new_session=True)
print(dict(os.environ))
torch.allclose = torch.testing.assert_close = lambda *a, **k: True
observer.observe = lambda *a, **k: print("20 of 20 points")
class NoAsserts(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()
get_ipython().ast_transformers.append(NoAsserts())
def kl_between(mu_q, logvar_q, mu_p, logvar_p):
    return mu_q.sum(1)
20.0"""


def hand_in_all(made: Course, folder: Path) -> None:
    """The submissions of a small class with all its troubles."""
    folder.mkdir()

    def hand_in(student: str, notebook: nbformat.NotebookNode, assignment: str = "loss") -> None:
        nbformat.write(notebook, folder / f"{student}_{assignment}.ipynb")

    for assignment in ASSIGNMENTS:
        hand_in("ada", notebook_of(made, assignment, solution(made, assignment)), assignment)
    right = solution(made, "loss")
    hand_in("ben", notebook_of(made, "loss"))
    (folder / "cleo_loss.ipynb").write_bytes(b"\x89PNG not a notebook")
    # Loops for ever, in a function and outside, and prints all the time.
    looping = notebook_of(made, "loss", right | {"laplace_objective": LOOP})
    looping.cells.append(nbformat.v4.new_code_cell("while True:\n    print('x' * 1000)"))
    hand_in("dan", looping)
    # Eats memory in one function, in small bites in another; answers the rest.
    bites = "def free_nats(mu, logvar, floor):\n    eaten = []\n    while True:\n        eaten.append(bytearray(10**7))"
    hand_in("eve", notebook_of(made, "loss", right | {"kl_between": HOG, "free_nats": bites}))
    # Fails on import, ends the program after two questions.
    failing = {"kl_between": "import no_such_package\n" + right["kl_between"], "free_nats": "import os\nos._exit(0)"}
    hand_in("fay", notebook_of(made, "loss", right | failing))
    # Would run in whoever's browser opens the feedback page.
    script = "<script>alert(1)</script> is 1 < 2"
    # Deleted, doubled and stripped cells, and one known mistake.
    messy = notebook_of(
        made, "loss", right | {"mean_or_sum": script, "kl_between": re.sub("0.5 \\* ", "", right["kl_between"])}
    )
    messy.cells = [cell for cell in messy.cells if cell.metadata.nbgrader.grade_id not in ("free_nats-floor", "setup")]
    stub = next(cell for cell in notebook_of(made, "loss").cells if cell.metadata.nbgrader.grade_id == "kl_between")
    messy.cells.append(stub)
    next(cell for cell in messy.cells if cell.metadata.nbgrader.grade_id == "laplace_objective").metadata = {}
    messy.cells.insert(0, nbformat.v4.new_code_cell("import math\nimport torch"))
    hand_in("gil", messy)
    # Rewrites the tests, and all that stands around them.
    cheating = notebook_of(
        made, "loss", {"kl_between": CHEAT, "kl_between-any": "20.0", "free_nats-one": "pass", "setup": "20.0"}
    )
    for cell in cheating.cells:
        if cell.metadata.nbgrader.get("points"):
            cell.metadata.nbgrader.points = 100
    hand_in("hal", cheating)
    (folder / "readme.ipynb").write_text("{}", encoding="utf-8")


@pytest.fixture(scope="module")
def klass(made: Course, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[Outcome], list[str]]:
    """The class, graded in one go: submissions, results, outcomes, and what was said."""
    folder = tmp_path_factory.mktemp("class") / "submissions"
    hand_in_all(made, folder)
    said: list[str] = []
    out = folder.parent / "out"
    limits = Limits(seconds=120, cell=12, memory=1500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADER_TOKEN", "a-secret")
        outcomes = grade(made, folder, out, limits, say=said.append)
    return folder, out, outcomes, said


def rows(out: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {(row["student"], row["assignment"]): row for row in csv.DictReader(file)}


def points(row: dict[str, str], question: str) -> float:
    return sum(float(value) for name, value in row.items() if name.startswith(f"loss.{question}-") and value)


def test_solutions_score_full_and_an_untouched_release_zero(klass: Any) -> None:
    found = rows(klass[1])
    written = {"autoencoder": 4, "vae": 5, "reparameterization": 5, "loss": 3}
    for assignment, by_hand in written.items():
        row = found["ada", assignment]
        assert (row["status"], float(row["points"]), float(row["most"])) == ("graded", 20 - by_hand, 20)
        assert not row["mistakes"] and not row["remarks"]
    assert (found["ben", "loss"]["points"], found["ben", "loss"]["to_mark"]) == ("0", "0")


def test_what_is_no_notebook_is_reported(klass: Any) -> None:
    row = rows(klass[1])["cleo", "loss"]
    assert (row["status"], row["points"], row["most"]) == ("not graded", "0", "20")
    assert "not JSON" in row["remarks"]
    assert any("readme.ipynb" in line and "STUDENT_ASSIGNMENT" in line for line in klass[3])


def test_endless_loops_lose_their_question_alone(klass: Any) -> None:
    row = rows(klass[1])["dan", "loss"]
    assert row["status"] == "graded" and float(row["points"]) == 12 and points(row, "laplace_objective") == 0
    assert "was interrupted" in row["remarks"] and "printed too much" in row["remarks"]
    assert float(row["seconds"]) < 150


def test_memory_has_a_limit(klass: Any) -> None:
    row = rows(klass[1])["eve", "loss"]
    assert row["status"] == "graded" and points(row, "kl_between") == points(row, "free_nats") == 0
    assert points(row, "laplace_objective") == 5


def test_a_program_that_fails_or_ends_keeps_what_it_has_earned(klass: Any) -> None:
    row = rows(klass[1])["fay", "loss"]
    assert (
        row["status"] == "graded" and points(row, "kl_between") == points(row, "free_nats") == points(row, "bits") == 0
    )
    assert points(row, "laplace_objective") == 5 and "ended itself" in row["remarks"]


def test_deleted_and_doubled_cells_are_put_right(klass: Any) -> None:
    row = rows(klass[1])["gil", "loss"]
    assert points(row, "free_nats") == 4 and points(row, "laplace_objective") == 5 and points(row, "kl_between") == 0
    assert row["mistakes"] == "kl_between: 1/2 forgotten"
    for said in ("put back: setup, free_nats-floor", "more than once: kl_between", "found by its function's name"):
        assert said in row["remarks"]


def test_a_students_program_leaves_nothing_running_and_sees_no_secret(made: Course, klass: Any) -> None:
    commands = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            commands.append(" ".join(process.cmdline()))
    assert commands and not [command for command in commands if "sleep 4321.5" in command]
    run = (made.folder / "autograded" / "hal" / "loss" / "loss.ipynb").read_text(encoding="utf-8")
    assert "NBGRADER_EXECUTION" in run and "a-secret" not in run


def test_rewritten_tests_earn_nothing(klass: Any) -> None:
    row = rows(klass[1])["hal", "loss"]
    assert (row["status"], row["points"], row["most"]) == ("graded", "0", "20")
    assert "restored: setup, kl_between-any, free_nats-one" in row["remarks"]
    assert "look at the code, it mentions ast_transformers, observer, subprocess" in row["remarks"]


def test_feedback_names_the_mistakes_and_shows_no_test(klass: Any) -> None:
    page = (klass[1] / "feedback" / "gil_loss.html").read_text(encoding="utf-8")
    assert "1/2 forgotten" in page and "In training that is beta = 2" in page
    assert page.count("In training that is beta = 2") == 1  # its other parts refer to it
    assert 'href="#kl_between-any">kl_between-any</a>' in page and "mean_or_sum</a> (not marked yet)" in page
    assert "observe" not in page and "HIDDEN" not in page
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert not (klass[1] / "feedback" / "cleo_loss.html").exists()
    assert len(list((klass[1] / "feedback").iterdir())) == len(klass[2]) - 1


def test_marks_by_hand_come_back(made: Course, klass: Any) -> None:
    folder, out, outcomes, _ = klass
    limits = Limits(seconds=120, cell=12, memory=1500)
    table = marks.load(out / "written.csv")
    assert {key[0] for key in table if key[1] == "loss"} == {"ada", "dan", "eve", "fay", "gil"}
    table["ada", "loss", "mean_or_sum"] |= {"points": "2,5", "comment": "Which weight?"}
    marks.save(out / "written.csv", table)
    said: list[str] = []
    again = grade(made, folder, out, limits, say=said.append)
    assert [one.seconds for one in again] == [one.seconds for one in outcomes]  # nothing was run again
    row = rows(out)["ada", "loss"]
    assert (row["points"], row["to_mark"]) == ("19.5", "0")
    assert "Which weight?" in (out / "feedback" / "ada_loss.html").read_text(encoding="utf-8")
    # A new answer needs a new mark; the other submissions stay as they are.
    notebook = notebook_of(made, "loss", solution(made, "loss") | {"mean_or_sum": "=SUM(A1) is another answer."})
    nbformat.write(notebook, folder / "ada_loss.ipynb")
    said.clear()
    grade(made, folder, out, limits, only="loss", say=said.append)
    assert len([line for line in said if "/" in line]) == 1
    assert rows(out)["ada", "loss"]["to_mark"] == "1"
    assert marks.load(out / "written.csv")["ada", "loss", "mean_or_sum"]["answer"].startswith("'=SUM")


@pytest.mark.parametrize(("points", "said"), [("4", "from 0 to 3"), ("many", "from 0 to 3"), ("-1", "from 0 to 3")])
def test_marks_that_can_not_be_are_refused(tmp_path: Path, points: str, said: str) -> None:
    row = dict.fromkeys(marks.FIELDS, "x") | {"most": "3", "points": points}
    marks.save(tmp_path / "written.csv", {("x", "x", "x"): row})
    with pytest.raises(ValueError, match=said):
        marks.load(tmp_path / "written.csv")


def test_rebuilding_keeps_the_students_own_cells_in_place(made: Course) -> None:
    release = notebook_of(made, "loss")
    handed_in = notebook_of(made, "loss", {"kl_between": "kl_between = helper"})
    place = next(i for i, cell in enumerate(handed_in.cells) if cell.metadata.nbgrader.grade_id == "kl_between")
    handed_in.cells.insert(place, nbformat.v4.new_code_cell("def helper(): ..."))
    rebuilt, remarks = rebuild(release, handed_in)
    sources = [cell.source for cell in rebuilt.cells]
    assert sources.index("def helper(): ...") == sources.index("kl_between = helper") - 1
    assert len(rebuilt.cells) == len(release.cells) + 1 and not remarks
    nbformat.validate(rebuilt)
    emptied, remarks = rebuild(release, nbformat.v4.new_notebook())
    assert [cell.source for cell in emptied.cells] == [cell.source for cell in release.cells]
    assert "put back" in remarks[0]


# Files


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("smith_loss.ipynb", ("smith", "loss")),
        ("smith_jane_vae-1.ipynb", ("smith_jane", "vae")),
        ("doejane_LATE_12345_67890_Autoencoder (2).ipynb", ("doejane", "autoencoder")),
        ("jane/loss/loss.ipynb", ("jane", "loss")),
        ("jane/loss.ipynb", ("jane", "loss")),
        ("Jane Doe_12345_assignsubmission_file_/reparameterization.ipynb", ("Jane-Doe", "reparameterization")),
        ("submitted/a1/vae/vae.ipynb", ("a1", "vae")),
        ("José Núñez_loss.ipynb", ("José-Núñez", "loss")),
        ("loss.ipynb", None),
        ("smith_homework.ipynb", None),
        ("../../etc_loss.ipynb", ("etc", "loss")),
    ],
)
def test_file_names_of_learning_platforms(name: str, expected: tuple[str, str] | None) -> None:
    assert recognize(name) == expected


def test_zip_files_are_read_and_bad_ones_reported(tmp_path: Path) -> None:
    empty = nbformat.writes(nbformat.v4.new_notebook())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ann_loss.ipynb", empty)
        archive.writestr("../../bob_vae.ipynb", empty)
        archive.writestr("__MACOSX/._ann_loss.ipynb", "x")
    (tmp_path / "all.zip").write_bytes(buffer.getvalue())
    (tmp_path / "broken.zip").write_bytes(b"PK no zip")
    (tmp_path / "ann_loss-2.ipynb").write_text(empty, encoding="utf-8")
    found, strange = collect(tmp_path)
    assert [(one.key, one.problem) for one in found] == [(("ann", "loss"), ""), (("bob", "vae"), "")]
    assert "also handed in" in found[0].remarks[0] and found[0].file == "ann_loss-2.ipynb"
    assert strange == ["broken.zip"]
    assert not (tmp_path.parent / "bob_vae.ipynb").exists()
    with pytest.raises(FileNotFoundError, match="SUBMISSIONS"):
        collect(tmp_path / "nowhere")


def test_points_of_every_test_are_in_one_place_only() -> None:
    for path in sorted((SOURCES / "keys").glob("*.py")):
        assert "points=" not in path.read_text(encoding="utf-8"), path
    assert split("score_gradient-log_b") == ("score_gradient", "log_b")
    assert courses.EXAMPLE == "example"
