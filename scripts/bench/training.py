"""Compare, on this machine, `fit` of vae_utils with the usual way to train the same model.

`make bench` runs this: python -m scripts.bench.training. The usual way: a DataLoader that takes pictures one by one,
batches of 128, Adam with a learning rate of 1e-3, cross-entropy of probabilities or squared error, and PyTorch's
initial weights. The two take turns.
"""

import argparse
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from vae_utils import data
from vae_utils.likelihoods import Bernoulli, Gaussian
from vae_utils.models import VAE, Autoencoder
from vae_utils.objectives import autoencoder_loss, vae_loss
from vae_utils.runtime import best_device
from vae_utils.training import fit
from vae_utils.types import Loss

BATCH = 128
IMPORTS = ("vae_utils", "torch", "torchvision", "matplotlib.pyplot")

Model = Autoencoder | VAE


def seconds(task: Callable[..., object], *arguments: object) -> float:
    """Return the wall-clock seconds of task(*arguments)."""
    start = time.perf_counter()
    task(*arguments)
    return time.perf_counter() - start


def import_seconds(module: str) -> float:
    """Return the seconds to import a module in a new Python process."""
    code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    return float(subprocess.check_output([sys.executable, "-c", code]))


def build(kind: str, dataset: data.Dataset, seed: int) -> Model:
    """Return the model that both ways start from; the VAE has the usual example's 400 hidden units and 20 latents."""
    torch.manual_seed(seed)
    if kind == "VAE":
        return VAE(dataset.shape, 20, dataset.likelihood, hidden=(400,))
    return Autoencoder(dataset.shape, 8)


def usual_loss(model: Model, x: Tensor) -> Tensor:
    """Return the loss as it is usually written, summed over the batch: that of `fit`, up to a constant.

    Raises:
        TypeError: The VAE's likelihood is neither a Bernoulli nor a Gaussian.
    """
    if not isinstance(model, VAE):
        return F.mse_loss(model(x), x, reduction="sum")
    mu, logvar = model.encode(x)
    x_hat = model.mean(model.reparameterize(mu, logvar))
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    if isinstance(model.likelihood, Gaussian):
        return F.mse_loss(x_hat, x, reduction="sum") / (2 * model.likelihood.sigma**2) + kl
    if isinstance(model.likelihood, Bernoulli):
        return F.binary_cross_entropy(x_hat, x, reduction="sum") + kl
    raise TypeError(f"the usual way knows Bernoulli and Gaussian pixels, not {model.likelihood!r}")


def train_as_usual(model: Model, x_train: Tensor, epochs: int) -> None:
    """Train the model in place, in the usual way, at torch's default precision."""
    torch.set_float32_matmul_precision("highest")
    device = best_device()
    model.to(device).train()
    loader = DataLoader(TensorDataset(x_train), batch_size=BATCH, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for (x,) in loader:
            optimizer.zero_grad()
            loss = usual_loss(model, x.to(device))
            loss.backward()
            optimizer.step()
            loss.item()  # for a progress line, as usual


def train_by_fit(model: Model, x_train: Tensor, epochs: float, seed: int, batch_size: int = 64) -> None:
    """Train the model in place by `fit`, at the precision that vae_utils.setup() sets in every notebook."""
    torch.set_float32_matmul_precision("medium")
    steps = math.ceil(epochs * len(x_train) / batch_size)
    fit(model, x_train, steps=steps, batch_size=batch_size, seed=seed, progress=False)


@torch.no_grad()
def test_loss(model: Model, x_test: Tensor) -> float:
    """Return the mean negative ELBO or squared error of test pictures, with the same noise for every model."""
    torch.manual_seed(0)
    loss: Loss = vae_loss if isinstance(model, VAE) else autoencoder_loss
    return loss(model.eval(), x_test.to(best_device()))["loss"].mean().item()


def shortest_fit(kind: str, dataset: data.Dataset, level: float, most: int, seed: int) -> tuple[float, float]:
    """Return (epochs, seconds) of the shortest fit, in quarters of an epoch, whose test loss reaches `level`.

    Both are inf if `most` epochs are too few.
    """
    for quarters in range(1, 4 * most + 1):
        model = build(kind, dataset, seed)  # a run of its own, as the learning rate falls to zero over its length
        spent = seconds(train_by_fit, model, dataset.train.x, quarters / 4, seed)
        if test_loss(model, dataset.test.x) <= level:
            return quarters / 4, spent
    return math.inf, math.inf


def compare(kind: str, dataset: data.Dataset, epochs: int, repeats: int) -> None:
    """Train one kind of model both ways, in turn; print medians of both, and of usual / fit with its extremes."""
    x, runs, levels = dataset.train.x, [], []
    train_as_usual(build(kind, dataset, 0), x[:BATCH], 1)  # the first steps are slower and do not count
    train_by_fit(build(kind, dataset, 0), x[:BATCH], 1, 0)
    for seed in range(repeats):
        model, other = build(kind, dataset, seed), build(kind, dataset, seed)
        usual = seconds(train_as_usual, model, x, epochs)
        fitted = seconds(train_by_fit, other, x, epochs, seed, BATCH)
        levels.append(test_loss(model, dataset.test.x))
        fewest, shortest = shortest_fit(kind, dataset, levels[-1], epochs, seed)
        runs.append(((usual / epochs, fitted / epochs), (epochs, fewest), (usual, shortest)))
    names = f"seconds per epoch, batches of {BATCH}", f"epochs to a test loss of {median(levels):.1f}", "seconds to it"
    print(f"\n{f'{kind} on {dataset.name}':40}    usual      fit  usual / fit")
    for name, pairs in zip(names, zip(*runs, strict=True), strict=True):
        a, b = (median(column) for column in zip(*pairs, strict=True))
        ratios = [usual / fitted for usual, fitted in pairs]
        shown = f"{b:.2f}" if math.isfinite(b) else "never"
        spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"  {name:38} {a:8.2f} {shown:>8}  {spread}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Print a header, the seconds of imports, and a table for each kind of model."""
    parser = argparse.ArgumentParser(description="Compare `fit` with the usual way to train, on this machine.")
    parser.add_argument("--epochs", type=int, default=3, help="of the usual way; its test loss is what fit must reach")
    parser.add_argument("--repeats", type=int, default=3, help="how often to measure, each time with another seed")
    parser.add_argument("--dataset", help="for both models, in place of mnist for the VAE and cats_dogs for the other")
    asked = parser.parse_args(arguments)
    if min(asked.epochs, asked.repeats) < 1:
        parser.error("--epochs and --repeats must be 1 or more")
    print(f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, {best_device()}, torch {torch.__version__}.")
    print("Seconds drift with the machine and whatever else it does; ratios matter. Medians (lowest to highest).\n")
    for module in IMPORTS:
        print(f"  import {module:31} {import_seconds(module):8.2f} s", flush=True)
    try:
        dataset = data.load(asked.dataset or "mnist")
    except data.DataError as error:
        print(f"\n{error} The VAE takes cats_dogs here.")
        dataset = data.load("cats_dogs")
    compare("VAE", dataset, asked.epochs, asked.repeats)
    compare("Autoencoder", data.load(asked.dataset or "cats_dogs"), asked.epochs, asked.repeats)


if __name__ == "__main__":
    main()
