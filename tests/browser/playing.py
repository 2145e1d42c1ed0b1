"""Run the playground in a page, and read what it shows."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

STEPS = "Number(document.querySelector('.playground')?.dataset.steps)"
ROWS = ".playground canvas.pg-row"
DRAWN = """() => [...document.querySelectorAll('.playground canvas')].map((canvas) => {
    const bytes = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return new Set(bytes).size;
})"""


def steps(page: Page, at_least: int) -> int:
    """Wait until so many steps are done and drawn; how many they are then."""
    page.wait_for_function(f"{STEPS} >= {at_least}")
    return page.evaluate(STEPS)


def pause(page: Page) -> int:
    """Pause, and wait until the run has stopped: its step."""
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".playground")).to_have_attribute("data-running", "false")
    expect(page.locator(".playground")).to_have_attribute("data-shown", "resting")
    return page.evaluate(STEPS)


def curve(page: Page, title: str) -> list[float]:
    """The present values of one of the three curves, as a screen reader hears them."""
    text = page.locator(f'.curves canvas[aria-label^="{title}"]').get_attribute("aria-label")
    return [float(found.replace(",", "")) for found in re.findall(r"[\d.,]+", text.split("now")[1])]


def setting(page: Page, name: str) -> str:
    """The present value of a control."""
    return page.get_by_label(name, exact=True).input_value()


def no_bad_numbers(page: Page) -> None:
    """Fail if the page shows or reads out anything but numbers where numbers belong."""
    everything = page.locator(".playground").inner_text() + str(
        page.evaluate("[...document.querySelectorAll('.playground [aria-label]')].map((e) => e.ariaLabel)")
    )
    assert not re.search(r"NaN|Infinity|undefined|null", everything)
