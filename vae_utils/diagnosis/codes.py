"""The codes of a trained model: are they used, and are they at rest under the KL that was meant?"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..losses import gaussian_kl
from ..random_state import own_random_numbers
from .outputs import LOGVAR, MOST, Outputs, likelihood_of
from .report import Finding

ACTIVE = 0.01  # a number of the code is active if the variance of its mu is larger (Burda et al., 2016)
BALANCE_DRAWS = 5  # of z for each picture, to read off the KL's weight
MIN_ROOM = 0.03  # of (1 - E[sigma^2]) / 2, for the clouds' width to tell the KL's weight
MAX_SPARE = 0.03  # share of 1 + KL that a shift and a scale of the codes may still save
MAX_RATIO = 1.4  # of the KL's weight, as the gradients tell it, to the one that was meant


def heads(outputs: Outputs) -> Finding:
    """Test whether mu and logvar take both signs."""
    parts = {"mu": outputs.mu} | ({"logvar": outputs.raw} if outputs.widths == LOGVAR else {})
    low = {name: part.amin().item() for name, part in parts.items()}
    if one_sided := [name for name, value in low.items() if value >= 0]:
        text = f"{' and '.join(one_sided)} never below 0: is there a ReLU, or a softplus, on the last layer?"
        return Finding("heads", False, text)
    reach = " and ".join(f"{name} reaches down to {value:.1f}" for name, value in low.items())
    return Finding("heads", True, f"{reach}: nothing cuts them off at 0.")


def use(outputs: Outputs) -> Finding:
    """Test whether any number of the code tells pictures apart."""
    latent = outputs.mu.shape[1]
    kl = [gaussian_kl(outputs.mu[:, [i]], outputs.logvar[:, [i]]).mean().item() for i in range(latent)]
    active = int((outputs.mu.var(0) > ACTIVE).sum())
    parts = ", ".join(f"{value:.2f}" for value in sorted(kl, reverse=True)[:10])
    text = f"{active} of {latent} numbers active; KL {sum(kl):.3g} nats: {parts}{', ...' if latent > 10 else ''}"
    if active == 0:
        back = outputs.picture(outputs.parameters).var(0).sum().item()
        return Finding("use", False, f"{text}. Collapse: no number tells pictures apart (they vary by {back:.2g}).")
    silent = "" if active == latent else ". Silent numbers need not be a fault"
    return Finding("use", True, f"{text}{silent}.")


def spare_nats(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return the nats of KL that a shift and a scale of each code number, undone by the decoder, save: (latent_dim,).

    mu, logvar: (n, latent_dim) of many pictures. With m = E[mu^2 + sigma^2] and v = m - E[mu]^2 it is
    (m - 1 - log v) / 2: 0 if and only if E[mu] is 0 and m is 1, as at every minimum of nll + beta KL.
    """
    moment = (mu.square() + logvar.exp()).mean(0)
    return 0.5 * (moment - 1 - (moment - mu.mean(0).square()).log())


def scale(outputs: Outputs) -> Finding:
    """Test whether a shift and a scale of the codes could still lower the KL."""
    if outputs.widths != LOGVAR:
        return Finding("scale", None, f"sigma is {outputs.widths}, which no layer can scale freely.")
    moment = (outputs.mu.square() + outputs.logvar.exp()).mean(0)
    spare = spare_nats(outputs.mu, outputs.logvar).sum().item()
    kl = gaussian_kl(outputs.mu, outputs.logvar).mean().item()
    low, high = (value.item() for value in moment.aminmax())
    far = outputs.mu.mean(0).abs().max().item()
    text = (
        f"E[mu² + sigma²] is {low:.3g} to {high:.3g} (1 at rest), mu's average at most {far:.2g} from 0; "
        f"another scale would save {spare:.2g} of {kl:.3g} nats."
    )
    if spare < MAX_SPARE * (1 + kl):
        return Finding("scale", True, text)
    why = "Either sigma in the draw and in the KL are not one, or the KL is another, or it is not trained to the end."
    return Finding("scale", False, f"{text} {why}")


class Weights(NamedTuple):
    """The weight of the KL, read off a trained model in two ways; None where the model does not tell."""

    from_logvar: float | None
    from_mu: float | None


