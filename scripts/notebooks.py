"""Run the course's notebooks from the command line.

    notebooks.py run [NAME ...]                          executed copies, HTML pages and a table in build/
    notebooks.py refresh [NAME ...]                      the notebooks themselves, with new outputs
    notebooks.py claims [NAME ...] --seeds 1 2 3 [--dataset mnist]          how often each claim holds

NAME is the start of a notebook's name, such as 01; none named means all. `make run`, `make notebooks` and
`make claims` call this.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
import zmq
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from traitlets import default

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build"
CELL_TIMEOUT = 600  # seconds for one cell
SAMPLING = 0.05  # seconds between two looks at the kernel's memory
HELD, BROKEN = "✓ ", "✗ "  # what vae_utils.claim prints before a sentence
NOT_HERE = "Does not hold here: "
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
COURSE_VARIABLES = ("VAE_SEED", "VAE_DATASET", "VAE_STRICT")


class UnknownNotebookError(ValueError):
    """No notebook has a name that starts this way."""


@dataclass(frozen=True)
class Claim:
    """A sentence that a cell printed with its verdict; `cell` is the number in its brackets and `place`
    counts its claims from 0."""

    cell: int
    place: int
    sentence: str
    holds: bool


@dataclass(frozen=True)
class Execution:
    """One run of a notebook: what it looks like afterwards, the wall-clock seconds, the peak memory in MB of
    its kernel and the kernel's children, and what stopped it, in one line (None: nothing)."""

    path: Path
    notebook: NotebookNode
    seconds: float
    peak_mb: float
    error: str | None

    @property
    def claims(self) -> list[Claim]:
        """The claims that the cells printed, in order."""
        return [claim for cell in self.notebook.cells for claim in claims_of(cell)]


