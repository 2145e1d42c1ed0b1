"""Right ways to write it, in different styles: each must pass."""

import math

import numpy as np
import torch
from torch.distributions import Independent, MultivariateNormal, Normal


def by_hand(nll, z, mu, logvar):
    noise = (z - mu[:, None]) / (0.5 * logvar[:, None]).exp()
    log_w = -nll - 0.5 * z.square().sum(2) + 0.5 * (noise.square() + logvar[:, None]).sum(2)
    return torch.logsumexp(log_w, 1) - math.log(log_w.shape[1])


def largest_first(nll, z, mu, logvar):
    log_q = Normal(mu.unsqueeze(1), torch.exp(logvar / 2).unsqueeze(1)).log_prob(z).sum(-1)
    log_w = Normal(torch.zeros_like(z), torch.ones_like(z)).log_prob(z).sum(-1) - nll - log_q
    top = log_w.max(1, keepdim=True).values
    return (top + (log_w - top).exp().mean(1, keepdim=True).log()).squeeze(1)


def distributions(nll, z, mu, logvar):
    q = Independent(Normal(mu, logvar.exp().sqrt()), 1)
    p = MultivariateNormal(torch.zeros_like(mu[0]), torch.eye(mu.shape[1], dtype=mu.dtype))
    draws = z.transpose(0, 1)  # (k, n, latent)
    log_w = p.log_prob(draws) - q.log_prob(draws) - nll.T
    return log_w.logsumexp(0) - math.log(len(draws))


def loop(nll, z, mu, logvar):
    bounds = []
    for i in range(len(z)):
        total = torch.tensor(-math.inf, dtype=z.dtype)
        for j in range(z.shape[1]):
            log_q = -0.5 * ((z[i, j] - mu[i]) ** 2 / logvar[i].exp() + logvar[i]).sum()
            total = torch.logaddexp(total, -nll[i, j] - 0.5 * (z[i, j] ** 2).sum() - log_q)
        bounds.append(total - math.log(z.shape[1]))
    return torch.stack(bounds)


def through_numpy(nll, z, mu, logvar):
    a, b, m, s = (part.double().numpy() for part in (nll, z, mu, logvar))
    log_q = -0.5 * ((b - m[:, None]) ** 2 / np.exp(s)[:, None] + s[:, None]).sum(2)
    found = np.logaddexp.reduce(-a - 0.5 * (b**2).sum(2) - log_q, axis=1) - np.log(a.shape[1])
    return torch.from_numpy(found).to(nll.dtype)


def scaled_inside(nll, z, mu, logvar):
    log_q = -0.5 * (((z - mu[:, None]) ** 2) * (-logvar[:, None]).exp() + logvar[:, None]).sum(2)
    log_w = -nll - 0.5 * z.pow(2).sum(2) - log_q
    return (log_w - torch.log(torch.tensor(float(z.size(1)), dtype=z.dtype))).logsumexp(dim=1)