def weight_of_kl(model: Any, x: Tensor, draws: int = 20, seed: int = 0) -> Weights:
    """Read the weight beta of the KL off a trained model: what its gradients must have come to rest at.

    Where nll + beta KL is at rest, the decoder's pull and the KL's cancel for each number j of the code, on average
    over the training pictures and right draws of z:

        E[d nll / d logvar_j] = beta E[1 - sigma_j^2] / 2         E[mu_j d nll / d mu_j] = -beta E[mu_j^2]

    Each is solved for beta by least squares over the active numbers. If the two disagree, no weight explains the
    model: its draw is another, or its KL, or it is not trained to the end.

    It holds if the encoder's last layer is linear and free (no weight decay, nothing shared), and p(x|z) is known: a
    Gaussian whose sigma is not shows only beta sigma^2. A collapsed model answers nothing.

    Args:
        model: Has `encode`, `decode` and a `likelihood`, such as `models.VAE`.
        x: The pictures that it was trained on. The first 2,000 are used.
        draws: How many z are drawn for each picture.
        seed: Of the draws. The global random state stays as it was.
    """
    x = x[:MOST].to(next(model.parameters()).device)
    with own_random_numbers(seed, x.device), torch.enable_grad():
        mu, logvar = (part.detach() for part in model.encode(x))
        return _weights(model.decode, model.likelihood.nll, mu, logvar, x, draws)


def _weights(
    decode: Callable[[Tensor], Tensor],
    nll: Callable[[Tensor, Tensor], Tensor],
    mu: Tensor,
    logvar: Tensor,
    x: Tensor,
    draws: int,
) -> Weights:
    pulls = mu.new_zeros(2, mu.shape[1])  # E[d nll / d logvar] and E[mu d nll / d mu], times n
    for rows in torch.arange(len(x), device=x.device).split(500):
        for _ in range(draws):
            m, v = (part[rows].clone().requires_grad_() for part in (mu, logvar))
            z = m + (0.5 * v).exp() * torch.randn_like(m)
            to_m, to_v = torch.autograd.grad(nll(decode(z), x[rows]).sum(), (m, v))
            pulls += torch.stack([to_v.sum(0), (mu[rows] * to_m).sum(0)]) / draws
    active = mu.var(0) > ACTIVE
    pulls, room = pulls[:, active] / len(x), 0.5 * (1 - logvar[:, active].exp().mean(0))
    size = mu[:, active].square().mean(0)
    if not active.any():
        return Weights(None, None)
    narrow = room.norm().item() > MIN_ROOM  # clouds as wide as the prior's feel no pull of the KL
    from_logvar = (pulls[0] @ room / (room @ room)).item() if narrow else None
    return Weights(from_logvar, -(pulls[1] @ size / (size @ size)).item())


def balance(model: nn.Module, outputs: Outputs, x: Tensor, beta: float) -> Finding:
    """Test the weight of the KL that the gradients at mu and logvar have come to rest at."""
    model.eval()
    likelihood, decode = likelihood_of(model), getattr(model, "decode", None)
    if likelihood is None or decode is None:
        text = "without `likelihood` and `decode` the KL's weight can't be read off gradients."
        return Finding("balance", None, text)
    try:
        found = _weights(decode, likelihood.nll, outputs.mu, outputs.logvar, x, BALANCE_DRAWS)
    except Exception as problem:  # a decode of another kind may need more than codes, or return something else
        return Finding("balance", None, f"no gradient could be taken at the code ({type(problem).__name__}).")
    told = {"mu": found.from_mu}
    if outputs.widths == LOGVAR:  # else the law at logvar does not hold
        told = {"logvar": found.from_logvar} | told
    weights = {name: weight for name, weight in told.items() if weight is not None}
    if not weights:
        return Finding("balance", None, "no number of the code is active, so no gradient tells the KL's weight.")
    shown = " and ".join(f"{weight:.3g} (at {name})" for name, weight in weights.items())
    text = f"by its gradients, a nat of KL weighs {shown} times a nat of reconstruction"
    low, high = min(weights.values()), max(weights.values())
    if beta / MAX_RATIO < low and high < beta * MAX_RATIO:
        return Finding("balance", True, f"{text}.")
    if len(weights) == 2 and high < MAX_RATIO * low:
        return Finding("balance", False, f"{text}, not {beta:g}.")
    why = "the draw or the KL is another, the KL is left out, or it is not trained to the end"
    return Finding("balance", False, f"{text}, not {beta:g}. As no one weight explains it, {why}.")
