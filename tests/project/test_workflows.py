"""What GitHub Actions runs can be run: the files parse, what they call exists, and Windows misses no check."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = {path.name: path for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def load(name: str) -> dict[str, Any]:
    """Read a workflow."""
    return yaml.safe_load(WORKFLOWS[name].read_text(encoding="utf-8"))


def commands(name: str) -> Iterator[str]:
    """Yield each command of a workflow, with its matrix's values filled in."""
    for job in load(name)["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {})
        for step in job.get("steps", ()):
            line = step.get("run", "")
            for entry in matrix.get("include", [{}]):
                yield re.sub(r"\$\{\{ matrix\.(\w+) \}\}", lambda match, e=entry: str(e.get(match[1], "")), line)


def recipe(target: str) -> list[str]:
    """Return the commands of a target of the Makefile, without the way to the program."""
    (lines,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    return [re.sub(r"\$\(PY\) -m |\.venv/bin/", "", line.strip().lstrip("@")) for line in lines.splitlines()]


@pytest.mark.parametrize(
    "path", [*(ROOT / ".github").rglob("*.yml"), ROOT / ".pre-commit-config.yaml"], ids=lambda path: path.name
)
def test_settings_are_yaml(path: Path) -> None:
    assert yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_what_a_workflow_calls_exists(name: str) -> None:
    targets = set(re.findall(r"^\.PHONY:((?:.*\\\n)*.*)", MAKEFILE, re.MULTILINE)[0].replace("\\\n", " ").split())
    targets |= {f"test-{lane}" for lane in re.findall(r"^LANES := (.*)$", MAKEFILE, re.MULTILINE)[0].split()}
    for job in load(name)["jobs"].values():
        assert "uses" not in job or (ROOT / job["uses"]).is_file()
    for command in commands(name):
        assert set(re.findall(r"\bmake ([\w-]+)", command)) <= targets, command
        for file in re.findall(r"[\w./-]+\.(?:lock|ipynb|sh|py)\b", command):
            assert (ROOT / file).is_file(), command
        for module in re.findall(r"-m (scripts[\w.]+)", command):
            assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file(), command


def test_every_accepted_python_is_checked_and_no_other_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    accepted = {f"3.{minor}" for minor in range(30) if f"3.{minor}" in SpecifierSet(project["requires-python"])}
    texts = {name: path.read_text(encoding="utf-8") for name, path in WORKFLOWS.items()}
    checked = re.findall(r"^ *pythons: '(.*)'$", texts["test.yml"] + texts["nightly.yml"], re.MULTILINE)
    assert {python for named in checked for python in json.loads(named)} == accepted
    assert set(re.findall(r"\b3\.\d\d\b", "".join(texts.values()))) <= accepted


def test_windows_runs_what_make_check_runs() -> None:
    (windows,) = [command for command in commands("check.yml") if "uv venv" in command]
    lines = {line.removeprefix("python -m ") for line in windows.splitlines()}
    assert {*recipe("lint"), *recipe("types")} <= lines
    (tests,) = [line for line in lines if line.startswith("pytest")]
    (options,) = re.findall(r"^PYTEST := .* -m (pytest .*)$", MAKEFILE, re.MULTILINE)
    (jobs,) = re.findall(r"^JOBS \?= (\w+)$", MAKEFILE, re.MULTILINE)
    assert tests == options.replace("$(JOBS)", jobs)


def test_what_runs_before_a_commit_is_part_of_make_check() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    checked = " ".join([*recipe("lint"), *recipe("types")])
    for hook in hooks:
        program = re.sub(r"\.venv/bin/(?:python -m )?", "", hook["entry"]).replace(" --force-exclude", "")
        assert program in checked.replace(" .", ""), hook["id"]
