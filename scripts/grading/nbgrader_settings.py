"""nbgrader's settings for a course folder, with the four steps of our own among its steps."""

from __future__ import annotations

import os
import sys
from typing import Any

from nbconvert.preprocessors import ClearMetadataPreprocessor, CSSHTMLHeaderPreprocessor
from nbgrader import preprocessors as steps
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

from .course import Course
from .execution import RunLimited
from .judging import JudgeAnswers
from .markup import EscapeMarkup
from .rebuilding import RebuildSubmission


def config(course: Course) -> Config:
    """Return nbgrader's settings: where things lie, and which steps a submission goes through."""
    c: Any = Config()
    c.CourseDirectory.root = str(course.folder)
    c.CourseDirectory.course_id = "vae"
    c.CourseDirectory.db_url = course.database
    c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\nraise NotImplementedError"}
    c.ClearSolutions.text_stub = "YOUR ANSWER HERE"
    c.Autograde.sanitize_preprocessors = [
        RebuildSubmission,
        steps.ClearOutput,
        steps.DeduplicateIds,
        steps.OverwriteKernelspec,
        steps.OverwriteCells,
        steps.CheckCellMetadata,
    ]
    c.Autograde.autograde_preprocessors = [
        RunLimited,
        ClearMetadataPreprocessor,
        JudgeAnswers,
        steps.LimitOutput,
        steps.SaveAutoGrades,
        steps.AssignLatePenalties,
        steps.CheckCellMetadata,
    ]
    c.GenerateFeedback.preprocessors = [EscapeMarkup, steps.GetGrades, CSSHTMLHeaderPreprocessor]
    for step in (RebuildSubmission, RunLimited, JudgeAnswers):
        c[step.__name__].course = str(course.folder)
    return c


def api(course: Course) -> NbGraderAPI:
    """Return nbgrader's Python interface to a course."""
    # nbgrader starts `alembic` by its bare name.
    programs = os.path.dirname(sys.executable)
    if programs not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])
    return NbGraderAPI(config=config(course))
