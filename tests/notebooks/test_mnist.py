"""Each notebook that takes a data set runs, stays tidy and keeps its claims with MNIST."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import executed


def test_mnist(notebook: Path) -> None:
    if "VAE_DATASET" not in notebook.read_text(encoding="utf-8"):
        pytest.skip("this notebook is about one data set")
    if not (Path(os.environ.get("VAE_DATA", "nowhere")) / "MNIST").is_dir():
        pytest.skip("no MNIST here: set VAE_DATA to a folder that holds it")
    executed.check(notebook, VAE_DATASET="mnist")
