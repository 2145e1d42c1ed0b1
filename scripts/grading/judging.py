"""Judge a submission that was run: each test's points and feedback, from the observations in its output."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from dataclasses import replace
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Unicode

from vae_utils.exercises.values import Observation
from vae_utils.exercises.verdict import LOOKS, Shown, Verdict

from .cells import is_test, split
from .course import Course
from .kernel.observer import MIME
from .markup import harmless
from .question import judge, read
from .submission_log import Resources, log_of

HIDDEN = re.compile(r"^### BEGIN HIDDEN TESTS\n.*?^### END HIDDEN TESTS\n?", re.DOTALL | re.MULTILINE)


class JudgeAnswers(NbGraderPreprocessor):
    """Put the verdict on each test in the place of its output. The points come from here, not from the kernel."""

    course = Unicode(help="folder of the course").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Judge every test cell, and make the other outputs harmless."""
        log, course = log_of(resources), Course.at(self.course)
        questions = course.questions(resources["nbgrader"]["assignment"])
        cells = {cell.metadata.nbgrader.grade_id: cell for cell in nb.cells if is_test(cell)}
        reports: dict[str, dict[str, list[Observation]]] = defaultdict(dict)
        for test, cell in cells.items():
            name, part = split(test)
            with contextlib.suppress(ValueError, TypeError):
                reports[name][part] = read(_report(cell), questions[name].parts[part])
        for test, cell in cells.items():
            name, part = split(test)
            if part in reports[name]:
                verdict = judge(questions[name], part, reports[name])
            else:
                verdict = Verdict(None, None, _why_nothing(cell))
            if verdict.mistake and verdict.mistake in (
                earlier.mistake for other, earlier in log.verdicts.items() if split(other)[0] == name
            ):
                verdict = replace(verdict, headline="The same mistake as above.", evidence=None)
            log.verdicts[test] = verdict
            cell.source = HIDDEN.sub("", cell.source)  # the page shows what the student knows
            cell.outputs = [_output(verdict, float(cell.metadata.nbgrader.points), questions[name].parts[part].about)]
        for cell in nb.cells:
            if cell.cell_type == "code" and not is_test(cell):
                cell.outputs = [kept for output in cell.outputs if (kept := harmless(output))]
        return nb, resources


def _report(cell: NotebookNode) -> Any:
    """Return the observations in a test cell's output; raise ValueError if there are none."""
    for output in cell.outputs:
        if output.output_type == "display_data" and MIME in output.data:
            return output.data[MIME]
    raise ValueError("no report")


def _why_nothing(cell: NotebookNode) -> str:
    for output in cell.outputs:
        if output.output_type == "error":
            if output.ename == "CellTimeoutError":
                return "The cell ran too long, and was stopped."
            if output.ename == "NotImplementedError":
                return "Not attempted."
            message = f"    {output.ename}: {output.evalue}"[:500]
            return f"The cell stopped before your answer could be looked at:\n\n{message}"
    return "This cell was not run: the notebook had been stopped before."


def _output(verdict: Verdict, points: float, about: str) -> NotebookNode:
    """Return an output with the verdict for the eye, and as `text/plain` the points for nbgrader."""
    earned = points if verdict.passed else 0.0
    sign, color = LOOKS[verdict.passed]
    title = f"{sign} {earned:g} of {points:g} point{'s' * (points != 1)}"
    if verdict.mistake:
        title += f": {verdict.mistake}"
    text = verdict.message if verdict.passed or not about else f"{about}\n\n{verdict.message}"
    html = Shown(title, text, color)._repr_html_()
    return nbformat.v4.new_output(
        "execute_result", {"text/html": html, "text/plain": f"{earned}"}, execution_count=None
    )
