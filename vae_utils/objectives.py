"""What `fit` minimizes: the loss of an autoencoder, of a VAE, of a VAE with a tighter bound or with other gradients.

An objective is a function (model, batch of pictures) -> {"loss": (batch,), other terms to record: (batch,)}.
The last two have the negative ELBO's value; they differ from `vae_loss` in the gradient that reaches the encoder.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .losses import gaussian_kl, same_shape, squared_error
from .types import ChoiceModel, VariationalModel

Relaxation = Callable[[Tensor, Tensor, float], Tensor]  # (logits, dice, temperature) -> codes


def autoencoder_loss(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Return {"loss": squared error of the reconstructions model(x), summed over each picture, (batch,)}."""
    return {"loss": squared_error(model(x), x)}


def vae_loss(model: VariationalModel, x: Tensor, beta: float = 1.0) -> dict[str, Tensor]:
    """Return {"loss": nll + beta * KL, "nll", "kl"}, each (batch,) in nats.

    With beta = 1, "loss" is the negative ELBO (Kingma & Welling, 2014, equation 10): on average over draws an upper
    bound on -log p(x). Other weights: the beta-VAE (Higgins et al., 2017); no bound if beta < 1.

    Raises:
        ValueError: beta is negative.
    """
    if beta < 0:
        raise ValueError(f"beta must be 0 or more, not {beta}")
    output, mu, logvar = model(x)
    nll = model.likelihood.nll(output, x)
    kl = gaussian_kl(mu, logvar)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}


def log_density(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Return log q(z|x) of N(mu, sigma^2) summed over latents. z, mu, logvar = log sigma^2: (batch, latent_dim)."""
    same_shape(z=z, mu=mu)
    same_shape(mu=mu, logvar=logvar)
    return -0.5 * ((z - mu).square() / logvar.exp() + logvar + math.log(2 * math.pi)).sum(1)


def log_weights(model: VariationalModel, x: Tensor, mu: Tensor, logvar: Tensor, k: int) -> Tensor:
    """Return log p(x|z) + log p(z) - log q(z) in nats for k draws z of a cloud q for each picture: (batch, k).

    The weights themselves, whatever the cloud, are p(x) on average: importance sampling. Where the cloud is the true
    posterior, each of them is.

    Args:
        model: A VAE; its decoder and its draws are used, its encoder is not.
        x: Pictures, (batch, C, H, W) in [0, 1].
        mu: Means of the clouds, (batch, latent_dim).
        logvar: Their log variances, (batch, latent_dim).
        k: Draws for each picture.
    """
    x, mu, logvar = (part.repeat_interleave(k, 0) for part in (x, mu, logvar))
    z = model.reparameterize(mu, logvar)
    log_p = log_density(z, torch.zeros_like(z), torch.zeros_like(z)) - model.likelihood.nll(model.decode(z), x)
    return (log_p - log_density(z, mu, logvar)).unflatten(0, (-1, k))


def iwae_loss(model: VariationalModel, x: Tensor, k: int = 8) -> dict[str, Tensor]:
    """Return {"loss": minus the bound on log p(x) from k weighted draws, "one": that from one}, each (batch,) in nats.

    The bound is the log of the average weight (Burda et al., 2016, equation 8); the average of the log weights is an
    estimate of the ELBO. With k = 1 they are the same, on average that of `vae_loss`, whose KL needs no draws.
    """
    log_w = log_weights(model, x, *model.encode(x), k)
    return {"loss": math.log(k) - log_w.logsumexp(1), "one": -log_w.mean(1)}


def detached_loss(model: VariationalModel, x: Tensor) -> dict[str, Tensor]:
    """Return the negative ELBO with a draw that passes no gradient, as after `Normal.sample`: a mistake to learn from.

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
    nll = model.likelihood.nll(model.decode(z), x)
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
    nll = model.likelihood.nll(model.decode(z), x)
    value = nll.detach()
    if baseline:
        with torch.no_grad():
            again = model.decode(model.reparameterize(mu, logvar))
            value = value - model.likelihood.nll(again, x)
    log_q = log_density(z, mu, logvar)
    nothing = value * (log_q - log_q.detach())  # 0, with the gradient value * d log q
    kl = gaussian_kl(mu, logvar)
    return {"loss": nll + kl + nothing, "nll": nll, "kl": kl}


def categorical_kl(logits: Tensor) -> Tensor:
    """Return KL(q(z|x) || uniform) summed over choices, (batch,) in nats. logits: (batch, choices, values)."""
    log_q = logits.log_softmax(2)
    return (log_q.exp() * (log_q + math.log(logits.shape[2]))).sum((1, 2))


def gumbel(logits: Tensor) -> Tensor:
    """Return dice as numerous as the logits: Gumbel(0, 1), of which the largest logits + dice is a fair choice."""
    return -torch.empty_like(logits).exponential_().log()


def hard(soft: Tensor) -> Tensor:
    """Return one-hot codes with their 1 where soft (..., values) is largest."""
    return torch.zeros_like(soft).scatter_(-1, soft.argmax(-1, keepdim=True), 1.0)


def gumbel_softmax(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Return soft choices, each (..., values) summing to 1 (Jang et al., 2017; Maddison et al., 2017)."""
    return ((logits + noise) / temperature).softmax(-1)


def straight_through(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Return one-hot choices that pass back the gradient of the soft ones. logits, noise: (..., values)."""
    soft = gumbel_softmax(logits, noise, temperature)
    return hard(soft) + soft - soft.detach()


def relaxed_loss(model: ChoiceModel, x: Tensor, relax: Relaxation, temperature: float) -> dict[str, Tensor]:
    """Return {"loss": nll + KL, "nll", "kl"}, each (batch,) in nats, of a code that `relax` makes of logits and dice.

    With `straight_through` the values are those of the negative ELBO, and the gradients that reach the encoder are
    biased. With `gumbel_softmax` the decoder sees soft codes: another function, and no bound.
    """
    logits = model.encode(x)
    nll = model.likelihood.nll(model.decode(relax(logits, gumbel(logits), temperature)), x)
    kl = categorical_kl(logits)
    return {"loss": nll + kl, "nll": nll, "kl": kl}


def choice_score_loss(model: ChoiceModel, x: Tensor, draws: int = 4) -> dict[str, Tensor]:
    """Return the negative ELBO, with the score function from a few draws as its gradient, unbiased.

    Each draw's baseline is the mean nll of the others (Kool et al., 2019; Mnih and Rezende, 2016).

    Args:
        model: A VAE whose code is a few choices.
        x: Pictures, (batch, C, H, W) in [0, 1].
        draws: Codes for each picture, each decoded; one alone has no baseline.

    Returns:
        {"loss", "nll", "kl"}, each (batch,) in nats; the nll is the mean over draws.
    """
    logits, nll, log_q = model.encode(x), [], []
    for _ in range(draws):
        z = hard(logits.detach() + gumbel(logits))
        nll.append(model.likelihood.nll(model.decode(z), x))
        log_q.append((z * logits.log_softmax(2)).sum((1, 2)))
    losses, chances = torch.stack(nll), torch.stack(log_q)
    others = (losses.sum(0) - losses) / max(draws - 1, 1)
    nothing = (losses - others).detach() * (chances - chances.detach())  # 0, with a gradient
    kl = categorical_kl(logits)
    return {"loss": (losses + nothing).mean(0) + kl, "nll": losses.mean(0), "kl": kl}
