"""Records are read or refused with a clear message, and each holds what its experiment still gives.

The runner that writes them resumes a stopped experiment and never leaves half a record.
"""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import joblib
import pytest
import torch

import vae_utils
from scripts import reproduce
from scripts.reproduce import ExperimentError, differences, find, main, one_run, small_runs
from vae_utils import records
from vae_utils.data import DataError
from vae_utils.runtime import best_device

# How far another processor or another PyTorch may be from a stored figure: each rounds in its own way, a few hundred
# steps carry that far, and a share of a hundred test pictures moves by several of them.
RELATIVE, ABSOLUTE = 0.1, 0.15


# The experiments of the course


@pytest.mark.parametrize("name", reproduce.names())
def test_experiment_has_a_record_made_with_its_settings(name: str) -> None:
    experiment, record = find(name), records.load(name)
    assert record["what"] == name
    assert record["settings"] == experiment.settings, f"the settings changed: run make reproduce WHAT={name}"
    cases = [[dataset, seed] for dataset in experiment.settings["datasets"] for seed in experiment.settings["seeds"]]
    assert [[run["dataset"], run["seed"]] for run in record["runs"]] == cases
    assert all(run["seconds"] >= 0 for run in record["runs"])
    assert record["versions"].keys() == reproduce.versions().keys()


@pytest.mark.parametrize("name", reproduce.names())
def test_short_version_of_an_experiment_gives_the_stored_figures(name: str) -> None:
    experiment, record = find(name), records.load(name)
    assert record["small_settings"] == experiment.small, f"SMALL changed: run make reproduce WHAT={name}"
    random = torch.get_rng_state()
    found = list(differences(record["small"], small_runs(experiment), floor=ABSOLUTE / RELATIVE))
    torch.set_rng_state(random)
    figures = [where for where, _ in found if where.split(".")[1] not in ("dataset", "seed")]
    assert figures, "the short version has no figures"
    assert {where: change for where, change in found if not change <= RELATIVE} == {}


def test_every_record_has_an_experiment() -> None:
    assert set(records.names()) == set(reproduce.names())


# Reading a record


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of records that stands in for the course's own."""
    for name in ("alpha", "beta"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"what": name, "runs": []}))
    (tmp_path / ".beta.json").write_text("{}")
    monkeypatch.setattr(records, "folder", lambda: tmp_path)
    return tmp_path


