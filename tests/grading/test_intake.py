"""Submissions are found however they are named and packed, and no file is lost."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile
import unicodedata
import zipfile
from collections.abc import Mapping
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbgrader", reason="the extra 'instructor' is not installed")

from scripts.grading import archives, names
from scripts.grading.intake import EARLIER, OTHER, UNKNOWN, Listed, Submission, collect
from scripts.grading.reading import read
from tests.support.hand_ins import a_notebook, export, zipped


def students(folder: Path) -> dict[str, str]:
    """The file that is graded for each student; every file there is is graded or listed."""
    found, listed = collect(folder)
    seen = [one.file for one in found] + [one.file for one in listed]
    assert len(seen) == len(set(seen))
    return {one.student: one.file for one in found}


def reasons(folder: Path, status: str = UNKNOWN) -> dict[str, str]:
    return {one.file: one.reason for one in collect(folder)[1] if one.status == status}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("smith_loss.ipynb", "smith"),
        ("smith_jane_loss-1.ipynb", "smith_jane"),
        ("doejane_LATE_12345_67890_Loss (2).ipynb", "doejane"),
        ("jane/loss/loss.ipynb", "jane"),
        ("jane/loss.ipynb", "jane"),
        ("jane/Copy of Copy of loss.ipynb", "jane"),
        ("jane/my_loss.ipynb", "jane"),
        ("jane/hw4_loss.ipynb", "jane"),
        ("jane/loss - Copy (2).ipynb", "jane"),
        ("jane/Untitled1.ipynb", "jane"),
        ("jane/homework 4.ipynb", "jane"),
        ("jane/homework/final version/loss.ipynb", "jane"),
        ("section 1/jane_loss.ipynb", "jane"),
        ("jane_loss_final.ipynb", "jane"),
        ("loss_jane.ipynb", "jane"),
        ("Jane Doe - anything at all.ipynb", "Jane-Doe"),
        ("loss_10123.ipynb", "10123"),
        ("Jane Doe_12345_assignsubmission_file_/smith_loss.ipynb", "Jane-Doe"),
        ("submitted/a1/loss/loss.ipynb", "a1"),
        ("José Núñez_loss.ipynb", "José-Núñez"),
        ("Jose\u0301_loss.ipynb", "José"),
        ("कुमार_loss.ipynb", "कुमार"),
        ("Winter_loss.ipynb", "Winter"),
    ],
)
def test_names_of_students(tmp_path: Path, name: str, expected: str) -> None:
    export(tmp_path, [name])
    assert students(tmp_path) == {expected: name}


@pytest.mark.parametrize(
    "paths",
    [
        ["submission_30111/loss.ipynb", "submission_30112/loss.ipynb"],
        ["student_101_loss.ipynb", "student_102_loss.ipynb"],
        ["student_1_loss.ipynb", "student_2_loss.ipynb"],
        ["group 101/loss.ipynb", "group 102/loss.ipynb"],
        ["A/my_loss.ipynb", "B/my_loss.ipynb"],
        ["A/meine_loss.ipynb", "B/meine_loss.ipynb"],
        ["A/first idea loss.ipynb", "B/first idea loss.ipynb"],
        ["A/work/loss.ipynb", "B/work/loss.ipynb", "C/in peace/loss.ipynb", "D/in peace/loss.ipynb"],
        ["section1/smith_loss.ipynb", "section2/smith_loss.ipynb", "section2/jones_loss.ipynb"],
        ["section1/smith.ipynb", "section1/jones.ipynb"],
        ["O'Brien_loss.ipynb", "O-Brien_loss.ipynb"],
        ["कुमार_loss.ipynb", "कमार_loss.ipynb"],
        [f"{'a' * 180}{end}_loss.ipynb" for end in "bc"],
        ["1_loss.ipynb", "2_loss.ipynb"],
        ["★_loss.ipynb", "☃/loss.ipynb"],
        ["vae_team/loss.ipynb", "loss_team/loss.ipynb"],
        ["Jane Doe_1_assignsubmission_file_/loss.ipynb", "Jane Doe_2_assignsubmission_file_/loss.ipynb"],
        ["Jane Doe_1_assignsubmission_file_/loss.ipynb", "Jane Doe_loss.ipynb"],
        ["a/b/x/loss.ipynb", "a/c/x/loss.ipynb"],
    ],
)
def test_two_students_never_become_one(tmp_path: Path, paths: list[str]) -> None:
    export(tmp_path, paths)
    found, listed = collect(tmp_path)
    assert sorted(one.file for one in found) == sorted(paths) and not listed
    assert len({names.folded(one.student) for one in found}) == len(paths)
    assert all(len(one.student.encode()) < 150 for one in found)


def test_files_without_a_name_are_listed(tmp_path: Path) -> None:
    export(
        tmp_path, ["loss.ipynb", "loss (1).ipynb", *(f"Intro to Models/loss ({number}).ipynb" for number in range(9))]
    )
    assert not students(tmp_path)
    found = reasons(tmp_path)
    assert len(found) == 11 and "whose?" in found["loss.ipynb"]
    assert "9 files without a student's name" in found["Intro to Models/loss (8).ipynb"]


def test_the_assignment_is_what_the_cells_say(tmp_path: Path) -> None:
    export(tmp_path, ["ann_vae.ipynb", "bob.ipynb", "cy_homework.ipynb"])
    (tmp_path / "dee_vae.ipynb").write_bytes(a_notebook("vae"))
    (tmp_path / "eve_essay.ipynb").write_text(nbformat.writes(nbformat.v4.new_notebook()), encoding="utf-8")
    found, listed = collect(tmp_path)
    assert [one.key for one in found] == [("ann", "loss"), ("bob", "loss"), ("cy_homework", "loss"), ("dee", "vae")]
    assert found[0].remarks == ["by its cells this is loss; the file's name says vae"]
    assert [(one.file, one.status) for one in listed] == [("eve_essay.ipynb", UNKNOWN)]


def test_a_notebook_without_marks_is_known_by_its_text(tmp_path: Path) -> None:
    notebook = read(a_notebook("vae"))
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
    (tmp_path / "ann.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")
    assert [one.key for one in collect(tmp_path)[0]] == [("ann", "vae")]


def graded(folder: Path) -> tuple[Submission, list[Listed]]:
    (found,), listed = collect(folder)
    assert all(one.status == EARLIER and found.file in one.reason for one in listed)
    assert all(one.file in found.remarks[0] for one in listed)
    return found, listed


@pytest.mark.parametrize(
    "paths",
    [
        ["fam_81234_99120_loss.ipynb", "fam_81234_101000_loss-1.ipynb"],
        ["fam_81234_99120_loss.ipynb", "fam_LATE_81234_101000_loss-1.ipynb", "fam_81234_101001_loss-2.ipynb"],
        ["ann_loss.ipynb", "ann_loss-9.ipynb", "ann_loss-10.ipynb"],
        ["ann/loss.ipynb", "ann/loss (2).ipynb"],
        ["ann/loss.ipynb", "ann/Copy of loss.ipynb", "ann/Copy of Copy of loss.ipynb"],
        ["ann/loss-Copy2.ipynb", "ann/loss-Copy10.ipynb"],
        ["ann/loss-old.ipynb", "ann/loss.ipynb", "ann/loss_final.ipynb"],
        ["ann/try 9/loss.ipynb", "ann/try 10/loss.ipynb"],
        ["HW_ann_attempt_2027-05-03-09-12-09_loss.ipynb", "HW_ann_attempt_2027-05-03-10-12-09_loss.ipynb"],
        ["1-2 - Ann Lee - May 3, 2027 912 AM/loss.ipynb", "1-2 - Ann Lee - May 3, 2027 1012 PM/loss.ipynb"],
        ["1-2 - Ann Lee - Sep 30, 2027 512 PM/loss.ipynb", "1-2 - Ann Lee - Oct 1, 2027 212 PM/loss.ipynb"],
        ["Lee_Ann_al_123/20270503171209_loss.ipynb", "Lee_Ann_al_123/20270503171210_a.ipynb"],
    ],
)
def test_later_means_later(tmp_path: Path, paths: list[str]) -> None:
    """In numbers and times, not letters; where a platform says it, the file's time does not matter."""
    export(tmp_path, paths)
    found, listed = graded(tmp_path)
    assert found.file == paths[-1] and len(listed) == len(paths) - 1


