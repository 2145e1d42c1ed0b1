"""Wrong ways to write `reparameterize`: the draw of z."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Normal

from .mistake import mistake


@mistake
def no_noise(mu: Tensor, logvar: Tensor) -> Tensor:
    """You return `mu` itself: no dice were rolled. A VAE without noise is an autoencoder again. Its reconstructions may
    even look better, but no picture has a cloud any more, nothing asks neighbors in code space to agree, and what the
    decoder draws from N(0, I) suffers. Roll an epsilon for every number."""
    return mu.clone()


@mistake
def detached(mu: Tensor, logvar: Tensor) -> Tensor:
    """The draws are right, but no gradient passes through them: z has no past. `Normal(...).sample()` does that, and
    any `detach` or `no_grad` on the way. In training nothing complains. The encoder hears only of the KL, every cloud
    becomes the prior, and every reconstruction the average picture. Roll epsilon on its own and compute z from `mu`,
    `logvar` and epsilon."""
    return Normal(mu, (0.5 * logvar).exp()).sample()


@mistake
def silent_zeros(mu: Tensor, logvar: Tensor) -> Tensor:
    """The draws are right, and z even has a `grad_fn`, but the gradient that comes back is exactly 0. `torch.normal(mu,
    sigma)` does that, without a word. In training the KL falls to 0, and every reconstruction is the average picture.
    Roll standard dice (`torch.randn_like`), then scale and shift them yourself."""
    return torch.normal(mu, (0.5 * logvar).exp())


@mistake
def sigma_detached(mu: Tensor, logvar: Tensor) -> Tensor:
    """The draws are right and `mu` gets its gradient, but `logvar` gets none. The clouds can then move, but the
    reconstruction has no say in their width: the KL alone sets it, to 1, however much that blurs the picture. Compute
    sigma from `logvar` without `detach`, `.data` or `no_grad`."""
    return mu + (0.5 * logvar).exp().detach() * torch.randn_like(mu)


@mistake
def mu_detached(mu: Tensor, logvar: Tensor) -> Tensor:
    """The draws are right and `logvar` gets its gradient, but `mu` gets none from the draw. The KL alone moves `mu`, to
    0, for every picture: then a code says next to nothing about its picture. Use `mu` as it comes in."""
    return mu.detach() + (0.5 * logvar).exp() * torch.randn_like(mu)


@mistake
def std_is_exp_logvar(mu: Tensor, logvar: Tensor) -> Tensor:
    """Your standard deviation is exp(logvar), and that is the variance, sigma²: too wide a cloud where sigma is above
    1, as in the example below, and too tight a one where it is below 1. In training most clouds are tight, and are then
    drawn tighter than the KL charges for. No curve will tell you: the loss may even *beat* the right one, and is not a
    bound any more. sigma is the root: exp(logvar / 2)."""
    return mu + logvar.exp() * torch.randn_like(mu)


@mistake
def std_is_logvar(mu: Tensor, logvar: Tensor) -> Tensor:
    """You use `logvar` itself as the standard deviation. It is a logarithm: where the variance is 1 it is 0, so a cloud
    as wide as the prior gets no noise at all, and a narrow one (a very negative `logvar`) gets a lot. Undo the
    logarithm first: sigma = exp(logvar / 2)."""
    return mu + logvar * torch.randn_like(mu)


@mistake
def std_is_half_logvar(mu: Tensor, logvar: Tensor) -> Tensor:
    """You halve `logvar` and use that as the standard deviation. log sigma² / 2 is log sigma, still a logarithm: it can
    be 0 or negative. The exponential is missing: sigma = exp(logvar / 2)."""
    return mu + 0.5 * logvar * torch.randn_like(mu)


@mistake
def std_is_root_of_logvar(mu: Tensor, logvar: Tensor) -> Tensor:
    """You take the square root of `logvar`. That would be right for the variance, but `logvar` is its *logarithm*, and
    that is negative for every cloud narrower than the prior: the root is then NaN, and one NaN in a batch turns all
    weights into NaN at the next step. Undo the logarithm: sigma = exp(logvar / 2)."""
    return mu + logvar.sqrt() * torch.randn_like(mu)


@mistake
def std_is_one_over_sigma(mu: Tensor, logvar: Tensor) -> Tensor:
    """Your standard deviation is 1 / sigma: a minus sign too many in the exponent. Wide clouds become narrow, narrow
    ones wide, and the KL, which reads `logvar` the right way, pushes against the reconstruction. sigma = exp(logvar /
    2)."""
    return mu + (-0.5 * logvar).exp() * torch.randn_like(mu)


@mistake
def half_outside_exp(mu: Tensor, logvar: Tensor) -> Tensor:
    """Your standard deviation is exp(logvar) / 2: the half stands outside the exponential. The root of sigma² is
    exp(logvar / 2), with the half inside. The two are equal only at one width (logvar = 1.39)."""
    return mu + 0.5 * logvar.exp() * torch.randn_like(mu)


@mistake
def sigma_forgotten(mu: Tensor, logvar: Tensor) -> Tensor:
    """Your draws have standard deviation 1 whatever `logvar` says: epsilon was added without sigma. The encoder cannot
    say 'here I am sure', every cloud is as wide as the prior, and fine detail is lost. Multiply epsilon by sigma =
    exp(logvar / 2)."""
    return mu + torch.randn_like(mu)


@mistake
def mu_forgotten(mu: Tensor, logvar: Tensor) -> Tensor:
    """The width is right, but all clouds sit at 0: `mu` is not added. The code then says nothing about where the
    picture lies; all it can carry is a width. z = mu + sigma * epsilon."""
    return (0.5 * logvar).exp() * torch.randn_like(mu)


@mistake
def noise_added_before_scaling(mu: Tensor, logvar: Tensor) -> Tensor:
    """You add `mu` to the dice first and multiply the sum by sigma. The width comes out right, so the draws look fine,
    and so does every curve. But the center is sigma times `mu`, and the KL believes that it is `mu`. Scale first, then
    shift: mu + sigma * epsilon."""
    return (torch.randn_like(mu) + mu) * (0.5 * logvar).exp()


@mistake
def noise_times_mu(mu: Tensor, logvar: Tensor) -> Tensor:
    """`mu` and sigma have changed places: you scale the dice with `mu` and shift them by sigma. A cloud at 0 then has
    no width at all. z = mu + sigma * epsilon."""
    return mu * torch.randn_like(mu) + (0.5 * logvar).exp()


@mistake
def uniform_noise(mu: Tensor, logvar: Tensor) -> Tensor:
    """Your dice are uniform, between 0 and 1 (`torch.rand`, one letter short of `torch.randn`). All of them push to the
    same side, so the center is off by sigma / 2, and the cloud is a box of less than a third of the width. The KL is
    computed for a Gaussian that you do not draw from."""
    return mu + (0.5 * logvar).exp() * torch.rand_like(mu)


@mistake
def one_noise_per_row(mu: Tensor, logvar: Tensor) -> Tensor:
    """All numbers of one code share a single roll of the dice. The cloud of a picture is then a line through `mu`
    instead of a ball: the decoder never sees most of the places that the prior will draw from. Roll one epsilon for
    every number: `torch.randn_like(mu)`."""
    return mu + (0.5 * logvar).exp() * torch.randn(len(mu), 1, dtype=mu.dtype, device=mu.device)


@mistake
def one_noise_per_batch(mu: Tensor, logvar: Tensor) -> Tensor:
    """All pictures of a batch share one roll of the dice: every row is shifted in the same direction. Each call looks
    random, and one curve alone does not show it. But the noise no longer averages out over the batch: what the dice do
    to the gradient of 64 pictures is about as much as to that of one. The dice need the shape of the batch:
    `torch.randn_like(mu)`."""
    return mu + (0.5 * logvar).exp() * torch.randn(mu.shape[1], dtype=mu.dtype, device=mu.device)


@mistake
def one_noise_for_all(mu: Tensor, logvar: Tensor) -> Tensor:
    """One single number is rolled, for all pictures and all numbers of their codes. Everything is shifted together
    along one line. Roll one epsilon for every number of every code: `torch.randn_like(mu)`."""
    return mu + (0.5 * logvar).exp() * torch.randn(1, dtype=mu.dtype, device=mu.device)


@mistake
def fixed_seed(mu: Tensor, logvar: Tensor) -> Tensor:
    """Two calls use the same noise: a fixed seed is set inside the function, or numbers are kept from an earlier call
    (or were never rolled). A single call may look perfect, and no curve shows it. But noise that never changes is no
    noise: each row of the batch has one roll for ever, and the loss comes out a little too good. Seed once, at the
    start of the notebook, and roll anew in each call."""
    dice = torch.Generator().manual_seed(0)
    epsilon = torch.randn(mu.shape, generator=dice, dtype=mu.dtype).to(mu.device)
    return mu + (0.5 * logvar).exp() * epsilon
