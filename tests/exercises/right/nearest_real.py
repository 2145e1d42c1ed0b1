"""Right ways to write it, in different styles: each must pass."""

import torch
from sklearn.neighbors import NearestNeighbors


def broadcast(samples, real):
    return ((samples[:, None] - real[None]) ** 2).sum((2, 3, 4)).argmin(1)


def expanded_square(samples, real):
    a, b = samples.flatten(1).double(), real.flatten(1).double()
    return (b.square().sum(1) - 2 * a @ b.T).argmin(dim=1)


def loops(samples, real):
    best = []
    for sample in samples:
        errors = [((sample - other) ** 2).sum().item() for other in real]
        best.append(errors.index(min(errors)))
    return torch.tensor(best)


def one_loop(samples, real):
    return torch.stack([(real - sample).square().sum((1, 2, 3)).argmin() for sample in samples])


def int32(samples, real):
    return torch.cdist(samples.flatten(1), real.flatten(1)).argmin(1).int()


def topk(samples, real):
    return torch.cdist(samples.flatten(1), real.flatten(1)).topk(1, largest=False).indices.squeeze(1)


def sort(samples, real):
    return torch.cdist(samples.flatten(1), real.flatten(1)).argsort(dim=1)[:, 0]


def einsum(samples, real):
    d = samples[:, None] - real[None]
    return torch.einsum("nmchw,nmchw->nm", d, d).min(dim=1).indices


def scikit_learn(samples, real):
    finder = NearestNeighbors(n_neighbors=1).fit(real.flatten(1).numpy())
    return torch.from_numpy(finder.kneighbors(samples.flatten(1).numpy(), return_distance=False)[:, 0])


def mean_is_as_good(samples, real):
    return (samples.flatten(1)[:, None] - real.flatten(1)).square().mean(-1).argmin(-1)
