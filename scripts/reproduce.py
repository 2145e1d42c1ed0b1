"""Run the experiments again and write the records in data/records. `make reproduce` calls this.

    python -m scripts.reproduce [NAME ...]      each a module scripts/experiments/NAME.py; without a name, all

Runs are independent of each other and share the cores (joblib), or with --cluster the workers of a Dask cluster, which
need this folder, at the same place, and what it installs.

An experiment is a module with

    SETTINGS    everything that determines it, as JSON; `run` is called for each of "datasets" and "seeds"
    SMALL       changes for a run of a few seconds, on cats_dogs and seed 0 unless it sets others
    run         (dataset: str, seed: int, settings: dict) -> dict of figures, as JSON

Each finished run is kept in build/records, so that a stopped experiment resumes there. A new record replaces the old
one in one step, once all of its runs are done.
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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard
from unittest import mock

import joblib
import numpy as np
import torch

import vae_utils
from scripts.paths import BUILD, ROOT
from vae_utils import data
from vae_utils.files import write_atomically
from vae_utils.runtime import best_device

EXPERIMENTS = ROOT / "scripts" / "experiments"
RECORDS = ROOT / "data" / "records"
UNFINISHED = BUILD / "records"
DIGITS = 6  # significant digits of a figure in a record


class ExperimentError(Exception):
    """An experiment that does not exist, or lacks what the runner needs."""


@dataclass(frozen=True)
class Experiment:
    """A module of scripts/experiments.

    `settings` is SETTINGS and `small` is SETTINGS with the changes of SMALL, both as read back from JSON. `source` is
    the SHA-256 checksum of the module's text.
    """

    name: str
    settings: dict
    small: dict
    run: Callable[[str, int, dict], dict]
    source: str


def names(folder: Path = EXPERIMENTS) -> list[str]:
    """Return the names of the experiments, in order."""
    return sorted(path.stem for path in folder.glob("[!_.]*.py"))


def find(name: str, folder: Path = EXPERIMENTS) -> Experiment:
    """Return the experiment called `name`. Raise ExperimentError if there is none or a part of it is missing."""
    if name not in names(folder):
        known = ", ".join(names(folder)) or "none yet"
        raise ExperimentError(f"No experiment is called {name!r}; there are: {known}.")
    path = folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"scripts.experiments.{name}", path)
    assert spec and spec.loader
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
    """Return {"dataset", "seed", "seconds", figures ...} of one run, always from the same random state.

    Raises:
        ExperimentError: The figures are not a dictionary, not finite, or one has a name that the runner adds.
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
    """Run the experiment's short version on the CPU, whose random numbers are the same on every machine."""
    with mock.patch.dict(os.environ, VAE_DEVICE="cpu"):
        return [one_run(experiment, *case, experiment.small) for case in _cases(experiment.small)]


