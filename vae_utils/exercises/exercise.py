"""An exercise: a task, hints, a solution, the known mistakes of the catalogue, and a judge.

`check` hands the learner's function to the judge, which observes it (`values`, `draws`, `estimates`, `steps`). If what
it does is what the solution does, it is right, however it is written; if it is what a known mistake does, that one is
named; else what differs is described.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from .. import mistakes
from ..mistakes import Mistake
from .attempt import Attempt, Stopped, complaint, guard, is_stub, kind_of_error, seed
from .compare import shortened
from .verdict import Evidence, Shown, Verdict, atlas


@dataclass(frozen=True)
class Probe:
    """One set of arguments to try a function on.

    Attributes:
        make: Return new arguments, by name, in order.
        about: What is special about them, for the learner.
        gradients: Names of (float tensor) arguments whose gradient is compared, too.
        extreme: The numbers are large or small: they only show whether what is right elsewhere is right here, too.
            Such probes stand last.
        sure: The decoder is sure: what bounds or breaks the cost of its errors shows here, and only here.
    """

    make: Callable[[], Mapping[str, Any]]
    about: str = ""
    gradients: tuple[str, ...] = ()
    extreme: bool = False
    sure: bool = False

    @property
    def far(self) -> bool:
        """Whether it only shows whether what is right elsewhere is right here, too."""
        return self.extreme or self.sure


@dataclass
class Exercise:
    """One exercise of a notebook.

    Attributes:
        name: The exercise's name, which is the function's and that of its known mistakes in the catalogue.
        task: What is asked for, in Markdown.
        stub: The signature, with defaults, e.g. "f(x, beta=1.0)".
        hints: Three, from a nudge to nearly all.
        answer: A right function, whose source `.solution()` shows.
        right: The sentence for a right answer.
        judge: Say what a function does right or wrong. It may raise `Stopped`, with a message for the learner.
        probes: From small to large, for judges that compare what comes out.
        errors: The mistakes that stop with an error, by its kind (`attempt.ERRORS`).
        reductions: The mistakes that are right numbers reduced, and how, from those for each picture and the number of
            values in a picture or a code.
        afterwards: What follows from changing an argument in place.
    """

    name: str
    task: str
    stub: str
    hints: tuple[str, str, str]
    answer: Callable[..., Any]
    right: str
    judge: Callable[[Attempt, Exercise], Verdict]
    probes: Sequence[Probe] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    reductions: Mapping[str, Callable[[Tensor, int], Tensor]] = field(default_factory=dict)
    afterwards: str = "Whoever calls it finds other numbers in their tensor afterwards."
    _hints_given: int = field(default=0, init=False)

    def __repr__(self) -> str:
        return f"Exercise {self.stub}: .check({self.name}), .hint(), .solution()"

    @property
    def mistakes_by_slug(self) -> dict[str, Mistake]:
        """The known mistakes by name; of several that fit, the first is named."""
        return mistakes.of(self.name)

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """The known mistakes in order."""
        return tuple(self.mistakes_by_slug.values())

    def mistake(self, slug: str) -> Mistake:
        """Return the known mistake of that slug.

        Raises:
            KeyError: There is none; the message names those there are.
        """
        return mistakes.get(f"{self.name}/{slug}")

    def check(self, function: Callable[..., Any]) -> Verdict:
        """Say whether `function` is right, and if not, what is wrong.

        Never raises, whatever the function does or returns (but for KeyboardInterrupt), and leaves no trace in torch's,
        numpy's and Python's global state.
        """
        asked = inspect.signature(self.answer)
        names = tuple(asked.parameters)
        required = sum(parameter.default is parameter.empty for parameter in asked.parameters.values())
        if wrong := complaint(function, self.name, names, required, self.stub):
            if not callable(function):
                wrong += f" Write `exercises.{self.name}.check({self.name})`."
            return Verdict(False, None, wrong)
        if is_stub(function):
            return Verdict(None, None, f"Write `{self.stub}` in place of the `...`, and run the cell again.")
        attempt = Attempt(function, self.name, names)
        with guard():
            seed(0)
            try:
                verdict = self.judge(attempt, self)
            except Stopped as stopped:
                slug = self.errors.get(kind_of_error(stopped))
                verdict = self.named(slug, None, str(stopped)) if slug else self.wrong(str(stopped), stopped.evidence)
            except Exception as error:  # whatever odd thing came back, a check answers in words
                message = f"{type(error).__name__}: {shortened(str(error), 200)}"
                verdict = self.wrong(f"The check can't read what your function returned:\n\n    {message}")
        return replace(verdict, notes=(*verdict.notes, *self._notes(verdict, attempt, asked)))

    def passes(self, remark: str = "") -> Verdict:
        """Return the verdict on a right function."""
        return Verdict(True, None, self.right + remark)

    def named(self, slug: str, evidence: Evidence | None = None, *notes: str, also: str = "") -> Verdict:
        """Return the verdict on a known mistake."""
        return Verdict(False, slug, self.mistake(slug).why + also, evidence, tuple(filter(None, notes)))

    @staticmethod
    def wrong(headline: str, evidence: Evidence | None = None) -> Verdict:
        """Return the verdict on a function that is wrong in a way without a name."""
        return Verdict(False, None, headline.strip(), evidence)

    def first(self, does_the_same: Callable[[Mistake], bool]) -> str | None:
        """Return the slug of the first known mistake that does the same; None if none does."""
        return next((slug for slug, mistake in self.mistakes_by_slug.items() if does_the_same(mistake)), None)

    def _notes(self, verdict: Verdict, attempt: Attempt, asked: inspect.Signature) -> Iterable[str]:
        """Return what every check reports: changed arguments, what was printed, where to go from here."""
        if attempt.changed:
            which = " and ".join(f"`{name}`" for name in sorted(attempt.changed))
            plural = "s" if len(attempt.changed) > 1 else ""
            yield (
                f"One more thing: your function changes its argument{plural} {which} in place. "
                f"{self.afterwards.format(which)} Work on a new tensor."
            )
        if verdict.passed is False and (order := attempt.other_order()):
            own, expected = ", ".join(order), ", ".join(attempt.parameters)
            yield f"Your parameters are ({own}), but the check hands them over as ({expected})."
        if verdict.passed is False and (other := attempt.other_defaults(asked)):
            yield other
        if attempt.printed and not verdict.passed:
            lines = attempt.printed.rstrip().splitlines()
            shown = "\n".join(f"    {line[:100]}" for line in lines[:6]) + ("\n    …" if len(lines) > 6 else "")
            yield f"Your function printed, in the last call:\n\n{shown}"
        if verdict.passed is False:
            more = f" More: {atlas(f'{self.name}/{verdict.mistake}')}" if verdict.mistake else ""
            yield f"Stuck? `exercises.{self.name}.hint()`{more}"

    def hint(self) -> Shown:
        """Return the next of three hints."""
        if self._hints_given == len(self.hints):
            text = f"That was the last one. `exercises.{self.name}.solution()` shows a solution."
            return Shown("No more hints", text)
        self._hints_given += 1
        return Shown(f"Hint {self._hints_given} of {len(self.hints)}", self.hints[self._hints_given - 1])

    def solution(self) -> Shown:
        """Return the source of one right solution."""
        source = textwrap.dedent(inspect.getsource(self.answer)).rstrip()
        return Shown("One way to write it", textwrap.indent(source, "    "))
