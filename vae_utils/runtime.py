"""The same start for every notebook: seeds, device, printed digits, style of the figures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def best_device() -> torch.device:
    """Return a CUDA GPU if there is one, else Apple's (MPS), else the CPU; or what the variable VAE_DEVICE names.

    Raises:
        ValueError: VAE_DEVICE names another kind, or one that is not here.
    """
    import torch

    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    named = os.environ.get("VAE_DEVICE")
    if named and not here.get(named):
        kinds = ", ".join(kind for kind, available in here.items() if available)
        raise ValueError(
            f"VAE_DEVICE is {named!r}, but what PyTorch finds here is {kinds}: unset it or name one of these."
        )
    return torch.device(named or next(kind for kind, available in here.items() if available))


def scaled(steps: int) -> int:
    """Return the steps of a training, times the environment variable VAE_STEPS (unset: 1), at least 1.

    A claim about what a network learns must hold with VAE_STEPS=4, too; `make claims STEPS=4` tries it.

    Raises:
        ValueError: VAE_STEPS is not a number above 0.
    """
    factor = os.environ.get("VAE_STEPS") or "1"
    try:
        if not 0 < float(factor) < float("inf"):
            raise ValueError
    except ValueError:
        raise ValueError(
            f"VAE_STEPS is {factor!r}; it multiplies training steps: a number above 0, such as 4."
        ) from None
    return max(1, round(steps * float(factor))) if steps > 0 else steps


@contextmanager
def exact_products() -> Iterator[None]:
    """Compute matrix products in full float32, whatever `setup` allows: some CPUs round to bfloat16 at "medium"."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def setup(seed: int = 0) -> torch.device:
    """Seed Python, numpy and torch, set up matrix products and figures, and return the device to use.

    Matrix products may use faster formats (precision "medium"; `exact_products` does without). PyTorch computes on half
    of the CPU's cores, or on as many as the variable OMP_NUM_THREADS says: networks as small as these gain nothing from
    the other half, and if another program uses it, threads that wait for each other take ten times as long.

    Args:
        seed: 0 to 2^32 - 1.

    Raises:
        ValueError: The seed is outside that range.
    """
    import random

    import numpy as np
    import torch

    from . import plots

    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}; it must be a whole number from 0 to {2**32 - 1}.")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_float32_matmul_precision("medium")
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    torch.set_printoptions(precision=3, sci_mode=False)
    plots.use_style()
    return best_device()
