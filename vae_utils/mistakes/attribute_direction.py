"""Wrong ways to write `attribute_direction`: the direction in which an attribute lies."""

import torch.nn.functional as F
from torch import Tensor

from .mistake import mistake


@mistake
def backward(codes: Tensor, has: Tensor) -> Tensor:
    """Your direction points the other way, from pictures with the attribute to those without: added to a code, it
    takes the attribute away. With minus without."""
    return codes[~has].mean(0) - codes[has].mean(0)


@mistake
def only_with(codes: Tensor, has: Tensor) -> Tensor:
    """You return the mean code of the pictures that have it: a place, not a direction. It holds all that these
    pictures share. What the others have, too, must be subtracted."""
    return codes[has].mean(0)


@mistake
def only_without(codes: Tensor, has: Tensor) -> Tensor:
    """You return the mean code of the pictures that do not have it: a place, not a direction. It is what is to be
    subtracted from the mean code of the others."""
    return codes[~has].mean(0)


@mistake
def minus_all(codes: Tensor, has: Tensor) -> Tensor:
    """You subtract the mean of *all* codes, those with the attribute among them. The direction is right, and too
    short by the share of pictures that have it. Subtract the mean of those without."""
    return codes[has].mean(0) - codes.mean(0)


@mistake
def sums(codes: Tensor, has: Tensor) -> Tensor:
    """You subtract sums of codes. They grow with the number of pictures, so the larger group wins, whatever it has.
    Take the means."""
    return codes[has].sum(0) - codes[~has].sum(0)


@mistake
def over_all_pictures(codes: Tensor, has: Tensor) -> Tensor:
    """You divide both sums by the number of *all* pictures (multiplying the codes by 0 or 1 and taking the mean
    does that). Each group's sum is divided by its own size."""
    with_it, without = has[:, None] * codes, (~has)[:, None] * codes
    return with_it.mean(0) - without.mean(0)


@mistake
def medians(codes: Tensor, has: Tensor) -> Tensor:
    """You take medians. That is a fair choice against outliers, but another one: means are asked for."""
    return codes[has].median(0).values - codes[~has].median(0).values


@mistake
def unit_length(codes: Tensor, has: Tensor) -> Tensor:
    """You scaled the direction to length 1. The way is right, and how far to go is lost: one step should lead from
    a typical code without the attribute to a typical one with it."""
    return F.normalize(codes[has].mean(0) - codes[~has].mean(0), dim=0)


@mistake
def mean_of_each_code(codes: Tensor, has: Tensor) -> Tensor:
    """You average over the numbers of each code, not over pictures: axis 1 in place of axis 0. A direction has an
    entry for each number of the code."""
    return codes[has].mean(1) - codes[~has].mean(1)


@mistake
def one_number(codes: Tensor, has: Tensor) -> Tensor:
    """`mean()` without an axis averages everything to one number. A direction has an entry for each number of the
    code: `mean(0)`."""
    return codes[has].mean() - codes[~has].mean()


@mistake
def scaled_by_spread(codes: Tensor, has: Tensor) -> Tensor:
    """You divide by the standard deviation of the codes. That makes numbers comparable for a table, but it is no
    longer a step in the space of codes: added to a code, it lands elsewhere."""
    return (codes[has].mean(0) - codes[~has].mean(0)) / codes.std(0)


@mistake
def numbers_for_a_mask(codes: Tensor, has: Tensor) -> Tensor:
    """You turned the truth values into 0 and 1. As an index, those mean the first and the second picture, again and
    again. A mask must stay a mask: `codes[has]`, `codes[~has]`."""
    return codes[has.long()].mean(0) - codes[1 - has.long()].mean(0)


@mistake
def added(codes: Tensor, has: Tensor) -> Tensor:
    """You add the two means. A direction leads from one place to another: the mean with it minus the mean without."""
    return codes[has].mean(0) + codes[~has].mean(0)


@mistake
def without_sign(codes: Tensor, has: Tensor) -> Tensor:
    """You took the absolute value: each number of a direction has a sign, which says whether it rises or falls on the
    way."""
    return (codes[has].mean(0) - codes[~has].mean(0)).abs()
