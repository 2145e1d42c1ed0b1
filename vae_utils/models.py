"""The networks of the course: an autoencoder, VAEs of (nearly) its size, a linear VAE, one with a code of choices.

They encode a picture as `latent_dim` numbers and decode it again. The encoder is the decoder in reverse.
"""

import math
from itertools import pairwise
from math import prod
from typing import Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .likelihoods import Likelihood, LinearGaussian
from .types import Shape


def mlp(*sizes: int) -> nn.Sequential:
    """Return linear layers from sizes[0] inputs to sizes[-1] outputs, with an ELU between each two.

    Raises:
        ValueError: There are fewer than two sizes, or one is not positive.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"mlp needs two or more positive layer sizes, but got {sizes}")
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ELU()]
    return nn.Sequential(*layers[:-1])


class Autoencoder(nn.Module):
    """A network that encodes a picture as a code of `latent_dim` numbers and decodes it.

    Pictures are (batch, C, H, W) in [0, 1]; codes are (batch, latent_dim).

    Args:
        shape: (C, H, W) of a picture.
        latent_dim: How many numbers a code has.
        hidden: Widths of the decoder's hidden layers, from the code to the picture.
    """

    def __init__(self, shape: Shape, latent_dim: int, hidden: tuple[int, ...] = (256, 64)):
        super().__init__()
        self.shape, self.latent_dim = tuple(shape), latent_dim
        self.encoder = mlp(prod(shape), *hidden[::-1], latent_dim)
        self.decoder = mlp(latent_dim, *hidden, prod(shape))

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes of pictures, (batch, latent_dim)."""
        return self.encoder(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        """Return the pictures of codes, (batch, C, H, W) in [0, 1]."""
        return self.decoder(z).sigmoid().unflatten(1, self.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstructions of pictures, (batch, C, H, W) in [0, 1]."""
        return self.decode(self.encode(x))


class GenerativeModel(nn.Module):
    """The story of a picture: a code z from the prior N(0, I), then a picture x from p(x|z), which z decodes to.

    Attributes:
        shape: (C, H, W) of a picture.
        latent_dim: How many numbers a code has.
        likelihood: The distribution of pixels p(x|z), such as `Bernoulli()` or `Gaussian(sigma)`.
        decoder: From codes to the likelihood's parameters, flat.
    """

    shape: tuple[int, ...]
    latent_dim: int
    likelihood: Likelihood
    decoder: nn.Sequential

    def decode(self, z: Tensor) -> Tensor:
        """Return the decoder's output for the likelihood, (batch, C, H, W), any real numbers."""
        return self.decoder(z).unflatten(1, self.shape)

    def mean(self, z: Tensor) -> Tensor:
        """Return the mean picture of p(x|z), (batch, C, H, W) in [0, 1]."""
        return self.likelihood.mean(self.decode(z))

    def sample(self, n: int) -> Tensor:
        """Return n new pictures, (n, C, H, W) in [0, 1]: the mean pictures of n codes drawn from the prior."""
        device = next(self.parameters()).device
        return self.mean(torch.randn(n, self.latent_dim, device=device))


class VAE(GenerativeModel):
    """A network that encodes a picture as q(z|x) = N(mu, sigma^2) over codes, and decodes a code to p(x|z).

    The prior over codes is N(0, I). Kingma & Welling (2014), "Auto-Encoding Variational Bayes".

    Args:
        shape: (C, H, W) of a picture.
        latent_dim: How many numbers a code has.
        likelihood: The distribution of pixels p(x|z), such as `Bernoulli()` or `Gaussian(sigma)`.
        hidden: As for `Autoencoder`.
    """

    def __init__(self, shape: Shape, latent_dim: int, likelihood: Likelihood, hidden: tuple[int, ...] = (256, 64)):
        super().__init__()
        self.shape, self.latent_dim = tuple(shape), latent_dim
        self.likelihood = likelihood
        self.encoder = mlp(prod(shape), *hidden[::-1], 2 * latent_dim)
        self.decoder = mlp(latent_dim, *hidden, prod(shape))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and logvar = log sigma^2 of q(z|x), each (batch, latent_dim)."""
        return self.encoder(x.flatten(1)).chunk(2, dim=1)

    def reparameterize(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Return one draw z = mu + sigma * epsilon for each row, (batch, latent_dim), with epsilon ~ N(0, I)."""
        return mu + (0.5 * logvar).exp() * torch.randn_like(mu)  # mu + sigma * epsilon

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode pictures, draw one code for each, and decode it.

        Returns:
            The decoder's output, (batch, C, H, W), as from `decode`; mu and logvar of q(z|x), each
            (batch, latent_dim).
        """
        mu, logvar = self.encode(x)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


class LinearVAE(VAE):
    """A VAE without hidden layers: p(x|z) = N(W z + b, sigma^2 I), so that all about it is known.

    At its best it is probabilistic PCA (Tipping & Bishop, 1999; Lucas et al., 2019), which `at_its_best` computes.

    Args:
        shape: (C, H, W) of a picture.
        latent_dim: How many numbers a code has.
        sigma: Standard deviation of a pixel around its mean.
    """

    likelihood: LinearGaussian

    def __init__(self, shape: Shape, latent_dim: int, sigma: float):
        super().__init__(shape, latent_dim, LinearGaussian(sigma), hidden=())

    @classmethod
    @torch.no_grad()
    def at_its_best(cls, x: Tensor, latent_dim: int, sigma: float | None = None) -> Self:
        """Return the linear VAE with the highest ELBO on pictures x, in float64.

        With variances l_i along the principal components of x, number i of the code has the decoder's column
        sqrt(l_i - sigma^2) times component i, and a KL of 1/2 log(l_i / sigma^2) on average over x. Where l_i is not
        above sigma^2, both are 0: posterior collapse, at the very optimum. The cloud is the true posterior.

        Args:
            x: Pictures (n, C, H, W); a pixel may be any number.
            latent_dim: How many numbers a code has, fewer than a picture has pixels.
            sigma: None: the best one, whose square is the mean of the variances along the other components.

        Raises:
            ValueError: latent_dim is not below the number of pixels, or the best sigma is 0.
        """
        flat = x.flatten(1).double()
        if not 0 < latent_dim < flat.shape[1]:
            raise ValueError(f"pictures of {flat.shape[1]} pixels need fewer numbers in a code than {latent_dim}")
        mean = flat.mean(0)
        values, axes = torch.linalg.eigh((flat - mean).T @ (flat - mean) / len(flat))
        values, axes = values.flip(0).clamp(min=0), axes.flip(1)[:, :latent_dim]
        best = values[latent_dim:].mean().sqrt().item()
        model = cls((x.shape[1], x.shape[2], x.shape[3]), latent_dim, best if sigma is None else sigma).double()
        variance = model.likelihood.sigma**2
        kept = values[:latent_dim].clamp(min=variance)  # W^T W + sigma^2 I, which is diagonal
        encoder, decoder = cast(nn.Linear, model.encoder[0]), cast(nn.Linear, model.decoder[0])
        decoder.weight.copy_(axes * (kept - variance).sqrt())
        decoder.bias.copy_(mean)
        encoder.weight.copy_(torch.cat([decoder.weight.T / kept[:, None], torch.zeros_like(axes.T)]))
        encoder.bias.copy_(torch.cat([-encoder.weight[:latent_dim] @ mean, (variance / kept).log()]))
        return model

    @torch.no_grad()
    def log_density(self, x: Tensor) -> Tensor:
        """Return log p(x) of pictures (n, C, H, W), exactly, (n,) in nats: x is N(b, W W^T + sigma^2 I)."""
        decoder, variance = cast(nn.Linear, self.decoder[0]), self.likelihood.sigma**2
        center = x.flatten(1) - decoder.bias
        inner = decoder.weight.T @ decoder.weight + variance * torch.eye(self.latent_dim).to(x)
        along = center @ decoder.weight
        fit = (along * torch.linalg.solve(inner, along.T).T).sum(1)
        rest = (center.shape[1] - self.latent_dim) * math.log(variance)
        log_det = torch.linalg.slogdet(inner).logabsdet + rest
        return -0.5 * (center.shape[1] * math.log(2 * math.pi) + log_det + (center.square().sum(1) - fit) / variance)


class CategoricalVAE(GenerativeModel):
    """A VAE whose code is a few choices: q(z|x) is a table of chances for each, p(z) gives every value the same.

    A code is one-hot, (batch, choices, values): in each row a 1 at the value that was chosen. Its rows may also be
    soft, as relaxations make them; they sum to 1.

    Args:
        shape: (C, H, W) of a picture.
        choices: How many choices a code has.
        values: Among how many values each of them chooses.
        likelihood: As for `VAE`.
        hidden: As for `Autoencoder`.
    """

    def __init__(
        self, shape: Shape, choices: int, values: int, likelihood: Likelihood, hidden: tuple[int, ...] = (256, 64)
    ):
        super().__init__()
        self.shape, self.choices, self.values = tuple(shape), choices, values
        self.latent_dim, self.likelihood = choices * values, likelihood
        self.encoder = mlp(prod(shape), *hidden[::-1], choices * values)
        self.decoder = mlp(choices * values, *hidden, prod(shape))

    def encode(self, x: Tensor) -> Tensor:
        """Return the logits of q(z|x), (batch, choices, values): its chances are their softmax over the last axis."""
        return self.encoder(x.flatten(1)).unflatten(1, (self.choices, self.values))

    def decode(self, z: Tensor) -> Tensor:
        """Return the decoder's output for codes (batch, choices, values), (batch, C, H, W), any real numbers."""
        return super().decode(z.flatten(1))

    def every_code(self) -> Tensor:
        """Return all codes that there are, one-hot: (values ** choices, choices, values)."""
        places = torch.arange(self.values, device=next(self.parameters()).device)
        chosen = torch.cartesian_prod(*self.choices * [places]).view(-1, self.choices)
        return F.one_hot(chosen, self.values).to(next(self.parameters()).dtype)

    def sample(self, n: int) -> Tensor:
        """Return n new pictures, (n, C, H, W) in [0, 1]: the mean pictures of n codes drawn from the prior."""
        codes = self.every_code()
        return self.mean(codes[torch.randint(len(codes), (n,), device=codes.device)])
