"""How much of a picture does the code hold? VAEs on small pictures, one for each weight beta of the KL, over seeds.

Pictures are shrunk to half their side by averaging squares of 2 x 2 pixels. Averaging four pixels halves independent
noise, so a Gaussian p(x|z) has half the data set's sigma. Every beta starts at the same weights and sees the same
batches.
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from vae_utils import data, evaluation
from vae_utils.likelihoods import Gaussian
from vae_utils.losses import squared_error
from vae_utils.models import VAE
from vae_utils.objectives import vae_loss
from vae_utils.training import fit

SETTINGS = {
    "datasets": ["cats_dogs", "mnist"],
    "seeds": [0, 1, 2, 3, 4],
    "betas": [0.0625, 0.25, 1, 4, 16, 64, 128, 256, 1024],
    "latent_dim": 8,
    "hidden": [128, 64],
    "steps": 8000,
    "batch_size": 64,
    "lr": 5e-3,
    "pictures": 8000,
    "test_pictures": 2000,
    "judge_steps": 500,
}
SMALL = {"betas": [0.25, 64], "steps": 30, "pictures": 500, "test_pictures": 200, "judge_steps": 30}


def run(dataset: str, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Return figures on test pictures, each a list with one entry per beta; nats are means over pictures.

        floor           the least that -log p(x|z) can be, at a perfect reconstruction
        distortion      -log p(x|z) above that floor, for one draw of z per picture
        rate            KL(q(z|x) || N(0, I))
        rate_of_latent  the share of each latent in it, largest first
        squared_error   of the pictures decoded from the means of q
        wrong           share of these that a judge gives another label
        frechet         Fréchet distance of as many samples to the test pictures, in the judge's features

    "judge_wrong" is the judge's own share of errors.
    """
    pictures = data.load(dataset)
    x_train = F.avg_pool2d(pictures.train.x[: settings["pictures"]], 2)
    x_test = F.avg_pool2d(pictures.test.x[: settings["test_pictures"]], 2)
    y_train, y_test = pictures.train.y[: len(x_train)], pictures.test.y[: len(x_test)]
    factors = {name: values[: len(x_train)] for name, values in (pictures.train.factors or {}).items()}
    judge = evaluation.train_judge(x_train, y_train, len(pictures.label_names), settings["judge_steps"], seed, factors)
    features = judge.look(x_test)
    shape = (pictures.shape[0], x_train.shape[2], x_train.shape[3])
    likelihood = pictures.likelihood
    if isinstance(likelihood, Gaussian):
        likelihood = Gaussian(likelihood.sigma / 2)
    figures: dict[str, Any] = {"judge_wrong": (judge.classify(x_test) != y_test).float().mean().item()}
    for beta in settings["betas"]:
        torch.manual_seed(seed)
        model = VAE(shape, settings["latent_dim"], likelihood, settings["hidden"])
        arguments = {name: settings[name] for name in ("steps", "batch_size", "lr")}
        if fit(model, x_train, loss=partial(vae_loss, beta=beta), seed=seed, **arguments).stopped:
            raise KeyboardInterrupt  # a half-trained model must not get into a record
        for name, value in measure(model.cpu(), x_test, y_test, judge, features).items():
            figures.setdefault(name, []).append(value)
    return figures


@torch.no_grad()
def measure(
    model: VAE, x: torch.Tensor, y: torch.Tensor, judge: evaluation.Judge, features: torch.Tensor
) -> dict[str, float | list[float]]:
    """Return the figures of one trained model on pictures x (n, C, H, W), labels y (n,) and their features (n, 32)."""
    rate, distortion = evaluation.rate_and_distortion(model, x, draws=10)
    back = evaluation.reconstruct(model, x)
    return {
        "floor": model.likelihood.floor(x).mean().item(),
        "distortion": distortion,
        "rate": rate,
        "rate_of_latent": evaluation.kl_of_each_number(model, x).sort(descending=True).values.tolist(),
        "squared_error": squared_error(back, x).mean().item(),
        "wrong": (judge.classify(back) != y).float().mean().item(),
        "frechet": evaluation.frechet_distance(judge.look(model.sample(len(x))), features),
    }
