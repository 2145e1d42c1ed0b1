"""How far below log p(x) is the ELBO, and what keeps numbers of the code in use? VAEs on small pictures, over seeds.

Pictures are shrunk to about 200 pixel values by averaging squares of pixels. "tight" is about VAEs with the data set's
own likelihood (a Gaussian's sigma is divided by the square's side, as averages have less noise), trained on the ELBO
("vae") and on the bound from "k" weighted draws ("iwae"). "use" is about Gaussian pixels with two sigmas, set by the
principal components' variances l alone: "small", sigma^2 = l_8 / 4, with which each of 8 numbers of a linear VAE pays
for itself, and "large", sigma^2 = sqrt(l_4 l_5), with which four do.
"""

import math
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_utils import data, evaluation, training
from vae_utils.likelihoods import Gaussian, Likelihood
from vae_utils.losses import gaussian_kl
from vae_utils.models import VAE
from vae_utils.objectives import iwae_loss, vae_loss
from vae_utils.start import start_at_mean
from vae_utils.types import Loss, Shape

SETTINGS = {
    "datasets": ["cats_dogs", "mnist"],
    "seeds": [0, 1, 2, 3, 4],
    "latent_dim": 8,
    "hidden": [128, 64],
    "steps": 6000,
    "short": 500,
    "k": 8,
    "free_bits": 0.5,
    "pictures": 8000,
    "test_pictures": 2000,
    "draws": 5000,
    "few": 200,
    "refine": 300,
}
SMALL = {"steps": 30, "short": 10, "pictures": 400, "test_pictures": 100, "draws": 50, "few": 10, "refine": 5}
SIDE = {"cats_dogs": 4, "mnist": 2}  # of the squares that are averaged


