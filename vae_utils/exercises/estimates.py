"""Judge estimators of d/dmu E[f(z)], z ~ N(mu, sigma^2), by the draws that they pass to f.

f is ours, so it sees every z. With the draws known, an estimator is a plain function of them, and can be compared with
the pathwise one, the score function and the known mistakes without any error bars. Only what is none of these is
judged by its average and its scatter over many calls, against closed forms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..draws import Sample, not_standard_normal
from ..mistakes import Mistake
from ..mistakes.noise import replay
from .attempt import Attempt, Stopped, seed
from .calls import (
    MANY,
    SKEWED,
    SQUARE,
    STEP,
    WIDE,
    Call,
    Case,
    Estimator,
    K,
    Way,
    call,
    calls_of,
    each_call,
    pathwise,
    score,
)
from .compare import apart, as_double, difference, kind, relation
from .exercise import Exercise
from .verdict import Evidence, Verdict


def all_zero(calls: list[Call]) -> bool:
    """Return whether every estimate is 0."""
    return all(abs(record.number) < 1e-4 for record in calls)


class Draws:
    """What characterizes many draws that f is given: their number, moments, and what repeats."""

    def __init__(self, function: Estimator):
        self.first, self.again, self.wide, wider = (call(function, case, MANY) for case in (SQUARE, SQUARE, WIDE, WIDE))
        self.count = len(self.first.z)
        pairs = ((self.first, self.again), (self.wide, wider))
        self.samples = [Sample(*(record.epsilon[:, None] for record in pair)) for pair in pairs]
        self.constant = self.count > 0 and self.samples[0].constant
        self.center = self.first.at_center and self.wide.at_center
        self.average = False  # whether f sees no more than the mean of n draws
        if self.constant or self.count < MANY:
            means = [call(function, SQUARE, MANY).epsilon.mean() for _ in range(15)]
            self.average = self.count > 0 and torch.stack(means).std().item() < 0.2

    def alike(self, other: Draws) -> bool:
        """Return whether two are of the same kind, within the standard errors of their moments."""
        if self.center or other.center:  # no noise at all, however often mu was passed to f
            return self.center == other.center
        if (self.constant, self.average) != (other.constant, other.average):
            return False
        if self.constant and self.average:  # the mean of the draws, however often it was passed to f
            return self.samples[0].repeats == other.samples[0].repeats
        return self.count > 0 and all(a.alike(b) for a, b in zip(self.samples, other.samples, strict=True))

    @cached_property
    def fault(self) -> tuple[str, Call]:
        """What is wrong with the draws, and a call that shows it; ('', a call) if nothing is."""
        first, wide = self.first, self.wide
        if self.count != MANY:
            return f"Of the n = {MANY:,} draws, `f` was given {self.count}.", first
        if self.constant:
            return f"All n = {MANY:,} draws are the same.", first
        if self.samples[0].repeats:
            return "Two calls roll the same ones.", first
        both = f", those of the call below and of one with mu = {wide.case.mu:g} and sigma = {wide.case.sigma:g}"
        together = torch.cat([first.epsilon, wide.epsilon])
        looked = (first.epsilon, first, " they"), (wide.epsilon, wide, " they"), (together, first, both)
        for noise, record, which in looked:
            if found := not_standard_normal(noise):
                how = f"Taken as (z - mu) / sigma{which} should be standard normal, and are not: {found}."
                return how, record
        return "", first

    def evidence(self, record: Call) -> Evidence:
        """Return the draws passed to f in one call, and in the next, if it had the same arguments."""
        case, rows = record.case, []
        shown = {"in one call": record} | ({"in the next": self.again} if record is self.first else {})
        for name, one in shown.items():
            rows.append((name, ", ".join(f"{z:.4g}" for z in one.z[:5].tolist()) + ", …" * (len(one.z) > 5)))
        moments = ((record.z, "z", case.mu, case.sigma), (record.epsilon, "(z - mu) / sigma", 0, 1))
        for values, name, mean, deviation in moments:
            found = f"mean {values.mean().item():.3g} (expected {mean:g}), "
            spread = f"standard deviation {values.std(correction=0).item():.3g} (expected {deviation:g})"
            rows.append((name, found + spread))
        about = f"With mu = {case.mu:g}, sigma = {case.sigma:g}, n = {MANY}, `f` was given"
        return Evidence(about, tuple(rows))


@dataclass
class Sight:
    """The calls of one estimator, and which way is the right one."""

    attempt: Attempt
    exercise: Exercise
    right: Way
    calls: list[Call]

    def fit(self, way: Way, calls: list[Call] | None = None) -> bool:
        """Return whether every estimate is this one, for its draws."""
        return all(record.fits(way) for record in (self.calls if calls is None else calls))

    def wrong(self, text: str, record: Call | None = None) -> Verdict:
        """Return the verdict on an unknown mistake."""
        return self.exercise.wrong(text, self.evidence(record))

    def evidence(self, record: Call | None = None) -> Evidence:
        """Return a call: the draws, what came out, what was expected of these draws."""
        wrong = (one for one in self.calls if one.n == 2 and not one.fits(self.right))
        record = record or next(wrong, self.calls[-1])
        case, rows = record.case, []
        came, wanted = f"{record.number:.4g}", ""
        if record.readable and len(record.z):
            drawn = ", ".join(f"{z:.4g}" for z in record.z[:6].tolist()) + ", …" * (len(record.z) > 6)
            rows.append(("f was given", drawn))
            right = self.right(record)
            came, wanted = (came, came) if record.fits(self.right) else apart(record.number, right)
        rows += [("came out", came), *([("expected of these draws", wanted)] if wanted else [])]
        return Evidence(f"This went in: {case}, n = {record.n}", (*rows, ("the true slope", f"{case.truth:.4g}")))

    @property
    def one_draw_each(self) -> bool:
        """Whether f saw n draws in each call, and their numbers could be read."""
        return all(record.readable and len(record.z) == record.n for record in self.calls)

    @cached_property
    def draws(self) -> Draws:
        """Many draws, after those of the calls."""
        return Draws(self.attempt)

    @cached_property
    def uses_the_slope(self) -> bool:
        """Whether the estimate changes, or fails, if f lets no gradient through."""
        mu, sigma = SQUARE.parameters()
        values: list[Tensor | None] = []
        for cut in (False, True):
            seed(7)
            try:
                value = self.attempt(lambda z, cut=cut: SQUARE.f(z.detach() if cut else z), mu, sigma, 5)
            except Stopped:
                return True
            values.append(as_double(value))
        attached, detached = values
        return attached is None or detached is None or not torch.allclose(attached, detached, rtol=1e-3)

    def is_(self, mistake: Mistake) -> bool:
        """Return whether a mistake gives these values: after the same seeds, or with the draws that f saw."""
        try:
            own: list[Call] = []  # as few as tell the two apart
            for record, other in zip(self.calls, each_call(mistake.function, self.calls[0].n), strict=True):
                own.append(other)
                if not record.near(other.number):
                    break
            else:
                # Else only its noise is wrong, or it is always 0, which are recognized elsewhere.
                return not (self.fit(self.right, own) or all_zero(own))
            if all_zero(self.calls) or not self.one_draw_each or any(record.at_center for record in self.calls):
                return False
            for record in self.calls:
                with replay(record.epsilon):
                    if not record.near(call(mistake.function, record.case, record.n).number):
                        return False
        except (RuntimeError, ValueError, IndexError):
            return False
        return True

    def rolls_like(self, mistake: Mistake) -> bool:
        """Return whether a mistake's formula is right, and its draws are wrong in the way that these are."""
        try:
            if not all(record.fits(self.right) for record in each_call(mistake.function)):
                return False
            seed(1)
            other = Draws(mistake.function)
        except (RuntimeError, ValueError):
            return False
        return bool(other.fault[0]) and self.draws.alike(other)

    def divisors(self) -> dict[int, float]:
        """Return what the sum over n draws is divided by, for each n, if that depends on n alone; else {}."""
        found: dict[int, list[float]] = {}
        for record in self.calls:
            right = self.right(record) if self.one_draw_each else 0
            if abs(right) < 1e-3 or abs(record.number) < 1e-4:
                return {}
            found.setdefault(record.n, []).append(record.n * right / record.number)
        if any(max(each) - min(each) > 2e-3 * abs(each[0]) or min(each) <= 0 for each in found.values()):
            return {}
        means = {n: sum(each) / len(each) for n, each in found.items()}
        factors = [n / divisor for n, divisor in means.items()]
        return means if max(factors) - min(factors) > 5e-3 * max(factors) else {}

    def fixed_count(self) -> str:
        """Report that f is given the same number of draws (3 or more) whatever n is; '' if it is not."""
        counts = {len(record.z) if record.readable else 0 for record in self.calls}
        if len(counts) > 1 or max(counts) < 3:
            return ""
        whatever = "whatever n is: also for n = 2 and for n = 10. Draw n values of z."
        return f"`f` was given {max(counts):,} draws, {whatever}"

    def other_count(self) -> Call | None:
        """Return a call in which f was not given n draws, nor n in mirrored pairs; None if there is none."""
        for record in reversed(self.calls):
            pairs = record.mirrored and record.distinct >= record.n
            if record.readable and record.distinct != record.n and len(record.z) != record.n and not pairs:
                return record
        return None


