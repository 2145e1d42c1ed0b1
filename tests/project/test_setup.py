"""Installing and starting: lists of requirements agree, make says what is wrong, the wheel stands alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from scripts import lab

# What conda-forge calls differently.
CONDA_NAMES = {"pytorch-cpu": "torch", "pytorch": "torch"}
# What installing the project itself takes.
CONDA_ONLY = {"python", "pip"}
# What make hands down to the programs that it starts, such as these tests.
FROM_MAKE = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHON", "TORCH", "TORCH_INDEX", "UV", "REPO", "BRANCH", "KEEP"}
needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not here")


def project(root: Path) -> dict:
    """The [project] table of pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def by_name(requirements: list[str]) -> dict[str, Requirement]:
    """Requirements by their normalized names."""
    return {canonicalize_name(parsed.name): parsed for parsed in map(Requirement, requirements)}


def needed(root: Path, *extras: str) -> dict[str, Requirement]:
    """What the project depends on, with these extras."""
    table = project(root)
    optional = [line for extra in extras for line in table["optional-dependencies"][extra]]
    return by_name(table["dependencies"] + optional)


def all_needed(root: Path) -> dict[str, Requirement]:
    """What the project depends on, with every extra."""
    return needed(root, *project(root)["optional-dependencies"])


# environment.yml


@pytest.fixture(scope="module")
def conda(root: Path) -> dict[str, Requirement]:
    """The packages of environment.yml under the names that pip knows them by."""
    listed = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert listed[-1] == {"pip": ["-e ."]}
    packages = by_name(listed[:-1])
    return {CONDA_NAMES.get(name, name): requirement for name, requirement in packages.items()}


def test_conda_has_the_ranges_of_pyproject(root: Path, conda: dict[str, Requirement]) -> None:
    expected = all_needed(root)
    for name in conda.keys() - CONDA_ONLY:
        assert conda[name].specifier == expected[name].specifier, name
    assert conda["python"].specifier == SpecifierSet(project(root)["requires-python"])


def test_conda_leaves_nothing_to_pip(root: Path, conda: dict[str, Requirement]) -> None:
    assert needed(root, "lab").keys() - conda.keys() == set()


# binder/


def test_binder_has_the_ranges_of_environment_yml(root: Path) -> None:
    def listed(name: str) -> tuple[dict, list]:
        environment = yaml.safe_load((root / name).read_text(encoding="utf-8"))
        return environment, environment.pop("dependencies")

    (ours, packages), (conda_own, conda_packages) = listed("binder/environment.yml"), listed("environment.yml")
    assert ours == conda_own
    # repo2docker looks for one exact Python, and its environment step must not name the repository itself.
    python, *rest = packages
    assert re.fullmatch(r"python=3\.\d+", python)
    assert SpecifierSet(project(root)["requires-python"]).contains(python.removeprefix("python="))
    tests = {"pytest", "nbval"}
    assert rest == [line for line in conda_packages[1:-1] if canonicalize_name(Requirement(line).name) not in tests]


def test_binder_installs_the_course_itself(root: Path) -> None:
    script = root / "binder" / "postBuild"
    assert "\npython -m pip install --no-deps -e .\n" in script.read_text(encoding="utf-8")
    assert os.name == "nt" or os.access(script, os.X_OK), "repo2docker runs only what is executable"


# requirements.lock and requirements-dev.lock

LOCKS = ("requirements.lock", "requirements-dev.lock")


def pinned(path: Path) -> list[str]:
    """The lines of a lock that are no comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def versions(lines: list[str]) -> dict[str, list[str]]:
    """Package -> the versions that a lock pins, for one system or another."""
    found: dict[str, list[str]] = {}
    for line in lines:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        found.setdefault(canonicalize_name(requirement.name), []).append(specifier.version)
    return found


@pytest.mark.parametrize(("name", "extras"), [(LOCKS[0], ("lab",)), (LOCKS[1], ("lab", "test", "instructor", "site"))])
def test_lock_pins_every_dependency_within_its_range(root: Path, name: str, extras: tuple[str, ...]) -> None:
    pins = versions(pinned(root / name))
    for package, requirement in needed(root, *extras).items():
        assert pins.get(package), f"{name} lacks {package}: run make lock"
        for version in pins[package]:
            assert requirement.specifier.contains(version), f"{package} {version}: run make lock"


def test_contributors_have_the_versions_of_learners(root: Path) -> None:
    learner, contributor = (versions(pinned(root / name)) for name in LOCKS)
    assert learner.items() < contributor.items()


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_place_to_download_from_and_leaves_cuda_to_torch(root: Path, name: str) -> None:
    text = (root / name).read_text(encoding="utf-8")
    assert not re.search(r"://|\w\.(?:org|com|io|net)\b|^\s*-|^(?:nvidia-|triton|cuda-)", text, re.MULTILINE)


# Makefile


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Run make in a folder."""
    environment = {name: value for name, value in os.environ.items() if name not in FROM_MAKE} | variables
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


@needs_make
def test_help_lists_every_command_and_pages_call_no_other(root: Path) -> None:
    text = (root / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"\.PHONY: ((?:.|\\\n)*)\n\n", text)[1].replace("\\\n", " ")
    lanes = re.search(r"^LANES := (.*)", text, re.MULTILINE)[1].split()
    commands = {name for name in phony.split() if "%" not in name and "$" not in name}
    commands |= {f"test-{lane}" for lane in lanes}
    listed = re.findall(r"^  make ([\w-]+)", make(root, "help").stdout, re.MULTILINE)
    assert {*listed} | {f"test-{lane}" for lane in lanes} | {"help"} == commands
    callers = [root / name for name in ("README.md", "CONTRIBUTING.md", ".ci/run")]
    callers += [*(root / "docs").glob("*.md"), *(root / ".github").rglob("*.yml")]
    # make as a command: at the start of a line or of code, or after a word or sign that starts commands.
    command = re.compile(r"(?:^\s*|`|\$ |exec |&& |run: )make ([a-z-]+)", re.MULTILINE)
    called = {target for path in callers for target in command.findall(path.read_text(encoding="utf-8"))}
    assert {"lab", "check", "test", "test-all"} <= called <= commands


# scripts/lab.py


@pytest.mark.parametrize(
    ("variables", "opens"),
    [
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"BROWSER": "firefox"}, True),
        ({"DISPLAY": ":0", "CI": "true"}, False),
        ({}, False),
    ],
)
def test_lab_opens_a_browser_where_there_is_a_display(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], opens: bool
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("CI", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ("--no-browser" not in lab.arguments([])) == opens


@pytest.mark.parametrize(("user", "allowed"), [(0, True), (1000, False)])
def test_lab_may_run_as_root_only_for_root(monkeypatch: pytest.MonkeyPatch, user: int, allowed: bool) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    assert ("--allow-root" in lab.arguments([])) == allowed


def test_lab_arguments_given_replace_its_own() -> None:
    arguments = lab.arguments(["--port=9999", "--ServerApp.root_dir=elsewhere", "--no-browser"])
    assert [given for given in arguments if "root_dir" in given] == ["--ServerApp.root_dir=elsewhere"]
    assert arguments.count("--no-browser") == 1
    assert "--port=9999" in arguments
