"""The course as a site, as `make html` builds it, opened from its folder with the network off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page

from tests.browser.pages import watched
from tests.browser.playing import curve, pause, steps

WIDE, PHONE = {"width": 1300, "height": 900}, {"width": 390, "height": 844}
GENERATED = {"genindex", "py-modindex", "search"}
KINDS = {
    "front page with the playground": "index.html",
    "notebook": "notebooks/04_loss.html",
    "glossary": "docs/glossary.html",
    "package": "package.html",
    "help": "docs/trouble.html",
}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    for tool in ("sphinx", "myst_nb", "sphinx_book_theme"):
        pytest.importorskip(tool, reason="building the site needs the extra called site")
    from scripts import build_site

    target = tmp_path_factory.mktemp("site") / "html"
    assert build_site.main(["--target", str(target)]) == 0
    return target


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Page]:
    """A page without a network. It fails the test if a script fails or anything is asked for that is not there."""
    missing: list[str] = []
    with watched(browser, viewport=WIDE, offline=True) as context:
        opened = context.new_page()
        opened.on("requestfailed", lambda request: missing.append(request.url))
        yield opened
    assert missing == []


def pages(site: Path) -> list[Path]:
    """The pages that are written by hand."""
    found = sorted(
        page for page in site.rglob("*.html") if "_static" not in page.parts and "_modules" not in page.parts
    )
    return [page for page in found if page.stem not in GENERATED]


def test_pages_open_without_a_network(site: Path, visitor: Page) -> None:
    for page in pages(site):
        visitor.goto(page.as_uri())
        assert visitor.locator("article h1").first.is_visible(), page
        outside = visitor.evaluate(
            "performance.getEntriesByType('resource').map(r => r.name).filter(n => !/^(file|data|blob):/.test(n))"
        )
        assert outside == [], page


def test_formulas_are_drawn(site: Path, visitor: Page) -> None:
    visitor.goto((site / "notebooks" / "04_loss.html").as_uri())
    visitor.wait_for_selector("mjx-container svg")
    visitor.wait_for_function("MathJax.startup.promise.then(() => true)")
    written = visitor.locator(".math").count()
    assert written > 20 and visitor.locator(".math mjx-container").count() == written
    assert visitor.locator("mjx-merror, [data-mjx-error]").count() == 0


def test_pages_fit_a_phone(site: Path, visitor: Page) -> None:
    visitor.set_viewport_size(PHONE)
    for page in pages(site):
        visitor.goto(page.as_uri())
        assert visitor.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], page


ASKED = {"light": None, "dark": {"runOnly": ["color-contrast"]}}  # of axe-core; by night only colors are others


@pytest.mark.parametrize("scheme", ASKED)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_page_can_be_used_by_everybody(site: Path, browser: Browser, kind: str, scheme: str) -> None:
    """axe-core finds nothing to complain of. Pages of one kind differ in their words, not in their parts."""
    with watched(browser, viewport=WIDE, offline=True, color_scheme=scheme) as context:
        opened = context.new_page()
        opened.goto((site / KINDS[kind]).as_uri())
        opened.add_style_tag(content="* { transition: none !important }")  # or a color may be on its way still
        found = Axe().run(opened, options=ASKED[scheme]).response["violations"]
    assert [f"{violation['id']}: {violation['nodes'][0]['html'][:200]}" for violation in found] == []


def test_search_finds_the_elbo(site: Path, visitor: Page) -> None:
    visitor.goto((site / "search.html").as_uri() + "?q=ELBO")
    visitor.wait_for_selector("#search-results li a")
    results = visitor.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")
    assert any("04_loss" in result for result in results)


def test_the_playground_learns_on_the_front_page(site: Path, visitor: Page) -> None:
    visitor.goto((site / "index.html").as_uri())
    steps(visitor, 150)
    pause(visitor)
    trained = curve(visitor, "What comes back wrong")[0]
    visitor.get_by_role("button", name="Restart").click()
    visitor.wait_for_selector(".playground[data-steps='0']")
    visitor.get_by_role("button", name="One step").click()
    visitor.wait_for_selector(".playground[data-steps='1']")
    assert trained < 0.7 * curve(visitor, "What comes back wrong")[0]


def test_a_link_brings_its_settings(site: Path, visitor: Page) -> None:
    visitor.goto((site / "index.html").as_uri() + "#beta=20&seed=3")
    steps(visitor, 1)
    assert visitor.locator(".playground input[type=number]").input_value() == "3"
    assert "beta=20" in visitor.evaluate("location.hash")


def pictures(figure: Locator) -> list[list[int]]:
    """The bytes of each picture that a figure shows."""
    return figure.locator("canvas").evaluate_all(
        "all => all.map(c => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data))"
    )


MOVING = ["01_autoencoder", "02_variational_autoencoder", "03_reparameterization_trick", "04_loss", "06_latent_space"]


@pytest.mark.parametrize("name", MOVING)
def test_figures_move_on_the_pages(site: Path, visitor: Page, name: str) -> None:
    """Each by its keys: another picture is drawn, another curve, and another text stands below."""
    visitor.goto((site / "notebooks" / f"{name}.html").as_uri())
    figures = visitor.locator(".vae-live:not(:has(.playground))")
    visitor.wait_for_function("document.querySelectorAll('.vae-live').length > 0")
    assert figures.count() > 0
    for figure in figures.all():
        before, said = pictures(figure), figure.locator(".read-out").inner_text()
        curves = figure.locator("svg").evaluate_all("all => all.map(one => one.outerHTML)")
        assert not before or max(len(set(picture)) for picture in before) > 20  # not blank
        hand = figure.locator(".plane, input[type=range]").first
        for _ in range(15):
            hand.press("ArrowRight")
        visitor.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert (pictures(figure) != before) == bool(before)
        assert figure.locator(".read-out").inner_text() != said
        assert figure.locator("svg").evaluate_all("all => all.map(one => one.outerHTML)") != curves


def test_every_control_of_the_playground_works_on_the_front_page(site: Path, visitor: Page) -> None:
    visitor.goto((site / "index.html").as_uri())
    steps(visitor, 1)
    box = visitor.locator(".playground")
    lessons = box.locator("button[aria-pressed]")
    assert lessons.count() >= 4
    for lesson in lessons.all():
        lesson.click()
        assert lesson.get_attribute("aria-pressed") == "true"
        steps(visitor, 1)
    lessons.first.click()
    box.get_by_role("button", name="Pause").click()  # so that no step of an earlier run is on its way
    for name, option in (("noise", "off"), ("sum or mean", "pixels"), ("width", "16")):
        box.get_by_label(name, exact=True).select_option(option)
    for name in ("β (KL weight)", "learning rate"):
        box.get_by_label(name).press("ArrowRight")
    box.get_by_label("Seed").fill("5")
    box.get_by_label("Seed").press("Enter")
    assert visitor.evaluate("location.hash") == "#beta=2&lr=0.01&width=16&noise=off&averaged=pixels&seed=5"
    visitor.wait_for_selector(".playground[data-steps='0']")
    box.get_by_role("button", name="One step").click()
    visitor.wait_for_selector(".playground[data-steps='1']")
    box.get_by_role("button", name="Restart").click()
    visitor.wait_for_selector(".playground[data-steps='0']")
    box.get_by_role("button", name="Play").click()
    steps(visitor, 5)
