"""Run a submission within limits of time, memory and output."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import psutil
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from nbgrader.preprocessors import Execute
from traitlets import Float, Integer, Unicode

from .cells import grade_id
from .course import Course
from .kernel.observer import MIME
from .submission_log import Resources, log_of

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


class RunLimited(Execute):
    """Run a notebook; whatever its code does, end in time, within the memory, and with a notebook to judge.

    Cells whose id begins with "look" only show something to the student, and are passed over.
    """

    course = Unicode(help="folder of the course").tag(config=True)
    seconds = Float(120, help="for the whole notebook").tag(config=True)
    memory = Integer(3000, help="MB for the student's program").tag(config=True)
    most_output = Integer(100_000, help="characters of a cell's output that are kept").tag(config=True)
    timeout = Integer(30, help="seconds for one cell").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Run the notebook in a kernel of its own, and log why it was stopped, if it was."""
        self.record, self.stopped, self._timeouts = log_of(resources), "", 0
        self._length: dict[int, int] = defaultdict(int)
        self.shutdown_kernel = "immediate"
        # Deeper levels of nbclient read the attributes again from the configuration; these are per run.
        self._deadline = time.monotonic() + self.seconds
        assignment = resources["nbgrader"]["assignment"]
        with tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as home:
            self._environment = self._environ(Path(home), assignment)
            self._watch = Watch(self.memory)
            try:
                nb, resources = super().preprocess(nb, resources)
            except DeadKernelError:
                self._stop("the program ended itself")
            finally:
                self._watch.end()
        if self._watch.reason:
            self.stopped = self._watch.reason
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
        """Start the kernel in its environment, and watch it."""
        kwargs |= {"env": self._environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        super().start_new_kernel(**kwargs)
        self._watch.start(self.km.provisioner.pid)

    def preprocess_cell(self, cell: NotebookNode, resources: Resources, index: int) -> tuple[NotebookNode, Resources]:
        """Run one cell, unless the notebook was stopped before."""
        if cell.cell_type != "code" or self.stopped or (grade_id(cell) or "").startswith("look"):
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
        """Keep a cell's output up to `most_output` characters; the observations don't count."""
        if msg["msg_type"] in ("stream", "display_data", "execute_result", "error"):
            content = msg["content"]
            size = len(content["text"]) if "text" in content else len(json.dumps(content.get("data", "")))
            before = self._length[cell_index]
            if MIME not in content.get("data", {}):
                self._length[cell_index] += size
            if self._length[cell_index] > self.most_output:
                if before > self.most_output:
                    return None
                self.record.remarks.append("a cell printed too much; the rest was dropped")
                text = content.get("text", "")[: self.most_output - before]
                msg["content"] = {"name": "stdout", "text": text + "\n[too much output; the rest was dropped]\n"}
                msg["msg_type"] = msg["header"]["msg_type"] = "stream"
        return super().process_message(msg, cell, cell_index)

    def _stop(self, why: str) -> None:
        self.stopped = self.stopped or why
        self._watch.kill()


class Watch:
    """Hold a program to its memory, and end it with all it has started.

    Attributes:
        reason: Why the program was ended; '' if it was not.
    """

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
        """Stop looking, and leave nothing of the program running."""
        self._done.set()
        self.kill()
