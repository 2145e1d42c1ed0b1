"""Submissions are put in order whatever was done to them, and no answer is lost on the way."""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Callable

import nbformat
import pytest

pytest.importorskip("nbgrader", reason="the extra 'instructor' is not installed")

from nbformat import NotebookNode

from scripts.grading.pictures import GONE
from scripts.grading.rebuilding import NO_CELL, rebuild
from scripts.grading.terms import SOURCES

REGION = re.compile(
    r"### BEGIN SOLUTION\n.*?### END SOLUTION|### BEGIN HIDDEN TESTS\n.*?### END HIDDEN TESTS\n", re.DOTALL
)
PIXEL = base64.b64encode(b"\x89PNG a pixel").decode()


@pytest.fixture
def release() -> NotebookNode:
    """A notebook with the cells of a release, without solutions and hidden tests."""
    return stripped(nbformat.read(SOURCES / "loss.ipynb", as_version=4))


def stripped(notebook: NotebookNode) -> NotebookNode:
    for cell in notebook.cells:
        stub = "YOUR ANSWER HERE" if cell.cell_type == "markdown" else "# YOUR CODE HERE\n    raise NotImplementedError"
        if cell.source.startswith("###"):
            stub = stub.replace("    ", "")
        cell.source = REGION.sub(stub if cell.metadata.nbgrader.solution else "", cell.source)
    return notebook


def sources(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells]


def place(notebook: NotebookNode, name: str) -> int:
    """Where the cell of that id stands."""
    return next(i for i, cell in enumerate(notebook.cells) if cell.metadata.get("nbgrader", {}).get("grade_id") == name)


def test_rebuilding_keeps_the_students_own_cells_in_place(release: NotebookNode) -> None:
    handed_in = nbformat.from_dict(release)
    where = place(handed_in, "kl_between")
    handed_in.cells[where].source = "kl_between = helper"
    handed_in.cells.insert(where, nbformat.v4.new_code_cell("def helper(): ..."))
    rebuilt, remarks = rebuild(release, handed_in)
    assert sources(rebuilt).index("def helper(): ...") == sources(rebuilt).index("kl_between = helper") - 1
    assert len(rebuilt.cells) == len(release.cells) + 1 and not remarks
    nbformat.validate(rebuilt)


def test_rebuilding_puts_cells_back_and_in_order(release: NotebookNode) -> None:
    emptied, remarks = rebuild(release, nbformat.v4.new_notebook())
    assert sources(emptied) == sources(release)
    assert "put back" in remarks[0]
    shuffled = nbformat.from_dict(release)
    shuffled.cells = [*shuffled.cells[::-1], shuffled.cells[0]]
    rebuilt, remarks = rebuild(release, shuffled)
    assert sources(rebuilt) == sources(release)
    assert len(remarks) == 1 and "more than once" in remarks[0]


def test_rebuilding_finds_an_answer_without_its_mark(release: NotebookNode) -> None:
    handed_in = nbformat.from_dict(release)
    cell = handed_in.cells[place(handed_in, "kl_between")]
    cell.metadata, cell.source = {}, "def kl_between(mu_q, logvar_q, mu_p, logvar_p):\n    return 1"
    rebuilt, remarks = rebuild(release, handed_in)
    assert rebuilt.cells[place(rebuilt, "kl_between")].source == cell.source
    assert len(rebuilt.cells) == len(release.cells)
    assert "found by its function's name" in remarks[0]


def test_rebuilding_restores_tests_and_names_suspicious_words(release: NotebookNode) -> None:
    handed_in = nbformat.from_dict(release)
    handed_in.cells[place(handed_in, "kl_between-any")].source = "20.0"
    handed_in.cells[place(handed_in, "kl_between")].source = "import subprocess"
    rebuilt, remarks = rebuild(release, handed_in)
    assert (
        rebuilt.cells[place(rebuilt, "kl_between-any")].source == release.cells[place(release, "kl_between-any")].source
    )
    assert any("restored: kl_between-any" in remark for remark in remarks)
    assert any("it mentions subprocess" in remark for remark in remarks)


def cell_of(notebook: NotebookNode, name: str) -> NotebookNode:
    return notebook.cells[place(notebook, name)]


def text(source: str, attachments: dict[str, dict[str, str]] | None = None) -> NotebookNode:
    cell = nbformat.v4.new_markdown_cell(source)
    if attachments:
        cell["attachments"] = attachments
    return cell


def run(notebook: NotebookNode, until: str) -> dict[str, object]:
    """Run the code cells up to one, errors apart, as grading does."""
    space: dict[str, object] = {}
    for cell in notebook.cells[: place(notebook, until)]:
        if cell.cell_type == "code":
            try:
                exec(cell.source, space)
            except Exception:  # a stub, half of a function
                continue
    return space


HELPER = "def term(a):\n    return 2 * a"
ANSWER = "def kl_between(mu_q, logvar_q, mu_p, logvar_p):\n    return term(mu_q)"


