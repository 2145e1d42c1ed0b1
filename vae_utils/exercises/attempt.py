"""Running what a learner wrote: nothing leaks out of it, and whatever goes wrong in it becomes a sentence."""

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
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .compare import shortened

PACKAGE = str(Path(__file__).resolve().parent.parent)
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
QUIET = {
    "RESUME",
    "NOP",
    "CACHE",
    "PUSH_NULL",
    "COPY_FREE_VARS",
    "MAKE_CELL",
    "RETURN_GENERATOR",
    "POP_TOP",
    "EXTENDED_ARG",
}
STUB = QUIET | {
    "LOAD_CONST",
    "LOAD_GLOBAL",
    "LOAD_NAME",
    "PRECALL",
    "CALL",
    "RAISE_VARARGS",
    "RETURN_VALUE",
    "RETURN_CONST",
}

OFFSET = 0  # of all seeds: a check always rolls the same dice, and tests roll others


class Stopped(Exception):
    """The check ends here, with this message for the learner (a `False`)."""


@contextlib.contextmanager
def guard() -> Iterator[None]:
    """Leave random states, grad mode, default dtype, device and precision as they were; inside are the usual ones."""
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
    """Seed Python, numpy and torch; call it inside `guard` only."""
    number += OFFSET
    random.seed(number)
    np.random.seed(number % 2**32)
    torch.manual_seed(number)


def is_stub(function: Callable[..., Any]) -> bool:
    """Whether the body is only a docstring, `...`, `pass`, a bare return or `raise NotImplementedError`."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if not isinstance(code, CodeType):
        return False
    for step in dis.get_instructions(code):
        if step.opname not in STUB:
            return False
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and "NotImplementedError" not in str(step.argval):
            return False
        if step.opname in ("LOAD_CONST", "RETURN_CONST") and not isinstance(step.argval, str | type(None) | type(...)):
            return False
    steps = [step for step in dis.get_instructions(code) if step.opname not in QUIET]
    if steps[-1].opname == "RETURN_VALUE":
        steps.pop()
    return steps[-1].opname == "RAISE_VARARGS" or not isinstance(steps[-1].argval, str)


class Attempt:
    """A learner's function, to be called in its place. Raises Stopped where it fails; remembers what it changed."""

    def __init__(self, function: Callable[..., Any], name: str, parameters: tuple[str, ...]):
        self.function, self.name, self.parameters = function, name, parameters
        self.printed = ""  # by the latest call
        self.changed: set[str] = set()  # names of the arguments that some call changed in place
        self.calls = 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
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
        """The function's own parameters, where they are the expected ones in another order; else ()."""
        try:
            own = tuple(inspect.signature(self.function).parameters)
        except (TypeError, ValueError):
            return ()
        return own if own != self.parameters and sorted(own) == sorted(self.parameters) else ()

    def other_defaults(self, asked: inspect.Signature) -> str:
        """In words, which defaults are not those of the signature that is asked for; '' where all are."""
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
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_learners(frame.filename)]
        said = shortened(str(error), 300)
        said = f"{type(error).__name__}: {said}" if said else type(error).__name__
        if not frames:
            return f"Your function stopped with\n\n    {said}"
        line = (frames[-1].line or linecache.getline(frames[-1].filename, frames[-1].lineno or 0)).strip()
        where = f"in line {frames[-1].lineno},\n\n    {line}\n\nwith" if line else f"in line {frames[-1].lineno} with"
        return f"Your function stopped {where}\n\n    {said}"


def _is_learners(filename: str) -> bool:
    path = str(Path(filename).resolve()) if not filename.startswith("<") else filename
    if filename.startswith("<frozen"):
        return False
    return not path.startswith((PACKAGE, *LIBRARIES))


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and bool(((a == b) | ((a != a) & (b != b))).all())


def complaint(
    function: Any, name: str, parameters: tuple[str, ...], required: int, stub: str | None = None
) -> str | None:
    """What is wrong with `function` before it is called; None where nothing is. stub: its signature with defaults."""
    wanted = f"`{name}({', '.join(parameters)})`"
    if not callable(function):
        kind = type(function).__name__
        called = (
            " Did you call it? Hand over the function itself, without parentheses."
            if isinstance(function, Tensor | float | np.ndarray)
            else ""
        )
        return f"`check` takes your function, and this is a {kind}.{called} Write `exercises.{name}.check({name})`."
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
                said = f"Your function takes ({own}). The check calls it as `{stub}`, with {last} and without"
                return f"{said}, so it needs a place and a default."
            return f"Your function takes ({own}). The check calls it as {wanted}, with {count_asked}."
    return None


def _count(required: int, full: int) -> str:
    if required == full:
        return f"{full} argument{'s' * (full != 1)}"
    return f"{required} or {full} arguments"
