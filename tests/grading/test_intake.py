"""Submissions are found however a platform names them, and put in order whatever was done to them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbgrader", reason="the extra 'instructor' is not installed")

from scripts.grading.intake import collect, recognize
from scripts.grading.rebuilding import rebuild
from scripts.grading.terms import SOURCES


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


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"\x89PNG", "not JSON"), (b"[" * 100_000, "not JSON"), (b"{}", "not a notebook"), (b'{"cells": [1]}', "not a")],
)
def test_what_is_no_notebook_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "ann_loss.ipynb").write_bytes(content)
    (found,), _ = collect(tmp_path)
    assert problem in found.problem


@pytest.fixture
def release() -> nbformat.NotebookNode:
    """A notebook with the cells of a release."""
    return nbformat.read(SOURCES / "loss.ipynb", as_version=4)


def sources(notebook: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells]


def place(notebook: nbformat.NotebookNode, name: str) -> int:
    """Where the cell of that id stands."""
    return next(i for i, cell in enumerate(notebook.cells) if cell.metadata.get("nbgrader", {}).get("grade_id") == name)


def test_rebuilding_keeps_the_students_own_cells_in_place(release: nbformat.NotebookNode) -> None:
    handed_in = nbformat.from_dict(release)
    where = place(handed_in, "kl_between")
    handed_in.cells[where].source = "kl_between = helper"
    handed_in.cells.insert(where, nbformat.v4.new_code_cell("def helper(): ..."))
    rebuilt, remarks = rebuild(release, handed_in)
    assert sources(rebuilt).index("def helper(): ...") == sources(rebuilt).index("kl_between = helper") - 1
    assert len(rebuilt.cells) == len(release.cells) + 1 and not remarks
    nbformat.validate(rebuilt)


def test_rebuilding_puts_cells_back_and_in_order(release: nbformat.NotebookNode) -> None:
    emptied, remarks = rebuild(release, nbformat.v4.new_notebook())
    assert sources(emptied) == sources(release)
    assert "put back" in remarks[0]
    shuffled = nbformat.from_dict(release)
    shuffled.cells = [*shuffled.cells[::-1], shuffled.cells[0]]
    rebuilt, remarks = rebuild(release, shuffled)
    assert sources(rebuilt) == sources(release)
    assert len(remarks) == 1 and "more than once" in remarks[0]


def test_rebuilding_finds_an_answer_without_its_mark(release: nbformat.NotebookNode) -> None:
    handed_in = nbformat.from_dict(release)
    cell = handed_in.cells[place(handed_in, "kl_between")]
    cell.metadata, cell.source = {}, "def kl_between(mu_q, logvar_q, mu_p, logvar_p):\n    return 1"
    rebuilt, remarks = rebuild(release, handed_in)
    assert rebuilt.cells[place(rebuilt, "kl_between")].source == cell.source
    assert len(rebuilt.cells) == len(release.cells)
    assert "found by its function's name" in remarks[0]


def test_rebuilding_restores_tests_and_names_suspicious_words(release: nbformat.NotebookNode) -> None:
    handed_in = nbformat.from_dict(release)
    handed_in.cells[place(handed_in, "kl_between-any")].source = "20.0"
    handed_in.cells[place(handed_in, "kl_between")].source = "import subprocess"
    rebuilt, remarks = rebuild(release, handed_in)
    assert (
        rebuilt.cells[place(rebuilt, "kl_between-any")].source == release.cells[place(release, "kl_between-any")].source
    )
    assert any("restored: kl_between-any" in remark for remark in remarks)
    assert any("it mentions subprocess" in remark for remark in remarks)