def split_cell(notebook: NotebookNode, *halves: str, kept: bool = True) -> None:
    """Put these sources into the answer's cell and copies of it, as JupyterLab's "Split Cell" does."""
    where = place(notebook, "kl_between")
    cells = [nbformat.from_dict(notebook.cells[where]) for _ in halves]
    for number, (cell, source) in enumerate(zip(cells, halves, strict=True)):
        cell.source = source
        if number and not kept:
            cell.metadata = nbformat.from_dict({})
    notebook.cells[where : where + 1] = cells


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    "halves",
    [
        (HELPER, ANSWER),
        (ANSWER, HELPER),
        (HELPER, "from math import pi", ANSWER),
        ("def term(a):", "    return 2 * a", ANSWER),
        (f"{HELPER}\n\n{ANSWER.splitlines()[0]}", "    return term(mu_q)"),
        (HELPER, "def kl_between(:", ANSWER),
    ],
)
def test_a_split_answer_is_one_answer(release: NotebookNode, halves: tuple[str, ...], kept: bool) -> None:
    handed_in = nbformat.from_dict(release)
    split_cell(handed_in, *halves, kept=kept)
    rebuilt, _ = rebuild(release, handed_in)
    assert run(rebuilt, "kl_between-moved")["kl_between"](3, 0, 0, 0) == 6  # type: ignore[operator]
    nbformat.validate(rebuilt)


def before(notebook: NotebookNode, name: str, cell: NotebookNode) -> None:
    notebook.cells.insert(place(notebook, name), cell)


@pytest.mark.parametrize("where", ["text-04", "kl_between", "kl_between-moved", "kl_between-any", "text-09", "text-25"])
def test_code_beside_an_untouched_cell_is_found(release: NotebookNode, where: str) -> None:
    handed_in = nbformat.from_dict(release)
    before(handed_in, where, nbformat.v4.new_code_cell(f"{HELPER}\n{ANSWER}"))
    rebuilt, _ = rebuild(release, handed_in)
    assert run(rebuilt, "kl_between-moved")["kl_between"](3, 0, 0, 0) == 6  # type: ignore[operator]


def test_code_in_a_locked_cell_is_found_and_imports_stay(release: NotebookNode) -> None:
    handed_in = nbformat.from_dict(release)
    cell_of(handed_in, "setup").source += "\nimport math as m\ncompare = print"
    cell_of(handed_in, "term").source += "\nM = 100"
    cell = cell_of(handed_in, "kl_between-moved")
    cell.source = f"def kl_between(mu_q, logvar_q, mu_p, logvar_p):\n    return m.sqrt(mu_q)\n{cell.source}"
    rebuilt, remarks = rebuild(release, handed_in)
    space = run(rebuilt, "kl_between-moved")
    assert space["kl_between"](9, 0, 0, 0) == 3 and space["M"] != 100  # type: ignore[operator]
    assert space["compare"] is not print
    assert any("restored: " in remark for remark in remarks)


def own_cell(kind: str, where: str) -> Callable[[NotebookNode], None]:
    def change(notebook: NotebookNode) -> None:
        cell = nbformat.from_dict({"cell_type": kind, "metadata": {}, "source": "It is P times B.", "id": "mine"})
        if kind == "code":
            cell.source, cell["outputs"], cell["execution_count"] = "# It is P times B.", [], None
        before(notebook, where, cell)

    return change


def lost_mark(notebook: NotebookNode) -> None:
    cell = cell_of(notebook, "mean_or_sum")
    cell.metadata, cell.source = nbformat.from_dict({}), "It is P times B."


def lost_marks(notebook: NotebookNode) -> None:
    lost_mark(notebook)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})


def merged(notebook: NotebookNode) -> None:
    cell_of(notebook, "text-23").source += "\n\nIt is P times B."
    del notebook.cells[place(notebook, "mean_or_sum")]


def as_code(notebook: NotebookNode) -> None:
    where = place(notebook, "mean_or_sum")
    cell = nbformat.v4.new_code_cell("It is P times B.", metadata=notebook.cells[where].metadata)
    notebook.cells[where] = cell


@pytest.mark.parametrize(
    "change",
    [
        own_cell("markdown", "text-25"),
        own_cell("markdown", "mean_or_sum"),
        own_cell("markdown", "text-23"),
        own_cell("markdown", "text-09"),
        own_cell("raw", "text-25"),
        own_cell("code", "text-25"),
        lambda notebook: notebook.cells.append(text("It is P times B.")),
        lost_mark,
        lost_marks,
        merged,
        as_code,
    ],
)
def test_a_written_answer_is_found_wherever_it_stands(
    release: NotebookNode, change: Callable[[NotebookNode], None]
) -> None:
    handed_in = nbformat.from_dict(release)
    change(handed_in)
    rebuilt, remarks = rebuild(release, handed_in)
    nbformat.validate(rebuilt)
    assert "It is P times B." in cell_of(rebuilt, "mean_or_sum").source
    assert any("mean_or_sum" in remark for remark in remarks) or change is as_code


