"""Notebook 02: new pictures from the prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..attempt import Attempt, Stopped, seed
from ..compare import close, difference, kind, numbers
from ..exercise import Exercise
from ..randomness import LIMIT, not_standard_normal, same_in_columns, same_in_rows, ties
from ..verdict import Result

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


class _Seen:
    """What one call did: the codes that were decoded, the pictures returned, and how the two are related."""

    def __init__(self, function: Callable[..., Any], n: int = N, latent_dim: int = LATENT):
        decode = _Decoder(latent_dim)
        self.pictures = function(decode, n, latent_dim)
        self.codes = torch.cat([z.double() for z in decode.codes]) if decode.codes else torch.empty(0, latent_dim)
        decoded = decode.decode(self.codes)
        if not isinstance(self.pictures, Tensor):
            self.how = "no tensor"
        elif self.pictures.shape == decoded.shape and close(self.pictures, decoded.float()):
            self.how = "decoded"
        elif self.pictures.shape == decoded.shape and close(self.pictures, decoded.float().sigmoid()):
            self.how = "a sigmoid too many"
        elif self.pictures.shape == decoded.shape:
            self.how = "not what decode returned"
        elif not len(self.codes):
            self.how = f"decode not called, {tuple(self.pictures.shape[1:])}"
        else:
            self.how = f"{len(self.codes)} decoded, {tuple(self.pictures.shape)} returned"


def _fingerprint(first: _Seen, second: _Seen) -> dict[str, Any]:
    """Return what characterizes two calls: enough to tell the known mistakes apart."""
    z = first.codes if len(first.codes) else torch.zeros(1, 1).double()
    constant = same_in_rows(z) or len(z) == 1
    repeats = torch.equal(first.codes, second.codes)
    return {
        "how": first.how,
        "codes and pictures": (
            len(first.codes),
            first.pictures.shape[:1] if isinstance(first.pictures, Tensor) else None,
        ),
        "repeats": repeats,
        "tails": bool(((z - z.mean(0)).abs() > 2 * z.std(0)).any()) if len(z) > 1 else False,
        "same in rows": constant,
        "same in columns": not constant and same_in_columns(z),
        "mean": z.mean(0) if repeats or not constant else torch.zeros(z.shape[1]).double(),
        "deviation": z.std(0) if len(z) > 1 else torch.zeros(z.shape[1]).double(),
    }


def _alike(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Return whether two fingerprints are the same, within the standard errors of their moments."""
    if any(a[name] != b[name] for name in a if name not in ("mean", "deviation")):
        return False
    if a["mean"].shape != b["mean"].shape:
        return False
    error = 1.5 * LIMIT * (b["deviation"] + 1e-6)
    near = (a["mean"] - b["mean"]).abs() < error * N**-0.5 + 1e-5
    return bool((near & ((a["deviation"] - b["deviation"]).abs() < error * (2 * N) ** -0.5)).all())


def _judge(attempt: Attempt, exercise: Exercise) -> Result:
    first, second = _Seen(attempt), _Seen(attempt)
    seen = _fingerprint(first, second)
    right = {
        "how": "decoded",
        "codes and pictures": (N, (N,)),
        "repeats": False,
        "tails": True,
        "same in rows": False,
        "same in columns": False,
        "mean": torch.zeros(LATENT).double(),
        "deviation": torch.ones(LATENT).double(),
    }
    if not _alike(seen, right):
        for mistake in exercise.mistakes:
            seed(1)
            if _alike(seen, _fingerprint(_Seen(mistake.function), _Seen(mistake.function))):
                return Result(False, mistake.slug, mistake.why + _codes(first, second))
        return _explained(first, second, seen)
    both = torch.cat([first.codes, second.codes])
    if wrong := not_standard_normal(both):
        raise Stopped(f"The codes that you decode are not standard normal: {wrong}.{_codes(first, second)}")
    if wrong := ties(first.codes, second.codes):
        raise Stopped(f"{wrong} Every number of every code needs a draw of its own.{_codes(first, second)}")
    for n, latent_dim in ((1, 3), (5, 1)):
        small = _Seen(attempt, n, latent_dim)
        if small.how != "decoded" or len(small.codes) != n:
            return _explained(small, small, {}, n, latent_dim)
    return Result(True, None, exercise.right)


def _codes(first: _Seen, second: _Seen) -> str:
    """Format the first codes of two calls, and their moments."""
    if not len(first.codes):
        return ""
    two = [numbers(seen.codes[:2].float().round(decimals=2)) for seen in (first, second)]
    return (
        f"\n\nThe first two codes that `decode` got, of {N:,}:\n\n    first call: {two[0]}\n     next call: {two[1]}"
        f"\n    mean {first.codes.mean().item():.2f} (expected 0), "
        f"standard deviation {first.codes.std().item() if len(first.codes) > 1 else 0:.2f} (expected 1)"
    )


def _explained(first: _Seen, second: _Seen, seen: dict[str, Any], n: int = N, latent_dim: int = LATENT) -> Result:
    """Explain what is wrong if no known mistake does the same, by a Result or by raising Stopped."""
    call = f"`generate(decode, {n}, {latent_dim})`"
    expected = torch.empty(n, *SHAPE)
    if first.how == "no tensor":
        raise Stopped(f"{call}: {difference(first.pictures, expected)}")
    if not len(first.codes):
        raise Stopped(f"{call} never calls `decode`. Draw codes and give them to it: it makes the pictures.")
    if first.pictures.shape != expected.shape:
        raise Stopped(f"{call}: {difference(first.pictures, expected)} `decode` was given {len(first.codes)} codes.")
    if len(first.codes) == 1 and same_in_rows(first.pictures.detach().flatten(1)):
        return Result(False, "one-code-for-all", EXERCISE.mistake("one-code-for-all").why)
    if first.how != "decoded":
        raise Stopped(
            f"{call}: the pictures you return are not those that `decode` gave, one for each code, in order. "
            "Its pictures are in [0, 1] and finished: hand them on as they are."
        )
    if seen["repeats"]:
        raise Stopped(f"Two calls decode the same codes: nothing random happens in between.{_codes(first, second)}")
    if seen["same in rows"] or seen["same in columns"]:
        raise Stopped(f"Every number of every code needs a draw of its own.{_codes(first, second)}")
    raise Stopped(f"The codes do not come from the prior N(0, I).{_codes(first, second)}")


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
    solution=generate,
    right="Each picture has a code of its own from N(0, I), with every number drawn independently, and every call "
    "gives new ones. That is all there is to sampling from a VAE: no encoder, no data.",
    judge=_judge,
)
