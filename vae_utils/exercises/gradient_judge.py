"""Judge estimators of d/dmu E[f(z)], z ~ N(mu, sigma^2), by the draws that they pass to f.

f is ours, so it sees every z. With the draws known, an estimator is a plain function of them, and can be compared with
the pathwise one, the score function and the known mistakes without any error bars. Only what is none of these is
judged by its average and its scatter over many calls, against closed forms.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ..mistakes import Mistake
from ..mistakes.noise import replay
from .attempt import Attempt, Stopped, seed
from .compare import apart, as_double, difference, kind, relation, shortened
from .exercise import Exercise
from .randomness import not_standard_normal
from .verdict import Result

Function = Callable[[Tensor], Tensor]
Estimator = Callable[[Function, Tensor, Tensor, int], Tensor]


@dataclass(frozen=True)
class Case:
    """A function f to estimate the gradient for.

    Attributes:
        text: f, for the learner.
        f: The function, elementwise.
        slope: Its derivative.
        mu: Mean of the draws.
        sigma: Standard deviation of the draws.
        truth: The true gradient d/dmu E[f(z)].
        dtype: Of mu and sigma.
    """

    text: str
    f: Function
    slope: Function
    mu: float
    sigma: float
    truth: float
    dtype: torch.dtype = torch.float32

    def parameters(self) -> tuple[Tensor, Tensor]:
        """Return mu, which requires a gradient, and sigma, each of shape ()."""
        mu, sigma = (torch.tensor(number, dtype=self.dtype) for number in (self.mu, self.sigma))
        return mu.requires_grad_(), sigma


K = 3.0
SQUARE = Case("(z - 3)²", lambda z: (z - K) ** 2, lambda z: 2 * (z - K), 1.0, 0.5, -4.0)
WIDE = Case("(z - 3)²", lambda z: (z - K) ** 2, lambda z: 2 * (z - K), -1.0, 2.0, -8.0)
WAVE = Case("sin(z)", torch.sin, torch.cos, 0.5, 1.5, math.cos(0.5) * math.exp(-1.125), torch.float64)
CASES = (SQUARE, WIDE, WAVE)
SKEWED = Case("exp(z)", torch.exp, torch.exp, 0.0, 0.5, math.exp(0.125))
STEP = Case("1 where z > 1/2, else 0", lambda z: (z > 0.5).to(z.dtype), torch.zeros_like, 0.5, 1.0, 0.3989)
SIZES = (1, 2, 3, 10)
MANY = 1000


@dataclass
class Call:
    """One call of an estimator: its value, and what f saw.

    Attributes:
        case: The function f, mu and sigma.
        n: The number of draws asked for.
        value: What the estimator returned.
        draws: What f was called with, flattened, in float64.
        readable: Whether the draws could be read.
        attached: Whether a gradient could pass through some draw.
        silent: Whether some draw is of the kind that sends zeros back.
        came_back: Whether a gradient other than 0 arrived at some loss.
    """

    case: Case
    n: int
    value: Any = None
    draws: list[Tensor] = field(default_factory=list)
    readable: bool = True
    attached: bool = False
    silent: bool = False
    came_back: bool = False

    def f(self, z: Tensor) -> Tensor:
        """Evaluate the case's f, and record the draws."""
        if not isinstance(z, Tensor):
            raise TypeError(f"f takes a tensor of draws, not {kind(z)}")
        self.attached |= z.grad_fn is not None
        self.silent |= _sends_zeros(z)
        values = _values(z)
        if values is None:
            self.readable = False
        else:
            self.draws.append(values.double().flatten())
        losses = self.case.f(z)
        if values is not None and losses.requires_grad and self.n <= max(SIZES) and not self.came_back:
            with contextlib.suppress(RuntimeError):  # torch.func's tensors take no hooks
                losses.register_hook(self._arrives)
        return losses

    def _arrives(self, gradient: Tensor) -> None:
        with contextlib.suppress(RuntimeError):
            self.came_back |= bool(gradient.detach().abs().max() > 0)

    @property
    def z(self) -> Tensor:
        """All draws that f saw, in order."""
        return torch.cat(self.draws) if self.draws else torch.empty(0).double()

    @property
    def epsilon(self) -> Tensor:
        """The noise of the draws, (z - mu) / sigma."""
        return (self.z - self.case.mu) / self.case.sigma

    @property
    def distinct(self) -> int:
        """The number of different draws that f saw."""
        return len(self.z.unique())

    @property
    def mirrored(self) -> bool:
        """Whether each draw has its mirror image on the other side of mu."""
        ordered = self.epsilon.sort().values
        return bool(torch.allclose(ordered, -ordered.flip(0), rtol=1e-4, atol=1e-4))

    @property
    def at_center(self) -> bool:
        """Whether all that f saw is mu itself."""
        return self.readable and len(self.z) > 0 and bool((self.epsilon.abs() < 1e-5).all())

    @property
    def number(self) -> float:
        """The estimate as a number; NaN if it is none."""
        found = as_double(self.value)
        return found.item() if found is not None and found.numel() == 1 else math.nan