def test_a_written_answer_in_two_cells_is_one(release: NotebookNode) -> None:
    handed_in = nbformat.from_dict(release)
    where = place(handed_in, "mean_or_sum")
    half = nbformat.from_dict(handed_in.cells[where])
    handed_in.cells[where].source, half.source = "It is P", "times B"
    handed_in.cells[where + 1 : where + 1] = [half, text("in a batch.")]
    rebuilt, remarks = rebuild(release, handed_in)
    assert cell_of(rebuilt, "mean_or_sum").source == "It is P\n\ntimes B\n\nin a batch."
    assert len(rebuilt.cells) == len(release.cells)
    assert any("from 3 cells" in remark for remark in remarks)


def test_untouched_answers_stay_so_and_deleted_ones_go_to_a_person(release: NotebookNode) -> None:
    rebuilt, remarks = rebuild(release, nbformat.from_dict(release))
    assert sources(rebuilt) == sources(release) and not remarks
    handed_in = nbformat.from_dict(release)
    cell_of(handed_in, "mean_or_sum").source = ""
    rebuilt, remarks = rebuild(release, handed_in)
    assert cell_of(rebuilt, "mean_or_sum").source == "" and not remarks
    del handed_in.cells[place(handed_in, "mean_or_sum")]
    rebuilt, remarks = rebuild(release, handed_in)
    assert cell_of(rebuilt, "mean_or_sum").source == NO_CELL
    assert any("not in the file" in remark for remark in remarks)


def test_all_marks_lost_loses_no_answer(release: NotebookNode) -> None:
    handed_in = nbformat.from_dict(release)
    for name, source in {"kl_between": f"{HELPER}\n{ANSWER}", "bits": "bits = 1.5", "mean_or_sum": "P times B"}.items():
        cell_of(handed_in, name).source = source
    for cell in handed_in.cells:
        cell.metadata = nbformat.from_dict({})
    rebuilt, _ = rebuild(release, handed_in)
    assert len(rebuilt.cells) == len(release.cells)
    space = run(rebuilt, "bits-value")
    assert space["kl_between"](3, 0, 0, 0) == 6 and space["bits"] == 1.5  # type: ignore[operator]
    assert cell_of(rebuilt, "mean_or_sum").source == "P times B"


def test_what_programs_change_is_no_change(release: NotebookNode) -> None:
    handed_in = nbformat.from_dict(release)
    for cell in handed_in.cells:
        cell.source = unicodedata.normalize("NFD", cell.source).replace("\n", " \r\n") + "\n"
    rebuilt, remarks = rebuild(release, handed_in)
    assert sources(rebuilt) == sources(release) and not remarks


@pytest.mark.parametrize("below", [0, 1])
def test_a_copy_of_a_locked_cell_accuses_nobody(release: NotebookNode, below: int) -> None:
    handed_in = nbformat.from_dict(release)
    where = place(handed_in, "kl_between-any")
    handed_in.cells.insert(where, nbformat.from_dict(handed_in.cells[where]))
    handed_in.cells[where + below].source = "my_own = 1"
    rebuilt, remarks = rebuild(release, handed_in)
    assert not any("changed" in remark for remark in remarks)
    assert "my_own = 1" in sources(rebuilt)


@pytest.mark.parametrize(
    ("source", "attachments"),
    [
        ("![image.png](attachment:image.png)", {"image.png": {"image/png": PIXEL}}),
        ("![](<attachment:my pic.png>)", None),
        ("![a](attachment:my%20pic.png)", {"my pic.png": {"image/png": PIXEL}}),
        ('<img src="attachment:image.png" width="300">', {"image.png": {"image/png": PIXEL}}),
        (f"![](data:image/png;base64,{PIXEL})", None),
        ("![a][1]\n\n[1]: attachment:image.png", {"image.png": {"image/png": PIXEL}}),
        ("![a](attachment:image.png)", {"image.png": {"image/png": f'{PIXEL}"><script>'}}),
        ("![a](attachment:image.svg)", {"image.svg": {"image/svg+xml": PIXEL}}),
        ("![a](attachment:image.png)", None),
    ],
)
def test_pictures_stay_with_the_text(
    release: NotebookNode, source: str, attachments: dict[str, dict[str, str]] | None
) -> None:
    handed_in = nbformat.from_dict(release)
    where = place(handed_in, "mean_or_sum")
    handed_in.cells[where].source = source
    if attachments:
        handed_in.cells[where]["attachments"] = attachments
    handed_in.cells.insert(where + 1, text(source, attachments=attachments))
    before(handed_in, "text-09", text(source, attachments=attachments))
    rebuilt, remarks = rebuild(release, handed_in)
    nbformat.validate(rebuilt)
    cell = cell_of(rebuilt, "mean_or_sum")
    other = rebuilt.cells[place(rebuilt, "text-09") - 1]
    names = re.findall(r"attachment:([\w.-]+)", cell.source)
    if GONE in cell.source or "my pic" in source:
        assert not names and "attachments" not in cell and "<script" not in str(rebuilt)
        assert "my pic" in source or any("not in the file" in remark for remark in remarks)
    else:
        assert names == ["picture-1.png", "picture-2.png"] == list(cell.attachments)
        assert list(other.attachments) == ["picture-1.png"]
        assert {data for bundle in cell.attachments.values() for data in bundle.values()} == {PIXEL}
