"""Build the course as a static site in build/html: every notebook as it is stored, the glossary, the pages for
instructors and of help, the package's own documentation, and on the front page a VAE that trains in the page.

`make html` calls this. Nothing is executed and nothing is fetched; the result works from a folder, without a network.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
NEEDED = ("sphinx", "myst_nb", "sphinx_book_theme", "sphinx-mathjax-offline")
INSTALL = "make extras installs the site's tools."

# What a page of the package's documentation shows, in this order; each is a module of vae_utils.
MODULES = {
    "vae_utils": "The start of every notebook",
    "vae_utils.data": "Pictures to learn from",
    "vae_utils.models": "The two networks",
    "vae_utils.losses": "The terms of the loss",
    "vae_utils.training": "Training",
    "vae_utils.estimators": "Gradient estimators",
    "vae_utils.evaluation": "Measuring",
    "vae_utils.diagnosis": "Examining a VAE",
    "vae_utils.plots": "Figures",
    "vae_utils.poster": "The poster strip",
    "vae_utils.records": "Records of longer runs",
}


class SiteError(RuntimeError):
    """The site can't be built; the message says what is missing."""


def gather(pages: Path, root: Path = ROOT) -> None:
    """Put everything that the site is made of into the new folder `pages`, each file where its links expect it."""
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(root / "site", pages)
    skipped = shutil.ignore_patterns(".*", "__pycache__", "*.toml", "*.py")
    shutil.copytree(root / "notebooks", pages / "notebooks", ignore=skipped)
    for notebook in (pages / "notebooks" / "assignments").glob("**/*.ipynb"):
        notebook.unlink()  # they hold the solutions
    if (root / "docs").is_dir():
        shutil.copytree(root / "docs", pages / "docs", ignore=skipped)
    for path in (pages / "notebooks").glob("*.ipynb"):
        path.write_text(with_web_anchors(path.read_text(encoding="utf-8")), encoding="utf-8")
    (pages / "data" / "cats_dogs").mkdir(parents=True)
    for name in ("README.md", "cats_dogs/test_1.webp"):
        shutil.copy(root / "data" / name, pages / "data" / name)
    shutil.copytree(root / "binder", pages / "binder")
    for name in ("README.md", "LICENSE"):
        shutil.copy(root / name, pages)
    (pages / "package.md").write_text(package_page(), encoding="utf-8")
    (pages / "_static" / "playground.html").write_text(playground(), encoding="utf-8")


def with_web_anchors(notebook: str) -> str:
    """A notebook whose links to headings are written as Jupyter knows them, `#Where-next?`, as a site knows them."""

    def web(match: re.Match[str]) -> str:
        words = re.sub(r"[^\w\- ]", "", match[2]).lower()
        return f"]({match[1]}#{words})"

    return re.sub(r"\]\(([\w./-]*)#([^)\s]+)\)", web, notebook)


def playground() -> str:
    """The playground as one piece of HTML."""
    from vae_utils import setup, widgets

    setup()
    return widgets.playground(address=True).html


def package_page() -> str:
    """A page in Markdown that shows the docstrings of the package's public modules."""
    lines = [
        "# The package",
        "",
        "What the notebooks import. `import vae_utils` is light; its modules bring what they need.",
        "",
    ]
    for module, title in MODULES.items():
        lines += [f"## {title}", "", "```{eval-rst}", f".. automodule:: {module}", "   :members:", "```", ""]
    return "\n".join(lines)


def build(pages: Path, target: Path) -> None:
    """Run Sphinx from `pages` to `target`; a warning is an error. Raises SiteError."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise SiteError(f"Building the site needs {', '.join(missing)}; {INSTALL}")
    from sphinx.cmd.build import build_main

    shutil.rmtree(target, ignore_errors=True)
    shutil.rmtree(pages.parent / "doctrees", ignore_errors=True)
    status = build_main(
        ["-b", "html", "-W", "--keep-going", "-q", "-d", str(pages.parent / "doctrees"), str(pages), str(target)]
    )
    if status:
        raise SiteError("Sphinx had something to say, above: on this site a warning is an error.")
    mathjax = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax" / "tex-svg.js"
    shutil.copy(mathjax, target / "_static")
    (target / ".nojekyll").touch()


def main(arguments: list[str] | None = None) -> int:
    """Build; print where the front page is, the seconds and the size. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Build the course's site.")
    parser.add_argument("--target", type=Path, default=BUILD / "html", help="where to (default: build/html)")
    target = parser.parse_args(arguments).target.resolve()
    start = time.perf_counter()
    try:
        gather(BUILD / "site")
        build(BUILD / "site", target)
    except SiteError as error:
        print(error, file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{target / 'index.html'}: {size / 1e6:.1f} MB in {time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
