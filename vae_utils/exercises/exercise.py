"""An exercise: a task, hints, a solution, and the known mistakes of the catalogue.

`check` runs the learner's function on probes. If it agrees with the solution on all, it is right, however it is
written; if it agrees with a known mistake, that one is named; else the smallest probe on which it differs is shown.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .. import mistakes
from ..mistakes import Mistake
from .attempt import Attempt, Stopped, complaint, guard, is_stub, seed
from .compare import TOLERANCE, apart, as_double, difference, numbers, relation, same, shortened
from .verdict import Result, Shown

Observation = dict[str, Any]
VALUE = "value"
RANDOM = "Your result is random: "


@dataclass(frozen=True)
class Probe:
    """One set of arguments to try a function on.

    Attributes:
        make: Return new arguments, by name, in order.
        about: What is special about them, for the learner.
        gradients: Names of (float tensor) arguments whose gradient is compared, too.
        extreme: The numbers are large or small: they only show whether what is right elsewhere is right here, too.
            Such probes stand last.
    """

    make: Callable[[], Mapping[str, Any]]
    about: str = ""
    gradients: tuple[str, ...] = ()
    extreme: bool = False


def observe(function: Callable[..., Any], probe: Probe) -> Observation:
    """Run a function on a probe.

    Returns:
        {"value": what it returns, "gradient of NAME": a tensor, or None if no gradient arrives, ...}.

    Raises:
        Stopped: The value has a gradient that can't be computed.
    """
    arguments = dict(probe.make())
    leaves = {name: arguments[name].detach().requires_grad_() for name in probe.gradients}
    # Clones: a function may change its arguments in place, which torch forbids for leaves.
    value = function(*(arguments | {name: leaf.clone() for name, leaf in leaves.items()}).values())
    seen: Observation = {VALUE: value}
    if leaves:
        found: Sequence[Tensor | None] = [None] * len(leaves)
        if isinstance(value, Tensor) and value.requires_grad and value.is_floating_point():
            # Weights of all sizes, so that no two errors cancel.
            weights = torch.linspace(1, 2, value.numel(), dtype=value.dtype, device=value.device).view(value.shape)
            try:
                found = torch.autograd.grad((value * weights).sum(), list(leaves.values()), allow_unused=True)
            except RuntimeError as error:
                raise Stopped(_no_way_back(error)) from error
        seen |= {f"gradient of {name}": gradient for name, gradient in zip(leaves, found, strict=True)}
    return seen


def _no_way_back(error: RuntimeError) -> str:
    """Tell the learner that numbers came out, but that autograd stops on its way back through the function."""
    message = shortened(str(error), 300)
    return (
        "Numbers come out, but no gradient can be computed through your function: training would stop at "
        "`backward()`. Most often something is changed in place (`+=`, `x[...] = `, names that end in `_`) that the "
        "way back still "
        f"needs. Make a new tensor instead. PyTorch says:\n\n    RuntimeError: {message}"
    )


class Exercise:
    """One exercise of a notebook.

    Args:
        name: The exercise's name, which is the function's and that of its known mistakes in the catalogue.
        task: What is asked for, in Markdown.
        stub: The signature, with defaults, e.g. "f(x, beta=1.0)".
        hints: Three, from a nudge to nearly all.
        solution: A right function, whose source `.solution()` shows.
        right: The sentence for a right answer.
        probes: From small to large.
        judge: Another check than by comparison, e.g. for functions that draw noise: (attempt, exercise) -> Result. It
            may raise Stopped(message) to end with `passed=False`.
    """

    def __init__(
        self,
        *,
        name: str,
        task: str,
        stub: str,
        hints: tuple[str, str, str],
        solution: Callable[..., Any],
        right: str,
        probes: Sequence[Probe] = (),
        judge: Callable[[Attempt, Exercise], Result] | None = None,
    ):
        self.name, self.task, self.stub, self.hints, self.right = name, task, stub, hints, right
        self.answer, self.probes, self.mistakes_by_slug = solution, tuple(probes), mistakes.of(name)
        self._judge, self._hints_given = judge or by_comparison, 0

    def __repr__(self) -> str:
        return f"Exercise {self.stub}: .check({self.name}), .hint(), .solution()"

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """The known mistakes; of several that fit, the first is named."""
        return tuple(self.mistakes_by_slug.values())

    def mistake(self, slug: str) -> Mistake:
        """Return the known mistake of that slug.

        Raises:
            KeyError: There is none; the message names those there are.
        """
        return mistakes.get(f"{self.name}/{slug}")

    def check(self, function: Callable[..., Any]) -> Result:
        """Say whether `function` is right, and if not, what is wrong.

        Never raises, whatever the function does or returns (but for KeyboardInterrupt), and leaves no trace in torch's,
        numpy's and Python's global state.
        """
        parameters = tuple(inspect.signature(self.answer).parameters.values())
        names = tuple(parameter.name for parameter in parameters)
        required = sum(parameter.default is parameter.empty for parameter in parameters)
        if wrong := complaint(function, self.name, names, required, self.stub):
            return Result(False, None, wrong)
        if is_stub(function):
            return Result(None, None, f"Write `{self.stub}` in place of the `...`, and run the cell again.")
        attempt = Attempt(function, self.name, names)
        with guard():
            seed(0)
            try:
                result = self._judge(attempt, self)
            except Stopped as stopped:
                result = Result(False, None, str(stopped))
            except Exception as error:  # whatever odd thing came back, a check answers in words
                message = f"{type(error).__name__}: {shortened(str(error), 200)}"
                result = Result(False, None, f"The check can't read what your function returned:\n\n    {message}")
        return self._completed(result, attempt)

    def _completed(self, result: Result, attempt: Attempt) -> Result:
        """Add what every check reports: changed arguments, what was printed, where to go from here."""
        parts = [result.message]
        if attempt.changed:
            which = " and ".join(f"`{name}`" for name in sorted(attempt.changed))
            plural = "s" if len(attempt.changed) > 1 else ""
            parts.append(
                f"One more thing: your function changes its argument{plural} {which} in place. "
                f"{_afterwards(self.name, attempt.changed)} Work on a new tensor."
            )
        if result.passed is False and (order := attempt.other_order()):
            own, asked = ", ".join(order), ", ".join(attempt.parameters)
            parts.append(f"Your parameters are ({own}), but the check hands them over as ({asked}).")
        if result.passed is False and (other := attempt.other_defaults(inspect.signature(self.answer))):
            parts.append(other)
        if attempt.printed and not result.passed:
            lines = attempt.printed.rstrip().splitlines()
            shown = "\n".join(f"    {line[:100]}" for line in lines[:6]) + ("\n    …" if len(lines) > 6 else "")
            parts.append(f"Your function printed, in the last call:\n\n{shown}")
        if result.passed is False:
            parts.append(f"Stuck? `exercises.{self.name}.hint()`")
        return Result(result.passed, result.mistake, "\n\n".join(parts))

    def hint(self) -> Shown:
        """Return the next of three hints."""
        if self._hints_given == len(self.hints):
            text = f"That was the last one. `exercises.{self.name}.solution()` shows a solution."
            return Shown("No more hints", text)
        self._hints_given += 1
        return Shown(f"Hint {self._hints_given} of {len(self.hints)}", self.hints[self._hints_given - 1])

    def solution(self) -> Shown:
        """Return the source of one right solution."""
        source = textwrap.dedent(inspect.getsource(self.answer)).rstrip()
        return Shown("One way to write it", textwrap.indent(source, "    "))

    def observed(self, function: Callable[..., Any], number: int) -> Observation:
        """Run a function on the probe of that number, always with the same seed."""
        seed(1000 + number)
        return observe(function, self.probes[number])


def _afterwards(name: str, changed: set[str]) -> str:
    """Explain the consequence of changing these arguments in place."""
    which = " and ".join(f"`{argument}`" for argument in sorted(changed))
    if changed <= {"mu", "logvar"}:
        if name == "reparameterize":
            return f"The KL, computed next from the same {which}, would read the overwritten numbers, without an error."
        if name in ("gaussian_kl", "negative_elbo"):
            return f"What reads the same {which} next would find the overwritten numbers, without an error."
    if changed <= {"x", "x_hat", "pictures", "train"}:
        return "Whoever calls it finds other numbers in their tensor afterwards, even in their training set."
    return "Whoever calls it finds other numbers in their tensor afterwards."


def agree(a: Observation, b: Observation) -> bool:
    """Return whether two observations are the same."""
    return a.keys() == b.keys() and all(same(a[name], b[name]) for name in b)


def by_comparison(attempt: Attempt, exercise: Exercise) -> Result:
    """Judge an attempt by comparing it with the solution on every probe and, if it differs, with the known mistakes."""
    count = len(exercise.probes)
    expected = [exercise.observed(exercise.answer, i) for i in range(count)]
    got: list[Observation] = []
    wrong: int | None = None
    printed, remark = "", ""
    for i in range(count):
        try:
            got.append(exercise.observed(attempt, i))
        except Stopped as stopped:
            single = _in_float32(attempt, exercise, i)
            if single is None:
                if wrong is None:
                    raise Stopped(f"{stopped}\n\n{_block(exercise.probes[i], {})}") from stopped
                break
            got.append(expected[i] if agree(*single) else single[0])
            remark = f" (Given float64, it stops; this task is in float32. {stopped})" if agree(*single) else ""
        if wrong is None and not agree(got[i], expected[i]):
            wrong, printed = i, attempt.printed
    if wrong is None:
        return Result(True, None, exercise.right + _coarse(got, expected) + remark)
    attempt.printed = printed
    # A mistake on ordinary numbers is recognized by these alone: on extreme ones, something else may be wrong, too.
    ordinary = [i for i in range(count) if not exercise.probes[i].extreme]
    compared = list(range(count)) if exercise.probes[wrong].extreme else ordinary
    if compared[-1] < len(got):
        seen, right = [got[i] for i in compared], [expected[i] for i in compared]
        for mistake in exercise.mistakes:
            if _is(mistake, seen, right, compared, exercise):
                shown = _shows(mistake, wrong, got, expected, exercise)
                evidence = _evidence(exercise.probes[shown], got[shown], expected[shown])
                return Result(False, mistake.slug, f"{mistake.why}\n\n{evidence}")
    evidence = _evidence(exercise.probes[wrong], got[wrong], expected[wrong])
    if again := _differs_again(attempt, exercise, wrong, got[wrong]):
        return Result(False, None, f"{again}\n\n{evidence}")
    keys = [name for name in expected[wrong] if not same(got[wrong].get(name), expected[wrong][name])]
    words = _in_words(keys[0], wrong, got, expected).strip()
    if exercise.probes[wrong].extreme:
        words = f"For usual numbers your result is right, for these it is not. {words}".strip()
    return Result(False, None, f"{words}\n\n{evidence}".lstrip())


def _in_float32(attempt: Attempt, exercise: Exercise, number: int) -> tuple[Observation, Observation] | None:
    """Run function and solution on a float64 probe in float32; None for other probes, or if the function stops."""
    probe = exercise.probes[number]
    if not any(isinstance(value, Tensor) and value.dtype == torch.float64 for value in probe.make().values()):
        return None

    def make() -> dict[str, Any]:
        values = probe.make().items()
        return {n: v.float() if isinstance(v, Tensor) and v.is_floating_point() else v for n, v in values}

    single = Probe(make, probe.about, probe.gradients)
    try:
        return observe(attempt, single), observe(exercise.answer, single)
    except Stopped:
        return None


def _differs_again(attempt: Attempt, exercise: Exercise, number: int, seen: Observation) -> str:
    """Report that the same arguments give another result under another seed; '' if they do not."""
    a = as_double(seen.get(VALUE))
    for other in range(5):  # few outcomes may repeat by chance
        seed(2000 + 10 * number + other)
        try:
            again = observe(attempt, exercise.probes[number])[VALUE]
        except Stopped:
            return ""
        b = as_double(again)
        if a is None or b is None or a.shape != b.shape:
            return ""
        if not torch.equal(a.nan_to_num(), b.nan_to_num()):
            second, first = apart(again, seen[VALUE])
            return (
                f"{RANDOM}called again with the same arguments, your function returned {second} in place of {first}. "
                "What is asked for needs no dice."
            )
    return ""


def _shows(
    mistake: Mistake, wrong: int, got: list[Observation], expected: list[Observation], exercise: Exercise
) -> int:
    """Return the number of the probe to show a mistake on: the first wrong one or, for shapes and averages, a batch."""
    a, b = got[wrong].get(VALUE), expected[wrong][VALUE]
    shapes_differ = isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape != b.shape
    if not (mistake.several or shapes_differ):
        return wrong
    for i in range(wrong, len(got)):
        if exercise.probes[i].extreme and not exercise.probes[wrong].extreme:
            break
        first = next(iter(exercise.probes[i].make().values()))
        if isinstance(first, Tensor) and first.ndim and len(first) > 1 and not agree(got[i], expected[i]):
            return i
    return wrong


def _is(
    mistake: Mistake, got: list[Observation], expected: list[Observation], which: list[int], exercise: Exercise
) -> bool:
    """Return whether the mistake gives the same observations of the probes of these numbers (`which`).

    Gradients are ignored if values are wrong already.
    """
    values_differ = not all(same(a[VALUE], b[VALUE]) for a, b in zip(got, expected, strict=True))
    for i, seen in zip(which, got, strict=True):
        try:
            other = exercise.observed(mistake.function, i)
        except Exception:  # a wrong function may break where the learner's does not
            return False
        if not (
            same(seen[VALUE], other[VALUE]) if values_differ and VALUE in seen and len(seen) > 1 else agree(seen, other)
        ):
            return False
    return True


def _in_words(name: str, wrong: int, got: list[Observation], expected: list[Observation]) -> str:
    """Describe how the observation of that name differs, first on the probe numbered `wrong`, then on all."""
    a, b = got[wrong].get(name), expected[wrong][name]
    if name != VALUE and a is None:
        which = name.removeprefix("gradient of ")
        return (
            f"The numbers are right, but no gradient reaches `{which}`: something cuts the path "
            "(`.detach()`, `.item()`, `.data`, `torch.no_grad()`, NumPy, a new `torch.tensor(...)`)."
        )
    opening = "" if name == VALUE else f"What it returns is right. What is not: the {name}. "
    pairs = [(x.get(name), y[name]) for x, y in zip(got, expected, strict=False) if name in y]
    return opening + (difference(a, b) or relation(pairs))


def _evidence(probe: Probe, got: Observation, expected: Observation) -> str:
    """Format what went in, what came out, and what was expected."""
    for name in expected:
        if not same(got.get(name), expected[name]):
            out = "came out" if name == VALUE else name
            came, wanted = apart(got.get(name), expected[name])
            return _block(probe, {out: came, "expected": wanted})
    return _block(probe, {})


def _block(probe: Probe, results: dict[str, str]) -> str:
    """Format a probe's arguments and these results as aligned lines."""
    arguments = {name: numbers(value) for name, value in probe.make().items()}
    width = max(map(len, (*arguments, *results)))
    lines = [f"    {name:>{width}}: {value}" for name, value in (arguments | results).items()]
    return f"This went in{f' ({probe.about})' if probe.about else ''}:\n\n" + "\n".join(lines)


def _coarse(got: list[Observation], expected: list[Observation]) -> str:
    """Return a remark if float64 comes in and less precise numbers come out."""
    for seen, wanted in zip(got, expected, strict=True):
        a, b = seen[VALUE], wanted[VALUE]
        if isinstance(a, Tensor) and isinstance(b, Tensor) and TOLERANCE.get(a.dtype, 0) > TOLERANCE.get(b.dtype, 0):
            names = [str(value.dtype).removeprefix("torch.") for value in (b, a)]
            return f" (Given {names[0]}, it returns {names[1]} and loses digits: `torch.zeros_like` keeps the dtype.)"
    return ""
