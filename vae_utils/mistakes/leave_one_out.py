"""Wrong ways to write `leave_one_out`: the score-function gradient with the other draws' losses as baselines."""

import torch
from torch import Tensor

from .mistake import mistake


def _others(losses: Tensor) -> Tensor:
    return (losses.sum() - losses) / (len(losses) - 1)


@mistake
def no_baseline(losses: Tensor, scores: Tensor) -> Tensor:
    """You multiply each draw's whole loss by its scores: right on average, but nothing is taken off. Add 1,000 to all
    losses, and the slopes stay what they are, while your estimate scatters a thousandfold. Take the others' mean loss
    off first."""
    return (losses[:, None] * scores).mean(0)


@mistake
def own_loss_in_baseline(losses: Tensor, scores: Tensor) -> Tensor:
    """Your baseline is the mean of *all* losses, this draw's own among them. It takes a part of the signal off, too:
    the average comes out (k − 1)/k times the slope, half of it with two draws. Leave the draw's own loss out."""
    return ((losses - losses.mean())[:, None] * scores).mean(0)


@mistake
def baseline_added(losses: Tensor, scores: Tensor) -> Tensor:
    """You add the others' mean loss where it is to be taken off. On average that changes nothing, since the average
    score is 0, but the estimate scatters more than without any baseline: about four times as much if all losses are
    alike."""
    return ((losses + _others(losses))[:, None] * scores).mean(0)


@mistake
def others_divided_by_k(losses: Tensor, scores: Tensor) -> Tensor:
    """You sum the losses of the other draws, and divide by k: but they are k − 1. It is still right on average; the
    baseline is too small, with two draws by half, and the more of the loss is left to scatter."""
    return ((losses - (losses.sum() - losses) / len(losses))[:, None] * scores).mean(0)


@mistake
def others_summed(losses: Tensor, scores: Tensor) -> Tensor:
    """You take off the *sum* of the other draws' losses, not their mean. With two draws that is the same; with more
    you take off far too much. Right on average, and far noisier. Divide by k − 1."""
    return ((losses - (losses.sum() - losses))[:, None] * scores).mean(0)


@mistake
def wrong_sign(losses: Tensor, scores: Tensor) -> Tensor:
    """You subtract the loss from the baseline, so that the sign is reversed: training would walk uphill. A draw whose
    loss is above the others' counts with a plus."""
    return ((_others(losses) - losses)[:, None] * scores).mean(0)


@mistake
def summed_over_draws(losses: Tensor, scores: Tensor) -> Tensor:
    """You sum over the draws, so that the gradient grows with their number: k times the slope. Asked is the mean,
    `.mean(0)`."""
    return ((losses - _others(losses))[:, None] * scores).sum(0)


@mistake
def divided_twice(losses: Tensor, scores: Tensor) -> Tensor:
    """You divide the sum over draws by k − 1, as one does for a covariance. But the others' mean has that division in
    it already: the estimate comes out k/(k − 1) times too large, twice with two draws. Take the plain mean."""
    return ((losses - _others(losses))[:, None] * scores).sum(0) / (len(losses) - 1)


@mistake
def only_the_next(losses: Tensor, scores: Tensor) -> Tensor:
    """Your baseline is the loss of *one* other draw. That is right on average, and as good with two draws. With more,
    the mean of all the others scatters less, and is for free."""
    return ((losses - losses.roll(-1))[:, None] * scores).mean(0)


@mistake
def first_as_baseline(losses: Tensor, scores: Tensor) -> Tensor:
    """You take the first draw's loss off all the others'. Its own product is then 0, so of k draws k − 1 count, and
    yet you divide by k. Each draw should serve the others as baseline: take the mean of the others for each."""
    return ((losses - losses[0])[:, None] * scores).mean(0)


@mistake
def scaled_by_spread(losses: Tensor, scores: Tensor) -> Tensor:
    """You divide by the standard deviation of the losses. That is a habit from reinforcement learning, where it
    steadies the steps. But it is another number than the slope: multiply all losses by 10, and the slope grows tenfold,
    yours stays."""
    return ((losses - losses.mean())[:, None] / losses.std() * scores).mean(0)


@mistake
def averages_multiplied(losses: Tensor, scores: Tensor) -> Tensor:
    """You average losses and scores separately, and multiply the averages. *Which* draw had the larger loss is all that
    this estimator knows, and an average forgets it. Multiply draw by draw, then average."""
    return (losses - _others(losses)).mean() * scores.mean(0)


@mistake
def baseline_of_scores(losses: Tensor, scores: Tensor) -> Tensor:
    """You subtract after multiplying: the mean over the others of loss times *their own* scores. Averaged over draws
    that is 0, always. The baseline is a loss; it goes off the loss, before that meets the scores."""
    products = losses[:, None] * scores
    return (products - (products.sum(0) - products) / (len(losses) - 1)).mean(0)


@mistake
def mean_over_parameters(losses: Tensor, scores: Tensor) -> Tensor:
    """You average over the n parameters as well (`.mean()` without an axis): one number comes out. A gradient has an
    entry for each parameter; only the draws are averaged, `.mean(0)`."""
    return ((losses - _others(losses))[:, None] * scores).mean()


@mistake
def axis_of_parameters(losses: Tensor, scores: Tensor) -> Tensor:
    """You average over the parameters (axis 1) and keep the draws. It is the other way round: a gradient has an entry
    for each of the n parameters, and the draws, axis 0, are averaged."""
    return ((losses - _others(losses))[:, None] * scores).mean(1)


@mistake
def not_averaged(losses: Tensor, scores: Tensor) -> Tensor:
    """You return the products of every draw, (k, n). They are the estimates of single draws; asked is their mean over
    the draws, `.mean(0)`."""
    return (losses - _others(losses))[:, None] * scores


@mistake
def median_baseline(losses: Tensor, scores: Tensor) -> Tensor:
    """Your baseline is the median of all losses. The draw's own loss is one of them, so that the average is not quite
    the slope. The mean of the *others* is asked for."""
    return ((losses - torch.median(losses))[:, None] * scores).mean(0)
