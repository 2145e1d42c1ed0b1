"""A small folder of pictures such as a person might bring: animals of the course with something new, a bow tie."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ..files import DataError
from . import cats_dogs

_RED = (217, 26, 64)
_CHEST = 0.86  # how far the tie lies below an animal's middle; a picture spans -1..1


def write(root: Path, n: int) -> Path:
    """Write n pictures, one subfolder a kind, and return the folder; see `data.example_folder`."""
    if root.exists() and any(root.iterdir()):
        raise DataError(f"{root} holds something already: name a folder that is new or empty.")
    animals = cats_dogs.load(None, torch.uint8)
    split = animals.test.first(n)
    assert split.factors is not None
    across, down = (split.factors[name].numpy()[:, None, None] for name in ("x", "y"))
    pictures = split.x.permute(0, 2, 3, 1).numpy().copy()
    pictures[_tie(across, down + _CHEST)] = _RED
    for i, (picture, kind) in enumerate(zip(pictures, split.y.tolist(), strict=True)):
        place = root / animals.label_names[kind]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{i:04}.png")
    return root


def _tie(across: NDArray[np.floating], down: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which pixels a tie covers, (n, 32, 32), for its middle, (n, 1, 1) each."""
    steps = (np.arange(32) + 0.5) / 16 - 1
    u, v = steps - across, steps[:, None] - down
    wings = (abs(v) < 0.15) & (abs(v) < 0.75 * abs(u)) & (abs(u) < 0.26)
    knot = u**2 + v**2 < 0.005
    return wings | knot
