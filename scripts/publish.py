"""Stamp the course with the address of its repository.

It goes to pyproject.toml, and from there to every link to Colab and Binder, the notebooks' first code cell, README.md
and CITATION.cff.

    python3 -m scripts.publish --repo OWNER/NAME [--branch BRANCH]    a new address
    python3 -m scripts.publish                                        the address in pyproject.toml, stamped again
    python3 -m scripts.publish --cells FILE ...                       the same, in these notebooks alone

`make publish REPO=owner/name` calls this, with any Python from 3.9 that the machine has: only the standard library is
imported. Outputs of notebooks stay as they are. Every text is computed before the first file is written, and each file
is replaced in one step.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scripts.paths import ROOT

UNSET = "https://unset.invalid/owner/name"  # .invalid is a name that never exists, by RFC 2606
SETTING = re.compile(r'^Repository = "([^"]*)"$', re.MULTILINE)
ADDRESS = re.compile(r"https://github\.com/(?P<owner>[^/]+)/(?P<name>[^/]+)(?:/tree/(?P<branch>.+))?")
OWNER = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}")
NAME = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{1,100}")
# The names that git allows, except those that would have to be escaped somewhere.
BRANCH = re.compile(r"(?!.*(?:\.\.|//|/\.|\.lock(?:/|$)))[A-Za-z0-9_][A-Za-z0-9._/-]*(?<![./])")
BLOCK = re.compile(r"(<!-- address -->\n).*?(<!-- /address -->)", re.DOTALL)
ROW = re.compile(r"^(\| \[[^\]]*\]\(notebooks/([\w-]+\.ipynb)\) \|[^|\n]*\|[^|\n]*\|)(?:[^|\n]*\|)?$", re.MULTILINE)
BADGES = re.compile(r"^\[Open in Colab\]\([^)]*\).*\n?", re.MULTILINE)
CITED = re.compile(r"^repository-code: .*\n", re.MULTILINE)
EXPLAINED = "docs/open.md"  # says what an address is for, and what works without one
CELL = "bootstrap"  # the id and the tag of the cell that fetches the course

Json = dict[str, Any]


class PublishError(ValueError):
    """An impossible address, or a file without a place for it. The message says what to do."""


@dataclass(frozen=True)
class Home:
    """A branch of a repository on GitHub."""

    owner: str
    name: str
    branch: str = "main"

    @property
    def url(self) -> str:
        """The repository's page, which pyproject.toml holds."""
        page = f"https://github.com/{self.owner}/{self.name}"
        return page if self.branch == "main" else f"{page}/tree/{self.branch}"

    @property
    def source(self) -> str:
        """The source that pip fetches the package from."""
        return f"git+https://github.com/{self.owner}/{self.name}@{self.branch}"

    def colab(self, notebook: str) -> str:
        """Return the address that opens notebooks/`notebook` in Colab."""
        where = f"{self.owner}/{self.name}/blob/{self.branch}/notebooks/{notebook}"
        return f"https://colab.research.google.com/github/{where}"

    def binder(self, notebook: str) -> str:
        """Return the address that opens notebooks/`notebook` in Binder."""
        where = f"{self.owner}/{self.name}/{quote(self.branch, safe='')}"
        return f"https://mybinder.org/v2/gh/{where}?urlpath=lab/tree/notebooks/{notebook}"


def parse(repo: str, branch: str = "") -> Home:
    """Parse a repository given as owner/name or as its address on GitHub; no branch means main.

    Raises:
        PublishError: `repo` or `branch` is malformed.
    """
    short = re.sub(r"^(?:https://github\.com/|git@github\.com:)", "", repo.strip()).rstrip("/").removesuffix(".git")
    owner, _, name = short.partition("/")
    if not (OWNER.fullmatch(owner) and NAME.fullmatch(name)):
        raise PublishError(
            f"REPO is {repo!r}: give it as owner/name, the way GitHub does, as in: make publish REPO=ada/vae-course"
        )
    if branch and not BRANCH.fullmatch(branch):
        raise PublishError(
            f"BRANCH is {branch!r}: give the name of a branch in letters, digits and . _ / -, as in: BRANCH=main"
        )
    return Home(owner, name, branch or "main")


