"""Run the course's notebooks from the command line.

    python -m scripts.notebooks run [NAME ...]           executed copies, HTML pages and a table in build/
    python -m scripts.notebooks refresh [NAME ...]       the notebooks themselves, with new outputs
    python -m scripts.notebooks claims [NAME ...] --seeds 1 2 3 [--dataset mnist] [--steps 4]    how often claims hold

NAME is the start of a notebook's name, such as 01; without a name, all are run. `make run`, `make notebooks` and
`make claims` call this.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
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
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from traitlets import default

from scripts.paths import BUILD, NOTEBOOKS
from vae_utils.files import DataError, write_atomically

CELL_TIMEOUT = 600  # seconds for one cell
SAMPLING = 0.05  # seconds between two readings of the kernel's memory
HELD, BROKEN = "✓ ", "✗ "  # what vae_utils.claim prints before a sentence
NOT_HERE = "Does not hold here: "
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
COURSE_VARIABLES = ("VAE_SEED", "VAE_DATASET", "VAE_STRICT", "VAE_STEPS")
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


class UnknownNotebookError(ValueError):
    """No notebook's name starts this way."""


@dataclass(frozen=True)
class Claim:
    """A sentence that a cell printed, with its verdict.

    `cell` is the cell's execution count, and `place` the claim's number among those of the cell, from 0.
    """

    cell: int
    place: int
    sentence: str
    holds: bool


@dataclass(frozen=True)
class Execution:
    """One run of a notebook.

    `notebook` holds the new outputs, `seconds` is wall-clock time, `peak_mb` the most resident memory of the kernel and
    its children in MB, and `error` one line on what stopped the run (None: nothing).
    """

    path: Path
    notebook: NotebookNode
    seconds: float
    peak_mb: float
    error: str | None

    @property
    def claims(self) -> list[Claim]:
        """The claims that the cells printed, in order."""
        return [claim for cell in self.notebook.cells for claim in claims_of(cell)]


class ThisPythonKernel(AsyncKernelManager):
    """A kernel of the running Python, whatever other kernels this machine has installed as python3."""

    @default("kernel_spec_manager")
    def _no_installed_kernels(self) -> KernelSpecManager:
        return KernelSpecManager(parent=self, kernel_dirs=[])

    @default("transport_encryption")
    def _encrypt_if_possible(self) -> str:
        return "auto" if zmq.has("curve") else "disabled"  # an unencrypted kernel warns each time it starts


