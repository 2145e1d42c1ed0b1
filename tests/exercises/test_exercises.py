"""Every exercise, by its own lists: each known mistake gets its own name, each right solution passes, nothing leaks."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import random
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from vae_utils import exercises
from vae_utils.exercises import tasks
from vae_utils.exercises.exercise import Exercise
from vae_utils.exercises.verdict import Verdict

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


def test_names_lead_to_exercises_and_no_module_has_the_name_of_one() -> None:
    """So it does not matter in which order the package and its modules are imported."""
    modules = {module.name for module in pkgutil.iter_modules(exercises.__path__)}
    assert modules.isdisjoint(exercises.NAMES)
    assert {module.name for module in pkgutil.iter_modules(tasks.__path__)} == set(exercises.NAMES)
    for name in exercises.NAMES:
        exercise = getattr(exercises, name)
        assert isinstance(exercise, Exercise) and exercise.name == name
        assert importlib.import_module(f"vae_utils.exercises.tasks.{name}").EXERCISE is exercise
    assert isinstance(exercises.questions, ModuleType)
    assert set(dir(exercises)) == {*exercises.NAMES, "questions"}
    with pytest.raises(AttributeError, match="it has reconstruction_error, interpolate"):
        _ = exercises.gaussian_lk


@pytest.mark.parametrize(("name", "slug"), WRONG, ids=[f"{name}-{slug}" for name, slug in WRONG])
def test_every_known_mistake_gets_its_own_name_within_few_calls(name: str, slug: str) -> None:
    mistake = EXERCISES[name].mistake(slug)
    calls = 0

    @wraps(mistake.function)
    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        return mistake.function(*arguments, **named)

    found = EXERCISES[name].check(counted)
    assert (found.passed, found.mistake) == (False, slug), found
    assert found.message.startswith(mistake.why)
    assert calls < 500  # a learner waits for it; the most is about 320, of the estimators


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
    fresh = Exercise(
        name=exercise.name,
        task=exercise.task,
        stub=exercise.stub,
        hints=exercise.hints,
        answer=exercise.answer,
        judge=exercise.judge,
        right=exercise.right,
    )
    shown = [fresh.hint() for _ in range(4)]
    assert [hint.title for hint in shown] == ["Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3", "No more hints"]
    assert tuple(hint.text for hint in shown[:3]) == exercise.hints
    assert f"exercises.{exercise.name}.solution()" in shown[3].text
    assert exercise.solution().text.lstrip().startswith(f"def {exercise.name}(")
    assert f"def {exercise.name}(" in exercise.solution()._repr_html_()


def _generator(*arguments: Any) -> Any:
    yield 1


def _raises(*arguments: Any) -> Any:
    return {}["missing"]


def _leaves(*arguments: Any) -> Any:
    raise SystemExit(3)


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("not even this")


def _all_nan(*a: Any) -> Any:
    return torch.full_like(a[0], float("nan")) if isinstance(a[0], torch.Tensor) else float("nan")


# What a function may return -> the function; what a message says of it; and what it says of the expected, if not so.
ODD: dict[str, tuple[Callable[..., Any], str, str]] = {
    "None": (lambda *a: a and None, "returned nothing|nothing is returned", "`return"),
    "a float": (lambda *a: 3.5, r"\(float\)|: 3\.5", ""),
    "an int": (lambda *a: 17, r"\(int\)|: 17", ""),
    "text": (lambda *a: "text", "a str;", ""),
    "an empty list": (lambda *a: [], "a list with 0 entries;", ""),
    "a tuple": (lambda *a: (torch.zeros(1), torch.zeros(1)), "a tuple with 2 entries;", ""),
    "a dictionary": (lambda *a: {"a": 1}, "a dict;", ""),
    "an array": (lambda *a: np.zeros((2, 3)), r"NumPy array of shape \(2, 3\);", ""),
    "an array of objects": (lambda *a: np.array([None, "x"], dtype=object), r"NumPy array of shape \(2,\);", ""),
    "NaN": (lambda *a: torch.tensor(float("nan")), r"shape is \(\);|NaN|: nan", "expected|not a number"),
    "all NaN": (_all_nan, r"shape is \(2, 1, 2, 2\);|NaN|: nan|\(float\)", "expected|not a number"),
    "infinity": (lambda *a: torch.full((5,), float("inf")), r"shape is \(5,\);|: inf|\[inf", ""),
    "complex": (lambda *a: torch.zeros(2, dtype=torch.complex64), r"complex64|0\.j", "expected|can't be compared"),
    "bools": (lambda *a: torch.ones(2, dtype=torch.bool), r"shape is \(2,\);|holds bool|\[1, 1\]", ""),
    "sparse": (lambda *a: torch.eye(3).to_sparse(), r"shape is \(3, 3\);|\[\[1, 0, 0\]", ""),
    "no numbers": (lambda *a: torch.empty(0), r"shape is \(0,\);|: \[\]", ""),
    "many dimensions": (lambda *a: torch.full((1,) * 6, 17.0), r"shape is \(1, 1, 1, 1, 1, 1\);|: 17|\[\[17", ""),
    "no storage": (lambda *a: torch.empty(2, device="meta"), r"of shape \(2,\)|meta", "expected|can't be compared"),
    "bfloat16": (lambda *a: torch.zeros(2, dtype=torch.bfloat16), r"shape is \(2,\);|\[0, 0\]", ""),
    "inference": (torch.inference_mode()(lambda *a: torch.zeros(2)), r"shape is \(2,\);|\[0, 0\]", ""),
    "a generator": (_generator, "a generator", ""),
    "the first argument": (lambda *a: a[0], "shape is|You return `mu` itself|Decoder;|a method;|VAE;", ""),
    "an exception": (_raises, "KeyError: 'missing'", "stopped"),
    "an exit": (_leaves, "SystemExit: 3", "stopped"),
    "a class": (lambda *a: int, "a type;", ""),
    "a function": (lambda *a: print, "a builtin_function_or_method;", ""),
    "what can't be shown": (lambda *a: Unshowable(), "Unshowable;|not even this", "expected|can't read"),
    "a module": (torch.nn.Linear(2, 2), r"Linear.forward\(\) takes 2 positional arguments", "stopped"),
}
# One exercise for each way to judge: by values, by draws, by decoded codes, by estimates and by training steps.
KINDS = ("reconstruction_error", "reparameterize", "generate", "score_function_gradient", "training_step")
HANDFUL = ("None", "text", "NaN", "a generator", "an exception")


@pytest.mark.parametrize("odd", ODD)
def test_odd_returns_are_reported_with_what_is_expected(odd: str) -> None:
    """The function does what it should, and then returns something odd."""
    function, came, expected = ODD[odd]
    for name in KINDS:

        def after_work(*arguments: Any, name: str = name) -> Any:
            EXERCISES[name].answer(*arguments)
            return function(*arguments)

        found = EXERCISES[name].check(_with_parameters(after_work, EXERCISES[name]))
        assert isinstance(found, Verdict)
        assert found.passed is False, (name, found)
        assert re.search(came, found.message), (name, found)
        assert re.search(expected or "expected", found.message), (name, found)
        assert found.message in repr(found) and found._repr_html_().startswith("<div")


def test_odd_returns_without_any_work_get_a_sentence(exercise: Exercise) -> None:
    for odd in HANDFUL:
        found = exercise.check(_with_parameters(ODD[odd][0], exercise))
        assert found.passed is False, (odd, found)
        assert re.search(r"returned nothing|expected|never call|not a number|KeyError", found.message), (odd, found)
        assert "can't read" not in found.message


def _with_parameters(function: Callable[..., Any], exercise: Exercise) -> Callable[..., Any]:
    """The same function with the exercise's number of parameters."""
    space: dict[str, Any] = {"_function": function}
    names = ", ".join(part.split("=")[0].strip() for part in exercise.stub.split("(", 1)[1].rstrip(")").split(","))
    exec(f"def {exercise.stub}:\n    return _function({names})", space)
    return space[exercise.name]


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (None, "this is a NoneType."),
        (3, "this is a int."),
        ("text", "this is a str."),
        (torch.zeros(2), "this is a Tensor. Did you call it?"),
        (int, "this is a class."),
    ],
)
def test_what_is_no_function_gets_a_sentence(thing: Any, says: str) -> None:
    for name in ("interpolate", "training_step"):
        found = EXERCISES[name].check(thing)
        assert found.passed is False
        assert "`check` takes your function" in found.message and says in found.message and name in found.message


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


def test_a_check_leaves_everything_as_it_was(exercise: Exercise) -> None:
    torch.manual_seed(11), np.random.seed(12), random.seed(13)
    wrong = exercise.mistakes[-1].function
    torch.set_default_dtype(torch.float64)
    try:
        for grad, functions in ((False, [_meddles(exercise)]), (True, [exercise.answer, wrong, _raises])):
            with torch.set_grad_enabled(grad):
                before = _states()
                for function in functions:
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
    for mistake in exercise.mistakes:
        length = len(mistake.why)
        assert 80 < length < 600, f"{mistake.slug}: its text has {length} characters, not between 80 and 600"
