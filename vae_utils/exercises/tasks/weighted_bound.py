"""Notebook 10: the bound on log p(x) from k weighted draws."""

import math
from functools import partial

import torch
from torch import Tensor

from ..exercise import Exercise, Probe
from ..values import by_values


def weighted_bound(nll, z, mu, logvar):
    mu, logvar = mu[:, None], logvar[:, None]  # (n, 1, latent), to meet all k draws
    log_p = -nll - 0.5 * z.square().sum(2)
    log_q = -0.5 * ((z - mu).square() / logvar.exp() + logvar).sum(2)  # log 2 pi cancels
    return (log_p - log_q).logsumexp(1) - math.log(nll.shape[1])


def _draws(
    n: int, k: int, latent_dim: int, level: float, seed: int, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    dice = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=dice, dtype=torch.float64)

    mu, logvar = normal(n, latent_dim), normal(n, latent_dim) - 1
    z = mu[:, None] + (0.5 * logvar[:, None]).exp() * normal(n, k, latent_dim)
    made = {"nll": level + 2 * normal(n, k), "z": z, "mu": mu, "logvar": logvar}
    return {name: part.to(dtype) for name, part in made.items()}


EXERCISE = Exercise(
    name="weighted_bound",
    task="""**Your turn.** Write `weighted_bound(nll, z, mu, logvar)`: for each picture, the log of the average weight
p(x|z) p(z) / q(z|x) over k draws. `z` holds the draws, (n, k, latent), and `nll` their −log p(x|z), (n, k); the
clouds are `mu` and `logvar`, (n, latent). Return one number for each picture, shape (n,). An nll may be 1,000 nats.""",
    stub="weighted_bound(nll, z, mu, logvar)",
    hints=(
        "Stay with logarithms: the log of a weight is a sum of three terms. Which is −nll, and what are the others?",
        "log p(z) and log q(z|x) are sums over the numbers of a code, axis 2. `mu[:, None]` has shape (n, 1, latent) "
        "and meets all k draws; `Normal(mean, sd).log_prob(z)` of torch.distributions takes such shapes.",
        "With the logs of the weights (n, k) in `log_w`, `log_w.logsumexp(1)` is the log of their *sum*, safe for "
        "large numbers. What is missing to the log of the average?",
    ),
    answer=weighted_bound,
    right="The log of the average weight, for one draw and for many, and no overflow at 1,000 nats. With k = 1 its "
    "average is the ELBO.",
    judge=partial(by_values, keeps_dtype=True),
    afterwards="Whoever calls it finds other numbers in their draws afterwards.",
    probes=(
        Probe(
            lambda: {
                "nll": torch.tensor([[1.0, 3.0]]),
                "z": torch.tensor([[[0.5], [-0.3]]]),
                "mu": torch.tensor([[0.2]]),
                "logvar": torch.tensor([[-1.0]]),
            },
            "one picture, two draws of a code of one number",
        ),
        Probe(lambda: _draws(3, 4, 2, 5, seed=1), "three pictures, four draws, codes of two numbers"),
        Probe(lambda: _draws(4, 1, 3, -2, seed=2), "a single draw"),
        Probe(lambda: _draws(2, 7, 5, 0, seed=3, dtype=torch.float64), "float64"),
        Probe(lambda: _draws(2, 3, 2, 1000, seed=4), "nlls of 1,000 nats", extreme=True),
        Probe(lambda: _draws(3, 2, 2, -900, seed=5), "nlls of −900 nats", extreme=True),
    ),
)
