"""Installing, with the real uv and pip and indexes of made-up packages on this machine; and starting JupyterLab."""

from __future__ import annotations

import ensurepip
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.lab_server import running_lab

# What make hands down to the programs that it starts, such as these tests.
FROM_MAKE = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHON", "TORCH", "TORCH_INDEX", "UV", "REPO", "BRANCH", "KEEP"}
needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not here")


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Run make in a folder."""
    environment = {name: value for name, value in os.environ.items() if name not in FROM_MAKE} | variables
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


LOCK = "torch==9.9.9\ntorchvision==8.8.8\n"
PROJECT = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "vae-utils"
version = "1"
"""
BACKEND = """from wheels import wheel
def build_editable(folder, settings=None, metadata=None):
    return wheel(folder, "vae_utils", "1").name
build_wheel = build_editable
"""
WHEELS = """import zipfile
from pathlib import Path
def wheel(folder, name, version):
    path, info = Path(folder) / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(f"{info}/RECORD", f"{info}/METADATA,,\\n{info}/WHEEL,,\\n{info}/RECORD,,\\n")
    return path
"""


@pytest.fixture
def clone(root: Path, tmp_path: Path) -> Path:
    """A course of two packages in place of the real one, and nothing installed."""
    if not shutil.which("make") or os.name == "nt":
        pytest.skip("make is not here")
    folder = tmp_path / "course"
    (folder / "scripts").mkdir(parents=True)
    for name in ("Makefile", "scripts/install.sh"):
        shutil.copy(root / name, folder / name)
    texts = {"pyproject.toml": PROJECT, "backend.py": BACKEND, "wheels.py": WHEELS}
    for name, text in (texts | {"requirements.lock": LOCK}).items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def index(clone: Path, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A function that serves wheels of these versions on this machine and returns the index's address."""
    sys.path.insert(0, str(clone))
    from wheels import wheel

    sys.path.remove(str(clone))
    servers = []

    def serve(**packages: str) -> str:
        folder = tmp_path / f"index{len(servers)}"
        for name, version in packages.items():
            (folder / name).mkdir(parents=True)
            wheel(folder / name, name, version)
        (bundled,) = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
        (folder / "pip").mkdir(parents=True)
        shutil.copy(bundled, folder / "pip")
        handler = partial(QuietHandler, directory=str(folder))
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serve folders without a log."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def usual(index: Callable[..., str], tmp_path: Path) -> dict[str, str]:
    """The variables of a machine without an NVIDIA GPU whose usual index has the usual builds."""
    address = index(torch="9.9.9", torchvision="8.8.8")
    return {
        "UV": str(Path(sys.executable).with_name("uv")),
        "PYTHON": sys.executable,
        "UV_DEFAULT_INDEX": address,
        "PIP_INDEX_URL": address,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": "",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_HTTP_TIMEOUT": "2",
        "PATH": without_gpu(tmp_path),
    }


def without_gpu(folder: Path) -> str:
    """A PATH of the few programs that installing needs, so that nvidia-smi is not found on it."""
    (folder / "bin").mkdir()
    for name in ("sh", "make", "sed", "grep", "uname", "mkdir", "cat", "printf", "env"):
        if found := shutil.which(name):
            (folder / "bin" / name).symlink_to(found)
    return str(folder / "bin")


def builds(clone: Path) -> list[str]:
    """The versions of torch and torchvision that are installed."""
    question = "from importlib.metadata import version; print(version('torch'), version('torchvision'))"
    answer = subprocess.run([clone / ".venv/bin/python", "-c", question], capture_output=True, text=True, check=True)
    return answer.stdout.split()


def complaint(result: subprocess.CompletedProcess) -> str:
    """What a failed make said on stderr, without make's own line."""
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1, lines
    return lines[0]


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is one build of PyTorch")
no_gpu = pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has an NVIDIA GPU")
CPU, USUAL = ["9.9.9+cpu", "8.8.8+cpu"], ["9.9.9", "8.8.8"]
TAKES_USUAL = "PyTorch's CPU build can't be had right now: taking the usual build"


@linux
@no_gpu
def test_cpu_build_is_installed_where_its_index_answers(clone: Path, usual: dict, index: Callable[..., str]) -> None:
    usual["TORCH_INDEX"] = index(torch="9.9.9+cpu", torchvision="8.8.8+cpu")
    assert make(clone, "install", **usual).returncode == 0
    assert builds(clone) == CPU
    offline = usual | {"TORCH_INDEX": "http://127.0.0.1:9/", "UV_DEFAULT_INDEX": "http://127.0.0.1:9/"}
    again = make(clone, "install", **offline)
    assert (again.returncode, again.stderr) == (0, "") and builds(clone) == CPU  # kept, and nothing asked for
    assert make(clone, "install", "TORCH=cuda", **usual).returncode == 0
    assert builds(clone) == USUAL
    assert make(clone, "install", **usual).returncode == 0
    assert builds(clone) == USUAL  # a choice once made is kept
    assert make(clone, "install", "TORCH=cpu", **usual).returncode == 0
    assert builds(clone) == CPU


@linux
@no_gpu
@pytest.mark.parametrize("index_is", ["refusing", "silent", "without it"])
def test_usual_build_is_taken_where_the_cpu_index_fails(
    clone: Path, usual: dict, index: Callable[..., str], index_is: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and never answers
        usual["TORCH_INDEX"] = {
            "refusing": "http://127.0.0.1:9/",
            "silent": f"http://127.0.0.1:{silent.getsockname()[1]}/",
            "without it": index(torch="7.0+cpu"),
        }[index_is]
        forced = make(clone, "install", "TORCH=cpu", **usual)
        assert complaint(forced).startswith("The index of PyTorch's CPU builds does not answer")
        result = make(clone, "install", **usual)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count(TAKES_USUAL) == 1
    assert builds(clone) == USUAL


@linux
def test_a_gpu_gets_the_usual_build(clone: Path, usual: dict, index: Callable[..., str]) -> None:
    usual["TORCH_INDEX"] = index(torch="9.9.9+cpu", torchvision="8.8.8+cpu")
    smi = Path(usual["PATH"]) / "nvidia-smi"
    smi.write_text("#!/bin/sh\n")
    smi.chmod(0o755)
    result = make(clone, "install", **usual)
    assert result.returncode == 0 and TAKES_USUAL not in result.stderr
    assert builds(clone) == USUAL


@needs_make
def test_pip_does_it_where_uv_cannot_be_had(clone: Path, usual: dict) -> None:
    usual["UV"] = "none"
    assert make(clone, "install", **usual).returncode == 0
    assert builds(clone) == USUAL
    (clone / "requirements.lock").write_text(LOCK.replace("8.8.8", "8.8.7"))
    assert make(clone, "install", **usual).returncode != 0  # the index lacks it
    (clone / "requirements.lock").write_text(LOCK)
    assert make(clone, "install", **usual).returncode == 0


@needs_make
@pytest.mark.parametrize("uv", [True, False])
def test_an_interrupted_first_install_is_mended(clone: Path, usual: dict, uv: bool) -> None:
    usual |= {"TORCH": "cuda"} | ({} if uv else {"UV": "none"})
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", clone / ".venv"], check=True)
    result = make(clone, "install", **usual)
    assert result.returncode == 0, result.stderr
    assert builds(clone) == USUAL


def pretend(folder: str, script: str) -> None:
    """Put a python3 that only pretends into a folder of the PATH."""
    program = Path(folder) / "python3"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize("version", ["2.7", "3.10", "3.15"])
def test_python_that_does_not_fit_gives_one_sentence(clone: Path, usual: dict, version: str) -> None:
    pretend(usual["PATH"], f"case $2 in *print*) echo {version} ;; *) exit 1 ;; esac")
    assert complaint(make(clone, "lab", **usual | {"UV": "none", "PYTHON": ""})) == (
        f"This course needs Python 3.11, 3.12, 3.13 or 3.14, and python3 is Python {version}: install one of these "
        "(or uv, which fetches one), or name another, as in: make lab PYTHON=python3.12"
    )
    assert not (clone / ".venv").exists()


def test_python_without_venv_gives_one_sentence(clone: Path, usual: dict) -> None:
    pretend(
        usual["PATH"], 'case $2 in *print*) echo 3.12 ;; *version_info*) ;; *) echo "Traceback" >&2; exit 1 ;; esac'
    )
    assert complaint(make(clone, "lab", **usual | {"UV": "none", "PYTHON": ""})) == (
        "python3 lacks the venv module: install it (Debian and Ubuntu: sudo apt install python3.12-venv) and try again."
    )


@pytest.mark.parametrize(
    ("choice", "start"), [("PYTHON=no-such-python", "There is no no-such-python"), ("TORCH=gpu", "TORCH is 'gpu'")]
)
def test_a_choice_that_cannot_be_gives_one_sentence(clone: Path, usual: dict, choice: str, start: str) -> None:
    assert complaint(make(clone, "lab", choice, **usual | {"UV": "none"})).startswith(start)


# scripts/lab.py


def test_lab_prints_an_address_that_opens_and_stops_on_interrupt(tmp_path: Path) -> None:
    with running_lab(tmp_path) as server:
        assert "/lab/tree/notebooks/01_autoencoder.ipynb?token=" in server.url
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(server.url, timeout=30) as answer:
            assert answer.status == 200
            assert answer.geturl().startswith(server.url.split("?")[0])
            news_is_off = r'"disabledExtensions": \[[^]]*"@jupyterlab/apputils-extension:announcements"'
            assert re.search(news_is_off, answer.read().decode())
        assert server.interrupt() == 0