def _sends_zeros(z: Tensor) -> bool:
    """Return whether the graph behind z holds `torch.normal`, whose gradient for mu is 0 in PyTorch."""
    ahead, seen = [z.grad_fn], set()
    while ahead:
        step = ahead.pop()
        if step is None or step in seen:
            continue
        if type(step).__name__.startswith("NormalBackward"):
            return True
        seen.add(step)
        ahead += [before for before, _ in step.next_functions]
    return False


def _values(z: Tensor) -> Tensor | None:
    """Return a tensor's numbers; None if torch.func's transformations hide them."""
    with contextlib.suppress(AttributeError):
        functorch = torch._C._functorch
        while functorch.is_functorch_wrapped_tensor(z):
            if functorch.is_batchedtensor(z):
                return None
            z = functorch.get_unwrapped(z)
    try:
        return z.detach().clone()
    except RuntimeError:
        return None


def call(function: Estimator, case: Case, n: int) -> Call:
    """Call an estimator once, and record what it does; one that fails in float64 is tried in float32."""
    seen = Call(case, n)
    mu, sigma = case.parameters()
    state = torch.get_rng_state()
    try:
        seen.value = function(seen.f, mu, sigma, n)
    except Stopped:
        if case.dtype != torch.float64:
            raise
        torch.set_rng_state(state)  # the task asks for float32 only
        return call(function, replace(case, dtype=torch.float32), n)
    return seen


def pathwise(record: Call) -> float:
    """Return the pathwise estimate for the draws of a call."""
    return record.case.slope(record.z).mean().item()


def score(record: Call) -> float:
    """Return the score-function estimate for the draws of a call."""
    return (record.case.f(record.z) * record.epsilon / record.case.sigma).mean().item()


def leave_one_out(record: Call) -> float:
    """Return the score-function estimate with the mean of the *other* draws' losses as baseline: unbiased, too."""
    n, f = len(record.z), record.case.f(record.z)
    if n < 2:
        return score(record)
    return ((f - (f.sum() - f) / (n - 1)) * record.epsilon / record.case.sigma).mean().item()


