"""Put a submission in order: the released notebook with the student's answers in it."""

from __future__ import annotations

import ast
import contextlib
import itertools
import re
from collections import defaultdict

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_solution
from traitlets import Unicode

from .cells import grade_id
from .course import Course
from .submission_log import Resources, log_of

# Words that an answer has no need of: a person should look at code with one of them.
SUSPECT = re.compile(r"\b(assignments|grading|observer|VAE_PROBES|ast_transformers|sys\.modules|subprocess|socket)\b")


class RebuildSubmission(NbGraderPreprocessor):
    """Put the student's answers into the released notebook, and the student's own cells where they were.

    So deleted, doubled, moved and rewritten cells can't change what is tested, and every test cell is there once.
    """

    course = Unicode(help="folder of the course").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Replace the submission by the rebuilt one, and log the remarks."""
        release = nbformat.read(Course.at(self.course).release(resources["nbgrader"]["assignment"]), as_version=4)
        rebuilt, remarks = rebuild(release, nb)
        log_of(resources).remarks += remarks
        return rebuilt, resources


def rebuild(release: NotebookNode, submitted: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """Return the release with the submission's answers and additional cells, and remarks on what was not in order."""
    remarks: list[str] = []
    known = {cell.metadata.nbgrader.grade_id: cell for cell in release.cells}
    answers: dict[str, list[NotebookNode]] = defaultdict(list)
    extras: dict[str | None, list[NotebookNode]] = defaultdict(list)  # by the known cell before them
    seen: dict[str, int] = defaultdict(int)
    rewritten: list[str] = []
    anchor: str | None = None
    for cell in submitted.cells:
        name = grade_id(cell)
        if name is not None and name in known:
            seen[name] += 1
            anchor = name
            if is_solution(known[name]):
                answers[name].append(cell)
            elif cell.source.strip() != known[name].source.strip():
                rewritten.append(name)
        elif cell.source.strip():
            extras[anchor].append(cell)
    missing = [name for name in known if not seen[name]]
    remarks += _find_by_function(known, missing, extras, answers)
    if doubled := [name for name, count in seen.items() if count > 1]:
        remarks.append(f"cells found more than once: {', '.join(doubled)}; the last one with an answer counts")
    if gone := [name for name in missing if name not in answers]:
        remarks.append(f"missing cells put back: {', '.join(gone)}")
    if rewritten:
        remarks.append(f"changed cells restored: {', '.join(dict.fromkeys(rewritten))}")
    own = [*itertools.chain(*extras.values(), *answers.values())]
    if words := sorted({word for cell in own if cell.cell_type == "code" for word in SUSPECT.findall(cell.source)}):
        remarks.append(f"look at the code, it mentions {', '.join(words)}")
    cells = [_plain(extra) for extra in extras[None]]
    for name, cell in known.items():
        copy = nbformat.from_dict(cell)
        if name in answers:
            written = [one for one in answers[name] if one.source.strip() != cell.source.strip()] or answers[name]
            copy.source = written[-1].source
        cells += [copy, *(_plain(extra) for extra in extras[name])]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    rebuilt = nbformat.from_dict(release)
    rebuilt.cells = cells
    return rebuilt, remarks


def _find_by_function(
    known: dict[str, NotebookNode],
    missing: list[str],
    extras: dict[str | None, list[NotebookNode]],
    answers: dict[str, list[NotebookNode]],
) -> list[str]:
    """Move the answers of missing cells out of the extras, by the functions they define: some tools drop ids.

    Returns:
        Remarks on what was found.
    """
    remarks = []
    for name in missing:
        wanted = _functions(known[name].source) if is_solution(known[name]) else set()
        for cells in extras.values():
            for cell in [cell for cell in cells if wanted and wanted <= _functions(cell.source)]:
                answers[name].append(cell)
                cells.remove(cell)
        if name in answers:
            remarks.append(f"answer {name} had lost its mark, and was found by its function's name")
    return remarks


def _functions(source: str) -> set[str]:
    with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        return {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    return set()


def _plain(cell: NotebookNode) -> NotebookNode:
    """Return a cell with the source of a student's own cell, and nothing else of it."""
    if cell.cell_type == "code":
        return nbformat.v4.new_code_cell(cell.source)
    return nbformat.v4.new_markdown_cell(cell.source)
