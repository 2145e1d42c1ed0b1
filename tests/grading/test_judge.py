"""The judge, in this process: reports survive the way from the kernel, forged ones don't, and terms differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from scripts.grading.course import questions
from scripts.grading.kernel.observer import Other, decode, encode
from scripts.grading.question import probes_of, read
from scripts.grading.terms import ASSIGNMENTS, SOURCES, CourseError, term
from tests.support.judged import verdicts


def test_numbers_by_hand_may_be_rounded_and_of_any_kind() -> None:
    exact = questions("reparameterization", term())["exact"]
    a, b = exact.answer()
    for value in ((a, b), [a, b], (torch.tensor(a), torch.tensor(b)), torch.tensor([a, b]), (round(a, 2), round(b, 2))):
        assert all(verdict.passed for verdict in verdicts(exact, lambda value=value: value).values()), value
    for wrong in (None, "2", (), (a,), (a, b, b), a, {"a": a}, (b, a), (float("nan"), float("nan"))):
        assert not any(verdict.passed for verdict in verdicts(exact, lambda wrong=wrong: wrong).values()), wrong


def broken(kind: str) -> Callable[..., Any]:
    def answer(mu_q: torch.Tensor, logvar_q: torch.Tensor, mu_p: torch.Tensor, logvar_p: torch.Tensor) -> Any:
        if kind == "raises":
            raise ValueError("no idea")
        return {"none": None, "text": "42", "list": [1.0], "numpy": mu_q.sum(1).numpy(), "whole": mu_q.sum(1).long()}[
            kind
        ]

    return answer


@pytest.mark.parametrize("kind", ["raises", "none", "text", "list", "numpy", "whole"])
def test_broken_answers_earn_nothing_and_are_told_why(kind: str) -> None:
    found = verdicts(questions("loss", term())["kl_between"], broken(kind))
    assert not any(verdict.passed for verdict in found.values())
    assert all(len(verdict.message) > 20 and verdict.mistake is None for verdict in found.values())


@pytest.mark.parametrize(
    "value", [torch.zeros(0, 3), torch.tensor(2.5).double(), torch.tensor([True]), None, True, 3, 1.5, (1, None)]
)
def test_reports_survive_the_way(value: Any) -> None:
    back = decode(json.loads(json.dumps(encode(value))))
    if isinstance(value, torch.Tensor):
        assert back.dtype == value.dtype and torch.equal(back, value)
    else:
        assert back == value and type(back) is type(value)


@pytest.mark.parametrize("value", ["text", torch.zeros(10**6), torch.zeros(2, dtype=torch.complex64), [0] * 17])
def test_of_other_values_only_the_kind_is_reported(value: Any) -> None:
    assert isinstance(decode(json.loads(json.dumps(encode(value)))), Other)


@pytest.mark.parametrize(
    "forged",
    [
        {"tensor": "AAAA", "dtype": "float32", "shape": [2]},
        {"tensor": "????", "dtype": "float32", "shape": [1]},
        {"tensor": "", "dtype": "object", "shape": [0]},
        {"tensor": "", "dtype": "float32", "shape": [-1]},
        {"plain": "text"},
        {"plain": [1]},
        [],
    ],
)
def test_forged_values_are_refused(forged: Any) -> None:
    part = questions("loss", term())["kl_between"].parts["any"]
    with pytest.raises(ValueError):
        decode(forged)
    with pytest.raises(ValueError):
        read([{"value": forged}], part)


@pytest.mark.parametrize("forged", [{}, None, "right", [{}], [{"right": True}], ["right"], [{"stub": 1}] * 100])
def test_forged_reports_are_refused(forged: Any) -> None:
    with pytest.raises(ValueError):
        read(forged, questions("loss", term())["kl_between"].parts["any"])


def test_any_name_makes_a_term_of_its_own() -> None:
    made = [term(f"term-{number}") for number in range(8)]
    assert made[0] == term("term-0")
    assert len({one.seed for one in made}) == 8
    for assignment in ASSIGNMENTS:
        assert len({one.cell(assignment).split("\n", 2)[2] for one in made}) > 2
    first, second = (probes_of(questions("loss", one).values())["kl_between-any"]["probes"] for one in made[:2])
    assert first != second


@pytest.mark.parametrize("name", ["", "../away", "a b", ".hidden", "-x", 'x"'])
def test_terms_with_odd_names_are_refused(name: str) -> None:
    with pytest.raises(CourseError, match="TERM="):
        term(name)


def test_constants_that_nothing_uses_are_refused(tmp_path: Path) -> None:
    text = (SOURCES / "terms.toml").read_text(encoding="utf-8")
    (tmp_path / "terms.toml").write_text(text + "\n[terms.odd]\nloss = { NOTHING = 1 }\n", encoding="utf-8")
    with pytest.raises(CourseError, match="NOTHING"):
        term("odd", tmp_path)
    assert term("example", tmp_path) == term()
