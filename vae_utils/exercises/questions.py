"""The notebooks' prediction questions: `questions.NAME` shows one, `questions.NAME.answer("b")` answers it in words.

With ipywidgets, a question has a button for each choice; without it, and in a notebook that is only read, it is text
that says how to answer. What is shown before an answer gives nothing away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# Okabe & Ito's green, vermilion and a grey: marks beside words, never the only sign.
COLORS = {True: "#009E73", False: "#D55E00", None: "#8A8A8A"}
VERDICTS = {True: "Yes.", False: "No.", None: "Not an answer yet."}


@dataclass(frozen=True)
class Choice:
    """One possible prediction, and why it is right or wrong."""

    text: str
    why: str
    right: bool = False


@dataclass(frozen=True)
class Answer:
    """The answer to a choice. It shows itself as text and as HTML.

    Attributes:
        letter: The choice, or None if none was named.
        right: True, False, or None if no choice was named.
        message: Why, or which choices there are.
    """

    letter: str | None
    right: bool | None
    message: str

    def __repr__(self) -> str:
        return f"{VERDICTS[self.right]} {self.message}"

    def _repr_html_(self) -> str:
        return (
            f'<div role="alert" style="border-left: 4px solid {COLORS[self.right]}; padding: 2px 0 2px 10px; '
            f'max-width: 46em; line-height: 1.45; white-space: normal">'
            f"<b>{VERDICTS[self.right]}</b> {escape(self.message)}</div>"
        )


@dataclass(frozen=True)
class Question:
    """A prediction to make before a cell is run. As the last line of a cell it shows itself."""

    name: str
    asked: str
    choices: tuple[Choice, ...]

    @property
    def letters(self) -> str:
        """One letter for each choice, from a."""
        return "abcdefgh"[: len(self.choices)]

    def answer(self, choice: str) -> Answer:
        """Say whether the choice ("a", "b", ...) is right, and why. Never raises: anything else gets an answer, too."""
        letter = choice.strip().rstrip(".)").lower() if isinstance(choice, str) else None
        if not letter or letter not in tuple(self.letters):
            *first, last = (f'"{known}"' for known in self.letters)
            shown = (
                repr(choice) if isinstance(choice, str | int | float | bool | None) else f"a {type(choice).__name__}"
            )
            if len(shown) > 30:
                shown = f"{shown[:27]}..."
            return Answer(None, None, f"{shown} is none of the choices. Say {', '.join(first)} or {last}, in quotes.")
        chosen = self.choices[self.letters.index(letter)]
        return Answer(letter, chosen.right, chosen.why)

    def __repr__(self) -> str:
        choices = [f"  {letter}  {choice.text}" for letter, choice in zip(self.letters, self.choices, strict=True)]
        return "\n".join([f"Predict: {self.asked}", *choices, self._how_to_answer()])

    def _how_to_answer(self) -> str:
        return f'Answer with exercises.questions.{self.name}.answer("a"), or another letter.'

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<p><b>{letter}</b>&nbsp; {escape(choice.text)}</p>"
            for letter, choice in zip(self.letters, self.choices, strict=True)
        )
        how = f"Answer with <code>exercises.questions.{self.name}.answer(&quot;a&quot;)</code>, or another letter."
        return f'<div style="max-width: 46em"><p><b>Predict:</b> {escape(self.asked)}</p>{rows}<p>{how}</p></div>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": repr(self), "text/html": self._repr_html_()}
        try:
            model_id = self.widget().model_id
        except ImportError:
            return bundle
        return bundle | {WIDGET_VIEW: {"version_major": 2, "version_minor": 0, "model_id": model_id}}

    def widget(self) -> Any:
        """Return the question with a button for each choice, an `ipywidgets.VBox`.

        Raises:
            ImportError: ipywidgets is not installed.
        """
        import ipywidgets as widgets

        asked = widgets.HTML(_paragraph(f"<b>Predict:</b> {escape(self.asked)}"))
        verdict = widgets.HTML("")
        buttons, rows = {}, []
        for letter, choice in zip(self.letters, self.choices, strict=True):
            # The tooltip is what a screen reader adds to the letter.
            room = widgets.Layout(width="52px", padding="0", flex="0 0 auto")
            button = widgets.Button(description=letter, tooltip=choice.text, layout=room)
            text = widgets.HTML(_paragraph(escape(choice.text)), layout=widgets.Layout(flex="1 1 0%", min_width="0"))
            buttons[letter] = button
            rows.append(widgets.HBox([button, text], layout=widgets.Layout(align_items="center")))
            button.on_click(partial(self._clicked, letter, buttons, verdict))
        return widgets.VBox([asked, *rows, verdict], layout=widgets.Layout(max_width="46em"))

    def _clicked(self, letter: str, buttons: dict[str, Any], verdict: Any, _: Any = None) -> None:
        answer = self.answer(letter)
        buttons[letter].description = f"{letter} {'✓' if answer.right else '✗'}"
        verdict.value = answer._repr_html_().replace("<b>", f"<b>{letter}: ", 1)


def _paragraph(html: str) -> str:
    """Return HTML that wraps its lines, which a widget's does not by itself."""
    return f'<div style="line-height: 1.45; white-space: normal; padding: 3px 0">{html}</div>'


