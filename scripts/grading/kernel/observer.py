"""Observe a student's function inside the student's kernel: run it on a test's probes, and report what came out.

Here is no answer and no verdict: the grading process, which the student's code does not share, judges the report.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

MIME = "application/x-vae-observations+json"
SECONDS = 5  # for one call of a student's function
MOST_NUMBERS = 200_000  # in one result
DTYPES: dict[str, tuple[torch.dtype, type[np.generic]]] = {
    "float64": (torch.float64, np.float64),
    "float32": (torch.float32, np.float32),
    "int64": (torch.int64, np.int64),
    "bool": (torch.bool, np.bool_),
}

SLOW: set[str] = set()  # names of functions that took longer than SECONDS, once


class TooSlow(RuntimeError):
    """A student's function took longer than SECONDS."""


class Observed(Exception):
    """Raised to end a test cell when its report is out: what follows in the cell is for the student's eyes."""

    def _render_traceback_(self) -> list[str]:
        """Show nothing; IPython asks for this."""
        return []


def encode(value: Any) -> Any:
    """Encode a value for JSON: tensors, numbers, None, tuples of them; anything else by its type's name."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        name = str(value.dtype).removeprefix("torch.")
        if value.is_complex() or value.numel() > MOST_NUMBERS or value.layout != torch.strided:
            return {"other": f"a tensor of shape {tuple(value.shape)}, {name}"}
        if name not in DTYPES:  # half precision, other integers
            name = "float32" if value.is_floating_point() else "int64"
        raw = value.to(DTYPES[name][0]).contiguous().numpy().tobytes()
        return {"tensor": base64.b64encode(raw).decode(), "dtype": name, "shape": list(value.shape)}
    if value is None or isinstance(value, bool):
        return {"plain": value}
    if isinstance(value, int | float | np.integer | np.floating):
        return {"plain": value.item() if isinstance(value, np.generic) else value}
    if isinstance(value, tuple | list) and len(value) <= 16:
        return {"tuple": [encode(one) for one in value]}
    return {"other": f"a {type(value).__name__}"}


class Other:
    """Stand for a value that is no tensor and no number: a student returned it, and only its kind is known."""

    def __init__(self, what: str):
        self.what = what

    def __repr__(self) -> str:
        return self.what


def decode(coded: Any) -> Any:
    """Decode what `encode` returned; of a value without numbers only its kind is known, as `Other`.

    Raises:
        ValueError: It is something else: a report comes from untrusted code.
    """
    match coded:
        case {"tensor": str(raw), "dtype": str(name), "shape": list(shape)} if name in DTYPES:
            if not all(type(size) is int and 0 <= size <= MOST_NUMBERS for size in shape) or len(shape) > 8:
                raise ValueError("no shape of a tensor")
            values = np.frombuffer(base64.b64decode(raw, validate=True), dtype=DTYPES[name][1]).copy()
            return torch.from_numpy(values).reshape(shape)
        case {"plain": None | bool() | int() | float() as value}:
            return value
        case {"tuple": list(values)} if len(values) <= 16:
            return tuple(decode(one) for one in values)
        case {"other": str(what)}:
            return Other(what[:200])
    raise ValueError("no encoded value")


@contextlib.contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Raise TooSlow in the block after that time, if the system has alarms (not on Windows)."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: object) -> None:
        raise TooSlow(f"it took longer than {seconds} seconds, and was stopped")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@cache
def _probes() -> dict[str, Any]:
    with open(os.environ["VAE_PROBES"], encoding="utf-8") as file:
        return json.load(file)


def observe(test: str, function: Callable[..., Any]) -> None:
    """Run a function on the probes of this test, "QUESTION-PART", and put the report into the cell's output.

    Raises:
        Observed: Always, at the end.
    """
    from IPython.display import display

    display({MIME: report(function, _probes()[test])}, raw=True)
    raise Observed


def report(function: Callable[..., Any], test: dict[str, Any]) -> list[dict[str, Any]]:
    """Return for each probe what the function returned, and the gradients asked for; or why there is nothing.

    Args:
        function: The student's.
        test: The test's entry in the file of probes (see `question.probes_of`).
    """
    from vae_utils.exercises.attempt import Attempt, Stopped, complaint, guard, is_stub, seed
    from vae_utils.exercises.exercise import Probe
    from vae_utils.exercises.values import observe

    name, parameters = test["name"], tuple(test["parameters"])
    if parameters and (wrong := complaint(function, name, parameters, len(parameters))):
        return [{"stopped": wrong}]
    if parameters and is_stub(function):
        return [{"stub": True}]
    if name in SLOW:
        return [{"stopped": f"Your function took longer than {SECONDS} seconds before, and was not called again."}]
    attempt = Attempt(function, name, parameters)
    found: list[dict[str, Any]] = []
    with guard():
        for number, coded in enumerate(test["probes"]):
            seed(number)
            arguments = {key: decode(value) for key, value in coded.items()}
            probe = Probe(partial(dict, arguments), gradients=tuple(test["gradients"]))
            try:
                with at_most(SECONDS):
                    seen = observe(attempt, probe)
            except Stopped as stopped:
                found.append({"stopped": str(stopped)[:2000]})
                if "TooSlow" in str(stopped):
                    SLOW.add(name)
                    break  # the others would be as slow
            except Exception as error:  # in what comes after the call: a backward that fails
                found.append({"stopped": f"{type(error).__name__}: {error}"[:2000]})
            else:
                found.append({key: encode(value) for key, value in seen.items()})
    return found
