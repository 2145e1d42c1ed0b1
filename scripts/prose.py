"""Check what people read: links, spelling, headings and alternative texts of README, docs and notebooks.

    prose.py [FILE ...]        these files; none named: all of the course's

Prints one line for each thing that is wrong, and exits with 1 if there is one. Nothing is fetched: a link into the web
is only looked at for its form. A word that is right and not known belongs into scripts/words.txt (sorted). `make lint`
calls this.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
WORDS = Path(__file__).with_name("words.txt")
PAGES = (
    "*.md",
    "docs/**/*.md",
    "site/**/*.md",
    "data/*.md",
    "notebooks/[0-9]*.ipynb",
    "notebooks/assignments/**/*.ipynb",
)

FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(<?([^)\s>]*)>?(?:\s+\"[^\"]*\")?\)")
CODE = re.compile(r"(`+)(?:(?!\1).)+\1", re.DOTALL)
MATH = re.compile(r"\$\$.*?\$\$|(?<![\\$])\$(?!\s)(?:\\.|[^$\\])+?\$", re.DOTALL)
TAG = re.compile(r"<!--.*?-->|</?[a-zA-Z][^>]*>", re.DOTALL)
IMAGE_TAG = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
ADDRESS = re.compile(r"\b(?:https?://|www\.)\S+|\bdoi:\S+|\S+@\S+\.\w+", re.IGNORECASE)
# A word of letters, with an apostrophe inside at most; what stands beside a digit, _ . / or = is a name.
WORD = re.compile(r"(?<![\w.=\\/@~-])[A-Za-zÀ-ÿ]+(?:['’][A-Za-zÀ-ÿ]+)*(?![\w=\\/@]|\.\w)")


@dataclass(frozen=True)
class Page:
    """A page's Markdown, with where each line stands in its file, and whether Jupyter makes its anchors."""

    path: Path
    lines: tuple[tuple[str, str], ...]  # ("line 3" or "cell 2", text)
    is_notebook: bool


def read(path: Path) -> Page:
    """A Markdown file, or the Markdown cells of a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return Page(path, tuple((f"line {i}", line) for i, line in enumerate(text.splitlines(), 1)), False)
    lines: list[tuple[str, str]] = []
    for number, cell in enumerate(json.loads(text)["cells"]):
        if cell["cell_type"] == "markdown":
            source = "".join(cell["source"])
            lines += [(f"cell {number}", line) for line in [*source.splitlines(), ""]]
    return Page(path, tuple(lines), True)


def prose(page: Page) -> Iterator[tuple[str, str]]:
    """The lines outside of code fences."""
    fence = ""
    for place, line in page.lines:
        match = FENCE.match(line)
        if match and (not fence or match[1].startswith(fence)):
            fence = "" if fence else match[1]
        elif not fence:
            yield place, line


def headings(page: Page) -> Iterator[tuple[str, int, str]]:
    """Place, level and text of each heading."""
    for place, line in prose(page):
        if match := HEADING.match(line):
            yield place, len(match[1]), match[2]


def bare(text: str) -> str:
    """A heading's text without its marks."""
    text = LINK.sub(lambda match: match[2], text)
    return re.sub(r"\*\*?|`|(?<!\w)_|_(?!\w)", "", text)


def anchors(page: Page) -> set[str]:
    """What links into a page may name: GitHub's anchors, Jupyter's in a notebook, and those set by hand."""
    found: set[str] = set()
    for _, _, text in headings(page):
        text = bare(text)
        kept = text if page.is_notebook else re.sub(r"[^\w\- ]", "", text.lower())
        anchor = kept.replace(" ", "-")
        free = (f"{anchor}-{number}" if number else anchor for number in itertools.count())
        found.add(next(name for name in free if name not in found))
    for _, line in prose(page):
        found.update(re.findall(r"<[^>]+\b(?:id|name)=\"([^\"]+)\"", line))
        found.update(re.findall(r"^\(([\w-]+)\)=$", line))
    return found