def _question(name: str, text: str) -> Question:
    """Read a question: what is asked, then choices, each under a "-" or, if right, a "*", and why, after a ">"."""
    parts = [" ".join(part.split()) for part in re.split(r"\n    +(?=[-*>] )", text)]
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return Question(name, parts[0], tuple(Choice(text[2:], why[2:], text[0] == "*") for text, why in pairs))


# 00_warm_up

density_above_one = _question(
    "density_above_one",
    """A probability is never above 1. Can a density be?
    - No. A density is the probability of one exact number.
      > The probability of one exact number is 0. A density is probability per unit of length, and only areas under it
        are probabilities.
    * Yes, as long as the area under it is 1.
      > Squeeze all draws into little room and the curve has to rise, or its area would not be 1. With σ = 0.2 it
        reaches almost 2. So −log of a density may be below 0, and a loss made of it may be, too.
    - No. Above 1 its area would be more than 1.
      > An area is height times width. A curve that is high may be narrow: a block of height 2 and width 1/2 has area 1.
    - Yes, if there are enough draws.
      > The number of draws is divided out. More draws make the bars less ragged, not higher.""",
)

tenth_of_the_error = _question(
    "tenth_of_the_error",
    """You estimate an expectation by an average over draws, and want a tenth of the error. How many times as many draws
    does it take?
    - About 3 times, the root of 10.
      > It is the other way round: the root is taken of the number of draws. With 3 times the draws, the error is still
        1/√3, or 58 %, of what it was.
    - 10 times.
      > The errors of single draws partly cancel, but only as fast as 1/√n: 10 times the draws divide the error by √10,
        about 3.2.
    - That depends on how much f(z) scatters.
      > The scatter of f(z) says how large the error is, before and after. The error is the scatter over √n, so the
        scatter drops out of the ratio.
    * 100 times.
      > The error shrinks like 1/√n, and √100 = 10. That is slow, but the average is right on average from the first
        draw on.""",
)

# 01_autoencoder

shuffled_codes = _question(
    "shuffled_codes",
    """The plane of codes is cut into tiles, and the tiles are shuffled. The decoder puts every code back before it
    decodes. What happens to the loss?
    - It grows, since neighbors are torn apart.
      > They are, but the loss never looks at neighbors. It compares each picture with what comes back of it, and what
        comes back is the same as before.
    - It grows a little, for the pictures whose codes lie near a cut.
      > A code is a point: it lies on one side of a cut or on the other, and is put back exactly. (Remember this answer
        in notebook 02, where a code becomes a cloud.)
    * It stays the same.
      > The decoder undoes the shuffle, so every picture comes back as before. The loss counts what comes back. Nothing
        in it asks the codes for order.
    - It falls, since crowded tiles get more room.
      > Tiles move as a whole, so no code gets more room. And what is decoded are the old places, as before.""",
)

made_up_codes = _question(
    "made_up_codes",
    """You make up codes for the autoencoder with 8 numbers: some from N(0, I), some from a Gaussian with the means,
    spreads and correlations of the training pictures' codes. What comes back?
    * Pictures nearer to real ones from the fitted Gaussian.
      > Many of its codes lie where codes of pictures lie, and there the decoder was trained. N(0, I) has another
        center and width, and above all its numbers do not go together as they do; much of it is where nothing ever
        asked the decoder to do well. The autoencoder does not say where its codes live; you have to go and measure.
    - Much the same from both, since training keeps codes near N(0, I).
      > Nothing asks for that. The loss looks at what comes back and never at where the code was. The plane of two
        numbers showed how odd the places are.
    - Better pictures from N(0, I), since it is smooth and has no gaps.
      > Smooth it is, but it lies in another place than the codes do. A code far from all others is one for which
        nothing ever asked the decoder to do well.
    - Nothing of use from either, since no picture has these codes.
      > The decoder makes something of any 8 numbers. Near the codes that it was trained on, this looks much like a
        picture.""",
)

# 02_variational_autoencoder

free_clouds = _question(
    "free_clouds",
    """The KL is what a cloud pays for being different from the prior N(0, I). Which clouds pay nothing?
    - All clouds around 0, however wide.
      > Their center is free, their width is not. With two numbers, a cloud around 0 that is a tenth as wide as the
        prior costs 3.62 nats.
    - Very narrow ones, almost points.
      > They pay much: the price contains −log σ², which grows without end as σ goes to 0. A point would cost infinitely
        many nats.
    - All clouds that lie where the prior is dense.
      > To lie inside is not enough. A cloud a tenth as wide lies right in the middle of the prior and costs 3.62 nats.
        What counts is how different the two are.
    * Only N(0, I) itself.
      > A KL is 0 only where the two distributions are the same: center 0 and width 1 along every axis. If all
        clouds were that one, they would say nothing about their pictures: saying something has its price.""",
)

