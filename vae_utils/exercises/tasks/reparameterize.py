"""Notebook 03: the reparameterization trick."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..attempt import Attempt, Stopped, seed
from ..compare import apart, difference, kind, numbers
from ..exercise import Exercise
from ..randomness import LIMIT, not_standard_normal, same_in_columns, same_in_rows, ties
from ..verdict import Result

ROWS = 1500
MEANS = (0.0, 2.0, -1.0, 3.0)
LOGVARS = (-2.0, 2.0, 1.0, 0.0)  # with mu = 2, sigma = e: the column that messages show
SHOWN = 1
# Two kinds of rows, alternating: they show whether rows or columns are mixed up, or something is bounded.
MIXED_MEANS = ((1.0, -2.0, 0.0, 4.0), (-3.0, 0.5, 2.0, -1.0))
MIXED_LOGVARS = ((-8.0, 3.0, 2.0, 6.0), (2.0, -5.0, 4.0, 4.0))


def reparameterize(mu: Tensor, logvar: Tensor) -> Tensor:
    sigma = torch.exp(logvar / 2)
    epsilon = torch.randn_like(mu)
    return mu + sigma * epsilon


def _parameters(rows: int = ROWS, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    mu, logvar = (torch.tensor(values, dtype=dtype).repeat(rows, 1) for values in (MEANS, LOGVARS))
    return mu, logvar


def _mixed_parameters() -> tuple[Tensor, Tensor]:
    mu, logvar = (torch.tensor(values).repeat(ROWS // 2, 1) for values in (MIXED_MEANS, MIXED_LOGVARS))
    return mu, logvar


def _values(function: Callable[[Tensor, Tensor], Any], rows: int = ROWS) -> Tensor:
    return function(*_parameters(rows)).detach().double()


def _fingerprint(first: Tensor, second: Tensor) -> dict[str, Any]:
    """Return what characterizes the draws of two calls, each (ROWS, 4): enough to tell the known mistakes apart."""
    mean, deviation = first.mean(0), first.std(0)
    return {
        "repeats": torch.equal(first, second),
        "same in rows": same_in_rows(first),
        "same in columns": _one_draw(first, second) if same_in_rows(first) else same_in_columns(first),
        "mean": mean,
        "deviation": deviation,
    }


def _one_draw(first: Tensor, second: Tensor) -> bool:
    """Return, for calls whose rows all agree, whether the columns share one draw, too (if sigma is right)."""
    mu, logvar = (values.double() for values in _parameters(1))
    epsilon = torch.cat([(z[:1] - mu) / (0.5 * logvar).exp() for z in (first, second)])
    return bool((epsilon - epsilon[:, :1]).abs().max() < 1e-5)


def _alike(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Return whether two fingerprints are the same, within the standard errors of their moments."""
    if any(a[name] != b[name] for name in ("repeats", "same in rows", "same in columns")):
        return False
    error = LIMIT * 1.5 * (b["deviation"] + 1e-6)  # two samples are compared: sqrt(2) times LIMIT, and a bit
    near = ((a["deviation"] - b["deviation"]).abs() < error * (2 * ROWS) ** -0.5).all()
    if not a["same in rows"] or a["repeats"]:
        near &= ((a["mean"] - b["mean"]).abs() < error * ROWS**-0.5 + 1e-5).all()
    return bool(near)


def _mixed(function: Callable[..., Any], with_gradient: bool = False) -> dict[str, Tensor] | None:
    """Return mean and standard deviation of the draws by kind of row and column, (2, 4); None without numbers."""
    parameters: tuple[Tensor, ...] = _mixed_parameters()
    if with_gradient:
        parameters = tuple(values.requires_grad_().clone() for values in parameters)
    z = function(*parameters)
    if not isinstance(z, Tensor) or z.shape != (ROWS, 4) or not z.is_floating_point():
        return None
    kinds = z.detach().double().view(-1, 2, 4)
    return {"mean": kinds.mean(0), "deviation": kinds.std(0)}


def _mixed_right() -> dict[str, Tensor]:
    means, logvars = (torch.tensor(values).double() for values in (MIXED_MEANS, MIXED_LOGVARS))
    return {"mean": means, "deviation": (0.5 * logvars).exp()}


