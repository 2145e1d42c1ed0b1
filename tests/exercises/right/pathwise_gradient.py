"""Right ways to write it, in different styles: each must pass, whatever its noise."""

import torch
from torch.distributions import Normal

OWN = torch.Generator().manual_seed(5)  # its noise does not depend on the seed of the check


def backward_on_a_copy(f, mu, sigma, n):
    mu = mu.detach().clone().requires_grad_(True)
    f(mu + sigma * torch.randn(n)).mean().backward()
    return mu.grad


def as_it_comes(f, mu, sigma, n):
    z = mu + sigma * torch.randn(n)
    return torch.autograd.grad(f(z).mean(), mu)[0]


def distribution(f, mu, sigma, n):
    mu = mu.detach().requires_grad_()
    z = Normal(mu, sigma).rsample((n,))
    return torch.autograd.grad(f(z).sum() / n, mu)[0]


def gradient_at_z(f, mu, sigma, n):
    z = (mu + sigma * torch.randn(n)).detach().requires_grad_()
    return torch.autograd.grad(f(z).sum(), z)[0].mean()  # dz/dmu is 1


def a_copy_for_each_draw(f, mu, sigma, n):
    copies = mu.detach().repeat(n).requires_grad_()
    f(copies + sigma * torch.randn(n)).sum().backward()
    return copies.grad.mean()


def loop(f, mu, sigma, n):
    mu = mu.detach().requires_grad_()
    total = 0.0
    for _ in range(n):
        z = mu + sigma * torch.randn(1)
        total += torch.autograd.grad(f(z).sum(), mu)[0]
    return total / n


def float64_number(f, mu, sigma, n):
    mu = mu.detach().double().requires_grad_()
    z = mu + sigma.double() * torch.randn(n, dtype=torch.float64)
    return torch.autograd.grad(f(z).mean(), mu)[0].item()


def functional(f, mu, sigma, n):
    epsilon = torch.randn(n)
    return torch.func.grad(lambda m: f(m + sigma * epsilon).mean())(mu.detach())


def forward_mode(f, mu, sigma, n):
    epsilon = torch.randn(n)
    _, slope = torch.func.jvp(lambda m: f(m + sigma * epsilon).mean(), (mu.detach(),), (torch.ones_like(mu),))
    return slope


def vectorized_map(f, mu, sigma, n):
    z = mu.detach() + sigma * torch.randn(n)
    return torch.vmap(torch.func.grad(f))(z).mean()


def rolled_elsewhere(f, mu, sigma, n):
    z = mu + sigma * torch.randn(n, generator=OWN)
    return torch.autograd.grad(f(z).mean(), mu)[0]


def antithetic(f, mu, sigma, n):
    """Use each draw twice, with both signs: unbiased, and quieter where f bends little."""
    epsilon = torch.randn(n)
    losses = torch.stack([f(mu + sigma * epsilon), f(mu - sigma * epsilon)])
    return torch.autograd.grad(losses.mean(), mu)[0]


def as_in_the_notebook(f, mu, sigma, n):
    mu = (mu + torch.zeros(n, dtype=torch.float64)).detach().requires_grad_()
    f(mu + sigma * torch.randn_like(mu)).sum().backward()
    return mu.grad.mean()


def finite_differences(f, mu, sigma, n):
    mu, sigma = mu.detach().double(), sigma.double()
    epsilon, h = torch.randn(n, dtype=torch.float64), 1e-4
    return ((f(mu + h + sigma * epsilon) - f(mu - h + sigma * epsilon)) / (2 * h)).mean()
