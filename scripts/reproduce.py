"""Make the records in data/records anew. `make reproduce` runs this.

    reproduce.py [NAME ...]                  each a module scripts/experiments/NAME.py; none named means all

An experiment is a module with

    SETTINGS    what fixes it, as JSON can hold it; "datasets" and "seeds" list what `run` is called for
    SMALL       what to change for a run of a few seconds, on cats_dogs and seed 0 unless it says otherwise
    run         (dataset: str, seed: int, settings: dict) -> dict of figures, as JSON can hold them

What is done is kept in build/records after each run, so that a stopped experiment goes on where it was. A record
takes the place of the one before in one step, once all of its runs are done.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import torch

import vae_utils
from vae_utils import data
from vae_utils.data.files import write_atomically
from vae_utils.runtime import best_device

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENTS = ROOT / "scripts" / "experiments"
RECORDS = ROOT / "data" / "records"
UNFINISHED = ROOT / "build" / "records"
DIGITS = 6  # significant digits that a record keeps of a figure


class ExperimentError(Exception):
    """An experiment that does not exist, or that is not written as the runner needs it."""


@dataclass(frozen=True)
class Experiment:
    """A module of scripts/experiments. `settings` and `small` are as JSON gives them back; `small` is complete:
    SETTINGS with the changes of SMALL. `source` is the checksum of the module's text."""

    name: str
    settings: dict
    small: dict
    run: Callable[[str, int, dict], dict]
    source: str


def names(folder: Path = EXPERIMENTS) -> list[str]:
    """The names of the experiments, in order."""
    return sorted(path.stem for path in folder.glob("[!_.]*.py"))


def find(name: str, folder: Path = EXPERIMENTS) -> Experiment:
    """The experiment called `name`. Raises ExperimentError where there is none or a part of it is missing."""
    if name not in names(folder):
        known = ", ".join(names(folder)) or "none yet"
        raise ExperimentError(f"No experiment is called {name!r}; there are: {known}.")
    path = folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"experiments.{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    missing = [part for part in ("SETTINGS", "SMALL", "run") if not hasattr(module, part)]
    if missing:
        raise ExperimentError(f"{path.name} has no {missing[0]}: an experiment needs SETTINGS, SMALL and run.")
    settings = _as_json(module.SETTINGS, f"SETTINGS of {path.name}")
    small = settings | {"datasets": ["cats_dogs"], "seeds": [0]} | _as_json(module.SMALL, f"SMALL of {path.name}")
    for part in ("datasets", "seeds"):
        if not isinstance(settings.get(part), list) or not settings[part]:
            raise ExperimentError(f'SETTINGS of {path.name} must list "{part}", one or more.')
    return Experiment(name, settings, small, module.run, hashlib.sha256(path.read_bytes()).hexdigest())


def one_run(experiment: Experiment, dataset: str, seed: int, settings: dict) -> dict:
    """{"dataset", "seed", "seconds", figures ...} of one run, from the same random state whatever ran before.

    Raises ExperimentError where the figures are no dictionary, not finite, or take a name of the runner's.
    """
    vae_utils.setup(seed)
    start = time.perf_counter()
    figures = experiment.run(dataset, seed, json.loads(json.dumps(settings)))  # a copy: a run may not change them
    head = {"dataset": dataset, "seed": seed, "seconds": round(time.perf_counter() - start, 1)}
    figures = _rounded(_as_json(figures, f"what run of {experiment.name} returns"))
    if taken := sorted(head.keys() & figures.keys()):
        raise ExperimentError(f"run of {experiment.name} returns {taken[0]!r}, which the runner adds: rename it.")
    return head | figures


def small_runs(experiment: Experiment) -> list[dict]:
    """The runs of the experiment's short version, on the CPU, whose random numbers are the same everywhere."""
    with mock.patch.dict(os.environ, VAE_DEVICE="cpu"):
        return [one_run(experiment, *case, experiment.small) for case in _cases(experiment.small)]