def judge(
    right: Callable[[Call], float],
    also: tuple[Callable[[Call], float], ...],
    detached: str,
    zero: Callable[[list[Call]], str],
) -> Callable[..., Any]:
    """Return the judge of an exercise.

    Args:
        right: The estimator that is asked for, from the draws of a call.
        also: Others that are right, too.
        detached: Slug of the mistake for which autograd says that there is nothing to differentiate.
        zero: From the calls, the slug of the mistake for which every estimate is 0.
    """

    def judged(attempt: Attempt, exercise: Exercise) -> Result:
        try:
            calls = _all_calls(attempt)
        except Stopped as stopped:
            if _nothing_to_differentiate(stopped):
                why = exercise.mistake(detached).why
                raise Named(detached, f"{why}\n\nIn your function:\n\n    {_error(stopped)}") from stopped
            raise
        for record in calls:
            _demand_number(record, exercise)
        reading = [way for way in (right, *also) if all(_fits(record, way(record)) for record in calls)]
        if all(record.readable for record in calls) and not calls[0].draws:
            raise Stopped("Your function never calls `f`. Draw n values of z and give them to `f`.")
        if _nothing(calls) and not all(record.at_center for record in calls):
            if (
                any(record.came_back and record.attached and not record.silent for record in calls)
                and right is pathwise
            ):
                raise Stopped(
                    "What you return is always 0, although a gradient does come back through `f` to the draws. Is it "
                    "cleared before you return it (`.grad` stays the same tensor when `zero_()` empties it: take a "
                    f"`.clone()` first), or do the draws not hang on `mu`?\n\n{_shown(calls, right)}"
                )
            slug = zero(calls)
            return Result(False, slug, f"{exercise.mistake(slug).why}\n\n{_shown(calls, right)}")
        if not reading:
            for mistake in exercise.mistakes:
                if _is(mistake, calls, right):
                    if mistake.slug == "pathwise-instead" and not _uses_the_slope(attempt):
                        raise Stopped(f"{BY_DIFFERENCES}\n\n{_shown(calls, right)}")
                    return Result(False, mistake.slug, f"{mistake.why}\n\n{_shown(calls, right)}")
            if divisors := _divisors(calls, right):
                known = _divisors_name(divisors, exercise)
                listed = ", ".join(f"by {divisor:.4g} for n = {n}" for n, divisor in divisors.items())
                text = (
                    f"You divide the sum over the draws {listed}. For an average over n draws it is divided by n: "
                    "yours is not right on average."
                )
                if known:
                    text = exercise.mistake(known).why
                return Result(False, known, f"{text}\n\n{_shown(calls, right)}")
            if factor := _factor(calls, right):
                raise Stopped(f"For the draws that `f` was given, {factor}\n\n{_shown(calls, right)}")
            if fixed := _fixed_count(calls):
                raise Stopped(f"{fixed}\n\n{_shown(calls, right)}")
            try:
                return _by_average(attempt, exercise, calls, right)
            except Stopped:
                sample = _sample(attempt)
                found = None if sample["center"] else _known_noise(exercise, right, sample)
                if found is None:
                    raise
                return found
        if found := _noise(attempt, exercise, right, calls):
            return found
        if second := _accumulates(attempt, reading[0]):
            return Result(False, "grad-accumulates", exercise.mistake("grad-accumulates").why + second)
        return Result(True, None, exercise.right + _remarks(calls))

    def named(attempt: Attempt, exercise: Exercise) -> Result:
        try:
            return judged(attempt, exercise)
        except Named as found:
            return Result(False, found.slug, str(found))

    return named


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


def _divisors(calls: list[Call], right: Callable[[Call], float]) -> dict[int, float]:
    """Return what the sum over n draws is divided by, for each n, if that depends on n alone; else {}."""
    found: dict[int, list[float]] = {}
    for record in calls:
        if (
            not (record.readable and len(record.z) == record.n)
            or abs(right(record)) < 1e-3
            or abs(record.number) < 1e-4
        ):
            return {}
        found.setdefault(record.n, []).append(record.n * right(record) / record.number)
    if any(max(each) - min(each) > 2e-3 * abs(each[0]) or min(each) <= 0 for each in found.values()):
        return {}
    means = {n: sum(each) / len(each) for n, each in found.items()}
    factors = [n / divisor for n, divisor in means.items()]
    return means if max(factors) - min(factors) > 5e-3 * max(factors) else {}


def _divisors_name(divisors: dict[int, float], exercise: Exercise) -> str | None:
    """Return the slug of the known mistake that divides so; None if there is none."""
    for slug, by in (("divided-by-n-minus-1", -1), ("divided-by-n-plus-1", 1)):
        if slug in exercise.mistakes_by_slug and all(
            abs(divisor - (n + by)) < 1e-2 for n, divisor in divisors.items() if n > 1
        ):
            return slug
    return None


def _fixed_count(calls: list[Call]) -> str:
    """Report that f is given the same number of draws (3 or more) whatever n is; '' if it is not."""
    counts = {len(record.z) for record in calls}
    if not all(record.readable for record in calls) or len(counts) > 1 or max(counts) < 3:
        return ""
    return f"`f` was given {max(counts):,} draws, whatever n is: also for n = 2 and for n = 10. Draw n values of z."


def _other_count(calls: list[Call]) -> Call | None:
    """Return a call in which f was not given n draws, nor n in mirrored pairs; None if there is none."""
    for record in reversed(calls):
        pairs = record.mirrored and record.distinct >= record.n
        if record.readable and record.distinct != record.n and len(record.z) != record.n and not pairs:
            return record
    return None


class Named(Exception):
    """Raised to end a check with a known mistake."""

    def __init__(self, slug: str, message: str):
        super().__init__(message)
        self.slug = slug


