"""Every exercise, by its own lists: each known mistake gets its own name, each right solution passes, nothing leaks."""

from __future__ import annotations

import importlib.util
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vae_utils import exercises
from vae_utils.exercises.attempt import is_stub
from vae_utils.exercises.exercise import Exercise
from vae_utils.exercises.verdict import Result

HERE = Path(__file__).parent
EXERCISES: dict[str, Exercise] = {name: getattr(exercises, name) for name in exercises.NAMES}


def right_solutions(name: str) -> dict[str, Callable[..., Any]]:
    """The functions that tests/exercises/right/NAME.py defines."""
    path = HERE / "right" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"right_{name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    own = {n: f for n, f in vars(module).items() if callable(f) and f.__module__ == module.__name__}
    return {n: f for n, f in own.items() if not n.startswith("_") and not isinstance(f, type)}


RIGHT = [(name, n, f) for name in EXERCISES for n, f in right_solutions(name).items()]
WRONG = [(name, mistake.slug) for name, exercise in EXERCISES.items() for mistake in exercise.mistakes]


@pytest.fixture(params=EXERCISES.values(), ids=EXERCISES)
def exercise(request: pytest.FixtureRequest) -> Exercise:
    return request.param


@pytest.mark.parametrize(("name", "slug"), WRONG, ids=[f"{name}-{slug}" for name, slug in WRONG])
def test_every_known_mistake_gets_its_own_name_within_a_second(name: str, slug: str) -> None:
    function = EXERCISES[name].mistake(slug).function
    start = time.process_time()
    found = EXERCISES[name].check(function)
    seconds = time.process_time() - start
    assert seconds < 1 or _seconds(EXERCISES[name], function) < 1  # the first time may load things
    assert (found.passed, found.mistake) == (False, slug), found
    assert found.message.startswith(EXERCISES[name].mistake(slug).why)


@pytest.mark.parametrize(("name", "style", "function"), RIGHT, ids=[f"{name}-{style}" for name, style, _ in RIGHT])
def test_right_solutions_pass_in_every_style(name: str, style: str, function: Callable[..., Any]) -> None:
    found = EXERCISES[name].check(function)
    assert (found.passed, found.mistake) == (True, None), found


def test_there_are_five_styles_and_enough_mistakes(exercise: Exercise) -> None:
    assert len(right_solutions(exercise.name)) >= 5
    assert exercise.check(exercise.answer).passed
    slugs = [mistake.slug for mistake in exercise.mistakes]
    assert len(set(slugs)) == len(slugs)
    assert len(WRONG) >= 45


def test_hints_come_one_by_one_and_end(exercise: Exercise) -> None:
    assert len(exercise.hints) == 3
    exercise._hints_given = 0
    shown = [exercise.hint() for _ in range(4)]
    assert [hint.text for hint in shown[:3]] == list(exercise.hints)
    assert f"exercises.{exercise.name}.solution()" in shown[3].text
    assert exercise.solution().text.lstrip().startswith(f"def {exercise.name}(")
    assert f"def {exercise.name}(" in exercise.solution()._repr_html_()
    exercise._hints_given = 0


def stub(exercise: Exercise, body: str) -> Callable[..., Any]:
    """The exercise's stub with a body, as a notebook's cell defines it."""
    space: dict[str, Any] = {}
    exec(f"def {exercise.stub}:\n    {body}", space)
    return space[exercise.name]


