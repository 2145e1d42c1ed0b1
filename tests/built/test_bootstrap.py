"""The cell with which a notebook fetches the course, in a real kernel.

The notebook is alone in a folder, in a Python that has torch and all else but not vae_utils, and pip has no network.
The source is a local git repository.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

from scripts import publish

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="the environment is made of symbolic links"),
    pytest.mark.skipif(not shutil.which("git"), reason="git is not here"),
]
HOME = publish.Home("ada", "vae-course")
FREEZE = "import importlib.metadata as m; print({d.name: d.version for d in m.distributions()})"
USE = """
import os, sys, vae_utils
from vae_utils import data, records
pictures = data.load("cats_dogs")
print(vae_utils.__file__, len(pictures.train), len(pictures.test), len(records.names()) > 0)
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that imports what this one does, but for the course."""
    environment = tmp_path_factory.mktemp("elsewhere") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "vae_utils" not in path.name and path.suffix != ".pth":
            (site / path.name).symlink_to(path)
    return environment


@pytest.fixture(scope="module")
def repository(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with this checkout's package and data on the branch `teaching`."""
    folder = tmp_path_factory.mktemp("repository")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, folder)
    for name in ("vae_utils", "data/cats_dogs", "data/records"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for command in (["init", "-q", "-b", "teaching"], ["add", "."], [*author, "commit", "-q", "-m", "All"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


class Learner:
    """A learner with one notebook in a folder of its own and a Python without the course."""

    def __init__(self, folder: Path, environment: Path) -> None:
        self.folder, self.python = folder, environment / "bin" / "python"
        spec = {"argv": [str(self.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
        spec |= {"display_name": "elsewhere", "language": "python"}
        kernel = folder / "share" / "kernels" / "elsewhere"
        kernel.mkdir(parents=True)
        (kernel / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
        self.variables = {name: value for name, value in os.environ.items() if not name.startswith(("VAE_", "PYTHON"))}
        # Without the network there is no hatchling to fetch: pip builds with the one that is here. (In the
        # environment this option's value is turned round: 0 means no isolation.)
        self.variables |= {"JUPYTER_PATH": str(folder / "share"), "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
        self.variables |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_CACHE_DIR": str(folder / "cache")}
        self.variables["PIP_FIND_LINKS"] = ""

    def run(self, *cells: str, **variables: str) -> list[str]:
        """Return what each cell printed. Raise CellExecutionError if one fails."""
        notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
        path = self.folder / "01_alone.ipynb"
        nbformat.write(notebook, path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUPYTER_PATH", self.variables["JUPYTER_PATH"])
            client = NotebookClient(notebook, timeout=120, kernel_name="elsewhere")
            client.resources = {"metadata": {"path": str(self.folder)}}
            try:
                client.execute(env=self.variables | variables)
            finally:
                self.printed = [text_of(cell) for cell in notebook.cells]
        return self.printed

    def fail(self, cell: str, **variables: str) -> str:
        """The error with which a cell stops the notebook."""
        with pytest.raises(CellExecutionError) as failure:
            self.run(cell, **variables)
        assert failure.value.ename == "AssertionError"
        return failure.value.evalue

    def installed(self) -> dict[str, str]:
        """Names and versions of everything that this Python has."""
        done = subprocess.run([self.python, "-c", FREEZE], capture_output=True, text=True, check=True)
        return eval(done.stdout)


def text_of(cell: nbformat.NotebookNode) -> str:
    """What a cell wrote, on either stream."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


@pytest.fixture
def learner(tmp_path: Path, elsewhere: Path) -> Learner:
    """A learner who has not fetched the course yet."""
    yield Learner(tmp_path, elsewhere)
    (site,) = elsewhere.glob("lib/python*/site-packages")
    for path in site.glob("vae_utils*"):
        shutil.rmtree(path)


def test_fetches_package_and_pictures_and_nothing_else(learner: Learner, repository: Path, root: Path) -> None:
    before = learner.installed()
    assert "torch" in before and "vae-utils" not in before
    cell = publish.bootstrap(HOME)
    # A real notebook up to its setup.
    text = (root / "notebooks" / "01_autoencoder.ipynb").read_text(encoding="utf-8")
    stamped = nbformat.reads(publish.stamp_notebook(text, HOME, "01_autoencoder.ipynb"), as_version=4)
    cells = [part.source for part in stamped.cells if part.cell_type == "code"][:3]
    assert cells[0] == cell.rstrip() and "DATASET = " in cells[1] and "setup(SEED)" in cells[2]
    said = learner.run(*cells, USE, VAE_SOURCE=f"git+file://{repository}@teaching")
    assert "8,000 training pictures" in said[2]
    where, train, test, records = said[-1].split()
    assert str(learner.python.parent.parent) in where
    assert (int(train), int(test), records) == (8000, 2000, "True")
    after = learner.installed()
    assert after.pop("vae-utils") and after == before
    # Once it is there, the cell does nothing: no address is asked.
    assert learner.run(cell, "import vae_utils", VAE_SOURCE="git+file:///nowhere") == ["", ""]


FAILED = "The course could not be fetched; pip says why."


def test_a_source_that_is_not_there_stops_the_notebook_with_a_reason(learner: Learner) -> None:
    assert learner.fail(publish.bootstrap(HOME), VAE_SOURCE=f"git+file://{learner.folder}/nowhere") == FAILED
    assert "nowhere' does not appear to be a git repository" in learner.printed[0]


def test_without_git_pip_says_so(learner: Learner, repository: Path) -> None:
    programs = learner.folder / "programs"
    programs.mkdir()
    (programs / "sh").symlink_to(shutil.which("sh"))  # without SHELL, IPython looks for it
    source = f"git+file://{repository}@teaching"
    assert learner.fail(publish.bootstrap(None), VAE_SOURCE=source, PATH=str(programs)) == FAILED
    assert "Cannot find command 'git' - do you have 'git' installed and in your PATH?" in learner.printed[0]


def test_a_copy_without_an_address_says_so_in_one_sentence(learner: Learner) -> None:
    said = learner.fail(publish.bootstrap(None))
    assert said == "This copy has no address yet: pip install -e . in its folder."
    assert learner.printed == [""]