def _calls(function: Estimator, smallest: int = 1) -> Iterator[Call]:
    """Call the function for every case and size, each after a seed of its own."""
    for i, case in enumerate(CASES):
        for j, n in enumerate(SIZES):
            if n >= smallest:
                seed(100 + 10 * i + j)
                yield call(function, case, n)


def _all_calls(function: Estimator) -> list[Call]:
    """Return all calls; those for n = 1 only if they give a number: some estimators need a second draw."""
    try:
        calls = list(_calls(function))
    except Stopped as stopped:
        if not isinstance(stopped.__cause__, ZeroDivisionError):
            raise
        return list(_calls(function, 2))
    values = [as_double(record.value) for record in calls]
    if any(record.n == 1 and v is not None and not v.isfinite().all() for record, v in zip(calls, values, strict=True)):
        return [record for record in calls if record.n > 1]
    return calls


def _demand_number(record: Call, exercise: Exercise) -> None:
    """Raise Stopped or Named unless the call returned one finite number."""
    value = record.value
    where = (
        f" (With f(z) = {record.case.text}, mu = {record.case.mu:g}, sigma = {record.case.sigma:g}, n = {record.n}.)"
    )
    if value is None:
        raise Stopped(
            "Your function returned nothing (`None`). Either a `return` is missing, or you return a `.grad` that no "
            f"gradient has reached.{where}"
        )
    found = as_double(value)
    if found is not None and found.numel() == 1 and found.isfinite().all():
        return
    if (
        found is not None
        and record.n > 1
        and found.shape == (record.n,)
        and "not-averaged" in exercise.mistakes_by_slug
    ):
        raise Named("not-averaged", exercise.mistake("not-averaged").why)
    if isinstance(value, tuple) and len(value) == 1:
        raise Stopped(
            "You return a tuple with one entry. `torch.autograd.grad` gives a tuple: take its first entry, "
            f"`[0]`.{where}"
        )
    scalar = found.new_zeros(found.shape if found.numel() == 1 else ()) if found is not None else torch.tensor(0.0)
    message = difference(value, scalar) or f"Your function returned {kind(value)}."
    raise Stopped(message.replace("()", "() (a scalar)") + where)


def _fits(record: Call, expected: float) -> bool:
    return record.readable and len(record.z) > 0 and math.isclose(record.number, expected, rel_tol=1e-3, abs_tol=2e-4)


def _is(mistake: Mistake, calls: list[Call], right: Callable[[Call], float]) -> bool:
    """Return whether the mistake gives these values: after the same seeds, or with the draws that f saw."""
    try:
        own: list[Call] = []  # as few as tell the two apart
        for record, other in zip(calls, _calls(mistake.function, calls[0].n), strict=True):
            own.append(other)
            if not _near(record, other):
                break
        else:
            # Else only its noise is wrong, or it is always 0, which are recognized elsewhere.
            return not (all(_fits(record, right(record)) for record in own) or _nothing(own))
        if _nothing(calls) or not all(record.readable and not record.at_center for record in calls):
            return False
        for record in calls:
            if len(record.epsilon) != record.n:
                return False
            with replay(record.epsilon):
                if not _near(record, call(mistake.function, record.case, record.n)):
                    return False
    except (RuntimeError, ValueError, IndexError):
        return False
    return True


def _nothing(calls: list[Call]) -> bool:
    """Return whether every estimate is 0."""
    return all(abs(record.number) < 1e-4 for record in calls)


def _near(a: Call, b: Call) -> bool:
    return math.isclose(a.number, b.number, rel_tol=1e-3, abs_tol=2e-4)


def _factor(calls: list[Call], right: Callable[[Call], float]) -> str:
    """Describe one relation between the estimates and the right ones for the same draws; '' if there is none."""
    if not all(record.readable and len(record.z) == record.n for record in calls):
        return ""
    pairs = [(torch.tensor(record.number), torch.tensor(right(record))) for record in calls]
    found = relation(pairs)
    return found and f"{found[0].lower()}{found[1:]}"