def reproduce(experiment: Experiment, records: Path = RECORDS, unfinished: Path = UNFINISHED) -> bool:
    """Make the experiment's record, going on where one with the same settings was stopped.

    Returns whether it is whole: False where a data set can't be had here. What other data sets gave then waits in
    `unfinished`, and `records` stays as it was.
    """
    path, part = records / f"{experiment.name}.json", unfinished / f"{experiment.name}.json"
    new = {
        "what": experiment.name,
        "settings": experiment.settings,
        "small_settings": experiment.small,
        "device": best_device().type,
        "versions": versions(),
    }
    key = {"source": experiment.source, **new}
    kept = _read(part) or {}
    fits = kept.get("key") == key and isinstance(kept.get("runs"), list)
    runs = {(run["dataset"], run["seed"]): run for run in kept["runs"]} if fits else {}
    cases = list(_cases(experiment.settings))
    if runs:
        print(f"{experiment.name}: {len(runs)} of {len(cases)} runs were done before.", flush=True)
    missing = set()
    for dataset, seed in cases:
        if (dataset, seed) in runs or dataset in missing:
            continue
        if problem := _problem(dataset):
            missing.add(dataset)
            print(f"{experiment.name}: {dataset} is left out. {problem}", flush=True)
            continue
        run = runs[dataset, seed] = one_run(experiment, dataset, seed, experiment.settings)
        _write({"key": key, "runs": [runs[case] for case in cases if case in runs]}, part)
        print(f"{experiment.name}: {dataset}, seed {seed}: {run['seconds']:.0f} s", flush=True)
    if missing:
        return False
    record = new | {"runs": [runs[case] for case in cases], "small": small_runs(experiment)}
    change = _change(_read(path), record)
    _write(record, path)
    part.unlink(missing_ok=True)
    print(f"{experiment.name}: {path.name} is written{change}.", flush=True)
    return True


def versions() -> dict[str, str]:
    """The versions that a record was made with."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "vae_utils": vae_utils.__version__,
    }


def differences(a: object, b: object, floor: float = 1e-12) -> Iterator[tuple[str, float]]:
    """(where, relative difference) of each number of two runs; infinity where their forms or words are not the same.

    floor: numbers nearer to 0 count as this far from it. What lies at "seconds" is passed over.
    """
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        pairs = [(name, a[name], b[name]) for name in a if name != "seconds"]
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        pairs = [(str(i), *both) for i, both in enumerate(zip(a, b, strict=True))]
    elif _is_number(a) and _is_number(b):
        yield "", abs(a - b) / max(abs(a), abs(b), floor)
        return
    else:
        yield "", 0.0 if a == b else float("inf")
        return
    for name, left, right in pairs:
        for where, difference in differences(left, right, floor):
            yield f"{name}.{where}".rstrip("."), difference


def _change(before: dict | None, after: dict) -> str:
    """What to say about a new record beside the one before."""
    if before is None or before.get("settings") != after["settings"]:
        return ""
    where, most = max(differences(before.get("runs"), after["runs"]), key=lambda item: item[1])
    if most == 0:
        return ", with the same figures as before"
    if most == float("inf"):
        return ", with other kinds of figures than before"
    dataset, seed = (after["runs"][int(where.split(".")[0])][name] for name in ("dataset", "seed"))
    figure = where.partition(".")[2]
    return f"; most changed is {figure} ({dataset}, seed {seed}), by {most:.2g} of itself"


def _cases(settings: dict) -> Iterator[tuple[str, int]]:
    return ((dataset, seed) for dataset in settings["datasets"] for seed in settings["seeds"])


def _problem(dataset: str) -> str | None:
    """Why a data set of the course can't be had here, or None; what an experiment draws itself has any other name."""
    try:
        if dataset in data.names():
            data.load(dataset, dtype=torch.uint8)
    except data.DataError as error:
        return str(error)
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_json(value: object, name: str) -> dict:
    """A dictionary as JSON gives it back. Raises ExperimentError where it is none or JSON can't hold it."""
    if not isinstance(value, dict):
        raise ExperimentError(f"{name} must be a dictionary, not {type(value).__name__}.")
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ExperimentError(f"{name} can't be stored as JSON ({error}): use finite floats, not tensors.") from error


def _rounded(value: object) -> object:
    match value:
        case dict():
            return {name: _rounded(part) for name, part in value.items()}
        case list():
            return [_rounded(part) for part in value]
        case float():
            return float(f"{value:.{DIGITS}g}")
    return value


def _read(path: Path) -> dict | None:
    """What a file holds, or None where there is none or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _write(value: dict, path: Path) -> None:
    text = json.dumps(value, indent=1, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0 good, 1 something could not be had, 2 no such experiment."""
    parser = argparse.ArgumentParser(description="Make the records in data/records anew.")
    parser.add_argument("names", nargs="*", help="names of experiments; none: all")
    asked = parser.parse_args(arguments)
    os.environ.setdefault("VAE_PROGRESS", "0")
    try:
        experiments = [find(name) for name in asked.names or names()]
        return int(not all([reproduce(experiment) for experiment in experiments]))
    except ExperimentError as problem:
        print(problem, file=sys.stderr)
        return 2
    except data.DataError as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; the same command goes on from here.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
