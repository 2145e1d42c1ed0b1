"""Right ways to write it, in different styles: each must pass."""

import numpy as np
import torch


def weights(z_start, z_end, steps):
    t = torch.linspace(0, 1, steps).unsqueeze(1)
    return (1 - t) * z_start + t * z_end


def lerp(z_start, z_end, steps):
    return torch.lerp(z_start, z_end, torch.linspace(0, 1, steps, dtype=z_start.dtype)[:, None])


def loop(z_start, z_end, steps):
    return torch.stack([z_start + i / (steps - 1) * (z_end - z_start) for i in range(steps)])


def outer(z_start, z_end, steps):
    return z_start + torch.outer(torch.linspace(0, 1, steps, dtype=z_start.dtype), z_end - z_start)


def einsum(z_start, z_end, steps):
    t = torch.linspace(0, 1, steps, dtype=z_start.dtype)
    return torch.einsum("s,l->sl", 1 - t, z_start) + torch.einsum("s,l->sl", t, z_end)


def each_number(z_start, z_end, steps):
    columns = [torch.linspace(a.item(), b.item(), steps) for a, b in zip(z_start, z_end, strict=True)]
    return torch.stack(columns, dim=1)


def through_numpy(z_start, z_end, steps):
    return torch.from_numpy(np.linspace(z_start.numpy(), z_end.numpy(), steps))


def into_zeros(z_start, z_end, steps):
    z = torch.zeros(steps, len(z_start), dtype=torch.float64)
    for i in range(steps):
        z[i] = z_start + (z_end - z_start) * i / (steps - 1)
    return z


def in_place_on_a_copy(z_start, z_end, steps):
    z = z_start.repeat(steps, 1)
    z += torch.arange(steps)[:, None] / (steps - 1) * (z_end - z_start)
    return z


def running_sum(z_start, z_end, steps):
    gaps = ((z_end - z_start) / (steps - 1)).expand(steps - 1, -1)
    return torch.cat([z_start[None], z_start + gaps.cumsum(0)])
