"""The notebooks' exercises: `exercises.NAME.check(NAME)`, `.hint()` and `.solution()`. Each has a module of its own."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

NAMES = (
    "reconstruction_error",
    "interpolate",
    "generate",
    "nearest_real",
    "reparameterize",
    "pathwise_gradient",
    "score_function_gradient",
    "gaussian_kl",
    "bernoulli_nll",
    "negative_elbo",
    "training_step",
)

__all__ = [*NAMES, "questions"]


def __getattr__(name: str) -> Any:
    if name == "questions":
        return import_module(".questions", __name__)
    if name not in NAMES:
        raise AttributeError(f"vae_utils.exercises has no {name!r}; it has {', '.join(__all__)}.")
    return import_module(f".{name}", __name__).EXERCISE


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """Where Python binds a submodule to its name here, it binds the exercise in it instead, however it was imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, getattr(value, "EXERCISE", value) if name in NAMES else value)


sys.modules[__name__].__class__ = _Package
