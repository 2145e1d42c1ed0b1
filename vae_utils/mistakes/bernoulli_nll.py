"""Wrong ways to write `bernoulli_nll`: the negative log-likelihood of Bernoulli pixels, from logits."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .mistake import mistake


def _each(logits: Tensor, x: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none")


def _by_logs(p: Tensor, x: Tensor) -> Tensor:
    return -(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)


@mistake
def sigmoid_twice(logits: Tensor, x: Tensor) -> Tensor:
    """The sigmoid is taken twice: `binary_cross_entropy_with_logits` has one inside, and you gave it probabilities.
    Probabilities can then only lie between 0.5 and 0.73, so no pixel can be black or white: training runs, pictures
    stay grey, and the loss stops far too high."""
    return _each(logits.sigmoid(), x).flatten(1).sum(1)


@mistake
def swapped(logits: Tensor, x: Tensor) -> Tensor:
    """The two arguments of the cross-entropy are swapped: first what the decoder says, then the picture. Swapped, the
    loss is a straight line in the logits and has no minimum: it falls without end, and every pixel that is not pure
    black is pushed to white."""
    return _each(x, logits).flatten(1).sum(1)


@mistake
def swapped_probabilities(logits: Tensor, x: Tensor) -> Tensor:
    """The two arguments of the cross-entropy are swapped: it takes the log of the picture's pixels and weighs it with
    what the decoder says. For a black or white pixel that log is cut off at −100. The loss is a straight line in what
    the decoder says, so every grey pixel is pushed to pure black or white."""
    return F.binary_cross_entropy(x, logits.sigmoid(), reduction="none").flatten(1).sum(1)


@mistake
def no_sigmoid(logits: Tensor, x: Tensor) -> Tensor:
    """You took the logits for probabilities: the `sigmoid` is missing. Logits may be any number, and the log of a
    negative one is NaN (`F.binary_cross_entropy` refuses it; `F.binary_cross_entropy_with_logits` takes logits as they
    are). One NaN in a loss, and all weights are NaN after the step."""
    return _by_logs(logits, x)


@mistake
def averaged_pixels(logits: Tensor, x: Tensor) -> Tensor:
    """You averaged over the pixels, where −log p(x|z) is a sum. Beside a KL that is summed this is β = P for P pixels:
    no error, a smooth curve, and the code falls silent. The mistake that people make most."""
    return _each(logits, x).flatten(1).mean(1)


@mistake
def averaged_batch(logits: Tensor, x: Tensor) -> Tensor:
    """The right sum over pixels, but averaged over the batch too early: return one number for each picture. Then it can
    be added to that picture's KL, and you can ask what a single picture costs. Average at the very end."""
    return _each(logits, x).flatten(1).sum(1).mean()


@mistake
def mean_of_all(logits: Tensor, x: Tensor) -> Tensor:
    """One number, averaged over all pixels of all pictures; that is what `reduction` does if you do not say otherwise.
    Beside a KL that is summed it is β = P for P pixels, and the code falls silent. Use `reduction="none"` and sum over
    the pixels."""
    return F.binary_cross_entropy_with_logits(logits, x)


@mistake
def sum_of_all(logits: Tensor, x: Tensor) -> Tensor:
    """Summed over the batch, too: one number, which grows with the number of pictures. Added to a KL for each picture
    it broadcasts without a word, and after the mean over the batch that is β = 1 / batch size. Sum inside each picture
    only."""
    return _each(logits, x).sum()


@mistake
def not_summed(logits: Tensor, x: Tensor) -> Tensor:
    """One number for each pixel: the sum over a picture's pixels is missing. Given the code, pixels are independent, so
    their log-probabilities add up: `.flatten(1).sum(1)`."""
    return _each(logits, x)


@mistake
def one_axis(logits: Tensor, x: Tensor) -> Tensor:
    """`sum(1)` adds up the channels only; height and width are left over. A picture has three axes: flatten them to one
    first, `.flatten(1).sum(1)`, or sum over all but the first."""
    return _each(logits, x).sum(1)


@mistake
def channels_kept(logits: Tensor, x: Tensor) -> Tensor:
    """You sum over height and width only, so each channel has a number of its own. A picture with three colors is one
    picture: sum over all but the first axis, `.flatten(1).sum(1)`."""
    return _each(logits, x).sum((-2, -1))


@mistake
def classes(logits: Tensor, x: Tensor) -> Tensor:
    """`F.cross_entropy` takes axis 1, the channels, for classes of which exactly one is true (softmax). Each pixel
    value is a coin of its own: `F.binary_cross_entropy_with_logits`. With one channel the softmax is always 1, so your
    loss would be 0 and nothing would be learned."""
    return F.cross_entropy(logits, x, reduction="none")


@mistake
def batch_axis(logits: Tensor, x: Tensor) -> Tensor:
    """You summed over the pictures of the batch (`sum(0)`) and kept the pixels. It must be the other way round: one
    number for each picture, summed over its pixels."""
    return _each(logits, x).sum(0)


@mistake
def sign_flipped(logits: Tensor, x: Tensor) -> Tensor:
    """This is log p(x|z), without the minus. Minimizing it teaches the decoder to make the true picture as unlikely as
    it can: the loss falls without end, and black comes back white. −log of a probability is never negative: a quick
    check."""
    return -_each(logits, x).flatten(1).sum(1)


@mistake
def squared_error(logits: Tensor, x: Tensor) -> Tensor:
    """This is the squared error, which belongs to Gaussian pixels (with σ² = ½), not −log p(x|z) of Bernoulli ones.
    Training runs and the pictures look fine, but errors cost other amounts, so the KL weighs more than it should; and a
    confident error costs at most 1 where it should be dear."""
    return (logits.sigmoid() - x).square().flatten(1).sum(1)


