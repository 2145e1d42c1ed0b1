"""Wrong ways to write `generate`: new pictures from the prior."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .mistake import mistake

Decode = Callable[[Tensor], Tensor]


@mistake
def uniform_codes(decode: Decode, n: int, latent_dim: int) -> Tensor:
    """Your codes are uniform, between 0 and 1: `torch.rand`, one letter short of `torch.randn`. All their numbers are
    positive, so you visit one corner of the prior's place. The pictures look fine, and like each other: most kinds of
    animals can never come up."""
    return decode(torch.rand(n, latent_dim))


@mistake
def uniform_box(decode: Decode, n: int, latent_dim: int) -> Tensor:
    """Your codes are uniform, between −1 and 1. The clouds were asked to fill N(0, I), and that reaches farther: one
    number in three is outside of your box. The pictures look clean and typical, and the rarer ones never come up.
    `torch.randn` draws from the prior."""
    return decode(2 * torch.rand(n, latent_dim) - 1)


@mistake
def no_noise(decode: Decode, n: int, latent_dim: int) -> Tensor:
    """All your codes are 0, the middle of the prior, so all your pictures are one and the same. Nothing was drawn. (The
    code 0 is not even a typical one: with many numbers, draws from N(0, I) stay well away from 0.)"""
    return decode(torch.zeros(n, latent_dim))


@mistake
def one_code_for_all(decode: Decode, n: int, latent_dim: int) -> Tensor:
    """You draw one code and use it n times: n copies of one picture, another one in each call. Each picture needs its
    own draw: the shape is (n, latent_dim)."""
    return decode(torch.randn(1, latent_dim).repeat(n, 1))


@mistake
def one_number_per_code(decode: Decode, n: int, latent_dim: int) -> Tensor:
    """All numbers of a code are the same single draw. Your codes lie on the diagonal of code space, one line out of all
    of it, so the pictures are stations of one walk. Every number of every code needs its own draw."""
    return decode(torch.randn(n, 1).repeat(1, latent_dim))


@mistake
def fixed_seed(decode: Decode, n: int, latent_dim: int) -> Tensor:
    """Every call gives the same pictures: there is a fixed seed inside the function. Whoever asks twice for 100
    pictures has 100, not 200. Seed once, at the start of the notebook."""
    return decode(torch.randn(n, latent_dim, generator=torch.Generator().manual_seed(0)))


@mistake
def only_positive(decode: Decode, n: int, latent_dim: int) -> Tensor:
    """All numbers of your codes are positive. The prior is symmetric about 0: with 8 numbers you use one corner out of
    256. Leave the sign as it was drawn."""
    return decode(torch.randn(n, latent_dim).abs())


@mistake
def too_narrow(decode: Decode, n: int, latent_dim: int) -> Tensor:
    """Your codes have standard deviation 0.5; the prior has 1. It is a well-known trick: the samples look cleaner,
    since they stay where the decoder knows its way. But it is not the prior, and the variety is gone. In a figure that
    compares models it would be cheating."""
    return decode(0.5 * torch.randn(n, latent_dim))


@mistake
def not_decoded(decode: Decode, n: int, latent_dim: int) -> Tensor:
    """You return codes, not pictures: the decoder was left out. z is drawn from the prior, `decode(z)` is the
    picture."""
    return torch.randn(n, latent_dim)


@mistake
def sigmoid_twice(decode: Decode, n: int, latent_dim: int) -> Tensor:
    """You apply a sigmoid to what `decode` returns. Its pictures are in [0, 1] already; a second sigmoid squeezes them
    into 0.5 to 0.73, and everything is a grey fog. Hand on what `decode` gives."""
    return decode(torch.randn(n, latent_dim)).sigmoid()


@mistake
def noise_on_pictures(decode: Decode, n: int, latent_dim: int) -> Tensor:
    """You add noise to the pictures after decoding. The variety is in the codes; noise on single pixels makes snow, not
    animals. Return what `decode` gives, the mean of p(x|z)."""
    pictures = decode(torch.randn(n, latent_dim))
    return pictures + torch.randn_like(pictures)


@mistake
def only_one(decode: Decode, n: int, latent_dim: int) -> Tensor:
    """One picture comes back, whatever n is. Draw n codes: the shape is (n, latent_dim)."""
    return decode(torch.randn(1, latent_dim))
