"""What GitHub Actions is told to do can be done: the files parse, and what they call exists."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from scripts import lane

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))


def load(path: Path) -> dict[str, Any]:
    """A workflow; YAML reads its key `on` as true."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def targets() -> set[str]:
    """What make knows."""
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def commands(job: dict[str, Any]) -> Iterator[str]:
    """Every line that a job runs, once for each combination of its matrix's single values."""
    matrix = job.get("strategy", {}).get("matrix", {})
    for step in job["steps"]:
        line = step.get("run", "")
        names = set(re.findall(r"\$\{\{ matrix\.(\w+) \}\}", line))
        if not names:
            yield from line.splitlines()
        for name in names:
            values = [*matrix.get(name, []), *(entry[name] for entry in matrix.get("include", []))]
            assert values, f"matrix.{name} has no values"
            yield from (line.replace("${{ matrix." + name + " }}", value) for value in values)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_workflow_is_whole(path: Path) -> None:
    workflow = load(path)
    assert workflow["name"] and workflow[True] and workflow["permissions"]["contents"] == "read"
    for name, job in workflow["jobs"].items():
        assert job["runs-on"] and job["steps"], name
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step), step
            assert "uses" not in step or re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"]), step


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_workflow_calls_only_what_exists(path: Path) -> None:
    for job in load(path)["jobs"].values():
        for line in commands(job):
            called = re.findall(r"\bmake ([\w-]+)", line)
            assert set(called) <= targets(), line
            for file in re.findall(r"(?<![\w=*/])(?:scripts|tests|notebooks|docs)(?:/[\w./-]+)?(?=\s|$)", line):
                assert (ROOT / file).exists(), line
            for file in re.findall(r"[\w.-]+\.(?:lock|yml|toml)", line):
                assert (ROOT / file).exists(), line


def test_every_python_and_system_is_tested() -> None:
    jobs = load(FOLDER / "test.yml")["jobs"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    accepted = [f"3.{minor}" for minor in range(30) if f"3.{minor}" in SpecifierSet(project["requires-python"])]
    assert jobs["test"]["strategy"]["matrix"]["python"] == accepted
    assert jobs["windows"]["strategy"]["matrix"]["python"] == accepted
    systems = {*jobs["test"]["strategy"]["matrix"]["os"], jobs["windows"]["runs-on"]}
    assert systems == {"ubuntu-latest", "macos-latest", "windows-latest"}


def test_windows_runs_what_make_test_runs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    (recipe,) = re.findall(r"^test: .*\n\t(.*)$", makefile, re.MULTILINE)
    (jobs,) = re.findall(r"^JOBS \?= (\d+)$", makefile, re.MULTILINE)
    recipe = recipe.replace("$(JOBS)", jobs)
    ours = re.search(r"-m pytest (.*?)\s*(?:\$\(ARGS\))?$", recipe)[1].replace("'", "").split()
    lines = list(commands(load(FOLDER / "test.yml")["jobs"]["windows"]))
    assert lines[-1].partition("-m pytest ")[2].split() == ours
    (lint,) = re.findall(r"^lint: .*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    checks = [line.removeprefix("\t@$(PY) ") for line in lint.splitlines()]
    windows = [line.removeprefix(r".venv\Scripts\python ") for line in lines]
    assert [check for check in checks if check not in windows] == []


def test_windows_installs_as_readme_says() -> None:
    lines = list(commands(load(FOLDER / "test.yml")["jobs"]["windows"]))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = [line for line in readme.splitlines() if line.startswith(r".venv\Scripts\python -m pip")]
    assert len(told) == 2 and [line for line in told if line not in lines] == []


def test_every_lane_runs_somewhere() -> None:
    called = {
        target
        for path in FILES
        for job in load(path)["jobs"].values()
        for line in commands(job)
        for target in re.findall(r"\bmake ([\w-]+)", line)
    }
    assert {f"test-{name}" for name in lane.LANES} | {"test"} <= called


def test_conda_is_built_from_environment_yml() -> None:
    (step,) = [step for step in load(FOLDER / "weekly.yml")["jobs"]["conda"]["steps"] if "with" in step]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert step["with"]["environment-file"] == "environment.yml"
    assert step["with"]["activate-environment"] == environment["name"]