def _noise(attempt: Attempt, exercise: Exercise, right: Callable[[Call], float], calls: list[Call]) -> Result | None:
    """Judge the noise of an estimator whose formula is right.

    Returns:
        None if the noise is right, or the known mistake.

    Raises:
        Stopped: The noise is wrong in another way.
    """
    sample = _sample(attempt)
    if fixed := _fixed_count(calls):
        raise Stopped(f"{fixed}\n\n{_shown(calls, right)}")
    by_slope = right is score or _uses_the_slope(attempt)  # else by differences: f is called at more than the draws
    if by_slope and sample["count"] != 1 and not sample["constant"] and (record := _other_count(calls)):
        found = _known_noise(exercise, right, sample) if sample["count"] < MANY else None
        if found:
            return found
        count = f"{len(record.z):,} draw{'s' * (len(record.z) != 1)}"
        raise Stopped(f"`f` was given {count}, and n is {record.n}. Draw n values of z.\n\n{_shown([record], right)}")
    if sample["count"] > MANY:  # several values of f for each draw
        return _by_average(attempt, exercise, [sample["calls"][0]], right)
    wrong, shown = _wrong_noise(sample)
    if not wrong:
        few = torch.cat([call(attempt, WIDE, 2).epsilon for _ in range(300)])
        if how := not_standard_normal(few) if len(few) == 600 else "":
            raise Stopped(
                "What your function does with its draws is right; with few draws, the draws are not. Those of 300 "
                f"calls with n = 2, taken as (z - mu) / sigma, should be standard normal, and are not: {how}. "
                "Every draw needs a roll of its own, used as it is."
            )
        return None
    if found := _known_noise(exercise, right, sample):
        return found
    text = f"What your function does with its draws is right; the draws are not. {wrong}"
    raise Stopped(f"{text}\n\n{_draws_shown(shown, sample['next'] if shown is sample['calls'][0] else None)}")


def _wrong_noise(sample: dict[str, Any]) -> tuple[str, Call]:
    """Describe what is wrong with the draws, and return a call that shows it; ('', a call) if nothing is."""
    first, wide = sample["calls"]
    if sample["count"] != MANY:
        return f"Of the n = {MANY:,} draws, `f` was given {sample['count']}.", first
    if sample["constant"]:
        return f"All n = {MANY:,} draws are the same.", first
    if sample["repeats"]:
        return "Two calls roll the same ones.", first
    for record in (first, wide):
        if found := not_standard_normal(record.epsilon):
            return f"Taken as (z - mu) / sigma they should be standard normal, and are not: {found}.", record
    if found := not_standard_normal(torch.cat([first.epsilon, wide.epsilon])):
        both = f"those of the call below and of one with mu = {wide.case.mu:g} and sigma = {wide.case.sigma:g}"
        return f"Taken as (z - mu) / sigma, {both} should be standard normal, and are not: {found}.", first
    return "", first


def _known_noise(exercise: Exercise, right: Callable[[Call], float], sample: dict[str, Any]) -> Result | None:
    """Return the known mistake whose formula is right and whose draws are wrong in the same way; None if none is."""
    for mistake in exercise.mistakes:
        try:
            if not all(_fits(record, right(record)) for record in _calls(mistake.function)):
                continue
            seed(1)
            other = _sample(mistake.function)
        except (RuntimeError, ValueError):
            continue
        if _wrong_noise(other)[0] and _alike(sample, other):
            first, _ = sample["calls"]
            return Result(False, mistake.slug, f"{mistake.why}\n\n{_draws_shown(first, sample['next'])}")
    return None


def _sample(function: Estimator) -> dict[str, Any]:
    """Return what characterizes the draws that f is given: their number, moments, and what repeats."""
    first, second, wide = (call(function, case, MANY) for case in (SQUARE, SQUARE, WIDE))
    epsilon = first.epsilon
    constant = len(epsilon) > 0 and bool((epsilon - epsilon[:1]).abs().max() < 1e-5)
    few = constant or len(epsilon) < MANY
    others = [call(function, SQUARE, MANY).epsilon.mean() for _ in range(15)] if few else []
    moments = [(record.epsilon.mean().item(), record.epsilon.std(correction=0).item()) for record in (first, wide)]
    return {
        "calls": (first, wide),
        "next": second,
        "count": len(epsilon),
        "constant": constant,
        "center": first.at_center and wide.at_center,
        "repeats": torch.equal(first.z, second.z),
        "average": bool(others) and torch.stack(others).std().item() < 0.2,
        "bounded": len(epsilon) > 0 and bool((epsilon - epsilon.mean()).abs().max() < 2 * epsilon.std(correction=0)),
        "moments": moments,
    }


