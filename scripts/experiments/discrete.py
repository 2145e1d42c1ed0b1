"""One VAE with a code of two choices among eight values for each way past the choice: how far does each get?

All 64 codes can be enumerated, so each model is measured exactly, and one of the ways is the exact gradient. A run
holds figures[way], means over the test pictures in nats: "negative_elbo" and its "kl".
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_utils import data
from vae_utils.likelihoods import Gaussian
from vae_utils.models import CategoricalVAE
from vae_utils.objectives import categorical_kl, choice_score_loss, gumbel_softmax, relaxed_loss, straight_through
from vae_utils.training import fit
from vae_utils.types import Loss

SETTINGS = {
    "datasets": ["cats_dogs", "mnist"],
    "seeds": [0, 1, 2, 3, 4],
    "choices": 2,
    "values": 8,
    "steps": 4000,
    "learning_rate": 0.001,
}
SMALL = {"datasets": ["cats_dogs"], "seeds": [0], "steps": 20}


def nll_of_every_code(model: CategoricalVAE, x: Tensor) -> Tensor:
    """Return -log p(x|z) of pictures x (n, C, H, W) for every code, (n, codes) in nats, by one product of matrices."""
    output, pixels = model.decode(model.every_code()).flatten(1), x.flatten(1)
    if isinstance(model.likelihood, Gaussian):
        mean = output.sigmoid()
        error = pixels.square().sum(1, keepdim=True) - 2 * pixels @ mean.T + mean.square().sum(1)
        return error / (2 * model.likelihood.sigma**2) + model.likelihood.floor(x)[:, None]
    return F.softplus(output).sum(1) - pixels @ output.T


def exact_loss(model: CategoricalVAE, x: Tensor) -> dict[str, Tensor]:
    """Return the negative ELBO, {"loss", "nll", "kl"}, each (batch,) in nats, by enumeration: no dice."""
    logits = model.encode(x)
    log_q = logits.log_softmax(2).flatten(1) @ model.every_code().flatten(1).T
    nll, kl = (log_q.exp() * nll_of_every_code(model, x)).sum(1), categorical_kl(logits)
    return {"loss": nll + kl, "nll": nll, "kl": kl}


WAYS: dict[str, Loss] = {
    "exact": exact_loss,
    "score function": partial(choice_score_loss, draws=1),
    "leave one out": partial(choice_score_loss, draws=4),
    "straight-through": partial(relaxed_loss, relax=straight_through, temperature=1.0),
    "Gumbel-softmax, 1": partial(relaxed_loss, relax=gumbel_softmax, temperature=1.0),
    "Gumbel-softmax, 0.3": partial(relaxed_loss, relax=gumbel_softmax, temperature=0.3),
}


@torch.no_grad()
def measure(model: CategoricalVAE, x: Tensor) -> dict[str, float]:
    """Return exact means over pictures x (n, C, H, W): the negative ELBO and its KL."""
    terms = exact_loss(model.double(), x.double())
    return {"negative_elbo": terms["loss"].mean().item(), "kl": terms["kl"].mean().item()}


def run(dataset: str, seed: int, settings: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Train a model by every way from the same weights; return figures[way]."""
    pictures, figures = data.load(dataset), {}
    for name, loss in WAYS.items():
        torch.manual_seed(seed)
        model = CategoricalVAE(pictures.shape, settings["choices"], settings["values"], pictures.likelihood)
        options = {"steps": settings["steps"], "lr": settings["learning_rate"], "seed": seed, "progress": False}
        if fit(model, pictures.train.x, loss=loss, **options).stopped:
            raise KeyboardInterrupt  # a half-trained model must not get into a record
        figures[name] = measure(model.cpu(), pictures.test.x)
    return figures
