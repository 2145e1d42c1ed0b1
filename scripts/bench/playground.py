"""Measure the playground in Chromium: its size, steps and frames a second, and what its lessons show over five seeds.

python -m scripts.bench.playground              size and speed (half a minute)
python -m scripts.bench.playground --lessons    what each lesson shows (some minutes)
python -m scripts.bench.playground --picture notebooks/images/playground.png    README's picture of it, after a while
"""

from __future__ import annotations

import argparse
import base64
import io
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from scripts.bench.browser import as_object, headless
from vae_utils.widgets.figures.playground import (
    LESSONS,
    N_TRAIN,
    playground_page,
    thumbnails,
)

FRAMES = """() => {
    window.frames_ = [];
    const count = (now) => { frames_.push(now); requestAnimationFrame(count); };
    requestAnimationFrame(count);
}"""
TRAIN = """({id, seed, steps}) => {
    const P = playground, lesson = P.lessonCalled(id);
    const settings = P.complete({...lesson.settings, seed});
    const trainer = new P.Trainer(pictures, settings, lesson.later || null);
    const begun = performance.now();
    const before = [];
    for (let i = 0; i < steps && trainer.step(); i++) {
        if (lesson.later && trainer.steps === lesson.later.at) before.push(...trainer.heldOut().kl);
    }
    const seconds = (performance.now() - begun) / 1000, {figures, again, status} = trainer.snapshot(true);
    let apart = 0; // how much the eight pictures that come back differ from the first
    const side = P.SIDE, wide = side * P.SHOWN;
    for (let i = 0; i < again.length; i += 4) {
        const x = (i / 4) % wide, y = Math.floor(i / 4 / wide);
        const first = again.subarray(4 * (y * wide + (x % side)));
        for (let c = 0; c < 3; c++) apart = Math.max(apart, Math.abs(again[i + c] - first[c]));
    }
    return {...figures, apart, status, before, rate: trainer.steps / seconds};
}"""


def trainer_page(browser: Browser) -> Page:
    """Open a page with the playground's trainer and its pictures, and no controls."""
    page = browser.new_page()
    page.add_script_tag(content=as_object("playground", "playground/trainer.js", "playground/lessons.js"))
    x = thumbnails()[0]
    page.evaluate(
        """([train, held]) => {
            const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            window.pictures = {pixels: 768, train: bytes(train), held: bytes(held)};
        }""",
        [base64.b64encode(part.numpy().tobytes()).decode() for part in (x[:N_TRAIN], x[N_TRAIN:])],
    )
    return page


def speed(browser: Browser) -> None:
    """Print steps a second of the trainer alone, and steps and frames a second of the whole page."""
    page = trainer_page(browser)
    for width in (8, 16, 32, 64):
        rate = page.evaluate(
            """(width) => {
                const trainer = new playground.Trainer(pictures, {...playground.DEFAULTS, width});
                trainer.advance(500);
                return trainer.advance(2000) / 2;
            }""",
            width,
        )
        print(f"trainer alone, width {width:2}: {rate:4.0f} steps a second")
    page.close()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "playground.html"
        file.write_text(playground_page(), encoding="utf-8")
        print(f"page: {file.stat().st_size / 1e6:.2f} MB")
        for name, script in (("in a worker", ""), ("in slices", "window.Worker = undefined")):
            page = browser.new_page(viewport={"width": 1000, "height": 1000})
            if script:
                page.add_init_script(script)
            begun = time.perf_counter()
            page.goto(file.as_uri())
            page.wait_for_function("document.querySelector('.playground')?.dataset.steps >= 1")
            first = time.perf_counter() - begun
            page.evaluate(FRAMES)
            page.wait_for_function("document.querySelector('.playground').dataset.steps >= 500", timeout=120_000)
            settled = time.perf_counter() - begun
            frames = page.evaluate("frames_")
            gaps = sorted(b - a for a, b in pairwise(frames))
            rate = page.locator(".count").inner_text().split("·")[-1].strip()
            print(
                f"{name}: first step after {first:.1f} s, 500 after {settled:.1f} s, {rate}; "
                f"{1000 * len(gaps) / sum(gaps):.0f} frames a second, 95 % of frames within "
                f"{gaps[int(0.95 * len(gaps))]:.0f} ms"
            )
            page.close()


def lessons(browser: Browser, seeds: int, steps: int, which: list[str]) -> None:
    """Print what each lesson shows at its end, for each seed."""
    page = trainer_page(browser)
    for lesson in which:
        runs = [page.evaluate(TRAIN, {"id": lesson, "seed": seed, "steps": steps}) for seed in range(seeds)]
        print(f"\n{lesson}, {steps} steps (nll above floor | KL | distance | what comes back differs by, of 255)")
        for seed, run in enumerate(runs):
            before = f" (before: {', '.join(f'{kl:.2f}' for kl in run['before'])})" if run["before"] else ""
            print(
                f"  seed {seed}: {run['nll']:5.1f} | {', '.join(f'{kl:.2f}' for kl in run['kl'])}{before} | "
                f"{run['distance']:.2f} | {run['apart']:.0f}  {run['status']}"
            )
        middle = statistics.median(run["distance"] for run in runs)
        print(f"  median distance from the prior {middle:.2f}, nll {statistics.median(run['nll'] for run in runs):.1f}")


def picture(browser: Browser, file: Path, steps: int) -> None:
    """Save what the page shows after so many training steps, down to the names below the plane, in 256 colors."""
    page = browser.new_page(viewport={"width": 800, "height": 1000}, device_scale_factor=2)
    page.set_content(playground_page())
    page.wait_for_function(f"Number(document.querySelector('.playground')?.dataset.steps) >= {steps}", timeout=300_000)
    page.get_by_role("button", name="Pause").click()
    page.locator('.playground[data-shown="resting"]').wait_for()
    whole = page.locator(".playground").bounding_box()
    curves = page.locator(".curves").bounding_box()
    if whole is None or curves is None:
        raise SystemExit("The page shows no playground.")
    png = page.screenshot(
        clip={"x": whole["x"], "y": whole["y"], "width": whole["width"], "height": curves["y"] - whole["y"]},
        full_page=True,
    )
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(file, optimize=True)
    page.close()


def main() -> None:
    """Measure size and speed, or the lessons; or take the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lessons", nargs="*", choices=LESSONS, help="measure lessons (these; none named: all)")
    parser.add_argument("--picture", type=Path, help="save a picture of the page here")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="none: 600 for a lesson, 1500 for the picture")
    given = parser.parse_args()
    with headless() as browser:
        if given.picture is not None:
            picture(browser, given.picture, given.steps or 1500)
        elif given.lessons is None:
            speed(browser)
        else:
            lessons(browser, given.seeds, given.steps or 600, given.lessons or list(LESSONS))


if __name__ == "__main__":
    main()