def test_later_is_by_the_files_times_where_nothing_else_says_it(tmp_path: Path) -> None:
    export(tmp_path, ["ann_loss.ipynb", "ann_loss-1.ipynb"])
    os.utime(tmp_path / "ann_loss.ipynb", (2e9, 2e9))
    assert graded(tmp_path)[0].file == "ann_loss.ipynb"


def test_a_file_that_can_not_be_read_does_not_stand_for_one_that_can(tmp_path: Path) -> None:
    export(tmp_path, ["ann_loss.ipynb"])
    (tmp_path / "ann_loss-1.ipynb").write_bytes(b"")
    (tmp_path / "bob_loss.ipynb").write_bytes(b"")
    (tmp_path / "bob_loss-1.ipynb").write_bytes(b"")
    (ann, bob), listed = collect(tmp_path)
    assert ann.file == "ann_loss.ipynb" and "ann_loss-1.ipynb, can't be read" in ann.remarks[0]
    assert bob.problem and [(one.file, one.status) for one in listed] == [
        ("ann_loss-1.ipynb", UNKNOWN),
        ("bob_loss.ipynb", EARLIER),
    ]


def test_other_suffixes_and_marks_of_programs(tmp_path: Path) -> None:
    content = a_notebook()
    for name in ("a_loss.ipynb.txt", "b_loss.ipynb.json", "c_loss.IPYNB", "d_loss.json", "e_loss"):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "f_loss.ipynb").write_bytes(b"\xef\xbb\xbf" + content)
    (tmp_path / "g_loss.ipynb").write_bytes(content.decode().encode("utf-16"))
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / "LOSS.ZIP").write_bytes(zipped({"loss.ipynb": content}))
    for name in ("._a_loss.ipynb", ".DS_Store"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    (tmp_path / "i_loss.pdf").write_bytes(b"%PDF")
    (tmp_path / "i_loss.py").write_text("{}", encoding="utf-8")
    found, _ = collect(tmp_path)
    assert [one.student for one in found] == [*"abcdefgh"]
    assert not [one.problem for one in found if one.problem]
    assert reasons(tmp_path) == {"i_loss.pdf": "not a notebook", "i_loss.py": "not a notebook"}
    assert len(reasons(tmp_path, OTHER)) == 2


@pytest.mark.parametrize(
    "cell", [{"cell_type": "code", "source": ["a"]}, {"source": "a", "metadata": {"tags": 1}, "x": 1}]
)
def test_what_tools_leave_out_of_a_notebook_is_filled_in(cell: dict[str, object]) -> None:
    assert read(json.dumps({"cells": [cell]}).encode()).cells[0].source == "a"


def tarred(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("ann/link.ipynb")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


def test_archives_in_archives(tmp_path: Path) -> None:
    content = a_notebook()
    inner = {
        "Given Family_123_assignsubmission_file_/loss.zip": zipped({"loss.ipynb": content}),
        "Other Family_124_assignsubmission_file_/hand-in.zip": zipped({"hand-in/loss.ipynb": content}),
        "Third Family_125_assignsubmission_file_/w.zip": zipped(
            {"a/b.zip": zipped({"Users/b/Downloads/x.ipynb": content})}
        ),
        "Broken Family_126_assignsubmission_file_/loss.zip": b"PK\3\4 no zip",
        "Empty Family_127_assignsubmission_file_/loss.zip": zipped({}),
        "Rar Family_128_assignsubmission_file_/loss.rar": b"Rar!\x1a",
    }
    (tmp_path / "platform.zip").write_bytes(zipped(inner))
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "loss.tar.gz").write_bytes(tarred({"../../loss.ipynb": content}))
    (tmp_path / "bob_loss.ipynb.gz").write_bytes(gzip.compress(content))
    (tmp_path / "cy_loss.zip").write_bytes(zipped({"loss.ipynb": content}))
    assert list(students(tmp_path)) == ["Given-Family", "Other-Family", "Third-Family", "ann", "bob", "cy"]
    strange = reasons(tmp_path)
    assert len(strange) == 4 and strange["ann/loss.tar.gz/ann/link.ipynb"] == "a link in an archive, not a file"
    assert list(students(tmp_path / "platform.zip")) == ["Given-Family", "Other-Family", "Third-Family"]


def test_archives_have_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = a_notebook()
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    monkeypatch.setattr(archives, "MOST_PACKED", 900_000)
    nested = zipped({"ann_loss.ipynb": content})
    for _ in range(archives.DEEPEST):
        nested = zipped({"x.zip": nested})
    (tmp_path / "deep.zip").write_bytes(nested)
    (tmp_path / "many.zip").write_bytes(zipped({f"s{number}_loss.ipynb": content for number in range(5)}))
    (tmp_path / "large.zip").write_bytes(zipped({"y.zip": b"PK\3\4" + bytes(900_000)}))
    assert list(students(tmp_path)) == ["s0", "s1", "s2"]
    assert [reason.split(";")[0] for reason in reasons(tmp_path).values()] == [
        "an archive in 5 others",
        "an archive of more than 0 MB in another",
        "an archive with too much in it",
    ]


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
    found, _ = collect(tmp_path)
    assert [(one.key, one.problem) for one in found] == [(("ann", "loss"), ""), (("bob", "vae"), "")]
    assert "also handed in" in found[0].remarks[-1] and found[0].file == "ann_loss-2.ipynb"
    assert list(reasons(tmp_path)) == ["broken.zip"]
    assert not (tmp_path.parent / "bob_vae.ipynb").exists()
    with pytest.raises(FileNotFoundError, match="SUBMISSIONS"):
        collect(tmp_path / "nowhere")


def test_names_that_file_systems_store_in_two_ways_are_one(tmp_path: Path) -> None:
    name = unicodedata.normalize("NFD", "José_loss")
    export(tmp_path, [f"a/{name}.ipynb", "José_loss-1.ipynb"])
    assert list(students(tmp_path)) == ["José"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\x89PNG", "not JSON"),
        (b"", "empty"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "not a notebook"),
        (b'{"cells": [1]}', "not a"),
    ],
)
def test_what_is_no_notebook_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "ann_loss.ipynb").write_bytes(content)
    (found,), _ = collect(tmp_path)
    assert problem in found.problem


@pytest.mark.parametrize("name", ["a folder/it's mine", 'a "b" c', "a; echo b", "ümlaut & co"])
def test_any_folder_can_be_named_to_make(root: Path, name: str) -> None:
    command = ["make", "-s", "-o", "install-dev", "grade", "PY=printf '%s|'", f"SUBMISSIONS={name}", "TERM=x"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == f"-m|scripts.grade|{name}|--term=x|"
