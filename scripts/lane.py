"""Test the course with other versions than those of requirements.lock, in an environment of their own.

    lane.py oldest        the oldest versions that pyproject.toml accepts
    lane.py colab         what Colab has: its torch, numpy, ipywidgets and IPython
    lane.py newest        the newest versions that pyproject.toml accepts

The environment is .venv-oldest, .venv-colab or .venv-newest; delete it when you are done, it may take 6 GB. What stands
after the lane's name goes to pytest in place of the tests that belong to a lane. `make test-oldest` and its like call
this; TORCH=cpu asks for PyTorch's CPU build.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# For each lane what uv is asked for beside the project and its extras. Colab's versions are those of August 2026.
LANES = {
    "oldest": {"resolution": "lowest-direct", "pins": ()},
    "colab": {
        "resolution": "highest",
        "pins": ("torch==2.11.*", "torchvision==0.26.*", "numpy==2.1.3", "ipywidgets==7.7.1", "ipython==7.34.0"),
    },
    "newest": {"resolution": "highest", "pins": ()},
}
EXTRAS = "lab,test"
SHOWN = ("torch", "torchvision", "numpy", "matplotlib", "pillow", "scikit-learn", "ipywidgets", "ipython", "jupyterlab")
# What is the same in every environment (files, lists, installing), or takes long and says little about versions.
NOT_HERE = (
    "browser",
    "test_bench.py",
    "test_bootstrap.py",
    "test_lane.py",
    "test_notebooks.py",
    "test_prose.py",
    "test_publish.py",
    "test_setup.py",
    "test_trouble.py",
    "test_workflows.py",
)


class LaneError(RuntimeError):
    """An environment that can't be made. The message says what to do."""


def program(environment: Path, name: str) -> Path:
    """Where a program of an environment is, on this system."""
    return environment / ("Scripts" if os.name == "nt" else "bin") / (f"{name}.exe" if os.name == "nt" else name)


def install_command(lane: str, environment: Path, torch: str = "") -> list[str]:
    """The command that installs a lane's versions; pins are added to what is asked for."""
    command = [str(program(environment, "uv")), "pip", "install", "--python", str(program(environment, "python"))]
    command += ["--resolution", LANES[lane]["resolution"]]
    if lane == "newest":
        command.append("--upgrade")
    if torch == "cpu" and sys.platform == "linux":
        command.append("--torch-backend=cpu")
    return [*command, "--editable", f".[{EXTRAS}]", *LANES[lane]["pins"]]


def test_command(environment: Path, arguments: Sequence[str]) -> list[str]:
    """The command that runs a lane's tests, or those that the arguments name."""
    command = [str(program(environment, "python")), "-m", "pytest"]
    command += ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300"]
    ignored = [f"--ignore=tests/{name}" for name in NOT_HERE]
    return [
        *command,
        *(
            arguments
            or [*ignored, "--ignore=notebooks/assignments", "--ignore-glob=*/my_*.ipynb", "tests", "notebooks"]
        ),
    ]


def prepare(lane: str, environment: Path) -> None:
    """Make a lane's environment, or bring it up to date where pyproject.toml or this file is newer.

    Raises LaneError where pip or uv fails; what they say stands above.
    """
    mark = environment / ".installed"
    newest = max((ROOT / name).stat().st_mtime for name in ("pyproject.toml", "scripts/lane.py"))
    if mark.exists() and mark.stat().st_mtime >= newest and lane != "newest":
        return
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise LaneError(
            f"A lane needs Python 3.11, 3.12 or 3.13, not {sys.version_info.major}.{sys.version_info.minor}."
        )
    mark.unlink(missing_ok=True)
    commands = [
        [sys.executable, "-m", "venv", str(environment)],
        [str(program(environment, "python")), "-m", "pip", "install", "--quiet", "uv"],
        install_command(lane, environment, os.environ.get("TORCH", "")),
    ]
    for command in commands:
        if subprocess.run(command, cwd=ROOT).returncode:
            raise LaneError(f"The lane {lane} could not be installed; the lines above say why.")
    mark.touch()


def versions() -> str:
    """The versions that this Python has of what matters most, in one line."""
    return f"Python {sys.version.split()[0]}, " + ", ".join(f"{name} {version(name)}" for name in SHOWN)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns pytest's exit status, or 2 where the environment can't be made."""
    parser = argparse.ArgumentParser(description="Test the course with other versions.")
    parser.add_argument("lane", choices=[*LANES, "versions"])
    given, rest = parser.parse_known_args(arguments)
    if given.lane == "versions":
        print(versions())
        return 0
    environment = ROOT / f".venv-{given.lane}"
    try:
        prepare(given.lane, environment)
    except LaneError as error:
        print(error, file=sys.stderr)
        return 2
    subprocess.run([program(environment, "python"), __file__, "versions"], cwd=ROOT)
    variables = {**os.environ, "VAE_STRICT": "1", "VIRTUAL_ENV": str(environment)}
    return subprocess.run(test_command(environment, rest), cwd=ROOT, env=variables).returncode


if __name__ == "__main__":
    sys.exit(main())
