"""How Sphinx builds the course's site. scripts/build_site.py gathers the pages and calls it."""

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

from scripts.paths import ROOT
from scripts.publish import read_home
from vae_utils import __version__

project = "Variational autoencoders, one idea at a time"
author = "the course's authors"
project_copyright = "the course's authors; code MIT, text and pictures CC BY 4.0"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]

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

if home := read_home(
    (ROOT / "pyproject.toml").read_text(encoding="utf-8")
):  # once `make publish` has given the course an address
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

# For `make links`.
linkcheck_ignore = [r"https://unset\.invalid/"]
linkcheck_timeout = 20
linkcheck_retries = 2


def escape_bars(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Keep the bars of |x| and q(z|x) in docstrings: in reStructuredText they would mark a substitution."""
    lines[:] = [line.replace("|", "\\|") for line in lines]


def setup(app: Sphinx) -> None:
    """Show docstrings as they are meant, and diagrams in Mermaid, which GitHub draws, as they are written."""
    app.connect("autodoc-process-docstring", escape_bars)
    app.add_lexer("mermaid", TextLexer)
