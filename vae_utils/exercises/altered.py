"""What people do to an argument before they use it rightly."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor

Change = Callable[[Tensor], Tensor]


def _spread(x: Tensor) -> Tensor:
    """Return what `x.std()` does, without its warning for a single number."""
    return ((x - x.mean()).square().sum() / (x.numel() - 1)).sqrt()


PIXELS: dict[str, Change] = {
    "2x − 1, from −1 to 1": lambda x: 2 * x - 1,
    "x / 255, as if they were bytes": lambda x: x / 255,
    "255x, from 0 to 255": lambda x: 255 * x,
    "1 − x, a negative": lambda x: 1 - x,
    "x − 1/2, from −1/2 to 1/2": lambda x: x - 0.5,
    "their mean subtracted, divided by their spread": lambda x: (x - x.mean()) / _spread(x),
    "(x + 1) / 2, as if they came from −1 to 1": lambda x: (x + 1) / 2,
}
# Of logvar, in place of exp(logvar / 2).
SIGMAS: dict[str, Change] = {
    "softplus(logvar)": F.softplus,
    "the root of softplus(logvar)": lambda logvar: F.softplus(logvar).sqrt(),
    "exp(logvar / 4)": lambda logvar: (0.25 * logvar).exp(),
    "relu(logvar)": lambda logvar: logvar.relu(),
    "sigmoid(logvar)": lambda logvar: logvar.sigmoid(),
    "1 + logvar": lambda logvar: 1 + logvar,
    "elu(logvar) + 1": lambda logvar: F.elu(logvar) + 1,
}
WORDS = {
    "x": "The pixels are rescaled inside: {}. They come from 0 to 1, and are meant as they come. Rescaled, you model "
    "other pictures, and your numbers can't be compared with anyone's.",
    "logvar": "Your standard deviation is {}. Programs in which the encoder's second answer is meant so do that; here "
    "it is `logvar`, the logarithm of sigma², so sigma = exp(logvar / 2). What else reads `logvar`, such as the KL or "
    "the draw, would speak of another cloud.",
}


def _logvar(sigma: Change, logvar: Tensor) -> Tensor:
    return 2 * sigma(logvar).log()


ALTERED: dict[str, dict[str, Change]] = {
    "x": PIXELS,
    "logvar": {how: partial(_logvar, sigma) for how, sigma in SIGMAS.items()},
}
