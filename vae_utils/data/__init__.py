"""Pictures to learn from: one call, `load`, gives any data set of the course as tensors in memory."""

import difflib
from pathlib import Path

import torch

from .dataset import Dataset, Split, check_dtype
from .drawing import draw, draw_many
from .files import DataError

__all__ = ["DataError", "Dataset", "Split", "draw", "draw_many", "load", "names"]

_NAMES = ("cats_dogs", "mnist", "fashion_mnist", "digits", "folder")


def names() -> tuple[str, ...]:
    """The names that `load` knows."""
    return _NAMES


def load(
    name: str, root: str | Path | None = None, dtype: torch.dtype = torch.float32, size: int | None = None
) -> Dataset:
    """The data set called `name`, whole, in memory.

    name: `cats_dogs` (drawn for this course, with true factors), `mnist`, `fashion_mnist`, `digits` (8x8) or
        `folder` (your own pictures, one subfolder of `root` for each class).
    root: the folder with the files; None takes the first that applies of the environment variable VAE_DATA,
        the checkout's `data/` and a cache folder.
    dtype: a floating-point type for pixels in [0, 1], or torch.uint8 for 0..255.
    size: side of the pictures in pixels, for `folder` only (32 where it is None).

    Raises ValueError for a name, dtype or size that makes no sense, and DataError, which says what to do,
    where the files can't be had or are damaged.
    """
    if name not in _NAMES:
        close = difflib.get_close_matches(str(name).lower(), _NAMES, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"no data set is called {name!r}: the names are {', '.join(_NAMES)}{hint}")
    if size is not None and name != "folder":
        raise ValueError(f"the pictures of {name} have a fixed size: size applies to 'folder' only")
    check_dtype(dtype)
    match name:  # imported here: each brings libraries that the others do not need
        case "cats_dogs":
            from . import cats_dogs

            return cats_dogs.load(root, dtype)
        case "digits":
            from . import digits

            return digits.load(dtype)
        case "folder":
            from . import folder

            return folder.load(root, dtype, 32 if size is None else size)
        case _:
            from . import torchvision_sets

            return torchvision_sets.load(name, root, dtype)
