"""Handwritten digits of 8x8 pixels (Alpaydin & Kaynak, UCI, 1998) that come with scikit-learn."""

from pathlib import Path

import numpy as np
import torch

from ..likelihoods import Bernoulli
from .dataset import Dataset, Split, clearest, stratified_split


def where(root: str | Path | None = None) -> str:
    """Return the package that has the pictures, whatever `root` is."""
    return "scikit-learn"


def load(root: str | Path | None = None, dtype: torch.dtype = torch.float32) -> Dataset:
    """Load 1,797 grey pictures of shape (1, 8, 8), about a sixth of every class to test; Bernoulli likelihood.

    scikit-learn has them, whatever `root` is. The 17 grey levels are the multiples of 1/16 in [0, 1]; as torch.uint8,
    the nearest values in 0..255.
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    x = torch.from_numpy(source.images).unsqueeze(1) / 16
    x = (x * 255).round().to(torch.uint8) if dtype == torch.uint8 else x.to(dtype)
    y = torch.from_numpy(source.target.astype(np.int64))
    train, test = (Split(x[rows], y[rows]) for rows in stratified_split(source.target, 1 / 6))
    return Dataset(
        name="digits",
        train=train,
        test=test,
        label_names=tuple("0123456789"),
        shape=(1, 8, 8),
        likelihood=Bernoulli(),
        followed=(clearest(test, 3), clearest(test, 5)),
        followed_names=("3", "5"),
    )
