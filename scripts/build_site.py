"""Build the course as a static site in build/html.

The site holds every notebook as it is stored, the atlas of mistakes, the glossary, the pages for instructors and of
help, the package's own documentation, and on the front page a VAE that trains in the page. `make html` builds it: no
notebook is executed and nothing is fetched, and the result works from a folder, without a network. `make links`
follows its links into the web.
"""

from __future__ import annotations

import argparse
import pkgutil
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import vae_utils
from scripts import atlas
from scripts.paths import BUILD, ROOT

NEEDED = ("sphinx", "myst_nb", "sphinx_book_theme", "sphinx-mathjax-offline")
# The package's other modules are shown; what these have for a reader is shown where vae_utils and its data offer it.
NOT_SHOWN = ("vae_utils.claims", "vae_utils.files", "vae_utils.runtime")
INSTALL = "make install-dev installs the site's tools."


class SiteError(RuntimeError):
    """The site can't be built; the message says what is missing."""


def gather(pages: Path, root: Path = ROOT) -> None:
    """Put the site's sources into the new folder `pages`, each file where its links expect it."""
    skipped = shutil.ignore_patterns(".*", "__pycache__", "_static", "*.toml", "*.py")
    shutil.copytree(root / "site", pages, ignore=skipped)
    for folder in ("notebooks", "docs", "binder"):
        shutil.copytree(root / folder, pages / folder, ignore=skipped)
    for notebook in (pages / "notebooks" / "assignments").glob("**/*.ipynb"):
        notebook.unlink()  # they hold the solutions
    for path in (pages / "notebooks").glob("*.ipynb"):
        path.write_text(with_web_anchors(path.read_text(encoding="utf-8")), encoding="utf-8")
    (pages / "data" / "cats_dogs").mkdir(parents=True)
    names = ["LICENSE", "data/README.md", "data/cats_dogs/test_1.webp", *(path.name for path in root.glob("*.md"))]
    for name in names:
        shutil.copy(root / name, pages / name)
    (pages / "package.md").write_text(package_page(), encoding="utf-8")
    (pages / "playground.html").write_text(playground(), encoding="utf-8")
    atlas.write(pages / "atlas")


def with_web_anchors(notebook: str) -> str:
    """Return a notebook's text with links to headings as a site writes them, not Jupyter: #where-next, #Where-next?."""

    def web(match: re.Match[str]) -> str:
        words = re.sub(r"[^\w\- ]", "", match[2]).lower()
        return f"]({match[1]}#{words})"

    return re.sub(r"\]\(([\w./-]*)#([^)\s]+)\)", web, notebook)


def playground() -> str:
    """Return the playground as one piece of HTML."""
    from vae_utils import setup, widgets

    setup()
    return widgets.playground(address=True).html


def package_page() -> str:
    """Return a page in Markdown that shows the docstrings of the package's public modules."""
    found = (module.name for module in pkgutil.iter_modules(vae_utils.__path__, "vae_utils."))
    public = [name for name in found if not name.startswith("vae_utils._") and name not in NOT_SHOWN]
    lines = [
        "# The package",
        "",
        "What the notebooks import. `import vae_utils` is light; its modules bring what they need.",
        "",
    ]
    for module in ["vae_utils", *public]:
        lines += [f"## {module}", "", "```{eval-rst}", f".. automodule:: {module}", "   :members:", "```", ""]
    return "\n".join(lines)


def run_sphinx(builder: str, folder: Path, *options: str) -> Path:
    """Run a builder of Sphinx from `folder`/pages to a new folder next to it, and return that.

    Raises:
        SiteError: Sphinx is not installed, or it found something wrong.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise SiteError(f"Building the site needs {', '.join(missing)}; {INSTALL}")
    from sphinx.cmd.build import build_main

    pages, trees, target = (str(folder / name) for name in ("pages", "trees", builder))
    if build_main(["-b", builder, "-q", "-c", str(ROOT / "site"), "-d", trees, *options, pages, target]):
        wrong = "A link is dead" if builder == "linkcheck" else "On this site a warning is an error"
        raise SiteError(f"{wrong}: see what Sphinx says, above.")
    return Path(target)


def build(folder: Path, target: Path) -> None:
    """Build the site from `folder`/pages, and put it in place of `target`; a warning is an error.

    Raises:
        SiteError: The site can't be built.
    """
    html = run_sphinx("html", folder, "-W", "--keep-going")
    mathjax = files("sphinx-mathjax-offline") / "static" / "mathjax" / "tex-svg.js"
    (html / "_static" / mathjax.name).write_bytes(mathjax.read_bytes())
    (html / ".nojekyll").touch()
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(html, target)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build; print where the front page is, the seconds and the size. Return the exit status."""
    parser = argparse.ArgumentParser(description="Build the course's site.")
    parser.add_argument("--target", type=Path, default=BUILD / "html", help="where to (default: build/html)")
    parser.add_argument("--linkcheck", action="store_true", help="follow the links into the web; build nothing")
    given = parser.parse_args(arguments)
    target: Path = given.target.resolve()
    start = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name).resolve()
            gather(folder / "pages")
            if given.linkcheck:
                run_sphinx("linkcheck", folder)
            else:
                build(folder, target)
    except SiteError as error:
        print(error, file=sys.stderr)
        return 1
    seconds = time.perf_counter() - start
    if given.linkcheck:
        print(f"All links into the web lead somewhere ({seconds:.0f} s).")
    else:
        size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
        print(f"{target / 'index.html'}: {size / 1e6:.1f} MB in {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
