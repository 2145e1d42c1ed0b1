"""A coding question: its parts, its known mistakes, and the judgment of what a student's function did.

The parts of a question are test cells of its notebook, graded one by one; their points stand there and only there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import torch

from vae_utils.exercises.attempt import guard, seed
from vae_utils.exercises.compare import as_double, numbers, same
from vae_utils.exercises.exercise import Probe
from vae_utils.exercises.values import VALUE, Observation, in_words, observe
from vae_utils.exercises.verdict import Evidence, Verdict
from vae_utils.mistakes.mistake import Mistake, described

from .kernel.observer import Other, decode, encode

Arguments = Mapping[str, Any]
F = TypeVar("F", bound=Callable[..., Any])


class Mistakes(list[Mistake]):
    """The known mistakes of a question. Called with the parts that must not give points for it, it collects a function.

    The function's name and docstring are the mistake's, as in `vae_utils.mistakes`.
    """

    def __call__(self, *loses: str) -> Callable[[F], F]:
        """Return a decorator that adds a wrong function."""

        def add(function: F) -> F:
            self.append(described(function, loses=loses))
            return function

        return add


@dataclass(frozen=True)
class Part:
    """One test cell.

    Attributes:
        about: What it looks at, for the feedback.
        probes: Sets of arguments to try the function on, by name, in order.
        gradients: The float tensors among them whose gradient is compared in place of the value.
        pick: Which of the numbers returned this part looks at; None: all.
        tolerance: Relative, for numbers that a student worked out by hand; None: what fits the dtype.
    """

    about: str
    probes: Sequence[Arguments] = ({},)
    gradients: tuple[str, ...] = ()
    pick: int | None = None
    tolerance: float | None = None

    @property
    def compared(self) -> tuple[str, ...]:
        """What of an observation is compared."""
        return tuple(f"gradient of {name}" for name in self.gradients) or (VALUE,)

    def agrees(self, got: Observation, expected: Observation, key: str) -> bool:
        """Return whether an observation is as expected, as far as this part looks."""
        a, b = got.get(key), expected[key]
        if isinstance(a, Other) or (self.pick is not None and _count(a) != _count(b)):
            return False
        a, b = self.picked(a), self.picked(b)
        if self.tolerance is None:
            return same(a, b)
        x, y = _by_hand(a), _by_hand(b)
        if x is None or y is None or x.shape != y.shape:
            return False
        return torch.allclose(x, y, rtol=self.tolerance, atol=1e-9)

    def picked(self, value: Any) -> Any:
        """Return what this part looks at in a returned value; a value with nothing to pick from as it is."""
        return value if self.pick is None or _count(value) <= self.pick else value[self.pick]


@dataclass(frozen=True)
class Question:
    """A function, or a number (a function without parameters), that a student writes.

    Attributes:
        name: The function's name, or the name of the number's question.
        answer: A right one.
        parts: By name, which with the question's makes the test cell's id, "NAME-PART".
        mistakes: The known ones.
        parameters: The names of the function's parameters, in order.
    """

    name: str
    answer: Callable[..., Any]
    parts: Mapping[str, Part]
    mistakes: Sequence[Mistake] = ()
    parameters: tuple[str, ...] = field(init=False)
    _known: dict[tuple[str, Callable[..., Any]], list[Observation]] = field(
        init=False, repr=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(inspect.signature(self.answer).parameters))

    def observed(self, part: str, function: Callable[..., Any]) -> list[Observation]:
        """Return what a trusted function, the answer or a known mistake, does on a part's probes."""
        if (part, function) in self._known:
            return self._known[part, function]
        seen: list[Observation] = []
        with guard():
            for number, arguments in enumerate(self.parts[part].probes):
                seed(number)
                probe = Probe(partial(dict, arguments), gradients=self.parts[part].gradients)
                try:
                    seen.append(observe(function, probe))
                except Exception as error:  # a wrong function may break on some probe
                    seen.append({"stopped": str(error)})
        self._known[part, function] = seen
        return seen


def probes_of(questions: Iterable[Question]) -> dict[str, Any]:
    """Return what the kernel needs to know about each test, for JSON: names and probes, no answers."""
    return {
        f"{question.name}-{name}": {
            "name": question.name,
            "parameters": question.parameters,
            "gradients": part.gradients,
            "probes": [{key: encode(value) for key, value in probe.items()} for probe in part.probes],
        }
        for question in questions
        for name, part in question.parts.items()
    }


