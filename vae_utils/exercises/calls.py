"""Functions f whose average has a known slope, and calls of an estimator of it: what f saw, and what came out.

f is ours, so it sees every z. With the draws known, an estimator is a plain function of them.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from .attempt import Attempt, Stopped, seed
from .compare import as_double, kind

Function = Callable[[Tensor], Tensor]
Estimator = Callable[[Function, Tensor, Tensor, int], Tensor]
Way = Callable[["Call"], float]


@dataclass(frozen=True)
class Case:
    """A function f to estimate the gradient for."""

    text: str  # f, for the learner
    f: Function  # elementwise
    slope: Function
    mu: float
    sigma: float
    truth: float  # d/dmu E[f(z)]
    dtype: torch.dtype = torch.float32  # of mu and sigma

    def __str__(self) -> str:
        return f"f(z) = {self.text}, mu = {self.mu:g}, sigma = {self.sigma:g}"

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
    """One call of an estimator: its value, and what f saw."""

    case: Case
    n: int  # draws asked for
    value: Any = None
    draws: list[Tensor] = field(default_factory=list)  # what f was called with, flattened, in float64
    readable: bool = True  # the draws could be read
    attached: bool = False  # a gradient could pass through some draw
    silent: bool = False  # some draw is of the kind that sends zeros back
    came_back: bool = False  # a gradient other than 0 arrived at some loss

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

    def near(self, number: float) -> bool:
        """Return whether the estimate is this one."""
        return math.isclose(self.number, number, rel_tol=1e-3, abs_tol=2e-4)

    def fits(self, way: Way) -> bool:
        """Return whether the estimate is this one, for its draws."""
        return self.readable and len(self.z) > 0 and self.near(way(self))


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


def each_call(function: Estimator, smallest: int = 1) -> Iterator[Call]:
    """Call the function for every case and size, each after a seed of its own."""
    for i, case in enumerate(CASES):
        for j, n in enumerate(SIZES):
            if n >= smallest:
                seed(100 + 10 * i + j)
                yield call(function, case, n)


def calls_of(attempt: Attempt) -> list[Call]:
    """Return all calls; those for n = 1 only if they give a number: some estimators need a second draw."""
    try:
        calls = list(each_call(attempt))
    except Stopped as stopped:
        if not isinstance(stopped.__cause__, ZeroDivisionError):
            raise
        return list(each_call(attempt, 2))
    values = [as_double(record.value) for record in calls if record.n == 1]
    if any(value is not None and not value.isfinite().all() for value in values):
        return [record for record in calls if record.n > 1]
    return calls
