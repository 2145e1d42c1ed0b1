"""Right ways to write it, in different styles: each must pass."""

import numpy as np
import torch


def masked(codes, has):
    return codes[has].mean(dim=0) - codes[has.logical_not()].mean(dim=0)


def sums_over_counts(codes, has):
    weight = has.to(codes.dtype)[:, None]
    return (weight * codes).sum(0) / weight.sum() - ((1 - weight) * codes).sum(0) / (1 - weight).sum()


def matrix_product(codes, has):
    one = has.to(codes.dtype)
    other = 1 - one
    return one @ codes / one.sum() - other @ codes / other.sum()


def loop(codes, has):
    groups = {True: [], False: []}
    for code, mine in zip(codes, has.tolist(), strict=True):
        groups[mine].append(code)
    return torch.stack(groups[True]).mean(0) - torch.stack(groups[False]).mean(0)


def through_numpy(codes, has):
    z, mask = codes.numpy(), has.numpy()
    return torch.from_numpy(np.mean(z[mask], axis=0) - np.mean(z[~mask], axis=0))


def least_squares(codes, has):
    design = torch.stack([torch.ones(len(codes)), has.float()], 1).double()
    return torch.linalg.lstsq(design, codes.double()).solution[1].to(codes.dtype)


def chosen_rows(codes, has):
    return codes.index_select(0, has.nonzero()[:, 0]).mean(0) - codes.index_select(0, (~has).nonzero()[:, 0]).mean(0)