def heading_problems(page: Page) -> Iterator[str]:
    """One title, first of all headings, and no level skipped below it?"""
    found = list(headings(page))
    if not found and any("{include}" in line for _, line in page.lines):
        return  # all of it stands in another page
    if not found or found[0][1] != 1:
        yield "does not open with a title (# ...)"
    for place, level, text in found[1:]:
        if level == 1:
            yield f"{place}: a second title: {text}"
    for (_, above, _), (place, level, text) in itertools.pairwise(found):
        if level > above + 1:
            yield f"{place}: the heading {text!r} skips a level"
    for place, _, text in found:
        if not bare(text).strip():
            yield f"{place}: a heading without text"


def picture_problems(page: Page) -> Iterator[str]:
    """Alternative text for every picture?"""
    for place, line in prose(page):
        line = CODE.sub(" ", line)
        silent = [alt for mark, alt, _ in LINK.findall(line) if mark and not alt.strip()]
        silent += [tag for tag in IMAGE_TAG.findall(line) if not re.search(r"\balt\s*=\s*[\"'][^\"']*\w", tag)]
        if silent:
            yield f"{place}: a picture without alternative text"


def link_problems(page: Page, root: Path = ROOT) -> Iterator[str]:
    """Does every link lead to something, inside the course, and does every address in the web look like one?"""
    for place, line in prose(page):
        for mark, text, target in LINK.findall(CODE.sub(lambda code: "x" * len(code[0]), line)):
            if not mark and not text.strip():
                yield f"{place}: a link without text to {target}"
            nested = [inner for _, _, inner in LINK.findall(text)]  # a picture that is a link
            for address in [target, *nested]:
                if problem := address_problem(page, address, root):
                    yield f"{place}: {problem}"


def address_problem(page: Page, target: str, root: Path) -> str | None:
    """What is wrong with one address, or None."""
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        parts = urlsplit(target)
        if parts.scheme in ("http", "https") and not re.fullmatch(r"[\w-]+(?:\.[\w-]+)+(?::\d+)?", parts.netloc):
            return f"{target} is no address in the web"
        return None if parts.scheme in ("http", "https", "mailto") else f"{target} has an unknown scheme"
    name, _, anchor = target.partition("#")
    path = (page.path.parent / unquote(name)).resolve() if name else page.path
    if not path.exists() and page.path.is_relative_to(root / "site"):
        path = (root / page.path.parent.relative_to(root / "site") / unquote(name)).resolve()  # the site has both
    if not target or (name and (name.startswith("/") or not path.exists())):
        return f"a link to {target or 'nothing'}, which does not exist"
    if not path.is_relative_to(root.resolve()):
        return f"a link to {target}, which is outside the course"
    if anchor and path.suffix in (".md", ".ipynb") and unquote(anchor) not in anchors(read(path)):
        return f"a link to {target}, but there is no such heading"
    return None


def words(page: Page) -> Iterator[tuple[str, str]]:
    """The words of a page's prose with their places; code, formulas, addresses and names of files are none."""
    text = "\n".join(f"\x00{number}\x00{line}" for number, (_, line) in enumerate(prose(page)))
    places = [place for place, _ in prose(page)]
    for pattern in (CODE, MATH, TAG):
        text = pattern.sub(lambda match: " ".join(re.findall(r"\n\x00\d+\x00", match[0])) or " ", text)
    text = LINK.sub(lambda match: f"{match[2]} ", text)
    text = LINK.sub(lambda match: f"{match[2]} ", text)  # of a picture that was inside a link
    text = ADDRESS.sub(" ", text)
    number = 0
    for piece in re.finditer(rf"\x00(\d+)\x00|{WORD.pattern}", text):
        if piece[1] is not None:
            number = int(piece[1])
        else:
            yield places[number], piece[0].replace("’", "'")


