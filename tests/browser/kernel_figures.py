"""Read what a page shows of a kernel widget, from the output of its cell."""

from __future__ import annotations

import re

import numpy as np
from playwright.sync_api import Locator, expect

from tests.support.pngs import pixels
from vae_utils.widgets import kernel


def picture(output: Locator) -> np.ndarray:
    """The pixels of a widget's picture, (H, W, 3)."""
    return pixels(output.locator("img:visible").first.get_attribute("src"))


def says(output: Locator, text: str | re.Pattern) -> Locator:
    """Wait until a widget's text says this."""
    readout = output.locator(".vae-readout [role=status]").first
    expect(readout).to_contain_text(text)
    return readout


def slider(output: Locator, label: str) -> Locator:
    """A widget's slider of this name."""
    return output.get_by_role("slider", name=label, exact=True)


def same(output: Locator, figure: kernel.KernelFigure) -> bool:
    """Whether the page shows, pixel for pixel but for rounding, what the same figure shows here."""
    return np.abs(picture(output).astype(int) - pixels(figure.picture.value)).max() <= 3
