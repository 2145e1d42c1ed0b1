"""Shared test setup: the environment that notebooks run in, and what a notebook's run must look like."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
NOWHERE = "http://127.0.0.1:9"  # the discard port refuses every connection


def pytest_configure(config: pytest.Config) -> None:
    """Set what every program that a test starts inherits: the notebooks' own defaults, strict claims, no network."""
    for name in ("VAE_SEED", "VAE_DATASET", "VAE_DEVICE", "VAE_STEPS"):
        os.environ.pop(name, None)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        os.environ[name] = NOWHERE
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "localhost,127.0.0.1,::1"
    os.environ["VAE_PROGRESS"] = "0"
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests share the cores: more threads would wait for each other
    os.environ.setdefault("VAE_STRICT", "1")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `notebook` once for each notebook."""
    if "notebook" in metafunc.fixturenames:
        metafunc.parametrize("notebook", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS], scope="session")


@pytest.fixture(autouse=True)
def full_precision() -> None:
    """Multiply matrices in full float32, whatever an earlier test has set: at "medium" some processors round."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_float32_matmul_precision("highest")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a notebook's cell if what it just showed is untidy: stderr, warnings, paths, figures without text."""
    yield
    outputs = getattr(item, "test_outputs", None)  # of nbval's cells alone
    if outputs is not None:
        from tests.support import hygiene

        problems = [problem for output in outputs for problem in hygiene.problems_of_output(output, live=True)]
        assert problems == [], f"cell {item.cell_num} of {item.path.name} shows what a notebook should not hold"


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def notebooks() -> list[Path]:
    """Return the course's notebooks, in order."""
    return NOTEBOOKS
