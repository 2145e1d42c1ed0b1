"""One address feeds every link: `make publish` stamps it, and the committed files all have the same."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts import publish

HOME = publish.Home("ada", "vae-course", "teach/2026")
COLAB = "https://colab.research.google.com/github/ada/vae-course/blob/teach/2026/notebooks/01_autoencoder.ipynb"
BINDER = "https://mybinder.org/v2/gh/ada/vae-course/teach%2F2026?urlpath=lab/tree/notebooks/01_autoencoder.ipynb"


def files(folder: Path) -> dict[str, bytes]:
    """What every file of a folder holds."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def course(root: Path, tmp_path: Path) -> Path:
    """The files that depend on the address, with those notebooks that are here."""
    for name in ("pyproject.toml", "README.md", "CITATION.cff"):
        shutil.copy(root / name, tmp_path)
    (tmp_path / "notebooks").mkdir()
    for path in (root / "notebooks").glob("[0-9]*.ipynb"):
        shutil.copy(path, tmp_path / "notebooks")
    return tmp_path


def run(folder: Path, *arguments: str) -> int:
    """The command line in another course."""
    return publish.main(arguments, root=folder)


# The committed files


def test_the_committed_files_have_the_address_of_pyproject(root: Path) -> None:
    home = publish.read_home((root / "pyproject.toml").read_text(encoding="utf-8"))
    stale = [
        path.name for path, text in publish.stamped(root, home).items() if path.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run make publish"


# Stamping


def test_stamps_every_file_and_a_second_time_changes_nothing(course: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(course, "--repo", "ada/vae-course", "--branch", "teach/2026") == 0
    pyproject, readme = (course / name for name in ("pyproject.toml", "README.md"))
    assert 'Repository = "https://github.com/ada/vae-course/tree/teach/2026"\n' in pyproject.read_text(encoding="utf-8")
    assert f"[Colab]({COLAB}) · [Binder]({BINDER}) |\n" in readme.read_text(encoding="utf-8")
    assert "git clone -b teach/2026 https://github.com/ada/vae-course.git" in readme.read_text(encoding="utf-8")
    cited = yaml.safe_load((course / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["repository-code"] == "https://github.com/ada/vae-course/tree/teach/2026"
    for path in (course / "notebooks").glob("*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        title = "".join(notebook["cells"][0]["source"]).splitlines()
        assert title[0].startswith("# ") and title[2].startswith("[Open in Colab](https://colab.")
        (cell,) = [cell for cell in notebook["cells"] if cell["id"] == "bootstrap"]
        assert '"git+https://github.com/ada/vae-course@teach/2026"' in "".join(cell["source"])
    everything = "".join(path.read_text(encoding="utf-8") for path in course.rglob("*") if path.is_file())
    assert "unset.invalid" not in everything and "[Colab](docs" not in everything
    before = files(course)
    assert run(course) == 0
    assert files(course) == before
    assert capsys.readouterr().out.endswith("Stamped: every file had it already\n")


def test_a_fork_restamps_everything(course: Path) -> None:
    assert run(course, "--repo", "ada/vae-course") == 0
    assert run(course, "--repo", "https://github.com/grace-h/VAE.2.git") == 0
    everything = "".join(path.read_text(encoding="utf-8") for path in course.rglob("*") if path.is_file())
    assert "ada/vae-course" not in everything.replace("make publish REPO=ada/vae-course", "")
    assert everything.count("git+https://github.com/grace-h/VAE.2@main") == len(list(course.glob("notebooks/*")))


def test_an_unset_address_leads_to_an_explanation(course: Path) -> None:
    pyproject = course / "pyproject.toml"
    pyproject.write_text(publish.SETTING.sub(f'Repository = "{publish.UNSET}"', pyproject.read_text(encoding="utf-8")))
    assert run(course) == 0
    readme = (course / "README.md").read_text(encoding="utf-8")
    assert "This copy has no address yet" in readme and "colab.research" not in readme and "mybinder" not in readme
    assert "repository-code" not in (course / "CITATION.cff").read_text(encoding="utf-8")
    for path in (course / "notebooks").glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert "[Open in Colab](../docs/open.md)" in text and "colab.research" not in text


def test_a_new_cell_counts_as_run_and_outputs_stay() -> None:
    old = {
        "cells": [
            {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# Title\n", "\n", "Text."]},
            {"cell_type": "code", "id": "b", "metadata": {}, "source": ["1"], "execution_count": 1}
            | {"outputs": [{"output_type": "execute_result", "execution_count": 1, "data": {}, "metadata": {}}]},
            {"cell_type": "code", "id": "c", "metadata": {}, "source": [], "execution_count": None, "outputs": []},
        ],
        "metadata": {},
    }
    new = json.loads(publish.stamp_notebook(json.dumps(old), None, "01_a.ipynb"))["cells"]
    assert [cell["id"] for cell in new] == ["a", "bootstrap", "b", "c"]
    assert [cell.get("execution_count") for cell in new] == [None, 1, 2, None]
    assert new[2]["outputs"][0] == old["cells"][1]["outputs"][0] | {"execution_count": 2}
    assert "".join(new[0]["source"]).split("\n\n")[0::2] == ["# Title", "Text."]


def test_a_notebook_that_was_never_run_gets_a_cell_that_was_not() -> None:
    cells = [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Title"}]
    new = json.loads(publish.stamp_notebook(json.dumps({"cells": cells}), HOME, "01_a.ipynb"))["cells"]
    assert new[1]["execution_count"] is None and new[1]["id"] == "bootstrap"


def test_cells_alone(course: Path) -> None:
    one = course / "notebooks" / "01_autoencoder.ipynb"
    assert run(course, "--repo", "ada/vae-course") == 0
    before = files(course)
    assert run(course, "--repo", "grace/vae", "--cells", str(one)) == 0
    after = files(course)
    assert {name for name in after if after[name] != before[name]} == {str(one.relative_to(course))}


# What can go wrong: one sentence, and nothing changes


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("repo", "vae", "give it as owner/name, the way GitHub does"),
        ("repo", "a/b/c", "give it as owner/name, the way GitHub does"),
        ("repo", "https://gitlab.com/a/b", "give it as owner/name, the way GitHub does"),
        ("repo", "a/b'$(x)", "give it as owner/name, the way GitHub does"),
        ("branch", "a b", "give the name of a branch"),
        ("branch", "a..b", "give the name of a branch"),
        ("branch", "x.lock", "give the name of a branch"),
    ],
)
def test_a_malformed_name(course: Path, setting: str, value: str, sentence: str, capsys: pytest.CaptureFixture) -> None:
    before = files(course)
    assert run(course, "--repo", "ada/vae-course", f"--{setting}={value}") == 2
    message = capsys.readouterr().err
    assert message.startswith(f"{setting.upper()} is {value!r}: {sentence}") and message.count("\n") == 1
    assert files(course) == before


@pytest.mark.parametrize(
    ("name", "spoil", "sentence"),
    [
        ("README.md", ("<!-- address -->", ""), "README.md has no block between"),
        ("pyproject.toml", ("Repository =", "Home ="), "pyproject.toml has no line Repository"),
        ("notebooks/01_autoencoder.ipynb", ('"# 1', '"1'), "01_autoencoder.ipynb does not open with a title"),
        ("CITATION.cff", None, "CITATION.cff can't be read (No such file or directory)"),
    ],
)
def test_a_file_that_does_not_fit(
    course: Path, name: str, spoil: tuple[str, str] | None, sentence: str, capsys: pytest.CaptureFixture
) -> None:
    path = course / name
    if spoil:
        path.write_text(path.read_text(encoding="utf-8").replace(*spoil), encoding="utf-8")
    else:
        path.unlink()
    before = files(course)
    assert run(course, "--repo", "ada/vae-course") == 2
    assert capsys.readouterr().err.startswith(sentence)
    assert files(course) == before


def test_a_home_that_is_not_on_github(course: Path, capsys: pytest.CaptureFixture) -> None:
    pyproject = course / "pyproject.toml"
    pyproject.write_text(re.sub(publish.SETTING, 'Repository = "https://example.org/a/b"', pyproject.read_text()))
    assert run(course) == 2
    assert "https://example.org/a/b, which is not on GitHub" in capsys.readouterr().err


def test_where_a_file_cannot_be_written_nothing_changes(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(course)
    write = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        if self.name.startswith(".CITATION"):
            write(self, content[:9])
            raise OSError(28, "No space left on device", str(self))
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(publish.PublishError, match="No space left on device"):
        publish.publish(course, HOME)
    assert files(course) == before


@pytest.mark.skipif(not shutil.which("make"), reason="make is not here")
def test_make_hands_everything_on_and_needs_no_installation(root: Path, course: Path) -> None:
    shutil.copy(root / "Makefile", course)
    (course / "scripts").mkdir()
    for name in ("__init__.py", "paths.py", "publish.py"):
        shutil.copy(root / "scripts" / name, course / "scripts")
    bare = course / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -E -S "$@"\n', encoding="utf-8")
    bare.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "REPO", "BRANCH")}

    def make(*arguments: str) -> subprocess.CompletedProcess:
        command = ["make", "publish", "PYTHON=./python", *arguments]
        return subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True)

    done = make("REPO=ada/vae-course", "BRANCH=teach/2026")
    assert done.returncode == 0, done.stderr
    assert COLAB in (course / "README.md").read_text(encoding="utf-8")
    wrong = make("REPO=a b'c")
    assert wrong.returncode and wrong.stderr.splitlines()[0].startswith('REPO is "a b\'c": ')
