"""The known mistakes, each put into the training of a small VAE: which of them shows in the figures?

Every mistake is a function of `vae_utils.exercises` in place of the right one. All start at the same weights and see
the same batches; the control has no mistake. A run holds figures[case], where the case is "control" or "EXERCISE/SLUG",
with None for a figure that is not finite:

    end         the loss that was minimized, averaged over the last 50 steps
    error       squared error of the test reconstructions from the mean code
    distance    Fréchet distance of as many samples to the training pictures, in pixels, relative to their variance
    kl          the true KL in nats
    spare       nats of it that a shift and a scale of the codes would save
    elbo        the true negative ELBO in nats, with a right draw

The case "nothing" has the first three of the average training picture as the answer to everything.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vae_utils import data, evaluation, exercises
from vae_utils.diagnosis import spare_nats
from vae_utils.likelihoods import Bernoulli
from vae_utils.losses import bernoulli_nll, gaussian_kl, squared_error
from vae_utils.models import VAE
from vae_utils.start import start_at_mean
from vae_utils.training import schedule

SETTINGS = {
    "datasets": ["digits"],
    "seeds": [0, 1, 2, 3, 4],
    "latent_dim": 8,
    "hidden": [256],
    "steps": 600,
    "batch_size": 64,
    "lr": 0.01,
    "mistakes": [
        "negative_elbo/kl-forgotten",
        "reparameterize/no-noise",
        "reparameterize/detached",
        "reparameterize/std-is-exp-logvar",
        "reparameterize/std-is-logvar",
        "reparameterize/noise-added-before-scaling",
        "reparameterize/uniform-noise",
        "reparameterize/one-noise-per-row",
        "reparameterize/one-noise-per-batch",
        "reparameterize/fixed-seed",
        "bernoulli_nll/averaged-pixels",
        "negative_elbo/both-averaged",
        "gaussian_kl/averaged-latents",
        "negative_elbo/squared-error",
        "gaussian_kl/no-half",
        "gaussian_kl/reverse",
        "gaussian_kl/no-mu",
        "gaussian_kl/no-logvar",
        "gaussian_kl/log-std",
        "bernoulli_nll/sigmoid-twice",
        "bernoulli_nll/swapped",
        "training_step/no-zero-grad",
        "training_step/own-optimizer",
    ],
}
SMALL = {
    "datasets": ["digits"],
    "seeds": [0],
    "steps": 40,
    "mistakes": ["reparameterize/no-noise", "gaussian_kl/no-half", "training_step/no-zero-grad"],
}

Step = Callable[[nn.Module, torch.optim.Optimizer, Tensor], float]


def step_with(changed: dict[str, Callable]) -> Step:
    """Return a training step in which functions of these names replace the right ones."""
    if "training_step" in changed:
        return changed["training_step"]
    nll, kl = changed.get("bernoulli_nll", bernoulli_nll), changed.get("gaussian_kl", gaussian_kl)
    negative_elbo = changed.get("negative_elbo", lambda logits, x, mu, logvar: nll(logits, x) + kl(mu, logvar))

    def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor) -> float:
        logits, mu, logvar = model(x)
        loss = negative_elbo(logits, x, mu, logvar).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def train(
    pictures: data.Dataset, changed: dict[str, Callable], seed: int, settings: dict[str, Any]
) -> tuple[VAE, list[float]]:
    """Train a VAE with the changed functions; return it and its loss at each step."""
    torch.manual_seed(seed)
    model = VAE(pictures.shape, settings["latent_dim"], Bernoulli(), settings["hidden"])
    if "reparameterize" in changed:
        model.reparameterize = changed["reparameterize"]  # type: ignore[method-assign]
    x, steps = pictures.train.x, settings["steps"]
    start_at_mean(model, x)
    optimizer = torch.optim.Adam(model.parameters(), settings["lr"], betas=(0.9, 0.98))
    step, curve = step_with(changed), []
    batches = torch.Generator().manual_seed(seed)
    for done in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * schedule(done, steps)
        batch = torch.randint(len(x), (settings["batch_size"],), generator=batches)
        curve.append(step(model, optimizer, x[batch]))
    return model.eval(), curve


@torch.no_grad()
def measure(model: VAE, curve: list[float], pictures: data.Dataset, seed: int) -> dict[str, float | None]:
    """Return the figures of one trained model; see the module's docstring."""
    x, x_test = pictures.train.x, pictures.test.x
    torch.manual_seed(seed)
    mu, logvar = model.encode(x)
    z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
    kl = gaussian_kl(mu, logvar).mean()
    samples = model.sample(len(x))
    figures = {
        "end": sum(curve[-50:]) / len(curve[-50:]),
        "error": evaluation.reconstruction_error(model, x_test),
        "distance": evaluation.frechet_distance(samples.flatten(1), x.flatten(1)) / x.flatten(1).var(0).sum().item(),
        "kl": kl.item(),
        "spare": spare_nats(mu, logvar).sum().item(),
        "elbo": (bernoulli_nll(model.decode(z), x).mean() + kl).item(),
    }
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def nothing(pictures: data.Dataset) -> dict[str, float]:
    """Return loss, error and distance of the average training picture as the answer to everything."""
    x, x_test = pictures.train.x, pictures.test.x
    mean = x.mean(0, keepdim=True)
    logits = mean.logit(eps=1e-4)
    return {
        "end": bernoulli_nll(logits.expand_as(x), x).mean().item(),
        "error": squared_error(mean.expand_as(x_test), x_test).mean().item(),
        "distance": 1.0,  # all of the pictures' variance is missing, and their mean is there
    }


def run(dataset: str, seed: int, settings: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """Train the control and one VAE with each mistake; return figures[case]."""
    pictures = data.load(dataset)
    figures: dict[str, dict[str, float | None]] = {"nothing": {**nothing(pictures)}}
    figures["control"] = measure(*train(pictures, {}, seed, settings), pictures, seed)
    for case in settings["mistakes"]:
        name, slug = case.split("/")
        changed = {name: getattr(exercises, name).mistake(slug).function}
        figures[case] = measure(*train(pictures, changed, seed, settings), pictures, seed)
    return figures
