"""Right ways to write it, in different styles: each must pass."""

import numpy as np
import torch
from torch.distributions import MultivariateNormal, Normal

OWN = torch.Generator().manual_seed(5)  # its noise does not depend on the seed of the check
OWN_NUMPY = np.random.default_rng(5)


def plain(decode, n, latent_dim):
    return decode(torch.randn(n, latent_dim))


def distribution(decode, n, latent_dim):
    return decode(Normal(0.0, 1.0).sample((n, latent_dim)))


def multivariate(decode, n, latent_dim):
    prior = MultivariateNormal(torch.zeros(latent_dim), torch.eye(latent_dim))
    return decode(prior.sample((n,)))


def one_at_a_time(decode, n, latent_dim):
    return torch.cat([decode(torch.randn(1, latent_dim)) for _ in range(n)])


def in_batches(decode, n, latent_dim):
    return torch.cat([decode(z) for z in torch.randn(n, latent_dim).split(100)])


def through_numpy(decode, n, latent_dim):
    return decode(torch.from_numpy(OWN_NUMPY.standard_normal((n, latent_dim))).float())


def numpys_old_generator(decode, n, latent_dim):
    return decode(torch.tensor(np.random.randn(n, latent_dim), dtype=torch.float32))


def no_grad(decode, n, latent_dim):
    with torch.no_grad():
        return decode(torch.empty(n, latent_dim).normal_())


def rolled_elsewhere(decode, n, latent_dim):
    return decode(torch.randn(n, latent_dim, generator=OWN))


def box_muller(decode, n, latent_dim):
    u, v = 1 - torch.rand(2, n, latent_dim, dtype=torch.float64)
    return decode(((-2 * u.log()).sqrt() * (2 * torch.pi * v).cos()).float())
