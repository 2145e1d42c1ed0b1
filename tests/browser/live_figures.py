"""Read what a page shows of live figures, and compare it with what PyTorch decodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from playwright.sync_api import Locator, Page

from vae_utils import evaluation

NEAR = 3 / 255  # how far a pixel of the page may lie from PyTorch's


@dataclass
class Shown:
    """A page with live figures."""

    page: Page
    before: list[dict[str, Any]] = field(default_factory=list)  # what each output showed before it was run

    def figure(self, number: int) -> Locator:
        return self.page.locator(".vae-live").nth(number)

    def state(self, number: int) -> dict[str, Any]:
        return self.figure(number).evaluate("f => vaeLiveStates[f.closest('[data-live]').dataset.live]")

    def settle(self) -> None:
        """Wait until the page has drawn what it was asked to."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def pixels(canvas: Locator, shape: tuple[int, int, int]) -> torch.Tensor:
    """What a canvas holds, as a picture (C, H, W) in [0, 1]."""
    values = canvas.evaluate("c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]")
    rgba = torch.tensor(values).reshape(shape[1], shape[2], 4) / 255
    assert (rgba[..., 3] == 1).all(), "the canvas is not painted"
    return rgba[..., : shape[0]].permute(2, 0, 1)


def assert_drawn(canvas: Locator, model: torch.nn.Module, z: list[float], shape: tuple[int, int, int]) -> None:
    """The canvas holds what the model decodes from z."""
    gap = (pixels(canvas, shape) - evaluation.decode(model, torch.tensor([z]))[0]).abs().max().item()
    assert gap <= NEAR


def assert_map_drawn(
    shown: Shown, number: int, models: list[torch.nn.Module], shape: tuple[int, int, int]
) -> list[list[float]]:
    """Each model's canvas of a code map holds what it decodes at its point. Returns the points."""
    shown.settle()
    points = shown.state(number)["points"]
    canvases = shown.figure(number).locator("figure canvas")  # the drawn pictures, the real one second
    for canvas, model, z in zip((canvases.nth(0), canvases.nth(2)), models, points, strict=False):
        assert_drawn(canvas, model, z, shape)
    return points
