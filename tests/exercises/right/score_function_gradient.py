"""Right ways to write it, in different styles: each must pass, whatever its noise."""

import torch
from torch.distributions import Normal


def formula(f, mu, sigma, n):
    z = torch.normal(mu.detach().expand(n), sigma.expand(n))
    return torch.mean(f(z) * (z - mu.detach()) / sigma.square())


def with_a_past(f, mu, sigma, n):
    z = mu + sigma * torch.randn(n)
    return (f(z) * (z - mu) / sigma**2).mean()


def in_terms_of_epsilon(f, mu, sigma, n):
    epsilon = torch.randn(n)
    return (f(mu + sigma * epsilon) * epsilon).mean() / sigma


def autograd_of_log_prob(f, mu, sigma, n):
    mu = mu.detach().requires_grad_()
    q = Normal(mu, sigma)
    z = q.sample((n,))
    return torch.autograd.grad((f(z) * q.log_prob(z)).mean(), mu)[0]


def backward_on_a_copy(f, mu, sigma, n):
    mu = mu.detach().clone().requires_grad_()
    z = (mu + sigma * torch.randn(n)).detach()
    (f(z).detach() * Normal(mu, sigma).log_prob(z)).sum().div(n).backward()
    return mu.grad


def loop(f, mu, sigma, n):
    total = 0.0
    for _ in range(n):
        z = mu.detach() + sigma * torch.randn(1)
        total += (f(z) * (z - mu.detach()) / sigma**2).item()
    return total / n


def einsum(f, mu, sigma, n):
    z = mu + sigma * torch.randn(n)
    return torch.einsum("i,i->", f(z), (z - mu) / sigma**2) / n


def float64_number(f, mu, sigma, n):
    z = torch.normal(mu.item(), sigma.item(), (n,), dtype=torch.float64)
    return (f(z) * (z - mu.item()) / sigma.item() ** 2).mean().item()


def leave_one_out_baseline(f, mu, sigma, n):
    z = (mu + sigma * torch.randn(n)).detach()
    losses = f(z)
    others = (losses.sum() - losses) / (n - 1) if n > 1 else 0.0
    return ((losses - others) * (z - mu) / sigma**2).mean()


def leave_one_out_without_a_case_for_one(f, mu, sigma, n):
    z = (mu + sigma * torch.randn(n)).detach()
    losses = f(z)
    return ((losses - (losses.sum() - losses) / (n - 1)) * (z - mu) / sigma**2).mean()  # 0/0 at n = 1


def mean_baseline_set_right(f, mu, sigma, n):
    z = (mu + sigma * torch.randn(n)).detach()
    losses = f(z)
    return 1 / (n - 1) * ((losses - losses.mean()) * (z - mu) / sigma**2).sum()  # an error at n = 1


def baseline_of_a_second_draw(f, mu, sigma, n):
    z, again = (mu + sigma * torch.randn(2, n)).detach()
    return ((f(z) - f(again)) * (z - mu) / sigma**2).mean()


def baseline_at_the_center(f, mu, sigma, n):
    z = (mu + sigma * torch.randn(n)).detach()
    return ((f(z) - f(mu.detach())) * (z - mu) / sigma**2).mean()


def antithetic(f, mu, sigma, n):
    epsilon = torch.randn(n)
    both = torch.cat([epsilon, -epsilon])
    return (f(mu + sigma * both) * both / sigma).mean()
