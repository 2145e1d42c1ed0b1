"""The committed notebooks are as tests/support/hygiene.py asks, and each of its checks can fail."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts import minutes
from scripts.minutes import length
from tests.support import hygiene

Json = dict[str, Any]


def test_notebook_is_tidy(notebook: Path) -> None:
    assert hygiene.problems(notebook) == []


def test_notebooks_are_numbered_without_a_gap(notebooks: list[Path]) -> None:
    assert notebooks, "there are no notebooks"
    for number, path in enumerate(notebooks):
        assert re.fullmatch(rf"{number:02d}_[a-z0-9_]+", path.stem)


def test_readme_names_the_minutes_of_each_notebook(notebooks: list[Path], root: Path) -> None:
    row = re.compile(r"^\| \[[^]]+\]\(notebooks/([\w-]+)\.ipynb\) \|[^|]+\| (\d+) min \|", re.MULTILINE)
    table = {name: int(minutes) for name, minutes in row.findall((root / "README.md").read_text(encoding="utf-8"))}
    assert table == {path.stem: minutes.printed(json.loads(path.read_text(encoding="utf-8"))) for path in notebooks}


def code(identifier: str, source: str, count: int, *outputs: Json, tags: tuple[str, ...] = ()) -> Json:
    return {
        "cell_type": "code",
        "id": identifier,
        "metadata": {"tags": list(tags)} if tags else {},
        "source": source,
        "execution_count": count,
        "outputs": list(outputs),
    }


def printed(text: str, name: str = "stdout") -> Json:
    return {"output_type": "stream", "name": name, "text": text}


def shown(data: Json, metadata: Json | None = None) -> Json:
    return {"output_type": "display_data", "data": data, "metadata": metadata or {}}


def words(identifier: str, source: str) -> Json:
    return {"cell_type": "markdown", "id": identifier, "metadata": {}, "source": source}


GOOD: Json = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "cells": [
        words("title", "# Title\n\n**Time:** about 10 minutes to read, one minute to run."),
        code("setup", "SEED = 0", 1, tags=("parameters",)),
        words("section", "## Why?\n\n" + "so " * 150),
        code("sum", "# NBVAL_CHECK_OUTPUT\n1 + 1", 2, shown({"text/plain": "2"})),
        code("figure", "draw()", 3, shown({"image/png": "iVBO"}, {"image/png": {"alt": "a line"}})),
        code("page", "draw()", 4, shown({"text/html": '<img alt="a" src="data:image/png;base64,/tmp/abc">'})),
        code("line", "print(LINE)", 5, printed("a/home/b, https://example.org/tmp/x")),
        *(code(f"long{number}", "x = 1\n" * 5, 6 + number) for number in range(18)),
    ],
}


def write(folder: Path, notebook: Json) -> Path:
    path = folder / "01_good.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def test_a_good_notebook_passes(tmp_path: Path) -> None:
    assert hygiene.problems(write(tmp_path, GOOD)) == []


def cell(notebook: Json, identifier: str) -> Json:
    return next(cell for cell in notebook["cells"] if cell["id"] == identifier)


def says(identifier: str, *outputs: Json) -> Callable[[Json], None]:
    """A change that gives a cell other outputs."""
    return lambda notebook: cell(notebook, identifier).update(outputs=list(outputs))


def tagged(identifier: str, *tags: str) -> Callable[[Json], None]:
    """A change that gives a cell other tags."""
    return lambda notebook: cell(notebook, identifier)["metadata"].update(tags=list(tags))


def more_cells(count: int, lines: int = 1) -> Callable[[Json], None]:
    """A change that adds code cells of so many lines, executed in order."""

    def change(notebook: Json) -> None:
        for extra in range(count):
            notebook["cells"].append(code(f"extra{extra}", "x = 1\n" * lines, 24 + extra))

    return change


def set_source(identifier: str, source: str) -> Callable[[Json], None]:
    """A change that gives a cell another text."""
    return lambda notebook: cell(notebook, identifier).update(source=source)


def more_text(count: int, each: int) -> Callable[[Json], None]:
    """A change that adds text cells of so many words."""
    return lambda notebook: notebook["cells"].extend(words(f"text{i}", "so " * each) for i in range(count))


BAD: dict[str, tuple[Callable[[Json], None], str]] = {
    "too large": (says("line", printed("x" * 1_210_000)), "1.2 MB (at most 1.2)"),
    "invalid": (lambda n: cell(n, "sum").pop("outputs"), "not a valid notebook"),
    "no id": (lambda n: cell(n, "sum").pop("id"), "1 cells without an id"),
    "one id twice": (lambda n: cell(n, "sum").update(id="setup"), "'setup' is used twice"),
    "widget state": (lambda n: n["metadata"].update(widgets={}), "widget state"),
    "another kernel": (lambda n: n["metadata"]["kernelspec"].update(name="mine"), "not named python3"),
    "time stamp": (lambda n: cell(n, "sum")["metadata"].update(execution={}), "time stamp"),
    "hidden source": (lambda n: cell(n, "sum")["metadata"].update(jupyter={"source_hidden": True}), "hidden"),
    "collapsed": (lambda n: cell(n, "sum")["metadata"].update(collapsed=True), "collapsed"),
    "too many cells": (more_cells(16), "41 cells (25 to 40)"),
    "too few cells": (lambda n: n["cells"].pop(), "24 cells (25 to 40)"),
    "too many words": (more_text(11, 200), "2,364 words of prose (at most 2,300)"),
    "a long text": (set_source("section", "## Why?\n\n" + "so " * 249), "cell 2: 251 words (at most 250)"),
    "too much code": (more_cells(13, lines=14), "278 lines of code (at most 260)"),
    "a long cell": (more_cells(1, lines=21), "code cell [24] has 21 lines (at most 20)"),
    "many longish cells": (more_cells(4, lines=15), "a tenth of the code cells, 4 of 27, have"),
    "a wide line": (set_source("sum", "# NBVAL_CHECK_OUTPUT\n" + "1" * 89), "[2]: a line of 89 characters"),
    "much plumbing": (lambda n: n["cells"].insert(2, code("late", "x = 1\n" * 16, 2)), "16 lines of code before"),
    "no section": (set_source("section", "Why?"), "95 lines of code before the first section"),
    "no time": (set_source("title", "# Title"), "does not say '**Time:** about 10 minutes to read'"),
    "a dishonest time": (more_text(2, 150), "says 10 minutes to read, where scripts.minutes computes 15"),
    "not executed": (lambda n: cell(n, "figure").update(execution_count=None), "execution counts"),
    "out of order": (lambda n: cell(n, "figure").update(execution_count=7), "execution counts"),
    "checked, never run": (lambda n: cell(n, "sum").update(execution_count=None), "marked NBVAL_CHECK"),
    "checked, no output": (says("sum"), "marked NBVAL_CHECK"),
    "checked by tag": (tagged("setup", "parameters", "nbval-check-output"), "marked NBVAL_CHECK"),
    "no parameters": (tagged("setup"), "0 code cells are tagged parameters"),
    "an error": (
        says("line", {"output_type": "error", "ename": "E", "evalue": "no", "traceback": []}),
        "an error",
    ),
    "stderr": (says("line", printed("progress", "stderr")), "text on stderr"),
    "a warning": (says("line", printed("x.py:1: UserWarning: beware")), "a warning: UserWarning"),
    "a warning in HTML": (says("line", shown({"text/html": "<p>FutureWarning"})), "a warning: FutureWarning"),
    "home folder": (says("line", printed("saved to /home/ann/x")), "a path of one machine: /home/ann"),
    "temporary folder": (says("line", shown({"text/plain": "'/tmp/x.png'"})), "of one machine: /tmp/x.png"),
    "Windows folder": (says("line", printed(r"C:\Users\ann\x")), "a path of one machine: C:\\Users\\ann"),
    "this folder": (says("line", printed(str(Path(hygiene.__file__).parent))), "a path of one machine"),
    "memory address": (says("line", shown({"text/plain": "<Axes at 0x7f3a12345678>"})), "a memory address"),
    "silent figure": (says("figure", shown({"image/png": "iVBO"})), "a figure without alternative"),
    "blank text": (
        says("figure", shown({"image/png": "iVBO"}, {"image/png": {"alt": " "}})),
        "a figure without alternative",
    ),
    "silent drawing": (says("figure", shown({"image/svg+xml": "<svg/>"})), "a figure without alternative"),
    "silent HTML": (says("page", shown({"text/html": "<img src='x'>"})), "an <img> without alternative text"),
}


@pytest.mark.parametrize("name", BAD)
def test_each_check_can_fail(name: str, tmp_path: Path) -> None:
    change, expected = BAD[name]
    notebook = copy.deepcopy(GOOD)
    change(notebook)
    assert any(expected in problem for problem in hygiene.problems(write(tmp_path, notebook)))


def test_a_widget_may_be_shown_but_not_stored() -> None:
    widget = shown({hygiene.WIDGET_VIEW: {"model_id": "1"}, "text/plain": "HBox()"})
    assert [problem.split(",")[0] for problem in hygiene.problems_of_output(widget)] == ["a stored widget"]
    assert list(hygiene.problems_of_output(widget, live=True)) == []


def test_minutes_count_words_lines_and_figures_and_leave_exercises_out() -> None:
    notebook = {"cells": [words("text", "so " * 500), code("lines", "x = 1\n" * 60, 1)]}
    assert length(notebook).minutes == 10
    picture = shown({"image/png": "iVBO", "text/html": "<img alt='a' src='x'>", "text/plain": "a"})
    page = shown({"text/html": "<div><img alt='a' src='x'><script></script></div>"})
    table = shown({"text/html": "<table></table>"})
    notebook["cells"][1]["outputs"] = [picture, page, table, printed("✓ so it is")]
    assert length(notebook).figures == 2 and length(notebook).minutes == 10  # 12, rounded
    notebook["cells"].append(words("more", "so " * 50))
    assert length(notebook).minutes == 15  # 12.5
    notebook["cells"] = [words("turn", "Why?\n\n*Your turn.* " + "so " * 900 + "\n\n" + "so " * 499)]
    notebook["cells"].append(code("stub", "def f(x):\n    ...\n" + "\n" * 90 + "exercises.f.check(f)", 1))
    assert length(notebook).minutes == 5 and length(notebook).words == 1402 and length(notebook).lines == 93


def test_the_table_of_minutes_says_where_a_notebook_names_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = copy.deepcopy(GOOD)
    assert minutes.main([str(write(tmp_path, notebook))]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["01_good", "25", "164", "96", "2", "10"]
    set_source("title", "# Title\n\n**Time:** about 45 minutes to read, one minute to run.")(notebook)
    assert minutes.main([str(write(tmp_path, notebook))]) == 1
    assert capsys.readouterr().out.rstrip().endswith("10  (its first cell says 45)")
