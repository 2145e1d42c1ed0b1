"""Records made over a Dask cluster are those of one process."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scripts import reproduce
from scripts.reproduce import ExperimentError, find


@pytest.mark.filterwarnings("ignore")  # Dask's own
def test_a_cluster_gives_the_runs_of_one_process(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="no Dask here")
    records, unfinished = tmp_path / "records", tmp_path / "unfinished"
    experiment = find("estimators")
    experiment = replace(experiment, settings=experiment.small | {"seeds": [0, 1]})
    assert reproduce.reproduce(experiment, records, unfinished)
    alone = json.loads((records / "estimators.json").read_text(encoding="utf-8"))["runs"]
    settings = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with distributed.LocalCluster(**settings) as cluster:
        assert reproduce.reproduce(experiment, records, unfinished, cluster=cluster.scheduler_address)
    shared = json.loads((records / "estimators.json").read_text(encoding="utf-8"))["runs"]
    assert [{**run, "seconds": 0} for run in shared] == [{**run, "seconds": 0} for run in alone]
    with pytest.raises(ExperimentError, match="No Dask scheduler answers at tcp://127.0.0.1:9 .*start it, or mend"):
        reproduce.reproduce(experiment, records, unfinished, cluster="tcp://127.0.0.1:9")