class Speller:
    """Knows English words and the course's own; American spelling where the two differ."""

    def __init__(self, own: Iterable[str]) -> None:
        from spellchecker import SpellChecker

        self.english = SpellChecker(language="en", distance=1)
        self.own = set(own)
        self.own_lower = {word.lower() for word in self.own if word == word.lower()}

    def knows(self, word: str) -> bool:
        """Whether a word is spelled right; in the own list, capitals count where they are written."""
        word = re.sub(r"'s$|'$", "", word)
        lower = word.lower()
        if len(word) == 1 or word in self.own or lower in self.own_lower:
            return True
        if BRITISH.fullmatch(lower):
            return False
        plain = re.sub(r"(?:n't|'(?:re|ve|ll|d|m))$", "", lower)
        return any(form in self.english.word_frequency.dictionary for form in {lower, plain})

    def guess(self, word: str) -> str:
        """The nearest known word, in words for a person, or nothing."""
        best = self.english.correction(word.lower())
        return f" (did you mean {best}?)" if best and best != word.lower() else ""


# The commonest British spellings, which the list of English words has as well.
BRITISH = re.compile(
    r"(?:behavi|col|fav|neighb|harb|hon|lab|vap|rum|arm)our\w*|grey(?!hound)(?:er|ish)?|cent(?:re|red|res|ring)"
    r"|\w*(?:normal|general|organ|real|recogn|regular|optim|maxim|minim|visual|summar|initial|parametr|random"
    r"|special|penal|factor|discret|quant|categor)is(?:e|ed|es|ing|ation|ations)|analys(?:e|ed|ing)"
    r"|(?:model|label|travel|cancel|signal)l(?:ed|ing|er)|learnt|whilst|licence|programme"
)


def spelling_problems(page: Page, speller: Speller) -> Iterator[str]:
    """Words that nobody knows, each once a page."""
    seen: set[str] = set()
    for place, word in words(page):
        if word.lower() not in seen and not speller.knows(word):
            seen.add(word.lower())
            yield f"{place}: {word!r} is not in the dictionary{speller.guess(word)}"


def own_words(path: Path = WORDS) -> list[str]:
    """The course's own words, one a line; lines that start with # are remarks."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def list_problems(listed: Sequence[str]) -> Iterator[str]:
    """Is the list of own words in order, each word once?"""
    for before, after in itertools.pairwise(listed):
        if (after.lower(), after) <= (before.lower(), before):
            yield f"{after!r} stands after {before!r}: keep the list sorted, each word once"


def pages(root: Path = ROOT) -> list[Path]:
    """The course's own pages."""
    found = {path for pattern in PAGES for path in root.glob(pattern)}
    return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)


def problems(path: Path, speller: Speller, root: Path = ROOT) -> list[str]:
    """All that is wrong with one page."""
    page = read(path)
    checks = (heading_problems(page), picture_problems(page), link_problems(page, root))
    return [*itertools.chain(*checks), *spelling_problems(page, speller)]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """The command line; returns the exit status: 0 good, 1 something is wrong, 2 no such file."""
    parser = argparse.ArgumentParser(description="Check links, spelling, headings and alternative texts.")
    parser.add_argument("files", nargs="*", type=Path, help="Markdown files or notebooks; none: all of the course's")
    given = parser.parse_args(arguments).files
    for path in given:
        if not path.is_file():
            print(f"{path} is not a file.", file=sys.stderr)
            return 2
    own = own_words()
    speller = Speller(own)
    found = [f"{WORDS.name}: {problem}" for problem in list_problems(own)]
    checked = [path.resolve() for path in given] or pages(root)
    for path in checked:
        name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        found += [f"{name}: {problem}" for problem in problems(path, speller, root)]
    for line in found:
        print(line)
    if found:
        print("A word that is right goes into scripts/words.txt.")
        return 1
    print(f"Links, spelling, headings and alternative texts of {len(checked)} pages are in order.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
