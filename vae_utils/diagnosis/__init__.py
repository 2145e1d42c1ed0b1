"""Diagnose a VAE: `examine` tests the model, and its loss if given, from inputs and outputs alone.

Each finding answers one question with a number. What inputs and outputs can't tell is listed, too.

Three of the questions rest on what holds exactly at every minimum of the loss if the layers next to the code and to the
pictures are linear, free and without weight decay. There the weight of the KL can be read off the gradients at mu and
logvar (`weight_of_kl`). The other two hold for every weight. The decoder's first layer can undo any shift and any scale
of the codes, so at a minimum neither can lower the KL: each number of the code has mean 0 and E[mu^2 + sigma^2] = 1
over the pictures. And the bias of the last layer can make the pictures lighter or darker, so for a Bernoulli the
average reconstruction is the average picture.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ..random_state import own_random_numbers
from .codes import Weights, balance, heads, scale, spare_nats, use, weight_of_kl
from .images import average_picture, pixels, samples
from .loss import AnyLoss, charges, charges_log_sigma
from .noise import draw, path
from .outputs import Outputs, pictures, run
from .report import UNSEEN, UNSEEN_WITHOUT_LOSS, Finding, Report

__all__ = ["Finding", "Report", "Weights", "examine", "spare_nats", "weight_of_kl"]

LEAST = 100  # pictures that the averages need


def examine(model: nn.Module, x: Any, *, loss: AnyLoss | None = None, beta: float = 1.0, seed: int = 0) -> Report:
    """Examine a trained VAE on pictures and report, question by question, what looks healthy and what does not.

    The model's weights, gradients, mode and the random state stay as they were.

    Args:
        model: model(x) -> (parameters of p(x|z), mu, logvar), with mu and logvar (batch, latent_dim). If it has
            `decode` (or a module `decoder`), the draw of z is watched on its way there, and new codes are decoded.
            If it has a `likelihood` as in vae_utils.likelihoods, this reads the parameters; without one they are
            taken for probabilities or means if they or the pictures suggest it, and for a Bernoulli's logits otherwise.
            In place of logvar it may return sigma, or what softplus makes sigma of.
        x: 100 pictures or more, as the model takes them: a tensor, a NumPy array, a `data.Split` or a DataLoader; the
            training pictures are best. The first 2,000 are used; bytes are divided by 255.
        loss: (model, x) -> the loss as a number, as (batch,) or as {"loss": ...}, such as `objectives.vae_loss`. It
            is evaluated at synthetic codes and reconstructions. It must take all it needs from model(x), or from
            model.encode, .reparameterize and .decode (if the model has a `likelihood`, also .mean).
        beta: The weight of the KL that you meant. The gradients are compared with it, and the loss, if it is given.
        seed: Of the draws that the examination makes.

    Raises:
        TypeError: The model does not return such a triple, or x is something else.
        ValueError: There are too few pictures, or beta is not a number above 0.
    """
    x = pictures(x)
    if len(x) < LEAST:
        raise ValueError(f"averages need {LEAST} pictures or more, but x has {len(x)}")
    if not 0 < beta < math.inf:
        raise ValueError(f"beta must be a number above 0, not {beta}")
    weight = next(model.parameters(), torch.empty(0))
    x = x.to(weight.device, weight.dtype)
    with _undisturbed(model), own_random_numbers(seed, x.device), torch.enable_grad():
        outputs = run(model, x)
        findings = [_finite(model, outputs)]
        if findings[0].healthy:
            log_sigma = loss is not None and charges_log_sigma(model, loss, x, outputs)
            drawn, outputs.widths = draw(model, x, log_sigma)
            findings += [*drawn, path(model, x, noisy=drawn[0].healthy), heads(outputs), use(outputs), scale(outputs)]
            findings += [balance(model, outputs, x, beta), *pixels(model, outputs, x), average_picture(outputs, x)]
            findings += [samples(model, outputs)]
            if loss is not None:
                findings += charges(model, loss, x, outputs, beta)
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


def _finite(model: nn.Module, outputs: Outputs) -> Finding:
    weights = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
    variance = outputs.logvar.exp()
    parts = {"parameters": outputs.parameters, "mu": outputs.mu, "logvar": outputs.logvar, "sigma": variance}
    odd = [name for name, values in parts.items() if not values.isfinite().all()]
    if weights or odd:
        what = f"the weights {weights[0]}" if weights else " and ".join(odd)
        return Finding("finite", False, f"NaN or infinity in {what}; nothing else was examined.")
    low, high = (value.item() for value in outputs.raw.aminmax())
    return Finding("finite", True, f"no NaN, no infinity; logvar lies between {low:.1f} and {high:.1f}.")
