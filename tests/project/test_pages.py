"""What people read is in order, and scripts.pages and typos see what is not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import pages


def write(folder: Path, text: str, name: str = "page.md") -> Path:
    """Write a page; a notebook gets a Markdown cell for each part between lines of ---, and a code cell."""
    path = folder / name
    if path.suffix == ".ipynb":
        cells = [
            {"cell_type": "markdown", "metadata": {}, "source": part.splitlines(True)} for part in text.split("\n---\n")
        ]
        cells.append({"cell_type": "code", "metadata": {}, "source": "# [nowhere](x.md)", "outputs": []})
        text = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    path.write_text(text, encoding="utf-8")
    return path


def found(folder: Path, text: str, name: str = "page.md") -> list[str]:
    """What is wrong with a page of this text."""
    return pages.problems(write(folder, text, name), folder)


def test_the_course_is_in_order() -> None:
    wrong = {path.name: pages.problems(path) for path in pages.pages()}
    assert {name: problems for name, problems in wrong.items() if problems} == {}
    assert {"README.md", "trouble.md", "glossary.md", "01_autoencoder.ipynb", "vae.ipynb"} <= wrong.keys()


# Links

OTHER = "# Other\n\n## How much is it, really?\n\n## Twice\n\n## Twice\n"


@pytest.mark.parametrize(
    "link",
    [
        "other.md",
        "other.md#how-much-is-it-really",
        "other.md#twice-1",
        "#here-code",
        "#by-hand",
        "https://example.org/a_(b)",
        "mailto:me@example.org",
        "a%20cat.png",
    ],
)
def test_links_that_lead_somewhere(tmp_path: Path, link: str) -> None:
    write(tmp_path, OTHER, "other.md")
    (tmp_path / "a cat.png").touch()
    assert found(tmp_path, f"# Title\n\n## Here `code`\n\n<a id='by-hand'></a>\n\nSee [it]({link}).\n") == []


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ("none.md", "a link to none.md, which does not exist"),
        ("/etc/hosts", "a link to /etc/hosts, which does not exist"),
        ("../outside.md", "a link to ../outside.md, which is outside the course"),
        ("other.md#twice-2", "a link to other.md#twice-2, but there is no such heading"),
        ("#nowhere", "a link to #nowhere, but there is no such heading"),
        ("htps://example.org", "htps://example.org has an unknown scheme"),
        ("", "a link to nothing, which does not exist"),
    ],
)
@pytest.mark.parametrize("form", ["See [it]({}).", "| a |\n|---|\n| [it]({}) |", "<a href='{}'>it</a>"])
def test_links_that_lead_nowhere(tmp_path: Path, link: str, sentence: str, form: str) -> None:
    course = tmp_path / "course"
    course.mkdir()
    write(tmp_path, "# Outside", "outside.md")
    write(course, OTHER, "other.md")
    (problem,) = found(course, f"# Title\n\n{form.format(link)}\n")
    assert problem in (f"line 3: {sentence}", f"line 5: {sentence}")


def test_links_of_a_notebook_name_headings_as_jupyter_does(tmp_path: Path) -> None:
    text = "# Title\n\n[down](#Where-to?) and [wrong](#where-to)\n---\n## Where to?\n"
    assert found(tmp_path, text, "01_a.ipynb") == ["cell 0: a link to #where-to, but there is no such heading"]


def test_pages_of_the_site_may_link_as_if_they_stood_in_the_root(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    write(tmp_path, OTHER, "other.md")
    page = write(tmp_path / "site", "# Title\n\n[there](other.md) and [nowhere](another.md)\n")
    assert pages.problems(page, tmp_path) == ["line 3: a link to another.md, which does not exist"]


def test_links_in_code_and_formulas_are_no_links_and_a_picture_can_be_one(tmp_path: Path) -> None:
    text = "# Title\n\n`[a](b.md)` $E[a](b)$\n\n$$\n[a](b)\n$$\n\n```\n[a](b.md)\n```\n\n[![A cat](cat.png)](page.md)\n"
    assert found(tmp_path, text) == ["line 13: a link to cat.png, which does not exist"]


# Headings and pictures


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Text.", "does not open with a title (# ...)"),
        ("## Low", "does not open with a title (# ...)"),
        ("Text.\n\n# Late", "does not open with a title (# ...)"),
        ("# One\n\n# Two", "line 3: a second title: Two"),
        ("# One\n\n### Three", "line 3: the heading 'Three' skips a level"),
        ("# One\n\n##\n", "line 3: a heading without text"),
        ("# One\n\n![](page.md)", "line 3: a picture without alternative text"),
        ("# One\n\n<img src='page.md' alt=' '>", "line 3: a picture without alternative text"),
        ("# One\n\n[ ](page.md)", "line 3: a link without text to page.md"),
    ],
)
@pytest.mark.parametrize("name", ["page.md", "01_page.ipynb"])
def test_headings_and_pictures(tmp_path: Path, text: str, sentence: str, name: str) -> None:
    write(tmp_path, "# Title")  # what the pictures and links name
    assert found(tmp_path, text, name) == [sentence.replace("line 3", "cell 0") if "ipynb" in name else sentence]


def test_headings_in_code_are_none(tmp_path: Path) -> None:
    assert found(tmp_path, "# One\n\n~~~~\n#### Remark\n~~~\n~~~~\n\n## Two\n") == []


# The commands


def test_the_command_names_each_problem_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = write(tmp_path, "# Title\n"), write(tmp_path, "## Title\n", "bad.md")
    assert pages.main([str(good)]) == 0
    capsys.readouterr()
    assert pages.main([str(good), str(bad)]) == 1
    assert capsys.readouterr().out == "bad.md: does not open with a title (# ...)\n"
    assert pages.main([str(tmp_path / "none.md")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'none.md'} is not a file.\n"


# Spelling. The words are put together here, so that the speller passes over this file.

WRONG, BRITISH = "network".replace("or", "ro"), "color".replace("or", "our")


def speller(path: Path, root: Path) -> str:
    """What typos prints about a file, with the course's settings."""
    command = [Path(sys.executable).with_name("typos"), "--config", root / "pyproject.toml", "--format", "brief", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == (2 if done.stdout else 0), done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("page.md", f"A {WRONG}.", WRONG),
        ("page.md", f"Its **{BRITISH}**.", BRITISH),
        ("01_page.ipynb", f"# Title\n{WRONG} of layers", WRONG),
        ("code.py", f"x = 1  # a {WRONG}\n", WRONG),
        ("code.js", f"let x = 1; // a {WRONG}\n", WRONG),
    ],
)
def test_the_speller_reads_every_kind_of_file(tmp_path: Path, root: Path, name: str, text: str, word: str) -> None:
    assert f"`{word}` should be" in speller(write(tmp_path, text, name), root)


def test_the_speller_knows_the_names_of_the_field_and_passes_over_pictures(tmp_path: Path, root: Path) -> None:
    names = "Ba, Teh, arange, axe, ELBO, reparameterization, logits, Gumbel"
    assert speller(write(tmp_path, names), root) == ""
    picture = tmp_path / "picture.ipynb"
    picture.write_text(json.dumps({"image/png": f"{WRONG}+", "text": f"<img src='data:image/png;base64,/{WRONG}+'>"}))
    assert speller(picture, root) == ""