def _mixed_alike(a: dict[str, Tensor] | None, b: dict[str, Tensor] | None, means_count: bool) -> bool:
    if a is None or b is None:
        return False
    error = LIMIT * 1.5 * (b["deviation"] + 1e-6)
    near = ((a["deviation"] - b["deviation"]).abs() < error * ROWS**-0.5).all()
    if means_count:
        near &= ((a["mean"] - b["mean"]).abs() < error * (ROWS / 2) ** -0.5 + 1e-5).all()
    return bool(near)


def _gradients(function: Callable[[Tensor, Tensor], Any]) -> tuple[str, str, str]:
    """Return which gradient reaches mu and logvar ('none', 'zero', 'right' or 'wrong'), and the numbers, to show."""
    mu, logvar = _parameters(5)
    mu, logvar = mu + torch.linspace(-1, 1, 20).view(5, 4), logvar + torch.linspace(0.5, -0.5, 20).view(5, 4)
    leaves = mu.requires_grad_(), logvar.requires_grad_()
    z = function(*(leaf.clone() for leaf in leaves))
    if not z.requires_grad:
        return "none", "none", ""
    weights = torch.linspace(1, 2, 20, dtype=z.dtype).view(5, 4)
    found = torch.autograd.grad((z * weights).sum(), leaves, allow_unused=True)
    right = weights, weights * (z - mu).detach() / 2
    shown = "\n".join(
        f"    gradient at {name}: {numbers(got[0]) if got is not None else 'None'}\n"
        f"    {'expected':>{len(name) + 12}}: {numbers(wanted[0])}"
        for name, got, wanted in zip(("mu", "logvar"), found, right, strict=True)
    )
    to_mu, to_logvar = (_kind_of_gradient(got, wanted) for got, wanted in zip(found, right, strict=True))
    return to_mu, to_logvar, shown


def _kind_of_gradient(got: Tensor | None, wanted: Tensor) -> str:
    if got is None:
        return "none"
    if (got == 0).all():
        return "zero"
    return "right" if torch.allclose(got.double(), wanted.double(), rtol=1e-3, atol=1e-4) else "wrong"


def _judge(attempt: Attempt, exercise: Exercise) -> Result:
    try:
        return _verdict(attempt, exercise)
    except _RootOfLogvar as found:
        return Result(False, "std-is-root-of-logvar", exercise.mistake("std-is-root-of-logvar").why + str(found))


def _verdict(attempt: Attempt, exercise: Exercise) -> Result:
    for rows in (2, 1):
        mu, logvar = _parameters(rows)
        _demand_shape(attempt(mu, logvar), mu, logvar)
    parameters = _parameters()
    draws = []
    for _ in range(2):
        z = attempt(*parameters)
        _demand_shape(z, *parameters)
        if len(attempt.changed):  # go on with new ones; `Exercise.check` reports it
            parameters = _parameters()
        draws.append(z.detach().double())
    first, second = draws
    seen = _fingerprint(first, second)
    mixed = _mixed(attempt)
    mu, logvar = (values.double() for values in _parameters())
    sigma = (0.5 * logvar).exp()
    right = {
        "repeats": False,
        "same in rows": False,
        "same in columns": False,
        "mean": mu[0],
        "deviation": sigma[0],
    }
    if not _alike(seen, right):
        return _named(attempt, seen, mixed, exercise, *draws) or _moments(seen, sigma[0], draws)
    epsilon, again = ((z - mu) / sigma for z in draws)
    if wrong := not_standard_normal(torch.cat([epsilon, again])):
        raise Stopped(f"The rolls that you used, (z - mu) / sigma, are not standard normal: {wrong}.")
    if wrong := ties(epsilon, again):
        raise Stopped(f"{wrong} Every number of every code needs a roll of its own, in every call.")
    if not _mixed_alike(mixed, _mixed_right(), True):
        raise Stopped(
            "Where all rows of `mu` and `logvar` are alike and their numbers are moderate, your draws are right. With "
            "rows that differ, and narrower and wider clouds, they are not. Does each number of each row have its own "
            f"`mu` and its own `logvar`, and is nothing added to sigma or bounded?\n\n{_mixed_table(mixed)}"
        )
    if not _mixed_alike(given := _mixed(attempt, with_gradient=True), _mixed_right(), True):
        raise Stopped(
            "Where `mu` and `logvar` require no gradient your draws are right; where they require one, as in training, "
            f"they are not.\n\n{_mixed_table(given)}"
        )
    return _gradient_verdict(attempt, exercise)


