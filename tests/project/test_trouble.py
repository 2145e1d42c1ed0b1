"""Each error of docs/trouble.md is provoked once: what the page quotes is what a learner reads."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import publish
from vae_utils import data

Provoke = Callable[[Path, Path], str]
PROVOKE: dict[str, list[Provoke]] = {}


def under(heading: str) -> Callable[[Provoke], Provoke]:
    """Let a function provoke the next error under a heading of the page."""

    def remember(provoke: Provoke) -> Provoke:
        PROVOKE.setdefault(heading, []).append(provoke)
        return provoke

    return remember


def quoted(root: Path) -> dict[str, list[str]]:
    """The errors that the page quotes, by heading."""
    errors: dict[str, list[str]] = {}
    text = (root / "docs" / "trouble.md").read_text(encoding="utf-8")
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        errors[section.splitlines()[0]] = re.findall(r"^```text\n(.*?)\n```", section, re.MULTILINE | re.DOTALL)
    return errors


def said(command: list[str | Path], folder: Path, **variables: str) -> str:
    """What a program that is to fail says, without colors."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VAE_", "MAKE", "PYTHON"))}
    environment = kept | {"NO_COLOR": "1", "LC_ALL": "C"} | variables
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)


def python(code: str, folder: Path, *options: str, **variables: str) -> str:
    """What a new Python says to some code."""
    return said([sys.executable, *options, "-c", code], folder, **variables)


def loading(name: str, folder: Path) -> str:
    """The error with which a data set can't be loaded from a folder."""
    with pytest.raises(data.DataError) as failure:
        data.load(name, folder)
    return traceback.format_exception_only(failure.value)[-1]


def make_with(answers: str, root: Path, folder: Path) -> str:
    """What make says without uv where python3 answers the questions of install.sh by these shell cases."""
    if not shutil.which("make") or os.name == "nt":
        pytest.skip("make is not here")
    (folder / "scripts").mkdir()
    for name in ("Makefile", "requirements.lock", "scripts/install.sh"):
        shutil.copy(root / name, folder / name)
    program = folder / "bin" / "python3"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncase $2 in {answers} esac\n", encoding="utf-8")
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return said(["make", "lab"], folder, PATH=path, UV="none", TORCH="")


@under("The Python is too old or too new")
def old_python_of_make(root: Path, folder: Path) -> str:
    return make_with("*exit*) exit 1 ;; *) echo 3.10 ;;", root, folder)


@under("The Python is too old or too new")
def old_python_of_pip(root: Path, folder: Path) -> str:
    package = folder / "course"
    (package / "vae_utils").mkdir(parents=True)
    (package / "vae_utils" / "__init__.py").touch()
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "vae-utils"\nversion = "1"\nrequires-python = "<3.11"\n',
        encoding="utf-8",
    )
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-build-isolation", "--no-deps"]
    return said([*pip, "--target", folder / "target", "./course"], folder)


@under("Python lacks the venv module")
def no_venv(root: Path, folder: Path) -> str:
    return make_with("*exit*) exit 0 ;; *ensurepip*) exit 1 ;; *) echo 3.12 ;;", root, folder)


@under("The notebook does not find vae_utils")
def no_package(root: Path, folder: Path) -> str:
    return python("import vae_utils", folder, "-S")


@under("The copy has no address yet")
def no_address(root: Path, folder: Path) -> str:
    plain = re.sub(r"^ *%pip.*\n", "", publish.bootstrap(None), flags=re.MULTILINE)
    return python(plain, folder, "-S")


@under("There is no git")
def no_git(root: Path, folder: Path) -> str:
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "git+https://example.invalid/course"]
    return said(pip, folder, PATH=str(folder))


@under("torch and torchvision are no pair")
def no_pair(root: Path, folder: Path) -> str:
    stub = folder / "torchvision"
    stub.mkdir()
    error = 'raise RuntimeError("operator torchvision::nms does not exist")'
    (stub / "__init__.py").write_text(error, encoding="utf-8")
    return python(
        "from vae_utils.__main__ import check_import as c; w = []; c('torchvision', w); print('- ' + w[0])", folder
    )


@under("MNIST can't be downloaded")
def no_download(root: Path, folder: Path) -> str:
    return loading("mnist", folder)


@under("git pull refuses")
def pull_refused(root: Path, folder: Path) -> str:
    if not shutil.which("git"):
        pytest.skip("git is not here")

    def git(*arguments: str, at: str = "") -> str:
        author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        return said(["git", *author, *arguments], folder / at)

    git("init", "-q", "authors")
    notebook = folder / "authors" / "01.ipynb"
    for text in ("old", "new"):
        notebook.write_text(text, encoding="utf-8")
        git("add", ".", at="authors")
        git("commit", "-q", "-m", text, at="authors")
        if text == "old":
            git("clone", "-q", "authors", "learner")
    (folder / "learner" / "01.ipynb").write_text("run by the learner", encoding="utf-8")
    refused = git("pull", at="learner")
    # And the page's cure works.
    shutil.copy(folder / "learner" / "01.ipynb", folder / "learner" / "my_01.ipynb")
    git("checkout", "--", "01.ipynb", at="learner")
    git("pull", at="learner")
    kept = {path.name: path.read_text(encoding="utf-8") for path in (folder / "learner").glob("*.ipynb")}
    assert kept == {"01.ipynb": "new", "my_01.ipynb": "run by the learner"}
    return refused


@under("A claim does not hold")
def no_claim(root: Path, folder: Path) -> str:
    return python("import vae_utils; vae_utils.claim('the roads are straighter', False)", folder, PYTHONUTF8="1")


@under("Own pictures are not found")
def no_subfolders(root: Path, folder: Path) -> str:
    return loading("folder", folder)


def test_the_page_quotes_ten_kinds_of_error_and_each_is_provoked(root: Path) -> None:
    errors = quoted(root)
    assert len(errors) == 10
    assert {heading: len(texts) for heading, texts in errors.items()} == {
        heading: len(provokers) for heading, provokers in PROVOKE.items()
    }


@pytest.mark.parametrize(
    ("heading", "number"),
    [
        pytest.param(heading, number, id=provoke.__name__)
        for heading, provokers in PROVOKE.items()
        for number, provoke in enumerate(provokers)
    ],
)
def test_the_error_reads_as_quoted(root: Path, tmp_path: Path, heading: str, number: int) -> None:
    text = quoted(root)[heading][number]
    pattern = r"[^\n]*?".join(map(re.escape, text.split("...")))
    message = PROVOKE[heading][number](root, tmp_path)
    assert re.search(pattern, message), f"{text}\n\nis not in\n\n{message}"
