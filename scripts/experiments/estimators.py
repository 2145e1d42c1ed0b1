"""One VAE for each estimator of the gradient through the draw of a code: how far does each get in the same steps?

Each of the four has two learning rates, since a noisy one may prefer a smaller rate. A run holds
figures[estimator][learning rate], means over the test pictures: "negative_elbo" and "kl" in nats (one draw for each
picture), and "error", the squared error of the reconstruction from the mean code.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from vae_utils import data, evaluation
from vae_utils.models import VAE
from vae_utils.objectives import detached_loss, score_function_loss, vae_loss
from vae_utils.training import fit
from vae_utils.types import Loss

SETTINGS = {
    "datasets": ["cats_dogs", "mnist"],
    "seeds": [0, 1, 2, 3, 4],
    "latent_dim": 2,
    "steps": 2000,
    "learning_rates": [0.001, 0.0003],
}
SMALL = {"datasets": ["cats_dogs"], "seeds": [0], "steps": 20, "learning_rates": [0.001]}

ESTIMATORS: dict[str, Loss] = {
    "pathwise": vae_loss,
    "score function with baseline": score_function_loss,
    "score function": partial(score_function_loss, baseline=False),
    "detached": detached_loss,
}


@torch.no_grad()
def measure(model: VAE, x: Tensor, seed: int) -> dict[str, float]:
    """Return means over test pictures x (n, C, H, W): the negative ELBO, its KL, the squared error."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        terms = [vae_loss(model, part) for part in x.split(1000)]
    loss, kl = (torch.cat([part[name] for part in terms]).double().mean().item() for name in ("loss", "kl"))
    return {"negative_elbo": loss, "kl": kl, "error": evaluation.reconstruction_error(model, x)}


def run(dataset: str, seed: int, settings: dict[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """Train every estimator at every learning rate from the same weights; return figures[estimator][rate]."""
    pictures = data.load(dataset)
    figures: dict[str, dict[str, dict[str, float]]] = {name: {} for name in ESTIMATORS}
    for rate in settings["learning_rates"]:
        for name, loss in ESTIMATORS.items():
            torch.manual_seed(seed)
            model = VAE(pictures.shape, settings["latent_dim"], pictures.likelihood)
            history = fit(
                model, pictures.train.x, steps=settings["steps"], lr=rate, loss=loss, seed=seed, progress=False
            )
            if history.stopped:
                raise KeyboardInterrupt  # a half-trained model must not get into a record
            figures[name][str(rate)] = measure(model.cpu(), pictures.test.x, seed)
    return figures
