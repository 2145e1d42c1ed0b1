"""The two networks of the course: an autoencoder and a variational autoencoder of the same size.

Both squeeze a picture to `latent_dim` numbers and draw it again. The encoder is the decoder turned round.
"""

from itertools import pairwise
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn

Shape = tuple[int, int, int]


def mlp(*sizes: int) -> nn.Sequential:
    """Linear layers from sizes[0] to sizes[-1] inputs and outputs, an ELU between each two.

    Raises ValueError where fewer than two sizes are given or one is not positive.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"mlp needs two or more positive layer sizes, but got {sizes}")
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ELU()]
    return nn.Sequential(*layers[:-1])


class Autoencoder(nn.Module):
    """A picture to a code of `latent_dim` numbers and back.

    shape: (C, H, W) of a picture. hidden: widths of the decoder's layers, from the code to the picture.
    Pictures are (batch, C, H, W) in [0, 1]; codes are (batch, latent_dim).
    """

    def __init__(self, shape: Shape, latent_dim: int, hidden: tuple[int, ...] = (256, 64)):
        super().__init__()
        self.shape, self.latent_dim = tuple(shape), latent_dim
        self.encoder = mlp(prod(shape), *hidden[::-1], latent_dim)
        self.decoder = mlp(latent_dim, *hidden, prod(shape))

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).sigmoid().unflatten(1, self.shape)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class VAE(nn.Module):
    """A picture to a Gaussian over codes, q(z|x) = N(mu, sigma^2), and a code to a distribution over pictures, p(x|z).

    Kingma & Welling (2014), "Auto-Encoding Variational Bayes".

    shape, hidden: as for `Autoencoder`. The prior over codes is N(0, I).
    likelihood: "gaussian", p(x|z) = N(mean(z), sigma^2) for each pixel; or "bernoulli".
    sigma: standard deviation of a Gaussian p(x|z), in units of pixels that reach from 0 to 1.
    """

    def __init__(
        self,
        shape: Shape,
        latent_dim: int,
        hidden: tuple[int, ...] = (256, 64),
        likelihood: Literal["gaussian", "bernoulli"] = "gaussian",
        sigma: float | None = 0.3,
    ):
        super().__init__()
        if likelihood not in ("gaussian", "bernoulli"):
            raise ValueError(f"likelihood must be 'gaussian' or 'bernoulli', not {likelihood!r}")
        if likelihood == "gaussian" and not (sigma is not None and sigma > 0):
            raise ValueError(f"a Gaussian likelihood needs a sigma above 0, not {sigma!r}")
        self.shape, self.latent_dim, self.likelihood, self.sigma = tuple(shape), latent_dim, likelihood, sigma
        self.encoder = mlp(prod(shape), *hidden[::-1], 2 * latent_dim)
        self.decoder = mlp(latent_dim, *hidden, prod(shape))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu and logvar = log sigma^2 of q(z|x), each (batch, latent_dim)."""
        return self.encoder(x.flatten(1)).chunk(2, dim=1)

    def reparameterize(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """One draw z = mu + sigma * epsilon for each row, epsilon ~ N(0, I)."""
        return mu + (0.5 * logvar).exp() * torch.randn_like(mu)  # mu + sigma * epsilon

    def decode(self, z: Tensor) -> Tensor:
        """Parameters of p(x|z), (batch, C, H, W): logits for a Bernoulli, means in [0, 1] for a Gaussian."""
        return self.decoder(z).unflatten(1, self.shape) if self.likelihood == "bernoulli" else self.mean(z)

    def mean(self, z: Tensor) -> Tensor:
        """The mean picture of p(x|z), (batch, C, H, W) in [0, 1]."""
        return self.decoder(z).sigmoid().unflatten(1, self.shape)

    def sample(self, n: int) -> Tensor:
        """n new pictures, (n, C, H, W) in [0, 1]: the means that n codes from the prior decode to."""
        return self.mean(torch.randn(n, self.latent_dim, device=self.decoder[0].weight.device))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.encode(x)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar
