"""Grade many submissions at once: over the cores of this machine, or over a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import psutil

from .alone import Graded, Limits, Outcome, grade_alone
from .course import CourseError
from .intake import Submission

MB = 2**20


def fitting(memory: int) -> int:
    """Return how many submissions fit this machine at once: one a core, each with so many MB of memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(psutil.virtual_memory().available / (memory * MB))))


def grade_all(
    course: bytes, submissions: Sequence[Submission], limits: Limits, jobs: int = 1, cluster: str = ""
) -> Iterator[Graded]:
    """Grade submissions, and yield each as soon as it is done; no submission keeps another from being graded.

    Args:
        course: As `alone.packed` returns it.
        submissions: What to grade.
        limits: For each submission.
        jobs: How many at once; 1 grades in this process.
        cluster: The address of a Dask scheduler, whose workers then grade; each needs this checkout, installed.

    Raises:
        CourseError: The cluster can't be reached.
    """
    if jobs == 1 and not cluster:
        yield from (grade_alone(course, submission, limits) for submission in submissions)
        return
    lost: list[Submission] = []
    with _executor(jobs, cluster) as executor:
        futures = {executor.submit(grade_alone, course, submission, limits): submission for submission in submissions}
        for future in as_completed(futures):
            graded = _result(future)
            if graded is None:
                lost.append(futures[future])
            else:
                yield graded
    for submission in lost:  # a process ended, and all that waited for one with it: each gets one of its own
        with _executor(1, "") as executor:
            graded = _result(executor.submit(grade_alone, course, submission, limits))
        yield graded or Graded(
            Outcome(
                *submission.key,
                submission.file,
                submission.digest,
                "not graded",
                ["the program that graded it was ended, twice", *submission.remarks],
            )
        )


def _result(future: Future[Graded]) -> Graded | None:
    """Return what a process has sent; None if it ended before."""
    try:
        return future.result()
    except BrokenProcessPool:
        return None
    except Exception as error:
        if type(error).__name__ == "KilledWorker":  # of Dask
            return None
        raise


def _quiet() -> None:
    """Leave nbgrader's warnings about its database out; there is nothing to act on."""
    warnings.filterwarnings("ignore", module="nbgrader")


@contextmanager
def _executor(jobs: int, cluster: str) -> Iterator[Executor]:
    if not cluster:
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _quiet) as executor:
            yield executor
        return
    try:
        from distributed import Client
    except ImportError:
        raise CourseError("CLUSTER needs the package `distributed`: install it in .venv, here and there.") from None
    try:
        client = Client(cluster, timeout=10)
    except (OSError, ValueError) as error:
        raise CourseError(f"There is no Dask scheduler at {cluster}: {error}") from error
    with client, client.get_executor(pure=False, retries=0) as executor:
        yield executor
