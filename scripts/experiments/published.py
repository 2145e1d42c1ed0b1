"""Do our own networks reach the published numbers on MNIST? Each run trains one of them and measures it.

    example   the example VAE of PyTorch (784-400-20, ReLU) with its own settings, 10 epochs: test loss 105.6
    pythae    784-400-40: -log p(x) 89.78 from 200 weighted draws after 500 epochs (pythae's reproducibility page)
    iwae_1    784-200-200-50, tanh, the bound of 1, 5, 50 weighted draws as the objective: -log p(x) 86.76, 85.54, 84.78
    iwae_5    from 5,000 weighted draws after 3,280 epochs (Burda et al., 2016)
    iwae_50
    vae       as iwae_1, for longer

What differs from the papers: the epochs ("epochs" in the settings), the learning rate's way (up to "lr", then
linearly to zero), batches of 128 and the start at the mean picture. Pixels are made black or white by a draw, anew each
time in training ("binarized"), as in the IWAE paper, where pythae has fixed ones; `example` takes gray ones, as
published.

Figures, on the test pictures:

    loss      negative ELBO, one draw each
    nll       from "draws" weighted draws: an upper bound on -log p(x) on average; 0 where none are asked for
    first     the negative ELBO of each of the first 200 pictures, summed, from the weights as they were kept
    active    numbers whose mean varies by more than 0.01

A training that is stopped goes on where it was. The weights are kept in half precision in data/weights.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from scripts.paths import BUILD, ROOT
from vae_utils import data, evaluation
from vae_utils.checkpoints import save_weights
from vae_utils.likelihoods import Bernoulli
from vae_utils.models import VAE
from vae_utils.objectives import iwae_loss, vae_loss
from vae_utils.training import fit

WEIGHTS = ROOT / "data" / "weights"
SETTINGS: dict[str, Any] = {
    "datasets": ["example", "pythae", "iwae_1", "iwae_5", "vae", "iwae_50"],
    "seeds": [0],
    "data": "mnist",
    "batch_size": 128,
    "epochs": {"example": 10, "pythae": 60, "iwae_1": 15, "iwae_5": 15, "iwae_50": 15, "vae": 100},
    "lr": 2e-3,
    "draws": {"pythae": 200, "iwae_1": 5000, "iwae_5": 5000, "iwae_50": 5000, "vae": 5000},
    "keep": True,
}
SMALL = {
    "datasets": ["example", "iwae_5"],
    "data": "digits",
    "epochs": {"example": 1, "iwae_5": 1},
    "draws": {"iwae_5": 20},
    "keep": False,
}
SIZES = {"example": (20, (400,), nn.ReLU), "pythae": (40, (400,), nn.ReLU)}


def build(name: str, shape: tuple[int, int, int]) -> VAE:
    """Return the untrained network of that name, with PyTorch's own initial weights."""
    numbers, hidden, activation = SIZES.get(name, (50, (200, 200), nn.Tanh))
    model = VAE(shape, numbers, Bernoulli(), hidden)
    for part in (model.encoder, model.decoder):
        for i, layer in enumerate(part):
            if isinstance(layer, nn.ELU):
                part[i] = activation()
    return model


def binarized(model: VAE, x: Tensor, k: int = 1) -> dict[str, Tensor]:
    """Return the loss of pictures whose pixels are made black or white by a draw."""
    x = x.bernoulli()
    return vae_loss(model, x) if k == 1 else iwae_loss(model, x, k)


def train_like_the_example(model: VAE, x: Tensor, epochs: int, batch_size: int) -> None:
    """Train with Adam at 1e-3 on gray pixels, each picture once an epoch."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(batch_size):
            optimizer.zero_grad()
            vae_loss(model, x[batch])["loss"].mean().backward()
            optimizer.step()


def run(dataset: str, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Train and measure the network called `dataset`; return {"loss", "nll", "first", "active"}."""
    pictures = data.load(settings["data"])
    x, name = pictures.train.x, dataset
    torch.manual_seed(seed)
    model = build(name, pictures.shape)
    if name == "example":
        train_like_the_example(model, x, settings["epochs"][name], settings["batch_size"])
        x_test = pictures.test.x
    else:
        batch = min(settings["batch_size"], len(x))
        every = len(x) // batch
        steps = settings["epochs"][name] * every
        history = fit(
            model,
            x,
            steps=steps,
            batch_size=batch,
            lr=settings["lr"],
            loss=partial(binarized, k=int(name.partition("_")[2] or 1)),
            seed=seed,
            progress=False,
            record_every=every,
            checkpoint=BUILD / "records" / f"{name}_{seed}_{steps}.safetensors" if settings["keep"] else None,
            checkpoint_every=every,
        )
        if history.stopped:
            raise KeyboardInterrupt  # a half-trained model must not get into a record
        x_test = pictures.test.x.bernoulli(generator=torch.Generator().manual_seed(0))
    model.cpu().half().float()
    if settings["keep"]:
        save_weights(model.half(), WEIGHTS / f"{name}.safetensors")
        model.float()
    draws = settings["draws"].get(name, 0)
    nll = -evaluation.importance_weighted_bound(model, x_test, draws).mean().item() if draws else 0.0
    return {
        "loss": evaluation.negative_elbo(model, x_test).mean().item(),
        "nll": nll,
        "first": evaluation.negative_elbo(model, x_test[:200]).sum().item(),
        "active": evaluation.active_units(model, x_test),
    }
