"""What a decoder's output says about the pixels: the distributions p(x|z) that the course uses, as objects.

A likelihood turns the output of a decoder, any real numbers of a picture's shape, into a mean picture, a negative
log-likelihood and a sample. A new one is a class with these four methods.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .losses import bernoulli_nll, gaussian_nll


class Likelihood(Protocol):
    """The distribution p(x|z) of a picture's pixels, given a decoder's output (batch, C, H, W)."""

    def mean(self, output: Tensor) -> Tensor:
        """Return the mean picture of p(x|z), (batch, C, H, W) in [0, 1]."""

    def nll(self, output: Tensor, x: Tensor) -> Tensor:
        """Return -log p(x|z), (batch,) in nats, for pictures x (batch, C, H, W) in [0, 1]."""

    def floor(self, x: Tensor) -> Tensor:
        """Return the least that the nll of each picture x can be, (batch,): that of a perfect reconstruction."""

    def sample(self, output: Tensor) -> Tensor:
        """Return one draw of x from p(x|z), (batch, C, H, W): pixels with their noise."""


@dataclass(frozen=True)
class Bernoulli:
    """Each pixel is white with probability sigmoid(output). A gray pixel counts as a probability itself."""

    def mean(self, output: Tensor) -> Tensor:
        """Return the probabilities of white."""
        return output.sigmoid()

    def nll(self, output: Tensor, x: Tensor) -> Tensor:
        """Return the cross-entropy, summed over pixels."""
        return bernoulli_nll(output, x)

    def floor(self, x: Tensor) -> Tensor:
        """Return the entropy of the pixels: 0 for black and white ones."""
        return -(torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).flatten(1).sum(1)

    def sample(self, output: Tensor) -> Tensor:
        """Return black and white pixels."""
        return self.mean(output).bernoulli()


@dataclass(frozen=True)
class Gaussian:
    """Each pixel is sigmoid(output) plus Gaussian noise of standard deviation `sigma`.

    Args:
        sigma: In units of pixels in [0, 1].

    Raises:
        ValueError: sigma is not above 0.
    """

    sigma: float

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"a Gaussian likelihood needs a sigma above 0, not {self.sigma!r}")

    def mean(self, output: Tensor) -> Tensor:
        """Return the means of the pixels."""
        return output.sigmoid()

    def nll(self, output: Tensor, x: Tensor) -> Tensor:
        """Return -log of a density, summed over pixels; it may be negative."""
        return gaussian_nll(self.mean(output), x, self.sigma)

    def floor(self, x: Tensor) -> Tensor:
        """Return the nll of a mean that equals x, the same for all pictures of one size."""
        return gaussian_nll(x, x, self.sigma)

    def sample(self, output: Tensor) -> Tensor:
        """Return means with noise, which may leave [0, 1]."""
        mean = self.mean(output)
        return mean + self.sigma * torch.randn_like(mean)


@dataclass(frozen=True)
class LinearGaussian(Gaussian):
    """Each pixel is the output itself plus Gaussian noise: no sigmoid, so that a linear decoder stays linear.

    Its mean may leave [0, 1].
    """

    def mean(self, output: Tensor) -> Tensor:
        """Return the output, which is the mean of the pixels."""
        return output