@mistake
def half_squared_error(logits: Tensor, x: Tensor) -> Tensor:
    """This is half the squared error, which belongs to Gaussian pixels (with σ² = 1), not −log p(x|z) of Bernoulli
    ones. Training runs and the pictures look fine, but errors cost far less than they should, so the KL weighs more;
    and a confident error costs at most ½ where it should be dear."""
    return 0.5 * (logits.sigmoid() - x).square().flatten(1).sum(1)


@mistake
def only_white(logits: Tensor, x: Tensor) -> Tensor:
    """Only x · log p is there; the half for black, (1 − x) · log(1 − p), is missing. Then white is never wrong: the
    decoder turns all pixels white, and the loss falls to 0."""
    return -(x * F.logsigmoid(logits)).flatten(1).sum(1)


@mistake
def only_black(logits: Tensor, x: Tensor) -> Tensor:
    """Only (1 − x) · log(1 − p) is there; the half for white, x · log p, is missing. Then black is never wrong: the
    decoder turns all pixels black, and the loss falls to 0."""
    return -((1 - x) * F.logsigmoid(-logits)).flatten(1).sum(1)


@mistake
def log_of_sigmoid(logits: Tensor, x: Tensor) -> Tensor:
    """Right in theory, but NaN or infinity at confident logits. In float32 the sigmoid of 20 is already exactly 1, so
    log(1 − p) is minus infinity, and 0 times that is NaN. It works for a while, and the first very confident pixel
    turns all weights into NaN. From logits it can be computed without that: `F.binary_cross_entropy_with_logits`,
    `F.logsigmoid` or `F.softplus`."""
    return _by_logs(logits.sigmoid(), x)


@mistake
def exp_overflows(logits: Tensor, x: Tensor) -> Tensor:
    """Right in theory, and right until a logit is about 88: there `exp` of it is infinite in float32, though its
    logarithm would be a plain number again, log(1 + e^logit) ≈ logit. The first pixel of which the decoder is that sure
    makes the loss infinite or NaN, and then all weights. `F.softplus(logits)` is the same function without the
    overflow; `F.binary_cross_entropy_with_logits` uses it."""
    return ((1 + logits.exp()).log() - x * logits).flatten(1).sum(1)


@mistake
def clamped(logits: Tensor, x: Tensor) -> Tensor:
    """Right for usual logits, wrong for confident ones: something bounds the logarithm (`F.binary_cross_entropy` at 100
    nats for each pixel, a `clamp` or a small number inside the log elsewhere). In float32 the sigmoid of 20 is already
    exactly 1, so where the decoder is sure and wrong, it is charged the bound, not the true price, and the gradient
    there is 0: it can't learn from its worst pixels. From logits it can be computed exactly:
    `F.binary_cross_entropy_with_logits`, `F.logsigmoid` or `F.softplus`."""
    return F.binary_cross_entropy(logits.sigmoid(), x, reduction="none").flatten(1).sum(1)


@mistake
def softmax(logits: Tensor, x: Tensor) -> Tensor:
    """A softmax over the pixels makes them compete: exactly one of them would be white. Each pixel is a coin of its
    own, black or white whatever the others are: a sigmoid for each."""
    return -(x.flatten(1) * logits.flatten(1).log_softmax(1)).sum(1)


@mistake
def rounded(logits: Tensor, x: Tensor) -> Tensor:
    """You rounded the pixels to black and white first. A grey pixel of 0.3 counts as white 3 times in 10 on average:
    the formula takes x as it is. Rounded, you model other pictures, with a lower floor, and your numbers can't be
    compared with anyone's."""
    return _each(logits, (x > 0.5).to(x.dtype)).flatten(1).sum(1)


@mistake
def sampled_target(logits: Tensor, x: Tensor) -> Tensor:
    """You roll dice for the picture: each grey pixel is made black or white at random (`torch.bernoulli(x)` or the
    like), and the result is another one in each call. On average it is right, so training works, with more noise than
    it needs. But the formula takes x as it is: a grey pixel of 0.3 is white 3 times in 10, and the average over that is
    known without dice."""
    return _each(logits, torch.bernoulli(x)).flatten(1).sum(1)


@mistake
def grey_refused(logits: Tensor, x: Tensor) -> Tensor:
    """PyTorch's `Bernoulli` refuses a pixel that is neither 0 nor 1. Here grey is meant: a pixel of 0.3 counts as white
    3 times in 10, and the same formula, x log p + (1 − x) log(1 − p), holds for it. `Bernoulli(logits=logits,
    validate_args=False)` lets it pass; `F.binary_cross_entropy_with_logits` takes it as it is."""
    return -torch.distributions.Bernoulli(logits=logits).log_prob(x).flatten(1).sum(1)


@mistake
def bits(logits: Tensor, x: Tensor) -> Tensor:
    """This is in bits (log to the base 2), the KL is in nats (natural logarithm). Added up, the reconstruction weighs
    1.44 times as much as it should: β = 0.69."""
    return _each(logits, x).flatten(1).sum(1) / torch.tensor(2.0).log().item()


@mistake
def continuous_bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """This is the continuous Bernoulli, a density for grey pixels (Loaiza-Ganem and Cunningham, 2019): a model of its
    own, with one more term. Here the plain one is asked for. The two losses can't be compared: one is of a density, the
    other of a probability."""
    density = torch.distributions.ContinuousBernoulli(logits=logits, validate_args=False)
    return -density.log_prob(x).flatten(1).sum(1)
