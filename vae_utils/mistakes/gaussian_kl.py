"""Wrong ways to write `gaussian_kl`: the KL of a cloud from the prior."""

import torch
from torch import Tensor

from .mistake import mistake


def _each(mu: Tensor, logvar: Tensor) -> Tensor:
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


@mistake
def no_half(mu: Tensor, logvar: Tensor) -> Tensor:
    """Exactly twice the KL: the ½ in front is missing. Training then runs at β = 2 without anyone having chosen it: a
    lower rate, blurrier reconstructions, and a loss that is no longer the negative ELBO. The curve looks healthy."""
    return 2 * _each(mu, logvar).sum(1)


@mistake
def log_std(mu: Tensor, logvar: Tensor) -> Tensor:
    """You read `logvar` as log σ, but it is log σ²: you square σ a second time, as e^(2·logvar). For a cloud of width 1
    that changes nothing, and the loss looks as always. But every other width pays more than twice what it should, and
    the clouds come out the wrong width. No curve alone shows it."""
    return _each(mu, 2 * logvar).sum(1)


@mistake
def sigma_to_the_fourth(mu: Tensor, logvar: Tensor) -> Tensor:
    """e^logvar is σ² already, and you square it again: σ⁴ stands where σ² belongs. The cheapest cloud is then narrower
    than the prior (σ = 0.84) and its price is below 0, which a KL never is; wide clouds pay far too much."""
    return 0.5 * (mu.square() + logvar.exp().square() - 1 - logvar).sum(1)


@mistake
def half_on_mu_alone(mu: Tensor, logvar: Tensor) -> Tensor:
    """The ½ stands before μ² alone, but it belongs to every term: ½ (μ² + σ² − 1 − log σ²). As it is, a cloud that is
    as wide as the prior pays what it should, and for every other width it pays twice. A pair of parentheses is
    missing."""
    return (0.5 * mu.square() + logvar.exp() - 1 - logvar).sum(1)


@mistake
def mu_without_half(mu: Tensor, logvar: Tensor) -> Tensor:
    """The ½ stands before all terms but μ². So widths pay what they should, and being away from 0 costs twice as much:
    the centers crowd around 0. The formula is ½ (μ² + σ² − 1 − log σ²)."""
    return (mu.square() + 0.5 * (logvar.exp() - 1 - logvar)).sum(1)


@mistake
def mu_halved_twice(mu: Tensor, logvar: Tensor) -> Tensor:
    """μ² is halved twice, once by itself and once with the other terms: the ½ stands in front of all of them, once. So
    being away from 0 costs half of what it should, and the codes spread wider than the prior, from which you draw later
    on."""
    return 0.5 * (0.5 * mu.square() + logvar.exp() - 1 - logvar).sum(1)


@mistake
def monte_carlo(mu: Tensor, logvar: Tensor) -> Tensor:
    """Your result is random: you estimate the KL from draws of z. On average that is right, and where no formula is
    known it is what one does. For two Gaussians there is one, exact and without dice, and asked for here: ½ (μ² + σ² −
    1 − log σ²). With the estimate each step would be noisier for nothing."""
    q = torch.distributions.Normal(mu, (0.5 * logvar).exp())
    z = q.rsample((100,))
    return (q.log_prob(z) - torch.distributions.Normal(0.0, 1.0).log_prob(z)).sum(2).mean(0)


@mistake
def sigma_not_squared(mu: Tensor, logvar: Tensor) -> Tensor:
    """The formula has σ² in it, and e^(½·logvar) is σ. With σ in its place the cheapest cloud is no longer the prior:
    your price is lowest at σ = 2, where it is below 0, and a KL is never below 0. Draws from N(0, I) would then miss
    much of the place where codes live."""
    return 0.5 * (mu.square() + (0.5 * logvar).exp() - 1 - logvar).sum(1)


@mistake
def reverse(mu: Tensor, logvar: Tensor) -> Tensor:
    """This is the KL the other way round, of the prior from the cloud: KL(p ‖ q) in place of KL(q ‖ p). Both are 0 at
    the prior, and the curve looks the same. But this one makes narrow clouds away from 0 enormously dear (it divides by
    σ²), so the code stays vague; and the sum is no bound on log p(x) any more."""
    return 0.5 * ((mu.square() + 1) / logvar.exp() - 1 + logvar).sum(1)


