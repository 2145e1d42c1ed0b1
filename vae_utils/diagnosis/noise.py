"""The draw of z, watched on its way to the decoder: is it N(mu, sigma^2), fresh, and does a gradient pass?"""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from ..draws import not_standard_normal
from .outputs import LOG_SIGMA, LOGVAR, SIGMAS, triple
from .report import Finding

PASSES, ROWS = 16, 256  # draws of epsilon for each picture, and pictures


@contextmanager
def watched(model: nn.Module) -> Iterator[list[Tensor]]:
    """Yield a list that collects the codes passed to `decode`, or else to the module `decoder`."""
    codes: list[Tensor] = []
    attributes = vars(model)
    decode, decoder = getattr(model, "decode", None), getattr(model, "decoder", None)
    module = next((part for part in (decode, decoder) if isinstance(part, nn.Module)), None)
    with ExitStack() as undo:
        if callable(decode) and not isinstance(decode, nn.Module):

            def watch(z: Tensor, *args: object, **kwargs: object) -> object:
                codes.append(z)
                return decode(z, *args, **kwargs)

            own = {"decode": attributes["decode"]} if "decode" in attributes else {}
            undo.callback(attributes.update, own)
            undo.callback(attributes.pop, "decode")  # runs first
            attributes["decode"] = watch
        elif module is not None:
            undo.callback(module.register_forward_pre_hook(lambda _, args: codes.append(args[0])).remove)
        yield codes


def draw(model: nn.Module, x: Tensor, log_sigma: bool) -> tuple[list[Finding], str]:
    """Test whether z is noisy, with new noise in each pass, distributed as N(mu, sigma^2).

    Return the findings and the name of the sigma that the draws have, in `SIGMAS`. `log_sigma` says that the loss
    charges the third output as log sigma, so that drawing with it is right.
    """
    model.train()  # a model that draws at all does so in training
    x = x[:ROWS]
    with torch.no_grad(), watched(model) as codes:
        passes = [triple(model, x) for _ in range(PASSES)]
    mu, raw = (torch.stack([out[i].float() for out in passes]) for i in (1, 2))
    if len(codes) != PASSES or any(z.shape != mu.shape[1:] for z in codes):
        moves = torch.stack([out[0].float() for out in passes]).std(0).max().item()
        if moves == 0:
            none = "passes over the same pictures give the same result: nothing is drawn."
            return [Finding("noise", False, none)], LOGVAR
        why = "forward calls neither `decode` nor `decoder`, or not with z alone"
        unwatched = Finding("spread", None, f"z could not be watched ({why}).")
        return [Finding("noise", True, "passes differ."), unwatched], LOGVAR
    z = torch.stack(codes).float()
    sigmas = {name: SIGMAS[name](raw) for name in SIGMAS if name != LOG_SIGMA or log_sigma}
    first = LOG_SIGMA if log_sigma else LOGVAR
    tried = [first, *(name for name, sigma in sigmas.items() if name != first and (sigma > 0).all())]
    by_name = {name: _of_width(z, mu, sigmas[name], name) for name in tried}
    fits = (name for name, found in by_name.items() if any(one.name == "spread" and one.healthy for one in found))
    name = next(fits, LOGVAR if LOGVAR in by_name else first)
    return by_name[name], name


def _of_width(z: Tensor, mu: Tensor, sigma: Tensor, name: str) -> list[Finding]:
    """Return the findings about codes z, (passes, rows, latent), if their widths should be the sigma of that name."""
    wide = sigma > 1e-4 * (1 + mu.abs())  # narrower ones are lost in rounding
    if wide.float().mean() < 0.1:
        return [Finding("noise", None, f"sigma is {sigma.median():.0e}, too narrow to tell a draw from rounding.")]
    if not ((z - mu).abs() > 1e-6 * (1 + mu.abs())).any():
        return [Finding("noise", False, "z is exactly mu: nothing is drawn, every cloud is a point.")]
    if ((z[0] - z[1]).abs() <= 1e-6 * (1 + mu[0].abs())).all():
        return [Finding("noise", False, "every pass draws the same epsilon: a fixed seed, or dice rolled only once.")]
    found = [Finding("noise", True, "each pass draws anew.")]
    epsilon = torch.where(wide, (z - mu) / sigma, torch.nan)
    if shared := _shared(epsilon):
        return [*found, Finding("independence", False, shared)]
    found.append(_spread(epsilon, mu, name))
    if found[-1].healthy:
        found += [_shape(epsilon), _fresh(epsilon)]
    return found


