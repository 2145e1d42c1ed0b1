"""Right ways to write it, in different styles: each must pass, whatever its noise."""

import random

import numpy as np
import torch
from torch import nn
from torch.distributions import Independent, MultivariateNormal, Normal

OWN = torch.Generator().manual_seed(5)  # its noise does not depend on the seed of the check


def root_of_the_variance(mu, logvar):
    return mu + torch.sqrt(torch.exp(logvar)) * torch.randn(mu.shape, dtype=mu.dtype)


def rsample(mu, logvar):
    return Normal(mu, (logvar / 2).exp()).rsample()


def independent(mu, logvar):
    return Independent(Normal(mu, logvar.mul(0.5).exp()), 1).rsample()


def multivariate(mu, logvar):
    return MultivariateNormal(mu, scale_tril=torch.diag_embed((0.5 * logvar).exp())).rsample()


def loop_over_rows(mu, logvar):
    return torch.stack([m + (0.5 * v).exp() * torch.randn(len(m)) for m, v in zip(mu, logvar, strict=True)])


def loops(mu, logvar):
    rows = []
    for m, v in zip(mu, logvar, strict=True):
        rows.append(torch.stack([m[j] + torch.exp(v[j] / 2) * random.gauss(0, 1) for j in range(len(m))]))
    return torch.stack(rows)


def in_place_on_new_tensors(mu, logvar):
    z = torch.randn_like(mu)
    z = z.mul((0.5 * logvar).exp())
    z += mu
    return z


def einsum(mu, logvar):
    return mu + torch.einsum("bl,bl->bl", (0.5 * logvar).exp(), torch.empty_like(mu).normal_())


def addcmul(mu, logvar):
    return torch.addcmul(mu, (logvar * 0.5).exp(), torch.randn_like(mu))


def float64(mu, logvar):
    return (mu.double() + (0.5 * logvar.double()).exp() * torch.randn(mu.shape, dtype=torch.float64)).to(mu.dtype)


def numpys_generator(mu, logvar):
    epsilon = torch.as_tensor(np.random.standard_normal(tuple(mu.shape)), dtype=mu.dtype)
    return mu + (0.5 * logvar).exp() * epsilon


def rolled_elsewhere(mu, logvar):
    return mu + (0.5 * logvar).exp() * torch.randn(mu.shape, generator=OWN, dtype=mu.dtype)


def torch_normal_for_the_noise(mu, logvar):
    epsilon = torch.normal(torch.zeros_like(mu), torch.ones_like(mu)).detach()
    return mu + epsilon * (0.5 * logvar).exp()


def clamped(mu, logvar):
    return mu + (0.5 * logvar.clamp(-10, 10)).exp() * torch.randn_like(mu)


class _Sampler(nn.Module):
    def forward(self, mu, logvar):
        return mu + (0.5 * logvar).exp() * torch.randn_like(mu)


def module(mu, logvar):
    return _Sampler()(mu, logvar)


def inverse_of_the_normal_curve(mu, logvar):
    u = torch.rand(mu.shape, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
    return mu + (0.5 * logvar).exp() * torch.special.ndtri(u).to(mu.dtype)
