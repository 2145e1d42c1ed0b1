"""Diagnose a VAE: `examine` tests the model, and its loss if given, from inputs and outputs alone.

Each finding answers one question with a number. `UNSEEN` lists what inputs and outputs can't tell.

Three of the questions rest on what holds exactly at every minimum of the loss if the layers next to the code and to the
pictures are linear, free and without weight decay. There the weight of the KL can be read off the gradients at mu and
logvar (`weight_of_kl`). The other two hold for every weight. The decoder's first layer can undo any shift and any scale
of the codes, so at a minimum neither can lower the KL: each number of the code has mean 0 and E[mu^2 + sigma^2] = 1
over the pictures. And the bias of the last layer can make the pictures lighter or darker, so for a Bernoulli the
average reconstruction is the average picture.
"""

import math
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .evaluation import frechet_distance
from .likelihoods import Likelihood
from .losses import bernoulli_nll, gaussian_kl
from .mistakes import gaussian_kl as wrong_kl
from .random_state import own_random_numbers

AnyLoss = Callable[[Any, Tensor], dict[str, Tensor] | Tensor]
NamedLosses = dict[str, Callable[[Tensor, Tensor], Tensor]]

ACTIVE = 0.01  # a number of the code is active if the variance of its mu is larger (Burda et al., 2016)
LEAST = 100  # pictures that the averages need
MOST = 2000  # pictures that they use
BALANCE_DRAWS = 5  # of z for each picture, to read off the KL's weight
PASSES, ROWS = 16, 256  # draws of epsilon for each picture, and pictures
MIN_ROOM = 0.03  # of (1 - E[sigma^2]) / 2, for the clouds' width to tell the KL's weight
MAX_SPARE = 0.03  # share of 1 + KL that a shift and a scale of the codes may still save
MAX_RATIO = 1.4  # of the KL's weight, as the gradients tell it, to the one that was meant
MAX_SHIFT = 0.1  # of the average reconstruction from the average picture, squared, in shares of the variance
MAX_DISTANCE = 0.25  # of samples from the prior to samples from the encoder's q(z|x), squared Fréchet, likewise

UNSEEN = (
    "how the loss was trained: gradients that were never zeroed, a learning rate, too few steps, the same batch again",
    "how figures were reported: z = mu at test time, sums beside means, training pictures in the test",
    "whether the pictures are what they should be, the likelihood suits them and the network is large enough",
    "a constant in the loss, which changes no gradient",
)
UNSEEN_WITHOUT_LOSS = (
    "the weight of the KL to better than a third, and not at all if p(x|z) is unknown or no number is active",
    "the scale of the reconstruction if the model does not say its sigma: a squared error without 1/(2 sigma^2) is a "
    "right loss for another one",
)


@dataclass(frozen=True)
class Finding:
    """One question and its answer; `healthy` is None if it could not be asked."""

    name: str
    healthy: bool | None
    sentence: str

    def __str__(self) -> str:
        return f"{'?' if self.healthy is None else '✔' if self.healthy else '✘'} {self.name}: {self.sentence}"


@dataclass(frozen=True)
class Report:
    """The findings of `examine`. Printed, it has a line for each question and a list of what `examine` can't see."""

    findings: tuple[Finding, ...]
    unseen: tuple[str, ...]

    @property
    def wrong(self) -> tuple[str, ...]:
        """The names of the findings that look wrong."""
        return tuple(finding.name for finding in self.findings if finding.healthy is False)

    def __getitem__(self, name: str) -> Finding:
        found = {finding.name: finding for finding in self.findings}
        if name not in found:
            raise KeyError(f"no finding is called {name!r}; this report has {', '.join(found)}")
        return found[name]

    def __str__(self) -> str:
        count = len(self.wrong)
        head = f"{count} finding{'s' * (count != 1)}: {', '.join(self.wrong)}" if count else "Nothing looks wrong."
        lines = [head, *map(str, self.findings), "Not seen from here:", *(f"  - {line}" for line in self.unseen)]
        return "\n".join(textwrap.fill(line, 88, subsequent_indent="    ") for line in lines)

    __repr__ = __str__


