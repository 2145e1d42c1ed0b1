"""Exercise of notebook 04: the KL between a Gaussian cloud and the prior, in closed form."""

import torch
from torch import Tensor

from ..attempt import Attempt, Stopped, seed
from ..compare import as_double
from ..exercise import RANDOM, Exercise, Mistake, Probe, by_comparison
from ..verdict import Result


def gaussian_kl(mu, logvar):
    each = 0.5 * (mu.square() + logvar.exp() - 1 - logvar)  # one for each number of each code
    return each.sum(1)


def _each(mu: Tensor, logvar: Tensor) -> Tensor:
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def _reverse(mu: Tensor, logvar: Tensor) -> Tensor:
    return 0.5 * ((mu.square() + 1) / logvar.exp() - 1 + logvar).sum(1)


def _monte_carlo(mu: Tensor, logvar: Tensor) -> Tensor:
    q = torch.distributions.Normal(mu, (0.5 * logvar).exp())
    z = q.rsample((100,))
    return (q.log_prob(z) - torch.distributions.Normal(0.0, 1.0).log_prob(z)).sum(2).mean(0)


MISTAKES = (
    Mistake(
        "no-half",
        lambda mu, logvar: 2 * _each(mu, logvar).sum(1),
        "Exactly twice the KL: the ½ in front is missing. Training then runs at β = 2 without anyone having chosen "
        "it: a lower rate, blurrier reconstructions, and a loss that is no longer the negative ELBO. The curve looks "
        "healthy.",
    ),
    Mistake(
        "log-std",
        lambda mu, logvar: _each(mu, 2 * logvar).sum(1),
        "You read `logvar` as log σ, but it is log σ²: you square σ a second time, as e^(2·logvar). For a cloud of "
        "width 1 that changes nothing, and the loss looks as always. But every other width pays more than twice what "
        "it should, and the clouds come out the wrong width. No curve shows it.",
    ),
    Mistake(
        "sigma-to-the-fourth",
        lambda mu, logvar: 0.5 * (mu.square() + logvar.exp().square() - 1 - logvar).sum(1),
        "e^logvar is σ² already, and you square it again: σ⁴ stands where σ² belongs. The cheapest cloud is then "
        "narrower than the prior (σ = 0.84) and its price is below 0, which a KL never is; wide clouds pay far too "
        "much.",
    ),
    Mistake(
        "half-on-mu-alone",
        lambda mu, logvar: (0.5 * mu.square() + logvar.exp() - 1 - logvar).sum(1),
        "The ½ stands before μ² alone, but it belongs to every term: ½ (μ² + σ² − 1 − log σ²). As it is, a cloud that "
        "is as wide as the prior pays what it should, and for every other width it pays twice. A pair of parentheses "
        "is missing.",
    ),
    Mistake(
        "mu-without-half",
        lambda mu, logvar: (mu.square() + 0.5 * (logvar.exp() - 1 - logvar)).sum(1),
        "The ½ stands before all terms but μ². So widths pay what they should, and being away from 0 costs twice as "
        "much: the centers crowd around 0. The formula is ½ (μ² + σ² − 1 − log σ²).",
    ),
    Mistake(
        "mu-halved-twice",
        lambda mu, logvar: 0.5 * (0.5 * mu.square() + logvar.exp() - 1 - logvar).sum(1),
        "μ² is halved twice, once by itself and once with the other terms: the ½ stands in front of all of them, once. "
        "So being away from 0 costs half of what it should, and the codes spread wider than the prior, from which you "
        "draw later on.",
    ),
    Mistake(
        "monte-carlo",
        _monte_carlo,
        "Your result is random: you estimate the KL from draws of z. On average that is right, and where no formula is "
        "known it is what one does. For two Gaussians there is one, exact and without dice, and asked for here: ½ (μ² "
        "+ σ² − 1 − log σ²). With the estimate each step would be noisier for nothing.",
    ),
    Mistake(
        "sigma-not-squared",
        lambda mu, logvar: 0.5 * (mu.square() + (0.5 * logvar).exp() - 1 - logvar).sum(1),
        "The formula has σ² in it, and e^(½·logvar) is σ. With σ in its place the cheapest cloud is no longer the "
        "prior: your price is lowest at σ = 2, where it is below 0, and a KL is never below 0. Draws from N(0, I) "
        "would then miss much of the place where codes live.",
    ),
    Mistake(
        "reverse",
        _reverse,
        "This is the KL the other way round, of the prior from the cloud: KL(p ‖ q) in place of KL(q ‖ p). Both are 0 "
        "at the prior, and the curve looks the same. But this one makes narrow clouds away from 0 enormously dear "
        "(it divides by σ²), so the code stays vague; and the sum is no bound on log p(x) any more.",
    ),
    Mistake(
        "no-mu",
        lambda mu, logvar: 0.5 * (logvar.exp() - 1 - logvar).sum(1),
        "The term μ² is missing, so a cloud may move as far from 0 as it likes for free. Reconstructions turn out "
        "well and the loss beats the right one, but the codes do not live where the prior is, and pictures decoded "
        "from N(0, I) are bad.",
    ),
    Mistake(
        "mu-not-squared",
        lambda mu, logvar: 0.5 * (mu + logvar.exp() - 1 - logvar).sum(1),
        "μ stands in it as it is, not squared. Then moving μ down always lowers the loss: training drives the centers "
        "toward minus infinity, and the KL becomes negative, which no KL ever is.",
    ),
    Mistake(
        "no-minus-one",
        lambda mu, logvar: 0.5 * (mu.square() + logvar.exp() - logvar).sum(1),
        "The −1 is missing: everything is too large by ½ for each number of the code. It is a constant, so training "
        "goes exactly as it should. But the numbers that you report are wrong: a silent number of the code shows 0.5 "
        "nats instead of 0, and your ELBO is lower than it is in truth.",
    ),
    Mistake(
        "no-logvar",
        lambda mu, logvar: 0.5 * (mu.square() + logvar.exp() - 1).sum(1),
        "The term −log σ² is missing. It is what keeps clouds wide: without it, a narrower cloud is always cheaper, "
        "the clouds shrink to points, and you have an autoencoder again. The KL even falls below 0.",
    ),
    Mistake(
        "logvar-for-log-std",
        lambda mu, logvar: (0.5 * (mu.square() + logvar.exp() - 1) - logvar).sum(1),
        "You subtract all of log σ², where log σ belongs, which is half of it: the ½ stands before every term. As it "
        "is, the cheapest cloud is wider than the prior (σ = 1.41), and its price is below 0, which a KL never is.",
    ),
    Mistake(
        "plus-logvar",
        lambda mu, logvar: 0.5 * (mu.square() + logvar.exp() - 1 + logvar).sum(1),
        "log σ² has the wrong sign: it must be subtracted. Now narrow clouds are not dear but rewarded: the narrower "
        "the better, without end. The KL falls to minus infinity and the clouds shrink to points.",
    ),
    Mistake(
        "not-exponentiated",
        lambda mu, logvar: 0.5 * (mu.square() + logvar - 1 - logvar).sum(1),
        "You used `logvar` where σ² stands: it must be e^logvar. As written, logvar cancels, so the KL never tells "
        "the encoder how wide a cloud should be, and it is negative for clouds near 0.",
    ),
    Mistake(
        "variance-for-logvar",
        lambda mu, logvar: 0.5 * (mu.square() + logvar - 1 - logvar.log()).sum(1),
        "You treat `logvar` as the variance σ² and take its logarithm. It is the logarithm already, and may be "
        "negative: there you get NaN, and at 0 infinity. One NaN in a loss, and all weights are NaN after the step.",
    ),
    Mistake(
        "logvar-for-sigma",
        lambda mu, logvar: (0.5 * (mu.square() + logvar.square() - 1) - logvar.log()).sum(1),
        "You put `logvar` where the formula ½ (μ² + σ² − 1) − log σ has σ. But `logvar` is log σ²: undo the logarithm "
        "first, σ = e^(½·logvar). It may be 0 or negative, where its logarithm is infinite or NaN. One NaN in a loss, "
        "and all weights are NaN after the step.",
    ),
    Mistake(
        "std-for-logvar",
        lambda mu, logvar: 0.5 * (mu.square() + logvar.square() - 1 - logvar.square().log()).sum(1),
        "You treat `logvar` as the standard deviation σ. It is log σ², which may be 0 or negative: at 0 your price is "
        "infinite, and −2 and 2 count as the same width. Such a KL pulls `logvar` to 1 or −1, so the clouds end at a "
        "width of 1.65 or 0.61, and never at that of the prior.",
    ),
    Mistake(
        "sign-flipped",
        lambda mu, logvar: -_each(mu, logvar).sum(1),
        "The sign is wrong: this is minus the KL. Minimizing it drives the clouds as far from the prior as they can "
        "go. The loss falls without end, until it is NaN. A KL is never negative: a quick check of every loss.",
    ),
    Mistake(
        "swapped",
        lambda mu, logvar: _each(logvar, mu).sum(1),
        "You took `mu` for `logvar` and `logvar` for `mu`. Both have the same shape, so nothing complains, and both "
        "are pulled to 0 as they should be. But what μ pays grows exponentially, and a narrow cloud pays far too "
        "much.",
    ),
    Mistake(
        "batch-axis",
        lambda mu, logvar: _each(mu, logvar).sum(0),
        "You summed over the pictures of the batch (`sum(0)`) instead of over the numbers of each code (`sum(1)`). So "
        "you get one number for each latent and not for each picture. Averaged later, it still gives one plausible "
        "number, but with β = batch size / latents: your β then depends on the batch size.",
    ),
    Mistake(
        "averaged-latents",
        lambda mu, logvar: _each(mu, logvar).mean(1),
        "You averaged over the numbers of the code (`mean`), where the KL is a sum. With L numbers that is a silent β "
        "= 1/L: codes may spend more, samples from the prior get worse, and the loss looks better than everyone "
        "else's.",
    ),
    Mistake(
        "mean-of-all",
        lambda mu, logvar: _each(mu, logvar).mean(),
        "`.mean()` over everything: one number, averaged over pictures and over the numbers of the code. The second "
        "average is a silent β = 1/L. Sum over the code, and keep one number for each picture.",
    ),
    Mistake(
        "sum-of-all",
        lambda mu, logvar: _each(mu, logvar).sum(),
        "`.sum()` over everything, the pictures of the batch too. Added to one reconstruction term for each picture "
        "it broadcasts without a word, and every picture pays for the whole batch: β is the batch size, and the code "
        "falls silent. Sum over axis 1 only.",
    ),
    Mistake(
        "averaged-batch",
        lambda mu, logvar: _each(mu, logvar).sum(1).mean(),
        "The right sum, but averaged over the batch too early. What comes back should be one number for each picture, "
        "so that it can be added to that picture's reconstruction term, and so that you can ask what a single "
        "picture costs. Average at the very end.",
    ),
    Mistake(
        "not-summed",
        _each,
        "One number for each number of the code: the sum over the code (axis 1) is missing. The numbers of a code are "
        "independent of each other, so their KLs add up. An average taken over this later would be a silent β = 1/L.",
    ),
    Mistake(
        "kept-axis",
        lambda mu, logvar: _each(mu, logvar).sum(1, keepdim=True),
        "The numbers are right, the shape is (batch, 1). Added to a reconstruction term of shape (batch,) it "
        "broadcasts to (batch, batch), without an error: every picture is paired with every other's KL. Leave out "
        "`keepdim`.",
    ),
)


