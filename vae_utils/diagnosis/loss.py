"""The loss, asked for its price of made-up reconstructions and codes: is it nll + beta KL, and with which beta?"""

import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..losses import bernoulli_nll, gaussian_kl
from ..mistakes import gaussian_kl as wrong_kl
from .outputs import (
    LOG_SIGMA,
    LOGVAR,
    NamedLosses,
    Outputs,
    cross_entropy,
    half_squares,
    likelihood_of,
    logvar_of,
    sigma_of,
)
from .report import Finding

AnyLoss = Callable[[Any, Tensor], dict[str, Tensor] | Tensor]


class _StandIn(nn.Module):
    """A model with synthetic outputs. All its other attributes are those of the real model."""

    _outputs: tuple[Tensor, Tensor, Tensor]

    def __init__(self, model: nn.Module, parameters: Tensor, mu: Tensor, logvar: Tensor):
        super().__init__()
        vars(self).update(_model=model, _outputs=(parameters, mu, logvar))  # not as a part of this one
        if likelihood := likelihood_of(model):
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


def mistaken_nlls(mean: Callable[[Tensor], Tensor]) -> NamedLosses:
    """Return nlls that are not the model's own, if `mean` turns its parameters into mean pictures."""
    return {
        "a squared error": lambda p, x: half_squares(mean(p), x),
        "a squared error of the logits": half_squares,
        "a squared error after two sigmoids": lambda p, x: half_squares(mean(p).sigmoid(), x),
        "a cross-entropy after two sigmoids": lambda p, x: bernoulli_nll(mean(p), x),
        "a cross-entropy with its arguments swapped": lambda p, x: cross_entropy(x, mean(p)),
        "a Bernoulli's cross-entropy": lambda p, x: cross_entropy(mean(p), x),
    }


MISTAKEN_KL: NamedLosses = {
    "the reverse KL(p ‖ q)": wrong_kl.reverse,
    "a KL without mu²": wrong_kl.no_mu,
    "a KL without -logvar": wrong_kl.no_logvar,
    "a KL with +logvar": wrong_kl.plus_logvar,
    "a KL that takes logvar for log sigma": wrong_kl.log_std,
    "a KL with mu not squared": wrong_kl.mu_not_squared,
    "a KL with |mu| for mu²": wrong_kl.mu_absolute,
    "a KL with logvar for sigma²": wrong_kl.not_exponentiated,
    "a KL with sigma for sigma²": wrong_kl.sigma_not_squared,
    "a KL of the first number alone": wrong_kl.first_number_alone,
}


def _factor(charged: Tensor, right: Tensor) -> float | None:
    """Return the c with charged = c * right for all probes, or None if there is none."""
    c = (charged @ right / (right @ right)).item()
    return c if (charged - c * right).norm() <= 1e-4 * charged.norm().clamp(min=1e-12) else None


def charges(model: nn.Module, loss: AnyLoss, x: Tensor, outputs: Outputs, beta: float) -> list[Finding]:
    """Test the loss at synthetic reconstructions and codes."""
    probes = []
    for copies in (1, 5):
        try:
            probes.append(_Probe(model, loss, x, outputs, copies))
        except Exception as problem:  # any code may stand in a loss
            if takes := other_arguments(loss):
                return [Finding("loss", False, takes)]
            first = "could not be asked with made-up codes"
            what = "takes a batch of 1 and fails with 5 pictures" if probes else first
            text = f"the loss {what} ({type(problem).__name__}: {problem}".splitlines()[0]
            return [Finding("loss", False if probes or isinstance(problem, LossReturnsOther) else None, f"{text}).")]
    one, many = probes
    found = [one.reconstruction(), one.kl()]
    if all(finding.healthy for finding in found):
        found.append(_weight(one, many, model, beta))
    return found


def charges_log_sigma(model: nn.Module, loss: AnyLoss, x: Tensor, outputs: Outputs) -> bool:
    """Return whether the loss charges the right KL if the third output is log sigma, and not if it is log sigma^2."""
    try:
        probe = _Probe(model, loss, x, replace(outputs, widths=LOG_SIGMA), 1)
    except Exception:  # `charges` reports it
        return False
    right = _factor(probe.charged_kl, probe.right_kl)
    return right is not None and right > 0


