"""The types that models, training, measures, exercises and figures share: what each may expect of a model.

`models.Autoencoder` is a `LatentModel` and `models.VAE` a `VariationalModel`. So is any class with the same attributes;
it need not inherit from these.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from torch import Tensor, nn

from .likelihoods import Likelihood

Shape = tuple[int, int, int]  # (C, H, W) of one picture
Loss = Callable[[Any, Tensor], dict[str, Tensor]]  # (model, batch) -> {"loss": (batch,), ...}; each names its models


class LatentModel(Protocol):
    """A model that encodes pictures (batch, C, H, W) in [0, 1] and decodes codes (batch, latent_dim)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of one picture."""

    @property
    def latent_dim(self) -> int:
        """How many numbers a code has."""

    def encode(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return codes (batch, latent_dim), or mu and logvar of their distributions, each (batch, latent_dim)."""

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures, or the decoder output of a VAE, (batch, C, H, W)."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the weights, as `torch.nn.Module.parameters` does."""


class VariationalModel(LatentModel, Protocol):
    """A VAE: a `LatentModel` with a distribution over codes and a likelihood."""

    @property
    def likelihood(self) -> Likelihood:
        """The distribution p(x|z); whatever has this attribute is taken for a VAE."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and logvar = log sigma^2 of q(z|x), each (batch, latent_dim)."""

    def reparameterize(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Return one draw z from N(mu, sigma^2) for each row, (batch, latent_dim)."""

    def mean(self, z: Tensor) -> Tensor:
        """Return the mean pictures of p(x|z), (batch, C, H, W) in [0, 1]."""

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the decoder's output for one draw z, mu and logvar."""


class ChoiceModel(LatentModel, Protocol):
    """A VAE whose code is a few choices, such as `models.CategoricalVAE`."""

    @property
    def likelihood(self) -> Likelihood:
        """The distribution p(x|z)."""

    @property
    def choices(self) -> int:
        """How many choices a code has."""

    @property
    def values(self) -> int:
        """Among how many values each of them chooses."""

    def encode(self, x: Tensor) -> Tensor:
        """Return the logits of q(z|x), (batch, choices, values)."""
