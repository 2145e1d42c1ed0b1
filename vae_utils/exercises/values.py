"""Judge a function by the values that it returns on probes, and by their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..mistakes import Mistake
from .altered import ALTERED, WORDS
from .attempt import Attempt, Stopped, kind_of_error, seed
from .compare import TOLERANCE, apart, as_double, difference, finer, numbers, relation, same, shortened
from .exercise import Exercise, Probe
from .verdict import Evidence, Verdict

Observation = dict[str, Any]
VALUE = "value"


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
                raise Stopped(
                    "Numbers come out, but no gradient can be computed through your function: training would stop at "
                    "`backward()`. Most often something is changed in place (`+=`, `x[...] = `, names that end in `_`) "
                    "that the way back still needs. Make a new tensor instead. PyTorch says:\n\n    RuntimeError: "
                    f"{shortened(str(error), 300)}"
                ) from error
        seen |= {f"gradient of {name}": gradient for name, gradient in zip(leaves, found, strict=True)}
    return seen


def agree(a: Observation, b: Observation) -> bool:
    """Return whether two observations are the same."""
    return a.keys() == b.keys() and all(same(a[name], b[name]) for name in b)


def alike(got: Sequence[Observation], other: Sequence[Observation], expected: Sequence[Observation]) -> bool:
    """Return whether a mistake's observations (`other`) are these; if values are wrong, gradients don't matter."""
    if not all(same(a[VALUE], b[VALUE]) for a, b in zip(got, expected, strict=True)):
        return all(same(a[VALUE], b[VALUE]) for a, b in zip(got, other, strict=True))
    return all(map(agree, got, other))


def in_words(name: str, a: Any, b: Any, pairs: list[tuple[Any, Any]], value_seen: bool = True) -> str:
    """Describe how what was observed under a name (`a`, not `b`) differs, and what rule all pairs follow.

    If it is a gradient, the values are right, unless they were not looked at (`value_seen`).
    """
    words = difference(a, b) or relation(pairs)
    if name == VALUE:
        return words
    if a is None:
        return (
            f"{'The numbers are right, but no' if value_seen else 'No'} gradient reaches "
            f"`{name.removeprefix('gradient of ')}`: something cuts the path (`.detach()`, `.item()`, `.data`, "
            "`torch.no_grad()`, NumPy, a new `torch.tensor(...)`)."
        )
    opening = f"What it returns is right. What is not: the {name}." if value_seen else f"The {name} is not right."
    return f"{opening} {words}"


def block(probe: Probe, results: dict[str, str]) -> Evidence:
    """Return a probe's arguments and these results."""
    about = f"This went in{f' ({probe.about})' if probe.about else ''}:"
    return Evidence(about, tuple(({n: numbers(value) for n, value in probe.make().items()} | results).items()))


