"""`python -m vae_utils` says what is there and, in one sentence for each thing, what is wrong and what to do."""

import importlib
import os
import re
import shutil
import subprocess
import sys

import pytest

from vae_utils import __main__ as checkup
from vae_utils.data import cats_dogs

# As sitecustomize.py: no torch is found; with KEEP_RECORDS its metadata are, as where an install is damaged.
NO_TORCH = """
import importlib.metadata, os, sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoTorch())
if not os.environ.get("KEEP_RECORDS"):
    version = importlib.metadata.version
    def hiding(name):
        if name in ("torch", "torchvision"):
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)
    importlib.metadata.version = hiding
"""


@pytest.fixture
def here(monkeypatch):
    for name in [name for name in os.environ if name.startswith("VAE_")]:
        monkeypatch.delenv(name)


def complaints(output):
    return [line for line in output.splitlines() if line.startswith("- ")]


def test_all_is_well(here, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VAE_DATA", str(tmp_path))
    monkeypatch.setenv("VAE_SEED", "3")
    assert checkup.main() == 0
    out, err = capsys.readouterr()
    assert err == "" and complaints(out) == [] and out.endswith("The course can run.\n")
    for name in ("Python", "vae_utils", "torch", "torchvision", "numpy", "matplotlib", "ipywidgets"):
        assert re.search(rf"^  {name} +\d+\.\d+", out, re.MULTILINE), name
    assert re.search(r"^  device +(CPU, \d+ threads|.*[A-Z].*)$", out, re.MULTILINE)
    assert re.search(r"^  cats_dogs +found in .*cats_dogs$", out, re.MULTILINE)
    assert f"  mnist          not in {tmp_path}: load it once with a network, or set VAE_DATA" in out  # an empty folder
    assert f"  VAE_DATA={tmp_path}\n  VAE_SEED=3\n" in out
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_data_set_and_a_torchvision_for_another_torch(here, root, tmp_path, monkeypatch, capsys):
    shutil.copytree(root / "data" / "cats_dogs", tmp_path / "cats_dogs")
    (tmp_path / "cats_dogs" / "test_1.webp").write_bytes(b"RIFF")
    monkeypatch.setattr(cats_dogs, "folder", lambda root: tmp_path / "cats_dogs")
    real = importlib.import_module

    def no_pair(name, package=None):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist")
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", no_pair)
    assert checkup.main() == 1
    out = capsys.readouterr().out
    assert "The course can't run yet:" in out
    pair, damaged = complaints(out)
    assert "torchvision can't be imported (it was built for another torch): install both as a pair" in pair
    assert "test_1.webp is damaged" in damaged and "delete it" in damaged
    assert re.search(r"^  digits +found", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("keep_records", "sentences"),
    [
        ("", ["- torch is missing: install it with ", "- torchvision is missing: install it with "]),
        ("1", ["- torch can't be imported (No module named 'torch'): install it anew"]),
    ],
)
def test_without_torch(root, tmp_path, keep_records, sentences):
    (tmp_path / "sitecustomize.py").write_text(NO_TORCH)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("VAE_")}
    variables |= {"PYTHONPATH": str(tmp_path), "KEEP_RECORDS": keep_records}
    command = [sys.executable, "-m", "vae_utils"]
    done = subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == ""
    out = done.stdout
    assert len(complaints(out)) == len(sentences)
    assert all(line.startswith(start) for line, start in zip(complaints(out), sentences, strict=True))
    assert "not looked for" in out and "numpy" in out
    assert str(root) not in out and str(tmp_path) not in out


def test_mnist_that_is_there_is_found(here, tmp_path, monkeypatch, capsys):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{name}-ubyte").touch()
    monkeypatch.setenv("VAE_DATA", str(tmp_path))
    assert checkup.main() == 0
    out = capsys.readouterr().out
    assert f"  mnist          found in {tmp_path}\n" in out
    assert f"  fashion_mnist  not in {tmp_path}" in out


@pytest.mark.parametrize(("name", "status"), [("jupyterlab", 0), ("ipywidgets", 1), ("safetensors", 1)])
def test_a_missing_package(here, monkeypatch, capsys, name, status):
    """Notebooks run elsewhere than in JupyterLab, too: a note, not an error."""
    real = checkup.version

    def version(package):
        if package == name:
            raise checkup.PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(checkup, "version", version)
    assert checkup.main() == status
    out = capsys.readouterr().out
    assert f"  {name:12} missing: pip install {name}\n" in out
    assert len(complaints(out)) == status


def test_folders_in_an_error_are_left_out(monkeypatch):
    def broken(name):
        raise OSError(
            "[WinError 126] not found: 'C:\\Users\\ada\\torch\\lib\\c10.dll' or /home/ada/torch/libc10.so\nmore"
        )

    monkeypatch.setattr(importlib, "import_module", broken)
    wrong = []
    assert not checkup.check_import("torch", wrong)
    assert wrong == ["torch can't be imported ([WinError 126] not found: 'c10.dll' or libc10.so): install it anew."]