def read(report: Any, part: Part) -> list[Observation]:
    """Decode a kernel's report on one part.

    Raises:
        ValueError: It is none. A report comes from untrusted code.
    """
    if not isinstance(report, list) or len(report) > len(part.probes):
        raise ValueError("no list of observations")
    keys = {VALUE, *(f"gradient of {name}" for name in part.gradients)}
    found: list[Observation] = []
    for seen in report:
        match seen:
            case {"stub": True}:
                found.append({"stub": True})
            case {"stopped": str(why)}:
                found.append({"stopped": why})
            case dict() if seen.keys() == keys:
                found.append({key: decode(value) for key, value in seen.items()})
            case _:
                raise ValueError("no observation")
    return found


def judge(question: Question, name: str, seen: Mapping[str, list[Observation]]) -> Verdict:
    """Judge one part of a question; its verdict gives all of its points, or none.

    Args:
        question: The question.
        name: The part's name.
        seen: The decoded reports of all parts of the question that were run, by the part's name.
    """
    part, got = question.parts[name], seen[name]
    if got and "stub" in got[0]:
        return Verdict(None, None, "Not attempted: the function is still the stub.")
    expected = question.observed(name, question.answer)
    for i, wanted in enumerate(expected):
        if i >= len(got):
            return Verdict(False, None, "Your function was not looked at on all probes: an earlier call took too long.")
        if "stopped" in got[i]:
            if not question.parameters and "NameError" in got[i]["stopped"]:
                return Verdict(None, None, "Not attempted: the cell above gives no number.")
            return Verdict(False, None, got[i]["stopped"], _evidence(part.probes[i], {}))
        key = next((key for key in part.compared if not part.agrees(got[i], wanted, key)), None)
        if key is None:
            continue
        a, b = part.picked(got[i].get(key)), part.picked(wanted[key])
        evidence = _evidence(part.probes[i], {"came out" if key == VALUE else key: a, "expected": b})
        for mistake in question.mistakes:
            if _is(mistake, question, seen):
                return Verdict(False, mistake.slug, mistake.why, evidence)
        pairs = [
            (part.picked(x[key]), part.picked(y[key]))
            for x, y in zip(got, expected, strict=False)
            if key in x and key in y
        ]
        return Verdict(False, None, _in_words(key, a, b, pairs), evidence)
    return Verdict(True, None, part.about)


def _count(value: Any) -> int:
    """Return how many values there are to pick from; 0 for a single value."""
    several = isinstance(value, tuple) or (isinstance(value, torch.Tensor) and value.ndim > 0)
    return len(value) if several else 0


def _by_hand(value: Any) -> torch.Tensor | None:
    """Return numbers worked out by hand as one row, whatever holds them: a number, a tuple, an array."""
    if isinstance(value, tuple | list):
        parts = [part.flatten() for part in map(as_double, value) if part is not None and part.numel() == 1]
        return torch.cat(parts) if parts and len(parts) == len(value) else None
    found = as_double(value)
    return None if found is None else found.flatten()


def _is(mistake: Mistake, question: Question, seen: Mapping[str, list[Observation]]) -> bool:
    """Return whether these are the mistake's observations; if values are wrong, gradients don't matter."""
    values_differ, all_values, all_gradients = False, True, True
    for name, got in seen.items():
        part = question.parts[name]
        right = question.observed(name, question.answer)
        wrong = question.observed(name, mistake.function)
        if len(got) != len(right):
            return False
        for a, b, w in zip(got, right, wrong, strict=True):
            if "stopped" in a or "stopped" in w or "stub" in a:
                if ("stopped" in a) != ("stopped" in w):
                    return False
                continue
            for key in b:
                ok = part.agrees(a, w, key)
                if key == VALUE:
                    all_values &= ok
                    values_differ |= not part.agrees(a, b, key)
                else:
                    all_gradients &= ok
    return all_values and (values_differ or all_gradients)


def _in_words(key: str, a: Any, b: Any, pairs: list[tuple[Any, Any]]) -> str:
    """Describe how what was observed under that key differs; '' if there are no words for it."""
    if isinstance(a, Other):
        return f"Your function returned {a}."
    if isinstance(a, tuple) or isinstance(b, tuple):
        return ""
    plain = [pair for pair in pairs if not any(isinstance(one, Other | tuple) for one in pair)]
    return in_words(key, a, b, plain, value_seen=False)


def _evidence(probe: Arguments, results: Arguments) -> Evidence | None:
    """Return what went in, and these results."""
    rows = tuple((name, _shown(value)) for name, value in (*probe.items(), *results.items()))
    return Evidence("This went in:" if probe else "", rows) if rows else None


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_shown(one) for one in value) + ")"
    return str(value) if isinstance(value, Other) else numbers(value)
