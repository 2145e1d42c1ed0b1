"""Exercise of notebook 04: the negative ELBO, with a weight on the KL."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...losses import bernoulli_nll, gaussian_kl
from ..exercise import Exercise, Probe
from ..values import Sight, by_values
from ..verdict import Verdict
from ..weights import fitted


def negative_elbo(logits, x, mu, logvar, beta=1.0):
    return bernoulli_nll(logits, x) + beta * gaussian_kl(mu, logvar)


TASK = """Put the two together: $-\\log p(x|z) + \\beta\\,\\mathrm{KL}(q(z|x)\\,\\|\\,p(z))$, which with `beta` at 1
is the negative ELBO. `logits` and `x` are as in `bernoulli_nll`, `mu` and `logvar` as in `gaussian_kl`; both functions
are yours to use. Return one number for each picture: shape (batch,)."""

SMALL = {
    "logits": [[[[1.0, -2.0]]]],
    "x": [[[[1.0, 0.3]]]],
    "mu": [[1.0, -2.0, 0.0]],
    "logvar": [[0.0, 1.0, -1.0]],
}
FULL = {
    "logits": [[[[0.3, -1.1], [2.4, 0.9]]], [[[-0.2, 1.7], [-2.6, 0.1]]], [[[0.8, -0.7], [1.3, -1.9]]]],
    "x": [[[[0.0, 0.2], [1.0, 0.6]]], [[[0.4, 0.9], [0.0, 0.5]]], [[[1.0, 0.3], [0.8, 0.1]]]],
    "mu": [[0.3, -1.2], [2.1, 0.4], [-0.5, 0.9]],
    "logvar": [[-0.4, 0.7], [0.2, -2.2], [-0.8, 0.1]],
}


def _probe(arguments: Mapping[str, object], about: str, beta: float | None = None, **kind: Any) -> Probe:
    named = {} if beta is None else {"beta": beta}
    kind["gradients"] = ("logits", "mu", "logvar") if kind.get("gradients") else ()
    return Probe(lambda: {name: torch.tensor(values) for name, values in arguments.items()} | named, about, **kind)


SURE = {
    "logits": [[[[120.0, -30.0]]], [[[-30.0, 120.0]]]],
    "x": [[[[1.0, 0.0]]], [[[1.0, 0.0]]]],
    "mu": [[0.3, -1.2], [0.5, 0.9]],
    "logvar": [[-0.4, 0.7], [0.2, -0.8]],
}
FAR = {
    "logits": [[[[1.0, -2.0]]], [[[0.5, 2.0]]]],
    "x": [[[[1.0, 0.3]]], [[[0.0, 0.8]]]],
    "mu": [[0.1, -0.05], [20.0, -30.0]],
    "logvar": [[0.1, -0.05], [-11.0, 7.0]],
}


def weighted(sight: Sight) -> Verdict | None:
    """Describe fixed weights of the two terms, or a factor on both, if they fit every number, with β or without it."""
    for used, remark in ((True, ""), (False, " And `beta` comes in and is not used.")):
        got, terms, sizes = [], [], []
        for i in sight.compared:
            value, probe = sight.got[i]["value"], sight.exercise.probes[i].make()
            logits, x, mu, logvar = (probe[name] for name in ("logits", "x", "mu", "logvar"))
            kl = gaussian_kl(mu, logvar) * (probe.get("beta", 1.0) if used else 1.0)
            both = torch.stack([bernoulli_nll(logits, x), kl])
            if not isinstance(value, Tensor) or value.shape not in ((), kl.shape):
                return None
            got.append(value.detach().reshape(-1))
            terms.append(both if value.ndim else both.sum(1, keepdim=True))
            sizes += [(x[0].numel(), mu.shape[1], len(x))] * len(got[-1])
        if got and (found := fitted(torch.cat(got), torch.cat(terms, 1), sizes)):
            if len(got[-1]) == 1:
                remark += " And one number comes back for the whole batch; keep one for each picture."
            return sight.exercise.wrong(f"{found}{remark}", sight.evidence(sight.telling(True)))
    return None


EXERCISE = Exercise(
    name="negative_elbo",
    task=TASK,
    stub="negative_elbo(logits, x, mu, logvar, beta=1.0)",
    hints=(
        "The ELBO is how well the picture comes back minus how far the cloud is from the prior. An optimizer makes "
        "things small, so both signs turn.",
        "`bernoulli_nll(logits, x)` is −log p(x|z) already, the minus included, and `gaussian_kl(mu, logvar)` is the "
        "KL. Both are (batch,). Which of the two does β weigh?",
        "`bernoulli_nll(logits, x) + beta * …`. No sum and no mean: one number for each picture.",
    ),
    answer=negative_elbo,
    right="With `beta` at 1 this is the negative ELBO of each picture, with one draw of z: on average, at least −log "
    "p(x).",
    judge=partial(by_values, shows=(weighted,)),
    reductions={"sum-of-all": lambda loss, _: loss.sum(), "averaged-batch": lambda loss, _: loss.mean()},
    afterwards="What reads the same {} next would find the overwritten numbers, without an error.",
    probes=(
        _probe(SMALL, "one picture of two pixels, a code of three numbers, β not given"),
        _probe(SMALL, "the same with β = 4", 4.0),
        _probe(FULL, "three pictures of 2 × 2 pixels, codes of two numbers, β not given", gradients=True),
        _probe(FULL, "the same with β = 0.25", 0.25, gradients=True),
        _probe(FULL, "the same with β = 0", 0.0),
        _probe(
            SURE, "a decoder that is sure: right of the first picture, wrong of the second", extreme=True, sure=True
        ),
        _probe(FAR, "a code near the prior and one far from it, β = 100", 100.0, gradients=True, extreme=True),
    ),
)
