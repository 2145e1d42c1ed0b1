"""Each notebook runs, stays tidy and keeps its claims with another seed than it is committed with."""

from __future__ import annotations

from pathlib import Path

from tests.support import executed


def test_another_seed(notebook: Path) -> None:
    executed.check(notebook, VAE_SEED="1")
