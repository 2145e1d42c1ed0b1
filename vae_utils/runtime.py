"""The same start for every notebook: seeds, device, number of digits, look of the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def best_device() -> torch.device:
    """A CUDA GPU where there is one, else Apple's (MPS), else the CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def setup(seed: int = 0) -> torch.device:
    """Seed Python, numpy and torch, set matrix multiplication and figures up, and return the device to use.

    seed: 0 to 2^32 - 1. Matrix products may use the faster of float32's formats (precision "medium").
    Raises ValueError for another seed.
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
    torch.set_printoptions(precision=3, sci_mode=False)
    plots.use_style()
    return best_device()
