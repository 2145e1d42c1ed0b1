"""Right ways to write it, in different styles: each must pass."""

import math

import numpy as np
import torch
import torch.nn.functional as F


def similarity(a, b, t):
    angle = torch.acos(F.cosine_similarity(a, b, dim=1)).unsqueeze(1)
    return torch.sin((1 - t) * angle) / torch.sin(angle) * a + torch.sin(t * angle) / torch.sin(angle) * b


def unit_vectors(a, b, t):
    u, v = F.normalize(a, dim=1), F.normalize(b, dim=1)
    angle = (u * v).sum(-1, keepdim=True).clamp(-1, 1).arccos()
    return (a * ((1 - t) * angle).sin() + b * (t * angle).sin()) / angle.sin()


def loop(a, b, t):
    made = []
    for x, y in zip(a, b, strict=True):
        angle = math.acos((x @ y / (x.norm() * y.norm())).item())
        made.append(math.sin((1 - t) * angle) / math.sin(angle) * x + math.sin(t * angle) / math.sin(angle) * y)
    return torch.stack(made)


def arc_tangent(a, b, t):
    u, v = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    angle = 2 * torch.atan2((u - v).norm(dim=1, keepdim=True), (u + v).norm(dim=1, keepdim=True))
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def through_numpy(a, b, t):
    x, y = a.numpy(), b.numpy()
    cosine = (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    angle = np.arccos(np.clip(cosine, -1, 1))[:, None]
    made = np.sin((1 - t) * angle) / np.sin(angle) * x + np.sin(t * angle) / np.sin(angle) * y
    return torch.from_numpy(made.astype(x.dtype))


def einsum(a, b, t):
    angle = (torch.einsum("ni,ni->n", a, b) / a.norm(dim=1) / b.norm(dim=1)).acos()
    weights = torch.stack([((1 - t) * angle).sin(), (t * angle).sin()]) / angle.sin()
    return weights[0][:, None] * a + weights[1][:, None] * b
