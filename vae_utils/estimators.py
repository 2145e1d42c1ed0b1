"""A VAE's loss with other gradient estimators than z = mu + sigma * epsilon, to compare; each is a `loss` for `fit`.

All have the value of the negative ELBO. They differ in the gradient that reaches the encoder.
"""

import math

import torch
from torch import Tensor

from .losses import _same_shape, gaussian_kl
from .training import reconstruction_nll
from .types import VariationalModel


def log_density(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Return log q(z|x) of N(mu, sigma^2) summed over latents. z, mu, logvar = log sigma^2: (batch, latent_dim)."""
    _same_shape(z=z, mu=mu)
    _same_shape(mu=mu, logvar=logvar)
    return -0.5 * ((z - mu).square() / logvar.exp() + logvar + math.log(2 * math.pi)).sum(1)


def detached_loss(model: VariationalModel, x: Tensor) -> dict[str, Tensor]:
    """Return the negative ELBO with a draw that no gradient passes, as after `Normal.sample`: a mistake to learn from.

    The encoder gets a gradient from the KL alone.

    Returns:
        {"loss", "nll", "kl"}, each (batch,) in nats, as from `vae_loss`.

    Raises:
        TypeError: The model is not a VAE.
    """
    if not hasattr(model, "likelihood"):
        raise TypeError(f"{type(model).__name__} draws no code: this loss needs a VAE.")
    mu, logvar = model.encode(x)
    z = model.reparameterize(mu, logvar).detach()
    nll = reconstruction_nll(model, model.decode(z), x)
    kl = gaussian_kl(mu, logvar)
    return {"loss": nll + kl, "nll": nll, "kl": kl}


def score_function_loss(model: VariationalModel, x: Tensor, baseline: bool = True) -> dict[str, Tensor]:
    """Return the negative ELBO, with the score-function estimator (REINFORCE; Williams, 1992) as its gradient.

    The encoder's gradient is the average of (nll - b) * d log q(z|x), plus that of the KL: unbiased, as the pathwise
    one, and far noisier for a VAE.

    Args:
        model: A VAE.
        x: Pictures, (batch, C, H, W) in [0, 1].
        baseline: True: b is the nll of a second, independent draw for the same picture (one more decoding).
            False: b = 0.

    Returns:
        {"loss", "nll", "kl"}, each (batch,) in nats, as from `vae_loss`.

    Raises:
        TypeError: The model is not a VAE.
    """
    if not hasattr(model, "likelihood"):
        raise TypeError(f"{type(model).__name__} draws no code: this loss needs a VAE.")
    mu, logvar = model.encode(x)
    z = model.reparameterize(mu, logvar).detach()
    nll = reconstruction_nll(model, model.decode(z), x)
    value = nll.detach()
    if baseline:
        with torch.no_grad():
            again = model.decode(model.reparameterize(mu, logvar))
            value = value - reconstruction_nll(model, again, x)
    log_q = log_density(z, mu, logvar)
    nothing = value * (log_q - log_q.detach())  # 0, with the gradient value * d log q
    kl = gaussian_kl(mu, logvar)
    return {"loss": nll + kl + nothing, "nll": nll, "kl": kl}
