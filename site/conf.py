"""How Sphinx builds the course's site. scripts/build_site.py gathers the pages and calls it."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # this file is read as build/site/conf.py
sys.path.insert(0, str(ROOT / "scripts"))

from scripts.publish import read_home  # noqa: E402

SETTINGS = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PROJECT = tomllib.loads(SETTINGS)["project"]

project = "Variational autoencoders, one idea at a time"
author = "the course's authors"
project_copyright = "the course's authors; code MIT, text and pictures CC BY 4.0"
version = release = PROJECT["version"]

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]

# Notebooks show what is stored in them; nothing is executed here.
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # no scripts from elsewhere; widgets show their static picture
nb_mime_priority_overrides = [("*", "text/html", 0), ("*", "image/png", 1)]
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 4
suppress_warnings = ["mystnb.unknown_mime_type"]

default_role = "literal"  # docstrings mark code with single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # they are fetched, which a browser does not do from a folder
html_context = {"default_mode": "auto"}
html_sidebars = {"**": ["search-button-field", "sbt-sidebar-nav"]}
html_theme_options = {
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "use_download_button": True,
    "use_fullscreen_button": False,
    "navigation_with_keys": False,
    "show_navbar_depth": 1,
}

if home := read_home(SETTINGS):  # once `make publish` has given the course an address
    html_theme_options |= {
        "repository_url": f"https://github.com/{home.owner}/{home.name}",
        "repository_branch": home.branch,
        "use_repository_button": True,
        "launch_buttons": {
            "colab_url": "https://colab.research.google.com",
            "binderhub_url": "https://mybinder.org",
            "notebook_interface": "jupyterlab",
        },
    }

# One file, which scripts/build_site.py puts there, draws all formulas as SVG: no fonts and no network.
mathjax_path = "tex-svg.js"


NAMED = re.compile(r"^(\w[\w, ]*): (?=\S)")


def docstring_as_list(app, what, name, obj, options, lines: list[str]) -> None:
    """Docstrings name an argument where a line starts, `x: what it is`, and indent what follows: make lists of them."""
    written, inside = [], False
    for line in lines:
        if match := NAMED.match(line):
            if not inside:
                written.append("")
            inside = True
            line = f"- {match[1]}: {line[match.end() :]}"
        elif inside and line.startswith("    "):
            line = "  " + line.strip()
        elif inside and line.strip():
            inside = False
            written.append("")
        written.append(line.replace("|", "\\|"))
    lines[:] = written


def setup(app) -> None:
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", docstring_as_list)
