"""What a notebook of this course must look like, beyond what scripts.pages asks of every page.

Each check takes a notebook (its parsed JSON) and yields a sentence for each thing that is wrong.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from scripts.minutes import length, printed, text
from scripts.pages import Page
from scripts.paths import ROOT

Json = dict[str, Any]

MAX_BYTES = 1_200_000
MIN_CELLS, MAX_CELLS = 25, 40
MAX_WORDS = 2300  # of Markdown in all
MAX_CELL_WORDS = 250  # of one text cell
MAX_CODE = 260  # lines in all, blank ones and the setup too
MAX_LINES = 20  # of one code cell
USUAL_LINES = 14  # of nine code cells in ten
MAX_WIDTH = 88  # characters of a line of code: JupyterLab's page cuts longer ones off
MAX_PLUMBING = 15  # lines of code before the first section, apart from what every notebook begins with
FRAME = ("bootstrap", "parameters")  # the tags of that
SECTION = re.compile(r"^## ", re.MULTILINE)
CHECKED = ("NBVAL_CHECK_OUTPUT", "nbval-check-output")  # nbval's marker as a comment and as a tag
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
IMAGES = ("image/png", "image/jpeg", "image/svg+xml", "image/gif")
# A folder of one person's machine, but not the path of a web address.
PERSONAL_PATH = re.compile(r"(?<![\w:/.])/(?:home|root|tmp|Users|private|mnt)/[\w.-]+|[A-Z]:\\+Users\\+\w+")
WARNING = re.compile(r"\b\w*Warning\b")
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")
EMBEDDED = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=\s]+")  # bytes, which can spell anything


def code_cells(notebook: Json) -> list[Json]:
    """Return the code cells that hold something."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and text(cell["source"]).strip()]


def problems(path: Path) -> list[str]:
    """Return everything that is wrong with the committed notebook at `path`."""
    raw = path.read_text(encoding="utf-8")
    notebook = json.loads(raw)
    found = [*size_problems(len(raw.encode())), *format_problems(notebook)]
    if found and not isinstance(notebook.get("cells"), list):
        return found
    checks = (
        metadata_problems,
        length_problems,
        text_problems,
        code_problems,
        plumbing_problems,
        time_problems,
        execution_problems,
        parameter_problems,
        output_problems,
    )
    return found + [problem for check in checks for problem in check(notebook)]


def size_problems(size: int) -> Iterator[str]:
    """Check that the notebook is small enough to be read online."""
    if size > MAX_BYTES:
        yield f"{size / 1e6:.1f} MB (at most {MAX_BYTES / 1e6:.1f})"


def format_problems(notebook: Json) -> Iterator[str]:
    """Check that the notebook is valid in its format, and that each cell has an id of its own."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about ids, which are checked below
            nbformat.validate(json.loads(json.dumps(notebook)))
    except nbformat.ValidationError as error:
        yield f"not a valid notebook: {str(error).splitlines()[0]}"
        return
    ids = [cell.get("id") for cell in notebook["cells"]]
    if None in ids:
        yield f"{ids.count(None)} cells without an id"
    for repeated in sorted({i for i in ids if i is not None and ids.count(i) > 1}):
        yield f"cell id {repeated!r} is used twice"


def metadata_problems(notebook: Json) -> Iterator[str]:
    """Check for widget state, time stamps, hidden cells and the name of one machine's kernel."""
    if "widgets" in notebook["metadata"]:
        yield "stored widget state"
    if notebook["metadata"].get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not named python3"
    for index, cell in enumerate(notebook["cells"]):
        metadata = cell["metadata"]
        if "execution" in metadata or "ExecuteTime" in metadata:
            yield f"cell {index}: a stored time stamp"
        hidden = metadata.get("jupyter", {})
        if metadata.get("collapsed") or hidden.get("source_hidden") or hidden.get("outputs_hidden"):
            yield f"cell {index}: collapsed or hidden"


def length_problems(notebook: Json) -> Iterator[str]:
    """Check that the notebook is short enough to be read at one sitting, and in steps small enough to follow."""
    found = length(notebook)
    if not MIN_CELLS <= found.cells <= MAX_CELLS:
        yield f"{found.cells} cells ({MIN_CELLS} to {MAX_CELLS})"
    if found.words > MAX_WORDS:
        yield f"{found.words:,} words of prose (at most {MAX_WORDS:,})"
    if found.lines > MAX_CODE:
        yield f"{found.lines} lines of code (at most {MAX_CODE})"


def text_problems(notebook: Json) -> Iterator[str]:
    """Check that no text cell is a page of its own."""
    for index, cell in enumerate(notebook["cells"]):
        words = len(text(cell["source"]).split())
        if cell["cell_type"] == "markdown" and words > MAX_CELL_WORDS:
            yield f"cell {index}: {words} words (at most {MAX_CELL_WORDS})"


