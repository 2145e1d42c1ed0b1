"""Check the pages that people read: headings, links and pictures of README, docs, site and notebooks.

    python -m scripts.pages [FILE ...]        these files; none named: all of the course's

Prints one line for each problem and exits with 1 if there is one. Nothing is fetched: `make links` follows the links
into the web, and typos (pyproject.toml) checks the spelling. `make check` calls this.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from scripts.paths import ROOT

PAGES = (
    "*.md",
    "docs/**/*.md",
    "site/**/*.md",
    "data/*.md",
    "notebooks/[0-9]*.ipynb",
    "notebooks/assignments/*.md",
    "notebooks/assignments/*.ipynb",
)
SCHEMES = ("https", "http", "mailto")
HEADING = re.compile(r"h[1-6]")
MARKDOWN = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin)


class Heading(NamedTuple):
    """A heading: where it stands, its level from 1 to 6, and its text without marks."""

    place: str
    level: int
    text: str


class Link(NamedTuple):
    """A link: where it stands, where it leads, and its text, in which a picture counts with its alternative text."""

    place: str
    target: str
    text: str


class Picture(NamedTuple):
    """A picture: where it stands, its source and its alternative text."""

    place: str
    source: str
    alt: str


class Page(HTMLParser):
    """The headings, links, pictures and anchors (`ids`) of HTML, in the order in which it is fed."""

    def __init__(self, html: str = "") -> None:
        super().__init__()
        self.headings: list[Heading] = []
        self.links: list[Link] = []
        self.pictures: list[Picture] = []
        self.ids: set[str] = set()
        self.opens_with_title = False
        self.place = ""  # of what is fed next
        self._seen_text = False
        self._heading: str | None = None  # the text so far of the heading that is open
        self._link: str | None = None
        self._target = ""
        self.feed(html)

    def feed_markdown(self, text: str, place: str = "") -> None:
        """Read Markdown. `place` says where it stands; none: each block's line does."""
        for token in MARKDOWN.parse(text):
            if place or token.map:
                self.place = place or f"line {(token.map or [0])[0] + 1}"
            self.feed(MARKDOWN.renderer.render([token], MARKDOWN.options, {}))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a tag."""
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values and (name == "id" or tag == "a")}
        if HEADING.fullmatch(tag):
            self._heading = ""
            self.opens_with_title |= tag == "h1" and not self.headings and not self._seen_text
        elif tag == "a" and "href" in values:
            self._link, self._target = "", values["href"]
        elif tag == "img":
            self.pictures.append(Picture(self.place, values.get("src", ""), values.get("alt", "").strip()))
            self.handle_data(values.get("alt", ""))

    def handle_data(self, data: str) -> None:
        """Add to the text of what is open."""
        self._seen_text |= bool(data.strip())
        if self._heading is not None:
            self._heading += data
        if self._link is not None:
            self._link += data

    def handle_endtag(self, tag: str) -> None:
        """Close a heading or a link."""
        if HEADING.fullmatch(tag) and self._heading is not None:
            self.headings.append(Heading(self.place, int(tag[1]), self._heading.strip()))
            self._heading = None
        elif tag == "a" and self._link is not None:
            self.links.append(Link(self.place, self._target, self._link.strip()))
            self._link = None


def read(path: Path) -> Page:
    """Read a Markdown file or the Markdown cells of a notebook."""
    page, text = Page(), path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        for number, cell in enumerate(json.loads(text)["cells"]):
            if cell["cell_type"] == "markdown":
                page.feed_markdown("".join(cell["source"]), f"cell {number}")
    else:
        page.feed_markdown(text)
    page.close()
    return page


def anchors(page: Page, notebook: bool) -> set[str]:
    """Return what links into a page may name: GitHub's anchors, Jupyter's in a notebook, and those set by hand."""
    found: set[str] = set()
    for heading in page.headings:
        anchor = (heading.text if notebook else re.sub(r"[^\w\- ]", "", heading.text.lower())).replace(" ", "-")
        numbered = (f"{anchor}-{number}" if number else anchor for number in itertools.count())
        found.add(next(name for name in numbered if name not in found))
    return found | page.ids


def heading_problems(page: Page) -> Iterator[str]:
    """Yield what breaks the outline: one title, first of all, and no level skipped below it."""
    if not page.opens_with_title:
        yield "does not open with a title (# ...)"
    for above, (place, level, text) in itertools.pairwise(page.headings):
        if level == 1:
            yield f"{place}: a second title: {text}"
        if level > above.level + 1:
            yield f"{place}: the heading {text!r} skips a level"
    for heading in page.headings:
        if not heading.text:
            yield f"{heading.place}: a heading without text"


def picture_problems(page: Page) -> Iterator[str]:
    """Yield each picture without alternative text."""
    for picture in page.pictures:
        if not picture.alt:
            yield f"{picture.place}: a picture without alternative text"


def link_problems(page: Page, path: Path, root: Path) -> Iterator[str]:
    """Yield each link without text, and each link or picture whose target is not in the course."""
    for place, target, text in page.links:
        if not text:
            yield f"{place}: a link without text to {target}"
    for place, target, _ in [*page.links, *page.pictures]:
        if problem := target_problem(target, page, path, root):
            yield f"{place}: {problem}"


def target_problem(target: str, page: Page, path: Path, root: Path) -> str | None:
    """Return what is wrong with the target of a link on the page at `path`, or None."""
    scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*):", target)
    if scheme:
        return None if scheme[1] in SCHEMES else f"{target} has an unknown scheme"
    parts = urlsplit(target)
    name, anchor = unquote(parts.path), unquote(parts.fragment)
    candidates = [path.parent / name]
    if path.is_relative_to(root / "site"):  # which the built site lays over the root
        candidates.append(root / path.parent.relative_to(root / "site") / name)
    leads_to = next((c.resolve() for c in candidates if c.exists()), None) if name else path
    if not target or leads_to is None or name.startswith("/"):
        return f"a link to {target or 'nothing'}, which does not exist"
    if not leads_to.is_relative_to(root.resolve()):
        return f"a link to {target}, which is outside the course"
    if anchor and leads_to.suffix in (".md", ".ipynb"):
        linked = page if leads_to == path else read(leads_to)
        if anchor not in anchors(linked, leads_to.suffix == ".ipynb"):
            return f"a link to {target}, but there is no such heading"
    return None


def pages(root: Path = ROOT) -> list[Path]:
    """Return the course's own pages."""
    return sorted({path for pattern in PAGES for path in root.glob(pattern)})


def problems(path: Path, root: Path = ROOT) -> list[str]:
    """Return all that is wrong with one page."""
    page = read(path)
    return [*heading_problems(page), *picture_problems(page), *link_problems(page, path, root)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check pages; return the exit status: 0 good, 1 something is wrong, 2 no such file."""
    parser = argparse.ArgumentParser(description="Check headings, links and pictures.")
    parser.add_argument("files", nargs="*", type=Path, help="Markdown files or notebooks; none: all of the course's")
    given: list[Path] = parser.parse_args(arguments).files
    if missing := [path for path in given if not path.is_file()]:
        print(f"{missing[0]} is not a file.", file=sys.stderr)
        return 2
    checked = [path.resolve() for path in given] or pages()
    found = [f"{path.name}: {problem}" for path in checked for problem in problems(path)]
    for line in found:
        print(line)
    if not found:
        print(f"Headings, links and pictures of {len(checked)} pages are in order.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
