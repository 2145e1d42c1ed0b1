"""The wheel holds the package with its data, and stands alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

FROM_WHEEL = """
import sys
from pathlib import Path

opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import vae_utils
from vae_utils import data, records

assert Path(vae_utils.__file__).is_relative_to(sys.argv[1]), vae_utils.__file__
pictures = data.load("cats_dogs")
assert len(pictures.train) > len(pictures.test) > 0 and pictures.shape[0] == 3
assert any("cats_dogs" in path for path in opened), "nothing was read"
assert records.names() and all(records.load(name)["runs"] for name in records.names())
print(*(path for path in opened if path.startswith(sys.argv[2])), sep="\\n")
"""


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built without the network."""
    assert find_spec("hatchling"), "hatchling, which builds the wheel, is not installed: run make install"
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, root], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_the_package_its_pictures_and_its_records_only(wheel: Path, root: Path) -> None:
    build = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    included = build["targets"]["wheel"]["force-include"]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"vae_utils"}
    for source, target in included.items():
        ours = {f"{target}/{path.name}" for path in (root / source).iterdir()}
        assert ours and ours <= set(names)
    assert any(name.endswith("/LICENSE") for name in names)


def test_wheel_loads_its_own_pictures(wheel: Path, root: Path, tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--target", target, wheel], check=True)
    result = subprocess.run(
        [sys.executable, "-c", FROM_WHEEL, target, f"{root / 'data'}{os.sep}"],
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "", "the wheel read the checkout's files"