def _right_on_average(attempt: Attempt, exercise: Exercise, number: int) -> bool:
    """Return whether the random results for a probe average out to the right ones, over 20 to 400 calls."""
    right = as_double(exercise.observed(exercise.answer, number)["value"])
    assert right is not None
    arguments = exercise.probes[number].make()
    seed(3000 + number)
    found: list[Tensor] = []
    for calls in range(1, 401):
        try:
            value = as_double(attempt(*arguments.values()))
        except Stopped:
            return False
        if value is None or value.shape != right.shape:
            return False
        found.append(value)
        if calls % 20 == 0:
            values = torch.stack(found)
            error = values.std(0) / calls**0.5
            if (error < 0.03 * right.abs()).all():
                break
    return bool(((error > 0) & ((values.mean(0) - right).abs() < 5 * error)).all())


def judge(attempt: Attempt, exercise: Exercise) -> Result:
    """Judge by comparison; recognize an estimate from draws by its average over many calls."""
    result = by_comparison(attempt, exercise)
    if result.passed or result.mistake or not result.message.startswith(RANDOM):
        return result
    if not all(
        _right_on_average(attempt, exercise, number) for number in (1, 4)
    ):  # a single code of one number; two codes of three
        return result
    evidence = result.message[result.message.find("This went in") :]
    return Result(False, "monte-carlo", f"{exercise.mistake('monte-carlo').why}\n\n{evidence}")


