"""How does each network go on learning? What one training shows on the way, and what its code then holds.

For each kind, "ae" and "vae", and each length of the code:

    error    squared error of test reconstructions (a VAE's from its mean codes), after each of "at" steps
    train    the same of as many training pictures, after the last step
    plain    "error" of a training that does not start at the principal components; for the lengths in "plain"
    factors  where the true factors are known: R^2 of each from the code, after each of "at" steps
    in_use   of a VAE: how many numbers of its code are in use at the end

and of the autoencoders with 1 and 2 numbers, whose codes are then written down with so many "levels" a number:

    written   "error", and "wrong", the share that the judge reads as another kind; last, of codes as they are
    shuffled  the same once the code's range is cut into "tiles" along each number and these are shuffled
    other     share of test pictures whose nearest code is of another kind, before and after the shuffle

"pca" holds the error of as many principal components, for each length, "at" the steps, and "judge_wrong" the judge's
own share of errors. The learning rate falls to zero over the whole training, so an error on the way is not what a
shorter training would end with, but above it.
"""

from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from vae_utils import data, evaluation, training
from vae_utils.history import History
from vae_utils.losses import squared_error
from vae_utils.models import VAE, Autoencoder

SETTINGS = {
    "datasets": ["cats_dogs", "mnist"],
    "seeds": [0, 1, 2, 3, 4],
    "numbers": [1, 2, 8, 32],
    "plain": [8, 32],
    "steps": 8000,
    "every": 400,
    "pictures": 8000,
    "test_pictures": 2000,
    "judge_steps": 500,
    "levels": [2, 4, 8, 16, 32, 64, 128, 256],
    "tiles": 64,
}
SMALL = {
    "numbers": [1, 8],
    "plain": [8],
    "steps": 40,
    "every": 20,
    "pictures": 500,
    "test_pictures": 100,
    "judge_steps": 30,
    "levels": [4, 64],
}


def fit(
    model: Autoencoder | VAE, x: Tensor, seed: int, settings: dict, look: Callable[[Autoencoder | VAE], None]
) -> None:
    """Train a model, and let `look` see it every so often."""

    def watch(history: History) -> None:
        model.eval()
        look(model)
        model.train()

    every, steps = settings["every"], settings["steps"]
    if training.fit(model, x, steps=steps, seed=seed, progress=False, record_every=every, watch=watch).stopped:
        raise KeyboardInterrupt  # a half-trained model must not get into a record


def curves(
    make: Callable[[], Autoencoder | VAE], train: data.Split, test: data.Split, seed: int, settings: dict
) -> tuple[Autoencoder | VAE, dict[str, Any]]:
    """Train a new model; return it and its figures over the steps."""
    x, x_test = train.x, test.x
    figures: dict[str, Any] = {"error": []}

    def look(model: Autoencoder | VAE) -> None:
        figures["error"].append(evaluation.reconstruction_error(model, x_test))
        if train.factors and test.factors:
            codes = evaluation.encode(model, x), evaluation.encode(model, x_test)
            known = evaluation.factors_in_code(*codes, train.factors, test.factors)
            for name, share in known.items():
                figures.setdefault("factors", {}).setdefault(name, []).append(share)

    model = make()
    fit(model, x, seed, settings, look)
    model.cpu()
    figures["train"] = evaluation.reconstruction_error(model, x[: len(x_test)])
    if isinstance(model, VAE):
        figures["in_use"] = evaluation.numbers_in_use(model, x_test)
    if model.latent_dim in settings["plain"]:
        errors: list[float] = []
        with mock.patch.object(training, "start_at_principal_components"):  # does nothing: every layer at random
            fit(make(), x, seed, settings, lambda model: errors.append(evaluation.reconstruction_error(model, x_test)))
        figures["plain"] = errors
    return model, figures


