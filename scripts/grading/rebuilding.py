"""Put a submission in order: the released notebook with the student's answers in it."""

from __future__ import annotations

import ast
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_solution
from traitlets import Unicode

from . import pictures
from .cells import grade_id, is_test
from .course import Course
from .submission_log import Resources, log_of

# Words that an answer has no need of: a person should look at code with one of them.
SUSPECT = re.compile(r"\b(assignments|grading|observer|VAE_PROBES|ast_transformers|sys\.modules|subprocess|socket)\b")
NO_CELL = "(The cell for this answer is not in the file, and no text was found that could be the answer.)"


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
    return _Rebuilding(release, submitted).done()


@dataclass(eq=False)
class _Own:
    """A cell of the student's: an answer, or one that the release does not have."""

    cell: NotebookNode
    answers: bool = False

    @property
    def is_code(self) -> bool:
        return self.cell.cell_type == "code"


class _Rebuilding:
    """The work on one submission.

    Attributes:
        known: The release's cells, by id.
        own: The student's cells behind each of them, in order, an answer to it among them; None: before all.
        changed: What the student's file has in the place of a locked cell, by id.
        missing: The ids that the student's file lacks.
    """

    def __init__(self, release: NotebookNode, submitted: NotebookNode):
        self.release, self.remarks = release, list[str]()
        self.known: dict[str, NotebookNode] = {cell.metadata.nbgrader.grade_id: cell for cell in release.cells}
        self.own: dict[str | None, list[_Own]] = defaultdict(list)
        self.changed: dict[str, list[NotebookNode]] = {}
        self.handed_in = bool(submitted.cells)
        self._sort(submitted)

    def done(self) -> tuple[NotebookNode, list[str]]:
        """Return the rebuilt notebook and the remarks."""
        answers = [name for name, cell in self.known.items() if is_solution(cell)]
        for name in answers:
            if self.known[name].cell_type == "code":
                self._find_code(name)
        texts = {name: self._text(name) for name in answers if self.known[name].cell_type != "code"}
        if gone := [name for name in self.missing if not any(one.answers for one in self.own[name])]:
            self.remarks.append(f"missing cells put back: {', '.join(gone)}")
        if self.changed:
            self.remarks.append(f"changed cells restored: {', '.join(self.changed)}")
            for name, versions in self.changed.items():
                if self.known[name].cell_type == "code" and not is_test(self.known[name]):
                    added = [_added_code(self.known[name].source, one.source) for one in versions]
                    self.own[name][:0] = [_Own(nbformat.v4.new_code_cell(source)) for source in added if source]
        code = "\n".join(one.cell.source for some in self.own.values() for one in some if one.is_code or one.answers)
        if words := sorted(set(SUSPECT.findall(code))):
            self.remarks.append(f"look at the code, it mentions {', '.join(words)}")
        cells = [self._plain(one.cell) for one in self.own[None]]
        for name, cell in self.known.items():
            if name in texts:
                cells += [texts[name], *(self._plain(one.cell) for one in self.own[name] if not one.answers)]
            else:
                cells += self._with_code(name, cell)
        for number, cell in enumerate(cells):
            cell["id"] = f"cell-{number}"
        rebuilt = nbformat.from_dict(self.release)
        rebuilt.cells = cells
        return rebuilt, self.remarks

    def _sort(self, submitted: NotebookNode) -> None:
        """Tell the release's cells from the student's, by their ids or, where those are lost, their sources."""
        places: dict[str, list[str]] = defaultdict(list)
        for name, cell in self.known.items():
            places[_normal(cell.source)].append(name)
        order = list(self.known)
        intact = {grade_id(cell) for cell in submitted.cells if self._is_as_released(cell)}
        found: dict[str, list[NotebookNode]] = defaultdict(list)
        anchor: str | None = None
        for cell in submitted.cells:
            marked = grade_id(cell)
            if marked not in self.known:
                same = places.get(_normal(cell.source), [])
                later = [one for one in same if anchor is None or order.index(one) > order.index(anchor)]
                marked = next(iter(later or same), None)
            if marked is not None:
                name = anchor = marked
                found[name].append(cell)
                if _normal(cell.source) == _normal(self.known[name].source):
                    continue
                if is_solution(self.known[name]):
                    self.own[name].append(_Own(cell, answers=True))
                elif name in intact:  # a copy of a locked cell that became something else
                    self.own[name].append(_Own(cell))
                else:
                    self.changed.setdefault(name, []).append(cell)
            elif cell.source.strip():
                self.own[anchor].append(_Own(cell))
        self.missing = [name for name in self.known if not found[name]]
        if doubled := [name for name, some in found.items() if len(some) > 1]:
            self.remarks.append(
                f"cells found more than once: {', '.join(doubled)}; what differs in them is kept, in order"
            )

    def _is_as_released(self, cell: NotebookNode) -> bool:
        released = self.known.get(grade_id(cell) or "")
        return released is not None and _normal(cell.source) == _normal(released.source)

    def _find_code(self, name: str) -> None:
        """Find a function or a number that does not stand in its cell: some tools drop ids, people move code."""
        if any(one.answers and one.cell.source.strip() for one in self.own[name]):
            return
        wanted = _names(self.known[name].source) or {name}
        for place, some in list(self.own.items()):
            for one in list(some):
                if place != name and one.is_code and not one.answers and wanted <= _names(one.cell.source):
                    some.remove(one)
                    self.own[name].append(_Own(one.cell, answers=True))
        for versions in self.changed.values():
            self.own[name] += [_Own(one, answers=True) for one in versions if wanted <= _names(one.source)]
        if any(one.answers for one in self.own[name]):
            how = "had lost its mark" if name in self.missing else "stood in another cell"
            kind = "function's name" if _names(self.known[name].source) else "name"
            self.remarks.append(f"answer {name} {how}, and was found by its {kind}")

    def _with_code(self, name: str, cell: NotebookNode) -> list[NotebookNode]:
        """Return a cell of the release, with the student's code in it or behind it; halves of a split cell in order."""
        own: list[_Own] = []
        for one in self.own[name]:
            # Where a cell was split within a function, a half alone is not Python.
            whole = f"{own[-1].cell.source}\n{one.cell.source}" if own and own[-1].is_code and one.is_code else ""
            if whole and not (_parses(own[-1].cell.source) and _parses(one.cell.source)) and _parses(whole):
                own[-1] = _Own(nbformat.v4.new_code_cell(whole), own[-1].answers or one.answers)
            else:
                own.append(one)
        filled = nbformat.from_dict(cell)
        answers = [place for place, one in enumerate(own) if one.answers]
        if not answers:
            return [filled, *(self._plain(one.cell) for one in own)]
        filled.source = own[answers[-1]].cell.source
        before, behind = own[: answers[-1]], own[answers[-1] + 1 :]
        return [
            *(self._plain(one.cell, code=one.answers) for one in before),
            filled,
            *(self._plain(one.cell) for one in behind),
        ]

    def _text(self, name: str) -> NotebookNode:
        """Return a written answer's cell: with the text in it and right below it, or with what may be the answer."""
        filled = nbformat.from_dict(self.known[name])
        given = [one for one in self.own[name] if one.answers and one.cell.source.strip()]
        if given:
            parts = [one for one in self.own[name] if one in given or not one.is_code]
            if len(parts) > 1:
                self.remarks.append(f"written answer {name} was put together from {len(parts)} cells")
        else:
            section = self._section(name)
            parts = [one for place in section for one in self.own[place] if not one.is_code and one.cell.source.strip()]
            parts += [_Own(cell) for place in section for cell in self._added_texts(place)]
            parts = parts or [_quoted(one) for place in section for one in self.own[place] if one.is_code]
            # Better a text too many for who marks than an answer that nobody reads.
            parts = parts or [one for some in self.own.values() for one in some if not one.is_code and not one.answers]
            if parts:
                self.remarks.append(f"written answer {name} may stand in other cells: these are in written.csv")
        if not parts:
            if name in self.missing and self.handed_in:
                filled.source = NO_CELL
                self.remarks.append(f"written answer {name}: its cell is not in the file")
            elif any(one.answers for one in self.own[name]):
                filled.source = ""
            return filled
        for place in self._section(name):
            self.own[place] = [one for one in self.own[place] if one not in parts]
        self.own[name].append(_Own(parts[0].cell, answers=True))
        joined, lost = pictures.text_cell([one.cell for one in parts])
        self._count_lost(lost)
        filled.source = joined.source
        if "attachments" in joined:
            filled["attachments"] = joined["attachments"]
        return filled

    def _section(self, name: str) -> list[str]:
        """Return the ids of the question's cells: from the heading before the answer to the next one."""
        section: list[str] = []
        for place, cell in self.known.items():
            if cell.cell_type == "markdown" and cell.source.startswith("#") and not is_solution(cell):
                if name in section:
                    break
                section = []
            section.append(place)
        return section

    def _added_texts(self, place: str) -> list[NotebookNode]:
        """Return what the student added to a text of the release."""
        if self.known[place].cell_type != "markdown":
            return []
        there = set(_normal(self.known[place].source).splitlines())
        added = [nbformat.from_dict(cell) for cell in self.changed.get(place, [])]
        for cell in added:
            cell.source = "\n".join(line for line in _normal(cell.source).splitlines() if line not in there)
        return [cell for cell in added if cell.source.strip()]

    def _plain(self, cell: NotebookNode, code: bool = False) -> NotebookNode:
        """Return a cell with the source of a student's own cell and its pictures, and nothing else of it."""
        if cell.cell_type == "code" or code:
            return nbformat.v4.new_code_cell(cell.source)
        plain, lost = pictures.text_cell([cell])
        self._count_lost(lost)
        return plain

    def _count_lost(self, lost: int) -> None:
        if lost:
            self.remarks.append("a picture that the text shows is not in the file, or of a kind that can't be shown")


def _normal(source: str) -> str:
    """Return a source as it is compared: programs change line ends, spaces there, and how accents are stored."""
    return "\n".join(line.rstrip() for line in unicodedata.normalize("NFC", source).strip().splitlines())


def _statements(source: str) -> list[ast.stmt] | None:
    """Return the statements of some code; None if it is not Python."""
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _parses(source: str) -> bool:
    return _statements(source) is not None


def _defined(statement: ast.stmt) -> set[str]:
    """Return the names that a statement at the outermost level defines."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {(one.asname or one.name).partition(".")[0] for one in names}
        case ast.Assign(targets=targets):
            return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
    return set()


def _names(source: str) -> set[str]:
    """Return the names that some code defines."""
    return {name for statement in _statements(source) or [] for name in _defined(statement)}


def _added_code(released: str, source: str) -> str:
    """Return what a student added to a cell of the release: the statements that define other names."""
    there = _names(released)
    added = [one for one in _statements(source) or [] if _defined(one) and not _defined(one) & there]
    return "\n".join(map(ast.unparse, added))


def _quoted(one: _Own) -> _Own:
    """Return code as a text, for an answer that was written into a code cell."""
    return _Own(nbformat.v4.new_markdown_cell(f"```python\n{one.cell.source}\n```"))
