"""Read what a page shows of a kernel widget, from the output of its cell."""

from __future__ import annotations

import re

import numpy as np
from playwright.sync_api import Locator, expect

from tests.support.pngs import pixels
from vae_utils.widgets import kernel

# The address of the background, the size of the whole, and address and place of each part on it.
LAID_OUT = """async place => {
    const parts = place.matches('img') ? [] : [...place.querySelectorAll('img')];
    await Promise.all([...parts, ...(place.matches('img') ? [place] : [])].map(part => part.decode()));
    const all = place.getBoundingClientRect();
    return [place.src || getComputedStyle(place).backgroundImage, all.width, all.height, parts.map(part => {
        const at = part.getBoundingClientRect();
        return [part.src, at.left - all.left, at.top - all.top, at.width, at.height];
    })];
}"""


def picture(output: Locator) -> np.ndarray:
    """The pixels of a widget's picture, put together as the page has laid out its parts."""
    background, width, height, parts = output.locator("[role=img], img:visible").first.evaluate(LAID_OUT)
    whole = pixels(background).copy()
    if parts:
        assert (width * kernel.DENSITY, height * kernel.DENSITY) == (whole.shape[1], whole.shape[0])
    for src, *sides in parts:
        left, top, width, height = (round(side * kernel.DENSITY) for side in sides)
        whole[top : top + height, left : left + width] = pixels(src)
    return whole


def says(output: Locator, text: str | re.Pattern) -> Locator:
    """Wait until a widget's text says this."""
    readout = output.locator(".vae-readout [role=status]").first
    expect(readout).to_contain_text(text)
    return readout


def slider(output: Locator, label: str) -> Locator:
    """A widget's slider of this name."""
    return output.get_by_role("slider", name=label, exact=True)


def same(output: Locator, figure: kernel.KernelFigure) -> bool:
    """Whether the page shows, pixel for pixel, what the same figure shows here."""
    return np.array_equal(picture(output), figure.frame.picture[:, :, :3])