def test_record_is_loaded_by_its_name(folder: Path) -> None:
    assert records.names() == ("alpha", "beta")
    assert records.load("beta") == {"what": "beta", "runs": []}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("betta", "no record is called 'betta': the names are alpha, beta; did you mean 'beta'"),
        ("zzz", "no record is called 'zzz': the names are alpha, beta"),
        ("../secret", "no record is called '../secret'"),
        (3, "no record is called 3"),
    ],
)
def test_unknown_record_names_the_known_ones(folder: Path, name: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        records.load(name)


def test_no_records_at_all(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="the names are none yet"):
        records.load("beta")


@pytest.mark.parametrize("text", ['{"what": "beta", "ru', "", "[]", '{"what": "beta"}', '{"runs": 3}'])
def test_damaged_record_says_how_to_make_it_anew(folder: Path, text: str) -> None:
    (folder / "beta.json").write_text(text)
    with pytest.raises(DataError, match="beta.json .*make it anew with `make reproduce WHAT=beta`"):
        records.load("beta")


def test_records_lie_in_the_checkout(root: Path) -> None:
    assert records.folder() == root / "data" / "records"


# The runner, on a made-up experiment

MADE_UP = '''"""Draw a number."""
import torch
from pathlib import Path

SETTINGS = {"datasets": ["one", "two"], "seeds": [0, 1], "scale": 1.0, "sizes": (2, 3)}
SMALL = {"datasets": ["one"], "scale": 0.5}
CALLS = Path(__file__).with_name("calls.txt")


def run(dataset, seed, settings):
    with CALLS.open("a") as file:
        file.write(f"{dataset} {seed} {settings['scale']}\\n")
    if CALLS.with_name("stop").exists() and (dataset, seed) == ("two", 0):
        raise KeyboardInterrupt
    return {"draw": settings["scale"] * torch.rand(()).item(), "sizes": settings["sizes"], "curve": {"x": [seed, None]}}
'''


class Place:
    """Folders for a made-up experiment, its record and what is unfinished of it."""

    def __init__(self, path: Path) -> None:
        self.experiments, self.records, self.unfinished = (path / name for name in ("experiments", "records", "build"))
        self.experiments.mkdir()
        self.write(MADE_UP)

    def write(self, source: str) -> None:
        (self.experiments / "made_up.py").write_text(source)

    def stop(self, at_all: bool) -> None:
        """Let the experiment be interrupted in its third run, or not."""
        mark = self.experiments / "stop"
        mark.touch() if at_all else mark.unlink()

    def reproduce(self) -> bool:
        return reproduce.reproduce(find("made_up", self.experiments), self.records, self.unfinished)

    def calls(self) -> list[str]:
        """Runs since the last look: data set, seed and scale."""
        path = self.experiments / "calls.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def record(self) -> dict:
        return json.loads((self.records / "made_up.json").read_text())

    def left(self) -> list[str]:
        return sorted(path.name for folder in (self.records, self.unfinished) for path in folder.glob("*"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


FULL = ["one 0 1.0", "one 1 1.0", "two 0 1.0", "two 1 1.0"]


def test_runner_goes_over_data_sets_and_seeds(place: Place, capsys: pytest.CaptureFixture) -> None:
    assert place.reproduce()
    assert place.calls() == [*FULL, "one 0 0.5"]
    assert place.left() == ["made_up.json"]
    record = place.record()
    assert record["what"] == "made_up" and record["device"] in ("cpu", "cuda", "mps")
    assert record["settings"] == {"datasets": ["one", "two"], "seeds": [0, 1], "scale": 1.0, "sizes": [2, 3]}
    assert record["small_settings"] == record["settings"] | {"datasets": ["one"], "seeds": [0], "scale": 0.5}
    assert record["versions"]["torch"] == torch.__version__
    assert record["versions"]["vae_utils"] == vae_utils.__version__
    assert [(run["dataset"], run["seed"]) for run in record["runs"]] == [("one", 0), ("one", 1), ("two", 0), ("two", 1)]
    first, second, third, _ = record["runs"]
    assert first.keys() == {"dataset", "seed", "seconds", "draw", "sizes", "curve"}
    assert first["draw"] == third["draw"] != second["draw"], "the runner seeds each run"
    assert second["curve"] == {"x": [1, None]}
    assert len(record["small"]) == 1 and record["small"][0]["draw"] == pytest.approx(first["draw"] / 2, rel=1e-5)
    assert re.sub(r"\d+ s$", "... s", capsys.readouterr().out, flags=re.MULTILINE).splitlines() == [
        "made_up: one, seed 0: ... s",
        "made_up: one, seed 1: ... s",
        "made_up: two, seed 0: ... s",
        "made_up: two, seed 1: ... s",
        "made_up: made_up.json is written.",
    ]


def test_stopped_run_leaves_the_record_whole_and_goes_on(place: Place, capsys: pytest.CaptureFixture) -> None:
    place.reproduce()
    before = place.record()
    place.calls()
    place.stop(True)
    with pytest.raises(KeyboardInterrupt):
        place.reproduce()
    assert place.calls() == FULL[:3], "a whole record is made anew"
    assert place.record() == before and place.left() == ["made_up.json", "made_up.json"]
    place.stop(False)
    capsys.readouterr()
    assert place.reproduce()
    assert place.calls() == [*FULL[2:], "one 0 0.5"]
    assert list(differences(before["runs"], place.record()["runs"])) and place.left() == ["made_up.json"]
    assert {change for _, change in differences(before["runs"], place.record()["runs"])} == {0}
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "made_up: 2 of 4 runs were done before."
    assert told[-1] == "made_up: made_up.json is written, with the same figures as before."


def test_runs_at_once_are_written_in_their_order(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    second_is_done = threading.Event()

    def run(experiment: reproduce.Experiment, dataset: str, seed: int, settings: dict) -> dict:
        if (dataset, seed) == ("one", 0):
            assert second_is_done.wait(60), "one at a time"
        if (dataset, seed) == ("one", 1):
            second_is_done.set()
        return {"dataset": dataset, "seed": seed, "seconds": 0.0, "scale": settings["scale"]}

    monkeypatch.setattr(reproduce, "one_run", run)
    monkeypatch.setattr(reproduce, "find", lambda name: find(name, place.experiments))
    with joblib.parallel_config(backend="threading"):
        assert reproduce.reproduce(find("made_up", place.experiments), place.records, place.unfinished, jobs=2)
    runs = [(run["dataset"], run["seed"], run["scale"]) for run in place.record()["runs"]]
    assert runs == [("one", 0, 1.0), ("one", 1, 1.0), ("two", 0, 1.0), ("two", 1, 1.0)]
    assert place.left() == ["made_up.json"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"scale": 1.0', '"scale": 2.0'),
        ('"scale": 0.5', '"scale": 0.25'),
        ('"draw": settings', '"draw": 3 * settings'),
    ],
)
def test_changed_experiment_starts_anew(place: Place, old: str, new: str) -> None:
    place.stop(True)
    with pytest.raises(KeyboardInterrupt):
        place.reproduce()
    place.calls()
    place.stop(False)
    assert MADE_UP.count(old) == 1
    place.write(MADE_UP.replace(old, new))
    assert place.reproduce()
    assert len(place.calls()) == 5


def test_other_versions_start_anew(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.stop(True)
    with pytest.raises(KeyboardInterrupt):
        place.reproduce()
    place.calls()
    place.stop(False)
    monkeypatch.setattr(torch, "__version__", "99.0")
    assert place.reproduce()
    assert len(place.calls()) == 5 and place.record()["versions"]["torch"] == "99.0"


@pytest.mark.parametrize("damage", [lambda text: text[:-40], lambda text: "", lambda text: "[]"])
def test_damaged_unfinished_file_is_not_used(place: Place, damage: object) -> None:
    place.stop(True)
    with pytest.raises(KeyboardInterrupt):
        place.reproduce()
    place.calls()
    place.stop(False)
    path = place.unfinished / "made_up.json"
    path.write_text(damage(path.read_text()))
    assert place.reproduce()
    assert len(place.calls()) == 5


def test_full_disk_leaves_the_record_whole(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.reproduce()
    before = (place.records / "made_up.json").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vae_utils.files.os.replace", full)
    with pytest.raises(DataError, match="the disk is full"):
        place.reproduce()
    assert (place.records / "made_up.json").read_bytes() == before and place.left() == ["made_up.json"]


def test_what_changed_most_is_told(place: Place, capsys: pytest.CaptureFixture) -> None:
    place.reproduce()
    record = place.record()
    record["runs"][2]["draw"] *= 2
    record["runs"][1]["draw"] *= 1.1
    (place.records / "made_up.json").write_text(json.dumps(record))
    place.reproduce()
    assert "; most changed is draw (two, seed 0), by 0.5 of itself." in capsys.readouterr().out
    (place.records / "made_up.json").write_text(json.dumps(record | {"runs": record["runs"][1:]}))
    place.reproduce()
    assert "with other kinds of figures than before." in capsys.readouterr().out


# A data set that is not there; an experiment that is not right


@pytest.fixture
def here(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The runner's command line works on the made-up experiment, in this process: others don't know it."""
    monkeypatch.setattr(reproduce, "EXPERIMENTS", place.experiments)
    monkeypatch.setattr(reproduce, "names", lambda folder=place.experiments: ["made_up"])
    monkeypatch.setattr(reproduce, "find", lambda name: find(name, place.experiments))
    monkeypatch.setattr(
        reproduce,
        "reproduce",
        lambda experiment, jobs, cluster, do=reproduce.reproduce: do(experiment, place.records, place.unfinished),
    )
    monkeypatch.delenv("VAE_PROGRESS", raising=False)
    monkeypatch.setenv("VAE_PROGRESS", "0")
    return place


def test_data_set_that_is_not_there_is_left_out(
    here: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def load(name: str, **_: object) -> None:
        raise DataError(f"no {name} here: set VAE_DATA.")

    here.write(MADE_UP.replace('["one", "two"]', '["mnist", "one"]'))
    with monkeypatch.context() as without:
        without.setattr("vae_utils.data.load", load)
        assert main([]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told.count("made_up: mnist is left out. no mnist here: set VAE_DATA.") == 1
    assert here.calls() == FULL[:2] and here.left() == ["made_up.json"] and not here.records.exists()
    monkeypatch.setattr("vae_utils.data.load", lambda name, **_: None)
    assert main(["made_up"]) == 0
    assert here.calls() == ["mnist 0 1.0", "mnist 1 1.0", "one 0 0.5"]
    assert [run["dataset"] for run in here.record()["runs"]] == ["mnist", "mnist", "one", "one"]


def test_exit_status(here: Place, capsys: pytest.CaptureFixture) -> None:
    assert main(["made_up"]) == 0
    here.stop(True)
    assert main([]) == 130 and "the same command goes on from here" in capsys.readouterr().err
    assert main(["made"]) == 2
    assert capsys.readouterr().err == "No experiment is called 'made'; there are: made_up.\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("SMALL =", "small =", "made_up.py has no SMALL"),
        ("def run", "def walk", "made_up.py has no run"),
        ('"seeds": [0, 1]', '"seeds": []', 'must list "seeds"'),
        ('"datasets": ["one", "two"]', '"datasets": "one"', 'must list "datasets"'),
        ('"scale": 1.0', '"scale": torch.ones(1)', "SETTINGS of made_up.py can't be stored as JSON"),
        ('SMALL = {"datasets": ["one"], "scale": 0.5}', "SMALL = 3", "must be a dictionary, not int"),
    ],
)
def test_experiment_that_is_not_right(place: Place, old: str, new: str, message: str) -> None:
    assert MADE_UP.count(old) == 1
    place.write(MADE_UP.replace(old, new))
    with pytest.raises(ExperimentError, match=message):
        find("made_up", place.experiments)


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ("{'draw': float('nan')}", "can't be stored as JSON"),
        ("{'draw': torch.ones(1)}", "use finite floats, not tensors"),
        ("[1.0]", "must be a dictionary, not list"),
        ("{'seconds': 1.0}", "returns 'seconds', which the runner adds"),
    ],
)
def test_figures_that_are_not_right(place: Place, figures: str, message: str) -> None:
    place.write(MADE_UP.split("    with CALLS")[0] + f"    return {figures}\n")
    with pytest.raises(ExperimentError, match=message):
        place.reproduce()
    assert place.left() == []


def test_a_run_can_not_change_the_settings_of_the_next(place: Place) -> None:
    place.write(
        MADE_UP.split("    with CALLS")[0] + "    settings['scale'] += 1\n    return {'scale': settings['scale']}\n"
    )
    experiment = find("made_up", place.experiments)
    assert [one_run(experiment, "one", seed, experiment.settings)["scale"] for seed in (0, 1)] == [2.0, 2.0]


def test_short_version_runs_on_the_cpu(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    source = MADE_UP.split("    with CALLS")[0] + "    from vae_utils.runtime import best_device\n"
    place.write(source + "    return {'device': best_device().type}\n")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.delenv("VAE_DEVICE", raising=False)
    assert small_runs(find("made_up", place.experiments))[0]["device"] == "cpu"
    assert best_device().type == "cuda"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({"x": 1.0, "seconds": 3}, {"x": 1.0, "seconds": 9}, {"x": 0}),
        ({"x": [1.0, 2]}, {"x": [1.0, 4]}, {"x.0": 0, "x.1": 0.5}),
        ({"x": 1.0}, {"y": 1.0}, {"": float("inf")}),
        ([1.0], [1.0, 2.0], {"": float("inf")}),
        (["a", None, True], ["a", None, False], {"0": 0, "1": 0, "2": float("inf")}),
        ([0.0], [0.0], {"0": 0}),
        ([1.0], [None], {"0": float("inf")}),
    ],
)
def test_differences(a: object, b: object, expected: dict) -> None:
    assert dict(differences(a, b)) == expected


def test_differences_near_zero_count_by_the_floor() -> None:
    assert dict(differences([1e-9, 1.0], [0.0, 1.1], floor=0.02))["0"] == pytest.approx(5e-8)
    assert dict(differences([1e-9, 1.0], [0.0, 1.1], floor=0.02))["1"] == pytest.approx(0.1 / 1.1)


def test_behind_compares_with_the_first_way_of_each_run(folder: Path) -> None:
    runs = [
        {"dataset": "a", "seed": 0, "one": {"negative_elbo": 3.0}, "two": {"0.1": {"negative_elbo": 5.0}}},
        {"dataset": "b", "seed": 0, "one": {"negative_elbo": 1.0}, "two": {"0.1": {"negative_elbo": 9.0}}},
        {"dataset": "a", "seed": 1, "one": {"negative_elbo": 4.0}, "two": {"0.1": {"negative_elbo": 3.5}}},
    ]
    runs[0]["two"]["0.3"] = {"negative_elbo": 4.5}  # the better of two rates counts
    (folder / "beta.json").write_text(json.dumps({"what": "beta", "runs": runs}))
    assert records.behind("beta", "one") == {"one": {"a": [0, 0], "b": [0]}, "two": {"a": [1.5, -0.5], "b": [8.0]}}