def by_estimates(
    attempt: Attempt, exercise: Exercise, right: Way, zero: Callable[[list[Call]], str], also: tuple[Way, ...] = ()
) -> Verdict:
    """Judge an estimator.

    Args:
        attempt: The learner's function.
        exercise: The exercise.
        right: The estimator that is asked for, from the draws of a call.
        zero: From the calls, the slug of the mistake for which every estimate is 0.
        also: Others that are right, too.
    """
    calls = calls_of(attempt)
    for record in calls:
        if found := _no_number(record, exercise):
            return found
    sight = Sight(attempt, exercise, right, calls)
    if all(record.readable for record in calls) and not calls[0].draws:
        return exercise.wrong("Your function never calls `f`. Draw n values of z and give them to `f`.")
    if all_zero(calls) and not all(record.at_center for record in calls):
        if right is pathwise and any(one.came_back and one.attached and not one.silent for one in calls):
            return sight.wrong(CLEARED)
        return exercise.named(zero(calls), sight.evidence())
    read = next((way for way in (right, *also) if sight.fit(way)), None)
    if found := _of_draws(sight) if read else _of_formula(sight):
        return found
    if second := _accumulates(attempt, read or right):
        return exercise.named("grad-accumulates", second)
    return exercise.passes(_remarks(calls))