class Peeking(VAE):
    """A VAE with a strong decoder: each pixel's output also sees all pixels before it, row by row, linearly."""

    allowed: Tensor

    def __init__(self, shape: Shape, latent_dim: int, likelihood: Likelihood, hidden: tuple[int, ...]):
        super().__init__(shape, latent_dim, likelihood, hidden)
        pixels = math.prod(shape)
        self.before = nn.Parameter(torch.zeros(pixels, pixels))
        self.register_buffer("allowed", torch.ones(pixels, pixels).tril(-1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As a VAE's, with what the pixels before add to the output."""
        output, mu, logvar = super().forward(x)
        rows = x.permute(0, 2, 3, 1).flatten(1)  # colors of a pixel stand together
        seen = (rows - 0.5) @ (self.before * self.allowed).T
        return output + seen.unflatten(1, (x.shape[2], x.shape[3], x.shape[1])).permute(0, 3, 1, 2), mu, logvar


class WarmUp:
    """The ELBO with a KL whose weight rises from 0 to 1 in the first half of the steps."""

    def __init__(self, steps: int):
        self.steps, self.done = steps, 0

    def __call__(self, model: VAE, x: Tensor) -> dict[str, Tensor]:
        """Return the loss of the next step."""
        self.done += 1
        return vae_loss(model, x, beta=min(1.0, 2 * self.done / self.steps))


class FreeBits:
    """The ELBO, but a number's KL costs `least` nats at least, averaged over the batch (Kingma et al., 2016)."""

    def __init__(self, least: float):
        self.least = least

    def __call__(self, model: VAE, x: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch."""
        output, mu, logvar = model(x)
        each = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).mean(0)
        nll = model.likelihood.nll(output, x)
        return {"loss": nll + each.clamp(min=self.least).sum(), "nll": nll, "kl": gaussian_kl(mu, logvar)}


def refined(model: VAE, x: Tensor, steps: int, draws: int = 8) -> tuple[Tensor, Tensor]:
    """Return mu and logvar of the best cloud of each picture, found by gradient steps on its own ELBO."""
    mu, logvar = evaluation.posterior(model, x)
    best = [mu.clone().requires_grad_(), logvar.clone().requires_grad_()]
    optimizer = torch.optim.Adam(best, 0.03)
    repeated = x.repeat_interleave(draws, 0)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.03 * (1 - step / steps)
        mu, logvar = (part.repeat_interleave(draws, 0) for part in best)
        nll = model.likelihood.nll(model.decode(model.reparameterize(mu, logvar)), repeated)
        gradients = torch.autograd.grad((nll + gaussian_kl(mu, logvar)).mean(), best)
        for part, gradient in zip(best, gradients, strict=True):
            part.grad = gradient
        optimizer.step()
    return best[0].detach(), best[1].detach()


def tightness(model: VAE, x: Tensor, settings: dict) -> dict[str, Any]:
    """Return the bounds of a trained model on test pictures x, in nats above the floor, and its numbers' measures.

    bound        minus the bound from 1, 5, 50, ... "draws" weighted draws, on "few" of the pictures
    best         the same from one draw, 200 times over, of the best cloud of each of these
    agreed       the same from "draws" draws of it: as the last of "bound", if both are near log p(x)
    elbo         minus the ELBO on all pictures
    kl, spread   of each number: its mean KL, and the variance over pictures of its means
    """
    few, floor = x[: settings["few"]], model.likelihood.floor(x)
    below = floor[: len(few)].mean().item()
    ks = [k for k in (1, 5, 50, 500, 5000) if k <= settings["draws"]]
    clouds = refined(model, few, settings["refine"])
    figures: dict[str, Any] = {"bound": []}
    for k in ks:
        n = max(1, 200 // k)
        found = [evaluation.importance_weighted_bound(model, few, k, seed).mean() for seed in range(n)]
        figures["bound"].append(-torch.stack(found).mean().item() - below)
    again = [evaluation.importance_weighted_bound(model, few, 1, seed, clouds=clouds).mean() for seed in range(200)]
    figures["best"] = -torch.stack(again).mean().item() - below
    agreed = evaluation.importance_weighted_bound(model, few, max(ks), clouds=clouds).mean().item()
    figures["agreed"] = -agreed - below
    figures["elbo"] = (evaluation.negative_elbo(model, x, 10) - floor).mean().item()
    figures["kl"] = evaluation.kl_of_each_number(model, x).tolist()
    figures["spread"] = evaluation.posterior(model, x)[0].var(0, correction=0).tolist()
    return figures


def use(model: VAE, x: Tensor) -> dict[str, Any]:
    """Return the numbers in use of a trained model, the nats they carry, and the -ELBO above its floor."""
    return {
        "in_use": evaluation.numbers_in_use(model, x),
        "rate": evaluation.kl_of_each_number(model, x).sum().item(),
        "elbo": (evaluation.negative_elbo(model, x, 10) - model.likelihood.floor(x)).mean().item(),
    }


def run(dataset: str, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Return {"tight": {kind: figures}, "use": {sigma: {how: {"short": figures, "long": figures}}}, "sigmas"}."""
    pictures, side = data.load(dataset), SIDE[dataset]
    x = F.avg_pool2d(pictures.train.x[: settings["pictures"]], side)
    x_test = F.avg_pool2d(pictures.test.x[: settings["test_pictures"]], side)
    shape = (x.shape[1], x.shape[2], x.shape[3])

    def trained(likelihood: Likelihood, loss: Loss, steps: int, plain: bool = False, kind: type[VAE] = VAE) -> VAE:
        torch.manual_seed(seed)
        model = kind(shape, settings["latent_dim"], likelihood, tuple(settings["hidden"]))
        start: Callable[..., None] = start_at_mean if plain else training.start_at_principal_components
        with mock.patch.object(training, "start_at_principal_components", start):
            if training.fit(model, x, steps=steps, seed=seed, loss=loss, progress=False).stopped:
                raise KeyboardInterrupt  # a half-trained model must not get into a record
        return model.cpu()

    own = pictures.likelihood
    own = Gaussian(own.sigma / side) if isinstance(own, Gaussian) else own
    weighted = [("vae", vae_loss), ("iwae", lambda model, batch: iwae_loss(model, batch, settings["k"]))]
    figures: dict[str, Any] = {"tight": {}, "use": {}}
    for name, loss in weighted:
        figures["tight"][name] = tightness(trained(own, loss, settings["steps"]), x_test, settings)
    flat = (x - x.mean(0)).flatten(1).double()
    values = torch.linalg.eigvalsh(flat.T @ flat / len(flat)).flip(0)
    sigmas = {"small": (values[7] / 4).sqrt().item(), "large": (values[3] * values[4]).sqrt().sqrt().item()}
    figures["sigmas"] = sigmas
    for size, sigma in sigmas.items():
        ways: dict[str, tuple[Callable[[int], Loss], bool, type[VAE]]] = {
            "plain": (lambda steps: vae_loss, True, VAE),
            "components": (lambda steps: vae_loss, False, VAE),
            "warm-up": (WarmUp, True, VAE),
            "free bits": (lambda steps: FreeBits(settings["free_bits"]), True, VAE),
            "strong": (lambda steps: vae_loss, False, Peeking),
        }
        figures["use"][size] = {}
        for how, (make, plain, kind) in ways.items():
            lengths = (
                {"short": settings["short"], "long": settings["steps"]} if kind is VAE else {"long": settings["steps"]}
            )
            figures["use"][size][how] = {
                length: use(trained(Gaussian(sigma), make(steps), steps, plain, kind), x_test)
                for length, steps in lengths.items()
            }
    return figures
