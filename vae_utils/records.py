"""Results of experiments that take longer than a notebook may run: trained beforehand over several seeds, read here.

A record is a file data/records/NAME.json. `make reproduce WHAT=NAME` makes it again with scripts/experiments/NAME.py.
"""

import difflib
import json
from pathlib import Path
from typing import Any

from .files import DataError


def folder() -> Path:
    """Return the folder that holds the records: the installed package's own, or the checkout's."""
    packed = Path(__file__).parent / "data" / "records"
    return packed if packed.is_dir() else Path(__file__).parents[1] / "data" / "records"


def names() -> tuple[str, ...]:
    """Return the names that `load` knows, in alphabetical order."""
    return tuple(sorted(path.stem for path in folder().glob("[!.]*.json")))


def load(name: str) -> dict[str, Any]:
    """Load the record called `name`.

    Returns:
        A dictionary. "what": its name. "settings": what fixed the experiment. "versions", "device": what made it.
        "runs": one dictionary for each run, with "dataset", "seed", "seconds" and the run's results.
        "small", "small_settings": the same for a short version of the experiment, which the tests repeat.

    Raises:
        ValueError: No record has this name. The message lists those that there are.
        DataError: The file is damaged.
    """
    known = names()
    if name not in known:
        close = difflib.get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"no record is called {name!r}: the names are {', '.join(known) or 'none yet'}{hint}")
    path = folder() / f"{name}.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read ({error}): make it anew with `make reproduce WHAT={name}`.") from error
    if not isinstance(record, dict) or not isinstance(record.get("runs"), list):
        raise DataError(f"{path} is no record: make it anew with `make reproduce WHAT={name}`.")
    return record


def behind(name: str, first: str, figure: str = "negative_elbo") -> dict[str, dict[str, list[float]]]:
    """Return how much more each way of a record costs than the way called `first` in the same run.

    Args:
        name: The record's; its runs hold run[way][figure], or run[way][setting][figure], of which the least counts.
        first: The way that the others are compared with.
        figure: Which figure, one that should be small.

    Returns:
        way -> data set -> differences, one for each seed, in the figure's unit.
    """

    def cost(found: dict[str, Any]) -> float:
        return float(found[figure]) if figure in found else min(map(cost, found.values()))

    ways: dict[str, dict[str, list[float]]] = {}
    for run in load(name)["runs"]:
        costs = {way: cost(found) for way, found in run.items() if isinstance(found, dict)}
        for way, value in costs.items():
            ways.setdefault(way, {}).setdefault(run["dataset"], []).append(value - costs[first])
    return ways
