"""Run `make grade` in a container: no network, nothing to write to but the results, no files but those of grading."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.paths import ROOT

ENGINES = ("podman", "docker")
IMAGE = "vae-grading"
FILE = Path(__file__).with_name("Containerfile")
NONE_HERE = (
    "There is no container engine (podman, docker) that answers: students' code runs as you, and can read your files "
    "and use the network. See notebooks/assignments/README.md."
)


def engine() -> str | None:
    """Return the first container engine on the PATH that answers (Docker's service may be off), or None."""
    return next((path for name in ENGINES if (path := shutil.which(name)) and _answers(path)), None)


def _answers(engine: str) -> bool:
    try:
        return subprocess.run([engine, "info"], capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def grade_inside(engine: str, submissions: Path, results: Path, course: Path, arguments: list[str]) -> int:
    """Build the image if it is not there or old, and run the grading program in it.

    Paths are the same inside, the checkout's too, so that results and gradebook fit a later run outside.

    Args:
        engine: Path of docker or podman.
        submissions: Folder or file with the submissions, mounted to be read.
        results: Folder for the results.
        course: The term's folder.
        arguments: For scripts.grade.

    Returns:
        The exit status.
    """
    for folder in (results, course):
        folder.mkdir(parents=True, exist_ok=True)
    print(f"Grading in a container ({Path(engine).name}), without a network. The first time, its image takes minutes.")
    built = subprocess.run([engine, "build", "--quiet", "--tag", IMAGE, "--file", str(FILE), str(ROOT)])
    if built.returncode:
        print("The image could not be built. CONTAINER=no grades without one.", file=sys.stderr)
        return built.returncode
    return subprocess.run(command(engine, submissions, results, course, arguments)).returncode


def command(engine: str, submissions: Path, results: Path, course: Path, arguments: Sequence[str]) -> list[str]:
    """Return the command line that runs the grading program in the image."""
    mounts = [(ROOT, "ro"), (submissions, "ro"), (results, "rw"), (course, "rw")]
    user = ["--userns=keep-id"] if "podman" in Path(engine).name else [f"--user={os.getuid()}:{os.getgid()}"]
    return [
        engine,
        "run",
        "--rm",
        "--network=none",
        "--read-only",
        "--tmpfs=/tmp:exec",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--pids-limit=2000",
        *user,
        *(f"--volume={path}:{path}:{mode}" for path, mode in mounts),
        f"--workdir={ROOT}",
        "--env=HOME=/tmp",
        IMAGE,
        "python",
        "-m",
        "scripts.grade",
        "--container=no",
        *arguments,
    ]
