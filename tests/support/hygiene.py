"""What a notebook of this course must look like, as functions from a notebook (its parsed JSON) to sentences
that say what is wrong; no sentence: nothing is."""

from __future__ import annotations

import itertools
import json
import re
import sys
import warnings
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat

Json = dict[str, Any]

MAX_BYTES = 1_500_000
MAX_CELLS = 50
MAX_LINES = 25  # of one code cell
USUAL_LINES = 15  # of nine code cells in ten
CHECKED = ("NBVAL_CHECK_OUTPUT", "nbval-check-output")  # nbval's marker as a comment and as a tag
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
IMAGES = ("image/png", "image/jpeg", "image/svg+xml", "image/gif")
# A folder of somebody's machine, but not the path of a web address.
PERSONAL_PATH = re.compile(r"(?<![\w:/.])/(?:home|root|tmp|Users|private|mnt)/[\w.-]+|[A-Z]:\\+Users\\+\w+")
WARNING = re.compile(r"\b\w*Warning\b")
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")
HEADING = re.compile(r"^(#{1,6})\s+\S")
FENCE = re.compile(r"^\s*(```|~~~)")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)")
PICTURE = re.compile(r"!\[(.*?)\]\(")


def text(value: str | list[str] | None) -> str:
    """A multi-line value of the notebook format, which is a string or a list of lines."""
    return "".join(value or "")


def source(cell: Json) -> str:
    """A cell's source as one string."""
    return text(cell["source"])


def code_cells(notebook: Json) -> list[Json]:
    """The code cells that hold something."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and source(cell).strip()]


class Pictures(HTMLParser):
    """Counts the <img> tags of an HTML text, and those of them without alternative text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.pictures = self.silent = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.pictures += 1
            self.silent += not (dict(attrs).get("alt") or "").strip()


def problems(path: Path) -> list[str]:
    """Everything that is wrong with the committed notebook at `path`."""
    raw = path.read_text(encoding="utf-8")
    notebook = json.loads(raw)
    found = [*size_problems(len(raw.encode())), *format_problems(notebook)]
    if found and not isinstance(notebook.get("cells"), list):
        return found
    for check in (
        metadata_problems,
        length_problems,
        execution_problems,
        heading_problems,
        parameter_problems,
        markdown_problems,
        output_problems,
    ):
        found += check(notebook)
    return [*found, *link_problems(notebook, path.parent)]


def size_problems(size: int) -> Iterator[str]:
    """Too large to read online?"""
    if size > MAX_BYTES:
        yield f"{size / 1e6:.1f} MB (at most {MAX_BYTES / 1e6:.1f})"


def format_problems(notebook: Json) -> Iterator[str]:
    """Valid in the notebook format, and each cell with an id of its own?"""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about ids, which are looked at below
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
    """No widget state, time stamps, hidden cells or names of one machine's kernels?"""
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
    """Short enough to follow?"""
    if len(notebook["cells"]) > MAX_CELLS:
        yield f"{len(notebook['cells'])} cells (at most {MAX_CELLS})"
    lengths = {index: len(source(cell).strip().splitlines()) for index, cell in enumerate(code_cells(notebook), 1)}
    for number, lines in lengths.items():
        if lines > MAX_LINES:
            yield f"code cell [{number}] has {lines} lines (at most {MAX_LINES})"
    shortest_first = sorted(lengths.values())
    if lengths and shortest_first[int(0.9 * (len(lengths) - 1))] > USUAL_LINES:
        yield f"more than a tenth of the code cells have more than {USUAL_LINES} lines"


def execution_problems(notebook: Json) -> Iterator[str]:
    """Run once, top to bottom, in a new kernel, and nbval's marked cells with something to compare?"""
    cells = code_cells(notebook)
    if [cell.get("execution_count") for cell in cells] != list(range(1, len(cells) + 1)):
        yield f"execution counts are not 1 to {len(cells)}: run it once, top to bottom, in a new kernel"
    for index, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code":
            continue
        marked = CHECKED[0] in source(cell) or CHECKED[1] in cell["metadata"].get("tags", [])
        if marked and not (cell.get("execution_count") and cell.get("outputs")):
            yield f"cell {index}: marked {CHECKED[0]} but holds no output to compare with"


