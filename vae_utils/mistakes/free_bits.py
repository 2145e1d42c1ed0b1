"""Wrong ways to write `free_bits`: a KL of which each number of the code has some nats for free."""

import torch
from torch import Tensor

from .mistake import mistake


@mistake
def nothing_free(kl: Tensor, least: float) -> Tensor:
    """This is the plain KL, summed over numbers and averaged over pictures: `least` is not used, so nothing is free."""
    return kl.mean(0).sum()


@mistake(several=True)
def per_picture(kl: Tensor, least: float) -> Tensor:
    """You bound the KL of each *picture*, and average afterwards. Then a number can't be silent for some pictures and
    speak for others without paying for it: the bound belongs on the average over the batch."""
    return kl.clamp(min=least).mean(0).sum()


@mistake
def of_the_sum(kl: Tensor, least: float) -> Tensor:
    """You bound the sum over the numbers. Then one talkative number pays for all, and the others may fall silent: bound
    each number's average, then add up."""
    return kl.mean(0).sum().clamp(min=least)


@mistake
def of_the_whole_budget(kl: Tensor, least: float) -> Tensor:
    """You bound the sum by `least` times the number of numbers: a common budget. One number can use up all of it, and
    the others fall silent. Bound each number's average, then add up."""
    return kl.mean(0).sum().clamp(min=least * kl.shape[1])


@mistake
def at_most(kl: Tensor, least: float) -> Tensor:
    """You charge `least` at most, where it should be at least. Then numbers that speak cost nothing more, and those
    near silence are pushed all the way. `clamp(min=least)`."""
    return kl.mean(0).clamp(max=least).sum()


@mistake
def subtracted(kl: Tensor, least: float) -> Tensor:
    """You subtract what is free, and charge the rest. The gradient is the right one, so training goes as it should; but
    the number is smaller by `least` for each number of the code, and the loss looks better than it is."""
    return (kl.mean(0) - least).clamp(min=0).sum()


@mistake
def added(kl: Tensor, least: float) -> Tensor:
    """You add `least` to each number's KL. A constant moves no minimum: you would train as without it. Where the
    average is below `least`, take `least` in its place."""
    return (kl.mean(0) + least).sum()


@mistake
def silent_ones_free(kl: Tensor, least: float) -> Tensor:
    """You charge nothing where the average is below `least`. So a number gains all of it at once by slipping below, and
    is drawn to silence. Where it is below, `least` is charged."""
    each = kl.mean(0)
    return torch.where(each < least, torch.zeros_like(each), each).sum()


@mistake(several=True)
def averaged_numbers(kl: Tensor, least: float) -> Tensor:
    """You average over the numbers of the code, where they are added: the KL of a code is the sum of its numbers'. An
    average is a silent β = 1/L with L numbers."""
    return kl.mean(0).clamp(min=least).mean()


@mistake(several=True)
def summed_batch(kl: Tensor, least: float) -> Tensor:
    """You sum over the batch, not average. With 64 pictures each number soon has more than `least`, whatever it says,
    so nothing is free; and the KL weighs as many times too much."""
    return kl.sum(0).clamp(min=least).sum()


@mistake(several=True)
def averaged_codes(kl: Tensor, least: float) -> Tensor:
    """You average over the numbers of each picture's code, and bound that for each picture. Average over the pictures
    (axis 0) and bound each *number*."""
    return kl.mean(1).clamp(min=least).sum()


@mistake(several=True)
def not_added_up(kl: Tensor, least: float) -> Tensor:
    """You return one entry for each number of the code. Add them up: the loss needs one number."""
    return kl.mean(0).clamp(min=least)


@mistake(several=True)
def one_for_each_picture(kl: Tensor, least: float) -> Tensor:
    """You return one number for each picture, each of them bounded by itself. What is free is free on average over the
    batch, so one number comes out for all."""
    return kl.clamp(min=least).sum(1)


@mistake
def gradient_cut(kl: Tensor, least: float) -> Tensor:
    """The number is right, but no gradient comes back: `.item()`, `.detach()` or a new tensor cut the path. The encoder
    would never hear of the KL."""
    return kl.mean(0).clamp(min=least).sum().detach()


@mistake
def gradient_below(kl: Tensor, least: float) -> Tensor:
    """The number is right, and a gradient still pushes numbers that are below `least`. Free means that nothing pushes
    there: `clamp` and `maximum` have a slope of 0 below."""
    each = kl.mean(0)
    return (each + (each.clamp(min=least) - each).detach()).sum()
