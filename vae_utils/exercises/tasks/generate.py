"""Notebook 02: new pictures from the prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...draws import Sample
from ...mistakes import Mistake
from ..attempt import Attempt, Stopped, seed
from ..compare import close, difference, finer, kind, numbers
from ..exercise import Exercise
from ..verdict import Evidence, Verdict

N, LATENT = 1500, 4
SHAPE = (1, 2, 3)
Decode = Callable[[Tensor], Tensor]


def generate(decode: Decode, n: int, latent_dim: int) -> Tensor:
    z = torch.randn(n, latent_dim)  # codes from the prior N(0, I)
    return decode(z)


class _Decoder:
    """A fixed decoder that records the codes it is given. Like those of the course, it takes (batch, latent_dim)."""

    def __init__(self, latent_dim: int):
        self.weight = torch.randn(latent_dim, 6, generator=torch.Generator().manual_seed(latent_dim))
        self.latent_dim = latent_dim
        self.codes: list[Tensor] = []

    def __call__(self, z: Tensor) -> Tensor:
        if not isinstance(z, Tensor):
            raise TypeError(f"decode takes a tensor of codes, not {kind(z)}")
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise ValueError(f"decode takes codes of shape (batch, {self.latent_dim}), not {tuple(z.shape)}")
        self.codes.append(z.detach().clone())
        return self.decode(z)

    def decode(self, z: Tensor) -> Tensor:
        return (z @ self.weight.to(z.dtype)).sigmoid().unflatten(1, SHAPE)


class Seen:
    """What one call did: the codes that were decoded, the pictures returned, and how the two are related."""

    def __init__(self, function: Callable[..., Any], n: int = N, latent_dim: int = LATENT):
        decode = _Decoder(latent_dim)
        self.pictures = function(decode, n, latent_dim)
        self.codes = torch.cat([z.double() for z in decode.codes]) if decode.codes else torch.empty(0, latent_dim)
        self.raw = decode.codes[0] if decode.codes else None
        decoded = decode.decode(self.codes)
        if not isinstance(self.pictures, Tensor):
            self.how = "no tensor"
        elif self.pictures.shape != decoded.shape:
            self.how = f"{len(self.codes)} decoded, {tuple(self.pictures.shape)} returned"
        elif close(self.pictures, decoded.float()):
            self.how = "decoded"
        else:
            more = close(self.pictures, decoded.float().sigmoid())
            self.how = "a sigmoid too many" if more else _related(self.pictures.detach().double(), decoded)


def _related(pictures: Tensor, decoded: Tensor) -> str:
    """Return how other pictures are related to the decoded ones: what was added may have nothing to do with them."""
    both = torch.stack([(pictures - decoded).flatten(), decoded.flatten()])
    return "noise added" if both[0].isfinite().all() and abs(both.corrcoef()[0, 1]) < 0.1 else "altered"


def judge(attempt: Attempt, exercise: Exercise) -> Verdict:
    """Compare the codes that are decoded with draws from the prior, and the pictures with what was decoded."""
    first, again = Seen(attempt), Seen(attempt)
    sample = Sample(first.codes, again.codes)

    def does_the_same(mistake: Mistake) -> bool:
        seed(1)
        one, two = Seen(mistake.function), Seen(mistake.function)
        if one.how != first.how or len(one.codes) != len(first.codes):
            return False
        return len(one.codes) < 2 or sample.alike(Sample(one.codes, two.codes))

    fault, how = sample.fault if len(first.codes) == N else ("", "")
    known = first.how != "decoded" or len(first.codes) != N or fault not in ("", "shape", "ties")
    if slug := exercise.first(does_the_same) if known else None:
        return exercise.named(slug, _codes(first, again))
    if found := _of_pictures(exercise, first, N, LATENT):
        return found
    if fault:
        return exercise.wrong(FAULTS.get(fault, FAULTS["prior"]).format(how), _codes(first, again))
    for n, latent_dim in ((1, 3), (5, 1)):
        if found := _of_pictures(exercise, Seen(attempt, n, latent_dim), n, latent_dim):
            return found
    if how := finer(first.raw, torch.zeros(1)):
        return exercise.wrong(how)
    return exercise.passes()


FAULTS = {
    "repeats": "Two calls decode the same codes: nothing random happens in between.",
    "constant": "Every number of every code needs a draw of its own.",
    "together": "Every number of every code needs a draw of its own.",
    "shape": "The codes that you decode are not standard normal: {}.",
    "ties": "{} Every number of every code needs a draw of its own.",
    "prior": "The codes do not come from the prior N(0, I): {}.",
}


def _codes(first: Seen, again: Seen) -> Evidence | None:
    """Return the first codes of two calls, and their moments."""
    if not len(first.codes):
        return None
    two = [numbers(seen.codes[:2].float().round(decimals=2)) for seen in (first, again)]
    deviation = first.codes.std().item() if len(first.codes) > 1 else 0
    moments = f"{first.codes.mean().item():.2f} (expected 0), standard deviation {deviation:.2f} (expected 1)"
    rows = (("first call", two[0]), ("next call", two[1]), ("mean", moments))
    return Evidence(f"The first two codes that `decode` got, of {N:,}:", rows)


def _of_pictures(exercise: Exercise, seen: Seen, n: int, latent_dim: int) -> Verdict | None:
    """Describe pictures that are not those of n codes; None if they are."""
    call, expected = f"`generate(decode, {n}, {latent_dim})`", torch.empty(n, *SHAPE)
    if seen.how == "no tensor":
        raise Stopped(f"{call}: {difference(seen.pictures, expected)}")
    if not len(seen.codes):
        raise Stopped(f"{call} never calls `decode`. Draw codes and give them to it: it makes the pictures.")
    if seen.pictures.shape != expected.shape:
        raise Stopped(f"{call}: {difference(seen.pictures, expected)} `decode` was given {len(seen.codes)} codes.")
    if len(seen.codes) == 1 < n and Sample(*[seen.pictures.detach().flatten(1)] * 2).constant:
        return exercise.named("one-code-for-all")
    if seen.how != "decoded":
        return exercise.wrong(
            f"{call}: the pictures you return are not those that `decode` gave, one for each code, in order. "
            "Its pictures are in [0, 1] and finished: hand them on as they are."
        )
    return None


EXERCISE = Exercise(
    name="generate",
    task="""**Your turn.** Write `generate(decode, n, latent_dim)`: n new pictures from the prior. `decode` is a
function that takes codes of shape (batch, latent_dim) and returns pictures with values in [0, 1]. Every call should
give new pictures.""",
    stub="generate(decode, n, latent_dim)",
    hints=(
        "Read the generative story from left to right: where does z come from, and what makes a picture of it?",
        "The prior is N(0, I): every number of a code is standard normal, independent of the others. You need a table "
        "of them, one row for each picture.",
        "`torch.randn(n, latent_dim)` draws the codes; `decode` takes them all at once.",
    ),
    answer=generate,
    right="Each picture has a code of its own from N(0, I), with every number drawn independently, and every call "
    "gives new ones. That is all there is to sampling from a VAE: no encoder, no data.",
    judge=judge,
)
