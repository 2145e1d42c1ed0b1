"""Right ways to write it, in different styles: each must pass."""

import math

import numpy as np
import torch


def kthvalue(scores, share):
    k = math.ceil((len(scores) + 1) * (1 - share))
    return scores.kthvalue(k).values.item() if k <= len(scores) else float("inf")


def plain_python(scores, share):
    ranked = [*sorted(scores.tolist()), math.inf]
    return ranked[math.ceil((len(scores) + 1) * (1 - share)) - 1]


def with_infinity_appended(scores, share):
    ranked = torch.cat([scores, torch.tensor([torch.inf])]).sort().values
    return float(ranked[math.ceil(len(ranked) * (1 - share)) - 1])


def higher_quantile(scores, share):
    level = math.ceil((len(scores) + 1) * (1 - share)) / len(scores)
    return math.inf if level > 1 else np.quantile(scores.numpy(), level, method="inverted_cdf")


def from_the_top(scores, share):
    above = len(scores) - math.ceil((len(scores) + 1) * (1 - share))
    return torch.inf if above < 0 else scores.topk(above + 1).values[-1].item()
