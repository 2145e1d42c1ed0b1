"""Right ways to write negative_elbo."""

import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from vae_utils import losses


def by_two_functions(logits, x, mu, logvar, beta=1.0):
    return losses.bernoulli_nll(logits, x) + beta * losses.gaussian_kl(mu, logvar)


def in_full(logits, x, mu, logvar, beta=1.0):
    nll = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum((1, 2, 3))
    kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(1)
    return nll + beta * kl


def elbo_negated(logits, x, mu, logvar, beta=1.0):
    log_likelihood = -(F.softplus(logits) - x * logits).flatten(1).sum(1)
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(-1)
    return -(log_likelihood - beta * kl)


def by_library(logits, x, mu, logvar, beta=1.0):
    pixels = Independent(Bernoulli(logits=logits, validate_args=False), 3, validate_args=False)
    kl = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0)).sum(1)
    return beta * kl - pixels.log_prob(x)


def by_loops(logits, x, mu, logvar, beta=1.0):
    out = torch.zeros(len(x), dtype=x.dtype)
    for i in range(len(x)):
        nll = F.binary_cross_entropy_with_logits(logits[i], x[i], reduction="sum")
        out[i] = nll + beta * 0.5 * (mu[i].square() + logvar[i].exp() - 1 - logvar[i]).sum()
    return out


def in_place(logits, x, mu, logvar, beta=1.0):
    out = losses.bernoulli_nll(logits, x)
    out += beta * losses.gaussian_kl(mu, logvar)
    return out


def in_double(logits, x, mu, logvar, beta=1.0):
    return by_two_functions(logits.double(), x.double(), mu.double(), logvar.double(), beta)


def beta_as_tensor(logits, x, mu, logvar, beta=1.0):
    return torch.stack([losses.bernoulli_nll(logits, x), torch.as_tensor(beta) * losses.gaussian_kl(mu, logvar)]).sum(0)