@mistake
def no_mu(mu: Tensor, logvar: Tensor) -> Tensor:
    """The term μ² is missing, so a cloud may move as far from 0 as it likes for free. Reconstructions turn out well and
    the loss beats the right one, but the codes do not live where the prior is, and pictures decoded from N(0, I) are
    bad."""
    return 0.5 * (logvar.exp() - 1 - logvar).sum(1)


@mistake
def mu_not_squared(mu: Tensor, logvar: Tensor) -> Tensor:
    """μ stands in it as it is, not squared. Then moving μ down always lowers the loss: training drives the centers
    toward minus infinity, and the KL becomes negative, which no KL ever is."""
    return 0.5 * (mu + logvar.exp() - 1 - logvar).sum(1)


@mistake
def mu_absolute(mu: Tensor, logvar: Tensor) -> Tensor:
    """|μ| stands where μ² belongs. Being far from 0 then costs too little and being near too much: the centers pile up
    at 0 or run far out. The square comes from the Gaussian's own exponent: ½ (μ² + σ² − 1 − log σ²)."""
    return 0.5 * (mu.abs() + logvar.exp() - 1 - logvar).sum(1)


@mistake
def first_number_alone(mu: Tensor, logvar: Tensor) -> Tensor:
    """Only the first number of each code pays; the others are free, and will be as far out and as precise as they like.
    Add up over the numbers of the code: `.sum(1)`, not `[:, 0]`."""
    return _each(mu, logvar)[:, 0]


@mistake
def no_minus_one(mu: Tensor, logvar: Tensor) -> Tensor:
    """The −1 is missing: everything is too large by ½ for each number of the code. It is a constant, so training goes
    exactly as it should. But the numbers that you report are wrong: a silent number of the code shows 0.5 nats instead
    of 0, and your ELBO is lower than it is in truth."""
    return 0.5 * (mu.square() + logvar.exp() - logvar).sum(1)


@mistake
def no_logvar(mu: Tensor, logvar: Tensor) -> Tensor:
    """The term −log σ² is missing. It is what keeps clouds wide: without it, a narrower cloud is always cheaper, the
    clouds shrink to points, and you have an autoencoder again. The KL even falls below 0."""
    return 0.5 * (mu.square() + logvar.exp() - 1).sum(1)


@mistake
def logvar_for_log_std(mu: Tensor, logvar: Tensor) -> Tensor:
    """You subtract all of log σ², where log σ belongs, which is half of it: the ½ stands before every term. As it is,
    the cheapest cloud is wider than the prior (σ = 1.41), and its price is below 0, which a KL never is."""
    return (0.5 * (mu.square() + logvar.exp() - 1) - logvar).sum(1)


@mistake
def plus_logvar(mu: Tensor, logvar: Tensor) -> Tensor:
    """log σ² has the wrong sign: it must be subtracted. Now narrow clouds are not dear but rewarded: the narrower the
    better, without end. The KL falls to minus infinity and the clouds shrink to points."""
    return 0.5 * (mu.square() + logvar.exp() - 1 + logvar).sum(1)


@mistake
def not_exponentiated(mu: Tensor, logvar: Tensor) -> Tensor:
    """You used `logvar` where σ² stands: it must be e^logvar. As written, logvar cancels, so the KL never tells the
    encoder how wide a cloud should be, and it is negative for clouds near 0."""
    return 0.5 * (mu.square() + logvar - 1 - logvar).sum(1)


@mistake
def variance_for_logvar(mu: Tensor, logvar: Tensor) -> Tensor:
    """You treat `logvar` as the variance σ² and take its logarithm. It is the logarithm already, and may be negative:
    there you get NaN, and at 0 infinity. One NaN in a loss, and all weights are NaN after the step."""
    return 0.5 * (mu.square() + logvar - 1 - logvar.log()).sum(1)