def _mixed_table(seen: dict[str, Tensor] | None) -> str:
    """Format center and width, and what they should be, for each kind of row and column where one of them is off."""
    if seen is None:
        return "    no numbers of the expected shape came out"
    right = _mixed_right()
    error = LIMIT * 1.5 * (right["deviation"] + 1e-6)
    off = (seen["deviation"] - right["deviation"]).abs() >= error * ROWS**-0.5
    off |= (seen["mean"] - right["mean"]).abs() >= error * (ROWS / 2) ** -0.5 + 1e-5
    lines = []
    for i, j in off.nonzero().tolist():
        (mean, wanted_mean), (deviation, wanted) = (apart(seen[name][i, j], right[name][i, j]) for name in seen)
        lines.append(
            f"    z[{i}::2, {j}], mu = {MIXED_MEANS[i][j]:g}, logvar = {MIXED_LOGVARS[i][j]:g}: mean {mean} (expected "
            f"{wanted_mean}), standard deviation {deviation} (expected {wanted})"
        )
    return f"Over {ROWS // 2} rows each:\n\n" + "\n".join(lines)


def _demand_shape(z: Any, mu: Tensor, logvar: Tensor) -> None:
    if isinstance(z, Tensor) and z.shape == mu.shape and z.is_floating_point() and z.isfinite().all():
        return
    problem = difference(z, mu) or f"Your function returned {kind(z)}."
    if isinstance(z, Tensor) and z.shape == mu.shape and torch.equal(z.isfinite(), logvar >= 0):
        raise _RootOfLogvar(f"\n\nThis went in:\n\n{_arguments(z, mu, logvar)}")
    raise Stopped(f"{problem}\n\nThis went in:\n\n{_arguments(z, mu, logvar)}")


def _arguments(z: Any, mu: Tensor, logvar: Tensor) -> str:
    return f"          mu: {numbers(mu)}\n      logvar: {numbers(logvar)}\n    came out: {numbers(z)}"


class _RootOfLogvar(Stopped):
    """Raised if there is NaN exactly where logvar is negative."""


def _named(
    attempt: Attempt, seen: dict[str, Any], mixed: dict[str, Tensor] | None, exercise: Exercise, *draws: Tensor
) -> Result | None:
    """Return the known mistake whose draws have the same fingerprint; None if none has."""
    for mistake in exercise.mistakes:
        seed(1)
        if not _alike(seen, _fingerprint(_values(mistake.function), _values(mistake.function))):
            continue
        if not _mixed_alike(mixed, _mixed(mistake.function), not seen["same in rows"] or seen["repeats"]):
            continue
        if mistake.slug == "no-noise" and _mixed_alike(_mixed(attempt, True), _mixed_right(), True):
            raise Stopped(
                "Where `mu` and `logvar` require a gradient, as in training, your draws are right. Where they require "
                "none, no dice are rolled and `mu` itself comes back. But a draw is a draw: whoever wants the center "
                f"takes `mu`.\n\n{_table(*draws)}"
            )
        return Result(False, mistake.slug, f"{mistake.why}\n\n{_table(*draws)}")
    return None


def _table(first: Tensor, second: Tensor) -> str:
    """Format a few draws, and mean and standard deviation of a column."""
    mu, logvar = MEANS[SHOWN], LOGVARS[SHOWN]
    column = first[:, SHOWN]
    return (
        f"Asked for {ROWS:,} codes; for `z[:, {SHOWN}]`, mu = {mu:g} and logvar = {logvar:g} (so sigma = "
        f"{math.exp(logvar / 2):.3g}):"
        f"\n\n    first two rows: {numbers(first[:2].round(decimals=2))}"
        f"\n    the next call:  {numbers(second[:2].round(decimals=2))}"
        f"\n    mean of z[:, {SHOWN}]:               {column.mean().item():.2f}, expected {mu:.2f}"
        f"\n    standard deviation of z[:, {SHOWN}]: {column.std().item():.2f}, "
        f"expected {math.exp(logvar / 2):.2f}"
    )


