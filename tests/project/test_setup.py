"""Installing and starting: the lists of what is needed agree, make says what is wrong, the wheel stands
alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from scripts import lab
from tests.support.lab_server import running_lab

# What conda-forge calls differently.
CONDA_NAMES = {"pytorch-cpu": "torch", "pytorch": "torch"}
# What installing the project itself takes.
CONDA_ONLY = {"python", "pip"}
COMMANDS = (
    "assignments",
    "bench",
    "claims",
    "clean",
    "extras",
    "format",
    "grade",
    "html",
    "install",
    "lab",
    "lint",
    "lock",
    "notebooks",
    "publish",
    "reproduce",
    "run",
    "test",
    "test-colab",
    "test-newest",
    "test-oldest",
)
# What make hands down to the programs that it starts, such as these tests.
FROM_MAKE = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHON", "TORCH", "NOTEBOOKS", "SEEDS", "DATASET", "ARGS"}
FROM_MAKE |= {"REPO", "BRANCH", "KEEP", "WHAT"}
# What only requirements-extra.lock has.
EXTRAS = ("instructor", "site")
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


# requirements.lock and requirements-extra.lock


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


@pytest.fixture(scope="module")
def lock(root: Path) -> list[str]:
    """The lines of requirements.lock that are no comments."""
    return pinned(root / "requirements.lock")


@pytest.fixture(scope="module")
def extra_lock(root: Path) -> list[str]:
    """The lines of requirements-extra.lock that are no comments."""
    return pinned(root / "requirements-extra.lock")


def check_ranges(pins: dict[str, list[str]], requirements: dict[str, Requirement]) -> None:
    """Is each requirement pinned, and within its range?"""
    for name, requirement in requirements.items():
        assert pins.get(name), f"the lock lacks {name}: run make lock"
        for version in pins[name]:
            assert requirement.specifier.contains(version), f"{name} {version}: run make lock"


def test_lock_pins_every_dependency_within_its_range(root: Path, lock: list[str]) -> None:
    rest = [extra for extra in project(root)["optional-dependencies"] if extra not in EXTRAS]
    check_ranges(versions(lock), needed(root, *rest))


def test_extra_lock_pins_what_the_other_lacks(root: Path, lock: list[str], extra_lock: list[str]) -> None:
    assert versions(lock).keys() & versions(extra_lock).keys() == set()
    check_ranges(versions(lock) | versions(extra_lock), all_needed(root))


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-extra.lock"])
def test_lock_names_no_place_to_download_from(root: Path, name: str) -> None:
    text = (root / name).read_text(encoding="utf-8")
    assert not re.search(r"://|\w\.(?:org|com|io|net)\b|^\s*-", text, re.MULTILINE)


def test_lock_leaves_cuda_to_torch(lock: list[str], extra_lock: list[str]) -> None:
    assert [line for line in lock + extra_lock if re.match(r"nvidia-|triton|cuda-", line)] == []


# Makefile


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Run make in a folder."""
    environment = {name: value for name, value in os.environ.items() if name not in FROM_MAKE} | variables
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


@needs_make
@pytest.mark.parametrize("command", COMMANDS)
def test_make_knows_its_commands(root: Path, command: str) -> None:
    result = make(root, "-n", command)
    assert result.returncode == 0, result.stderr
    assert result.stdout or command == "install"


@needs_make
def test_make_help_lists_every_command(root: Path) -> None:
    listed = re.findall(r"^  make ([\w-]+)", make(root, "help").stdout, re.MULTILINE)
    assert sorted(listed) == sorted((*COMMANDS, "help"))


