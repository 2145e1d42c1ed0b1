"""The catalogue of known mistakes: wrong implementations, each with its explanation.

One module for each exercise; in it each mistake is one decorated function, its name the slug, its docstring the
explanation. `get("gaussian_kl/no-half")` returns one. Importing this package does not import torch.
"""

from __future__ import annotations

from importlib import import_module

from .mistake import COLLECTED, Mistake

__all__ = ["EXERCISES", "Mistake", "get", "names", "of"]

# In the order of the notebooks.
EXERCISES = (
    "reconstruction_error",
    "interpolate",
    "generate",
    "nearest_real",
    "reparameterize",
    "pathwise_gradient",
    "score_function_gradient",
    "gaussian_kl",
    "bernoulli_nll",
    "negative_elbo",
    "training_step",
    "slerp",
    "attribute_direction",
    "threshold",
    "masked_nll",
    "leave_one_out",
    "straight_through",
    "weighted_bound",
    "free_bits",
)


def of(exercise: str) -> dict[str, Mistake]:
    """Return the known mistakes of an exercise by slug. Of several that fit, the first is named."""
    module = import_module(f".{exercise}", __name__)
    return COLLECTED[module.__name__]


def get(name: str) -> Mistake:
    """Return the mistake of that name, "EXERCISE/SLUG".

    Raises:
        KeyError: There is none; the message names those there are.
    """
    exercise, _, slug = name.partition("/")
    if exercise not in EXERCISES:
        raise KeyError(f"There is no exercise {exercise!r}; there are {', '.join(EXERCISES)}.")
    if slug not in (known := of(exercise)):
        raise KeyError(f"{exercise} has no mistake {slug!r}; it has {', '.join(known)}.")
    return known[slug]


def names() -> list[str]:
    """Return the names of all known mistakes, "EXERCISE/SLUG"."""
    return [f"{exercise}/{slug}" for exercise in EXERCISES for slug in of(exercise)]