def _moments(seen: dict[str, Any], sigma: Tensor, draws: list[Tensor]) -> Result:
    """Describe draws that are wrong in an unknown way, and what they should be, by a Result or by raising Stopped."""
    if seen["repeats"]:
        raise Stopped(
            "Two calls with the same arguments return the same numbers: nothing random happens in between.\n\n"
            f"{_table(*draws)}"
        )
    if seen["same in rows"]:
        raise Stopped("All rows get the same noise. Each row is another picture and needs rolls of its own.")
    if seen["same in columns"]:
        raise Stopped(
            "All numbers of a code move together, as if they came of one roll (up to sign and scale). Each needs its "
            f"own.\n\n{_table(*draws)}"
        )
    off = (seen["mean"] - torch.tensor(MEANS)).abs() / sigma
    what = "center" if off.max() > LIMIT * 1.5 * ROWS**-0.5 else "width"
    lines = []
    for m, v, a, s, e in zip(
        MEANS, LOGVARS, seen["mean"].tolist(), seen["deviation"].tolist(), sigma.tolist(), strict=True
    ):
        lines.append(
            f"    mu = {m:g}, logvar = {v:g}: mean {a:.2f} (expected {m:.2f}), "
            f"standard deviation {s:.2f} (expected {e:.2f})"
        )
    text = f"The {what} of the clouds is not right. Over {ROWS:,} draws each:\n\n" + "\n".join(lines)
    return Result(False, None, text)


def _gradient_verdict(attempt: Attempt, exercise: Exercise) -> Result:
    to_mu, to_logvar, shown = _gradients(attempt)
    if to_mu == to_logvar == "right":
        return Result(True, None, exercise.right)
    cut = ("none", "zero")
    slug = {
        ("none", "none"): "detached",
        ("zero", "zero"): "silent-zeros",
    }.get((to_mu, to_logvar))
    if slug is None and to_mu == "right" and to_logvar in cut:
        slug = "sigma-detached"
    if slug is None and to_logvar == "right" and to_mu in cut:
        slug = "mu-detached"
    if slug is None and to_mu in cut and to_logvar in cut:
        slug = "detached"
    if slug:
        return Result(False, slug, exercise.mistake(slug).why + (f"\n\nIn the first row:\n\n{shown}" if shown else ""))
    return Result(
        False,
        None,
        "The draws are right, but the gradient that reaches `mu` or `logvar` is not. For z = mu + sigma * epsilon it "
        f"arrives at `mu` unchanged, and at `logvar` times (z - mu) / 2. In the first row:\n\n{shown}",
    )


EXERCISE = Exercise(
    name="reparameterize",
    task="""**Your turn.** Before you scroll on: write it. `reparameterize(mu, logvar)` gets the encoder's two answers
for a batch, each of shape (batch, latent), and returns one code for each picture, of the same shape, drawn from
$\\mathcal N(\\mu, \\sigma^2)$, so that the gradient reaches both `mu` and `logvar`. Mind what `logvar` is the logarithm
of.""",
    stub="reparameterize(mu, logvar)",
    hints=(
        "Two things are needed: a width sigma that you compute from `logvar`, and dice that know neither `mu` nor "
        "sigma. Where must the gradient pass, and where need it not?",
        "`logvar` is the logarithm of sigma *squared*. Half of it is log sigma, and `exp` undoes a logarithm. "
        "`torch.randn_like(mu)` rolls one standard normal number for every entry of `mu`.",
        "Stretch the dice by `(0.5 * logvar).exp()`, then shift them by `mu`.",
    ),
    solution=reparameterize,
    right="Every number has its own roll, anew in each call; the clouds have the center and the width that the encoder "
    "asked for; and the gradient reaches `mu` and `logvar`. Of the ways to get this wrong, some never show in a "
    "training curve.",
    judge=_judge,
)