def test_what_is_called_exists(root: Path) -> None:
    callers = [root / "README.md", root / ".ci" / "run", *(root / "docs").glob("*.md")]
    called = {
        (path.name, target)
        for path in callers
        # make as a command: at the start of a line or of code, or after a word or sign that starts commands.
        for target in re.findall(
            r"(?:^\s*|`|\$ |exec |&& )make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    assert ("run", "test") in called
    assert ("README.md", "lab") in called
    assert {(name, target) for name, target in called if target not in (*COMMANDS, "help")} == set()


@needs_make
def test_make_passes_choices_on(root: Path) -> None:
    claims = make(root, "-n", "claims", "NOTEBOOKS=01 03", "SEEDS=4 5", "DATASET=mnist").stdout
    assert claims.rstrip().endswith("scripts/notebooks.py claims 01 03 --seeds 4 5 --dataset mnist")
    reproduce = make(root, "-n", "reproduce", "WHAT=beta estimators").stdout
    assert reproduce.rstrip().endswith("scripts/reproduce.py beta estimators")
    lane = make(root, "-n", "test-colab", "PYTHON=python3.13", "TORCH=cpu").stdout
    assert lane.rstrip() == "TORCH='cpu' python3.13 scripts/lane.py colab"
    assert make(root, "-n", "lab", "ARGS=--port=9999").stdout.rstrip().endswith("scripts/lab.py --port=9999")


# scripts/install.sh, in an empty folder and with a Python that only pretends


@pytest.fixture
def clone(root: Path, tmp_path: Path) -> Path:
    """The files that installing needs, and nothing installed."""
    if not shutil.which("make") or os.name == "nt":
        pytest.skip("make is not here")
    (tmp_path / "scripts").mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-extra.lock", "scripts/install.sh"):
        (tmp_path / name).write_bytes((root / name).read_bytes())
    return tmp_path


def pretend(folder: Path, name: str, script: str) -> str:
    """A program in `folder`/bin, first on PATH; returns that PATH."""
    (folder / "bin").mkdir(exist_ok=True)
    program = folder / "bin" / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"


def complaint(result: subprocess.CompletedProcess) -> str:
    """What a failed make said on stderr, without make's own line."""
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("version", ["2.7", "3.10", "3.14"])
def test_python_that_does_not_fit_gives_one_sentence(clone: Path, version: str) -> None:
    path = pretend(clone, "python3", f"echo {version}")
    assert complaint(make(clone, "lab", PATH=path)) == (
        f"This course needs Python 3.11, 3.12 or 3.13, and python3 is Python {version}: "
        "name another, as in: make lab PYTHON=python3.12"
    )
    assert not (clone / ".venv").exists()


def test_python_that_is_not_there_gives_one_sentence(clone: Path) -> None:
    said = complaint(make(clone, "test", "PYTHON=no-such-python"))
    assert said.startswith("There is no no-such-python here: ")


def test_python_without_venv_gives_one_sentence(clone: Path) -> None:
    path = pretend(clone, "python3", 'case $2 in *version_info*) echo 3.12 ;; *) echo "Traceback" >&2; exit 1 ;; esac')
    assert complaint(make(clone, "lab", PATH=path)) == (
        "python3 lacks the venv module: install it (Debian and Ubuntu: sudo apt install python3.12-venv) and try again."
    )


def test_torch_that_is_not_known_gives_one_sentence(clone: Path) -> None:
    assert complaint(make(clone, "lab", "TORCH=gpu")).startswith("TORCH is 'gpu': ")


# A Python that makes an environment with itself in it, says that it fits, and notes what pip is asked to do.
PRETENDER = """echo "$@" >>"$LOG"
case "$1 $2" in
    "-c import pip"*) exit 0 ;;
    "-c "*version_info*) echo 3.12 ;;
    "-m venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "-m ruff") ;;
    "-m pip") [ -z "$FAIL" ] || { echo "no network" >&2; exit 1; } ;;
esac"""


@pytest.fixture
def installing(clone: Path) -> dict[str, str]:
    """The variables with which make meets the pretender; LOG names the file of its notes."""
    (clone / "log").touch()
    return {"PATH": pretend(clone, "python3", PRETENDER), "LOG": str(clone / "log"), "FAIL": ""}


def notes(variables: dict[str, str]) -> list[str]:
    """What was noted since the last call, but for questions (-c ...)."""
    log = Path(variables["LOG"])
    lines = [line.replace(" --quiet", "") for line in log.read_text().splitlines() if line.startswith("-m ")]
    log.write_text("")
    return lines


INSTALLING = ["-m pip install -r requirements.lock", "-m pip install --no-deps -e ."]


def test_installs_once_and_again_when_the_lists_change(clone: Path, installing: dict[str, str]) -> None:
    assert make(clone, "install", **installing).returncode == 0
    assert notes(installing) == ["-m venv --clear .venv", *INSTALLING]
    assert make(clone, "install", **installing).returncode == 0
    assert notes(installing) == []
    stamp = (clone / ".venv" / ".installed").stat().st_mtime
    for changed in ("requirements.lock", "pyproject.toml"):
        os.utime(clone / changed, (stamp + 10, stamp + 10))
        assert make(clone, "install", **installing).returncode == 0
        assert notes(installing) == INSTALLING
        os.utime(clone / changed, (stamp - 10, stamp - 10))


def test_an_install_that_fails_is_tried_again(clone: Path, installing: dict[str, str]) -> None:
    assert complaint(make(clone, "install", **installing | {"FAIL": "1"})) == "no network"
    assert not (clone / ".venv" / ".installed").exists()
    notes(installing)
    assert make(clone, "install", **installing).returncode == 0
    assert notes(installing) == INSTALLING


def test_an_update_that_fails_is_tried_again(clone: Path, installing: dict[str, str]) -> None:
    assert make(clone, "install", **installing).returncode == 0
    later = (clone / ".venv" / ".installed").stat().st_mtime + 10
    os.utime(clone / "requirements.lock", (later, later))
    assert make(clone, "install", **installing | {"FAIL": "1"}).returncode != 0
    os.utime(clone / "requirements.lock", (0, 0))
    notes(installing)
    assert make(clone, "install", **installing).returncode == 0
    assert notes(installing) == INSTALLING


def test_extras_are_installed_when_asked_for(clone: Path, installing: dict[str, str]) -> None:
    extras = "-m pip install -c requirements.lock -r requirements-extra.lock"
    assert make(clone, "extras", **installing).returncode == 0
    assert notes(installing) == ["-m venv --clear .venv", *INSTALLING, extras]
    assert make(clone, "extras", **installing).returncode == 0
    assert notes(installing) == []
    later = (clone / ".venv" / ".extras").stat().st_mtime + 10
    os.utime(clone / "requirements-extra.lock", (later, later))
    assert make(clone, "extras", **installing).returncode == 0
    assert notes(installing) == [extras]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is one build of PyTorch")
def test_cpu_build_is_installed_with_uv_and_remembered(clone: Path, installing: dict[str, str]) -> None:
    assert make(clone, "install", **installing).returncode == 0
    notes(installing)
    uv = clone / ".venv" / "bin" / "uv"
    uv.write_text('#!/bin/sh\necho "-m uv $@" >>"$LOG"\n')
    uv.chmod(0o755)
    os.utime(clone / ".venv" / ".installed", (0, 0))
    expected = [
        "-m pip install uv",
        "-m uv pip install --python .venv/bin/python --torch-backend=cpu -r requirements.lock",
        "-m pip install --no-deps -e .",
    ]
    assert make(clone, "install", "TORCH=cpu", **installing).returncode == 0
    assert notes(installing) == expected
    os.utime(clone / ".venv" / ".installed", (0, 0))
    assert make(clone, "install", **installing).returncode == 0
    assert notes(installing) == expected


# scripts/lab.py


def test_lab_prints_an_address_that_opens_and_stops_on_interrupt(tmp_path: Path) -> None:
    with running_lab(tmp_path) as server:
        assert "/lab/tree/notebooks/01_autoencoder.ipynb?token=" in server.url
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(server.url, timeout=30) as answer:
            assert answer.status == 200
            assert answer.geturl().startswith(server.url.split("?")[0])
            news_is_off = r'"disabledExtensions": \[[^]]*"@jupyterlab/apputils-extension:announcements"'
            assert re.search(news_is_off, answer.read().decode())
        assert server.interrupt() == 0


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


# The wheel

FROM_WHEEL = """
import sys
from pathlib import Path

opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import vae_utils
from vae_utils import data, records

assert Path(vae_utils.__file__).is_relative_to(sys.argv[1]), vae_utils.__file__
pictures = data.load("cats_dogs")
assert len(pictures.train) > len(pictures.test) > 0 and pictures.shape[0] == 3
assert any("cats_dogs" in path for path in opened), "nothing was read"
assert records.names() and all(records.load(name)["runs"] for name in records.names())
print(*(path for path in opened if path.startswith(sys.argv[2])), sep="\\n")
"""


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built without the network."""
    assert find_spec("hatchling"), "hatchling, which builds the wheel, is not installed: run make install"
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, root], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_the_package_its_pictures_and_its_records_only(wheel: Path, root: Path) -> None:
    build = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    included = build["targets"]["wheel"]["force-include"]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"vae_utils"}
    for source, target in included.items():
        ours = {f"{target}/{path.name}" for path in (root / source).iterdir()}
        assert ours and ours <= set(names)
    assert any(name.endswith("/LICENSE") for name in names)


def test_wheel_loads_its_own_pictures(wheel: Path, root: Path, tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--target", target, wheel], check=True)
    result = subprocess.run(
        [sys.executable, "-c", FROM_WHEEL, target, f"{root / 'data'}{os.sep}"],
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "", "the wheel read the checkout's files"
