"""Run what a learner wrote: no global state leaks out of it, and whatever goes wrong in it becomes a sentence."""

from __future__ import annotations

import contextlib
import dis
import inspect
import io
import linecache
import random
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .compare import shortened
from .verdict import Evidence

PACKAGE = str(Path(__file__).resolve().parent.parent)
LIBRARIES = tuple(
    {str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
# What a notebook or an assignment hands out in place of a body, with or without a docstring before it.
UNFILLED = (
    "...",
    "return",
    "return ...",
    "raise NotImplementedError",
    "raise NotImplementedError()",
    "raise NotImplementedError('')",
)

OFFSET = 0  # added to every seed: a check always draws the same noise, and tests try other noise


# Kinds of errors, by what PyTorch or Python says: mistakes of several exercises stop so.
ERRORS = {
    "grey": ("within the support (Boolean())",),
    "no chance": ("between 0 and 1", "parameter probs"),
    "no gradient": ("does not require grad", "not have been used in the graph"),
    "no scalar": ("only for scalar outputs",),
    "no tensor": ("'float' object has no attribute 'backward'",),
    "index": ("is out of bounds for", "list index out of range"),
    "sizes": ("must match the size of tensor",),
    "device": ("Device index", "device"),
}


class Stopped(Exception):
    """Raised to end a check with `passed=False` and this message for the learner, and evidence, if there is some."""

    def __init__(self, message: str, evidence: Evidence | None = None):
        super().__init__(message)
        self.evidence = evidence


def kind_of_error(stopped: Stopped) -> str:
    """Return the kind of the error in a function, a key of `ERRORS`; '' if it is another."""
    said = str(stopped.__cause__ or "")
    return next((kind for kind, parts in ERRORS.items() if any(part in said for part in parts)), "")


@contextlib.contextmanager
def guard() -> Iterator[None]:
    """Run the block with torch's usual settings, and restore all global state afterwards.

    That is: the random states of Python, numpy and torch, grad mode, default dtype and device, precision, threads.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else None
    dtype, precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    threads = torch.get_num_threads()
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")
        torch.set_num_threads(1)  # probes are small: more threads only wait for each other
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_default_dtype(dtype)
            torch.set_float32_matmul_precision(precision)
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.set_rng_state(states[2])
            if cuda is not None:
                torch.cuda.set_rng_state_all(cuda)


def seed(number: int) -> None:
    """Seed Python, numpy and torch. Call it inside `guard` only."""
    number += OFFSET
    random.seed(number)
    np.random.seed(number % 2**32)
    # As torch.manual_seed does, which besides, for each device without a driver, stores the call and its whole stack.
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(number)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(number)


def is_stub(function: Callable[..., Any]) -> bool:
    """Return whether the body is only a docstring, `...`, `pass`, a bare return or `raise NotImplementedError`.

    The code object is compared with those of such bodies, compiled by the Python that runs; so no source is needed,
    and no knowledge of what one release or another compiles them to. Like `return`, `return None` is a stub.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    return isinstance(code, CodeType) and _outline(code) in _unfilled()


def _outline(code: CodeType) -> tuple[bytes, tuple[str, ...], tuple[type, ...]]:
    """Return the instructions, the names and the types of the constants: what stubs share, whatever their texts.

    Instructions without effect, which stand for lines such as `pass`, are left out.
    """
    steps = zip(code.co_code[::2], code.co_code[1::2], strict=True)
    kept = bytes(byte for step in steps if step[0] != dis.opmap["NOP"] for byte in step)
    return kept, code.co_names, tuple(map(type, code.co_consts))


@cache
def _unfilled() -> frozenset[tuple[bytes, tuple[str, ...], tuple[type, ...]]]:
    """Return the outlines of all stubs."""
    sources = ["stub = lambda: None", "stub = lambda: ..."]
    sources += [f"def stub():\n {start}\n {body}" for body in UNFILLED for start in ("pass", "'A docstring.'")]
    outlines = []
    for source in sources:
        space: dict[str, Any] = {}
        exec(source, space)
        outlines.append(_outline(space["stub"].__code__))
    return frozenset(outlines)


class Attempt:
    """A learner's function, to be called in its place.

    Attributes:
        printed: What the latest call printed.
        changed: Names of the arguments that some call changed in place.
        calls: How often the function was called.
    """

    def __init__(self, function: Callable[..., Any], name: str, parameters: tuple[str, ...]):
        self.function, self.name, self.parameters = function, name, parameters
        self.printed = ""
        self.changed: set[str] = set()
        self.calls = 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function quietly; any error in it is raised as `Stopped`, with a message for the learner."""
        tensors = {n: a for n, a in zip(self.parameters, arguments, strict=False) if isinstance(a, Tensor)}
        before = {name: value.detach().clone() for name, value in tensors.items()}
        output = io.StringIO()
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = self.function(*arguments, **named)
        except (Exception, SystemExit) as error:
            raise Stopped(self._about(error)) from error
        finally:
            self.calls += 1
            self.printed = output.getvalue()
            torch.set_grad_enabled(True)
            torch.set_default_dtype(torch.float32)
        self.changed |= {name for name, value in tensors.items() if not _equal(before[name], value.detach())}
        return result

    def other_order(self) -> tuple[str, ...]:
        """Return the function's own parameters if they are the expected ones in another order, else ()."""
        try:
            own = tuple(inspect.signature(self.function).parameters)
        except (TypeError, ValueError):
            return ()
        return own if own != self.parameters and sorted(own) == sorted(self.parameters) else ()

    def other_defaults(self, asked: inspect.Signature) -> str:
        """Describe the defaults that differ from those of the signature `asked`; '' if none does."""
        try:
            own = inspect.signature(self.function).parameters
        except (TypeError, ValueError):
            return ""
        found = []
        for name, parameter in asked.parameters.items():
            default = own[name].default if name in own else parameter.default
            if parameter.default is parameter.empty or default is parameter.empty:
                continue
            if isinstance(default, float | int) and default != parameter.default:
                found.append(
                    f"Where `{name}` is not given, it should be {parameter.default}; your default is {default}."
                )
        return " ".join(found)

    def _about(self, error: BaseException) -> str:
        """Describe an error, with the learner's line that raised it."""
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_learners(frame.filename)]
        message = shortened(str(error), 300)
        message = f"{type(error).__name__}: {message}" if message else type(error).__name__
        if not frames:
            return f"Your function stopped with\n\n    {message}"
        line = (frames[-1].line or linecache.getline(frames[-1].filename, frames[-1].lineno or 0)).strip()
        where = f"in line {frames[-1].lineno},\n\n    {line}\n\nwith" if line else f"in line {frames[-1].lineno} with"
        return f"Your function stopped {where}\n\n    {message}"


def _is_learners(filename: str) -> bool:
    """Return whether a file is neither Python's, nor a library's, nor this package's."""
    path = str(Path(filename).resolve()) if not filename.startswith("<") else filename
    if filename.startswith("<frozen"):
        return False
    return not path.startswith((PACKAGE, *LIBRARIES))


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and bool(((a == b) | ((a != a) & (b != b))).all())


def complaint(
    function: Any, name: str, parameters: tuple[str, ...], required: int, stub: str | None = None
) -> str | None:
    """Describe what is wrong with `function` before it is called.

    Args:
        function: What was handed to the check.
        name: The exercise's name, which is the function's.
        parameters: The names of all parameters, in order.
        required: How many of them have no default.
        stub: The signature with defaults, for the message.

    Returns:
        A message for the learner, or None if nothing is wrong.
    """
    wanted = f"`{name}({', '.join(parameters)})`"
    if not callable(function):
        kind = type(function).__name__
        called = (
            " Did you call it? Hand over the function itself, without parentheses."
            if isinstance(function, Tensor | float | np.ndarray)
            else ""
        )
        return f"`check` takes your function, and this is a {kind}.{called}"
    if isinstance(function, type):
        return f"`check` takes your function, and this is a class. This exercise asks for {wanted}."
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    for count in {required, len(parameters)}:
        try:
            signature.bind(*range(count))
        except TypeError:
            own = ", ".join(str(p) for p in signature.parameters.values())
            count_asked = _count(required, len(parameters))
            if stub and required < len(parameters):
                last = " and ".join(f"`{parameter}`" for parameter in parameters[required:])
                calls = f"Your function takes ({own}). The check calls it as `{stub}`, with {last} and without"
                return f"{calls}, so it needs a place and a default."
            return f"Your function takes ({own}). The check calls it as {wanted}, with {count_asked}."
    return None


def _count(required: int, full: int) -> str:
    if required == full:
        return f"{full} argument{'s' * (full != 1)}"
    return f"{required} or {full} arguments"
