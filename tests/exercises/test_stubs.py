"""Which functions are taken for stubs that are still to be filled in, and which for answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial, wraps
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from vae_utils import exercises
from vae_utils.exercises.attempt import is_stub

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
HANDED_OUT = "# YOUR CODE HERE\n    raise NotImplementedError"  # what stands in an assignment for a solution


def code_cells(pattern: str, holding: str) -> list[tuple[str, str]]:
    """(where, source) of the notebooks' code cells that hold this text."""
    cells = []
    for path in sorted(NOTEBOOKS.glob(pattern)):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        sources = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
        cells += [(f"{path.stem}-{place}", source) for place, source in enumerate(sources) if holding in source]
    return cells


def function_of(source: str) -> Callable[..., Any]:
    """The last function that the source defines, as a cell defines it."""
    space: dict[str, Any] = {}
    exec(source, space)
    return [value for value in space.values() if callable(value)][-1]


CELLS = {where: source for where, source in code_cells("[0-9]*.ipynb", ".check(") if source.startswith("def ")}
SOLVED = {where: source for where, source in code_cells("assignments/*.ipynb", "BEGIN SOLUTION") if "def " in source}


@pytest.mark.parametrize("source", CELLS.values(), ids=CELLS)
def test_the_notebooks_stubs_are_not_attempted(source: str) -> None:
    stub, check = source.split("exercises.")
    name = check.split(".")[0]
    found = getattr(exercises, name).check(function_of(stub))
    assert (found.passed, found.mistake) == (None, None)
    assert "Not attempted yet" in repr(found) and getattr(exercises, name).stub in found.message


def test_every_exercise_has_a_stub_in_a_notebook() -> None:
    assert {source.split("exercises.")[1].split(".")[0] for source in CELLS.values()} == set(exercises.NAMES)


@pytest.mark.parametrize("source", SOLVED.values(), ids=SOLVED)
def test_an_assignment_s_function_is_a_stub_until_it_is_solved(source: str) -> None:
    assert not is_stub(function_of(source))
    stub = re.sub(r"### BEGIN SOLUTION.*### END SOLUTION", HANDED_OUT, source, flags=re.DOTALL)
    assert is_stub(function_of(stub))


DOCSTRINGS = ("", '"""A docstring."""\n ', '"""A docstring\nof two lines."""\n ')
SIGNATURES = ("()", "(x)", "(x, y=2.0, *rest, z: int = 3, **named)")
BODIES = (
    "...",
    "pass",
    "return",
    "return None",
    "return ...",
    "# a remark\n ...",
    "pass\n pass\n ...",
    "...\n return",
    "'another text'\n ...",
    "raise NotImplementedError",
    "raise NotImplementedError()",
    "raise NotImplementedError('soon')",
    "# YOUR CODE HERE\n raise NotImplementedError",
    "pass\n raise NotImplementedError('soon')",
)


@pytest.mark.parametrize("body", BODIES)
def test_what_holds_no_code_is_a_stub(body: str) -> None:
    for signature, docstring in product(SIGNATURES, DOCSTRINGS):
        source = f"def f{signature}:\n {docstring}{body}"
        assert is_stub(function_of(source)), source


def test_a_stub_is_known_however_it_is_made_or_used() -> None:
    def inner(x): ...

    @wraps(inner)
    def wrapped(x):
        return inner(x) + 1

    class Holder:
        def method(self, x):
            """A method."""

    def raises(x):
        raise NotImplementedError("soon")

    for _ in range(100):  # Python may exchange instructions for faster ones
        with pytest.raises(NotImplementedError):
            raises(1)
    for stub in (inner, wrapped, Holder().method, raises, lambda x: ..., lambda x: None):
        assert is_stub(stub)


def _fills(x):
    x.zero_()
    return None


def _guarded(x):
    if x is None:
        return None
    raise NotImplementedError


def _refuses(x):
    raise ValueError("no")


def _refuses_by_name(x):
    raise NotImplementedError(f"{x} is not supported")


def _generator(x):
    yield


ANSWERS: dict[str, Callable[..., Any]] = {
    "a number": lambda x: 3,
    "zero": lambda x: 0,
    "a truth": lambda x: True,
    "text": lambda x: "text",
    "an empty tuple": lambda x: (),
    "an empty list": lambda x: [],
    "the argument": lambda x: x,
    "the second argument": lambda x, y: y,
    "minus the argument": lambda x: -x,
    "a product": lambda x, y: x @ y,
    "an entry": lambda x: x[0],
    "an attribute": lambda x: x.T,
    "a global": lambda x: ANSWERS,
    "a call": lambda x: x.mean(),
    "None, sometimes": lambda x: x and None,
    "None, after work": _fills,
    "NotImplementedError, sometimes": _guarded,
    "another error": _refuses,
    "a worded NotImplementedError": _refuses_by_name,
    "a generator": _generator,
    "a partial": partial(torch.sum, dim=1),
    "a builtin": print,
    "torch's": torch.square,
    "a module": torch.nn.Identity(),
    "a bound method": torch.ones(2).add,
    "a class": int,
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_what_holds_code_is_no_stub(answer: Callable[..., Any]) -> None:
    assert not is_stub(answer)
