"""How long does each network go on learning? The test error over the steps of one training, with PCA's for comparison.

For each kind, "ae" and "vae", and each length of the code:

    error   squared error of test reconstructions (a VAE's from its mean codes), after each of "at" steps
    train   the same of as many training pictures, after the last step
    in_use  of a VAE: how many numbers of its code are in use at the end

"pca" holds the error of as many principal components, for each length, and "at" the steps. The learning rate falls to
zero over the whole training, so an error on the way is not what a shorter training would end with, but above it.
"""

from typing import Any

import torch

from vae_utils import data, evaluation
from vae_utils.history import History
from vae_utils.models import VAE, Autoencoder
from vae_utils.training import fit

SETTINGS = {
    "datasets": ["cats_dogs", "mnist"],
    "seeds": [0, 1, 2, 3, 4],
    "numbers": [1, 2, 8, 32],
    "steps": 4000,
    "every": 200,
    "pictures": 8000,
    "test_pictures": 1000,
}
SMALL = {"numbers": [2], "steps": 40, "every": 20, "pictures": 500, "test_pictures": 100}


def train(model: Autoencoder | VAE, x: torch.Tensor, x_test: torch.Tensor, seed: int, settings: dict) -> dict[str, Any]:
    """Train a model and return its figures."""
    errors: list[float] = []

    def watch(history: History) -> None:
        model.eval()
        errors.append(evaluation.reconstruction_error(model, x_test))
        model.train()

    every = settings["every"]
    history = fit(model, x, steps=settings["steps"], seed=seed, progress=False, record_every=every, watch=watch)
    if history.stopped:
        raise KeyboardInterrupt  # a half-trained model must not get into a record
    figures = {"error": errors, "train": evaluation.reconstruction_error(model.cpu(), x[: len(x_test)])}
    if isinstance(model, VAE):
        figures["in_use"] = evaluation.numbers_in_use(model, x_test)
    return figures


def run(dataset: str, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Return {"at": steps, "pca": errors, "ae": {length: figures}, "vae": {length: figures}}."""
    pictures = data.load(dataset)
    x, x_test = pictures.train.x[: settings["pictures"]], pictures.test.x[: settings["test_pictures"]]
    figures: dict[str, Any] = {
        "at": list(range(settings["every"], settings["steps"] + 1, settings["every"])),
        "pca": evaluation.pca_errors(x, x_test, settings["numbers"]),
        "ae": {},
        "vae": {},
    }
    for length in settings["numbers"]:
        torch.manual_seed(seed)
        figures["ae"][str(length)] = train(Autoencoder(pictures.shape, length), x, x_test, seed, settings)
        torch.manual_seed(seed)
        model = VAE(pictures.shape, length, pictures.likelihood)
        figures["vae"][str(length)] = train(model, x, x_test, seed, settings)
    return figures
