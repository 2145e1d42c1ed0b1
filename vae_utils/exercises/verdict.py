"""Show an exercise's texts: readable as text and as HTML, on light and on dark pages."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

MONOSPACE = "var(--jp-code-font-family, ui-monospace, Menlo, Consolas, monospace)"
# A sign and a color for each outcome; the words carry the meaning, the color only helps.
LOOKS = {True: ("✓", "#009E73"), False: ("✗", "#D55E00"), None: ("○", "#56B4E9")}


class Shown:
    """A title and some text.

    The text has paragraphs between blank lines, `code` and *stress*; lines indented by four spaces stay as they are.
    """

    def __init__(self, title: str, text: str, color: str = "#56B4E9"):
        self.title, self.text, self.color = title, text, color

    def __repr__(self) -> str:
        return f"{self.title}\n{self.text}".rstrip()

    def _repr_html_(self) -> str:
        # Colors of text and page are the page's own: it reads on light and on dark.
        style = f"border-left: 4px solid {self.color}; padding: 0.1em 0 0.1em 0.9em; margin: 0.3em 0; max-width: 46em"
        head = f'<p style="margin: 0.2em 0 0.4em"><strong>{_inline(self.title)}</strong></p>'
        return f'<div style="{style}">{head}{as_html(self.text)}</div>'


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on: a sentence, and named values below it."""

    about: str
    rows: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        width = max((len(name) for name, _ in self.rows), default=0)
        return "\n".join([f"{self.about}\n", *(f"    {name:>{width}}: {value}" for name, value in self.rows)]).strip(
            "\n"
        )


@dataclass(frozen=True, repr=False)
class Verdict:
    """The result of a check.

    Attributes:
        passed: True, False, or None if nothing was attempted.
        mistake: The slug of the known mistake, or None.
        headline: What is wrong, or right, in words.
        evidence: What shows it.
        notes: What is to be said besides.
    """

    passed: bool | None
    mistake: str | None = None
    headline: str = ""
    evidence: Evidence | None = None
    notes: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """The text for the learner, in paragraphs."""
        return "\n\n".join(part for part in (self.headline, str(self.evidence or ""), *self.notes) if part)

    @property
    def title(self) -> str:
        """A sign, the outcome in words, and the mistake's slug."""
        words = {True: "Right", False: "Not yet", None: "Not attempted yet"}[self.passed]
        return f"{LOOKS[self.passed][0]} {words}" + (f": {self.mistake}" if self.mistake else "")

    def _shown(self) -> Shown:
        return Shown(self.title, self.message, LOOKS[self.passed][1])

    def __repr__(self) -> str:
        return repr(self._shown())

    def _repr_html_(self) -> str:
        return self._shown()._repr_html_()


def as_html(text: str) -> str:
    """Return paragraphs of text as HTML; a block whose lines all start with four spaces keeps its line breaks."""
    blocks = []
    for block in re.split(r"\n\s*\n(?!    )|\n\n(?=    )", text.strip("\n")):
        lines = block.splitlines()
        if lines and all(line.startswith("    ") or not line.strip() for line in lines):
            code = html.escape("\n".join(line[4:] for line in lines))
            wrap = "white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere"
            style = f"margin: 0.4em 0; background: none; font-family: {MONOSPACE}; {wrap}"
            blocks.append(f'<pre style="{style}">{code}</pre>')
        elif lines:
            blocks.append(f'<p style="margin: 0.4em 0">{_inline(" ".join(lines))}</p>')
    return "".join(blocks)


def atlas(name: str) -> str:
    """Say where the course's site tells more about the mistake "EXERCISE/SLUG": the address, if the course has one."""
    exercise, slug = name.split("/")
    home = _site()
    return f"{home}/atlas/{exercise}.html#{slug}" if home else f"{name} in the site's atlas of mistakes"


@cache
def _site() -> str | None:
    """Return the address of the site that GitHub makes of the repository, or None while the course has no address."""
    try:
        links = metadata("vae-utils").get_all("Project-URL") or []
    except PackageNotFoundError:
        return None
    found = re.search(r"^Repository, https://github\.com/([^/]+)/([^/\n]+)", "\n".join(links), re.MULTILINE)
    return f"https://{found[1].lower()}.github.io/{found[2]}" if found else None


def _inline(text: str) -> str:
    """Return one line as HTML, with its `code`, *stress* and links; a star between spaces is a product."""
    parts = re.split(r"(`[^`]+`|https://\S+)", html.escape(text))
    return "".join(map(_part, parts))


def _part(text: str) -> str:
    if text.startswith("`"):
        return f"<code>{text[1:-1]}</code>"
    if text.startswith("https://"):
        return f'<a href="{text}">{text}</a>'
    return re.sub(r"\*(\w(?:[^*]*\w)?)\*", r"<em>\1</em>", text)
