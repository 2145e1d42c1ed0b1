"""Time the live figures in a headless Chromium: decodes a second, the first picture, frames while a point moves.

`make bench` runs this: python -m scripts.bench.live. The decoder is the course's own, 2-256-64-3072, untrained, since
only its size counts.
"""

import argparse
import os
import tempfile
from pathlib import Path
from statistics import median

import torch

from scripts.bench.browser import headless
from vae_utils import data
from vae_utils.models import VAE, Autoencoder
from vae_utils.types import LatentModel
from vae_utils.widgets import code_map
from vae_utils.widgets.figure import joined
from vae_utils.widgets.packing import pack

LOOP = """([packed, n]) => {
    %s
    const decode = makeDecoder(packed), canvas = document.createElement("canvas");
    canvas.width = canvas.height = 32;
    const run = (task) => {
        const began = performance.now();
        for (let i = 0; i < n; i++) task([Math.sin(i), Math.cos(i)]);
        return n / (performance.now() - began) * 1000;
    };
    // The best of many bursts, as other programs use the cores, too.
    const best = (task) => Math.max(...Array.from({ length: 20 }, () => run(task)));
    return [best(decode), best((z) => paint(canvas, decode(z), packed.shape))];
}"""
FRAMES = """(n) => new Promise((done) => {
    const plane = document.querySelector(".plane"), times = [], places = [];
    const frame = (now) => {
        times.push(now);
        places.push(document.querySelector(".cross").getAttribute("transform"));
        const key = ["ArrowLeft", "ArrowDown", "ArrowRight", "ArrowUp"][Math.floor(times.length / 5) % 4];
        plane.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        if (times.length <= n) requestAnimationFrame(frame);
        else done([
            times.slice(1).map((time, i) => time - times[i]),
            places.slice(1).filter((place, i) => place !== places[i]).length,
        ]);
    };
    requestAnimationFrame(frame);
})"""


def page_of(html: str) -> str:
    """Return a page with the figure that records when its script begins and when the first picture is drawn."""
    return (
        "<!doctype html><meta charset='utf-8'><script>began = performance.now()</script>"
        f"{html}<script>ended = performance.now()</script>"
    )


def main(arguments: list[str] | None = None) -> None:
    """Print the size of the output and the times."""
    parser = argparse.ArgumentParser(description="Time the live figures in a headless Chromium, on this machine.")
    parser.add_argument("--repeats", type=int, default=5, help="how often the page is opened; medians are printed")
    asked = parser.parse_args(arguments)
    pictures = data.load("cats_dogs")
    torch.manual_seed(0)
    pair: dict[str, LatentModel] = {
        "autoencoder": Autoencoder(pictures.shape, 2).eval(),
        "VAE": VAE(pictures.shape, 2, pictures.likelihood).eval(),
    }
    packed = pack(pair["VAE"], torch.randn(300, 2)).for_page()
    html = code_map(pair, pictures).html
    with headless() as browser, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(page_of(html), encoding="utf-8")
        first = []
        for _ in range(asked.repeats):
            page = browser.new_page()
            page.goto(path.as_uri())
            first.append(page.evaluate("ended - began"))
        loop = LOOP % joined("decoder.js")
        decodes, painted = page.evaluate(loop, [packed, 50])
        frames, moved = page.evaluate(FRAMES, 120)
    print(f"Live figures ({os.cpu_count()} cores, Chromium): code map of two models, {len(html) / 1e6:.2f} MB")
    print(f"  decodes of 2-256-64-3072 a second {decodes:12,.0f}  (with drawing on a canvas {painted:,.0f})")
    print(f"  first picture after               {median(first):12.0f} ms ({min(first):.0f} to {max(first):.0f})")
    slow = sorted(frames)[int(0.95 * len(frames))]
    print(f"  a frame while the point moves     {median(frames):12.1f} ms (95 of 100 under {slow:.1f})")
    print(f"  frames with a new picture         {moved:12} of {len(frames)}")


if __name__ == "__main__":
    main()
