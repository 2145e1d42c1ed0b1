"""The lanes ask for the versions that they promise."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from scripts import lane


def test_the_lowest_accepted_versions_are_asked_for() -> None:
    assert "lowest-direct" in lane.install_command("oldest", Path("env"))
    assert "lowest-direct" not in lane.install_command("colab", Path("env"))
    assert "--upgrade" in lane.install_command("newest", Path("env"))


def test_colab_has_versions_that_the_course_accepts(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    accepted = {Requirement(line).name: Requirement(line).specifier for line in project["dependencies"]}
    for pin in map(Requirement, lane.LANES["colab"]["pins"]):
        version = str(pin.specifier).removeprefix("==").replace("*", "0")
        assert pin.name == "ipython" or version in accepted[pin.name], pin
    page = (root / "docs" / "open.md").read_text(encoding="utf-8")
    for name, pin in (("torch", "torch==2.11"), ("NumPy", "numpy==2.1.3"), ("IPython", "ipython==7.34")):
        assert f"{name} {pin.split('==')[1]}" in page
        assert any(line.startswith(pin) for line in lane.LANES["colab"]["pins"])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is one build of PyTorch")
def test_the_cpu_build_can_be_asked_for() -> None:
    assert "--torch-backend=cpu" in lane.install_command("colab", Path("env"), "cpu")
    assert "--torch-backend=cpu" not in lane.install_command("colab", Path("env"))


def test_what_a_lane_leaves_out_exists(root: Path) -> None:
    assert [name for name in lane.NOT_HERE if not (root / "tests" / name).exists()] == []


def test_arguments_take_the_place_of_the_tests() -> None:
    usual = lane.test_command(Path("env"), [])
    assert usual[-2:] == ["tests", "notebooks"] and "--ignore=tests/browser" in usual
    chosen = lane.test_command(Path("env"), ["tests/test_models.py", "-k", "vae"])
    assert chosen[-3:] == ["tests/test_models.py", "-k", "vae"] and not [c for c in chosen if "ignore" in c]


def test_an_install_that_fails_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(lane, "ROOT", tmp_path)
    for name in ("pyproject.toml", "scripts/lane.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(lane, "program", lambda environment, name: Path(sys.executable))  # -m pip install uv, say
    monkeypatch.setattr(lane, "install_command", lambda *_: [sys.executable, "-c", "raise SystemExit('no network')"])
    monkeypatch.setattr(lane.subprocess, "run", only_the_last(lane.subprocess.run))
    assert lane.main(["oldest"]) == 2
    said = capfd.readouterr().err
    assert re.sub(r"\r", "", said) == "no network\nThe lane oldest could not be installed; the lines above say why.\n"
    assert not (tmp_path / ".venv-oldest" / ".installed").exists()


def only_the_last(run):
    """subprocess.run that runs nothing but Python's -c."""

    class Done:
        returncode = 0

    return lambda command, **options: run(command, **options) if command[1] == "-c" else Done()


def test_a_lane_that_is_not_known(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        lane.main(["ancient"])
    assert stopped.value.code == 2 and "invalid choice: 'ancient'" in capsys.readouterr().err