CLEARED = (
    "What you return is always 0, although a gradient does come back through `f` to the draws. Is it cleared before "
    "you return it (`.grad` stays the same tensor when `zero_()` empties it: take a `.clone()` first), or do the draws "
    "not hang on `mu`?"
)
BY_DIFFERENCES = (
    "Your estimate is made of differences of f at shifted draws (finite differences): the slope of f, without "
    "autograd. Where f is smooth that is right, or nearly so; where f jumps it fails. The score function is asked "
    "for, which needs no slope of f at all: the value f(z) of each draw, times the slope of log q(z) at that draw."
)


def _remarks(calls: list[Call]) -> str:
    """Return remarks on a right estimator: if it gives no number for n = 1, or one in another shape."""
    text = " (For n = 1 there is no number; more draws are needed.)" if calls[0].n > 1 else ""
    shapes = {tuple(record.value.shape) for record in calls if isinstance(record.value, Tensor)}
    if shapes - {()}:
        text += f" (Yours comes in the shape {next(iter(shapes - {()}))}; a scalar tensor, of shape (), is asked for.)"
    return text


def _no_number(record: Call, exercise: Exercise) -> Verdict | None:
    """Describe what a call returned; None if it is one finite number."""
    value, case = record.value, record.case
    where = f" (With {case}, n = {record.n}.)"
    if value is None:
        text = (
            "Either a `return` is missing, or you return a `.grad` that no gradient has reached: of a tensor not in "
            "the calculation, or itself the result of one (no leaf; `x.detach().requires_grad_()` is one)."
        )
        return exercise.wrong(f"Your function returned nothing (`None`). {text}{where}")
    found = as_double(value)
    if found is not None and found.numel() == 1 and found.isfinite().all():
        return None
    if found is not None and found.shape == (record.n,) and record.n > 1:
        return exercise.named("not-averaged")
    if isinstance(value, tuple) and len(value) == 1:
        text = "You return a tuple with one entry. `torch.autograd.grad` gives a tuple: take its first entry, `[0]`."
        return exercise.wrong(text + where)
    scalar = found.new_zeros(found.shape if found.numel() == 1 else ()) if found is not None else torch.tensor(0.0)
    message = difference(value, scalar) or f"Your function returned {kind(value)}."
    return exercise.wrong(message.replace("()", "() (a scalar)") + where)


