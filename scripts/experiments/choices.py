"""Which of the choices in `fit` make training fast? Each is left out in turn, for as many epochs.

The example VAE of PyTorch's size (784-400-20), "epochs" epochs, batches of "batch_size". For each way the negative ELBO
of the test pictures, one draw each:

    all       every choice as in the notebook: the rate up to "lr", falling linearly to zero, a start at the mean
              picture and the principal components
    slow      the usual learning rate, 0.001
    constant  the rate stays at its highest
    small     batches a quarter as large, at half the rate
    random    PyTorch's own initial weights
    usual     the usual rate, constant, PyTorch's own weights
"""

from contextlib import ExitStack
from typing import Any
from unittest import mock

import torch

from vae_utils import data, evaluation, training
from vae_utils.likelihoods import Bernoulli
from vae_utils.models import VAE

SETTINGS: dict[str, Any] = {
    "datasets": ["mnist"],
    "seeds": [0, 1, 2],
    "epochs": 4,
    "batch_size": 256,
    "lr": 1.2e-2,
}
SMALL = {"datasets": ["digits"], "epochs": 2, "batch_size": 64}
SLOW = 1e-3


def run(dataset: str, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Return {way: negative ELBO in nats}."""
    pictures = data.load(dataset)
    batch, lr = settings["batch_size"], settings["lr"]
    ways: dict[str, tuple[int, float, set[str]]] = {
        "all": (batch, lr, set()),
        "slow": (batch, SLOW, set()),
        "constant": (batch, lr, {"schedule"}),
        "small": (batch // 4, lr / 2, set()),
        "random": (batch, lr, {"can_start"}),
        "usual": (batch, SLOW, {"schedule", "can_start"}),
    }
    figures = {}
    for way, (batch_size, rate, without) in ways.items():
        torch.manual_seed(seed)
        model = VAE(pictures.shape, 20, Bernoulli(), (400,))
        steps = settings["epochs"] * (len(pictures.train.x) // batch_size)
        with ExitStack() as changes:
            if "schedule" in without:
                changes.enter_context(mock.patch.object(training, "schedule", lambda step, steps: 1.0))
            if "can_start" in without:
                changes.enter_context(mock.patch.object(training, "can_start", lambda model: False))
            if training.fit(
                model, pictures.train.x, steps=steps, batch_size=batch_size, lr=rate, seed=seed, progress=False
            ).stopped:
                raise KeyboardInterrupt  # a half-trained model must not get into a record
        figures[way] = evaluation.negative_elbo(model.cpu(), pictures.test.x).mean().item()
    return figures