@dataclass
class Sight:
    """What was seen of a function on the probes, up to one on which it stops, and what is expected."""

    attempt: Attempt
    exercise: Exercise
    got: list[Observation]
    expected: list[Observation]

    @property
    def differs(self) -> list[int]:
        """The numbers of the probes on which the two differ."""
        return [i for i, (a, b) in enumerate(zip(self.got, self.expected, strict=False)) if not agree(a, b)]

    @cached_property
    def random(self) -> str:
        """Report that the same arguments give another result under another seed; '' if they do not."""
        number = self.differs[0]
        first = self.got[number][VALUE]
        a = as_double(first)
        for other in range(5):  # few outcomes may repeat by chance
            seed(2000 + 10 * number + other)
            try:
                again = observe(self.attempt, self.exercise.probes[number])[VALUE]
            except Stopped:
                return ""
            b = as_double(again)
            if a is None or b is None or a.shape != b.shape:
                return ""
            if not torch.equal(a.nan_to_num(), b.nan_to_num()):
                second, shown = apart(again, first)
                return (
                    "Your result is random: called again with the same arguments, your function returned "
                    f"{second} in place of {shown}. What is asked for needs no dice."
                )
        return ""

    def evidence(self, number: int) -> Evidence:
        """Return what went into a probe, what came out, and what was expected."""
        got, expected = self.got[number], self.expected[number]
        name = next(name for name in expected if not same(got.get(name), expected[name]))
        came, wanted = apart(got.get(name), expected[name])
        return block(self.exercise.probes[number], {"came out" if name == VALUE else name: came, "expected": wanted})

    def telling(self, several: bool = False) -> int:
        """Return the number of the probe to show: the first or, for shapes and averages (`several`), a batch."""
        wrong, probes = self.differs[0], self.exercise.probes
        a, b = self.got[wrong].get(VALUE), self.expected[wrong][VALUE]
        if several or (isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape != b.shape):
            for i in self.differs:
                first = next(iter(probes[i].make().values()))
                batch = isinstance(first, Tensor) and first.ndim and len(first) > 1
                if batch and not (probes[i].far and not probes[wrong].far):
                    return i
        return wrong

    @cached_property
    def compared(self) -> list[int]:
        """The probes by which a mistake is recognized; none if the function stopped on one of them.

        On ordinary numbers these alone: on extreme ones, something else may be wrong, too.
        """
        probes = self.exercise.probes
        found = [i for i, probe in enumerate(probes) if probes[self.differs[0]].far or not probe.far]
        return found if found[-1] < len(self.got) else []

    def of(self, function: Callable[..., Any]) -> list[Observation]:
        """Return what another function does on these; [] if it breaks where the learner's does not."""
        try:
            return [observed(function, self.exercise, i) for i in self.compared]
        except Exception:
            return []

    def is_(self, mistake: Mistake) -> bool:
        """Return whether a mistake does the same."""
        got, expected = ([seen[i] for i in self.compared] for seen in (self.got, self.expected))
        other = self.of(mistake.function)
        return bool(other) and alike(got, other, expected)

    def has_values(self, values: Sequence[Any]) -> bool:
        """Return whether the function's values are these."""
        return all(same(self.got[i][VALUE], value) for i, value in zip(self.compared, values, strict=True))

    def reduced(self) -> Verdict | None:
        """Name a mistake together with a reduction, such as the mean over everything."""
        exercise, first = self.exercise, [next(iter(self.exercise.probes[i].make().values())) for i in self.compared]
        for slug, mistake in exercise.mistakes_by_slug.items() if exercise.reductions else ():
            values = [seen[VALUE] for seen in self.of(mistake.function) if isinstance(seen[VALUE], Tensor)]
            if not values or slug in exercise.reductions or len(values) < len(first):
                continue
            for other, reduce in exercise.reductions.items():
                if self.has_values([reduce(value, x[0].numel()) for value, x in zip(values, first, strict=True)]):
                    also = f"\n\nAnd a second mistake, {other}. {exercise.mistake(other).why}"
                    return exercise.named(slug, self.evidence(self.telling(True)), also=also)
        return None

    def altered(self) -> Verdict | None:
        """Describe an argument that the function alters before it uses it rightly."""
        probes = [self.exercise.probes[i].make() for i in self.compared]
        for name in ALTERED.keys() & probes[0].keys() if probes else ():
            for how, change in ALTERED[name].items():
                changed = [{**arguments, name: change(arguments[name])} for arguments in probes]
                if self.has_values([self.exercise.answer(**arguments) for arguments in changed]):
                    return self.exercise.wrong(WORDS[name].format(how), self.evidence(self.differs[0]))
        return None

    def bound(self) -> Verdict | None:
        """Name the mistake that shows where the decoder is sure, and only there."""
        sure = [i for i, probe in enumerate(self.exercise.probes) if probe.sure]
        if not sure or self.differs != sure or len(self.got) < len(self.expected):
            return None
        logits, *others = self.exercise.probes[sure[0]].make().values()

        def at(logits: Tensor) -> tuple[Tensor, Tensor]:
            return self.attempt(logits, *others).detach(), self.exercise.answer(logits, *others)

        try:
            slug = bound_by(at(logits.clamp(-30, 30)), at(10 * logits))
        except Stopped:
            return None
        return self.named(slug) if slug in self.exercise.mistakes_by_slug else None

    def named(self, slug: str) -> Verdict:
        """Return the verdict on a known mistake, shown on the first probe that differs."""
        return self.exercise.named(slug, self.evidence(self.differs[0]))