class LossReturnsOther(TypeError):
    """A loss returned something that is no loss."""


def other_arguments(loss: AnyLoss) -> str:
    """Describe the arguments that a loss takes in place of (model, x); '' if it takes two."""
    try:
        signature = inspect.signature(loss)
        signature.bind(None, None)
    except TypeError:
        names = ", ".join(signature.parameters)
        return (
            f"it takes ({names}), and is asked with (model, x): wrap it, as in `loss=lambda model, x: ...`, with all "
            "it needs taken from `model(x)`."
        )
    except ValueError:  # builtins may have no signature
        pass
    return ""


class _Probe:
    """The loss, evaluated at synthetic reconstructions and codes, relative to a reference.

    Attributes:
        charged_nll: Its values for reconstructions, less that of the first.
        charged_kl: Its values for codes, less that of the first.
        right_kl: The same of the right KL.
        steers: Whether gradients reach both mu and logvar.
    """

    def __init__(self, model: nn.Module, loss: AnyLoss, x: Tensor, outputs: Outputs, copies: int):
        generator = torch.Generator().manual_seed(0)
        device = torch.device("cpu") if x.device.type == "mps" else x.device  # MPS has no double precision

        def normal(*size: int) -> Tensor:
            return torch.randn(*size, generator=generator, dtype=torch.float64).to(device)

        def evaluate(p: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
            same = [part.expand(copies, *part.shape[1:]).clone() for part in (p, mu, logvar)]
            out = loss(_StandIn(model, *same), self.x.expand(copies, *self.x.shape[1:]).clone())
            found = out.get("loss") if isinstance(out, dict) else out
            if not isinstance(found, Tensor):
                kind = "a dict without a tensor at 'loss'" if isinstance(out, dict) else f"a {type(out).__name__}"
                raise LossReturnsOther(f"a loss is a number, (batch,) or {{'loss': ...}}, but it returned {kind}")
            return found.double().mean()

        latent, shape = outputs.mu.shape[1], outputs.parameters.shape[1:]
        self.reading, self.x = outputs.reading, x[:1].to(device).double()
        values = [2 * normal(1, *shape) for _ in range(6)]
        self.p = [p.sigmoid() for p in values] if self.reading.bounded else values
        self.p[0] = values[0].sigmoid()  # valid whatever the loss takes the parameters for
        first = torch.full((2, 1, latent), 0.4, dtype=torch.float64, device=device)
        raw = normal if outputs.widths == LOGVAR else lambda *size: 0.1 + normal(*size).abs()  # no sigma below 0
        self.codes = [tuple(first), *((1.5 * normal(1, latent), raw(1, latent)) for _ in range(12))]
        self.logvar = partial(logvar_of, widths=outputs.widths)
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
        prices = torch.cat([kl(mu, self.logvar(raw)) for mu, raw in self.codes]).cpu()
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
    pixels, latent, sigma = one.x.numel(), one.codes[0][0].numel(), sigma_of(model)
    nll = one.nll_factor()
    gaussian = sigma is None and nll is not None and nll[0].startswith("a Gaussian")
    if gaussian:
        reasons = {
            "a squared error without its 1/2": 0.5,
            "a mean squared error, without its 1/2": 0.5 * pixels,
            "a mean squared error, without its 1/2, and a mean over the code": 0.5 * pixels / latent,
        }
    else:
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
    if gaussian:  # of unknown sigma: no weight is wrong by itself
        right = f"right for a Gaussian whose sigma is {ratio**0.5:.3g}"
        if not why:
            text = f"errors and codes are charged as is {right}; the model does not say its own."
            return Finding("weight", True, text)
        why += f". It is {right}"
    return Finding("weight", False, f"a nat of KL weighs {found:.4g} times a nat of reconstruction, not {beta:g}{why}.")