shuffled_clouds = _question(
    "shuffled_clouds",
    """The shuffle of notebook 01 left the autoencoder's loss as it was. Now the centers of the VAE's clouds are
    shuffled, their widths are kept, and the decoder moves every draw back before it decodes. What happens to the loss?
    - Nothing, as in notebook 01: the decoder undoes the shuffle.
      > It undoes it for a draw that has stayed in its tile. But a cloud has a width. A draw that crosses a cut lands in
        a tile that came from elsewhere, and is sent back to the wrong place.
    * It grows: some draws cross a cut and come back as another picture.
      > A cloud near a cut reaches over into a tile that is now a stranger's. Draws that land there are sent to the
        wrong place, and the reconstruction pays. So the clouds make neighbors agree.
    - Only the KL changes; what comes back stays the same.
      > The KL does change, as the centers move. But compare the reconstruction term before and after: draws that cross
        a cut come back as something else.
    - It falls, since the clouds are spread more evenly.
      > The prior does not ask for even: it is densest around 0. And wherever a draw crosses a cut, the reconstruction
        gets worse.""",
)

# 03_reparameterization_trick

gradient_of_a_draw = _question(
    "gradient_of_a_draw",
    """z is drawn once with Normal(mu, sigma).sample() and once with torch.normal(mu, sigma). After backward() of the
    reconstruction loss, what stands in the .grad of the encoder's weights?
    - It does not come to that: backward() stops with an error, since a draw has no derivative.
      > If only it did. Both run without a word, since the decoder's weights do get their gradient. That is why this
        mistake lives so long in programs.
    - None, both times.
      > After .sample(), yes. torch.normal is worse: its z has a grad_fn, so a gradient does come back, and it looks
        as if all were well.
    * None after .sample(), zeros after torch.normal.
      > .sample() gives numbers without a past, so nothing arrives. After torch.normal something arrives, and it is
        exactly 0 for every draw. Neither complains.
    - The right gradient with noise, both times.
      > Noise would average out. Here the way back from z to mu is missing altogether: neither keeps how z would have
        moved with mu.""",
)

which_scatters_more = _question(
    "which_scatters_more",
    """Take f(z) = (z − 5)² with μ = 1 and σ = 1. From one draw, both ways estimate the slope of the average in μ, and
    both are right on average. Which one scatters more?
    * The score function, with more than 100 times the variance.
      > 495 against 4. The score function multiplies the value of the loss, which is large here, by a score that is as
        often above 0 as below. The pathwise estimate, 2(z − 5), needs no more than the slope.
    - The score function, with about twice the variance.
      > The right one, but far more than that: 495 against 4. The loss itself is about 17 here, and all of it is
        multiplied by a score of random sign.
    - The pathwise one, since the slope of f changes from draw to draw.
      > It does, but mildly: 2(z − 5) has a variance of 4. Compare it with what f(z) · (z − μ) does from draw to draw.
    - Neither: right on average means the same scatter.
      > Two estimates may have the same average and very different scatter. What differs is how many draws you need
        until the average can be trusted.""",
)

# 04_loss

negative_loss = _question(
    "negative_loss",
    """The loss is −log p(x|z) plus the KL. Can it be negative when nothing is broken?
    - No. A negative loss means that something is wrong.
      > −log p is negative wherever p is above 1, and a density may be above 1, as notebook 00 showed. So it depends on
        whether p(x|z) is a density.
    - Yes, where the KL is negative.
      > A KL is never negative; it is 0 where the cloud is the prior and positive elsewhere. A negative loss has to come
        from the other term.
    - Yes, with every likelihood, once the reconstructions are good enough.
      > Not with every one. A Bernoulli's p(x|z) is a probability, at most 1, so its −log is never below 0, however good
        the decoder is.
    * With Gaussian pixels yes, with Bernoulli pixels no.
      > A Gaussian's p(x|z) is a density, which exceeds 1 where σ is small; a Bernoulli's is a probability, at most 1.
        Compare a loss with its floor, not with 0.""",
)

averaged_pixels = _question(
    "averaged_pixels",
    """The reconstruction term is averaged over the pixel values, the KL is summed over the code. Where on the
    rate-distortion curve does training land?
    - Where it would have landed anyway: a constant factor moves no minimum.
      > A factor on the whole loss moves nothing. Here only one of the two terms was divided, by the number P of pixel
        values, so against it the KL weighs P times as much.
    * At the end where the code says nothing and every picture comes back the same.
      > Divided by P, an error costs almost nothing, while each nat of the code costs what it did: β = P. Unless a
        number varies more than P times σ_x² (with σ_x = 0.15 none does), the cheapest code is then an empty one.
    - At the end where the rate is high and the reconstructions are sharp.
      > That would be a small β. Averaging makes errors cheap, and what is cheap is not avoided: the code is what has
        become dear.
    - Nowhere: the loss does not fall, so you would notice.
      > It falls at first, without an error or a warning, and then stands. You see it in the KL and in the pictures; in
        the curve only if you know its floor.
    """,
)

QUESTIONS: dict[str, Question] = {name: value for name, value in globals().items() if isinstance(value, Question)}
__all__ = ["QUESTIONS", "Answer", "Choice", "Question", *QUESTIONS]