@pytest.mark.parametrize("body", ["...", "pass", '"""A docstring."""', "return", "raise NotImplementedError('soon')"])
def test_an_empty_stub_is_not_attempted(exercise: Exercise, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_STRICT", "1")
    found = exercise.check(stub(exercise, body))
    assert (found.passed, found.mistake) == (None, None)
    assert "Not attempted yet" in repr(found)


def test_what_returns_something_is_no_stub() -> None:
    assert not is_stub(lambda x: 3)
    assert not is_stub(lambda x: "text")
    assert not is_stub(lambda x: x)
    assert not is_stub(torch.nn.Identity())
    assert not is_stub(print)


def _generator(*arguments: Any) -> Any:
    yield 1


def _raises(*arguments: Any) -> Any:
    return {}["missing"]


def _leaves(*arguments: Any) -> Any:
    raise SystemExit(3)


class _Odd:
    def __repr__(self) -> str:
        raise RuntimeError("not even this")


ODD: dict[str, Callable[..., Any]] = {
    "None": lambda *a: a and None,
    "a float": lambda *a: 3.5,
    "an int": lambda *a: 3,
    "text": lambda *a: "text",
    "an empty list": lambda *a: [],
    "a tuple": lambda *a: (torch.zeros(1), torch.zeros(1)),
    "a dictionary": lambda *a: {"a": 1},
    "an array": lambda *a: np.zeros((2, 3)),
    "an array of objects": lambda *a: np.array([None, "x"], dtype=object),
    "NaN": lambda *a: torch.tensor(float("nan")),
    "all NaN": lambda *a: torch.full_like(a[0], float("nan")) if isinstance(a[0], torch.Tensor) else float("nan"),
    "infinity": lambda *a: torch.full((5,), float("inf")),
    "complex": lambda *a: torch.zeros(2, dtype=torch.complex64),
    "bools": lambda *a: torch.ones(2, dtype=torch.bool),
    "sparse": lambda *a: torch.eye(3).to_sparse(),
    "no numbers": lambda *a: torch.empty(0),
    "many dimensions": lambda *a: torch.zeros(1, 1, 1, 1, 1, 1),
    "a tensor without storage": lambda *a: torch.empty(2, device="meta"),
    "bfloat16": lambda *a: torch.zeros(2, dtype=torch.bfloat16),
    "in inference mode": torch.inference_mode()(lambda *a: torch.zeros(2)),
    "a generator": _generator,
    "the first argument": lambda *a: a[0],
    "an exception": _raises,
    "an exit": _leaves,
    "a class": lambda *a: int,
    "a function": lambda *a: print,
    "what can't be shown": lambda *a: _Odd(),
    "a module": torch.nn.Linear(2, 2),
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_returns_get_a_sentence(exercise: Exercise, odd: str) -> None:
    found = exercise.check(_with_parameters(ODD[odd], exercise))
    assert isinstance(found, Result)
    assert found.passed is False, found
    assert len(found.message) > 20
    assert repr(found) and found._repr_html_().startswith("<div")
    assert "can't read" not in found.message or odd == "what can't be shown", found


def _with_parameters(function: Callable[..., Any], exercise: Exercise) -> Callable[..., Any]:
    """The same function with the exercise's number of parameters."""
    space: dict[str, Any] = {"_function": function}
    names = ", ".join(part.split("=")[0].strip() for part in exercise.stub.split("(", 1)[1].rstrip(")").split(","))
    exec(f"def {exercise.stub}:\n    return _function({names})", space)
    return space[exercise.name]


@pytest.mark.parametrize("thing", [None, 3, torch.zeros(2), "text", int])
def test_what_is_no_function_gets_a_sentence(exercise: Exercise, thing: Any) -> None:
    found = exercise.check(thing)
    assert found.passed is False
    assert "`check` takes your function" in found.message


def test_a_wrong_number_of_parameters_gets_a_sentence(exercise: Exercise) -> None:
    found = exercise.check(lambda: 1)
    assert found.passed is False
    assert "Your function takes ()." in found.message
    assert exercise.stub.split("=")[0].split("(")[0] in found.message


def test_an_exception_is_shown_with_its_line(exercise: Exercise) -> None:
    found = exercise.check(_with_parameters(_raises, exercise))
    assert "KeyError: 'missing'" in found.message
    assert 'return {}["missing"]' in found.message


def _states() -> tuple[Any, ...]:
    return (
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
        torch.get_float32_matmul_precision(),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
    )


def _meddles(exercise: Exercise) -> Callable[..., Any]:
    def meddling(*arguments: Any) -> Any:
        torch.manual_seed(1), np.random.seed(1), random.seed(1)
        result = exercise.answer(*arguments)
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        return result

    return _with_parameters(meddling, exercise)


@pytest.mark.parametrize("grad", [True, False])
def test_a_check_leaves_everything_as_it_was(exercise: Exercise, grad: bool) -> None:
    torch.manual_seed(11), np.random.seed(12), random.seed(13)
    wrong = exercise.mistakes[-1].function
    with torch.set_grad_enabled(grad):
        torch.set_default_dtype(torch.float64)
        try:
            before = _states()
            for function in (exercise.answer, wrong, _meddles(exercise), ODD["an exception"]):
                exercise.check(function)
                assert _states() == before
        finally:
            torch.set_default_dtype(torch.float32)


def test_a_check_works_under_every_mode(exercise: Exercise) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert exercise.check(exercise.answer).passed
    finally:
        torch.set_default_dtype(torch.float32)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            assert exercise.check(exercise.answer).passed


def _seconds(exercise: Exercise, function: Callable[..., Any]) -> float:
    start = time.process_time()
    exercise.check(function)
    return time.process_time() - start


def test_a_result_shows_itself_as_text_and_html(exercise: Exercise) -> None:
    mistake = exercise.mistakes[0]
    found = exercise.check(mistake.function)
    html = found._repr_html_()
    assert mistake.slug in repr(found) and mistake.slug in html
    assert "Not yet" in html  # in words, not by color alone
    assert "<script" not in html and "background: #" not in html and " color:" not in html


def test_every_text_is_plain(exercise: Exercise) -> None:
    texts = [exercise.task, exercise.right, *exercise.hints, *(mistake.why for mistake in exercise.mistakes)]
    for text in texts:
        assert text.count("`") % 2 == 0, text
        assert "\u2014" not in text and text == text.strip(), text
    assert all(80 < len(mistake.why) < 600 for mistake in exercise.mistakes)