def read_home(pyproject: str) -> Home | None:
    """Return the home that the text of pyproject.toml names, or None while it is unset.

    Raises:
        PublishError: The setting is missing or names no repository on GitHub.
    """
    found = SETTING.search(pyproject)
    if not found:
        raise PublishError('pyproject.toml has no line Repository = "...": put one under [project.urls].')
    if found[1] == UNSET:
        return None
    match = ADDRESS.fullmatch(found[1])
    if not match:
        raise PublishError(f"pyproject.toml names {found[1]}, which is not on GitHub: run make publish REPO=owner/name")
    return parse(f"{match['owner']}/{match['name']}", match["branch"] or "")


def links(home: Home | None, notebook: str, up: str = "") -> tuple[str, str]:
    """Return a notebook's links to Colab and Binder; `up` leads from the page to the repository's root."""
    return (home.colab(notebook), home.binder(notebook)) if home else (f"{up}{EXPLAINED}", f"{up}{EXPLAINED}")


def bootstrap(home: Home | None) -> str:
    """Return the code of the cell that fetches the course if it is not installed."""
    if home:
        source = f'    address = "{home.source}"\n    home = getenv("VAE_SOURCE", address)'
    else:
        sentence = "This copy has no address yet: pip install -e . in its folder."
        source = f'    home = getenv("VAE_SOURCE")\n    assert home, "{sentence}"'
    return f"""# Fetches package and pictures where the course is not installed, as on Colab.
from importlib.util import find_spec
from os import getenv

if not find_spec("vae_utils"):
{source}
    %pip install -q --no-deps "{{home}}"
    assert find_spec("vae_utils"), "The course could not be fetched; pip says why."
"""


def badges(home: Home | None, notebook: str) -> str:
    """Return the line below a notebook's title."""
    colab, binder = links(home, notebook, "../")
    return f"[Open in Colab]({colab}) · [Open in Binder]({binder})"


def stamp_notebook(text: str, home: Home | None, name: str) -> str:
    """Return a notebook's JSON with its line of links and its bootstrap cell; outputs stay as they are.

    A new bootstrap cell goes before the first code cell, with the execution count that a run would give it: in a run
    with the course installed it prints nothing.

    Raises:
        PublishError: The notebook does not open with a title.
    """
    notebook: Json = json.loads(text)
    cells: list[Json] = notebook["cells"]
    title = "".join(cells[0]["source"]) if cells else ""
    if not cells or cells[0]["cell_type"] != "markdown" or not title.startswith("# "):
        raise PublishError(f"{name} does not open with a title (# ...): give it one.")
    heading, _, rest = BADGES.sub("", title).partition("\n")
    set_source(cells[0], f"{heading}\n\n{badges(home, name)}\n\n{rest.lstrip()}".rstrip())
    ours = [cell for cell in cells if cell.get("id") == CELL]
    if not ours:
        first = next((i for i, cell in enumerate(cells) if cell["cell_type"] == "code"), len(cells))
        executed = any(cell.get("execution_count") for cell in cells)
        if executed:
            for cell in cells:
                count_on(cell)
        ours = [{"cell_type": "code", "execution_count": 1 if executed else None, "id": CELL}]
        ours[0] |= {"metadata": {"tags": [CELL]}, "outputs": [], "source": []}
        cells.insert(first, ours[0])
    set_source(ours[0], bootstrap(home).rstrip())
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def set_source(cell: Json, source: str) -> None:
    """Set a cell's source, as the list of lines that Jupyter writes."""
    cell["source"] = source.splitlines(keepends=True)


def count_on(cell: Json) -> None:
    """Add 1 to the execution count of a cell that was run."""
    for part in (cell, *cell.get("outputs", [])):
        if part.get("execution_count"):
            part["execution_count"] += 1


