"""Wrong ways to write `negative_elbo`: the negative ELBO, with a weight on the KL."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..losses import bernoulli_nll, gaussian_kl
from .mistake import mistake

Loss = Tensor


def _pixels(x: Tensor) -> int:
    return x[0].numel()


@mistake
def kl_forgotten(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The KL is missing: this is the reconstruction alone. The loss looks better than the right one, reconstructions
    are good, and the codes go wherever they like: you have an autoencoder with noise, and pictures decoded from N(0, I)
    are bad."""
    return bernoulli_nll(logits, x)


@mistake
def nll_forgotten(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The reconstruction term is missing: this is the KL alone. It is 0 when every cloud is the prior, so the code says
    nothing, and nobody asks the decoder to draw."""
    return beta * gaussian_kl(mu, logvar)


@mistake
def kl_subtracted(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The KL is subtracted. In the ELBO it is: log p(x|z) − KL. But this is the *negative* ELBO, so both terms change
    sign: −log p(x|z) + KL. Subtracted, being far from the prior is rewarded without end."""
    return bernoulli_nll(logits, x) - beta * gaussian_kl(mu, logvar)


@mistake
def not_negated(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """This is the ELBO itself, with both signs turned. The ELBO is to be made large, and optimizers make things small:
    minimizing this trains the worst model it can find, and the loss falls without end. (Seeing it fall, many take it
    for progress.)"""
    return -bernoulli_nll(logits, x) - beta * gaussian_kl(mu, logvar)


@mistake
def nll_sign(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The KL has the right sign, the reconstruction does not: it should be −log p(x|z), never below 0 for Bernoulli
    pixels. As written, the decoder is paid for making the true picture unlikely."""
    return -bernoulli_nll(logits, x) + beta * gaussian_kl(mu, logvar)


@mistake
def beta_on_nll(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """β weighs the reconstruction here; it belongs to the KL. That turns every knob the other way: a large β now gives
    sharp reconstructions and bad samples, as β' = 1/β would. At β = 1 you can't see it."""
    return beta * bernoulli_nll(logits, x) + gaussian_kl(mu, logvar)


@mistake
def beta_on_both(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """β multiplies both terms. A factor on the whole loss moves no minimum: you would sweep β, see the loss grow, and
    train the same model each time. It belongs to the KL alone."""
    return beta * (bernoulli_nll(logits, x) + gaussian_kl(mu, logvar))


@mistake
def beta_ignored(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """`beta` comes in and is not used. At β = 1 all is well; with another β you would train β = 1 and believe that the
    weight does not matter."""
    return bernoulli_nll(logits, x) + gaussian_kl(mu, logvar)


@mistake
def beta_squared(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """β is multiplied in twice, so the KL is weighed with β². At β = 1 you can't see it; at β = 4 you train 16."""
    return bernoulli_nll(logits, x) + beta**2 * gaussian_kl(mu, logvar)


@mistake
def beta_divides(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The KL is divided by β, not multiplied by it: the larger β, the less the KL weighs. At β = 1 you can't see it."""
    return bernoulli_nll(logits, x) + gaussian_kl(mu, logvar) / torch.tensor(beta)


@mistake(several=True)
def averaged_pixels(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The reconstruction is averaged over the pixels, the KL is summed over the code. Only the balance counts: it is β
    = P for P pixels. No error, no warning, a smooth curve, and the code falls silent (KL 0, one picture for all). The
    mistake that people make most."""
    return bernoulli_nll(logits, x) / _pixels(x) + beta * gaussian_kl(mu, logvar)


@mistake(several=True)
def averaged_latents(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The KL is averaged over the numbers of the code, where it is a sum: a silent β = 1/L with L numbers.
    Reconstructions improve, samples from the prior get worse, and the loss looks better than everyone else's."""
    return bernoulli_nll(logits, x) + beta * gaussian_kl(mu, logvar) / mu.shape[1]


@mistake(several=True)
def both_averaged(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """Both terms are averaged, over pixels and over the numbers of the code. That is not the same for both: with P
    pixels and L numbers it is β = P/L, often in the hundreds, and the code falls silent. Both are sums."""
    return bernoulli_nll(logits, x) / _pixels(x) + beta * gaussian_kl(mu, logvar) / mu.shape[1]


@mistake
def means_of_all(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """Two `.mean()`s over everything: pixels, numbers of the code, and batch. With P pixels and L numbers that is β =
    P/L, often in the hundreds, and the code falls silent. Sum over pixels and over the code, and leave the batch
    alone."""
    return both_averaged(logits, x, mu, logvar, beta).mean()


@mistake
def mean_pixels_of_all(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The reconstruction is averaged over pixels and batch (what `reduction` does if you do not say otherwise), the KL
    summed over the code: β = P for P pixels, and the code falls silent. Besides, return one number for each picture."""
    return averaged_pixels(logits, x, mu, logvar, beta).mean()


@mistake
def averaged_batch(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The average over the batch is right, but too early: return one number for each picture. Then you can ask what a
    single picture costs; the training step takes the mean."""
    return (bernoulli_nll(logits, x) + beta * gaussian_kl(mu, logvar)).mean()


@mistake
def sum_of_all(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """Summed over the batch, too: one number, which grows with the number of pictures. Return one for each picture; the
    training step takes the mean."""
    return (bernoulli_nll(logits, x) + beta * gaussian_kl(mu, logvar)).sum()


@mistake
def nll_of_batch(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The reconstruction is summed over the whole batch, the KL is one for each picture. They are added without a word
    (broadcasting), and every picture is charged for all the others: after the mean over the batch, that is β = 1 /
    batch size."""
    return bernoulli_nll(logits, x).sum() + beta * gaussian_kl(mu, logvar)


@mistake
def kl_of_batch(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The KL is summed over the whole batch, the reconstruction is one for each picture. They are added without a word
    (broadcasting): β is the batch size, and the code falls silent."""
    return bernoulli_nll(logits, x) + beta * gaussian_kl(mu, logvar).sum()


@mistake
def nll_averaged_over_batch(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The reconstruction is averaged over the batch, the KL is one for each picture. They are added without a word
    (broadcasting). The mean over the batch comes out right, so training goes as it should; but the numbers are not
    those of the pictures: each is charged for the average picture's reconstruction. Average at the very end, in the
    training step."""
    return bernoulli_nll(logits, x).mean() + beta * gaussian_kl(mu, logvar)


@mistake
def kl_averaged_over_batch(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The KL is averaged over the batch, the reconstruction is one for each picture. They are added without a word
    (broadcasting). The mean over the batch comes out right, so training goes as it should; but the numbers are not
    those of the pictures: each pays the average code's KL. Average at the very end, in the training step."""
    return bernoulli_nll(logits, x) + beta * gaussian_kl(mu, logvar).mean()


@mistake(several=True)
def nll_averaged_over_all(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The reconstruction is averaged over pixels and batch (what `reduction` does if you do not say otherwise), the KL
    is one for each picture, and the two are added without a word (broadcasting). Only the balance counts: it is β = P
    for P pixels, and the code falls silent. `bernoulli_nll` gives one number for each picture."""
    return (bernoulli_nll(logits, x) / _pixels(x)).mean() + beta * gaussian_kl(mu, logvar)


@mistake
def broadcast(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """One term has shape (batch,), the other (batch, 1). Their sum broadcasts to (batch, batch), without an error:
    every picture's reconstruction with every other's KL. Leave out `keepdim` and `[:, None]`."""
    return bernoulli_nll(logits, x) + beta * gaussian_kl(mu, logvar)[:, None]


@mistake
def squared_error(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The reconstruction term is a squared error, which belongs to Gaussian pixels with σ² = ½. `logits` are those of
    Bernoulli pixels: −log p(x|z) is their cross-entropy, as in `bernoulli_nll`. The pictures would look fine, but the
    two terms are weighed otherwise, and the sum is no bound on this model's log p(x)."""
    return (logits.sigmoid() - x).square().flatten(1).sum(1) + beta * gaussian_kl(mu, logvar)


@mistake
def half_squared_error(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The reconstruction term is half the squared error, which belongs to Gaussian pixels with σ² = 1. `logits` are
    those of Bernoulli pixels: −log p(x|z) is their cross-entropy, as in `bernoulli_nll`. Against so cheap an error the
    KL weighs too much, and the sum is no bound on this model's log p(x)."""
    return 0.5 * (logits.sigmoid() - x).square().flatten(1).sum(1) + beta * gaussian_kl(mu, logvar)


@mistake
def sigmoid_twice(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The sigmoid is taken twice: `bernoulli_nll` wants logits and has the sigmoid inside. Probabilities could then
    only lie between 0.5 and 0.73: pictures stay grey and the loss stops far too high."""
    return bernoulli_nll(logits.sigmoid(), x) + beta * gaussian_kl(mu, logvar)


@mistake
def swapped(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The arguments of the cross-entropy are swapped: first the logits, then the picture. Swapped, the loss is a
    straight line in the logits, with no minimum, and falls without end."""
    return bernoulli_nll(x, logits) + beta * gaussian_kl(mu, logvar)


@mistake
def no_half(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The KL comes in twice as large: its ½ is missing. A silent β = 2: blurrier reconstructions, and a loss that is no
    longer the negative ELBO."""
    return bernoulli_nll(logits, x) + beta * 2 * gaussian_kl(mu, logvar)


@mistake
def log_std(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """In the KL, `logvar` is read as log σ, but it is log σ². The curve looks as always, and for every width but 1 the
    KL is far too large."""
    return bernoulli_nll(logits, x) + beta * gaussian_kl(mu, 2 * logvar)


@mistake
def clamped(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """Right for usual logits, wrong for confident ones: something bounds the reconstruction term (a `clamp`, a small
    number inside the log, `F.binary_cross_entropy`). Where the decoder is sure and wrong, it is charged the bound and
    not the true price. `bernoulli_nll` takes logits as they are."""
    each = F.binary_cross_entropy(logits.sigmoid().clamp(1e-6, 1 - 1e-6), x, reduction="none")
    return each.flatten(1).sum(1) + beta * gaussian_kl(mu, logvar)


@mistake
def log_of_sigmoid(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """Right for usual logits, but infinite or NaN for confident ones: in float32 the sigmoid of 20 is exactly 1, so
    log(1 − p) is minus infinity, and 0 times that is NaN. One such pixel turns all weights into NaN. `bernoulli_nll`
    computes it from the logits, without that."""
    p = logits.sigmoid()
    nll = -(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)
    return nll + beta * gaussian_kl(mu, logvar)


@mistake
def kl_detached(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """The numbers are right, but the KL has no gradient: something cuts the path from `mu` and `logvar` (`.detach()`,
    `.item()`, `.data`). It would be printed and plotted and never felt: training runs as if it had been forgotten."""
    return bernoulli_nll(logits, x) + beta * gaussian_kl(mu.detach(), logvar.detach())