def heading_problems(notebook: Json) -> Iterator[str]:
    """One title, first of all, and no level skipped below it?"""
    headings = list(all_headings(notebook))
    first = notebook["cells"][0] if notebook["cells"] else None
    if not first or first["cell_type"] != "markdown" or not source(first).lstrip().startswith("# "):
        yield "does not open with a title"
    if [level for level, _ in headings].count(1) > 1:
        yield "more than one title (# ...)"
    for (above, _), (level, line) in itertools.pairwise(headings):
        if level > above + 1:
            yield f"heading {line!r} skips a level"


def all_headings(notebook: Json) -> Iterator[tuple[int, str]]:
    """The headings of the Markdown cells: level and line. What stands between code fences is none."""
    for cell in notebook["cells"]:
        if cell["cell_type"] != "markdown":
            continue
        fenced = False
        for line in source(cell).splitlines():
            if FENCE.match(line):
                fenced = not fenced
            elif not fenced and (match := HEADING.match(line)):
                yield len(match[1]), line.strip()


def parameter_problems(notebook: Json) -> Iterator[str]:
    """One cell that sets what a reader may set?"""
    tagged = [cell for cell in code_cells(notebook) if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) != 1:
        yield f"{len(tagged)} code cells are tagged parameters (exactly 1)"


def markdown_problems(notebook: Json) -> Iterator[str]:
    """Alternative text for every picture in the prose?"""
    for index, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "markdown":
            silent = [alt for alt in PICTURE.findall(source(cell)) if not alt.strip()]
            if silent or Pictures(source(cell)).silent:
                yield f"cell {index}: a picture without alternative text"


def link_problems(notebook: Json, folder: Path) -> Iterator[str]:
    """Does every relative link of the prose lead to something?"""
    for index, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "markdown":
            continue
        for target in LINK.findall(source(cell)):
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            if not (folder / target.split("#")[0]).exists():
                yield f"cell {index}: a link to {target}, which does not exist"


def output_problems(notebook: Json) -> Iterator[str]:
    """Outputs free of errors, warnings and traces of one machine, and every figure with alternative text?"""
    for index, cell in enumerate(notebook["cells"]):
        for output in cell.get("outputs", []):
            for problem in problems_of_output(output):
                yield f"cell {index}: {problem}"


def problems_of_output(output: Json, live: bool = False) -> Iterator[str]:
    """Yield what is wrong with one output; a `live` one comes from a kernel and may still be a widget."""
    if output["output_type"] == "error":
        yield f"an error: {output.get('ename')}: {output.get('evalue')}"
        return
    data = output.get("data", {})
    html = text(data.get("text/html"))
    shown = text(output.get("text")) + text(data.get("text/plain")) + without_pictures(html)
    if WIDGET_VIEW in data and not live:
        yield "a stored widget, an error in a notebook just opened: store its static figure (make notebooks)"
    if output.get("name") == "stderr":
        yield f"text on stderr: {shown[:80]!r}"
    if match := WARNING.search(shown):
        yield f"a warning: {match[0]}"
    here = [str(Path.home()), sys.prefix, str(Path(__file__).parents[2])]
    if match := PERSONAL_PATH.search(shown) or re.search("|".join(map(re.escape, filter(is_deep, here))), shown):
        yield f"a path of one machine: {match[0]}"
    if match := ADDRESS.search(shown):
        yield f"a memory address: {match[0]}"
    yield from picture_problems(data, output.get("metadata", {}), html)


def picture_problems(data: Json, metadata: Json, html: str) -> Iterator[str]:
    """Alternative text for each picture of one output; where there is HTML, that is what is shown."""
    if Pictures(html).silent:
        yield "an <img> without alternative text"
    if html:
        return
    for kind in IMAGES:
        if kind in data and not str(metadata.get(kind, {}).get("alt", "")).strip():
            yield f"a figure without alternative text (metadata['{kind}']['alt'])"


def without_pictures(html: str) -> str:
    """HTML without the bytes of embedded pictures, which can spell anything."""
    return re.sub(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=\s]+", "", html)


def is_deep(path: str) -> bool:
    """Whether a path is long enough to be recognized in a text: not / and not /usr."""
    return len(Path(path).parts) > 2
