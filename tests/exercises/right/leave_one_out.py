"""Right ways to write it, in different styles: each must pass."""

import numpy as np
import torch


def one_by_one(losses, scores):
    total = torch.zeros_like(scores[0])
    for i in range(len(losses)):
        others = torch.cat([losses[:i], losses[i + 1 :]])
        total = total + (losses[i] - others.mean()) * scores[i]
    return total / len(losses)


def covariance(losses, scores):
    return (losses - losses.mean()) @ scores / (len(losses) - 1)


def covariance_of_both(losses, scores):
    return (losses - losses.mean()) @ (scores - scores.mean(0)) / (len(losses) - 1)


def by_mask(losses, scores):
    k = len(losses)
    rest = (1 - torch.eye(k, dtype=losses.dtype)) / (k - 1)
    return torch.einsum("k,kn->n", losses - rest @ losses, scores) / k


def stretched(losses, scores):
    k = losses.shape[0]
    return k / (k - 1) * ((losses - losses.mean()).unsqueeze(1) * scores).mean(dim=0)


def all_pairs(losses, scores):
    k = len(losses)
    differences = losses[:, None] - losses[None, :]
    return (differences.sum(1)[:, None] * scores).sum(0) / (k * (k - 1))


def through_numpy(losses, scores):
    f, s = losses.numpy(), scores.numpy()
    baseline = (f.sum() - f) / (len(f) - 1)
    return torch.from_numpy(np.mean((f - baseline)[:, None] * s, axis=0).astype(s.dtype))
