"""Which fixed weights stand before the two terms of a loss, and what they do, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# What a term may be multiplied by, besides a constant, from (pixel values, numbers in the code, pictures).
FACTORS: dict[str, Callable[[int, int, int], float]] = {
    "": lambda pixels, latents, pictures: 1.0,
    "divided by the number of pixel values": lambda pixels, latents, pictures: 1 / pixels,
    "divided by the numbers in the code": lambda pixels, latents, pictures: 1 / latents,
    "divided by the batch size": lambda pixels, latents, pictures: 1 / pictures,
    "divided by all pixel values of the batch": lambda pixels, latents, pictures: 1 / (pixels * pictures),
    "multiplied by the batch size": lambda pixels, latents, pictures: pictures,
}
WHOLE, PIXELS, LATENTS, *OTHERS = FACTORS
# Those of the two terms that are tried: none, an average over the term's own numbers, and then the same for both.
TRIED = (
    (WHOLE, WHOLE),
    (PIXELS, WHOLE),
    (WHOLE, LATENTS),
    (PIXELS, LATENTS),
    *((f, f) for f in (PIXELS, LATENTS, *OTHERS)),
)


@dataclass(frozen=True)
class Weights:
    """A loss of a · nll + b · KL, each times a factor."""

    a: float
    b: float
    factors: tuple[str, str] = (WHOLE, WHOLE)

    @property
    def right(self) -> int:
        """How many of the two weights are 1."""
        return sum(abs(weight - 1) < 1e-3 for weight in (self.a, self.b))

    @property
    def of_both(self) -> bool:
        """Whether the two terms weigh the same against each other."""
        return abs(self.a - self.b) < 1e-3 * abs(self.a) and self.factors[0] == self.factors[1]

    def loss(self, nll: Tensor, kl: Tensor, *sizes: int) -> Tensor:
        """Return the loss."""
        first, second = (FACTORS[factor](*sizes) for factor in self.factors)
        return self.a * first * nll + self.b * second * kl

    def __str__(self) -> str:
        def how(weight: float, factor: str) -> str:
            scaled = [] if abs(weight - 1) < 1e-3 else [f"weighs {weight:.4g} times what it should"]
            return " and ".join([*([f"is {factor}"] if factor else []), *scaled]) or "is right"

        if self.of_both:
            times = [*filter(None, self.factors[:1]), *([] if self.right else [f"multiplied by {self.a:.4g}"])]
            return (
                f"Both terms are {' and '.join(times)}. Against each other they weigh what they should, so the minimum "
                "is where it was. But the numbers are no nats of a picture any more, and the steps are of another "
                "length."
            )
        same = self.factors[0] == self.factors[1]
        a, b = (how(weight, "" if same else f) for weight, f in zip((self.a, self.b), self.factors, strict=True))
        besides = f" (Besides, everything is {self.factors[0]}.)" if same and self.factors[0] else ""
        silent = f": that is a silent β = {self.b / self.a:.4g}" if same else ""
        return f"The reconstruction {a}, and the KL {b}. Only the balance counts{silent}.{besides}"


def fitted(got: Tensor, terms: Tensor, sizes: list[tuple[int, int, int]]) -> Weights | None:
    """Return the simplest weights with which every number is `got`; None if there are none.

    Args:
        got: What came out, (numbers,).
        terms: The reconstruction term and the KL, weighed as it should be, for each of them, (2, numbers).
        sizes: What `FACTORS` take, for each of them.
    """
    found, right = [], got.double()[:, None]
    if not right.isfinite().all():
        return None
    for factors in TRIED:
        both = terms.T.double() * torch.tensor([[FACTORS[f](*each) for f in factors] for each in sizes]).double()
        weights = torch.linalg.lstsq(both, right).solution
        if torch.allclose(both @ weights, right, rtol=1e-4, atol=1e-5):
            found.append(Weights(weights[0].item(), weights[1].item(), factors))
    # A factor that hangs on something, and a constant on both besides, is no simple account.
    found = [weights for weights in found if weights.right or not weights.factors[0] or not weights.of_both]
    return max(found, key=lambda weights: weights.right, default=None)
