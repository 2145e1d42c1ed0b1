"""The data sets that there are. A new one is a module of this folder and a line here."""

from collections.abc import Sequence
from typing import Literal

Kind = Literal["shipped", "downloaded", "own"]

# name, as `load` knows it, which is also that of the module: where its pictures come from. Each module has
# `load(root, dtype) -> Dataset` and, unless the pictures are a person's own, `where(root) -> Path | str | None`: the
# folder of the files, the name of the package that holds or draws pictures without files, or None before a download.
_SETS: dict[str, Kind] = {
    "cats_dogs": "shipped",
    "mnist": "downloaded",
    "fashion_mnist": "downloaded",
    "digits": "shipped",
    "folder": "own",
}


def names(kind: Kind | None = None) -> tuple[str, ...]:
    """Return the names that `load` knows: all, or those of a kind.

    Args:
        kind: "shipped" with the course or with a package that it needs, "downloaded" when first loaded, or "own", a
            person's own pictures.
    """
    return tuple(name for name, its in _SETS.items() if kind in (None, its))


def either(choices: Sequence[str]) -> str:
    """Return one or more choices as a phrase: "a", "a or b", "a, b or c"."""
    *first, last = choices
    return f"{', '.join(first)} or {last}" if first else last
