"""The assignments' judge without a kernel."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from scripts.grading.kernel.observer import report
from scripts.grading.question import Observation, Question, judge, probes_of, read
from vae_utils.exercises.verdict import Verdict


def verdicts(question: Question, function: Callable[..., Any]) -> dict[str, Verdict]:
    """Return what each part says of a function, through the same JSON that a kernel would send."""
    seen = {name: observed(question, name, function) for name in question.parts}
    return {name: judge(question, name, seen) for name in question.parts}


def observed(question: Question, part: str, function: Callable[..., Any]) -> list[Observation]:
    """Return what a kernel would report of a function, decoded."""
    sent = json.loads(json.dumps(probes_of([question])[f"{question.name}-{part}"]))
    return read(json.loads(json.dumps(report(function, sent))), question.parts[part])
