"""Wrong ways to write `threshold`: where to put the border when only normal scores are known."""

import math

import torch
from torch import Tensor

from .mistake import mistake


def _kth(scores: Tensor, k: int) -> float:
    """Return the k-th smallest score; -inf before the first, infinity after the last."""
    if k < 1:
        return -math.inf
    return math.inf if k > len(scores) else scores.sort().values[k - 1].item()


@mistake
def wrong_end(scores: Tensor, share: float) -> float:
    """You count from the low end: nearly all normal pictures would raise an alarm. High scores are the odd ones, so
    only the share may lie *above* the border: 1 − share of the way up."""
    return _kth(scores, math.ceil((len(scores) + 1) * share))


@mistake
def without_the_new_one(scores: Tensor, share: float) -> float:
    """You count among the n scores alone. But the new score is one more, and stands at each of the n + 1 places with
    the same chance: the ⌈(n + 1)(1 − share)⌉-th smallest. (Rounding down does about
    the same.) Your border is a little too low, which matters if scores are few."""
    return _kth(scores, math.ceil(len(scores) * (1 - share)))


@mistake
def quantile(scores: Tensor, share: float) -> float:
    """That is the quantile of the scores you have, between two of them. Of new ones, a larger share lies above it on
    average: the new score counts, too. Take the ⌈(n + 1)(1 − share)⌉-th smallest score itself."""
    return torch.quantile(scores, 1 - share).item()


@mistake
def last_for_infinity(scores: Tensor, share: float) -> float:
    """With so few scores even the highest is not high enough: of n normal scores, a new one lies above all of them
    with a chance of 1 / (n + 1). If that is more than the share, no border but infinity keeps the promise."""
    return _kth(scores, min(math.ceil((len(scores) + 1) * (1 - share)), len(scores)))


@mistake
def place_counted_from_0(scores: Tensor, share: float) -> float:
    """One place too high: Python counts from 0, so that the k-th smallest is `sorted[k - 1]`."""
    k = math.ceil((len(scores) + 1) * (1 - share)) + 1
    return _kth(scores, min(k, len(scores))) if k <= len(scores) + 1 else math.inf


@mistake
def unsorted(scores: Tensor, share: float) -> float:
    """You take the k-th score in the order in which they came, which is any score. Sort them first: the k-th smallest
    is asked for."""
    k = math.ceil((len(scores) + 1) * (1 - share))
    return math.inf if k > len(scores) else scores[k - 1].item()


@mistake
def percent(scores: Tensor, share: float) -> float:
    """`share` is a share, not percent: 0.05 is one in twenty. Don't divide it by 100, or hardly anything ever raises
    an alarm."""
    return _kth(scores, math.ceil((len(scores) + 1) * (1 - share / 100)))


@mistake
def two_deviations(scores: Tensor, share: float) -> float:
    """Mean plus two standard deviations leaves 2.3 % above, whatever the share, and only if the scores are Gaussian.
    Theirs have a long tail. Count instead: it needs no assumption about their shape."""
    return (scores.mean() + 2 * scores.std()).item()


@mistake
def gaussian_tail(scores: Tensor, share: float) -> float:
    """You fit a Gaussian to the scores and take its tail. Scores of pictures have a longer one, so that more than
    the share would lie above. Count instead: it needs no assumption about their shape."""
    return (scores.mean() + scores.std() * torch.special.ndtri(torch.tensor(1 - share))).item()


@mistake
def highest(scores: Tensor, share: float) -> float:
    """You return the highest score of all, whatever the share: hardly a false alarm, and many odd pictures
    missed."""
    return scores.max().item()