def reproduce(
    experiment: Experiment, records: Path = RECORDS, unfinished: Path = UNFINISHED, jobs: int = 1, cluster: str = ""
) -> bool:
    """Run an experiment and write its record, resuming a stopped one with the same settings, source and versions.

    Args:
        experiment: As `find` returns it; with more than one job, one of this project's.
        records: The folder of the record.
        unfinished: The folder of what a stopped experiment has done.
        jobs: How many runs at once, each in a process of its own.
        cluster: The address of a Dask scheduler; "": this machine.

    Returns:
        Whether the record is written. If a data set can't be had here, it is not: the other data sets' runs then stay
        in `unfinished`, and `records` is as it was.
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
    todo, missing = [case for case in cases if case not in runs], set()
    for dataset in dict.fromkeys(dataset for dataset, _ in todo):
        if problem := _problem(dataset):
            missing.add(dataset)
            print(f"{experiment.name}: {dataset} is left out. {problem}", flush=True)
    with _workers(jobs, cluster) as jobs:
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
        for run in parallel(_job(experiment, case, jobs) for case in todo if case[0] not in missing):
            runs[run["dataset"], run["seed"]] = run
            _write({"key": key, "runs": [runs[case] for case in cases if case in runs]}, part)
            print(f"{experiment.name}: {run['dataset']}, seed {run['seed']}: {run['seconds']:.0f} s", flush=True)
    if missing:
        return False
    record = new | {"runs": [runs[case] for case in cases], "small": small_runs(experiment)}
    change = _change(_read(path), record)
    _write(record, path)
    part.unlink(missing_ok=True)
    print(f"{experiment.name}: {path.name} is written{change}.", flush=True)
    return True


def _job(experiment: Experiment, case: tuple[str, int], jobs: int) -> tuple:
    """Return a run as joblib takes it; an experiment's module can't be sent to another process, its name can."""
    if jobs == 1:
        return joblib.delayed(one_run)(experiment, *case, experiment.settings)
    return joblib.delayed(_run_named)(experiment.name, *case, experiment.settings)


def _run_named(name: str, dataset: str, seed: int, settings: dict) -> dict:
    return one_run(find(name), dataset, seed, settings)


@contextmanager
def _workers(jobs: int, cluster: str) -> Iterator[int]:
    """Yield how many runs go on at once: so many processes here, or the threads of a Dask cluster's workers."""
    if not cluster:
        yield jobs
        return
    from distributed import Client

    try:
        client = Client(cluster, timeout=10)
    except (OSError, ValueError) as error:
        raise ExperimentError(
            f"No Dask scheduler answers at {cluster} ({error}): start it, or mend CLUSTER."
        ) from error
    with client, joblib.parallel_config(backend="dask"):
        yield max(2, sum(client.nthreads().values()))  # 1 would run here


def versions() -> dict[str, str]:
    """Return the versions that a record names."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "vae_utils": vae_utils.__version__,
    }


def differences(a: object, b: object, floor: float = 1e-12) -> Iterator[tuple[str, float]]:
    """Yield (path, relative difference) for each number of two runs; infinity if types, lengths, names or words differ.

    Args:
        a: A run or a part of one, as JSON gives it; values named "seconds" are ignored.
        b: The same of the other run.
        floor: The least that differences are relative to.
    """
    pairs: list[tuple[str, object, object]]
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        pairs = [(name, a[name], b[name]) for name in a if name != "seconds"]
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        pairs = [(str(i), left, right) for i, (left, right) in enumerate(zip(a, b, strict=True))]
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
    """Describe how a new record differs from the old one, or return '' if they do not compare."""
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
    """Return why a data set of the course can't be had here, or None; other names are drawn by the experiment."""
    try:
        if dataset in data.names():
            data.load(dataset, dtype=torch.uint8)
    except data.DataError as error:
        return str(error)
    return None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_json(value: object, name: str) -> dict:
    """Return a dictionary as read back from JSON. Raise ExperimentError if it is none or JSON can't store it."""
    if not isinstance(value, dict):
        raise ExperimentError(f"{name} must be a dictionary, not {type(value).__name__}.")
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ExperimentError(f"{name} can't be stored as JSON ({error}): use finite floats, not tensors.") from error


def _rounded(value: Any) -> Any:
    """Round all floats in a JSON value to DIGITS significant digits."""
    match value:
        case dict():
            return {name: _rounded(part) for name, part in value.items()}
        case list():
            return [_rounded(part) for part in value]
        case float():
            return float(f"{value:.{DIGITS}g}")
    return value


def _read(path: Path) -> dict | None:
    """Return the dictionary in a JSON file, or None if the file is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _write(value: dict, path: Path) -> None:
    text = json.dumps(value, indent=1, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 good, 1 something could not be had, 2 no such experiment."""
    parser = argparse.ArgumentParser(description="Run the experiments again and write the records in data/records.")
    parser.add_argument("names", nargs="*", help="names of experiments; none: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at once (default: one a core)")
    parser.add_argument("--cluster", default="", help="address of a Dask scheduler whose workers run (default: here)")
    asked = parser.parse_args(arguments)
    os.environ.setdefault("VAE_PROGRESS", "0")
    try:
        experiments = [find(name) for name in asked.names or names()]
        return int(
            not all([reproduce(experiment, jobs=asked.jobs, cluster=asked.cluster) for experiment in experiments])
        )
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
