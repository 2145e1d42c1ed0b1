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
    """

    slug: str
    function: Callable[..., Any]
    why: str
    several: bool = False


COLLECTED: dict[str, dict[str, Mistake]] = {}  # by module, in the order of definition


def mistake(function: F | None = None, *, several: bool = False) -> Any:
    """Collect a wrong function under its name, with its docstring as the explanation; `no_half` becomes "no-half"."""
    if function is None:
        return lambda wrong: mistake(wrong, several=several)
    slug, why = function.__name__.replace("_", "-"), " ".join((function.__doc__ or "").split())
    COLLECTED.setdefault(function.__module__, {})[slug] = Mistake(slug, function, why, several)
    return function