class ThisPython(KernelSpecManager):
    """Knows one kernel, python3: the Python that runs this, whatever else the machine has by that name."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(**get_kernel_dict())


class ThisPythonKernel(AsyncKernelManager):
    """A kernel of the Python that runs this."""

    @default("kernel_spec_manager")
    def _this_python(self) -> ThisPython:
        return ThisPython(parent=self)

    @default("transport_encryption")
    def _encrypt(self) -> str:
        return "auto" if zmq.has("curve") else "disabled"  # unencrypted, the kernel warns each time it starts


class PeakMemory(threading.Thread):
    """Watches a process and its children until stopped; `mb` is the most resident memory seen at once."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.stopped = threading.Event()
        self.mb = 0.0

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                family = [self.process, *self.process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            self.mb = max(self.mb, sum(map(resident_bytes, family)) / 1e6)
            self.stopped.wait(SAMPLING)


def resident_bytes(process: psutil.Process) -> int:
    """Resident memory of a process, 0 once it is gone."""
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def select(names: Sequence[str], folder: Path = NOTEBOOKS) -> list[Path]:
    """The notebooks of `folder` whose names start with one of `names`, in order; all of them for no names.

    Raises UnknownNotebookError for a name that fits none.
    """
    notebooks = sorted(folder.glob("[0-9]*.ipynb"))
    for name in names:
        if not any(path.name.startswith(name) for path in notebooks):
            known = ", ".join(path.stem for path in notebooks) or "none yet"
            raise UnknownNotebookError(f"No notebook's name starts with {name!r}; there are: {known}.")
    return [path for path in notebooks if not names or path.name.startswith(tuple(names))]


def execute(
    path: Path, variables: dict[str, str] | None = None, progress: Callable[[int, int], None] | None = None
) -> Execution:
    """Run a notebook top to bottom in a new kernel, in its own folder; the file stays as it is.

    `variables` are the VAE_SEED, VAE_DATASET and VAE_STRICT that the notebook sees; it does not see those of
    this process. `progress` is called before each code cell with its number from 1 and the number of code
    cells. A cell that fails, a kernel that dies and a cell that takes longer than CELL_TIMEOUT end the run;
    the result's `error` tells.
    """
    notebook = nbformat.read(path, as_version=4)
    strip(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    current = 0
    memory: PeakMemory | None = None

    def watch(**_: object) -> None:
        nonlocal memory
        memory = PeakMemory(client.km.provisioner.pid)
        memory.start()

    def on_cell(**_: object) -> None:
        nonlocal current
        current += 1
        if progress:
            progress(current, len(cells))

    client = NotebookClient(
        notebook,
        kernel_name="python3",
        kernel_manager_class=ThisPythonKernel,
        timeout=CELL_TIMEOUT,
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
        on_notebook_start=watch,
        on_cell_execute=on_cell,
    )
    # A backend chosen for scripts would turn the notebook's figures off.
    environment = {k: v for k, v in os.environ.items() if k not in (*COURSE_VARIABLES, "MPLBACKEND")}
    environment["VAE_PROGRESS"] = "0"  # a progress bar is of no use in a stored notebook
    error = None
    started = time.perf_counter()
    try:
        client.execute(env=environment | (variables or {}))
    except CellExecutionError as failure:
        error = f"cell [{current}]: {failure.ename}: {failure.evalue}".splitlines()[0]
    except CellTimeoutError:
        error = f"cell [{current}]: took longer than {CELL_TIMEOUT} seconds"
    except DeadKernelError:
        error = f"cell [{current}]: the kernel died (out of memory?)"
    finally:
        seconds = time.perf_counter() - started
        if memory:
            memory.stopped.set()
            memory.join()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = without_widgets(merge_streams(cell.outputs))
    return Execution(path, notebook, seconds, memory.mb if memory else 0.0, error)


def strip(notebook: NotebookNode) -> None:
    """Take away, in place, what a run leaves in a notebook: outputs, counts, time stamps and widget state."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for stamp in ("execution", "ExecuteTime"):
            cell.metadata.pop(stamp, None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Neighboring pieces of one stream as one output: how a kernel cuts its text depends on the moment."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last and last.output_type == output.output_type == "stream" and last.name == output.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def without_widgets(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs without their widgets, which no file can bring back: what else an output holds (a static figure as
    HTML) is then what is shown. One that holds nothing else is left out."""
    kept = []
    for output in outputs:
        was_widget = output.get("data", {}).pop(WIDGET_VIEW, None) is not None
        if not was_widget or "text/html" in output.data:
            kept.append(output)
    return kept


def claims_of(cell: NotebookNode) -> Iterator[Claim]:
    """The claims that a cell printed."""
    streams = [output for output in cell.get("outputs", []) if output.get("name") == "stdout"]
    lines = [line for output in streams for line in output.text.splitlines()]
    marked = [line for line in lines if line.startswith((HELD, BROKEN))]
    for place, line in enumerate(marked):
        sentence = line[len(HELD) :].removeprefix(NOT_HERE)
        yield Claim(cell.execution_count, place, sentence, line.startswith(HELD))


def write_atomically(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook so that `path` holds either the old one or the whole new one."""
    beside = path.with_name(f".{path.name}.new")
    try:
        nbformat.write(notebook, beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def page(execution: Execution) -> str:
    """The run as one HTML page. Style and pictures are inside; only formulas need the network, for MathJax,
    and read as LaTeX without it."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(embed_images=True, require_js_url="", jquery_url="")
    resources = {"metadata": {"name": execution.path.stem, "path": str(execution.path.parent)}}
    return exporter.from_notebook_node(execution.notebook, resources=resources)[0]


def table(executions: Sequence[Execution]) -> str:
    """Time, memory and claims of each run, one line each."""
    width = max([len("notebook"), *(len(execution.path.stem) for execution in executions)])
    lines = [f"{'notebook':{width}}  seconds  peak MB  claims held"]
    for execution in executions:
        held = f"{sum(claim.holds for claim in execution.claims)} of {len(execution.claims)}"
        failure = f"  failed in {execution.error}" if execution.error else ""
        cost = f"{execution.seconds:7.1f}  {execution.peak_mb:7.0f}"
        lines.append(f"{execution.path.stem:{width}}  {cost}  {held}{failure}")
    return "\n".join(lines) + "\n"


def with_progress(path: Path, variables: dict[str, str], label: str = "") -> Execution:
    """`execute`, saying on the terminal where it is."""
    name = f"{path.stem}{label}"
    live = sys.stdout.isatty()
    if not live:
        print(f"{name} ...", flush=True)

    def tell(cell: int, cells: int) -> None:
        if live:
            print(f"\r{name}: cell {cell} of {cells}\x1b[K", end="", flush=True)

    execution = execute(path, variables, tell)
    end = f"failed in {execution.error}" if execution.error else f"{execution.seconds:.0f} s"
    start = "\r\x1b[K" if live else ""
    print(f"{start}{name}: {end}", flush=True)
    return execution


def run(paths: Sequence[Path]) -> int:
    """Leave each notebook's executed copy and page, and the table, in build/; return 1 if one failed, else
    0."""
    BUILD.mkdir(exist_ok=True)
    ours = {name: os.environ[name] for name in COURSE_VARIABLES if name in os.environ}
    executions = []
    for path in paths:
        execution = with_progress(path, ours)
        nbformat.write(execution.notebook, BUILD / path.name)
        (BUILD / path.with_suffix(".html").name).write_text(page(execution), encoding="utf-8")
        executions.append(execution)
    text = table(executions)
    (BUILD / "table.txt").write_text(text, encoding="utf-8")
    print(f"\n{text}\nThe executed notebooks and their HTML pages are in build/.")
    return int(any(execution.error for execution in executions))


def refresh(paths: Sequence[Path]) -> int:
    """Store new outputs in each notebook, with the defaults that it names itself and every claim checked; one
    that fails stays as it was. Return 1 if one failed, else 0."""
    failures = 0
    for path in paths:
        execution = with_progress(path, {"VAE_STRICT": "1"})
        if execution.error:
            failures += 1
            continue
        execution.notebook.metadata.kernelspec = {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        }
        write_atomically(execution.notebook, path)
    return int(failures > 0)


def claims(paths: Sequence[Path], seeds: Sequence[int], dataset: str | None) -> int:
    """Print in how many seeds each claim holds; return 1 if one does not hold in all, or a run failed, else
    0."""
    good = True
    for path in paths:
        runs = {}
        for seed in seeds:
            variables = {"VAE_SEED": str(seed), "VAE_STRICT": "0"}
            if dataset:
                variables["VAE_DATASET"] = dataset
            runs[seed] = with_progress(path, variables, f", seed {seed}")
        text, held = tally(runs)
        print(f"\n{text}")
        good = good and held
    return int(not good)


def tally(runs: dict[int, Execution]) -> tuple[str, bool]:
    """In how many of the runs (seed: run of one notebook) each claim holds, as text, and whether all hold in
    all.

    Claims of two runs are the same claim if they stand at the same place: a sentence may name the figures of
    its run. A claim that a run did not reach did not hold there."""
    found = {seed: {(claim.cell, claim.place): claim for claim in execution.claims} for seed, execution in runs.items()}
    first = next(iter(runs.values()))
    lines = [first.path.stem]
    good = True
    for place in sorted({place for claims_here in found.values() for place in claims_here}):
        here = {seed: claims_here.get(place) for seed, claims_here in found.items()}
        held = sum(claim is not None and claim.holds for claim in here.values())
        sentence = next(claim.sentence for claim in here.values() if claim)
        lines.append(f"  {held} of {len(runs)}  cell [{place[0]}]: {sentence}")
        for seed, claim in here.items():
            if claim is None:
                lines.append(f"          seed {seed}: not reached")
            elif not claim.holds:
                lines.append(f"          seed {seed}: {claim.sentence}")
        good = good and held == len(runs)
    for seed, execution in runs.items():
        if execution.error:
            lines.append(f"  seed {seed} failed in {execution.error}")
            good = False
    if len(lines) == 1:
        lines.append("  makes no claims")
    return "\n".join(lines) + "\n", good


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0 good, 1 something failed, 2 no such notebook."""
    parser = argparse.ArgumentParser(description="Run the course's notebooks.")
    tasks = parser.add_subparsers(dest="task", required=True)
    for task, text in (
        ("run", "leave executed copies, HTML pages and a table in build/"),
        ("refresh", "store new outputs in the notebooks"),
        ("claims", "count in how many seeds each claim holds"),
    ):
        sub = tasks.add_parser(task, help=text)
        sub.add_argument("names", nargs="*", help="starts of notebook names; none: all")
        if task == "claims":
            sub.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
            sub.add_argument("--dataset", help="the data set to use instead of the notebook's own")
    asked = parser.parse_args(arguments)
    if sys.platform == "win32":
        # The kernel's sockets need this kind of loop.
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    try:
        paths = select(asked.names)
        if asked.task == "run":
            return run(paths)
        if asked.task == "refresh":
            return refresh(paths)
        return claims(paths, asked.seeds, asked.dataset)
    except UnknownNotebookError as problem:
        print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
