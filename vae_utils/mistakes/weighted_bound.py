"""Wrong ways to write `weighted_bound`: the bound on log p(x) from k weighted draws."""

import math

import torch
from torch import Tensor

from .mistake import mistake

LOG_TWO_PI = math.log(2 * math.pi)


def _log_p(z: Tensor) -> Tensor:
    return -0.5 * (z.square() + LOG_TWO_PI).sum(2)


def _log_q(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    mu, logvar = mu[:, None], logvar[:, None]
    return -0.5 * ((z - mu).square() / logvar.exp() + logvar + LOG_TWO_PI).sum(2)


def _log_w(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    return _log_p(z) - nll - _log_q(z, mu, logvar)


def _log_k(nll: Tensor) -> float:
    return math.log(nll.shape[1])


@mistake(several=True)
def average_of_logs(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You average the logs. That is an estimate of the ELBO, however many draws there are: more of them make it less
    noisy, not tighter. The bound rises because the average is taken *before* the log."""
    return _log_w(nll, z, mu, logvar).mean(1)


@mistake
def log_k_forgotten(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You take the log of the *sum* of the weights. It is too high by log k, 8.5 nats for 5,000 draws, and it is no
    bound: it grows with k for ever. Subtract log k for the average."""
    return _log_w(nll, z, mu, logvar).logsumexp(1)


@mistake
def log_q_forgotten(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Your weights lack q(z|x). The draws come from the cloud, not from everywhere: a place where it draws often must
    count for less. Divide by q(z|x): subtract its log."""
    return (_log_p(z) - nll).logsumexp(1) - _log_k(nll)


@mistake
def prior_forgotten(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Your weights lack p(z). Then codes far from 0 count as much as those near it, which the model draws more often;
    the result may lie far above log p(x). Add the log of the prior."""
    return (-nll - _log_q(z, mu, logvar)).logsumexp(1) - _log_k(nll)


@mistake
def likelihood_alone(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You average p(x|z) alone. That is p(x) for draws from the *prior*; these come from the cloud, which was moved to
    where p(x|z) is large, so you land far above log p(x). The weight p(z) / q(z|x) makes up for that."""
    return (-nll).logsumexp(1) - _log_k(nll)


@mistake
def kl_for_the_ratio(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You average p(x|z) and subtract the KL in its closed form. But p(z) / q(z|x) differs from draw to draw and
    belongs inside the average, with the p(x|z) of its own draw. With the KL outside, the result may lie above
    log p(x)."""
    kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)
    return (-nll).logsumexp(1) - _log_k(nll) - kl


@mistake
def weight_upside_down(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Your ratio of densities stands on its head: it is p(z) / q(z|x), so log p(z) is added and log q(z|x)
    subtracted."""
    return (-nll - _log_p(z) + _log_q(z, mu, logvar)).logsumexp(1) - _log_k(nll)


@mistake
def nll_sign(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """`nll` is −log p(x|z) already, so it is subtracted. Added, the codes that explain the picture worst count
    most."""
    return (_log_p(z) + nll - _log_q(z, mu, logvar)).logsumexp(1) - _log_k(nll)


@mistake
def exp_without_max(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Right for small numbers; but exp of −1,000 is 0 for the computer, whose log is −∞, and exp of 900 is ∞. Pictures
    have hundreds of nats. `logsumexp` takes out the largest one first, so that nothing overflows."""
    return _log_w(nll, z, mu, logvar).exp().mean(1).log()


@mistake(several=True)
def best_draw(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You take the largest weight in place of the average. It is above the average by up to log k, and with more draws
    it rises past log p(x)."""
    return _log_w(nll, z, mu, logvar).amax(1)


@mistake(several=True)
def weighted_logs(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You average the logs with the normalized weights (softmax). That has the gradient of the bound in mind, and is
    not the bound: it lies above it. The log of the plain average is asked for."""
    log_w = _log_w(nll, z, mu, logvar)
    return (log_w.softmax(1) * log_w).sum(1)


@mistake
def sigma_forgotten(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Your log q(z|x) lacks its −log σ, so narrow clouds look less dense than they are. The log density of a Gaussian
    is −½(((z − μ) / σ)² + log σ² + log 2π), summed over the numbers of a code."""
    log_q = _log_q(z, mu, logvar) + 0.5 * logvar.sum(1)[:, None]
    return (_log_p(z) - nll - log_q).logsumexp(1) - _log_k(nll)


@mistake
def constant_in_one(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """One of your two densities has its ½ log 2π for each number of the code, the other has not. In both it cancels; in
    log p(z) alone it makes the result too low by 0.92 nats a number."""
    return (_log_w(nll, z, mu, logvar) - 0.5 * LOG_TWO_PI * z.shape[2]).logsumexp(1) - _log_k(nll)


@mistake
def constant_in_the_other(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log q(z|x) has its ½ log 2π for each number of the code, log p(z) has not. In both it cancels; in one alone
    it makes the result too high by 0.92 nats a number, and it may lie above log p(x)."""
    return (_log_w(nll, z, mu, logvar) + 0.5 * LOG_TWO_PI * z.shape[2]).logsumexp(1) - _log_k(nll)


@mistake
def logvar_as_sigma(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You take exp(logvar) for σ. It is σ²: the standard deviation is exp(logvar / 2). Wide clouds look wider to you,
    narrow ones narrower, and the weights are those of other draws."""
    return (_log_p(z) - nll - _log_q(z, mu, 2 * logvar)).logsumexp(1) - _log_k(nll)


@mistake(several=True)
def averaged_numbers(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You average the log densities over the numbers of a code. They are independent, so densities are multiplied and
    their logs summed."""
    ratio = (_log_p(z) - _log_q(z, mu, logvar)) / z.shape[2]
    return (ratio - nll).logsumexp(1) - _log_k(nll)


@mistake(several=True)
def over_pictures(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You average over the pictures, axis 0, and keep the draws. The average is over the k draws of each picture, axis
    1, so that one number for each picture is left."""
    return _log_w(nll, z, mu, logvar).logsumexp(0) - math.log(len(nll))


@mistake(several=True)
def one_number(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You return the mean over the pictures. Return one number for each; whoever calls it can average."""
    return (_log_w(nll, z, mu, logvar).logsumexp(1) - _log_k(nll)).mean()


@mistake
def negated(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """This is the loss, minus the bound. Here the bound itself is asked for: it lies below log p(x), and rises with
    k."""
    return torch.neg(_log_w(nll, z, mu, logvar).logsumexp(1) - _log_k(nll))


@mistake
def prior_left_out(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Your weights lack p(z), but for its constant. Then codes far from 0 count as much as those near it, which the
    model draws more often; the result may lie far above log p(x). Subtract z²/2, summed over the numbers of a code."""
    return (_log_w(nll, z, mu, logvar) + 0.5 * z.square().sum(2)).logsumexp(1) - _log_k(nll)


@mistake
def numbers_counted(nll: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """You subtract the log of how many numbers a code has, axis 2 of `z`. The average is over draws: subtract the log
    of their number, axis 1."""
    return _log_w(nll, z, mu, logvar).logsumexp(1) - math.log(z.shape[2])
