"""Many submissions at once: on two cores, on a Dask cluster, in a container. The grades are the same."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbgrader", reason="the extra 'instructor' is not installed")

from scripts import grade as program
from scripts.grading import container
from scripts.grading.course import Course, CourseError, fetching
from scripts.grading.release import make
from scripts.grading.run import grade
from scripts.grading.terms import term
from tests.support.submissions import as_colab_saves, notebook_of, solution

pytestmark = pytest.mark.filterwarnings("ignore")  # nbgrader's own, about its database
KILL = "def free_nats(mu, logvar, floor):\n    import os\n    os.kill(os.getppid(), 9)"


def class_of(folder: Path, killing: bool = False) -> Course:
    """Make a course, and hand in a right, an untouched, a half and a broken notebook."""
    course = Course(folder / "course", term())
    make(course)
    right = solution(course, "loss")
    handed_in = {"ada": right, "ben": {}, "cleo": dict(list(right.items())[:3])}
    if killing:
        handed_in = {"ada": right, "kim": right | {"free_nats": KILL}, "lea": right}
    (folder / "in").mkdir()
    for student, answers in handed_in.items():
        nbformat.write(notebook_of(course, "loss", answers), folder / "in" / f"{student}_loss.ipynb")
    (folder / "in" / "dan_loss.ipynb").write_bytes(b"no notebook")
    return course


def grades(folder: Path, course: Course, out: str, **how: object) -> list[dict[str, str]]:
    """Grade the class from the start; the rows of grades.csv without the time it took."""
    grade(course, folder / "in", folder / out, say=lambda line: None, again=True, **how)
    with (folder / out / "grades.csv").open(encoding="utf-8", newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def test_cores_and_a_cluster_give_the_grades_of_one_process(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="no Dask here")
    course = class_of(tmp_path)
    alone = grades(tmp_path, course, "alone")
    assert [row["points"] for row in alone] == ["17", "0", alone[2]["points"], "0"]
    assert grades(tmp_path, course, "cores", jobs=2) == alone
    settings = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with distributed.LocalCluster(**settings) as cluster:
        assert grades(tmp_path, course, "cluster", cluster=cluster.scheduler_address) == alone
    pages = [(tmp_path / out / "feedback" / "ada_loss.html").read_text() for out in ("alone", "cores", "cluster")]
    assert len(set(pages)) == 1


def test_what_ends_the_grading_process_costs_no_other_student(tmp_path: Path) -> None:
    course = class_of(tmp_path, killing=True)
    rows = {row["student"]: row for row in grades(tmp_path, course, "out", jobs=2)}
    assert rows["ada"]["points"] == rows["lea"]["points"] == "17"
    assert rows["kim"]["status"] == "not graded"
    assert "the program that graded it was ended, twice" in rows["kim"]["remarks"]


def test_grading_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    course, said = class_of(tmp_path), []

    def stop(line: str) -> None:
        said.append(line)
        if len(said) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade(course, tmp_path / "in", tmp_path / "out", say=stop)
    first, said[:] = list(said), []
    grade(course, tmp_path / "in", tmp_path / "out", say=said.append)
    again = [line.split(",")[0] for line in said[:-1]]
    assert len(again) == 2
    assert not {line.split(",")[0] for line in first} & set(again)
    assert (tmp_path / "out" / "grades.csv").exists()


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="no Dask here")
    course = class_of(tmp_path)
    with pytest.raises(CourseError, match=r"no Dask scheduler at tcp://127.0.0.1:1"):
        grade(course, tmp_path / "in", tmp_path / "out", cluster="tcp://127.0.0.1:1", say=lambda line: None)


def test_homework_done_in_colab_comes_back(tmp_path: Path) -> None:
    course = Course(tmp_path / "course", term())
    make(course)
    release = nbformat.read(course.release("loss"), as_version=4)
    first = next(cell for cell in release.cells if cell.cell_type == "code")
    assert first.source == fetching()  # it fetches the course where that is not installed
    done = notebook_of(course, "loss", solution(course, "loss"))
    for name, marks in (("Ann Lee_1001", True), ("Bo Ray_1002", False)):
        folder = tmp_path / "in" / f"{name}_assignsubmission_file_"
        folder.mkdir(parents=True)
        text = json.dumps(as_colab_saves(done, marks))
        (folder / ("Copy of loss.ipynb" if marks else "Copy of Copy of loss (1).ipynb")).write_text(
            text, encoding="utf-8"
        )
    rows = {row["student"]: row for row in grades(tmp_path, course, "out")}
    assert {name: row["points"] for name, row in rows.items()} == {"Ann-Lee": "17", "Bo-Ray": "17"}
    assert [row["to_mark"] for row in rows.values()] == ["1", "1"]


ENGINE = """#!/bin/sh
echo "$@" >> "{log}"
[ "$1" = run ] || exit 0
while [ "$1" != vae-grading ]; do shift; done
shift 2
exec "{python}" "$@"
"""


@pytest.fixture
def own_term() -> Iterator[str]:
    """A term that no other test makes, in the folder where `make grade` looks for it."""
    name = f"test-{os.getpid()}"
    yield name
    shutil.rmtree(program.BUILD / name, ignore_errors=True)


def test_where_an_engine_is_there_grading_runs_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture, own_term: str
) -> None:
    """A stand-in for the engine runs what it is given; the real engines were not tried."""
    class_of(tmp_path)
    given = [str(tmp_path / "in"), f"--term={own_term}"]
    if container.engine() is None:
        assert program.main([*given, "--only=vae"]) == 0
        assert "There is no container engine" in capfd.readouterr().err
    engine = tmp_path / "bin" / "podman"
    engine.parent.mkdir()
    engine.write_text(ENGINE.format(log=tmp_path / "log", python=sys.executable), encoding="utf-8")
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(engine.parent), os.environ["PATH"]]))
    assert program.main([*given, "--only=loss", "--jobs=1"]) == 0
    _, built, run = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert built.startswith("build --quiet --tag vae-grading")
    for part in ("--network=none", "--read-only", "--cap-drop=all", f"--volume={tmp_path / 'in'}:{tmp_path / 'in'}:ro"):
        assert part in run.split()
    with (tmp_path / "in-graded" / "grades.csv").open(encoding="utf-8", newline="") as file:
        points = {row["student"]: row["points"] for row in csv.DictReader(file)}
    assert points["ada"] == "17"
