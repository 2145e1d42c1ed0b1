"""Interactive figures: live ones run in the page, without a kernel; kernel widgets ask Python for each picture.

Each figure is a function, defined in the module of its name in `figures` and imported when it is first used. What they
share is in `figure`, `pictures`, `packing` (live ones) and `kernel`; the JavaScript of live figures is in js/.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .figures.beta_slider import beta_slider
    from .figures.code_map import code_map
    from .figures.draw_your_own import draw_your_own
    from .figures.plane import plane
    from .figures.playground import playground
    from .figures.traversals import traversals
    from .figures.trick import trick
    from .figures.two_gaussians import two_gaussians
    from .figures.walk import walk
    from .figures.watch_training import watch_training

__all__ = [
    "beta_slider",
    "code_map",
    "draw_your_own",
    "plane",
    "playground",
    "traversals",
    "trick",
    "two_gaussians",
    "walk",
    "watch_training",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"vae_utils.widgets has no {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(f".figures.{name}", __name__), name)


def __dir__() -> list[str]:
    return __all__
