"""Wrong ways to write `straight_through`: a hard choice with a soft one's gradient."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .mistake import mistake


def _soft(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    return ((logits + noise) / temperature).softmax(-1)


def _hard(soft: Tensor, axis: int = -1) -> Tensor:
    return torch.zeros_like(soft).scatter_(axis, soft.argmax(axis, keepdim=True), 1.0)


@mistake
def soft_only(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """You return the soft choice: that is the Gumbel-softmax itself. Its gradient is the one that is asked for, but the
    decoder sees mixtures of values, which no code is. Forward, one-hot numbers should come out."""
    return _soft(logits, noise, temperature)


@mistake
def hard_only(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """The numbers are right, but no gradient comes back: an argmax is flat, so the hard choice alone stops the
    gradient, as `.sample()` does. Add a number that is 0 and has the soft choice's slope."""
    return _hard(_soft(logits, noise, temperature)).detach()


@mistake
def nothing_detached(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """You add the soft choice and subtract it again, with its past both times: the gradients cancel as well, and 0
    comes back, without an error. What is subtracted must have no past: `soft.detach()`."""
    soft = _soft(logits, noise, temperature)
    return _hard(soft) + soft - soft


@mistake
def gradient_reversed(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """You detach the soft choice that is added, and not the one that is taken off. The numbers are right, and the
    gradient has the wrong sign: training would walk uphill. Take off the one without a past: `+ soft -
    soft.detach()`."""
    soft = _soft(logits, noise, temperature)
    return _hard(soft) - soft + soft.detach()


@mistake
def gradient_of_logits(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """You pass the gradient straight to the logits, as if the choice were the logits themselves. That is the oldest
    straight-through estimator (for switches: Bengio et al., 2013), but the softmax between is asked for: through it,
    what one value gains the others lose."""
    return _hard(logits + noise) + logits - logits.detach()


@mistake
def gradient_of_chances(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Forward all is right. Backward you go through the softmax of the logits alone, the chances, without dice and
    temperature. That is a straight-through estimator, too; here the gradient of the soft choice that was *drawn* is
    asked for."""
    chances = logits.softmax(-1)
    return _hard(logits + noise) + chances - chances.detach()


@mistake
def temperature_forgotten(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """You leave the temperature out. Forward nobody sees it, since the largest stays the largest. Backward, the softmax
    of (logits + noise) / temperature has other slopes: the lower the temperature, the larger they are near a tie."""
    soft = _soft(logits, noise, 1.0)
    return _hard(soft) + soft - soft.detach()


@mistake
def temperature_multiplied(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """You multiply by the temperature, where it divides: low becomes high. Forward nobody sees it; backward the slopes
    are those of another softmax. A low temperature should sharpen the soft choice."""
    soft = _soft(logits, noise, 1 / temperature)
    return _hard(soft) + soft - soft.detach()


@mistake
def noise_not_cooled(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """You divide the logits alone by the temperature and add the dice afterwards: a temperature below 1 then makes the
    likely values likelier, and the choice is no longer a fair draw. Divide the sum."""
    soft = (logits / temperature + noise).softmax(-1)
    return _hard(soft) + soft - soft.detach()


@mistake
def noise_forgotten(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """You leave the dice out, so that the likeliest value is chosen every time. Nothing is drawn, and the code is no
    sample of q(z|x). Add the noise to the logits before the softmax."""
    soft = _soft(logits, torch.zeros_like(noise), temperature)
    return _hard(soft) + soft - soft.detach()


@mistake
def noise_subtracted(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """You subtract the dice. Gumbel dice are lopsided: far out on the high side, never far on the low one. Turned
    round, the largest sum is no longer chosen with the chances that the logits say. Add them."""
    soft = _soft(logits, -noise, temperature)
    return _hard(soft) + soft - soft.detach()


@mistake
def wrong_axis(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Your softmax and your largest run over the first axis, so that pictures compete for a value. Each choice is among
    its own values: the last axis, `-1`."""
    soft = ((logits + noise) / temperature).softmax(0)
    hard = _hard(soft, 0)
    return hard + soft - soft.detach()


@mistake
def softmax_axis(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Your one-hot numbers are right, but the softmax behind the gradient runs over the first axis, not over the values
    of each choice, the last one: the gradient mixes pictures."""
    soft = ((logits + noise) / temperature).softmax(0)
    return _hard(logits + noise) + soft - soft.detach()


@mistake
def log_softmax(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Your gradient goes through the *logarithm* of the softmax. Forward nobody sees it, since it cancels; backward the
    slopes are those of log chances, far too large for values that were hardly considered. Take `softmax`."""
    soft = ((logits + noise) / temperature).log_softmax(-1)
    return _hard(soft) + soft - soft.detach()


@mistake
def number_of_the_value(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """You return *which* value is the largest, as `argmax` gives it: a whole number for each choice, without a
    gradient. The decoder takes one-hot codes: a 1 at that place, and 0 elsewhere."""
    return (logits + noise).argmax(-1)


@mistake
def whole_numbers(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """You return `one_hot` as it comes: whole numbers, which can hold no gradient and no decoder takes. Turn them into
    the dtype of the logits, and add the soft choice's gradient."""
    return F.one_hot((logits + noise).argmax(-1), logits.shape[-1])


@mistake
def rounded(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """You round the soft choice. Where no value has more than half, all come out as 0: no choice at all. The largest
    should be 1, however small it is."""
    soft = _soft(logits, noise, temperature)
    return soft.detach().round() + soft - soft.detach()


@mistake
def soft_not_taken_off(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """You add the soft choice and do not take it off again, so the numbers are no longer one-hot. Take it off without
    its past: `- soft.detach()`. Then 0 is added, with a slope."""
    soft = _soft(logits, noise, temperature)
    return _hard(soft) + soft