class Tiles:
    """The range of codes (n, latent_dim), cut into tiles and shuffled: an invertible map that tears neighbors apart."""

    def __init__(self, z: Tensor, tiles: int, seed: int) -> None:
        z = z.double()
        self.tiles, self.low = tiles, z.amin(0)
        self.width = (z.amax(0) - self.low) / tiles
        self.order = torch.randperm(tiles ** z.shape[1], generator=torch.Generator().manual_seed(seed))

    def move(self, z: Tensor, order: Tensor) -> Tensor:
        """Move codes to where `order` sends their tiles."""
        places = self.tiles ** torch.arange(z.shape[1])
        tile = ((z.double() - self.low) / self.width).floor().long().clamp(0, self.tiles - 1)
        target = order[(tile * places).sum(1)].unsqueeze(1) // places % self.tiles
        return z.double() + (target - tile) * self.width

    def shuffle(self, z: Tensor) -> Tensor:
        """Return shuffled codes."""
        return self.move(z, self.order)

    def undo(self, z: Tensor) -> Tensor:
        """Return the codes that were shuffled."""
        return self.move(z, self.order.argsort())


def rounded(z: Tensor, levels: int, low: Tensor, high: Tensor) -> Tensor:
    """Return codes as one of so many levels a number: the middles of equal parts of low..high."""
    part = (high - low) / levels
    return low + (((z - low) / part).floor().clamp(0, levels - 1) + 0.5) * part


def written(
    model: Autoencoder | VAE, x_train: Tensor, test: data.Split, judge: evaluation.Judge, seed: int, settings: dict
) -> dict[str, Any]:
    """Return the figures of codes that are written down with fewer and fewer digits, as learned and shuffled."""
    x, y = test.x, test.y
    z = evaluation.encode(model, x_train)
    tiles, low, high = Tiles(z, settings["tiles"], seed), z.amin(0).double(), z.amax(0).double()
    z = evaluation.encode(model, x).double().clamp(low, high)

    def of(codes: Tensor, back: Callable[[Tensor], Tensor]) -> dict[str, list[float]]:
        figures: dict[str, list[float]] = {"error": [], "wrong": []}
        for kept in [*(rounded(codes, levels, low, high) for levels in settings["levels"]), codes]:
            drawn = evaluation.decode(model, back(kept).float())
            figures["error"].append(squared_error(drawn, x).mean().item())
            figures["wrong"].append((judge.classify(drawn) != y).float().mean().item())
        return figures

    shuffled = tiles.shuffle(z)
    other = [1 - evaluation.neighbor_purity(codes.float(), y) for codes in (z, shuffled)]
    return {"written": of(z, lambda codes: codes), "shuffled": of(shuffled, tiles.undo), "other": other}


def run(dataset: str, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Return {"at": steps, "pca": errors, "judge_wrong": share, "ae": {length: figures}, "vae": {length: figures}}."""
    pictures = data.load(dataset)
    train, test = pictures.train.first(settings["pictures"]), pictures.test.first(settings["test_pictures"])
    kinds, steps = len(pictures.label_names), settings["judge_steps"]
    judge = evaluation.train_judge(train.x, train.y, kinds, steps, seed, train.factors)
    figures: dict[str, Any] = {
        "at": list(range(settings["every"], settings["steps"] + 1, settings["every"])),
        "pca": evaluation.pca_errors(train.x, test.x, settings["numbers"]),
        "judge_wrong": (judge.classify(test.x) != test.y).float().mean().item(),
        "ae": {},
        "vae": {},
    }
    for length in settings["numbers"]:

        def autoencoder(length: int = length) -> Autoencoder:
            torch.manual_seed(seed)
            return Autoencoder(pictures.shape, length)

        def vae(length: int = length) -> VAE:
            torch.manual_seed(seed)
            return VAE(pictures.shape, length, pictures.likelihood)

        model, figures["ae"][str(length)] = curves(autoencoder, train, test, seed, settings)
        if length <= 2:
            figures["ae"][str(length)] |= written(model, train.x, test, judge, seed, settings)
        figures["vae"][str(length)] = curves(vae, train, test, seed, settings)[1]
    return figures
