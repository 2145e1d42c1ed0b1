"""What happened to a submission on its way through nbgrader's steps, for the report."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from vae_utils.exercises.verdict import Verdict

Resources = dict[str, Any]  # what nbgrader hands from step to step


@dataclass
class Log:
    """Remarks on a submission, and the verdict on each test, by its id."""

    remarks: list[str] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)


LOGS: dict[tuple[str, str], Log] = defaultdict(Log)  # by student and assignment


def log_of(resources: Resources) -> Log:
    """Return the log of the submission that is being worked on."""
    return LOGS[resources["nbgrader"]["student"], resources["nbgrader"]["assignment"]]