def examine(model: nn.Module, x: Tensor, *, loss: AnyLoss | None = None, beta: float = 1.0, seed: int = 0) -> Report:
    """Examine a trained VAE on pictures and report, question by question, what looks healthy and what does not.

    The model's weights, gradients, mode and the random state stay as they were.

    Args:
        model: model(x) -> (parameters of p(x|z), mu, logvar), with mu and logvar (batch, latent_dim). If it has
            `decode` (or a module `decoder`), the draw of z is watched on its way there, and new codes are decoded.
            If it has a `likelihood` as in vae_utils.likelihoods, this reads the parameters; without one they are
            taken for probabilities or means if they lie in [0, 1], and for a Bernoulli's logits otherwise.
        x: 100 pictures or more, as the model takes them; the training pictures are best. The first 2,000 are used.
        loss: (model, x) -> the loss as a number, as (batch,) or as {"loss": ...}, such as `objectives.vae_loss`. It
            is evaluated at synthetic codes and reconstructions. It must take all it needs from model(x), or from
            model.encode, .reparameterize and .decode (if the model has a `likelihood`, also .mean).
        beta: The weight of the KL that you meant. The gradients are compared with it, and the loss, if it is given.
        seed: Of the draws that the examination makes.

    Raises:
        TypeError: The model does not return such a triple.
        ValueError: There are too few pictures, or beta is not a number above 0.
    """
    if len(x) < LEAST:
        raise ValueError(f"averages need {LEAST} pictures or more, but x has {len(x)}")
    if not 0 < beta < math.inf:
        raise ValueError(f"beta must be a number above 0, not {beta}")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    x = x[:MOST].to(device)
    with _undisturbed(model), own_random_numbers(seed, device), torch.enable_grad():
        outputs = _run(model, x)
        findings = [_finite(model, outputs)]
        if findings[0].healthy:
            findings += _draw(model, x)
            findings += [_path(model, x, noisy=findings[1].healthy), _heads(outputs), _use(outputs), _scale(outputs)]
            findings += [_balance(model, outputs, x, beta), _average_picture(outputs, x), _samples(model, outputs)]
            if loss is not None:
                findings += _charges(model, loss, x, outputs, beta)
    unseen = UNSEEN if loss is not None else (*UNSEEN_WITHOUT_LOSS, *UNSEEN)
    return Report(tuple(findings), unseen)


@contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Restore the buffers and the mode of every part of the model afterwards."""
    modes = [(part, part.training) for part in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)


@dataclass(frozen=True)
class _Reading:
    """What the parameters of p(x|z) mean."""

    mean: Callable[[Tensor], Tensor]  # parameters -> mean pictures
    nlls: NamedLosses  # of each likelihood that the parameters may belong to: (parameters, x) -> (batch,)
    bounded: bool = False  # whether parameters must lie in [0, 1]


def _likelihood(model: nn.Module) -> Likelihood | None:
    """Return the model's likelihood if it has one that can be asked for a mean and an nll."""
    likelihood = getattr(model, "likelihood", None)
    asked = (getattr(likelihood, name, None) for name in ("mean", "nll"))
    return likelihood if all(map(callable, asked)) else None


def _sigma(model: nn.Module) -> float | None:
    """Return the sigma of the model's likelihood, if that is one number."""
    sigma = getattr(_likelihood(model), "sigma", None)
    return float(sigma) if isinstance(sigma, float | int) else None


def _reading(model: nn.Module, parameters: Tensor) -> _Reading:
    """Read parameters of p(x|z) as the model's likelihood does, or else as their range suggests."""
    if likelihood := _likelihood(model):
        sigma = _sigma(model)
        name = f"a {type(likelihood).__name__}{'' if sigma is None else f' with sigma {sigma:g}'}"
        return _Reading(likelihood.mean, {name: likelihood.nll})
    low, high = parameters.aminmax()
    if low >= -0.01 and high <= 1.01:
        nlls: NamedLosses = {"a Bernoulli": _cross_entropy, "a Gaussian with sigma 1": _half_squares}
        return _Reading(lambda means: means, nlls, bounded=True)
    return _Reading(torch.sigmoid, {"a Bernoulli": bernoulli_nll})


@dataclass
class _Outputs:
    """The model's outputs for all pictures, (n, ...), without gradients."""

    parameters: Tensor
    mu: Tensor
    logvar: Tensor
    reading: _Reading

    @property
    def variance(self) -> Tensor:
        return self.logvar.exp()

    def picture(self, parameters: Tensor) -> Tensor:
        """Return the mean pictures of parameters of p(x|z), flat."""
        return self.reading.mean(parameters).flatten(1)


