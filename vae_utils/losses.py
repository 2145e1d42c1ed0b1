"""The terms of the objectives, one number for each picture: (batch,), in nats but for `squared_error`.

Sums, not means: the bound on log p(x) is a sum over pixels and over latents. Average over the batch afterwards.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def same_shape(**tensors: Tensor) -> None:
    """Raise ValueError unless the two named tensors have one shape (broadcasting would hide the mistake)."""
    (name_a, a), (name_b, b) = tensors.items()
    if a.shape != b.shape:
        raise ValueError(f"{name_a} {tuple(a.shape)} and {name_b} {tuple(b.shape)} must have the same shape")


def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Return the squared error summed over a picture, in squared pixel units (not nats). x_hat, x: (batch, ...)."""
    same_shape(x_hat=x_hat, x=x)
    return (x_hat - x).square().flatten(1).sum(1)


def gaussian_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return KL(N(mu, sigma^2) || N(0, I)) summed over latents. mu, logvar = log sigma^2: (batch, latent_dim).

    Kingma & Welling (2014), appendix B: 1/2 sum(mu^2 + sigma^2 - 1 - log sigma^2).
    """
    same_shape(mu=mu, logvar=logvar)
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """Return -log p(x|z) of independent Bernoulli pixels. logits: (batch, ...), any real; x: as many, in [0, 1].

    For a gray pixel this is the expected value over black-or-white pixels drawn with that probability.
    """
    same_shape(logits=logits, x=x)
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def gaussian_nll(mean: Tensor, x: Tensor, sigma: float | Tensor) -> Tensor:
    """Return -log p(x|z) of independent Gaussian pixels with standard deviation `sigma`. mean, x: (batch, ...).

    p is a density, not a probability: the result may be negative if sigma is small.

    Args:
        mean: The means of the pixels.
        x: The pixels.
        sigma: A number, or a tensor that broadcasts to x, all above 0.

    Raises:
        ValueError: A sigma is not above 0, or mean and x have different shapes.
    """
    same_shape(mean=mean, x=x)
    sigma = torch.as_tensor(sigma, dtype=mean.dtype)  # a number stays on the CPU, where looking at it costs nothing
    if not (sigma > 0).all():
        raise ValueError(f"sigma must be above 0, not {sigma.min().item():g}")
    nll = 0.5 * ((x - mean) / sigma).square() + sigma.log() + 0.5 * math.log(2 * math.pi)
    return nll.flatten(1).sum(1)
