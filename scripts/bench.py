"""Time on this machine what a learner waits for: imports, data, training. `make bench` runs this.

bench.py [--steps 500] [--dataset cats_dogs]
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import time
from collections.abc import Callable

BATCH = 128
IMPORTS = ("vae_utils", "torch", "torchvision", "matplotlib.pyplot")


def seconds(task: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def import_seconds(module: str) -> float:
    """Seconds to import a module in a new Python, which has nothing loaded yet."""
    code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def devices() -> list[str]:
    """The kinds of device that torch can use here."""
    import torch

    have = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return ["cpu", *(device for device, there in have.items() if there)]


def main() -> None:
    """Print one line for each thing timed."""
    parser = argparse.ArgumentParser(description="Time imports, data and training on this machine.")
    parser.add_argument("--steps", type=int, default=500, help="training steps to time")
    parser.add_argument("--dataset", default="cats_dogs")
    asked = parser.parse_args()

    for module in IMPORTS:
        print(f"import {module:20} {import_seconds(module):8.2f} s", flush=True)

    import torch

    from vae_utils import data
    from vae_utils.models import VAE
    from vae_utils.training import fit

    print(f"load {asked.dataset:22} {seconds(lambda: data.load(asked.dataset)):8.2f} s", flush=True)
    dataset = data.load(asked.dataset)
    for device in devices():
        torch.manual_seed(0)
        model = VAE(dataset.shape, 2, likelihood=dataset.likelihood, sigma=dataset.sigma).to(device)
        pictures = dataset.train.x.to(device)
        fit(model, pictures, steps=10, batch_size=BATCH)  # what only the first steps cost is not counted
        spent = seconds(lambda m=model, x=pictures: fit(m, x, steps=asked.steps, batch_size=BATCH))
        print(
            f"train a VAE on {device:12} {asked.steps / spent:8.0f} steps of {BATCH} pictures a second",
            flush=True,
        )
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    print(f"{versions}, {torch.get_num_threads()} threads, {platform.platform()}")


if __name__ == "__main__":
    main()
