"""The course as a site, as `make html` builds it. What a browser shows of it is tested in tests/browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("myst_nb", reason="building the site needs the extra called site")

from scripts import build_site
from scripts.pages import Page

# What Sphinx and its extensions use of each other is their matter.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
MADE_BY_SPHINX = {"genindex", "py-modindex", "search"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    target = tmp_path_factory.mktemp("site") / "html"
    assert build_site.main(["--target", str(target)]) == 0
    return target


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """The site's pages, read."""
    found = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    return {path: Page(path.read_text(encoding="utf-8")) for path in found}


def test_every_notebook_has_a_page(site: Path, notebooks: list[Path]) -> None:
    for notebook in notebooks:
        assert (site / "notebooks" / f"{notebook.stem}.html").is_file()


def test_links_lead_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in [link.target for link in page.links] + [picture.source for picture in page.pictures]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link in ("#", "#top"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            settings = target == site / "index.html" and "=" in place  # the playground's, and no place of the page
            if not target.exists() or (place and target in pages and place not in pages[target].ids and not settings):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_the_site_holds_no_solutions(site: Path) -> None:
    assert not list(site.glob("**/assignments/*.ipynb"))
    for path in site.rglob("*.html"):
        assert "BEGIN SOLUTION" not in path.read_text(encoding="utf-8"), path


def test_every_page_has_a_title_a_language_and_alternative_texts(pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        text = path.read_text(encoding="utf-8")
        assert re.search(r'<html lang="en"', text) and re.search(r"<title>[^<]+</title>", text), path
        if path.stem not in MADE_BY_SPHINX:
            assert page.headings and page.headings[0].level == 1, path
        assert all(picture.alt for picture in page.pictures), path


def test_the_package_page_shows_arguments_as_a_list(site: Path) -> None:
    text = (site / "package.html").read_text(encoding="utf-8")
    assert "Parameters" in text and "Raises" in text
    assert "Args:" not in text and "Returns:" not in text


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a web with one page, `there`."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "there").touch()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path / "web")) as web:
        Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()


def test_dead_links_into_the_web_are_found(tmp_path: Path, server: str, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pages").mkdir()
    page = tmp_path / "pages" / "index.md"
    page.write_text(f"# Title\n\n[there]({server}/there), [no address yet](https://unset.invalid/owner/name)\n")
    build_site.run_sphinx("linkcheck", tmp_path)
    page.write_text(f"# Title\n\n[there]({server}/there), [gone]({server}/gone)\n")
    capfd.readouterr()
    with pytest.raises(build_site.SiteError):
        build_site.run_sphinx("linkcheck", tmp_path)
    said = capfd.readouterr()
    assert f"{server}/gone" in said.out + said.err
    assert f"{server}/there" not in said.out + said.err
