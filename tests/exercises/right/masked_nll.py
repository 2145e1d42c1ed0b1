"""Right ways to write it, in different styles: each must pass."""

import torch


def torch_where(nll, known):
    return torch.where(known, nll, torch.zeros_like(nll)).sum(dim=1)


def masked_fill(nll, known):
    return nll.masked_fill(~known, 0.0).sum(-1)


def zeros_first(nll, known):
    return nll.nan_to_num().mul(known).sum(1)


def row_by_row(nll, known):
    return torch.stack([row[mask].sum() for row, mask in zip(nll, known, strict=True)])


def in_place_on_a_copy(nll, known):
    kept = nll.clone()
    kept[~known] = 0
    return kept.sum(1)


def sparse(nll, known):
    return torch.zeros(len(nll), dtype=nll.dtype).index_add(0, known.nonzero()[:, 0], nll[known])