@mistake
def logvar_for_sigma(mu: Tensor, logvar: Tensor) -> Tensor:
    """You put `logvar` where the formula ½ (μ² + σ² − 1) − log σ has σ. But `logvar` is log σ²: undo the logarithm
    first, σ = e^(½·logvar). It may be 0 or negative, where its logarithm is infinite or NaN. One NaN in a loss, and all
    weights are NaN after the step."""
    return (0.5 * (mu.square() + logvar.square() - 1) - logvar.log()).sum(1)


@mistake
def std_for_logvar(mu: Tensor, logvar: Tensor) -> Tensor:
    """You treat `logvar` as the standard deviation σ. It is log σ², which may be 0 or negative: at 0 your price is
    infinite, and −2 and 2 count as the same width. Such a KL pulls `logvar` to 1 or −1, so the clouds end at a width of
    1.65 or 0.61, and never at that of the prior."""
    return 0.5 * (mu.square() + logvar.square() - 1 - logvar.square().log()).sum(1)


@mistake
def sign_flipped(mu: Tensor, logvar: Tensor) -> Tensor:
    """The sign is wrong: this is minus the KL. Minimizing it drives the clouds as far from the prior as they can go.
    The loss falls without end, until it is NaN. A KL is never negative: a quick check of every loss."""
    return -_each(mu, logvar).sum(1)


@mistake
def swapped(mu: Tensor, logvar: Tensor) -> Tensor:
    """You took `mu` for `logvar` and `logvar` for `mu`. Both have the same shape, so nothing complains, and both are
    pulled to 0 as they should be. But what μ pays grows exponentially, and a narrow cloud pays far too much."""
    return _each(logvar, mu).sum(1)


@mistake
def batch_axis(mu: Tensor, logvar: Tensor) -> Tensor:
    """You summed over the pictures of the batch (`sum(0)`) instead of over the numbers of each code (`sum(1)`). So you
    get one number for each latent and not for each picture. Averaged later, it still gives one plausible number, but
    with β = batch size / latents: your β then depends on the batch size."""
    return _each(mu, logvar).sum(0)


@mistake
def averaged_latents(mu: Tensor, logvar: Tensor) -> Tensor:
    """You averaged over the numbers of the code (`mean`), where the KL is a sum. With L numbers that is a silent β =
    1/L: codes may spend more, samples from the prior get worse, and the loss looks better than everyone else's."""
    return _each(mu, logvar).mean(1)


@mistake
def mean_of_all(mu: Tensor, logvar: Tensor) -> Tensor:
    """`.mean()` over everything: one number, averaged over pictures and over the numbers of the code. The second
    average is a silent β = 1/L. Sum over the code, and keep one number for each picture."""
    return _each(mu, logvar).mean()


@mistake
def sum_of_all(mu: Tensor, logvar: Tensor) -> Tensor:
    """`.sum()` over everything, the pictures of the batch too. Added to one reconstruction term for each picture it
    broadcasts without a word, and every picture pays for the whole batch: β is the batch size, and the code falls
    silent. Sum over axis 1 only."""
    return _each(mu, logvar).sum()


@mistake
def averaged_batch(mu: Tensor, logvar: Tensor) -> Tensor:
    """The right sum, but averaged over the batch too early. What comes back should be one number for each picture, so
    that it can be added to that picture's reconstruction term, and so that you can ask what a single picture costs.
    Average at the very end."""
    return _each(mu, logvar).sum(1).mean()


@mistake
def not_summed(mu: Tensor, logvar: Tensor) -> Tensor:
    """One number for each number of the code: the sum over the code (axis 1) is missing. The numbers of a code are
    independent of each other, so their KLs add up. An average taken over this later would be a silent β = 1/L."""
    return _each(mu, logvar)


@mistake
def kept_axis(mu: Tensor, logvar: Tensor) -> Tensor:
    """The numbers are right, the shape is (batch, 1). Added to a reconstruction term of shape (batch,) it broadcasts to
    (batch, batch), without an error: every picture is paired with every other's KL. Leave out `keepdim`."""
    return _each(mu, logvar).sum(1, keepdim=True)
