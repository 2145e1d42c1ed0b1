"""Pictures as people have them, and what a model returns for them: parameters of p(x|z), mu and the clouds' widths."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..likelihoods import Likelihood
from ..losses import bernoulli_nll

NamedLosses = dict[str, Callable[[Tensor, Tensor], Tensor]]

MOST = 2000  # pictures that averages use

# How the third output tells sigma. The last stands for log sigma as well as for a mistake: only the loss tells which.
SIGMAS: dict[str, Callable[[Tensor], Tensor]] = {
    "exp(logvar / 2)": lambda raw: (0.5 * raw).exp(),
    "the softplus of the third output": F.softplus,
    "the third output itself": lambda raw: raw,
    "exp of the third output": torch.exp,
}
LOGVAR, *_, LOG_SIGMA = SIGMAS


def pictures(x: Any) -> Tensor:
    """Return pictures as a tensor, of floats if they were bytes: the first 2,000.

    Args:
        x: A tensor or NumPy array (n, ...), a `data.Split`, or a data set or DataLoader whose items are pictures or
            begin with them.

    Raises:
        TypeError: It is none of these.
    """
    found = getattr(x, "x", x)
    if not isinstance(found, Tensor) and hasattr(found, "__array__"):
        found = torch.as_tensor(found)
    if not isinstance(found, Tensor | str | dict) and (hasattr(found, "__iter__") or hasattr(found, "__getitem__")):
        found = _gathered(found)
    if not isinstance(found, Tensor):
        raise TypeError(f"x must be a tensor of pictures, a NumPy array or a DataLoader, not {type(x).__name__}")
    found = found[:MOST]
    return found.float() / 255 if found.dtype == torch.uint8 else found.float()


def _gathered(items: Any) -> Tensor | None:
    """Return what the items of a data set or a DataLoader begin with as one tensor; None if that is no pictures."""
    found: list[Tensor] = []
    batches = isinstance(items, torch.utils.data.DataLoader)
    for item in items:
        part = item[0] if isinstance(item, tuple | list) else item
        if not isinstance(part, Tensor):
            return None
        found.append(part if batches else part.unsqueeze(0))
        if sum(map(len, found)) >= MOST:
            break
    return torch.cat(found) if found else None


@dataclass(frozen=True)
class Reading:
    """What the parameters of p(x|z) mean."""

    mean: Callable[[Tensor], Tensor]  # parameters -> mean pictures
    nlls: NamedLosses  # of each likelihood that the parameters may belong to: (parameters, x) -> (batch,)
    bounded: bool = False  # whether parameters must lie in [0, 1]


@dataclass
class Outputs:
    """The model's outputs for all pictures, (n, ...), without gradients; `widths` names the sigma of `SIGMAS`."""

    parameters: Tensor
    mu: Tensor
    raw: Tensor
    reading: Reading
    widths: str = LOGVAR

    @property
    def logvar(self) -> Tensor:
        """Log sigma^2 of the clouds."""
        return logvar_of(self.raw, self.widths)

    def picture(self, parameters: Tensor) -> Tensor:
        """Return the mean pictures of parameters of p(x|z), flat."""
        return self.reading.mean(parameters).flatten(1)


def logvar_of(raw: Tensor, widths: str) -> Tensor:
    """Return log sigma^2 from a model's third output, whose sigma is that of `SIGMAS`."""
    return raw if widths == LOGVAR else 2 * SIGMAS[widths](raw).log()


def triple(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
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
def run(model: nn.Module, x: Tensor) -> Outputs:
    """Return the model's outputs for pictures x, in evaluation mode."""
    model.eval()
    parts = zip(*(triple(model, part) for part in x.split(500)), strict=True)
    parameters, mu, raw = (torch.cat(part).float() for part in parts)
    return Outputs(parameters, mu, raw, reading(model, parameters, x))


def likelihood_of(model: nn.Module) -> Likelihood | None:
    """Return the model's likelihood if it has one that can be asked for a mean and an nll."""
    likelihood = getattr(model, "likelihood", None)
    asked = (getattr(likelihood, name, None) for name in ("mean", "nll"))
    return likelihood if all(map(callable, asked)) else None


def sigma_of(model: nn.Module) -> float | None:
    """Return the sigma of the model's likelihood, if that is one number."""
    sigma = getattr(likelihood_of(model), "sigma", None)
    return float(sigma) if isinstance(sigma, float | int) else None


def reading(model: nn.Module, parameters: Tensor, x: Tensor) -> Reading:
    """Read parameters of p(x|z) as the model's likelihood does, or else as their range and the pictures suggest."""
    if likelihood := likelihood_of(model):
        sigma = sigma_of(model)
        name = f"a {type(likelihood).__name__}{'' if sigma is None else f' with sigma {sigma:g}'}"
        return Reading(likelihood.mean, {name: likelihood.nll})
    gaussian: NamedLosses = {"a Gaussian with sigma 1": half_squares}
    if not in_unit_range(x):  # then no Bernoulli has made them
        return Reading(lambda means: means, gaussian)
    if in_unit_range(parameters):
        return Reading(lambda means: means, {"a Bernoulli": cross_entropy} | gaussian, bounded=True)
    straight, bent = (
        (mean(parameters).flatten(1).mean(0) - x.flatten(1).mean(0)).square().sum().item()
        for mean in (lambda means: means, torch.sigmoid)
    )
    if straight < bent:  # means without a bound
        return Reading(lambda means: means, {"a Gaussian with sigma 1": half_squares})
    return Reading(torch.sigmoid, {"a Bernoulli": bernoulli_nll})


def in_unit_range(values: Tensor) -> bool:
    """Return whether all values lie in [0, 1], or nearly."""
    low, high = values.aminmax()
    return bool(low >= -0.01 and high <= 1.01)


def half_squares(mean: Tensor, x: Tensor) -> Tensor:
    """Return half the squared error, (batch,): the nll of a Gaussian with sigma 1 but for a constant."""
    return 0.5 * (mean.flatten(1) - x.flatten(1)).square().sum(1)


def cross_entropy(mean: Tensor, x: Tensor) -> Tensor:
    """Return the nll of a Bernoulli, (batch,), from probabilities."""
    mean = mean.clamp(1e-6, 1 - 1e-6)
    return -(x * mean.log() + (1 - x) * (1 - mean).log()).flatten(1).sum(1)
