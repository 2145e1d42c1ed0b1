"""Right ways to write it, in different styles: each must pass."""

import torch
import torch.nn.functional as F


def maximum(kl, least):
    each = kl.mean(0)
    return torch.maximum(each, torch.full_like(each, least)).sum()


def loop(kl, least):
    total = torch.zeros((), dtype=kl.dtype)
    for column in kl.T:
        mean = column.sum() / len(column)
        total = total + (mean if mean > least else torch.full_like(mean, least))
    return total


def rest_over(kl, least):
    return (least + F.relu(kl.mean(dim=0) - least)).sum()


def chosen(kl, least):
    each = torch.einsum("bl->l", kl) / kl.shape[0]
    return torch.where(each > least, each, torch.tensor(least, dtype=kl.dtype)).sum()


def masked(kl, least):
    each = kl.mean(0)
    above = each > least
    return each[above].sum() + least * (~above).sum()


def threshold(kl, least):
    return sum(F.threshold(kl.mean(0), least, least))
