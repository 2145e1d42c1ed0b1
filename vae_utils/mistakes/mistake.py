"""The decorator that makes a wrong function a known mistake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Mistake:
    """A known mistake.

    Attributes:
        slug: Its short name.
        function: A wrong implementation.
        why: For the learner: what the mistake is and why it matters.
        several: Show it on a batch of two or more, since one alone proves little.
        loses: In an assignment, the parts of the question that must not give points for it.
    """

    slug: str
    function: Callable[..., Any]
    why: str
    several: bool = False
    loses: tuple[str, ...] = ()


COLLECTED: dict[str, dict[str, Mistake]] = {}  # by module, in the order of definition


def mistake(function: F | None = None, *, several: bool = False) -> Any:
    """Collect a wrong function under its name, with its docstring as the explanation; `no_half` becomes "no-half"."""
    if function is None:
        return lambda wrong: mistake(wrong, several=several)
    known = described(function, several=several)
    COLLECTED.setdefault(function.__module__, {})[known.slug] = known
    return function


def described(function: Callable[..., Any], *, several: bool = False, loses: tuple[str, ...] = ()) -> Mistake:
    """Return the mistake that a wrong function makes, named and explained by the function itself."""
    slug, why = function.__name__.replace("_", "-"), " ".join((function.__doc__ or "").split())
    return Mistake(slug, function, why, several, loses)
