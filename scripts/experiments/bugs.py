"""The known mistakes, each put into the training of a small VAE: which of them shows in the figures?

Every mistake is a function of `vae_utils.mistakes` in place of the right one. All start at the same weights and see
the same batches; the control has no mistake. Pixels are black or white with the probability that the decoder says
(Bernoulli); digits are 8 x 8 pixels, those of MNIST are shrunk to 14 x 14 by averaging squares of 2 x 2. A run holds
figures[case], where the case is "control" or "EXERCISE/SLUG", with None for a figure that is not finite:

    end             the loss that was minimized, averaged over the last 50 steps
    error           squared error of the test reconstructions from the mean code
    distance        Fréchet distance of as many samples to the training pictures, in pixels, relative to their variance
    kl              the true KL in nats, on the training pictures
    spare           nats of it that a shift and a scale of the codes would save
    elbo_train      the true negative ELBO in nats on the training pictures, with right draws, an average of 10
    elbo_test       the same on the test pictures
    beta_logvar     the KL's weight, read off the model's gradients at logvar, training pictures; None if collapsed
    beta_mu         the same at mu

The case "nothing" has the first three of the average training picture as the answer to everything.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_utils import data, evaluation, mistakes
from vae_utils.diagnosis import spare_nats, weight_of_kl
from vae_utils.likelihoods import Bernoulli
from vae_utils.losses import bernoulli_nll, gaussian_kl, squared_error
from vae_utils.models import VAE
from vae_utils.start import start_at_mean
from vae_utils.training import schedule

SETTINGS = {
    "datasets": ["digits", "mnist"],
    "seeds": [0, 1, 2, 3, 4],
    "latent_dim": 8,
    "hidden": [256],
    "steps": 2000,
    "batch_size": 64,
    "lr": 0.01,
    "pictures": 4000,
    "test_pictures": 1000,
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
    "mistakes": ["reparameterize/std-is-exp-logvar", "gaussian_kl/no-half", "training_step/no-zero-grad"],
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


def load(dataset: str, settings: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Return small pictures to train on and to test with."""
    pictures = data.load(dataset)
    parts = pictures.train.x[: settings["pictures"]], pictures.test.x[: settings["test_pictures"]]
    x, x_test = (F.avg_pool2d(part, 2) if pictures.shape[1] > 14 else part for part in parts)
    return x, x_test


def train(x: Tensor, changed: dict[str, Callable], seed: int, settings: dict[str, Any]) -> tuple[VAE, list[float]]:
    """Train a VAE with the changed functions; return it and its loss at each step."""
    torch.manual_seed(seed)
    shape = (x.shape[1], x.shape[2], x.shape[3])
    model = VAE(shape, settings["latent_dim"], Bernoulli(), settings["hidden"])
    if "reparameterize" in changed:
        model.reparameterize = changed["reparameterize"]  # type: ignore[method-assign]
    steps = settings["steps"]
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
def measure(model: VAE, curve: list[float], x: Tensor, x_test: Tensor, seed: int) -> dict[str, float | None]:
    """Return the figures of one trained model; see the module's docstring."""
    torch.manual_seed(seed)
    mu, logvar = model.encode(x)
    samples, real = model.sample(len(x)).flatten(1), x.flatten(1)
    apart = math.nan
    if samples.isfinite().all():
        apart = evaluation.frechet_distance(samples, real) / real.var(0).sum().item()
    beta = weight_of_kl(model, x, seed=seed)
    figures = {
        "end": sum(curve[-50:]) / len(curve[-50:]),
        "error": evaluation.reconstruction_error(model, x_test),
        "distance": apart,
        "kl": gaussian_kl(mu, logvar).mean().item(),
        "spare": spare_nats(mu, logvar).sum().item(),
        "elbo_train": right_negative_elbo(model, x),
        "elbo_test": right_negative_elbo(model, x_test),
        "beta_logvar": beta.from_logvar,
        "beta_mu": beta.from_mu,
    }
    return {name: value if value is not None and math.isfinite(value) else None for name, value in figures.items()}


def right_negative_elbo(model: VAE, x: Tensor, draws: int = 10) -> float:
    """Return the true negative ELBO, whatever the model's own draw is."""
    mu, logvar = model.encode(x)
    codes = (VAE.reparameterize(model, mu, logvar) for _ in range(draws))
    nll = torch.stack([bernoulli_nll(model.decode(z), x) for z in codes])
    return (nll.mean() + gaussian_kl(mu, logvar).mean()).item()


def nothing(x: Tensor, x_test: Tensor) -> dict[str, float]:
    """Return loss, error and distance of the average training picture as the answer to everything."""
    mean = x.mean(0, keepdim=True)
    logits = mean.logit(eps=1e-4)
    return {
        "end": bernoulli_nll(logits.expand_as(x), x).mean().item(),
        "error": squared_error(mean.expand_as(x_test), x_test).mean().item(),
        "distance": 1.0,  # all of the pictures' variance is missing, and their mean is there
    }


def run(dataset: str, seed: int, settings: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """Train the control and one VAE with each mistake; return figures[case]."""
    x, x_test = load(dataset, settings)
    figures: dict[str, dict[str, float | None]] = {"nothing": {**nothing(x, x_test)}}
    figures["control"] = measure(*train(x, {}, seed, settings), x, x_test, seed)
    for case in settings["mistakes"]:
        changed = {case.split("/")[0]: mistakes.get(case).function}
        figures[case] = measure(*train(x, changed, seed, settings), x, x_test, seed)
    return figures
