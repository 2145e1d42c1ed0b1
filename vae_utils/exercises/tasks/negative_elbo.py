"""Exercise of notebook 04: the negative ELBO, with a weight on the KL."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ...losses import bernoulli_nll, gaussian_kl
from ..attempt import Attempt, Stopped
from ..compare import same
from ..exercise import Exercise, Mistake, Probe, agree, by_comparison
from ..verdict import Result


def negative_elbo(logits, x, mu, logvar, beta=1.0):
    return bernoulli_nll(logits, x) + beta * gaussian_kl(mu, logvar)


Loss = Tensor


def _pixels(x: Tensor) -> int:
    return x[0].numel()


def _kl_forgotten(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x)


def _nll_forgotten(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return beta * gaussian_kl(mu, logvar)


def _kl_subtracted(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x) - beta * gaussian_kl(mu, logvar)


def _not_negated(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return -bernoulli_nll(logits, x) - beta * gaussian_kl(mu, logvar)


def _nll_sign(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return -bernoulli_nll(logits, x) + beta * gaussian_kl(mu, logvar)


def _beta_on_nll(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return beta * bernoulli_nll(logits, x) + gaussian_kl(mu, logvar)


def _beta_on_both(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return beta * (bernoulli_nll(logits, x) + gaussian_kl(mu, logvar))


def _beta_ignored(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x) + gaussian_kl(mu, logvar)


def _beta_squared(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x) + beta**2 * gaussian_kl(mu, logvar)


def _beta_divides(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x) + gaussian_kl(mu, logvar) / torch.tensor(beta)


def _averaged_pixels(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x) / _pixels(x) + beta * gaussian_kl(mu, logvar)


def _averaged_latents(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x) + beta * gaussian_kl(mu, logvar) / mu.shape[1]


def _both_averaged(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x) / _pixels(x) + beta * gaussian_kl(mu, logvar) / mu.shape[1]


def _means_of_all(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return _both_averaged(logits, x, mu, logvar, beta).mean()


def _mean_pixels_of_all(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return _averaged_pixels(logits, x, mu, logvar, beta).mean()


def _averaged_batch(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return negative_elbo(logits, x, mu, logvar, beta).mean()


def _sum_of_all(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return negative_elbo(logits, x, mu, logvar, beta).sum()


def _nll_of_batch(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x).sum() + beta * gaussian_kl(mu, logvar)


def _kl_of_batch(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x) + beta * gaussian_kl(mu, logvar).sum()


def _nll_of_batch_averaged(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x).mean() + beta * gaussian_kl(mu, logvar)


def _kl_of_batch_averaged(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x) + beta * gaussian_kl(mu, logvar).mean()


def _nll_averaged_over_all(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return (bernoulli_nll(logits, x) / _pixels(x)).mean() + beta * gaussian_kl(mu, logvar)


def _broadcast(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x) + beta * gaussian_kl(mu, logvar)[:, None]


def _squared_error(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return (logits.sigmoid() - x).square().flatten(1).sum(1) + beta * gaussian_kl(mu, logvar)


def _sigmoid_twice(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits.sigmoid(), x) + beta * gaussian_kl(mu, logvar)


def _swapped(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(x, logits) + beta * gaussian_kl(mu, logvar)


def _no_half(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x) + beta * 2 * gaussian_kl(mu, logvar)


def _log_std(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x) + beta * gaussian_kl(mu, 2 * logvar)


def _clamped(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    each = F.binary_cross_entropy(logits.sigmoid().clamp(1e-6, 1 - 1e-6), x, reduction="none")
    return each.flatten(1).sum(1) + beta * gaussian_kl(mu, logvar)


def _log_of_sigmoid(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    p = logits.sigmoid()
    nll = -(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)
    return nll + beta * gaussian_kl(mu, logvar)


def _kl_detached(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    return bernoulli_nll(logits, x) + beta * gaussian_kl(mu.detach(), logvar.detach())


MISTAKES = (
    Mistake(
        "kl-forgotten",
        _kl_forgotten,
        "The KL is missing: this is the reconstruction alone. The loss looks better than the right one, "
        "reconstructions are good, and the codes go wherever they like: you have an autoencoder with noise, and "
        "pictures decoded from N(0, I) are bad.",
    ),
    Mistake(
        "nll-forgotten",
        _nll_forgotten,
        "The reconstruction term is missing: this is the KL alone. It is 0 when every cloud is the prior, so the code "
        "says nothing, and nobody asks the decoder to draw.",
    ),
    Mistake(
        "kl-subtracted",
        _kl_subtracted,
        "The KL is subtracted. In the ELBO it is: log p(x|z) − KL. But this is the *negative* ELBO, so both terms "
        "change sign: −log p(x|z) + KL. Subtracted, being far from the prior is rewarded without end.",
    ),
    Mistake(
        "not-negated",
        _not_negated,
        "This is the ELBO itself, with both signs turned. The ELBO is to be made large, and optimizers make things "
        "small: minimizing this trains the worst model it can find, and the loss falls without end. (Seeing it fall, "
        "many take it for progress.)",
    ),
    Mistake(
        "nll-sign",
        _nll_sign,
        "The KL has the right sign, the reconstruction does not: it should be −log p(x|z), never below 0 for "
        "Bernoulli pixels. As written, the decoder is paid for making the true picture unlikely.",
    ),
    Mistake(
        "beta-on-nll",
        _beta_on_nll,
        "β weighs the reconstruction here; it belongs to the KL. That turns every knob the other way: a large β now "
        "gives sharp reconstructions and bad samples, as β' = 1/β would. At β = 1 you can't see it.",
    ),
    Mistake(
        "beta-on-both",
        _beta_on_both,
        "β multiplies both terms. A factor on the whole loss moves no minimum: you would sweep β, see the loss grow, "
        "and train the same model each time. It belongs to the KL alone.",
    ),
    Mistake(
        "beta-ignored",
        _beta_ignored,
        "`beta` comes in and is not used. At β = 1 all is well; with another β you would train β = 1 and believe that "
        "the weight does not matter.",
    ),
    Mistake(
        "beta-squared",
        _beta_squared,
        "β is multiplied in twice, so the KL is weighed with β². At β = 1 you can't see it; at β = 4 you train 16.",
    ),
    Mistake(
        "beta-divides",
        _beta_divides,
        "The KL is divided by β, not multiplied by it: the larger β, the less the KL weighs. At β = 1 you can't see "
        "it.",
    ),
    Mistake(
        "averaged-pixels",
        _averaged_pixels,
        "The reconstruction is averaged over the pixels, the KL is summed over the code. Only the balance counts: it "
        "is β = P for P pixels. No error, no warning, a smooth curve, and the code falls silent (KL 0, one picture "
        "for all). The mistake that people make most.",
        several=True,
    ),
    Mistake(
        "averaged-latents",
        _averaged_latents,
        "The KL is averaged over the numbers of the code, where it is a sum: a silent β = 1/L with L numbers. "
        "Reconstructions improve, samples from the prior get worse, and the loss looks better than everyone else's.",
        several=True,
    ),
    Mistake(
        "both-averaged",
        _both_averaged,
        "Both terms are averaged, over pixels and over the numbers of the code. That is not the same for both: with P "
        "pixels and L numbers it is β = P/L, often in the hundreds, and the code falls silent. Both are sums.",
        several=True,
    ),
    Mistake(
        "means-of-all",
        _means_of_all,
        "Two `.mean()`s over everything: pixels, numbers of the code, and batch. With P pixels and L numbers that is "
        "β = P/L, often in the hundreds, and the code falls silent. Sum over pixels and over the code, and leave the "
        "batch alone.",
    ),
    Mistake(
        "mean-pixels-of-all",
        _mean_pixels_of_all,
        "The reconstruction is averaged over pixels and batch (what `reduction` does if you do not say otherwise), "
        "the KL summed over the code: β = P for P pixels, and the code falls silent. Besides, return one number for "
        "each picture.",
    ),
    Mistake(
        "averaged-batch",
        _averaged_batch,
        "The average over the batch is right, but too early: return one number for each picture. Then you can ask "
        "what a single picture costs; the training step takes the mean.",
    ),
    Mistake(
        "sum-of-all",
        _sum_of_all,
        "Summed over the batch, too: one number, which grows with the number of pictures. Return one for each "
        "picture; the training step takes the mean.",
    ),
    Mistake(
        "nll-of-batch",
        _nll_of_batch,
        "The reconstruction is summed over the whole batch, the KL is one for each picture. They are added without a "
        "word (broadcasting), and every picture is charged for all the others: after the mean over the batch, that is "
        "β = 1 / batch size.",
    ),
    Mistake(
        "kl-of-batch",
        _kl_of_batch,
        "The KL is summed over the whole batch, the reconstruction is one for each picture. They are added without a "
        "word (broadcasting): β is the batch size, and the code falls silent.",
    ),
    Mistake(
        "nll-averaged-over-batch",
        _nll_of_batch_averaged,
        "The reconstruction is averaged over the batch, the KL is one for each picture. They are added without a word "
        "(broadcasting). The mean over the batch comes out right, so training goes as it should; but the numbers are "
        "not those of the pictures: each is charged for the average picture's reconstruction. Average at the very "
        "end, in the training step.",
    ),
    Mistake(
        "kl-averaged-over-batch",
        _kl_of_batch_averaged,
        "The KL is averaged over the batch, the reconstruction is one for each picture. They are added without a word "
        "(broadcasting). The mean over the batch comes out right, so training goes as it should; but the numbers are "
        "not those of the pictures: each pays the average code's KL. Average at the very end, in the training step.",
    ),
    Mistake(
        "nll-averaged-over-all",
        _nll_averaged_over_all,
        "The reconstruction is averaged over pixels and batch (what `reduction` does if you do not say otherwise), the "
        "KL is one for each picture, and the two are added without a word (broadcasting). Only the balance counts: it "
        "is β = P for P pixels, and the code falls silent. `bernoulli_nll` gives one number for each picture.",
        several=True,
    ),
    Mistake(
        "broadcast",
        _broadcast,
        "One term has shape (batch,), the other (batch, 1). Their sum broadcasts to (batch, batch), without an error: "
        "every picture's reconstruction with every other's KL. Leave out `keepdim` and `[:, None]`.",
    ),
    Mistake(
        "squared-error",
        _squared_error,
        "The reconstruction term is a squared error, which belongs to Gaussian pixels with σ² = ½. `logits` are those "
        "of Bernoulli pixels: −log p(x|z) is their cross-entropy, as in `bernoulli_nll`. The pictures would look "
        "fine, but the two terms are weighed otherwise, and the sum is no bound on this model's log p(x).",
    ),
    Mistake(
        "sigmoid-twice",
        _sigmoid_twice,
        "The sigmoid is taken twice: `bernoulli_nll` wants logits and has the sigmoid inside. Probabilities could "
        "then only lie between 0.5 and 0.73: pictures stay grey and the loss stops far too high.",
    ),
    Mistake(
        "swapped",
        _swapped,
        "The arguments of the cross-entropy are swapped: first the logits, then the picture. Swapped, the loss is a "
        "straight line in the logits, with no minimum, and falls without end.",
    ),
    Mistake(
        "no-half",
        _no_half,
        "The KL comes in twice as large: its ½ is missing. A silent β = 2: blurrier reconstructions, and a loss that "
        "is no longer the negative ELBO.",
    ),
    Mistake(
        "log-std",
        _log_std,
        "In the KL, `logvar` is read as log σ, but it is log σ². The curve looks as always, and for every width but 1 "
        "the KL is far too large.",
    ),
    Mistake(
        "clamped",
        _clamped,
        "Right for usual logits, wrong for confident ones: something bounds the reconstruction term (a `clamp`, a "
        "small number inside the log, `F.binary_cross_entropy`). Where the decoder is sure and wrong, it is charged "
        "the bound and not the true price. `bernoulli_nll` takes logits as they are.",
    ),
    Mistake(
        "log-of-sigmoid",
        _log_of_sigmoid,
        "Right for usual logits, but infinite or NaN for confident ones: in float32 the sigmoid of 20 is exactly 1, so "
        "log(1 − p) is minus infinity, and 0 times that is NaN. One such pixel turns all weights into NaN. "
        "`bernoulli_nll` computes it from the logits, without that.",
    ),
    Mistake(
        "kl-detached",
        _kl_detached,
        "The numbers are right, but the KL has no gradient: something cuts the path from `mu` and `logvar` "
        "(`.detach()`, `.item()`, `.data`). It would be printed and plotted and never felt: training runs as if it "
        "had been forgotten.",
    ),
)

TASK = """Put the two together: $-\\log p(x|z) + \\beta\\,\\mathrm{KL}(q(z|x)\\,\\|\\,p(z))$, which with `beta` at 1
is the negative ELBO. `logits` and `x` are as in `bernoulli_nll`, `mu` and `logvar` as in `gaussian_kl`; both functions
are yours to use. Return one number for each picture: shape (batch,)."""

SMALL = {
    "logits": [[[[1.0, -2.0]]]],
    "x": [[[[1.0, 0.3]]]],
    "mu": [[1.0, -2.0, 0.0]],
    "logvar": [[0.0, 1.0, -1.0]],
}
FULL = {
    "logits": [[[[0.3, -1.1], [2.4, 0.9]]], [[[-0.2, 1.7], [-2.6, 0.1]]], [[[0.8, -0.7], [1.3, -1.9]]]],
    "x": [[[[0.0, 0.2], [1.0, 0.6]]], [[[0.4, 0.9], [0.0, 0.5]]], [[[1.0, 0.3], [0.8, 0.1]]]],
    "mu": [[0.3, -1.2], [2.1, 0.4], [-0.5, 0.9]],
    "logvar": [[-0.4, 0.7], [0.2, -2.2], [-0.8, 0.1]],
}


def _probe(
    arguments: Mapping[str, object],
    about: str,
    beta: float | None = None,
    gradients: bool = False,
    extreme: bool = False,
) -> Probe:
    named = {} if beta is None else {"beta": beta}
    return Probe(
        lambda: {name: torch.tensor(values) for name, values in arguments.items()} | named,
        about,
        ("logits", "mu", "logvar") if gradients else (),
        extreme,
    )


SURE = {
    "logits": [[[[120.0, -30.0]]], [[[-30.0, 120.0]]]],
    "x": [[[[1.0, 0.0]]], [[[1.0, 0.0]]]],
    "mu": [[0.3, -1.2], [0.5, 0.9]],
    "logvar": [[-0.4, 0.7], [0.2, -0.8]],
}
FAR = {
    "logits": [[[[1.0, -2.0]]], [[[0.5, 2.0]]]],
    "x": [[[[1.0, 0.3]]], [[[0.0, 0.8]]]],
    "mu": [[0.1, -0.05], [20.0, -30.0]],
    "logvar": [[0.1, -0.05], [-11.0, 7.0]],
}
SURE_PROBE = 5


def judge(attempt: Attempt, exercise: Exercise) -> Result:
    """Judge by comparison; recognize a bound on confident logits, whatever its size, by what it does."""
    result = by_comparison(attempt, exercise)
    if result.passed or result.mistake:
        return result
    try:
        seen = [exercise.observed(attempt, i) for i in range(len(exercise.probes))]
    except Stopped:
        return result
    right = [exercise.observed(exercise.answer, i) for i in range(len(exercise.probes))]
    if [agree(a, b) for a, b in zip(seen, right, strict=True)] != [i != SURE_PROBE for i in range(len(seen))]:
        return result
    finite = bool(seen[SURE_PROBE]["value"].isfinite().all())
    logits, *others = exercise.probes[SURE_PROBE].make().values()
    # An overflow is right at 30; a bound makes errors too cheap from some logit on.
    other = logits.clamp(-30, 30) if not finite else 10 * logits
    try:
        got, expected = attempt(other, *others), exercise.answer(other, *others)
    except Stopped:
        return result
    if not finite and not same(got, expected):
        slug = "log-of-sigmoid"
    elif finite and bool(got[1] < expected[1]):
        slug = "clamped"
    else:
        return result
    evidence = result.message[result.message.find("This went in") :]
    return Result(False, slug, f"{exercise.mistake(slug).why}\n\n{evidence}")


EXERCISE = Exercise(
    name="negative_elbo",
    task=TASK,
    stub="negative_elbo(logits, x, mu, logvar, beta=1.0)",
    hints=(
        "The ELBO is how well the picture comes back minus how far the cloud is from the prior. An optimizer makes "
        "things small, so both signs turn.",
        "`bernoulli_nll(logits, x)` is −log p(x|z) already, the minus included, and `gaussian_kl(mu, logvar)` is the "
        "KL. Both are (batch,). Which of the two does β weigh?",
        "`bernoulli_nll(logits, x) + beta * …`. No sum and no mean: one number for each picture.",
    ),
    solution=negative_elbo,
    mistakes=MISTAKES,
    right="With `beta` at 1 this is the negative ELBO of each picture, with one draw of z: on average, at least −log "
    "p(x).",
    probes=(
        _probe(SMALL, "one picture of two pixels, a code of three numbers, β not given"),
        _probe(SMALL, "the same with β = 4", 4.0),
        _probe(FULL, "three pictures of 2 × 2 pixels, codes of two numbers, β not given", gradients=True),
        _probe(FULL, "the same with β = 0.25", 0.25, gradients=True),
        _probe(FULL, "the same with β = 0", 0.0),
        _probe(SURE, "a decoder that is sure: right of the first picture, wrong of the second", extreme=True),
        _probe(FAR, "a code near the prior and one far from it, β = 100", 100.0, gradients=True, extreme=True),
    ),
    judge=judge,
)