def _of_formula(sight: Sight) -> Verdict:
    """Judge an estimator that is not the right one for its draws."""
    exercise = sight.exercise
    if slug := exercise.first(sight.is_):
        if slug == "pathwise-instead" and not sight.uses_the_slope:
            return sight.wrong(BY_DIFFERENCES)
        return exercise.named(slug, sight.evidence())
    if divisors := sight.divisors():
        for slug, by in (("divided-by-n-minus-1", -1), ("divided-by-n-plus-1", 1)):
            if all(abs(divisor - (n + by)) < 1e-2 for n, divisor in divisors.items() if n > 1):
                return exercise.named(slug, sight.evidence())
        listed = ", ".join(f"by {divisor:.4g} for n = {n}" for n, divisor in divisors.items())
        return sight.wrong(
            f"You divide the sum over the draws {listed}. For an average over n draws it is divided by n: yours is not "
            "right on average."
        )
    if sight.one_draw_each:
        pairs = [(torch.tensor(record.number), torch.tensor(sight.right(record))) for record in sight.calls]
        if rule := relation(pairs):
            return sight.wrong(f"For the draws that `f` was given, {rule[0].lower()}{rule[1:]}")
        off = [record.n * (record.number - sight.right(record)) for record in sight.calls]
        if max(off) - min(off) < 1e-2 < abs(off[0]):
            return sight.wrong(
                f"For the draws that `f` was given, the sum of the n estimates is off by {off[0]:.3g} before you "
                "divide it by n, whatever n is. Does it start at 0?"
            )
    if fixed := sight.fixed_count():
        return sight.wrong(fixed)
    found = _by_average(sight)
    if found.passed or found.mistake or sight.draws.center or not (slug := exercise.first(sight.rolls_like)):
        return found
    return exercise.named(slug, sight.draws.evidence(sight.draws.first))


def _of_draws(sight: Sight) -> Verdict | None:
    """Judge the draws of an estimator whose formula is right; None if they are right, too."""
    exercise, draws = sight.exercise, sight.draws
    if fixed := sight.fixed_count():
        return sight.wrong(fixed)
    by_slope = sight.right is score or sight.uses_the_slope  # else by differences: f is called at more than the draws
    record = sight.other_count() if by_slope and draws.count != 1 and not draws.constant else None
    if record or (draws.count <= MANY and draws.fault[0]):
        slug = exercise.first(sight.rolls_like) if draws.count <= MANY else None
        if slug:
            return exercise.named(slug, draws.evidence(draws.first))
        if record:
            return _count(sight, record, len(record.z))
    if draws.count > MANY:  # several values of f for each draw
        return _by_average(sight)
    how, shown = draws.fault
    if how:
        return exercise.wrong(
            f"What your function does with its draws is right; the draws are not. {how}", draws.evidence(shown)
        )
    few = torch.cat([call(sight.attempt, WIDE, 2).epsilon for _ in range(300)])
    if len(few) == 600 and (how := not_standard_normal(few)):
        return exercise.wrong(
            "What your function does with its draws is right; with few draws, the draws are not. Those of 300 calls "
            f"with n = 2, taken as (z - mu) / sigma, should be standard normal, and are not: {how}. Every draw needs a "
            "roll of its own, used as it is."
        )
    return None


def _count(sight: Sight, record: Call, count: int) -> Verdict:
    """Return the verdict on another number of draws than n."""
    given = f"{count:,} draw{'s' * (count != 1)}" if count else "no draws"
    return sight.wrong(f"`f` was given {given}, and n is {record.n}. Draw n values of z.", record)


