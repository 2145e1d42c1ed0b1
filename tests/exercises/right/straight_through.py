"""Right ways to write it, in different styles: each must pass."""

import torch
import torch.nn.functional as F


def one_hot(logits, noise, temperature):
    soft = F.softmax((logits + noise) / temperature, dim=-1)
    hard = F.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype)
    return (hard - soft).detach() + soft


def compared(logits, noise, temperature):
    soft = torch.softmax((logits + noise) / temperature, -1)
    hard = (soft == soft.max(-1, keepdim=True).values).to(soft)
    return hard.detach() - soft.detach() + soft


def without_grad(logits, noise, temperature):
    y = ((logits + noise) / temperature).softmax(dim=-1)
    with torch.no_grad():
        code = torch.zeros_like(y)
        code.scatter_(-1, y.max(-1, keepdim=True)[1], 1)
        code = code - y
    return code + y


class _Choose(torch.autograd.Function):
    @staticmethod
    def forward(ctx, soft):
        return torch.eye(soft.shape[-1], dtype=soft.dtype)[soft.argmax(-1)]

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def own_function(logits, noise, temperature):
    return _Choose.apply(torch.softmax((logits + noise) / temperature, -1))


def by_hand(logits, noise, temperature):
    scaled = (logits + noise) / temperature
    powers = (scaled - scaled.amax(-1, keepdim=True).detach()).exp()
    soft = powers / powers.sum(-1, keepdim=True)
    hard = torch.eye(soft.shape[-1], dtype=soft.dtype)[(logits + noise).argmax(-1)]
    return hard + soft - soft.detach()


def by_products(logits, noise, temperature):
    soft = ((logits + noise) / temperature).softmax(-1)
    hard = F.one_hot((logits + noise).argmax(-1), logits.size(-1)).type_as(logits)
    return hard + (soft - soft.clone().detach())
