"""A class with all its troubles, graded: no submission stops the next one, and each keeps what it has earned."""

from __future__ import annotations

import contextlib
import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
import pytest

pytest.importorskip("nbgrader", reason="the extra 'instructor' is not installed")

from scripts.grading import marks
from scripts.grading.course import Course
from scripts.grading.release import make
from scripts.grading.run import Limits, Outcome, grade
from scripts.grading.terms import ASSIGNMENTS, term
from tests.support.submissions import notebook_of, solution

pytestmark = pytest.mark.filterwarnings("ignore")  # nbgrader's own, about its database
# Time enough for every honest cell on a busy machine; a loop outside of a function lasts as long as a cell may.
LIMITS = Limits(seconds=900, cell=30, memory=1500)
LEFT_RUNNING = f"sleep 4321.{os.getpid()}"

LOOP = "def laplace_objective(x_hat, x, mu, logvar, s, beta):\n    while True:\n        print('again')"
HOG = """def kl_between(mu_q, logvar_q, mu_p, logvar_p):
    return torch.ones(10**9, dtype=torch.float64).sum()"""
CHEAT = f"""import ast, os, subprocess, torch, observer
LEFT_RUNNING = {LEFT_RUNNING!r}
subprocess.Popen(LEFT_RUNNING.split(), start_new_session=True)
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
    """Write the submissions of a small class with all its troubles."""
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
    # Deleted, doubled and stripped cells, one known mistake, and a script that would run where the page is opened.
    script = "<script>alert(1)</script> is 1 < 2"
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


def rows(out: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {(row["student"], row["assignment"]): row for row in csv.DictReader(file)}


@dataclass(frozen=True)
class Graded:
    """The class after it was graded in one go. rows: grades.csv as it was then, by student and assignment."""

    course: Course
    submissions: Path
    out: Path
    outcomes: list[Outcome]
    rows: dict[tuple[str, str], dict[str, str]]


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Graded:
    folder = tmp_path_factory.mktemp("class")
    course = Course(folder / "course", term())
    make(course)
    hand_in_all(course, folder / "submissions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADER_TOKEN", "a-secret")
        outcomes = grade(course, folder / "submissions", folder / "out", LIMITS, say=lambda line: None)
    return Graded(course, folder / "submissions", folder / "out", outcomes, rows(folder / "out"))


def points(row: dict[str, str], question: str) -> float:
    return sum(float(value) for name, value in row.items() if name.startswith(f"loss.{question}-") and value)


def test_solutions_score_full_and_an_untouched_release_zero(graded: Graded) -> None:
    written = {"autoencoder": 4, "vae": 5, "reparameterization": 5, "loss": 3}
    for assignment, by_hand in written.items():
        row = graded.rows["ada", assignment]
        assert (row["status"], float(row["points"]), float(row["most"])) == ("graded", 20 - by_hand, 20)
        assert not row["mistakes"] and not row["remarks"]
    untouched = graded.rows["ben", "loss"]
    assert (untouched["points"], untouched["to_mark"]) == ("0", "0")


def test_what_is_no_notebook_is_reported(graded: Graded) -> None:
    row = graded.rows["cleo", "loss"]
    assert (row["status"], row["points"], row["most"]) == ("not graded", "0", "20")
    assert "not JSON" in row["remarks"]
    assert graded.rows["", ""]["status"] == "not recognized" and graded.rows["", ""]["file"] == "readme.ipynb"


def test_endless_loops_lose_their_question_alone(graded: Graded) -> None:
    row = graded.rows["dan", "loss"]
    assert row["status"] == "graded" and float(row["points"]) == 12 and points(row, "laplace_objective") == 0
    assert "was interrupted" in row["remarks"] and "printed too much" in row["remarks"]


def test_memory_has_a_limit(graded: Graded) -> None:
    row = graded.rows["eve", "loss"]
    assert row["status"] == "graded" and points(row, "kl_between") == points(row, "free_nats") == 0
    assert points(row, "laplace_objective") == 5


def test_a_program_that_fails_or_ends_keeps_what_it_has_earned(graded: Graded) -> None:
    row = graded.rows["fay", "loss"]
    assert (
        row["status"] == "graded" and points(row, "kl_between") == points(row, "free_nats") == points(row, "bits") == 0
    )
    assert points(row, "laplace_objective") == 5 and "ended itself" in row["remarks"]


def test_deleted_and_doubled_cells_are_put_right(graded: Graded) -> None:
    row = graded.rows["gil", "loss"]
    assert points(row, "free_nats") == 4 and points(row, "laplace_objective") == 5 and points(row, "kl_between") == 0
    assert row["mistakes"] == "kl_between: half-forgotten"
    for remark in ("put back: setup, free_nats-floor", "more than once: kl_between", "found by its function's name"):
        assert remark in row["remarks"]


def test_a_students_program_leaves_nothing_running_and_sees_no_secret(graded: Graded) -> None:
    commands = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            commands.append(" ".join(process.cmdline()))
    assert commands and not [command for command in commands if LEFT_RUNNING in command]
    run = graded.course.graded("autograded", "hal", "loss").read_text(encoding="utf-8")
    assert "NBGRADER_EXECUTION" in run and "a-secret" not in run


def test_rewritten_tests_earn_nothing(graded: Graded) -> None:
    row = graded.rows["hal", "loss"]
    assert (row["status"], row["points"], row["most"]) == ("graded", "0", "20")
    assert "restored: setup, kl_between-any, free_nats-one" in row["remarks"]
    assert "look at the code, it mentions ast_transformers, observer, subprocess" in row["remarks"]


def test_feedback_names_the_mistakes_and_shows_no_test(graded: Graded) -> None:
    page = (graded.out / "feedback" / "gil_loss.html").read_text(encoding="utf-8")
    assert "half-forgotten" in page and "In training that is beta = 2" in page
    assert page.count("In training that is beta = 2") == 1  # its other parts refer to it
    assert 'href="#kl_between-any">kl_between-any</a>' in page and "mean_or_sum</a> (not marked yet)" in page
    assert "observe" not in page and "HIDDEN" not in page
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert not (graded.out / "feedback" / "cleo_loss.html").exists()
    assert len(list((graded.out / "feedback").iterdir())) == len(graded.outcomes) - 1


def test_marks_by_hand_come_back(graded: Graded) -> None:
    course, folder, out = graded.course, graded.submissions, graded.out
    table = marks.load(out / "written.csv")
    assert {key[0] for key in table if key[1] == "loss"} == {"ada", "dan", "eve", "fay", "gil"}
    table["ada", "loss", "mean_or_sum"] |= {"points": "2,5", "comment": "Which weight?"}
    marks.save(out / "written.csv", table)
    again = grade(course, folder, out, LIMITS, say=lambda line: None)
    assert [one.seconds for one in again] == [one.seconds for one in graded.outcomes]  # nothing was run again
    row = rows(out)["ada", "loss"]
    assert (row["points"], row["to_mark"]) == ("19.5", "0")
    assert "Which weight?" in (out / "feedback" / "ada_loss.html").read_text(encoding="utf-8")
    # A new answer needs a new mark; the other submissions stay as they are.
    notebook = notebook_of(course, "loss", solution(course, "loss") | {"mean_or_sum": "=SUM(A1) is another answer."})
    nbformat.write(notebook, folder / "ada_loss.ipynb")
    before = {(one.student, one.assignment): one.digest for one in again}
    changed = grade(course, folder, out, LIMITS, only="loss", say=lambda line: None)
    assert [one.student for one in changed if before[one.student, one.assignment] != one.digest] == ["ada"]
    assert rows(out)["ada", "loss"]["to_mark"] == "1"
    assert marks.load(out / "written.csv")["ada", "loss", "mean_or_sum"]["answer"].startswith("'=SUM")
