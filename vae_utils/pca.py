"""Principal component analysis, the yardstick of every autoencoder and the start of its training."""

import torch
from torch import Tensor

from .random_state import own_random_numbers


def principal_components(x: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean (d,), the first k principal axes (d, k) and the standard deviations (k,) along them of x (n, d).

    By a randomized algorithm (Halko et al., 2011) from a fixed seed; the global random state stays as it was. An axis
    may point either way: each is turned to one side of a fixed direction, so that it is the same on every CPU.

    Raises:
        ValueError: k is not between 1 and min(n, d).
    """
    if not 1 <= k <= min(x.shape):
        raise ValueError(f"data of shape {tuple(x.shape)} has 1 to {min(x.shape)} principal components, not {k}")
    with own_random_numbers(0, x.device):
        _, values, axes = torch.pca_lowrank(x, q=min(k + 10, *x.shape), niter=4)
        axes = axes * (torch.randn(x.shape[1], device=x.device).to(x) @ axes).sign()
    return x.mean(0), axes[:, :k], values[:k] / max(len(x) - 1, 1) ** 0.5
