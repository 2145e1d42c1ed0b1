"""The prediction questions: one right choice each, every choice explained, and nothing given away beforehand."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import pytest

from vae_utils.exercises import questions
from vae_utils.exercises.questions import QUESTIONS, WIDGET_VIEW, Answer, Question

ALL = pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)


class Words(HTMLParser):
    """The text of an HTML page, without its tags; `open` counts tags that were never closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.open = "", 0
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open += 1

    def handle_endtag(self, tag: str) -> None:
        self.open -= 1


def plain(html: str) -> str:
    words = Words(html)
    assert words.open == 0
    return words.text.replace("\xa0", " ")


def right_letter(question: Question) -> str:
    (letter,) = (a for a, choice in zip(question.letters, question.choices, strict=True) if choice.right)
    return letter


def buttons_of(box: Any) -> dict[str, Any]:
    """Letter -> button of a question's widget."""
    rows = [child for child in box.children if hasattr(child, "children")]
    return {row.children[0].description[0]: row.children[0] for row in rows}


# --- What is asked ---------------------------------------------------------------------------------------------------


def test_each_question_is_reached_by_its_name() -> None:
    assert len(QUESTIONS) == 10
    for name, question in QUESTIONS.items():
        assert getattr(questions, name) is question
        assert name in questions.__all__
        assert question.name == name


@ALL
def test_one_choice_is_right_and_all_are_explained(question: Question) -> None:
    assert 3 <= len(question.choices) <= 5
    assert sum(choice.right for choice in question.choices) == 1
    whys = [choice.why for choice in question.choices]
    assert len(set(whys)) == len({choice.text for choice in question.choices}) == len(question.choices)
    for choice in question.choices:
        assert choice.text.endswith(".")
        assert choice.why.endswith((".", ".)"))
        assert len(choice.why) > 60
    assert question.asked.endswith("?")


def test_the_right_letter_is_not_always_the_same() -> None:
    letters = [right_letter(question) for question in QUESTIONS.values()]
    assert set(letters) == set("abcd")
    assert max(map(letters.count, letters)) <= 4


def test_the_right_choice_is_not_the_longest_throughout() -> None:
    longest = [max(question.choices, key=lambda choice: len(choice.text)).right for question in QUESTIONS.values()]
    assert sum(longest) <= len(longest) / 2


# --- Answering in words ----------------------------------------------------------------------------------------------


@ALL
def test_each_answer_says_why(question: Question) -> None:
    for letter, choice in zip(question.letters, question.choices, strict=True):
        answer = question.answer(letter)
        assert (answer.letter, answer.right, answer.message) == (letter, choice.right, choice.why)
        assert repr(answer) == f"{'Yes' if choice.right else 'No'}. {choice.why}"
        assert plain(answer._repr_html_()) == repr(answer)


@pytest.mark.parametrize("written", ["B", " b ", "b)", "b.", "B) "])
def test_a_letter_may_be_written_in_several_ways(written: str) -> None:
    assert questions.density_above_one.answer(written).letter == "b"


@pytest.mark.parametrize(
    "choice", ["e", "", " ", "ab", "abcd", "yes", "ß", 3, 0, True, None, 1.5, ["a"], object(), b"a"]
)
def test_what_is_no_choice_is_reported(choice: Any) -> None:
    answer = questions.density_above_one.answer(choice)
    assert (answer.letter, answer.right) == (None, None)
    assert 'Say "a", "b", "c" or "d", in quotes.' in answer.message
    assert repr(answer).startswith("Not an answer yet. ")
    assert " at 0x" not in repr(answer)


def test_a_long_answer_is_shortened() -> None:
    assert len(questions.density_above_one.answer("a" * 1000).message) < 120


def test_what_is_typed_is_escaped() -> None:
    html = questions.density_above_one.answer("<script>")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_an_answer_announces_itself() -> None:
    assert 'role="alert"' in Answer("a", True, "So it is.")._repr_html_()


