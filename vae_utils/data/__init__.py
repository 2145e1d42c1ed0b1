"""Pictures to learn from: one call, `load`, gives any data set of the course as tensors in memory."""

import difflib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from .dataset import Dataset, Split, check_dtype
from .drawing import draw, draw_many
from .files import DataError
from .registry import names

__all__ = ["DataError", "Dataset", "Split", "draw", "draw_many", "example_folder", "load", "names", "read", "where"]


def load(
    name: str, root: str | Path | None = None, dtype: torch.dtype = torch.float32, size: int | None = None
) -> Dataset:
    """Load the data set called `name`, whole, into memory.

    Args:
        name: `cats_dogs` (drawn for this course, with true factors), `mnist`, `fashion_mnist`, `digits` (8x8) or
            `folder` (your own pictures, one subfolder of `root` for each class).
        root: The folder with the files. None takes the first that applies of the environment variable VAE_DATA,
            the checkout's `data/` and a cache folder.
        dtype: A floating-point type for pixels in [0, 1], or torch.uint8 for 0..255.
        size: Side of the pictures in pixels, for `folder` only (None: 32).

    Raises:
        ValueError: The name, dtype or size makes no sense.
        DataError: The files can't be had or are damaged. The message says what to do.
    """
    if name not in names():
        close = difflib.get_close_matches(str(name).lower(), names(), n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"no data set is called {name!r}: the names are {', '.join(names())}{hint}")
    if size is not None and name not in names("own"):
        raise ValueError(f"the pictures of {name} have a fixed size: size applies to 'folder' only")
    check_dtype(dtype)
    options = {} if size is None else {"size": size}
    dataset: Dataset = _module(name).load(root, dtype, **options)
    return dataset


def where(name: str, root: str | Path | None = None) -> Path | str | None:
    """Return where the pictures of a data set are: a folder, a package's name, or None if they must be downloaded.

    Args:
        name: One of `names("shipped")` or `names("downloaded")`.
        root: As for `load`.
    """
    place: Path | str | None = _module(name).where(root)
    return place


def read(*files: str | Path, size: int = 32) -> Tensor:
    """Read pictures as `load("folder")` does, and return them, (n, 3, size, size) in [0, 1].

    They are turned as their EXIF orientation says, cropped to the central square and resized.

    Raises:
        DataError: Files can't be read as pictures; the message names them.
        TypeError: A list is passed in place of files.
        ValueError: No file is named, or the size makes no sense.
    """
    if odd := next((file for file in files if not isinstance(file, str | Path)), None):
        raise TypeError(f"read takes files, not a {type(odd).__name__}: data.read(*files), with a star")
    pixels: Tensor = _module("folder").read([Path(file) for file in files], size)
    return pixels


def example_folder(root: str | Path, n: int = 125) -> Path:
    """Write n cats and dogs with red bow ties to a folder, such as a person might bring, and return its path.

    `load("folder", root)` reads it. No picture of `cats_dogs` has a tie; but for it, they are its first n test
    pictures.

    Args:
        root: A folder that is not there yet or empty.
        n: How many pictures, 2,000 at most.

    Raises:
        DataError: The folder holds something already.
    """
    path: Path = _module("example").write(Path(root), n)
    return path


def _module(name: str) -> ModuleType:
    """Import the module of a data set, only now: each brings libraries that the others do not need."""
    return import_module(f".{name}", __package__)
