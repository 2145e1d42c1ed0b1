"""Other right answers to the assignments' questions: loops, autograd, other formulas. By assignment and name."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def pca_by_pictures(x: Tensor, x_train: Tensor, k: int) -> Tensor:
    mean = x_train.mean(dim=0, keepdim=True)
    _, directions = torch.linalg.eigh(torch.cov(x_train.T))
    best = directions[:, directions.shape[1] - k :]
    drawn = []
    for picture in x:
        there = mean[0].clone()
        for direction in best.T:
            there = there + torch.dot(picture - mean[0], direction) * direction
        drawn.append(there)
    return torch.stack(drawn)


def hidden_error_by_pictures(x_hat: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    errors = []
    for a, b, mask in zip(x_hat, x, hidden, strict=True):
        errors.append(((a[mask] - b[mask]) ** 2).mean() if mask.any() else 0 * a.sum())
    return torch.stack(errors)


def undo_by_codes(z_moved: Tensor, A: Tensor, b: Tensor) -> Tensor:
    return torch.stack([torch.linalg.inv(A) @ (z - b) for z in z_moved])


def sample_by_draws(mu: Tensor, logvar: Tensor, index: Tensor, epsilon: Tensor) -> Tensor:
    return torch.stack([mu[i] + logvar[i].exp() ** 0.5 * e for i, e in zip(index.tolist(), epsilon, strict=True)])


def log_aggregate_by_clouds(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    found = []
    for m, v in zip(mu, logvar, strict=True):
        found.append(
            sum(-((z[:, j] - m[j]) ** 2) / v[j].exp() / 2 - v[j] / 2 - math.log(2 * math.pi) / 2 for j in range(len(m)))
        )
    logs = torch.stack(found)
    top = logs.amax(0)
    return top + (logs - top).exp().mean(0).log()


def moments_by_hand(mu: Tensor, logvar: Tensor) -> Tensor:
    second = (logvar.exp() + mu**2).sum(0) / mu.shape[0]
    first = mu.sum(0) / mu.shape[0]
    return torch.cat([first[None], (second - first**2)[None]])


def laplace_by_cases(mu: Tensor, log_b: Tensor, u: Tensor) -> Tensor:
    b = torch.exp(log_b)
    return torch.where(u < 0.5, mu + b * torch.log(2 * u), mu - b * torch.log(2 - 2 * u))


def pathwise_by_autograd(u: Tensor, mu: Tensor, log_b: Tensor, k: float) -> Tensor:
    mu, log_b = mu.clone().requires_grad_(), log_b.clone().requires_grad_()
    loss = ((laplace_by_cases(mu, log_b, u) - k) ** 2).mean()
    return torch.stack(torch.autograd.grad(loss, (mu, log_b)))


def score_by_autograd(z: Tensor, f: Tensor, mu: Tensor, log_b: Tensor, baseline: float) -> Tensor:
    mu, log_b = mu.clone().requires_grad_(), log_b.clone().requires_grad_()
    log_q = -torch.log(2 * log_b.exp()) - (z - mu).abs() / log_b.exp()
    return torch.stack(torch.autograd.grad(((f - baseline) * log_q).mean(), (mu, log_b)))


def kl_by_latents(mu_q: Tensor, logvar_q: Tensor, mu_p: Tensor, logvar_p: Tensor) -> Tensor:
    total = torch.zeros_like(mu_q[:, 0])
    for j in range(mu_q.shape[1]):
        sq, sp = torch.exp(logvar_q[:, j] / 2), torch.exp(logvar_p[:, j] / 2)
        total = total + torch.log(sp / sq) + (sq**2 + (mu_q[:, j] - mu_p[:, j]) ** 2) / (2 * sp**2) - 0.5
    return total


def objective_with_the_course(x_hat: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, s: float, beta: float) -> Tensor:
    from vae_utils.losses import gaussian_kl

    pixels = torch.abs(x_hat - x) / s
    return pixels.sum(dim=1) + x.shape[1] * math.log(2 * s) + beta * gaussian_kl(mu, logvar)


def free_nats_by_latents(mu: Tensor, logvar: Tensor, floor: float) -> Tensor:
    from vae_utils.losses import gaussian_kl

    total = torch.zeros(())
    for j in range(mu.shape[1]):
        total = total + torch.clamp(gaussian_kl(mu[:, [j]], logvar[:, [j]]).mean(), min=floor)
    return total


RIGHT: dict[str, dict[str, Callable[..., Any]]] = {
    "autoencoder": {
        "pca_reconstruct": pca_by_pictures,
        "hidden_error": hidden_error_by_pictures,
        "undo": undo_by_codes,
    },
    "vae": {
        "sample_aggregate": sample_by_draws,
        "log_aggregate": log_aggregate_by_clouds,
        "aggregate_moments": moments_by_hand,
    },
    "reparameterization": {
        "laplace_draw": laplace_by_cases,
        "laplace_pathwise": pathwise_by_autograd,
        "score_gradient": score_by_autograd,
    },
    "loss": {
        "kl_between": kl_by_latents,
        "laplace_objective": objective_with_the_course,
        "free_nats": free_nats_by_latents,
    },
}
