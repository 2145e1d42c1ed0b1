"""How long a notebook is, and how many minutes it takes to read: what its first cell and README's table must say.

    python -m scripts.minutes [NOTEBOOK ...]       a table; none named: all notebooks of the course

A minute for 100 words of Markdown (a formula and a row of a table count as the words they are written in), for 12 lines
of code and for each stored figure, rounded to 5. Exercises are apart, since nobody knows how long you think: paragraphs
that begin with *Your turn*, and cells that call an exercise or a question.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.pages import Page
from scripts.paths import NOTEBOOKS

WORDS, LINES = 100, 12  # read in a minute
STEP = 5  # minutes, to which the sum is rounded
EXERCISE = re.compile(r"^exercises\.", re.MULTILINE)
YOUR_TURN = "*Your turn"
PRINTED = re.compile(r"\*\*Time:\*\* about (\d+) minutes to read")

Json = dict[str, Any]


def text(value: str | list[str] | None) -> str:
    """Join a multi-line value of the notebook format, which is a string or a list of lines."""
    return "".join(value or "")


@dataclass(frozen=True)
class Length:
    """How long a notebook is.

    `words` are those of all Markdown and `lines` those of all code, blank ones too, exercises included; `figures` are
    stored outputs with a picture, `minutes` what reading takes without exercises, rounded.
    """

    cells: int
    words: int
    lines: int
    figures: int
    minutes: int


def length(notebook: Json) -> Length:
    """Measure a notebook (its parsed JSON)."""
    words = lines = read_words = read_lines = figures = 0
    for cell in notebook["cells"]:
        source = text(cell["source"])
        if cell["cell_type"] == "markdown":
            words += len(source.split())
            read_words += sum(len(part.split()) for part in paragraphs(source) if not part.startswith(YOUR_TURN))
        elif source.strip():
            lines += len(source.splitlines())
            read_lines += 0 if EXERCISE.search(source) else len(source.splitlines())
            figures += sum(map(is_figure, cell.get("outputs", [])))
    minutes = read_words / WORDS + read_lines / LINES + figures
    return Length(len(notebook["cells"]), words, lines, figures, STEP * int(minutes / STEP + 0.5))


def paragraphs(source: str) -> list[str]:
    """Return what blank lines part, without spaces around."""
    return [part.strip() for part in re.split(r"\n\s*\n", source)]


def is_figure(output: Json) -> bool:
    """Return whether an output shows a picture."""
    data = output.get("data", {})
    return any(kind.startswith("image/") for kind in data) or bool(Page(text(data.get("text/html"))).pictures)


def printed(notebook: Json) -> int | None:
    """Return the minutes of reading that a notebook's first cell names, or None if it names none."""
    first = text(notebook["cells"][0]["source"]) if notebook["cells"] else ""
    found = PRINTED.search(first)
    return int(found[1]) if found else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the exit status: 0, or 1 if a notebook's first cell names other minutes."""
    parser = argparse.ArgumentParser(description="How long the notebooks are, and how long they take to read.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="none: all of the course's")
    paths: list[Path] = parser.parse_args(arguments).notebooks or sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    differ = 0
    print(f"{'notebook':32} cells  words  code lines  figures  minutes")
    for path in paths:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        found, says = length(notebook), printed(notebook)
        remark = "" if says == found.minutes else f"  (its first cell says {says})"
        differ += bool(remark)
        row = f"{path.stem:32} {found.cells:5}  {found.words:5}  {found.lines:10}  {found.figures:7}  {found.minutes:7}"
        print(row + remark)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
