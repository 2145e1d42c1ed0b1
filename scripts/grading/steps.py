"""The three steps of ours in nbgrader's autograding: put a submission in order, run it within limits, judge it."""

from __future__ import annotations

import ast
import contextlib
import itertools
import json
import os
import re
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from nbgrader.preprocessors import Execute, NbGraderPreprocessor
from nbgrader.utils import is_grade, is_solution
from traitlets import Float, Integer, Unicode

from vae_utils.exercises.verdict import Shown

from .course import Course, split
from .kernel.observer import MIME
from .question import Verdict, judge, read

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

KERNEL = Path(__file__).resolve().parent / "kernel"
# Of the instructor's environment the student's code sees these; passwords and tokens stay outside.
PASSED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "TEMP",
    "TMP",
    "TMPDIR",
    "VAE_DATA",
    "LD_LIBRARY_PATH",
)
MB = 2**20
HIDDEN = re.compile(r"^### BEGIN HIDDEN TESTS\n.*?^### END HIDDEN TESTS\n?", re.DOTALL | re.MULTILINE)
# Words that an answer has no need of: a person should look at code with one of them.
SUSPECT = re.compile(r"\b(assignments|grading|observer|VAE_PROBES|ast_transformers|sys\.modules|subprocess|socket)\b")


@dataclass
class Log:
    """What happened to a submission, for the report: remarks, and the verdict on each test."""

    remarks: list[str] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)


LOGS: dict[tuple[str, str], Log] = defaultdict(Log)  # by student and assignment


def log_of(resources: dict[str, Any]) -> Log:
    """The log of the submission that is being worked on."""
    return LOGS[resources["nbgrader"]["student"], resources["nbgrader"]["assignment"]]


class RebuildSubmission(NbGraderPreprocessor):
    """The released notebook with the student's answers in it, and the student's own cells where they were.

    So deleted, doubled, moved and rewritten cells can't change what is tested, and every test cell is there once.
    """

    course = Unicode(help="folder of the course").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        log = log_of(resources)
        assignment = resources["nbgrader"]["assignment"]
        release = nbformat.read(Course.at(self.course).release(assignment), as_version=4)
        rebuilt, remarks = rebuild(release, nb)
        log.remarks += remarks
        return rebuilt, resources


def rebuild(release: NotebookNode, submitted: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """The release with the submission's answers and additional cells, and remarks on what was not in order."""
    remarks: list[str] = []
    known = {cell.metadata.nbgrader.grade_id: cell for cell in release.cells}
    answers: dict[str, list[NotebookNode]] = defaultdict(list)
    extras: dict[str | None, list[NotebookNode]] = defaultdict(list)
    seen: dict[str, int] = defaultdict(int)
    rewritten: list[str] = []
    anchor: str | None = None
    for cell in submitted.cells:
        name = _id(cell)
        if name in known:
            seen[name] += 1
            anchor = name
            if is_solution(known[name]):
                answers[name].append(cell)
            elif cell.source.strip() != known[name].source.strip():
                rewritten.append(name)
        elif cell.source.strip():
            extras[anchor].append(cell)
    missing = [name for name in known if not seen[name]]
    _find_by_function(known, missing, extras, answers, remarks)
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
    remarks: list[str],
) -> None:
    """Look for the answers of missing cells among the others, by the functions they define: some tools drop ids."""
    for name in missing:
        wanted = _functions(known[name].source) if is_solution(known[name]) else set()
        for cells in extras.values():
            for cell in [cell for cell in cells if wanted and wanted <= _functions(cell.source)]:
                answers[name].append(cell)
                cells.remove(cell)
        if name in answers:
            remarks.append(f"answer {name} had lost its mark, and was found by its function's name")