TASK = """Write the KL of a cloud $\\mathcal N(\\mu, \\sigma^2)$ from the prior $\\mathcal N(0, I)$, for a batch of
codes. `mu` and `logvar` $= \\log\\sigma^2$ have shape (batch, numbers in the code). Return one number of nats for each
picture: shape (batch,)."""


def _probe(mu: list[list[float]], logvar: list[list[float]], about: str = "", gradients: bool = False) -> Probe:
    return Probe(
        lambda: {"mu": torch.tensor(mu), "logvar": torch.tensor(logvar)},
        about,
        ("mu", "logvar") if gradients else (),
    )


EXERCISE = Exercise(
    name="gaussian_kl",
    task=TASK,
    stub="gaussian_kl(mu, logvar)",
    hints=(
        "For one number of the code, `toy_elbo` above has the formula, with m for μ and s for σ: ½ (m² + s² − 1) − "
        "log s. Numbers of a code are independent of each other: what happens to their KLs?",
        "`logvar` is log σ². So σ² is `logvar.exp()`, and log σ is half of `logvar`. Put both into the formula: ½ (μ² "
        "+ σ² − 1 − log σ²).",
        "KLs of independent numbers add up: `.sum(1)` over the numbers of each code. Do not touch the batch, axis 0: "
        "`0.5 * (mu.square() + … - 1 - …).sum(1)`.",
    ),
    solution=gaussian_kl,
    mistakes=MISTAKES,
    right="It is 0 for a cloud that is the prior, and never negative. It is summed over the numbers of the code and "
    "not over the batch, so it can be added to each picture's reconstruction term.",
    probes=(
        _probe([[0.0]], [[0.0]], "the prior itself: it costs nothing"),
        _probe([[2.0]], [[0.0]], "moved by 2, as wide as the prior"),
        _probe([[0.0]], [[1.0]], "around 0, wider than the prior"),
        _probe([[-2.0]], [[-1.0]], "moved and narrower"),
        _probe(
            [[1.0, -0.5, 0.0], [0.0, 2.0, -1.0]], [[0.0, 1.0, -1.0], [0.5, -2.0, 0.0]], "two codes of three numbers"
        ),
        _probe(
            [[0.3, -1.2, 0.8], [2.1, 0.4, -0.7], [-0.5, 0.9, 1.6], [1.1, -0.2, 0.0], [-1.9, 0.6, 0.2]],
            [[-0.4, 0.7, -1.5], [0.2, -2.2, 0.9], [-0.8, 0.1, -3.0], [1.2, -0.6, 0.5], [-1.1, 0.3, -0.2]],
            "five codes of three numbers",
            gradients=True,
        ),
        Probe(
            lambda: {
                "mu": torch.tensor([[0.5, 30.0]], dtype=torch.float64),
                "logvar": torch.tensor([[9.0, -14.0]]).double(),
            },
            "in float64, far from the prior",
            ("mu", "logvar"),
        ),
        _probe([[0.5]], [[2.0]], "moved and wider"),
    ),
    judge=judge,
)
