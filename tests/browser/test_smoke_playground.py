"""The playground on a page of its own, opened from a file with no network: it trains and can be stopped."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.playing import DRAWN, ROWS, STEPS, curve, no_bad_numbers, pause, steps

Open = Callable[..., Page]


def test_it_trains_by_itself_and_the_loss_falls(visit: Open) -> None:
    page = visit()
    expect(page.locator(".vae-live-still")).to_be_hidden()
    steps(page, 120)
    assert page.locator(".playground").get_attribute("data-where") == "worker"
    assert min(page.evaluate(DRAWN)) > 2  # no canvas is blank
    expect(page.locator(".told")).to_contain_text("nats above its floor")
    expect(page.get_by_role("status")).to_contain_text("Step 1")  # a screen reader was told at step 100
    no_bad_numbers(page)
    pause(page)
    trained, rows = curve(page, "What comes back wrong")[0], page.locator(ROWS).first.screenshot()
    page.get_by_role("button", name="Restart").click()
    page.wait_for_function(f"{STEPS} === 0")
    page.get_by_role("button", name="One step").click()
    page.wait_for_function(f"{STEPS} === 1")
    assert trained < 0.75 * curve(page, "What comes back wrong")[0]
    assert page.locator(ROWS).first.screenshot() != rows
    page.get_by_role("button", name="Play").click()
    steps(page, 5)