def _functions(source: str) -> set[str]:
    with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        return {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    return set()


def _id(cell: NotebookNode) -> str | None:
    mark = cell.metadata.get("nbgrader")
    name = mark.get("grade_id") if isinstance(mark, dict) else None
    return name if isinstance(name, str) else None


def _plain(cell: NotebookNode) -> NotebookNode:
    """A student's own cell: its source, nothing else."""
    if cell.cell_type == "code":
        return nbformat.v4.new_code_cell(cell.source)
    return nbformat.v4.new_markdown_cell(cell.source)


class RunLimited(Execute):
    """Run a notebook; whatever its code does, end in time, within the memory, and with a notebook to judge.

    Cells whose id begins with "look" only show something to the student, and are passed over.
    """

    course = Unicode(help="folder of the course").tag(config=True)
    seconds = Float(120, help="for the whole notebook").tag(config=True)
    memory = Integer(3000, help="MB for the student's program").tag(config=True)
    most_output = Integer(100_000, help="characters of a cell's output that are kept").tag(config=True)
    timeout = Integer(30, help="seconds for one cell").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        self.record, self.stopped, self._timeouts = log_of(resources), "", 0
        self._length: dict[int, int] = defaultdict(int)
        self.shutdown_kernel = "immediate"
        # Deeper levels of nbclient read the attributes anew from the configuration; these are per run.
        self._deadline = time.monotonic() + self.seconds
        assignment = resources["nbgrader"]["assignment"]
        with tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as home:
            self._environment = self._environ(Path(home), assignment)
            watch = Watch(self.memory)
            self._watch = watch
            try:
                nb, resources = super().preprocess(nb, resources)
            except DeadKernelError:
                self._stop("the program ended itself")
            finally:
                watch.end()
        if watch.reason:
            self.stopped = watch.reason
        if self.stopped:
            self.record.remarks.append(self.stopped)
        return nb, resources

    def _environ(self, home: Path, assignment: str) -> dict[str, str]:
        passed = {name: os.environ[name] for name in PASSED if name in os.environ}
        return passed | {
            "HOME": str(home),
            "USERPROFILE": str(home),
            "IPYTHONDIR": str(home / "ipython"),
            "MPLCONFIGDIR": str(home / "matplotlib"),
            "MPLBACKEND": "Agg",
            "PYTHONPATH": str(KERNEL),
            "VAE_PROBES": str(Course.at(self.course).probes(assignment)),
            "VAE_PROGRESS": "0",
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            "NBGRADER_EXECUTION": "autograde",
        }

    def start_new_kernel(self, **kwargs: Any) -> None:
        kwargs |= {"env": self._environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        super().start_new_kernel(**kwargs)
        self._watch.start(self.km.provisioner.pid)

    def preprocess_cell(self, cell: NotebookNode, resources: dict[str, Any], index: int) -> tuple[NotebookNode, Any]:
        if cell.cell_type != "code" or self.stopped or (_id(cell) or "").startswith("look"):
            return cell, resources
        left = self._deadline - time.monotonic()
        if left < 1:
            self._stop(f"stopped after {self.seconds:.0f} seconds")
            return cell, resources
        self.timeout_func = lambda _: max(1, int(min(self.timeout, left)))
        try:
            cell, resources = super().preprocess_cell(cell, resources, index)
        except DeadKernelError:
            self._stop(self._watch.reason or "the program ended itself")
        except Exception as error:  # a kernel that can't be talked to any more
            self._stop(f"the program could not be run any further ({type(error).__name__})")
        if any(out.output_type == "error" and out.ename == "CellTimeoutError" for out in cell.outputs):
            self._timeouts += 1
            self.record.remarks.append(f"a cell ran longer than {self.timeout} seconds and was interrupted")
            if self._timeouts > 1:
                self._stop("stopped: cells go on running after they were interrupted")
        return cell, resources

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        if msg["msg_type"] in ("stream", "display_data", "execute_result", "error"):
            content = msg["content"]
            size = len(content["text"]) if "text" in content else len(json.dumps(content.get("data", "")))
            before = self._length[cell_index]
            if MIME not in content.get("data", {}):
                self._length[cell_index] += size
            if self._length[cell_index] > self.most_output:
                if before <= self.most_output:
                    self.record.remarks.append("a cell printed too much; the rest was dropped")
                    text = content.get("text", "")[: self.most_output - before]
                    msg["content"] = {"name": "stdout", "text": text + "\n[too much output; the rest was dropped]\n"}
                    msg["msg_type"] = msg["header"]["msg_type"] = "stream"
                    return super().process_message(msg, cell, cell_index)
                return None
        return super().process_message(msg, cell, cell_index)

    def _stop(self, why: str) -> None:
        self.stopped = self.stopped or why
        self._watch.kill()


class Watch:
    """Holds a program to its memory, and ends it with all it has started."""

    def __init__(self, megabytes: int):
        self.megabytes, self.reason, self.pid = megabytes, "", 0
        self._done = threading.Event()
        self._family: dict[int, psutil.Process] = {}
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self, pid: int) -> None:
        """Set what the system itself can limit (on Linux), and look after the rest."""
        self.pid = pid
        if resource and hasattr(resource, "prlimit"):
            # Not the address space: PyTorch maps 3 GB of libraries that it never touches.
            most = self.megabytes * MB
            for what, limit in (
                (resource.RLIMIT_DATA, most),
                (resource.RLIMIT_FSIZE, 200 * MB),
                (resource.RLIMIT_CORE, 0),
            ):
                with contextlib.suppress(OSError, ValueError):
                    resource.prlimit(pid, what, (limit, limit))
        self._thread.start()

    def _look(self) -> None:
        while not self._done.wait(0.05):
            total = 0
            for process in self._members():
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
            if total > self.megabytes * MB * 1.2:
                self.reason = f"stopped: it used more than {self.megabytes} MB of memory"
                self.kill()
                return

    def _members(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            kernel = psutil.Process(self.pid)
            for process in [kernel, *kernel.children(recursive=True)]:
                self._family[process.pid] = process
        return [process for process in self._family.values() if process.is_running()]

    def kill(self) -> None:
        """End the program and what it has started."""
        for process in self._members() if self.pid else []:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def end(self) -> None:
        """Stop looking; nothing of the program stays behind."""
        self._done.set()
        self.kill()


class JudgeAnswers(NbGraderPreprocessor):
    """Put the verdict on each test in the place of its output. The points come from here, not from the kernel."""

    course = Unicode(help="folder of the course").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        log, course = log_of(resources), Course.at(self.course)
        questions = course.questions(resources["nbgrader"]["assignment"])
        cells = {cell.metadata.nbgrader.grade_id: cell for cell in nb.cells if _is_test(cell)}
        reports: dict[str, dict[str, Any]] = defaultdict(dict)
        for test, cell in cells.items():
            name, part = split(test)
            with contextlib.suppress(ValueError, TypeError):
                reports[name][part] = read(_report(cell), questions[name].parts[part])
        for test, cell in cells.items():
            name, part = split(test)
            if part in reports[name]:
                verdict = judge(questions[name], part, reports[name])
            else:
                verdict = Verdict(False, _why_nothing(cell), attempted=False)
            if verdict.mistake and verdict.mistake in (
                log.verdicts[one].mistake for one in log.verdicts if split(one)[0] == name
            ):
                verdict = replace(verdict, text="The same mistake as above.")
            log.verdicts[test] = verdict
            cell.source = HIDDEN.sub("", cell.source)  # the page shows what the student knows
            cell.outputs = [_output(verdict, float(cell.metadata.nbgrader.points), questions[name].parts[part].about)]
        for cell in nb.cells:
            if cell.cell_type == "code" and not _is_test(cell):
                cell.outputs = [harmless for output in cell.outputs for harmless in _harmless(output)]
        return nb, resources


class EscapeMarkup(NbGraderPreprocessor):
    """For the feedback page: markup in what students wrote is shown, not obeyed, so that no page runs their scripts."""

    def preprocess_cell(self, cell: NotebookNode, resources: dict[str, Any], index: int) -> tuple[NotebookNode, Any]:
        if cell.cell_type == "markdown" and not cell.metadata.get("nbgrader", {}).get("locked", False):
            cell.source = re.sub(r"<(?=[a-zA-Z/!?])", "&lt;", cell.source)
        return cell, resources


def _is_test(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and is_grade(cell) and not is_solution(cell)


def _report(cell: NotebookNode) -> Any:
    for output in cell.outputs:
        if output.output_type == "display_data" and MIME in output.data:
            return output.data[MIME]
    raise ValueError("no report")


def _why_nothing(cell: NotebookNode) -> str:
    for output in cell.outputs:
        if output.output_type == "error":
            if output.ename == "CellTimeoutError":
                return "The cell ran too long, and was stopped."
            if output.ename == "NotImplementedError":
                return "Not attempted."
            said = f"    {output.ename}: {output.evalue}"[:500]
            return f"The cell stopped before your answer could be looked at:\n\n{said}"
    return "This cell was not run: the notebook had been stopped before."


def _output(verdict: Verdict, points: float, about: str) -> NotebookNode:
    """The verdict for the eye, and as `text/plain` the points for nbgrader."""
    earned = points if verdict.right else 0.0
    sign, color = ("✓", "#009E73") if verdict.right else ("✗", "#D55E00") if verdict.attempted else ("○", "#56B4E9")
    title = f"{sign} {earned:g} of {points:g} point{'s' * (points != 1)}"
    if verdict.mistake:
        title += f": {verdict.mistake}"
    text = verdict.text if verdict.right or not about else f"{about}\n\n{verdict.text}"
    html = Shown(title, text, color)._repr_html_()
    return nbformat.v4.new_output(
        "execute_result", {"text/html": html, "text/plain": f"{earned}"}, execution_count=None
    )


def _harmless(output: NotebookNode) -> Iterator[NotebookNode]:
    """A student's output without what a page could run: text and pixels stay."""
    if "data" in output:
        output.data = {kind: value for kind, value in output.data.items() if kind in ("text/plain", "image/png")}
        if not re.fullmatch(r"[A-Za-z0-9+/=\s]*", str(output.data.get("image/png", ""))):
            del output.data["image/png"]
        output.metadata = {}
        if not output.data:
            return
    yield output
