"""Right ways to write gaussian_kl."""

import math

import torch
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence


def usual(mu, logvar):
    return -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1)


def last_axis(mu, logvar):
    return 0.5 * (mu**2 + torch.exp(logvar) - 1 - logvar).sum(dim=-1)


def with_sigma(mu, logvar):
    sigma = (0.5 * logvar).exp()
    return (0.5 * (mu**2 + sigma**2 - 1) - sigma.log()).sum(1)


def expm1(mu, logvar):
    return 0.5 * (mu * mu + torch.expm1(logvar) - logvar).sum(1)


def by_library(mu, logvar):
    return kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0)).sum(1)


def by_independent(mu, logvar):
    q = Independent(Normal(mu, torch.exp(logvar / 2)), 1)
    p = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    return kl_divergence(q, p)


def by_matrices(mu, logvar):
    n = mu.shape[1]
    p = MultivariateNormal(mu.new_zeros(n), torch.eye(n, dtype=mu.dtype))
    return kl_divergence(MultivariateNormal(mu, torch.diag_embed(logvar.exp())), p)


def by_loops(mu, logvar):
    rows = []
    for m, v in zip(mu, logvar, strict=True):
        total = 0.0
        for a, b in zip(m, v, strict=True):
            total = total + (a * a + b.exp() - 1 - b) / 2
        rows.append(total)
    return torch.stack(rows)


def by_einsum(mu, logvar):
    parts = torch.einsum("bi,bi->b", mu, mu) + torch.einsum("bi->b", logvar.exp() - logvar)
    return 0.5 * (parts - mu.shape[1])


def in_place(mu, logvar):
    out = mu**2
    out += logvar.exp()
    out -= 1
    out -= logvar
    return out.sum(1).mul_(0.5)


def in_double(mu, logvar):
    mu64, logvar64 = mu.double(), logvar.double()
    return (0.5 * (mu64.square() + logvar64.exp() - 1 - logvar64).sum(1)).to(mu.dtype)


def stays_double(mu, logvar):
    return 0.5 * (mu.double().square() + logvar.double().exp() - 1 - logvar.double()).sum(1)


def entropy_and_cross_entropy(mu, logvar):
    entropy = 0.5 * (math.log(2 * math.pi) + 1 + logvar)
    cross = 0.5 * (math.log(2 * math.pi) + mu**2 + logvar.exp())
    return torch.sum(cross - entropy, 1)


def mean_times_count(mu, logvar):
    return 0.5 * mu.shape[1] * (mu**2 + logvar.exp() - 1 - logvar).mean(1)
