"""What the site is made of; it is built and looked at in tests/notebooks and tests/browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import build_site
from scripts.pages import Page, read


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site's sources."""
    folder = tmp_path_factory.mktemp("site") / "pages"
    build_site.gather(folder)
    return folder


def test_every_page_of_the_course_is_gathered_and_no_solution(
    gathered: Path, root: Path, notebooks: list[Path]
) -> None:
    wanted = [*root.glob("*.md"), *root.glob("docs/*.md"), *notebooks, root / "notebooks" / "assignments" / "README.md"]
    assert {path.relative_to(root) for path in wanted} <= {path.relative_to(gathered) for path in gathered.rglob("*.*")}
    assert not list(gathered.glob("**/assignments/**/*.ipynb")) and not list(gathered.glob("**/keys/*"))


def test_the_front_page_holds_the_playground(gathered: Path) -> None:
    (name,) = re.findall(r"^:file: (\S+)$", (gathered / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
    html = (gathered / name).read_text(encoding="utf-8")
    assert [bool(picture.alt) for picture in Page(html).pictures] == [True] and "<script>" in html


def test_what_the_front_page_includes_of_readme_is_there(gathered: Path, root: Path) -> None:
    marks = re.findall(r'^:(?:start-after|end-before): "(.+)"$', (root / "site" / "index.md").read_text(), re.MULTILINE)
    readme = (gathered / "README.md").read_text(encoding="utf-8")
    assert len(marks) == 2 and readme.index(marks[0]) < readme.index(marks[1])


def test_links_to_headings_are_written_as_a_site_knows_them() -> None:
    web = build_site.with_web_anchors("[a](#Where-next?) [b](02_vae.ipynb#Why-not,-then?) [c](docs/open.md) #Title?")
    assert web == "[a](#where-next) [b](02_vae.ipynb#why-not-then) [c](docs/open.md) #Title?"


def test_the_package_page_shows_every_public_module(gathered: Path) -> None:
    titles = [heading.text for heading in read(gathered / "package.md").headings]
    assert titles[:2] == ["The package", "vae_utils"]
    assert {"vae_utils.data", "vae_utils.losses", "vae_utils.training", "vae_utils.exercises"} <= set(titles)
    assert "vae_utils.__main__" not in titles
