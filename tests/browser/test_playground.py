"""The playground on a page of its own, opened from a file with no network: it trains, and everything can be used."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.playing import DRAWN, STEPS, curve, no_bad_numbers, pause, setting, steps
from vae_utils.widgets.figures.playground import N_TRAIN, thumbnails

Open = Callable[..., Page]


def test_an_address_brings_every_setting(visit: Open) -> None:
    page = visit("#beta=20&lr=0.01&width=16&noise=off&averaged=code&seed=7")
    wanted = {"noise": "off", "sum or mean": "code", "width": "16", "Seed": "7"}
    assert {name: setting(page, name) for name in wanted} == wanted
    assert page.get_by_label("β (KL weight)").get_attribute("aria-valuetext") == "20"
    assert page.get_by_label("learning rate").get_attribute("aria-valuetext") == "0.01"
    steps(page, 5)
    expect(page.locator(".told")).to_contain_text("With the noise put back")


def test_controls_change_the_run_and_the_address(visit: Open) -> None:
    page = visit()
    steps(page, 5)
    at = pause(page)
    page.get_by_label("β (KL weight)").press("ArrowRight")
    page.get_by_label("learning rate").press("ArrowRight")
    page.get_by_label("noise").select_option("cut")
    page.get_by_label("sum or mean").select_option("both")
    assert page.evaluate("location.hash") == "#beta=2&lr=0.01&noise=cut&averaged=both"
    assert page.evaluate(STEPS) == at  # these go on from where they are
    page.get_by_label("width").select_option("8")
    page.wait_for_function(f"{STEPS} === 0")  # another network starts anew
    page.get_by_label("Seed").fill("12")
    page.get_by_label("Seed").press("Enter")
    assert page.evaluate("location.hash") == "#beta=2&lr=0.01&width=8&noise=cut&averaged=both&seed=12"
    page.evaluate("location.hash = 'beta=5'")  # a link on the same page
    expect(page.get_by_label("β (KL weight)")).to_have_attribute("aria-valuetext", "5")
    assert setting(page, "noise") == "on"
    page.evaluate("location.hash = 'a-heading'")
    assert page.get_by_label("β (KL weight)").get_attribute("aria-valuetext") == "5"


def test_lessons_set_what_they_say(visit: Open) -> None:
    page = visit("#lesson=dimension")
    expect(page.get_by_role("button", name="A dimension dies")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="A mean for a sum").click()
    assert page.evaluate("location.hash") == "#lesson=mean"
    assert setting(page, "sum or mean") == "pixels"
    expect(page.locator(".says")).to_contain_text("averaged over pixels")
    steps(page, 150)
    assert max(curve(page, "KL")) < 0.5  # the code is on its way out
    page.get_by_label("β (KL weight)").press("ArrowRight")
    expect(page.get_by_role("button", name="A mean for a sum")).to_have_attribute("aria-pressed", "false")


def test_a_diverging_run_says_so_and_restarts(visit: Open) -> None:
    page = visit("#lr=10")
    alarm = page.get_by_role("alert")
    expect(alarm).to_contain_text("Diverged at step")
    expect(alarm).to_contain_text("learning rate, 10, is too large")
    no_bad_numbers(page)
    assert min(page.evaluate(DRAWN)) > 2
    assert Axe().run(page).response["violations"] == []
    page.get_by_role("button", name="Restart with 0.005").click()
    steps(page, 40)
    expect(alarm).to_be_hidden()
    assert page.evaluate("location.hash") == ""


def test_axe_finds_nothing_on_a_dark_phone(visit: Open) -> None:
    page = visit(viewport={"width": 360, "height": 740}, color_scheme="dark", has_touch=True, is_mobile=True)
    steps(page, 5)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert Axe().run(page).response["violations"] == []
    page.get_by_role("button", name="Pause").tap()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    heights = page.evaluate("[...document.querySelectorAll('.playground button')].map((b) => b.offsetHeight)")
    assert min(h for h in heights if h) >= 30


def test_with_reduced_motion_it_waits_to_be_started(visit: Open) -> None:
    page = visit(reduced_motion="reduce")
    steps(page, 0)
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.get_by_role("button", name="One step").click()
    page.wait_for_function(f"{STEPS} === 1")
    page.get_by_role("button", name="Play").click()
    steps(page, 5)


def test_it_rests_where_it_is_not_seen_and_keeps_its_state(visit: Open) -> None:
    page = visit()
    box = page.locator(".playground")
    steps(page, 10)
    page.evaluate("document.body.style.paddingTop = '5000px'")
    expect(box).to_have_attribute("data-running", "false")
    page.evaluate("document.body.style.paddingTop = '0'")
    expect(box).to_have_attribute("data-running", "true")
    # JupyterLab throws an output away and draws it again, script and all
    at = page.evaluate(STEPS)
    page.evaluate("""() => {
        const place = document.querySelector('[data-live]'), script = place.nextElementSibling;
        const fresh = document.createElement('script'), again = document.createElement('div');
        fresh.textContent = script.textContent;
        again.dataset.live = place.dataset.live;
        place.replaceWith(again);
        script.replaceWith(fresh);
    }""")
    assert steps(page, at + 10) < at + 10_000
    assert page.locator(".playground").count() == 1
    expect(box).to_have_attribute("data-running", "true")


FORBIDDEN = {  # how a browser or a page's policy may refuse a worker: at once, or a moment later
    "at once": "window.Worker = class { constructor() { throw new Error('forbidden'); } };",
    "later": """window.Worker = class {
        constructor() { setTimeout(() => this.onerror(new Event('error')), 50); }
        postMessage() {}
        terminate() {}
    };""",
}


@pytest.mark.parametrize("when", FORBIDDEN)
def test_without_workers_it_trains_in_slices(visit: Open, when: str) -> None:
    page = visit(before=FORBIDDEN[when])
    steps(page, 10)
    assert page.locator(".playground").get_attribute("data-where") == "page"


def test_the_page_has_pythons_pictures(visit: Open) -> None:
    page = visit()
    steps(page, 0)
    train, held = page.evaluate(
        """() => {
            const {pictures} = Object.values(window.vaeLiveStates)[0].kept;
            return [pictures.train.reduce((sum, byte, i) => sum + byte * (i % 1009), 0), Array.from(pictures.held)];
        }"""
    )
    x = thumbnails()[0].flatten(1).long()
    known = x[:N_TRAIN].flatten()
    assert train == int((known * (torch.arange(len(known)) % 1009)).sum())
    assert held == x[N_TRAIN:].flatten().tolist()


def test_keys_stay_with_the_playground(visit: Open) -> None:
    page = visit(before="window.heard = []; addEventListener('keydown', (e) => heard.push(e.key));")
    page.get_by_label("β (KL weight)").focus()
    for key in ("ArrowRight", "ArrowDown", "Home", "PageUp"):
        page.keyboard.press(key)
    page.get_by_label("noise").focus()
    page.keyboard.press("o")
    page.get_by_role("button", name="Restart").focus()
    page.keyboard.press(" ")
    assert page.evaluate("heard") == []
    page.keyboard.press("Tab")
    assert page.evaluate("heard") == ["Tab"]


def test_the_pointer_reads_places_and_steps(visit: Open) -> None:
    page = visit()
    steps(page, 60)
    pause(page)
    plane, told = page.locator(".plane-figure canvas.clouds"), page.locator(".pointed")
    box = plane.bounding_box()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"])
    expect(told).to_have_text(
        re.compile(r"^z = \(1\.6\d, −?0\.0\d\): the nearest cloud is a (cat|dog)'s, \d+\.\d of its")
    )
    loss = page.locator(".curves canvas").first
    box = loss.bounding_box()
    page.mouse.move(box["x"] + 30 + 0.5 * (box["width"] - 36), box["y"] + 40)
    expect(told).to_have_text(re.compile(r"^Step \d+: nll [\d.,]+ above its floor, KL .* in all [\d.,]+ nats\.$"))
    page.mouse.move(2, 2)
    expect(told).to_have_text("")


def test_numbers_can_be_copied(visit: Open) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    steps(page, 60)
    pause(page)
    page.evaluate(
        "navigator.clipboard = undefined; Object.defineProperty(navigator, 'clipboard', {value: {writeText: "
        "(text) => { window.copied = text; return Promise.resolve(); }}})"
    )
    page.get_by_role("button", name="Copy numbers").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    head, *rows = page.evaluate("copied").splitlines()
    assert head == "step,nll above its floor,KL 1,KL 2,-ELBO above the floor"
    for row in rows:
        step, nll, kl_1, kl_2, elbo = map(float, row.split(","))
        assert step % 5 == 0 and nll + kl_1 + kl_2 == pytest.approx(elbo)
    assert rows
