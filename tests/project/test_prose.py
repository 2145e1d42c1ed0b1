"""What people read is in order, and scripts/prose.py sees what is not."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from scripts import prose


@pytest.fixture(scope="module")
def speller() -> prose.Speller:
    """Knows the course's own words, too."""
    return prose.Speller(prose.own_words())


def write(folder: Path, text: str, name: str = "page.md") -> Path:
    """A page; a notebook where the name says so, with one Markdown cell for each part between lines of ---."""
    path = folder / name
    if path.suffix == ".ipynb":
        cells = [{"cell_type": "markdown", "metadata": {}, "source": part} for part in text.split("\n---\n")]
        cells.append({"cell_type": "code", "metadata": {}, "source": "teh = 1  # [nowhere](x.md)", "outputs": []})
        text = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    path.write_text(text, encoding="utf-8")
    return path


def found(folder: Path, text: str, speller: prose.Speller, name: str = "page.md") -> list[str]:
    """What is wrong with a page of this text."""
    return prose.problems(write(folder, text, name), speller, folder)


def test_the_course_is_in_order_and_checked_quickly(root: Path, speller: prose.Speller) -> None:
    started = time.process_time()
    wrong = {path.name: prose.problems(path, speller) for path in prose.pages()}
    assert {name: problems for name, problems in wrong.items() if problems} == {}
    assert time.process_time() - started < 10
    assert {"README.md", "trouble.md", "01_autoencoder.ipynb"} <= wrong.keys()


def test_the_list_of_words_is_sorted() -> None:
    assert list(prose.list_problems(prose.own_words())) == []
    assert len(list(prose.list_problems(["nats", "ELBO", "ELBO"]))) == 2


def test_no_word_is_listed_that_everybody_knows() -> None:
    everybody = prose.Speller([])
    assert [word for word in prose.own_words() if everybody.knows(word)] == []


# Links

OTHER = "# Other\n\n## How much is it, really?\n\n## Twice\n\n## Twice\n"


@pytest.mark.parametrize(
    "link",
    ["other.md", "other.md#how-much-is-it-really", "other.md#twice-1", "#here-code", "https://example.org/a_(b)"],
)
def test_links_that_lead_somewhere(tmp_path: Path, speller: prose.Speller, link: str) -> None:
    write(tmp_path, OTHER, "other.md")
    assert found(tmp_path, f"# Title\n\n## Here `code`\n\nSee [it]({link}).\n", speller) == []


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ("none.md", "line 3: a link to none.md, which does not exist"),
        ("/etc/hosts", "line 3: a link to /etc/hosts, which does not exist"),
        ("../outside.md", "line 3: a link to ../outside.md, which is outside the course"),
        ("other.md#twice-2", "line 3: a link to other.md#twice-2, but there is no such heading"),
        ("#nowhere", "line 3: a link to #nowhere, but there is no such heading"),
        ("https://nowhere/x", "line 3: https://nowhere/x is no address in the web"),
        ("htps://example.org", "line 3: htps://example.org has an unknown scheme"),
        ("", "line 3: a link to nothing, which does not exist"),
    ],
)
def test_links_that_lead_nowhere(tmp_path: Path, speller: prose.Speller, link: str, sentence: str) -> None:
    course = tmp_path / "course"
    course.mkdir()
    write(tmp_path, "# Outside", "outside.md")
    write(course, OTHER, "other.md")
    assert found(course, f"# Title\n\nSee [it]({link}).\n", speller) == [sentence]


def test_links_of_a_notebook_name_headings_as_jupyter_does(tmp_path: Path, speller: prose.Speller) -> None:
    text = "# Title\n\n[down](#Where-to?) and [wrong](#where-to)\n---\n## Where to?\n"
    assert found(tmp_path, text, speller, "01_a.ipynb") == ["cell 0: a link to #where-to, but there is no such heading"]


def test_links_in_code_are_no_links_and_a_picture_can_be_one(tmp_path: Path, speller: prose.Speller) -> None:
    text = "# Title\n\n`[a](b.md)`\n\n```\n[a](b.md)\n```\n\n[![A cat](cat.png)](page.md)\n"
    assert found(tmp_path, text, speller) == ["line 9: a link to cat.png, which does not exist"]


# Headings and pictures


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Text.", "does not open with a title (# ...)"),
        ("## Low", "does not open with a title (# ...)"),
        ("# One\n\n# Two", "line 3: a second title: Two"),
        ("# One\n\n### Three", "line 3: the heading 'Three' skips a level"),
        ("# One\n\n![](page.md)", "line 3: a picture without alternative text"),
        ("# One\n\n<img src='page.md' alt=' '>", "line 3: a picture without alternative text"),
        ("# One\n\n[ ](page.md)", "line 3: a link without text to page.md"),
    ],
)
def test_headings_and_pictures(tmp_path: Path, speller: prose.Speller, text: str, sentence: str) -> None:
    assert found(tmp_path, text, speller) == [sentence]


def test_headings_in_code_are_none(tmp_path: Path, speller: prose.Speller) -> None:
    assert found(tmp_path, "# One\n\n~~~~\n#### Remark\n~~~\n~~~~\n\n## Two\n", speller) == []


# Spelling


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("A netwrok.", "'netwrok' is not in the dictionary (did you mean network?)"),
        ("Its **colour**.", "'colour' is not in the dictionary"),
        ("They normalise it.", "'normalise' is not in the dictionary"),
        ("| a | tabel |", "'tabel' is not in the dictionary"),
        ("![A pictrue](page.md)", "'pictrue' is not in the dictionary"),
        ("the mnist digits", "'mnist' is not in the dictionary"),
    ],
)
def test_misspelled(tmp_path: Path, speller: prose.Speller, text: str, word: str) -> None:
    (problem,) = found(tmp_path, f"# Title\n\n{text}\n", speller)
    assert problem.startswith(f"line 3: {word}")


@pytest.mark.parametrize(
    "text",
    [
        "It doesn't, you'll see; the network's weights, the VAE's, two VAEs.",
        "`teh`, $teh^2$, and\n\n$$\n\\teh\n$$\n",
        "<span title='teh'>this</span> <!-- teh -->",
        "https://example.org/teh and me@teh.org",
        "Autoencoders and MNIST, `vae_utils`, z_teh, 3teh, teh.py, a/teh, teh=1",
        "[text](https://example.org/teh)",
        "zwölf 你好",
    ],
)
def test_what_is_no_word(tmp_path: Path, text: str) -> None:
    known = prose.Speller([*prose.own_words(), "zwölf"])
    assert found(tmp_path, f"# Title\n\n{text}\n", known) == []


def test_a_place_is_right_after_code_of_many_lines(tmp_path: Path, speller: prose.Speller) -> None:
    text = "# Title\n\n$$\n\\alpha\n$$\n\n```\nx\n```\n\na netwrok\n"
    assert [problem.split(":")[0] for problem in found(tmp_path, text, speller)] == ["line 11"]


# The command


def test_the_command_tells_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    good, bad = write(tmp_path, "# Title\n"), write(tmp_path, "# Titel\n", "bad.md")
    assert prose.main([str(good)]) == 0
    assert capsys.readouterr().out == "Links, spelling, headings and alternative texts of 1 pages are in order.\n"
    assert prose.main([str(good), str(bad)]) == 1
    assert capsys.readouterr().out.startswith("bad.md: line 1: 'Titel' is not in the dictionary")
    assert prose.main([str(tmp_path / "none.md")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'none.md'} is not a file.\n"