def _accumulates(attempt: Attempt, right: Way) -> Evidence | None:
    """Return a second call with the same mu whose value is not that of its own draws; None if it is."""
    mu, sigma = SQUARE.parameters()
    rows = []
    for name in ("first call", "second call"):
        record = Call(SQUARE, 5)
        record.value = attempt(record.f, mu, sigma, 5)
        rows.append((name, f"{record.number:.4g}, for its draws {right(record):.4g}"))
    about = f"Two calls with the same `mu`, f(z) = {SQUARE.text}, n = 5:"
    return None if record.fits(right) else Evidence(about, tuple(rows))


def _by_average(sight: Sight) -> Verdict:
    """Judge what is neither right nor a known mistake for its draws by the mean and the scatter of many calls."""
    attempt, exercise, right = sight.attempt, sight.exercise, sight.right
    calls, n = 100, 60
    for case in (SQUARE, WIDE, SKEWED):
        found = torch.tensor([call(attempt, case, n).number for _ in range(calls)], dtype=torch.float64)
        mean, error = found.mean().item(), found.std().item() / calls**0.5
        known = math.inf if case is SKEWED else 4 * case.sigma**2 if right is pathwise else score_variance(case)
        if not math.isfinite(error) or abs(mean - case.truth) > 7 * error + 2e-3 * abs(case.truth):
            return _not_the_slope(sight, "The average of your estimates", case, n, calls, mean, error)
        if found.var().item() * n > 2.5 * known:
            return exercise.wrong(
                f"Your estimates scatter more than they need to. With {case}, the variance of one draw's "
                f"estimate is {found.var().item() * n:.3g}; {exercise.name} has {known:.3g}. (The average of {calls} "
                f"calls was {mean:.2f} ± {error:.2f}; the slope is {case.truth:g}.)"
            )
    if right is score and sight.uses_the_slope:
        return exercise.named("pathwise-instead")
    if right is score and _fails_where_f_jumps(attempt):
        return exercise.wrong(BY_DIFFERENCES)
    for few in (2, 3):
        if biased := _of_few(sight, few):
            return biased
    if record := next((record for record in sight.calls if record.readable and record.distinct < record.n), None):
        return _count(sight, record, record.distinct)
    return exercise.passes(_remarks(sight.calls))


def _of_few(sight: Sight, n: int) -> Verdict | None:
    """Judge the average with few draws, where a wrong divisor shows; None if it is right."""
    values: list[float] = []
    for calls in (400, 4000):
        values += [call(sight.attempt, WIDE, n).number for _ in range(calls - len(values))]
        found = torch.tensor(values, dtype=torch.float64)
        mean, error = found.mean().item(), found.std().item() / calls**0.5
        off = abs(mean - WIDE.truth) - 2e-3 * abs(WIDE.truth)
        if off > 7.5 * error:
            return _not_the_slope(sight, "With few draws, the average of your estimates", WIDE, n, calls, mean, error)
        if off < 3 * error:
            break
    return None


def _not_the_slope(sight: Sight, what: str, case: Case, n: int, calls: int, mean: float, error: float) -> Verdict:
    factor = mean / case.truth
    times = f" ({factor:.2f} times)" if abs(factor) > 0.02 and abs(factor - 1) > 0.02 else ""
    return sight.wrong(
        f"{what} is not the slope. With {case}, {calls:,} calls with n = {n} gave {mean:.2f} ± {error:.2f} on "
        f"average; the slope of E[f(z)] is {case.truth:g}{times}."
    )


def _fails_where_f_jumps(attempt: Attempt) -> bool:
    """Return whether the estimate is often exactly 0 for an f that is 0 or 1, as finite differences are."""
    try:
        return sum(call(attempt, STEP, 60).number == 0 for _ in range(30)) > 5
    except Stopped:
        return False


def score_variance(case: Case) -> float:
    """Return the variance of one draw's score-function estimate of the slope for mu, with f(z) = (z - K)^2."""
    d, s = case.mu - K, case.sigma
    return (d**4 + 14 * d**2 * s**2 + 15 * s**4) / s**2