def _spread(epsilon: Tensor, mu: Tensor, name: str) -> Finding:
    """Test epsilon, number by number: mean 0, variance 1, uncorrelated with mu. Both (passes, rows, latent)."""
    flat, centers = epsilon.flatten(0, 1), mu.flatten(0, 1)
    counted = (~flat.isnan()).sum(0).clamp(min=1)
    mean = flat.nansum(0) / counted
    variance = (flat.square().nansum(0) / counted - mean.square()).clamp(min=0)
    enough = counted > 500
    error = 6 / counted.sqrt()
    centered, other = (flat - mean).nan_to_num(), centers - centers.mean(0)
    tie = (centered * other).mean(0) / (variance.sqrt() * other.std(0)).clamp(min=1e-8)
    tied = (tie.abs() > error) & (other.std(0) > 0.02) & enough
    wide = ((variance - 1).abs() > error * math.sqrt(2)) & enough
    aside = (mean.abs() > error) & enough
    low, high = variance.sqrt()[enough].aminmax() if enough.any() else (torch.tensor(1.0),) * 2
    text = f"epsilon = (z - mu) / sigma, number by number, has a standard deviation from {low:.2f} to {high:.2f}"
    if not (wide | aside | tied).any():
        which = "" if name == LOGVAR else f"; sigma is {name}"
        return Finding("spread", True, f"{text} and mean 0{which}.")
    reasons = []
    if wide.any():
        reasons.append("it should be 1: the draw uses another width than sigma = exp(logvar / 2)")
    if aside.any():
        reasons.append(f"its mean is up to {mean[aside].abs().max():.2f} away from 0")
    if tied.any():
        reasons.append(f"it rises or falls with mu (correlation up to {tie[tied].abs().max():.2f})")
    return Finding("spread", False, f"{text}; {'; '.join(reasons)}.")


def _shape(epsilon: Tensor) -> Finding:
    values = epsilon[~epsilon.isnan()]
    fourth = (((values - values.mean()) / values.std()) ** 4).mean().item()
    text = f"epsilon's fourth moment is {fourth:.2f}: 3 for normal dice, 1.8 for uniform ones"
    wrong = not_standard_normal(values)
    return Finding("shape", not wrong, f"{text}; {wrong}." if wrong else f"{text}.")


def _growth(epsilon: Tensor, dim: int) -> float:
    """Return the variance of sums along `dim`, relative to sums of independent numbers: 1, or more if correlated."""
    epsilon = (epsilon - epsilon.nanmean((0, 1))).nan_to_num()
    return (epsilon.sum(dim).square().mean() / epsilon.square().mean() / epsilon.shape[dim]).item()


def _shared(epsilon: Tensor) -> str:
    """Describe which entries of epsilon (passes, rows, latent) are correlated, or return ''."""
    numbers, rows = _growth(epsilon, 2), _growth(epsilon, 1)
    if rows > 4:
        return f"the pictures of a batch share their dice: sums over a batch vary {rows:.0f} times too much."
    if numbers > 1.5:
        return f"the numbers of a code share their dice: their sum varies {numbers:.1f} times too much."
    return ""


def _fresh(epsilon: Tensor) -> Finding:
    again = _growth(epsilon, 0)
    if again > 2:
        text = f"passes repeat their dice: sums of them vary {again:.1f} times too much."
        return Finding("independence", False, text)
    return Finding("independence", True, "no two numbers, pictures or passes share their dice.")


def path(model: nn.Module, x: Tensor, noisy: bool | None) -> Finding:
    """Test whether gradients pass from the draw to mu and, if there is noise, to logvar."""
    model.train()
    with watched(model) as codes:
        parameters, mu, logvar = triple(model, x[:32])
    z = codes[0] if len(codes) == 1 and codes[0].shape == mu.shape else parameters
    if not (mu.requires_grad and logvar.requires_grad):
        return Finding("path", None, "mu and logvar carry no gradients (is the encoder frozen?).")
    slopes: tuple[Tensor | None, ...] = (None, None)
    if z.requires_grad:
        slopes = torch.autograd.grad((z * torch.randn_like(z)).sum(), (mu, logvar), allow_unused=True)
    to_mu, to_logvar = (slope is not None and slope.abs().max().item() > 1e-8 for slope in slopes)
    if not to_mu:
        only = "the encoder hears the KL alone" if not to_logvar else "only the KL says where the clouds are"
        return Finding("path", False, f"no gradient passes from the draw to mu: {only}.")
    if noisy and not to_logvar:
        text = "no gradient passes from the draw to logvar: only the KL says how wide clouds are."
        return Finding("path", False, text)
    return Finding("path", True, f"gradients pass through the draw to mu{' and to logvar' if to_logvar else ''}.")
