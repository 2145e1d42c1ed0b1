"""One run of a notebook with other settings than it is committed with, checked as its committed outputs are."""

from __future__ import annotations

from pathlib import Path

from scripts import notebooks
from tests.support import hygiene


def check(path: Path, **variables: str) -> None:
    """Run a notebook with strict claims: it ends, shows nothing untidy, and makes claims."""
    execution = notebooks.execute(path, {"VAE_STRICT": "1", **variables})
    assert execution.error is None
    assert list(hygiene.output_problems(execution.notebook)) == []
    assert execution.claims and all(claim.holds for claim in execution.claims)
