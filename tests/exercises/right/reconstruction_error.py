"""Right ways to write it, in different styles: each must pass."""

import torch
import torch.nn.functional as F
from torch.distributions import Normal


def flattened(x, x_hat):
    return ((x - x_hat) ** 2).flatten(1).sum(1)


def named_axes(x, x_hat):
    return (x - x_hat).pow(2).sum(dim=(1, 2, 3))


def einsum(x, x_hat):
    d = x - x_hat
    return torch.einsum("bchw,bchw->b", d, d)


def loop(x, x_hat):
    return torch.stack([((a - b) ** 2).sum() for a, b in zip(x, x_hat, strict=True)])


def loop_into_zeros(x, x_hat):
    total = torch.zeros(len(x), dtype=x.dtype)
    for i in range(len(x)):
        total[i] = (x[i] - x_hat[i]).square().sum()
    return total


def mse_loss(x, x_hat):
    return F.mse_loss(x_hat, x, reduction="none").reshape(len(x), -1).sum(-1)


def mean_times_pixels(x, x_hat):
    return (x - x_hat).square().mean(dim=(1, 2, 3)) * x[0].numel()


def expanded_square(x, x_hat):
    a, b = x.flatten(1).double(), x_hat.flatten(1).double()
    return a.square().sum(1) - 2 * (a * b).sum(1) + b.square().sum(1)


def norm_squared(x, x_hat):
    return (x - x_hat).flatten(1).norm(dim=1) ** 2


def in_place_on_a_copy(x, x_hat):
    d = x_hat.clone()
    d -= x
    d *= d.clone()
    return d.flatten(1).sum(1)


def from_a_density(x, x_hat):
    density = Normal(x_hat.double(), 1.0).log_prob(x.double())
    return -2 * (density - Normal(0.0, 1.0).log_prob(torch.zeros(()).double())).flatten(1).sum(1)


def vectorized_map(x, x_hat):
    return torch.vmap(lambda a, b: (a - b).square().sum())(x, x_hat)
