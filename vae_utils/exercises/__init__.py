"""The notebooks' exercises: `exercises.NAME.check(NAME)`, `.hint()` and `.solution()`.

Each exercise is the `EXERCISE` of a module in `tasks`, imported when it is first used: importing this package imports
neither torch nor ipywidgets. `questions` are the notebooks' prediction questions; the other modules are the engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..mistakes import EXERCISES
from . import questions

if TYPE_CHECKING:
    from .exercise import Exercise

NAMES = EXERCISES
__all__ = [*NAMES, "questions"]


def __getattr__(name: str) -> Exercise:
    if name not in NAMES:
        raise AttributeError(f"vae_utils.exercises has no {name!r}; it has {', '.join(__all__)}.")
    exercise: Exercise = import_module(f".tasks.{name}", __name__).EXERCISE
    return exercise


def __dir__() -> list[str]:
    return __all__
