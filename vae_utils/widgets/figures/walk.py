"""The walk: a straight line through code space from one picture to another."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ... import data as course_data
from ... import evaluation, plots
from ...data import Dataset
from ...types import LatentModel
from ..figure import LiveFigure, live_figure
from ..packing import pack
from ..pictures import as_models, encode, floats, sprite

STEPS = 60  # of the true walk, which is sent as pictures
SHOWN = 9  # pictures in a strip, as in walk.js


def walk(
    model: LatentModel | Mapping[str, LatentModel], pictures: Dataset, start: int | None = None, end: int | None = None
) -> LiveFigure:
    """Return a figure with a slider along the straight line between two pictures' codes, which it decodes.

    Next to each road stands its length relative to the straight line between its ends (`evaluation.path_ratio`).

    Args:
        model: One model, or several by name, with codes of any length.
        pictures: The data set. If it has the true factors, the figure also shows the true walk, drawn from factors in
            between.
        start: Index of the first test picture; None takes the first that the notebooks follow.
        end: Index of the last test picture; None takes the second that the notebooks follow.

    Raises:
        ValueError: An index is out of range, start equals end, or the page can't run a decoder (see `packing.pack`).
    """
    models = as_models(model, pictures)
    first, last = pictures.followed
    ends = [first if start is None else start, last if end is None else end]
    for i in ends:
        if not isinstance(i, int) or not 0 <= i < len(pictures.test):
            raise ValueError(f"start and end are indices of test pictures, 0 to {len(pictures.test) - 1}, not {i!r}.")
    if ends[0] == ends[1]:
        raise ValueError(f"A walk needs two pictures, but start and end are both {ends[0]}.")
    names = [called(i, pictures) for i in ends]
    x = floats(pictures.test.x[ends])
    t = torch.linspace(0, 1, SHOWN).view(-1, 1)
    parts, roads = [], {}
    for name, one in models.items():
        z = encode(one, x, name).center
        way = z[0] + torch.linspace(0, 1, 2 * STEPS + 1).view(-1, 1) * (z[1] - z[0])
        parts.append(
            {
                "name": name,
                "decoder": pack(one, way, name).for_page(),
                "start": z[0].tolist(),
                "end": z[1].tolist(),
                "length": round(evaluation.path_ratio(one, z[:1], z[1:]).item(), 2),
            }
        )
        roads[name] = evaluation.decode(one, z[0] + t * (z[1] - z[0]))
    truth = true_walk(pictures, ends)
    if truth is not None:
        x = torch.cat([x, truth])
        roads["the true walk"] = truth[torch.linspace(0, STEPS, SHOWN).round().long()]
    data = {
        "models": parts,
        "pictures": sprite(x),
        "names": names,
        "truth": None if truth is None else {"steps": STEPS, "length": length(truth[:: STEPS // 20])},
    }
    still = plots.grid(list(roads.values()), list(roads), [names[0], *[""] * (SHOWN - 2), names[1]])
    alt = f"Nine steps from {names[0]} to {names[1]}: {', '.join(roads)}."
    return live_figure("walk", data, "walk.js", still, alt)


def called(i: int, pictures: Dataset) -> str:
    """Name a test picture: "the cat" for one that is followed, else its class and index, "cat 17"."""
    if i in pictures.followed:
        return f"the {pictures.followed_names[pictures.followed.index(i)]}"
    return f"{pictures.label_names[int(pictures.test.y[i])]} {i}"


def length(road: Tensor) -> float:
    """Return the length of a road of pictures (n, C, H, W) relative to the straight line between its ends."""
    return round((road.diff(dim=0).flatten(1).norm(dim=1).sum() / (road[-1] - road[0]).norm()).item(), 2)


def true_walk(pictures: Dataset, ends: list[int]) -> Tensor | None:
    """Draw pictures (STEPS + 1, C, H, W) from factors that change evenly; return None if the factors are unknown."""
    factors = pictures.test.factors
    if factors is None or not set(factors) >= set(course_data.drawing.FACTORS):
        return None
    t = torch.linspace(0, 1, STEPS + 1)
    between = {name: values[ends[0]] + t * (values[ends[1]] - values[ends[0]]) for name, values in factors.items()}
    drawn = course_data.draw_many(between, pictures.shape[2])
    return torch.from_numpy(drawn).permute(0, 3, 1, 2) / 255
