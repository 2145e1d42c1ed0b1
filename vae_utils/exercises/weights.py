"""Which fixed weights stand before the two terms of a loss, and what they do, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# What the whole may be multiplied by, besides a constant, from (pixel values, numbers in the code, pictures).
FACTORS: dict[str, Callable[[int, int, int], float]] = {
    "": lambda pixels, latents, pictures: 1.0,
    "divided by the number of pixel values": lambda pixels, latents, pictures: 1 / pixels,
    "divided by the numbers in the code": lambda pixels, latents, pictures: 1 / latents,
    "divided by the batch size": lambda pixels, latents, pictures: 1 / pictures,
    "divided by all pixel values of the batch": lambda pixels, latents, pictures: 1 / (pixels * pictures),
    "multiplied by the batch size": lambda pixels, latents, pictures: pictures,
}


@dataclass(frozen=True)
class Weights:
    """A loss of a · nll + b · KL, times a factor."""

    a: float
    b: float
    factor: str = ""

    @property
    def right(self) -> tuple[bool, bool]:
        """Which of the two weights is 1."""
        return abs(self.a - 1) < 1e-3, abs(self.b - 1) < 1e-3

    @property
    def balanced(self) -> bool:
        """Whether the two terms weigh the same."""
        return abs(self.a - self.b) < 1e-3 * abs(self.a)

    def __str__(self) -> str:
        a, b = f"{self.a:.4g}", f"{self.b:.4g}"
        if self.balanced:
            how = [*([self.factor] if self.factor else []), *([] if self.right[0] else [f"multiplied by {a}"])]
            return (
                f"Both terms are {' and '.join(how)}. Against each other they weigh what they should, so the minimum "
                "is where it was. But the numbers are no nats of a picture any more, and the steps are of another "
                "length."
            )
        if self.right[0]:
            text = f"The reconstruction is right, and the KL weighs {b} times what it should."
        elif self.right[1]:
            text = f"The KL is right, and the reconstruction weighs {a} times what it should."
        else:
            text = f"The reconstruction weighs {a} times what it should, the KL {b} times."
        besides = f" (Besides, everything is {self.factor}.)" if self.factor else ""
        return f"{text} Only the balance counts: that is a silent β = {self.b / self.a:.4g}.{besides}"


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
    for name, factor in FACTORS.items():
        both = terms.T.double() * torch.tensor([[factor(*each)] for each in sizes]).double()
        weights = torch.linalg.lstsq(both, right).solution
        if torch.allclose(both @ weights, right, rtol=1e-4, atol=1e-5):
            found.append(Weights(weights[0].item(), weights[1].item(), name))
    found = [weights for weights in found if not weights.factor or weights.right[0] or not weights.balanced]
    return max(found, key=lambda weights: sum(weights.right), default=None)