class PeakMemory(threading.Thread):
    """Sample the resident memory of a process and its children until stopped; `mb` is the maximum in MB."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.stopped = threading.Event()
        self.mb = 0.0

    def run(self) -> None:
        """Sample until `stopped` is set."""
        while not self.stopped.wait(SAMPLING):
            self.sample()

    def sample(self) -> None:
        """Take one sample."""
        self.mb = max(self.mb, resident_mb(self.pid))


def resident_mb(pid: int) -> float:
    """Return the resident memory in MB of a process and its children; those that have ended count as 0."""
    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += member.memory_info().rss
    return total / 1e6


def select(names: Sequence[str], folder: Path = NOTEBOOKS) -> list[Path]:
    """Return the notebooks of `folder` whose names start with one of `names`, in order; without names, all.

    Raises:
        UnknownNotebookError: A name fits no notebook.
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
    """Run a notebook top to bottom in a new kernel, in its own folder, and leave the file as it is.

    A cell that fails, a kernel that dies and a cell that takes longer than CELL_TIMEOUT end the run; the result's
    `error` names the reason.

    Args:
        path: The notebook.
        variables: VAE_SEED, VAE_DATASET and VAE_STRICT for the notebook, which does not see this process's own.
        progress: Called before each code cell with its number, from 1, and the number of code cells.
    """
    notebook = nbformat.read(path, as_version=4)
    strip(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    current = 0
    memory: PeakMemory | None = None

    def watch(**_: object) -> None:
        nonlocal memory
        kernel = client.km.provisioner if client.km else None
        if isinstance(kernel, LocalProvisioner) and kernel.pid:
            memory = PeakMemory(kernel.pid)
            memory.start()

    def on_cell(**_: object) -> None:
        nonlocal current
        current += 1
        if progress:
            progress(current, len(cells))

    def after_cell(**_: object) -> None:
        if memory:
            memory.sample()  # also on a machine too busy for the thread

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
        on_cell_executed=after_cell,
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
    """Remove, in place, what a run leaves in a notebook: outputs, counts, time stamps and widget state."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for stamp in ("execution", "ExecuteTime"):
            cell.metadata.pop(stamp, None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighboring outputs of the same stream: where a kernel cuts its text depends on the moment."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last and last.output_type == output.output_type == "stream" and last.name == output.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def without_widgets(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Remove widgets, which a file can't store, in favor of an output's static figure in HTML.

    An output without such a figure is left out.
    """
    kept = []
    for output in outputs:
        was_widget = output.get("data", {}).pop(WIDGET_VIEW, None) is not None
        if not was_widget or "text/html" in output.data:
            kept.append(output)
    return kept


def claims_of(cell: NotebookNode) -> Iterator[Claim]:
    """Yield the claims that a cell printed."""
    streams = [output for output in cell.get("outputs", []) if output.get("name") == "stdout"]
    lines = [line for output in streams for line in output.text.splitlines()]
    marked = [line for line in lines if line.startswith((HELD, BROKEN))]
    for place, line in enumerate(marked):
        sentence = line[len(HELD) :].removeprefix(NOT_HERE)
        yield Claim(cell.execution_count, place, sentence, line.startswith(HELD))


def store(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook so that `path` holds either the old one or the whole new one. Raise DataError if it can't be."""
    text = nbformat.writes(notebook) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def page(execution: Execution) -> str:
    """Return the run as one HTML page that holds its style and pictures.

    Only formulas need the network, for MathJax; without it they read as LaTeX.
    """
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(embed_images=True, require_js_url="", jquery_url="")
    resources = {"metadata": {"name": execution.path.stem, "path": str(execution.path.parent)}}
    return exporter.from_notebook_node(execution.notebook, resources=resources)[0]


def table(executions: Sequence[Execution]) -> str:
    """Return seconds, memory and claims of each run, one line per run."""
    width = max([len("notebook"), *(len(execution.path.stem) for execution in executions)])
    lines = [f"{'notebook':{width}}  seconds  peak MB  claims held"]
    for execution in executions:
        held = f"{sum(claim.holds for claim in execution.claims)} of {len(execution.claims)}"
        failure = f"  failed in {execution.error}" if execution.error else ""
        cost = f"{execution.seconds:7.1f}  {execution.peak_mb:7.0f}"
        lines.append(f"{execution.path.stem:{width}}  {cost}  {held}{failure}")
    return "\n".join(lines) + "\n"


def with_progress(path: Path, variables: dict[str, str], label: str = "") -> Execution:
    """Run a notebook by `execute` and report the progress on the terminal."""
    name = f"{path.stem}{label}"
    live = sys.stdout.isatty()
    if not live:
        print(f"{name} ...", flush=True)

    def report(cell: int, cells: int) -> None:
        if live:
            print(f"\r{name}: cell {cell} of {cells}\x1b[K", end="", flush=True)

    execution = execute(path, variables, report)
    end = f"failed in {execution.error}" if execution.error else f"{execution.seconds:.0f} s"
    start = "\r\x1b[K" if live else ""
    print(f"{start}{name}: {end}", flush=True)
    return execution


def run(paths: Sequence[Path]) -> int:
    """Write each notebook's executed copy and page, and the table, to build/; return 1 if one failed, else 0."""
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
    """Store new outputs in each notebook, run with its own defaults and strict claims.

    A notebook that fails stays as it was. Return 1 if one failed, else 0.
    """
    failures = 0
    for path in paths:
        execution = with_progress(path, {"VAE_STRICT": "1"})
        if execution.error:
            failures += 1
            continue
        execution.notebook.metadata.kernelspec = KERNEL
        store(execution.notebook, path)
    return int(failures > 0)


def claims(paths: Sequence[Path], seeds: Sequence[int], dataset: str | None, steps: str = "") -> int:
    """Print in how many seeds each claim holds; return 1 if a claim failed in one or a run failed, else 0."""
    good = True
    for path in paths:
        runs = {}
        for seed in seeds:
            variables = {"VAE_SEED": str(seed), "VAE_STRICT": "0"}
            if dataset:
                variables["VAE_DATASET"] = dataset
            if steps:
                variables["VAE_STEPS"] = steps
            runs[seed] = with_progress(path, variables, f", seed {seed}")
        text, held = tally(runs)
        print(f"\n{text}")
        good = good and held
    return int(not good)


def tally(runs: dict[int, Execution]) -> tuple[str, bool]:
    """Count in how many runs of one notebook, by seed, each claim holds; return text, and whether all hold in all.

    Claims of two runs are the same claim if they stand at the same place: a sentence may name the figures of its run.
    A claim that a run did not reach did not hold there.
    """
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
    """Run the command line; return the exit status: 0 good, 1 something failed, 2 no such notebook."""
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
            sub.add_argument("--steps", default="", help="times the usual training steps")
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
        return claims(paths, asked.seeds, asked.dataset, asked.steps)
    except UnknownNotebookError as problem:
        print(problem, file=sys.stderr)
        return 2
    except DataError as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