def _triple(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return model(x). Raise TypeError unless it is (parameters, mu, logvar) of fitting shapes."""
    wanted = "examine needs a model with model(x) -> (parameters, mu, logvar)"
    out = model(x)
    if not (isinstance(out, tuple | list) and len(out) == 3 and all(isinstance(part, Tensor) for part in out)):
        found = f"{len(out)} parts" if isinstance(out, tuple | list) else type(out).__name__
        raise TypeError(f"{wanted}, three tensors; this one returned {found}")
    parameters, mu, logvar = out
    if mu.ndim != 2 or mu.shape != logvar.shape or len(mu) != len(x) or parameters.numel() != x.numel():
        shapes = ", ".join(str(tuple(part.shape)) for part in out)
        raise TypeError(
            f"{wanted}, as many parameters as pixels, mu and logvar (batch, latent); the shapes are {shapes}"
        )
    return parameters, mu, logvar


@torch.no_grad()
def _run(model: nn.Module, x: Tensor) -> _Outputs:
    model.eval()
    parts = zip(*(_triple(model, part) for part in x.split(500)), strict=True)
    parameters, mu, logvar = (torch.cat(part).float() for part in parts)
    return _Outputs(parameters, mu, logvar, _reading(model, parameters))


def _finite(model: nn.Module, outputs: _Outputs) -> Finding:
    weights = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
    parts = {"parameters": outputs.parameters, "mu": outputs.mu, "logvar": outputs.logvar, "sigma": outputs.variance}
    odd = [name for name, values in parts.items() if not values.isfinite().all()]
    if weights or odd:
        what = f"the weights {weights[0]}" if weights else " and ".join(odd)
        return Finding("finite", False, f"NaN or infinity in {what}; nothing else was examined.")
    low, high = (value.item() for value in outputs.logvar.aminmax())
    return Finding("finite", True, f"no NaN, no infinity; logvar lies between {low:.1f} and {high:.1f}.")


# The draw


@contextmanager
def _watched(model: nn.Module) -> Iterator[list[Tensor]]:
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


def _draw(model: nn.Module, x: Tensor) -> list[Finding]:
    """Test whether z is noisy, with new noise in each pass, distributed as N(mu, sigma^2)."""
    model.train()  # a model that draws at all does so in training
    x = x[:ROWS]
    with torch.no_grad(), _watched(model) as codes:
        passes = [_triple(model, x) for _ in range(PASSES)]
    mu, logvar = (torch.stack([out[i].float() for out in passes]) for i in (1, 2))
    if len(codes) != PASSES or any(z.shape != mu.shape[1:] for z in codes):
        moves = torch.stack([out[0].float() for out in passes]).std(0).max().item()
        if moves == 0:
            return [Finding("noise", False, "passes over the same pictures give the same result: nothing is drawn.")]
        why = "forward calls neither `decode` nor `decoder`, or not with z alone"
        return [Finding("noise", True, "passes differ."), Finding("spread", None, f"z could not be watched ({why}).")]
    z, sigma = torch.stack(codes).float(), (0.5 * logvar).exp()
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
    found.append(_spread(epsilon, mu))
    if found[-1].healthy:
        found += [_shape(epsilon), _fresh(epsilon)]
    return found


def _spread(epsilon: Tensor, mu: Tensor) -> Finding:
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
        return Finding("spread", True, f"{text} and mean 0.")
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
    kurtosis = (((values - values.mean()) / values.std()) ** 4).mean().item()
    healthy = abs(kurtosis - 3) < 6 * math.sqrt(24 / len(values)) + 0.1
    text = f"epsilon's fourth moment is {kurtosis:.2f}: 3 for normal dice, 1.8 for uniform ones"
    return Finding("shape", healthy, text + ("." if healthy else "; these are not normal dice."))


def _growth(epsilon: Tensor, dim: int) -> float:
    """Return the variance of sums along `dim`, relative to sums of independent numbers: 1, or more if correlated."""
    epsilon = (epsilon - epsilon.nanmean((0, 1))).nan_to_num()
    return (epsilon.sum(dim).square().mean() / epsilon.square().mean() / epsilon.shape[dim]).item()


def _shared(epsilon: Tensor) -> str:
    """Describe which entries of epsilon (passes, rows, latent) are correlated, or return ''."""
    numbers, pictures = _growth(epsilon, 2), _growth(epsilon, 1)
    if pictures > 4:
        return f"the pictures of a batch share their dice: sums over a batch vary {pictures:.0f} times too much."
    if numbers > 1.5:
        return f"the numbers of a code share their dice: their sum varies {numbers:.1f} times too much."
    return ""


def _fresh(epsilon: Tensor) -> Finding:
    again = _growth(epsilon, 0)
    if again > 2:
        return Finding(
            "independence", False, f"passes repeat their dice: sums of them vary {again:.1f} times too much."
        )
    return Finding("independence", True, "no two numbers, pictures or passes share their dice.")


def _path(model: nn.Module, x: Tensor, noisy: bool | None) -> Finding:
    """Test whether gradients pass from the draw to mu and, if there is noise, to logvar."""
    model.train()
    with _watched(model) as codes:
        parameters, mu, logvar = _triple(model, x[:32])
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
        return Finding(
            "path", False, "no gradient passes from the draw to logvar: only the KL says how wide clouds are."
        )
    return Finding("path", True, f"gradients pass through the draw to mu{' and to logvar' if to_logvar else ''}.")


# The codes


def _heads(outputs: _Outputs) -> Finding:
    low, high = (part.amin().item() for part in (outputs.mu, outputs.logvar))
    one_sided = [name for name, value in (("mu", low), ("logvar", high)) if value >= 0]
    if one_sided:
        return Finding(
            "heads",
            False,
            f"{' and '.join(one_sided)} never below 0: is there a ReLU, or a softplus, on the last layer?",
        )
    return Finding("heads", True, f"mu reaches down to {low:.1f} and logvar to {high:.1f}: nothing cuts them off at 0.")


def _use(outputs: _Outputs) -> Finding:
    latent = outputs.mu.shape[1]
    kl = [gaussian_kl(outputs.mu[:, [i]], outputs.logvar[:, [i]]).mean().item() for i in range(latent)]
    active = int((outputs.mu.var(0) > ACTIVE).sum())
    parts = ", ".join(f"{value:.2f}" for value in sorted(kl, reverse=True)[:10])
    text = f"{active} of {latent} numbers in use; KL {sum(kl):.3g} nats: {parts}{', ...' if latent > 10 else ''}"
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
    draws: int = 20,
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


def _scale(outputs: _Outputs) -> Finding:
    moment = (outputs.mu.square() + outputs.variance).mean(0)
    spare = spare_nats(outputs.mu, outputs.logvar).sum().item()
    kl = gaussian_kl(outputs.mu, outputs.logvar).mean().item()
    low, high = (value.item() for value in moment.aminmax())
    far = outputs.mu.mean(0).abs().max().item()
    text = (
        f"E[mu² + sigma²] is {low:.3g} to {high:.3g} (1 at rest), mu's average at most {far:.2g} from 0; "
        f"another scale would save {spare:.2g} of {kl:.3g} nats"
    )
    if spare < MAX_SPARE * (1 + kl):
        return Finding("scale", True, f"{text}.")
    return Finding(
        "scale",
        False,
        f"{text}. Either sigma in the draw and in the KL are not one, or the KL is another, or it is not "
        "trained to the end.",
    )


def _balance(model: nn.Module, outputs: _Outputs, x: Tensor, beta: float) -> Finding:
    """Test the weight of the KL that the gradients at mu and logvar have come to rest at."""
    model.eval()
    likelihood, decode = _likelihood(model), getattr(model, "decode", None)
    if likelihood is None or decode is None:
        return Finding(
            "balance", None, "without `likelihood` and `decode` the KL's weight can't be read off gradients."
        )
    try:
        found = _weights(decode, likelihood.nll, outputs.mu, outputs.logvar, x, BALANCE_DRAWS)
    except Exception as problem:  # a decode of another kind may need more than codes, or return something else
        return Finding("balance", None, f"no gradient could be taken at the code ({type(problem).__name__}).")
    told = {"logvar": found.from_logvar, "mu": found.from_mu}
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
    return Finding(
        "balance",
        False,
        f"{text}, not {beta:g}. As no one weight explains it, the draw or the KL is another, the KL is left out, or it "
        "is not trained to the end.",
    )


# The pictures


def _average_picture(outputs: _Outputs, x: Tensor) -> Finding:
    back, real = outputs.picture(outputs.parameters), x.flatten(1).float()
    shift = ((back.mean(0) - real.mean(0)).square().sum() / real.var(0).sum().clamp(min=1e-12)).item()
    text = f"the average reconstruction is {shift:.2%} of the pictures' variance away from the average picture"
    if shift < MAX_SHIFT:
        return Finding("average picture", True, f"{text}.")
    why = "does the loss see the same parameters as you (logits, probabilities, a second sigmoid)?"
    return Finding("average picture", False, f"{text}: {why}")


@torch.no_grad()
def _samples(model: nn.Module, outputs: _Outputs) -> Finding:
    """Test whether codes from the prior decode to the same distribution of pictures as codes from q(z|x)."""
    model.eval()
    decode = getattr(model, "decode", None) or getattr(model, "decoder", None)
    if decode is None:
        return Finding("samples", None, "the model has no `decode`: no pictures could be made from new codes.")
    z = outputs.mu + (0.5 * outputs.logvar).exp() * torch.randn_like(outputs.mu)
    try:
        clouds, prior = (outputs.picture(decode(codes).float()).cpu() for codes in (z, torch.randn_like(z)))
    except Exception as problem:  # a decode of another kind may need more than codes, or return something else
        return Finding("samples", None, f"`decode` made no pictures of codes alone ({type(problem).__name__}).")
    total = clouds.var(0).sum()
    if total < 1e-3 * max(clouds.shape[1] ** 0.5, 1):
        return Finding("samples", None, "all codes decode to one picture, so there is nothing to compare.")
    center = clouds.mean(0)
    axes = torch.pca_lowrank(clouds - center, q=min(16, *clouds.shape), center=False)[2]
    distance = frechet_distance((clouds - center) @ axes, (prior - center) @ axes) / total.item()
    text = f"pictures from N(0, I) are {distance:.2f} of the variance away from pictures from the encoder's clouds"
    if distance < MAX_DISTANCE:
        return Finding("samples", True, f"{text}.")
    return Finding("samples", False, f"{text}: the clouds do not fill the prior.")


# The loss


class _StandIn(nn.Module):
    """A model with synthetic outputs. All its other attributes are those of the real model."""

    _outputs: tuple[Tensor, Tensor, Tensor]

    def __init__(self, model: nn.Module, parameters: Tensor, mu: Tensor, logvar: Tensor):
        super().__init__()
        vars(self).update(_model=model, _outputs=(parameters, mu, logvar))  # not as a part of this one
        if likelihood := _likelihood(model):
            vars(self)["mean"] = lambda z: likelihood.mean(parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_model"], name)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self._outputs

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._outputs[1:]

    def reparameterize(self, mu: Tensor, logvar: Tensor) -> Tensor:
        return mu

    def decode(self, z: Tensor) -> Tensor:
        return self._outputs[0]


def _half_squares(mean: Tensor, x: Tensor) -> Tensor:
    return 0.5 * (mean - x).square().flatten(1).sum(1)


def _cross_entropy(mean: Tensor, x: Tensor) -> Tensor:
    mean = mean.clamp(1e-6, 1 - 1e-6)
    return -(x * mean.log() + (1 - x) * (1 - mean).log()).flatten(1).sum(1)


def mistaken_nlls(mean: Callable[[Tensor], Tensor]) -> NamedLosses:
    """Return nlls that are not the model's own, if `mean` turns its parameters into mean pictures."""
    return {
        "a squared error": lambda p, x: _half_squares(mean(p), x),
        "a squared error of the logits": _half_squares,
        "a squared error after two sigmoids": lambda p, x: _half_squares(mean(p).sigmoid(), x),
        "a cross-entropy after two sigmoids": lambda p, x: bernoulli_nll(mean(p), x),
        "a cross-entropy with its arguments swapped": lambda p, x: _cross_entropy(x, mean(p)),
        "a Bernoulli's cross-entropy": lambda p, x: _cross_entropy(mean(p), x),
    }


MISTAKEN_KL: NamedLosses = {
    "the reverse KL(p ‖ q)": wrong_kl.reverse,
    "a KL without mu²": wrong_kl.no_mu,
    "a KL without -logvar": wrong_kl.no_logvar,
    "a KL with +logvar": wrong_kl.plus_logvar,
    "a KL that takes logvar for log sigma": wrong_kl.log_std,
    "a KL with mu not squared": wrong_kl.mu_not_squared,
    "a KL with |mu| for mu²": lambda m, v: (m.abs() + v.exp() - 1 - v).sum(1),
    "a KL with logvar for sigma²": wrong_kl.not_exponentiated,
    "a KL with sigma for sigma²": wrong_kl.sigma_not_squared,
    "a KL of the first number alone": lambda m, v: (m.square() + v.exp() - 1 - v)[:, 0],
}


def _factor(charged: Tensor, right: Tensor) -> float | None:
    """Return the c with charged = c * right for all probes, or None if there is none."""
    c = (charged @ right / (right @ right)).item()
    return c if (charged - c * right).norm() <= 1e-4 * charged.norm().clamp(min=1e-12) else None


def _charges(model: nn.Module, loss: AnyLoss, x: Tensor, outputs: _Outputs, beta: float) -> list[Finding]:
    """Test the loss at synthetic reconstructions and codes."""
    probes = []
    for copies in (1, 5):
        try:
            probes.append(_Probe(model, loss, x, outputs, copies))
        except Exception as problem:  # any code may stand in a loss
            what = (
                "could not be asked with made-up codes"
                if copies == 1
                else "takes a batch of 1 and fails with 5 pictures"
            )
            text = f"the loss {what} ({type(problem).__name__}: {problem}".splitlines()[0]
            return [Finding("loss", False if probes else None, f"{text}).")]
    one, many = probes
    found = [one.reconstruction(), one.kl()]
    if all(finding.healthy for finding in found):
        found.append(_weight(one, many, model, beta))
    return found


class _Probe:
    """The loss, evaluated at synthetic reconstructions and codes, relative to a reference.

    Attributes:
        charged_nll: Its values for reconstructions, less that of the first.
        charged_kl: Its values for codes, less that of the first.
        right_kl: The same of the right KL.
        steers: Whether gradients reach both mu and logvar.
    """

    def __init__(self, model: nn.Module, loss: AnyLoss, x: Tensor, outputs: _Outputs, copies: int):
        generator = torch.Generator().manual_seed(0)
        device = torch.device("cpu") if x.device.type == "mps" else x.device  # MPS has no double precision

        def normal(*size: int) -> Tensor:
            return torch.randn(*size, generator=generator, dtype=torch.float64).to(device)

        def evaluate(p: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
            same = [part.expand(copies, *part.shape[1:]).clone() for part in (p, mu, logvar)]
            out = loss(_StandIn(model, *same), self.x.expand(copies, *self.x.shape[1:]).clone())
            return (out["loss"] if isinstance(out, dict) else out).double().mean()

        latent, shape = outputs.mu.shape[1], outputs.parameters.shape[1:]
        self.reading, self.x = outputs.reading, x[:1].to(device).double()
        values = [2 * normal(1, *shape) for _ in range(6)]
        self.p = [p.sigmoid() for p in values] if self.reading.bounded else values
        self.p[0] = values[0].sigmoid()  # valid whatever the loss takes the parameters for
        first = torch.full((2, 1, latent), 0.4, dtype=torch.float64, device=device)
        self.codes = [tuple(first), *((1.5 * normal(1, latent), normal(1, latent)) for _ in range(12))]
        with torch.no_grad():
            base = evaluate(self.p[0], *first)
            self.charged_nll = torch.stack([evaluate(p, *first) - base for p in self.p[1:]]).cpu()
            self.charged_kl = torch.stack([evaluate(self.p[0], *code) - base for code in self.codes[1:]]).cpu()
        self.right_kl = self.priced_kl(gaussian_kl)
        leaves = [part.clone().requires_grad_() for part in self.codes[1]]
        price = evaluate(self.p[0], *leaves)
        slopes = torch.autograd.grad(price, leaves, allow_unused=True) if price.requires_grad else (None, None)
        self.steers = all(slope is not None and bool(slope.any()) for slope in slopes)

    def priced_kl(self, kl: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        prices = torch.cat([kl(mu, logvar) for mu, logvar in self.codes]).cpu()
        return prices[1:] - prices[0]

    def priced_nll(self, nll: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        x = self.x.view_as(self.p[0])
        prices = torch.cat([nll(p, x) for p in self.p]).cpu()
        return prices[1:] - prices[0]

    def nll_factor(self) -> tuple[str, float] | None:
        """Return the name of the right nll, and how many times the loss charges it; None if it charges no right one."""
        nlls = self.reading.nlls.items()
        fits = ((name, _factor(self.charged_nll, self.priced_nll(nll))) for name, nll in nlls)
        return next(((name, c) for name, c in fits if c is not None and c != 0), None)

    def reconstruction(self) -> Finding:
        found = self.nll_factor()
        if found and found[1] > 0:
            times = "" if math.isclose(found[1], 1, rel_tol=1e-3) else f", times {found[1]:.4g}"
            return Finding("reconstruction", True, f"the loss charges errors as {found[0]} does{times}.")
        wanted = " or ".join(self.reading.nlls)
        for name, nll in mistaken_nlls(self.reading.mean).items():
            if (c := _factor(self.charged_nll, self.priced_nll(nll))) is not None and c > 0:
                return Finding("reconstruction", False, f"the loss charges {name}, not the nll of {wanted}.")
        if found:
            return Finding(
                "reconstruction", False, "the loss pays for errors instead of charging them: a flipped sign."
            )
        if not self.charged_nll.any():
            return Finding("reconstruction", False, "the loss charges nothing for any error: the nll is not in it.")
        return Finding("reconstruction", False, f"the loss charges errors in another way than the nll of {wanted}.")

    def kl(self) -> Finding:
        if self.charged_kl.abs().max() < 1e-9 * (1 + self.charged_nll.abs().max()):
            return Finding("KL", False, "the loss charges nothing for any code: the KL is not in it.")
        c = _factor(self.charged_kl, self.right_kl)
        if c is not None and c > 0 and not self.steers:
            return Finding("KL", False, "the loss charges the KL, but no gradient of it reaches mu and logvar.")
        if c is not None and c > 0:
            return Finding("KL", True, "the loss charges codes as the KL to N(0, I) does.")
        if c is not None:
            return Finding("KL", False, "the loss pays for the KL instead of charging it: its sign is flipped.")
        for name, kl in MISTAKEN_KL.items():
            c = _factor(self.charged_kl, self.priced_kl(kl))
            if c is not None and c > 0:
                return Finding("KL", False, f"the loss charges {name}.")
        worst = int((self.charged_kl - self.right_kl).abs().argmax())
        figures = f"{self.charged_kl[worst]:.2f} where the KL charges {self.right_kl[worst]:.2f}"
        return Finding("KL", False, f"the loss charges codes otherwise than the KL to N(0, I): {figures}.")


def _weight(one: _Probe, many: _Probe, model: nn.Module, beta: float) -> Finding:
    """Test the weight of a nat of KL relative to a nat of reconstruction."""

    def weight(probe: _Probe) -> float | None:
        nll, kl = probe.nll_factor(), _factor(probe.charged_kl, probe.right_kl)
        return None if nll is None or kl is None else kl / nll[1]

    found, again = weight(one), weight(many)
    assert found is not None  # `_charges` found both factors of `one`
    if again is None or not math.isclose(found, again, rel_tol=1e-3):
        shown = "something else" if again is None else f"{again:.4g}"
        return Finding(
            "weight",
            False,
            f"the KL weighs {found:.4g} in a batch of 1 and {shown} in a batch of 5: one term is summed "
            "over the batch and the other is not.",
        )
    if math.isclose(found, beta, rel_tol=1e-3, abs_tol=1e-6):
        times = "as much as" if math.isclose(found, 1, rel_tol=1e-3) else f"{found:.4g} times"
        return Finding("weight", True, f"a nat of KL weighs {times} a nat of reconstruction, as you meant.")
    pixels, latent, sigma = one.x.numel(), one.codes[0][0].numel(), _sigma(model)
    reasons = {
        "a mean over pixels beside a sum over the code": pixels,
        "a mean over the code beside a sum over pixels": 1 / latent,
        "a mean over pixels and a mean over the code": pixels / latent,
        "a KL without its 1/2": 2,
        "a KL with its 1/2 twice": 0.5,
        "an nll in bits": math.log(2),
    }
    if sigma is not None:
        square = 1 / (2 * sigma**2)
        reasons["a squared error without 1/(2 sigma²)"] = square
        reasons["a mean squared error without 1/(2 sigma²)"] = pixels * square
    ratio = found / beta if beta else math.inf
    why = next((f": {name}" for name, value in reasons.items() if math.isclose(ratio, value, rel_tol=1e-3)), "")
    return Finding("weight", False, f"a nat of KL weighs {found:.4g} times a nat of reconstruction, not {beta:g}{why}.")