def _draws_shown(record: Call, again: Call | None) -> str:
    """Format the draws passed to f in one call, and in the next, if there is one."""
    case, draws = record.case, record.z
    rows = {"in one call": record} | ({"in the next": again} if again else {})
    text = f"With mu = {case.mu:g}, sigma = {case.sigma:g}, n = {MANY}, `f` was given\n\n"
    for name, shown in rows.items():
        listed = ", ".join(f"{z:.4g}" for z in shown.z[:5].tolist())
        text += f"    {name}: {listed}{', …' if len(shown.z) > 5 else ''}\n"
    moments = ((draws, "z", case.mu, case.sigma), (record.epsilon, "(z - mu) / sigma", 0, 1))
    return text + "\n".join(
        f"    {name:>16}: mean {values.mean().item():.3g} (expected {mean:g}), "
        f"standard deviation {values.std(correction=0).item():.3g} (expected {deviation:g})"
        for values, name, mean, deviation in moments
    )


def _alike(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Return whether two samples are of the same kind, within the standard errors of their moments."""
    if a["center"] or b["center"]:  # no noise at all, however often mu was passed to f
        return a["center"] == b["center"]
    names = ["constant", "repeats", "average"]
    if not (a["constant"] and a["average"]):  # else the mean of the draws, however often it was passed to f
        names += ["count", "bounded"]
    if any(a[name] != b[name] for name in names):
        return False
    if a["constant"]:
        return True
    return all(
        abs(m - n) < 10 * t * MANY**-0.5 and abs(s - t) < 10 * t * (2 * MANY) ** -0.5
        for (m, s), (n, t) in zip(a["moments"], b["moments"], strict=True)
    )


def _accumulates(attempt: Attempt, right: Callable[[Call], float]) -> str:
    """Report a second call with the same mu whose value is not that of its own draws; '' if it is."""
    mu, sigma = SQUARE.parameters()
    values = []
    for _ in range(2):
        record = Call(SQUARE, 5)
        record.value = attempt(record.f, mu, sigma, 5)
        values.append((record.number, right(record)))
    if _fits(record, right(record)):
        return ""
    (first, wanted), (again, wanted_again) = values
    return (
        f"\n\nTwo calls with the same `mu`, f(z) = {SQUARE.text}, n = 5:\n\n"
        f"    first call:  {first:.4g}, for its draws {wanted:.4g}\n"
        f"    second call: {again:.4g}, for its draws {wanted_again:.4g}"
    )


def _by_average(attempt: Attempt, exercise: Exercise, calls: list[Call], right: Callable[[Call], float]) -> Result:
    """Judge what is neither right nor a known mistake for its draws by the mean and the scatter of many calls."""
    calls_made, n = 100, 60
    for case in (SQUARE, WIDE, SKEWED):
        found = torch.tensor([call(attempt, case, n).number for _ in range(calls_made)], dtype=torch.float64)
        mean, error = found.mean().item(), found.std().item() / calls_made**0.5
        known = math.inf if case is SKEWED else 4 * case.sigma**2 if right is pathwise else score_variance(case)
        what = f"f(z) = {case.text}, mu = {case.mu:g}, sigma = {case.sigma:g}"
        if abs(mean - case.truth) > 7 * error + 2e-3 * abs(case.truth):
            factor = mean / case.truth
            times = f" ({factor:.2f} times)" if abs(factor) > 0.02 and abs(factor - 1) > 0.02 else ""
            raise Stopped(
                f"The average of your estimates is not the slope. With {what}, {calls_made} calls with n = {n} gave "
                f"{mean:.2f} ± {error:.2f} on average; the slope of E[f(z)] is {case.truth:g}{times}.\n\n"
                f"{_shown(calls, right)}"
            )
        if found.var().item() * n > 2.5 * known:
            raise Stopped(
                f"Your estimates scatter more than they need to. With {what}, the variance of one draw's estimate is "
                f"{found.var().item() * n:.3g}; {exercise.name} has {known:.3g}. (The average of {calls_made} calls "
                f"was {mean:.2f} ± {error:.2f}; the slope is {case.truth:g}.)"
            )
    if right is score and _uses_the_slope(attempt):
        slug = "pathwise-instead"
        return Result(False, slug, exercise.mistake(slug).why)
    if right is score and _fails_where_f_jumps(attempt):
        raise Stopped(BY_DIFFERENCES)
    _demand_average_of_few(attempt, calls, right)
    if record := next((record for record in calls if record.readable and record.distinct < record.n), None):
        count = f"{record.distinct or 'no'} draw{'s' * (record.distinct != 1)}"
        raise Stopped(f"`f` was given {count}, and n is {record.n}. Draw n values of z.\n\n{_shown([record], right)}")
    return Result(True, None, exercise.right + _remarks(calls))


def _demand_average_of_few(attempt: Attempt, calls: list[Call], right: Callable[[Call], float]) -> None:
    """Raise Stopped if the average over calls with n = 2 is not the slope: a wrong divisor shows at small n."""
    case, n = WIDE, 2
    values: list[float] = []
    for calls_made in (400, 4000):
        values += [call(attempt, case, n).number for _ in range(calls_made - len(values))]
        found = torch.tensor(values, dtype=torch.float64)
        mean, error = found.mean().item(), found.std().item() / calls_made**0.5
        off = abs(mean - case.truth) - 2e-3 * abs(case.truth)
        if off > 7.5 * error:
            raise Stopped(
                f"With few draws, the average of your estimates is not the slope. With f(z) = {case.text}, mu = "
                f"{case.mu:g}, sigma = {case.sigma:g}, n = {n}, {calls_made:,} calls gave {mean:.2f} ± {error:.2f} on "
                f"average; the slope of E[f(z)] is {case.truth:g}.\n\n{_shown(calls, right)}"
            )
        if off < 3 * error:
            return


def _fails_where_f_jumps(attempt: Attempt) -> bool:
    """Return whether the estimate is often exactly 0 for an f that is 0 or 1, as finite differences are."""
    values = []
    for _ in range(30):
        record = Call(STEP, 60)
        mu, sigma = STEP.parameters()
        try:
            record.value = attempt(record.f, mu, sigma, record.n)
        except Stopped:
            return False
        values.append(record.number)
    return sum(value == 0 for value in values) > 5


def score_variance(case: Case) -> float:
    """Return the variance of one draw's score-function estimate of the slope for mu, with f(z) = (z - K)^2."""
    d, s = case.mu - K, case.sigma
    return (d**4 + 14 * d**2 * s**2 + 15 * s**4) / s**2


def _uses_the_slope(attempt: Attempt) -> bool:
    """Return whether the estimate changes, or fails, if f lets no gradient through."""
    mu, sigma = SQUARE.parameters()
    values: list[Tensor | None] = []
    for cut in (False, True):
        seed(7)
        try:
            value = attempt(lambda z, cut=cut: SQUARE.f(z.detach() if cut else z), mu, sigma, 5)
        except Stopped:
            return True
        values.append(as_double(value))
    attached, detached = values
    return attached is None or detached is None or not torch.allclose(attached, detached, rtol=1e-3)


def _shown(calls: list[Call], right: Callable[[Call], float]) -> str:
    """Format a call: the draws, what came out, what was expected of these draws."""
    record = next((record for record in calls if record.n == 2 and not _fits(record, right(record))), calls[-1])
    case = record.case
    text = f"This went in: f(z) = {case.text}, mu = {case.mu:g}, sigma = {case.sigma:g}, n = {record.n}\n\n"
    if record.readable and len(record.z):
        drawn = ", ".join(f"{z:.4g}" for z in record.z[:6].tolist())
        text += f"               f was given: {drawn}{', …' if len(record.z) > 6 else ''}\n"
    came = wanted = f"{record.number:.4g}"
    if not (record.readable and len(record.z)):
        wanted = ""
    elif not _fits(record, right(record)):
        came, wanted = apart(record.number, right(record))
    text += f"                  came out: {came}\n"
    if wanted:
        text += f"    expected of these draws: {wanted}\n"
    return text + f"             the true slope: {case.truth:.4g}"


def _nothing_to_differentiate(stopped: Stopped) -> bool:
    message = str(stopped.__cause__)
    return "does not require grad" in message or "not have been used in the graph" in message


def _error(stopped: Stopped) -> str:
    return shortened(str(stopped.__cause__), 160)