def bound_by(moderate: tuple[Tensor, Tensor], extreme: tuple[Tensor, Tensor]) -> str | None:
    """Return the mistake in a Bernoulli's cost that (got, expected) show at logits of about 30 and far larger ones.

    An overflow is right at 30, the log of a sigmoid is not; a bound makes errors too cheap from some logit on.
    """
    (got, expected), (far, right) = moderate, extreme
    if not far.isfinite().all():
        return "exp-overflows" if same(got, expected) else "log-of-sigmoid"
    dear = right > 10
    return "clamped" if bool((far[dear] < 0.99 * right[dear]).all()) else None


def observed(function: Callable[..., Any], exercise: Exercise, number: int) -> Observation:
    """Run a function on the probe of that number, always with the same seed."""
    seed(1000 + number)
    return observe(function, exercise.probes[number])


def by_values(
    attempt: Attempt,
    exercise: Exercise,
    shows: Sequence[Callable[[Sight], Verdict | None]] = (),
    keeps_dtype: bool = False,
) -> Verdict:
    """Judge by comparing with the solution on every probe and, if they differ, with the known mistakes.

    Args:
        attempt: The learner's function.
        exercise: The exercise.
        shows: Recognize a mistake by a property, however it is written, or return None.
        keeps_dtype: What comes back goes into a network, which takes its own dtype alone: remark on another.
    """
    expected = [observed(exercise.answer, exercise, i) for i in range(len(exercise.probes))]
    sight, remark, printed = Sight(attempt, exercise, [], expected), "", ""
    for i, probe in enumerate(exercise.probes):
        try:
            sight.got.append(observed(attempt, exercise, i))
        except Stopped as stopped:
            if kind_of_error(stopped) in exercise.errors:
                raise
            single = _in_float32(attempt, exercise, probe)
            if single is None and sight.differs:
                break
            if single is None:
                raise Stopped(str(stopped), stopped.evidence or block(probe, {})) from stopped
            sight.got.append(expected[i] if agree(*single) else single[0])
            remark = f" (Given float64, it stops; this task is in float32. {stopped})" if agree(*single) else ""
        if sight.differs == [i]:
            printed = attempt.printed
    if not sight.differs:
        pairs = [(seen[VALUE], wanted[VALUE]) for seen, wanted in zip(sight.got, expected, strict=True)]
        remark += next((f" ({finer(*pair)})" for pair in pairs if keeps_dtype and finer(*pair)), "")
        return exercise.passes(_coarse(pairs) + remark)
    attempt.printed = printed
    if slug := exercise.first(sight.is_):
        return exercise.named(slug, sight.evidence(sight.telling(exercise.mistake(slug).several)))
    for show in (Sight.bound, Sight.reduced, *shows, Sight.altered):
        if found := show(sight):
            return found
    wrong = sight.telling()
    if sight.random:
        return exercise.wrong(sight.random, sight.evidence(wrong))
    got, right = sight.got[wrong], expected[wrong]
    name = next(name for name in right if not same(got.get(name), right[name]))
    all_pairs = [(a.get(name), b[name]) for a, b in zip(sight.got, expected, strict=False) if name in b]
    words = in_words(name, got.get(name), right[name], all_pairs)
    if exercise.probes[wrong].far:
        words = f"For usual numbers your result is right, for these it is not. {words}"
    return exercise.wrong(words, sight.evidence(wrong))


def _in_float32(attempt: Attempt, exercise: Exercise, probe: Probe) -> tuple[Observation, Observation] | None:
    """Run function and solution on a float64 probe in float32; None for other probes, or if the function stops."""
    arguments = probe.make()
    if not any(isinstance(value, Tensor) and value.dtype == torch.float64 for value in arguments.values()):
        return None
    single = {n: v.float() if isinstance(v, Tensor) and v.is_floating_point() else v for n, v in arguments.items()}
    probe = replace(probe, make=lambda: {n: v.clone() if isinstance(v, Tensor) else v for n, v in single.items()})
    try:
        return observe(attempt, probe), observe(exercise.answer, probe)
    except Stopped:
        return None


def _coarse(pairs: list[tuple[Any, Any]]) -> str:
    """Return a remark if float64 comes in and less precise numbers come out."""
    for a, b in pairs:
        if isinstance(a, Tensor) and isinstance(b, Tensor) and TOLERANCE.get(a.dtype, 0) > TOLERANCE.get(b.dtype, 0):
            names = [str(value.dtype).removeprefix("torch.") for value in (b, a)]
            return f" (Given {names[0]}, it returns {names[1]} and loses digits: `torch.zeros_like` keeps the dtype.)"
    return ""