# --- What is shown before an answer ----------------------------------------------------------------------------------


@ALL
def test_text_and_html_hold_the_question_and_how_to_answer(question: Question) -> None:
    for shown in (repr(question), plain(question._repr_html_())):
        assert question.asked in shown
        assert f'exercises.questions.{question.name}.answer("a")' in shown
        for choice in question.choices:
            assert choice.text in shown


@ALL
def test_what_is_stored_gives_nothing_away(question: Question) -> None:
    bundle = question._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", WIDGET_VIEW}
    states = [json.dumps(_state(child), ensure_ascii=False) for child in _all_widgets(question.widget())]
    for shown in (json.dumps(bundle, ensure_ascii=False), *states):
        assert not any(choice.why[:30] in shown for choice in question.choices)
        for word in ("Yes.", "No. ", "✓", "✗", "success", "right"):
            kept = shown.replace(question.asked, "")
            for choice in question.choices:
                kept = kept.replace(choice.text, "")
            assert word not in kept
    # Right and wrong choices look alike: with the texts alike, nothing tells them apart.
    as_one = [_without_text(question, letter) for letter in question.letters]
    assert len(set(as_one)) == 1


def _without_text(question: Question, letter: str) -> str:
    """The HTML of a choice, without its letter and text."""
    text = question.choices[question.letters.index(letter)].text
    (row,) = (part for part in question._repr_html_().split("<p>") if part.startswith(f"<b>{letter}</b>"))
    return plain("<p>" + row.split("</p>")[0] + "</p>").replace(text, "").replace(letter, "", 1)


def _all_widgets(box: Any) -> list[Any]:
    return [box, *(one for child in getattr(box, "children", ()) for one in _all_widgets(child))]


def _state(widget: Any) -> dict[str, Any]:
    return {name: value for name, value in widget.get_state().items() if isinstance(value, str)}


def test_without_ipywidgets_the_text_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    bundle = questions.free_clouds._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    with pytest.raises(ImportError):
        questions.free_clouds.widget()


def test_importing_the_questions_imports_neither_ipywidgets_nor_torch() -> None:
    code = (
        "import sys; from vae_utils.exercises import questions; questions.free_clouds.answer('a'); "
        "print([name for name in ('ipywidgets', 'torch', 'IPython') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


# --- The widget ------------------------------------------------------------------------------------------------------


@ALL
def test_a_click_shows_the_explanation(question: Question) -> None:
    box = question.widget()
    buttons, verdict = buttons_of(box), box.children[-1]
    assert list(buttons) == list(question.letters)
    assert verdict.value == ""
    for letter, choice in zip(question.letters, question.choices, strict=True):
        buttons[letter].click()
        assert plain(verdict.value) == f"{letter}: {'Yes' if choice.right else 'No'}. {choice.why}"
        assert buttons[letter].description == f"{letter} {'✓' if choice.right else '✗'}"


def test_two_shown_widgets_do_not_share_their_answers() -> None:
    first, second = questions.free_clouds.widget(), questions.free_clouds.widget()
    buttons_of(first)["a"].click()
    assert second.children[-1].value == ""
    assert buttons_of(second)["a"].description == "a"


def test_the_widget_is_usable_without_seeing_it() -> None:
    """A screen reader gets the letter of a button and, as its description, the choice; the answer is announced."""
    question = questions.negative_loss
    box = question.widget()
    for letter, button in buttons_of(box).items():
        assert button.tooltip == question.choices[question.letters.index(letter)].text
        assert not button.disabled
    buttons_of(box)["a"].click()
    assert 'role="alert"' in box.children[-1].value


def test_the_widget_is_made_of_what_both_major_versions_have() -> None:
    kinds = {type(widget).__name__ for widget in _all_widgets(questions.free_clouds.widget())}
    assert kinds == {"VBox", "HBox", "HTML", "Button"}