def code_problems(notebook: Json) -> Iterator[str]:
    """Check that code cells and their lines are short enough to follow."""
    lengths = []
    for number, cell in enumerate(code_cells(notebook), 1):
        lines = text(cell["source"]).strip().splitlines()
        lengths.append(len(lines))
        if len(lines) > MAX_LINES:
            yield f"code cell [{number}] has {len(lines)} lines (at most {MAX_LINES})"
        for line in lines:
            if len(line) > MAX_WIDTH:
                yield f"code cell [{number}]: a line of {len(line)} characters (at most {MAX_WIDTH}): {line[:40]}..."
    if lengths and sorted(lengths)[int(0.9 * (len(lengths) - 1))] > USUAL_LINES:
        long = sum(lines > USUAL_LINES for lines in lengths)
        yield f"more than a tenth of the code cells, {long} of {len(lengths)}, have more than {USUAL_LINES} lines"


def plumbing_problems(notebook: Json) -> Iterator[str]:
    """Check that little code comes before the first section (a Markdown cell with a heading ##)."""
    lines = 0
    for cell in notebook["cells"]:
        source = text(cell["source"])
        if cell["cell_type"] == "markdown" and SECTION.search(source):
            break
        if cell["cell_type"] == "code" and not set(FRAME) & set(cell["metadata"].get("tags", [])):
            lines += len(source.splitlines())
    if lines > MAX_PLUMBING:
        yield f"{lines} lines of code before the first section (at most {MAX_PLUMBING})"


def time_problems(notebook: Json) -> Iterator[str]:
    """Check that the first cell says how long reading takes, as scripts.minutes computes it."""
    wanted, says = length(notebook).minutes, printed(notebook)
    if says is None:
        yield f"the first cell does not say '**Time:** about {wanted} minutes to read'"
    elif says != wanted:
        yield f"the first cell says {says} minutes to read, where scripts.minutes computes {wanted}"


def execution_problems(notebook: Json) -> Iterator[str]:
    """Check that the cells were run once, in order, and that each cell marked for nbval has something to compare."""
    cells = code_cells(notebook)
    if [cell.get("execution_count") for cell in cells] != list(range(1, len(cells) + 1)):
        yield f"execution counts are not 1 to {len(cells)}: run it once, top to bottom, in a new kernel"
    for index, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code":
            continue
        marked = CHECKED[0] in text(cell["source"]) or CHECKED[1] in cell["metadata"].get("tags", [])
        if marked and not (cell.get("execution_count") and cell.get("outputs")):
            yield f"cell {index}: marked {CHECKED[0]} but holds no output to compare with"


def parameter_problems(notebook: Json) -> Iterator[str]:
    """Check that one cell sets what a reader may set."""
    tagged = [cell for cell in code_cells(notebook) if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) != 1:
        yield f"{len(tagged)} code cells are tagged parameters (exactly 1)"


def output_problems(notebook: Json) -> Iterator[str]:
    """Check every stored output."""
    for index, cell in enumerate(notebook["cells"]):
        for output in cell.get("outputs", []):
            for problem in problems_of_output(output):
                yield f"cell {index}: {problem}"


def problems_of_output(output: Json, live: bool = False) -> Iterator[str]:
    """Check an output for errors, warnings, traces of one machine and figures without alternative text.

    Args:
        output: An output in the notebook format.
        live: The output comes from a running kernel and may still be a widget.
    """
    if output["output_type"] == "error":
        yield f"an error: {output.get('ename')}: {output.get('evalue')}"
        return
    data = output.get("data", {})
    html = text(data.get("text/html"))
    shown = text(output.get("text")) + text(data.get("text/plain")) + EMBEDDED.sub("", html)
    if WIDGET_VIEW in data and not live:
        yield "a stored widget, an error in a notebook just opened: store its static figure (make notebooks)"
    if output.get("name") == "stderr":
        yield f"text on stderr: {shown[:80]!r}"
    if match := WARNING.search(shown):
        yield f"a warning: {match[0]}"
    here = [path for path in (str(Path.home()), sys.prefix, str(ROOT)) if len(Path(path).parts) > 2]  # not /, not /usr
    if match := PERSONAL_PATH.search(shown) or (here and re.search("|".join(map(re.escape, here)), shown)):
        yield f"a path of one machine: {match[0]}"
    if match := ADDRESS.search(shown):
        yield f"a memory address: {match[0]}"
    if html:  # then that is what is shown
        if not all(picture.alt for picture in Page(html).pictures):
            yield "an <img> without alternative text"
        return
    for kind in IMAGES:
        if kind in data and not str(output.get("metadata", {}).get(kind, {}).get("alt", "")).strip():
            yield f"a figure without alternative text (metadata['{kind}']['alt'])"