def stamp_readme(text: str, home: Home | None) -> str:
    """Return README.md with its block about the address and the links in each table row that begins with a notebook.

    Raises:
        PublishError: The block's marks are missing.
    """
    if not BLOCK.search(text):
        raise PublishError("README.md has no block between <!-- address --> and <!-- /address -->: put the marks back.")
    if home:
        page = f"https://github.com/{home.owner}/{home.name}"
        tests = f"{page}/actions/workflows/test.yml"
        colab, binder = links(home, "01_autoencoder.ipynb")
        clone = f"git clone {page}.git" if home.branch == "main" else f"git clone -b {home.branch} {page}.git"
        block = (
            f"[![Tests]({tests}/badge.svg?branch={quote(home.branch)})]({tests}) "
            f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab}) "
            f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder})\n\n"
            f"Get it first: `{clone}`, then `cd {home.name}`.\n"
        )
    else:
        block = (
            f"**This copy has no address yet**: its links to Colab and Binder lead to [an explanation]({EXPLAINED}) "
            "until `make publish REPO=owner/name` has stamped them.\n"
        )

    def row(match: re.Match[str]) -> str:
        colab, binder = links(home, match[2])
        return f"{match[1]} [Colab]({colab}) · [Binder]({binder}) |"

    return ROW.sub(row, BLOCK.sub(lambda marks: marks[1] + block + marks[2], text))


def stamp_citation(text: str, home: Home | None) -> str:
    """Return CITATION.cff with the repository, if there is one."""
    text = CITED.sub("", text)
    return text + f"repository-code: {json.dumps(home.url)}\n" if home else text


def stamped(root: Path, home: Home | None) -> dict[Path, str]:
    """Return the new text of each file that depends on the address, pyproject.toml first.

    Raises:
        PublishError: A file can't be read or has no place for the address.
    """

    def read(path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise PublishError(f"{path.name} can't be read ({error.strerror}): put it back.") from error

    pyproject, readme, citation = (root / name for name in ("pyproject.toml", "README.md", "CITATION.cff"))
    old = read(pyproject)
    read_home(re.sub(SETTING, f'Repository = "{UNSET}"', old))  # is there a place for it?
    wanted = {pyproject: SETTING.sub(f'Repository = "{home.url if home else UNSET}"', old)}
    wanted[readme] = stamp_readme(read(readme), home)
    wanted[citation] = stamp_citation(read(citation), home)
    for path in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
        wanted[path] = stamp_notebook(read(path), home, path.name)
    return wanted


def write_all(wanted: dict[Path, str]) -> list[Path]:
    """Replace the files whose text differs, each in one step, once all are written; return them.

    `vae_utils.files` has no part in this: it needs a newer Python.

    Raises:
        PublishError: A file can't be written. Those that were replaced are whole, and stamping again does the rest.
    """
    changed = {path: text for path, text in wanted.items() if path.read_text(encoding="utf-8") != text}
    beside = {path: path.with_name(f".{path.name}.new") for path in changed}
    try:
        for path, text in changed.items():
            beside[path].write_bytes(text.encode())
        for path in changed:
            os.replace(beside[path], path)
    except OSError as error:
        raise PublishError(
            f"{error.filename} can't be written ({error.strerror}): free it and run make publish again."
        ) from error
    finally:
        for path in beside.values():
            path.unlink(missing_ok=True)
    return list(changed)


def publish(root: Path, home: Home | None) -> list[Path]:
    """Stamp the course in `root` with its home; return the files that changed."""
    return write_all(stamped(root, home))


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command line; return the exit status: 0 good, 2 an impossible address or a file that does not fit."""
    parser = argparse.ArgumentParser(description="Stamp the course with the address of its repository.")
    parser.add_argument("--repo", default="", help="owner/name on GitHub; none: the address in pyproject.toml")
    parser.add_argument("--branch", default="", help="none: main, or the one in pyproject.toml")
    parser.add_argument("--cells", nargs="+", type=Path, help="stamp these notebooks and nothing else")
    given = parser.parse_args(arguments)
    try:
        home = read_home((root / "pyproject.toml").read_text(encoding="utf-8")) if not given.repo else None
        if given.repo:
            home = parse(given.repo, given.branch)
        elif given.branch:
            if not home:
                raise PublishError(
                    "BRANCH needs REPO as long as this copy has no address: make publish REPO=owner/name"
                )
            home = parse(f"{home.owner}/{home.name}", given.branch)
        if given.cells:
            texts = {path: path.read_text(encoding="utf-8") for path in given.cells}
            changed = write_all({path: stamp_notebook(text, home, path.name) for path, text in texts.items()})
        else:
            changed = publish(root, home)
    except PublishError as error:
        print(error, file=sys.stderr)
        return 2
    where = home.url if home else "no address yet (make publish REPO=owner/name)"
    names = ", ".join(path.name for path in changed) or "every file had it already"
    print(f"The course's address: {where}\nStamped: {names}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
