"""Figures that you can move. Live ones run in the page, without a kernel; kernel widgets ask Python for each picture.

Each is a function in a module of its own, imported when it is first asked for.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_MODULES = {
    # live figures
    "code_map": "code_map",
    "walk": "walk",
    "traversals": "traversals",
    "playground": "playground",
    # kernel widgets
    "trick": "trick",
    "two_gaussians": "two_gaussians",
    "beta_slider": "beta_slider",
    "watch_training": "watch_training",
    "draw_your_own": "draw_your_own",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"vae_utils.widgets has no {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """Where Python binds a submodule to its name here, it binds the function of that name, however it was imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, getattr(value, name, value) if name in _MODULES else value)


sys.modules[__name__].__class__ = _Package
