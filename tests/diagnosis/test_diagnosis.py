"""Healthy VAEs get no finding, each mistake that can be seen gets its own, and nothing is changed by looking."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.atlas import loss_with
from vae_utils import data, exercises
from vae_utils.diagnosis import UNSEEN_WITHOUT_LOSS, Weights, examine, spare_nats, weight_of_kl
from vae_utils.diagnosis.noise import ROWS
from vae_utils.likelihoods import Bernoulli, Gaussian
from vae_utils.losses import bernoulli_nll, gaussian_kl, gaussian_nll
from vae_utils.models import VAE
from vae_utils.objectives import vae_loss
from vae_utils.training import fit

SHAPE = (1, 8, 8)


@functools.cache
def digits() -> Tensor:
    return data.load("digits").train.x


@functools.cache
def small_animals() -> Tensor:
    return F.avg_pool2d(data.load("cats_dogs").train.x[:3000], 2)


def mistake(exercise: str, slug: str) -> dict[str, Callable]:
    return {exercise: getattr(exercises, exercise).mistake(slug).function}


def trained(seed: int = 0, steps: int = 400, **changed: Callable) -> VAE:
    torch.manual_seed(seed)
    model = VAE(SHAPE, 8, Bernoulli(), hidden=(256,))
    model.reparameterize = changed.get("reparameterize", model.reparameterize)
    fit(model, digits(), steps=steps, lr=1e-2, loss=loss_with(**changed), seed=seed, device="cpu", progress=False)
    return model


@functools.cache
def healthy(seed: int = 0) -> VAE:
    return trained(seed)


def infected(function: Callable) -> VAE:
    """A healthy model whose draw has a mistake from now on."""
    model = VAE(SHAPE, 8, Bernoulli(), hidden=(256,))
    model.load_state_dict(healthy().state_dict())
    model.reparameterize = function
    return model


# No false alarm


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_healthy_vae_on_digits_has_no_finding(seed: int) -> None:
    report = examine(healthy(seed), digits(), loss=vae_loss)
    assert report.wrong == ()
    assert all(finding.healthy for finding in report.findings)
    assert "Nothing looks wrong" in str(report)


@pytest.mark.parametrize("seed", [0, 1])
def test_healthy_vae_on_cats_and_dogs_has_no_finding(seed: int) -> None:
    x = small_animals()
    torch.manual_seed(seed)
    model = VAE((3, 16, 16), 8, Gaussian(0.15), hidden=(128, 64))
    fit(model, x, steps=400, lr=5e-3, seed=seed, device="cpu", progress=False)
    report = examine(model, x, loss=vae_loss)
    assert report.wrong == () and all(finding.healthy for finding in report.findings)


def test_many_seeds_of_the_look_itself_raise_no_alarm() -> None:
    assert {examine(healthy(), digits()[:300], loss=vae_loss, seed=seed).wrong for seed in range(20)} == {()}


def test_another_weight_is_healthy_where_it_was_meant() -> None:
    loss = functools.partial(vae_loss, beta=0.25)
    torch.manual_seed(0)
    model = VAE(SHAPE, 8, Bernoulli(), hidden=(256,))
    fit(model, digits(), steps=400, lr=1e-2, loss=loss, device="cpu", progress=False)
    assert examine(model, digits(), loss=loss, beta=0.25).wrong == ()
    assert examine(model, digits(), beta=0.25).wrong == ()
    assert examine(model, digits(), loss=loss).wrong == ("balance", "weight")
    assert examine(model, digits()).wrong == ("balance",)
    assert examine(model, digits()).unseen[:2] == UNSEEN_WITHOUT_LOSS


# The draw: asked without training


@pytest.mark.parametrize("slug", exercises.reparameterize.mistakes_by_slug)
def test_every_known_mistake_of_the_draw_is_seen(slug: str) -> None:
    report = examine(infected(exercises.reparameterize.mistake(slug).function), digits()[:256])
    assert set(report.wrong) & {"finite", "noise", "spread", "shape", "independence", "path"}


@pytest.mark.parametrize(
    ("slug", "name", "text"),
    [
        ("no-noise", "noise", "z is exactly mu"),
        ("fixed-seed", "noise", "the same epsilon"),
        ("detached", "path", "mu: the encoder hears the KL alone"),
        ("mu-detached", "path", "to mu: only the KL says where"),
        ("sigma-detached", "path", "to logvar: only the KL says how wide"),
        ("std-is-exp-logvar", "spread", "another width than sigma"),
        ("noise-added-before-scaling", "spread", "with mu"),
        ("one-noise-per-batch", "independence", "pictures of a batch share"),
        ("one-noise-per-row", "independence", "numbers of a code share"),
    ],
)
def test_finding_says_what_is_wrong_with_the_draw(slug: str, name: str, text: str) -> None:
    report = examine(infected(exercises.reparameterize.mistake(slug).function), digits()[:256])
    assert name in report.wrong
    assert text in report[name].sentence


def test_uniform_dice_of_the_right_width_are_seen_by_their_shape() -> None:
    def uniform(mu: Tensor, logvar: Tensor) -> Tensor:
        return mu + (0.5 * logvar).exp() * 12**0.5 * (torch.rand_like(mu) - 0.5)

    report = examine(infected(uniform), digits())
    assert report.wrong == ("shape",) and "1.8" in report["shape"].sentence


def test_dice_that_repeat_between_passes_are_seen() -> None:
    rolled = [torch.randn(ROWS, 8, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    calls = iter(range(10**6))

    def stale(mu: Tensor, logvar: Tensor) -> Tensor:
        return mu + (0.5 * logvar).exp() * rolled[next(calls) % 2][: len(mu)].repeat(8, 1)[: len(mu)]

    report = examine(infected(stale), digits()[:ROWS])
    assert report.wrong == ("independence",) and "passes repeat" in report["independence"].sentence


# The loss: asked without training

# Constants, averages over the batch, rounding, what one channel or beta = 1 hides, what only sure logits show, and
# what stops with an error of its own.
HARMLESS = {
    "gaussian_kl": {"no-minus-one", "averaged-batch", "kept-axis"},
    "bernoulli_nll": {"log-of-sigmoid", "clamped", "exp-overflows", "averaged-batch", "channels-kept", "grey-refused"},
    "negative_elbo": {
        *("averaged-batch", "nll-averaged-over-batch", "kl-averaged-over-batch", "sum-of-all", "broadcast"),
        *("clamped", "log-of-sigmoid"),
        *("beta-ignored", "beta-on-nll", "beta-on-both", "beta-squared", "beta-divides"),
    },
}


def untrained() -> VAE:
    torch.manual_seed(0)
    return VAE(SHAPE, 8, Bernoulli(), hidden=(16,))


@pytest.mark.parametrize("exercise", HARMLESS)
def test_known_mistakes_of_the_loss_are_seen(exercise: str) -> None:
    missed = set()
    for slug in getattr(exercises, exercise).mistakes_by_slug:
        report = examine(untrained(), digits()[:100], loss=loss_with(**mistake(exercise, slug)))
        if not set(report.wrong) & {"reconstruction", "KL", "weight", "loss"}:
            missed.add(slug)
    assert missed <= HARMLESS[exercise]


@pytest.mark.parametrize(
    ("exercise", "slug", "name", "text"),
    [
        ("negative_elbo", "kl-forgotten", "KL", "the KL is not in it"),
        ("gaussian_kl", "sign-flipped", "KL", "sign is flipped"),
        ("gaussian_kl", "reverse", "KL", "the reverse KL"),
        ("gaussian_kl", "log-std", "KL", "takes logvar for log sigma"),
        ("gaussian_kl", "no-mu", "KL", "without mu²"),
        ("gaussian_kl", "no-logvar", "KL", "without -logvar"),
        ("gaussian_kl", "no-half", "weight", "weighs 2 times a nat of reconstruction, not 1: a KL without its 1/2"),
        ("gaussian_kl", "averaged-latents", "weight", "weighs 0.125 times"),
        (
            "bernoulli_nll",
            "averaged-pixels",
            "weight",
            "weighs 64 times a nat of reconstruction, not 1: a mean over pix",
        ),
        ("negative_elbo", "both-averaged", "weight", "a mean over pixels and a mean over the code"),
        ("negative_elbo", "squared-error", "reconstruction", "a squared error"),
        ("negative_elbo", "kl-detached", "KL", "no gradient of it reaches"),
        ("negative_elbo", "nll-forgotten", "reconstruction", "the nll is not in it"),
        ("negative_elbo", "nll-sign", "reconstruction", "pays for errors"),
        ("bernoulli_nll", "bits", "weight", "weighs 0.6931 times a nat of reconstruction, not 1: an nll in bits"),
        ("bernoulli_nll", "not-summed", "loss", "takes a batch of 1 and fails with 5 pictures"),
        ("bernoulli_nll", "sigmoid-twice", "reconstruction", "two sigmoids"),
    ],
)
def test_finding_says_what_is_wrong_with_the_loss(exercise: str, slug: str, name: str, text: str) -> None:
    report = examine(untrained(), digits()[:200], loss=loss_with(**mistake(exercise, slug)))
    assert set(report.wrong) & {"reconstruction", "KL", "weight", "loss"} == {name}
    assert text in report[name].sentence


def gaussian(scale: Callable[[Tensor], Tensor]) -> Callable[[VAE, Tensor], Tensor]:
    def loss(model: VAE, x: Tensor) -> Tensor:
        output, mu, logvar = model(x)
        squares = (model.likelihood.mean(output) - x).square().flatten(1)
        return (scale(squares) + gaussian_kl(mu, logvar)).mean()

    return loss


def test_squared_error_without_sigma_is_named() -> None:
    x = small_animals()[:200]
    model = VAE((3, 16, 16), 4, Gaussian(0.2), hidden=(16,))
    right = gaussian(lambda squares: squares.sum(1) / (2 * 0.2**2))
    assert examine(model, x, loss=right)["weight"].healthy
    for scale, times, why in (
        (lambda squares: squares.sum(1), "12.5", "a squared error without"),
        (lambda squares: squares.mean(1), "9600", "a mean squared error without"),
    ):
        finding = examine(model, x, loss=gaussian(scale))["weight"]
        assert finding.healthy is False and f"weighs {times} times" in finding.sentence and why in finding.sentence


@pytest.mark.parametrize(
    ("nll", "text"),
    [
        (lambda output, x: gaussian_nll(output, x, 0.2), "a squared error of the logits"),
        (lambda output, x: gaussian_nll(output.sigmoid().sigmoid(), x, 0.2), "a squared error after two sigmoids"),
        (lambda output, x: bernoulli_nll(output.sigmoid(), x), "a cross-entropy after two sigmoids"),
        (bernoulli_nll, "a Bernoulli's cross-entropy"),
        (lambda output, x: -gaussian_nll(output.sigmoid(), x, 0.2), "pays for errors"),
        (lambda output, x: (output.sigmoid() - x).abs().flatten(1).sum(1), "in another way"),
    ],
)
def test_mistaken_reading_of_a_gaussian_is_named(nll: Callable[[Tensor, Tensor], Tensor], text: str) -> None:
    def loss(model: VAE, x: Tensor) -> Tensor:
        output, mu, logvar = model(x)
        return nll(output, x) + gaussian_kl(mu, logvar)

    report = examine(VAE((3, 16, 16), 4, Gaussian(0.2), hidden=(16,)), small_animals()[:200], loss=loss)
    assert report["reconstruction"].healthy is False and report["KL"].healthy
    assert text in report["reconstruction"].sentence


@pytest.mark.parametrize("sigma", [0.05, 2])
def test_gaussian_is_named_with_its_sigma(sigma: float) -> None:
    model = VAE((3, 16, 16), 4, Gaussian(sigma), hidden=(16,))
    report = examine(model, small_animals()[:200], loss=vae_loss)
    assert report["weight"].healthy
    assert report["reconstruction"].sentence == f"the loss charges errors as a Gaussian with sigma {sigma:g} does."


def test_own_likelihood_is_asked() -> None:
    class Laplace:
        def mean(self, output: Tensor) -> Tensor:
            return output / 2

        def nll(self, output: Tensor, x: Tensor) -> Tensor:
            return (output / 2 - x).abs().flatten(1).sum(1) / 0.3

        def floor(self, x: Tensor) -> Tensor:
            return torch.zeros(len(x))

        def sample(self, output: Tensor) -> Tensor:
            return output / 2

    model = VAE(SHAPE, 4, Laplace(), hidden=(16,))
    report = examine(model, digits()[:200], loss=vae_loss)
    assert report["reconstruction"].healthy and report["weight"].healthy
    assert "as a Laplace does" in report["reconstruction"].sentence
    with torch.no_grad():  # all pictures come back as their average
        model.decoder[-1].weight.zero_()
        model.decoder[-1].bias.copy_(2 * digits().mean(0).flatten())
    assert examine(model, digits()[:2000])["average picture"].healthy
    squares = examine(model, digits()[:200], loss=gaussian(lambda squares: squares.sum(1)))["reconstruction"]
    assert squares.healthy is False and "a squared error, not the nll of a Laplace" in squares.sentence


def test_weight_that_depends_on_the_batch_is_seen() -> None:
    def loss(model: nn.Module, x: Tensor) -> Tensor:
        logits, mu, logvar = model(x)
        return bernoulli_nll(logits, x).mean() + gaussian_kl(mu, logvar).sum()

    report = examine(healthy(), digits(), loss=loss)
    assert report.wrong == ("weight",) and "batch of 5" in report["weight"].sentence


def test_loss_may_use_the_parts_of_the_model() -> None:
    def loss(model: VAE, x: Tensor) -> Tensor:
        mu, logvar = model.encode(x)
        logits = model.decode(model.reparameterize(mu, logvar))
        return bernoulli_nll(logits, x).sum() + gaussian_kl(mu, logvar).sum()

    report = examine(healthy(), digits(), loss=loss)
    assert report.wrong == () and report["weight"].healthy


def test_loss_may_use_the_mean_pictures_of_the_model() -> None:
    def loss(model: VAE, x: Tensor) -> Tensor:
        mu, logvar = model.encode(x)
        means = model.mean(model.reparameterize(mu, logvar))
        return F.binary_cross_entropy(means, x, reduction="sum") + gaussian_kl(mu, logvar).sum()

    report = examine(healthy(), digits(), loss=loss)
    assert report.wrong == () and report["weight"].healthy


def test_loss_that_cannot_be_asked_is_told() -> None:
    def loss(model: nn.Module, x: Tensor) -> Tensor:
        raise RuntimeError("no such thing\nand more")

    report = examine(healthy(), digits(), loss=loss)
    assert report.wrong == () and report["loss"].healthy is None
    assert "RuntimeError: no such thing" in report["loss"].sentence and "\n" not in report["loss"].sentence


# What only training shows


@pytest.mark.parametrize(
    ("exercise", "slug", "names"),
    [
        ("gaussian_kl", "reverse", {"scale", "balance"}),
        ("gaussian_kl", "log-std", {"scale", "balance"}),
        ("negative_elbo", "kl-forgotten", {"scale", "balance", "samples"}),
        ("bernoulli_nll", "averaged-pixels", {"use"}),
        ("bernoulli_nll", "sigmoid-twice", {"balance", "average picture"}),
        ("reparameterize", "std-is-exp-logvar", {"spread", "scale", "balance"}),
    ],
)
def test_trained_mistake_shows_without_the_loss(exercise: str, slug: str, names: set[str]) -> None:
    changed = mistake(exercise, slug)
    assert set(examine(trained(**changed), digits()).wrong) == names


def test_relu_on_the_heads_is_seen() -> None:
    class Clipped(VAE):
        def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
            mu, logvar = super().encode(x)
            return mu.relu(), logvar.relu()

    report = examine(Clipped(SHAPE, 4, Bernoulli(), hidden=(16,)), digits())
    assert "heads" in report.wrong and "mu and logvar" in report["heads"].sentence


def test_nan_ends_the_examination() -> None:
    model = VAE(SHAPE, 4, Bernoulli(), hidden=(16,))
    with torch.no_grad():
        model.encoder[0].weight[0, 0] = torch.nan
    report = examine(model, digits(), loss=vae_loss)
    assert report.wrong == ("finite",) and "encoder.0.weight" in report["finite"].sentence


# The law behind "scale"


def test_spare_nats_is_what_the_best_shift_and_scale_save() -> None:
    generator = torch.Generator().manual_seed(0)
    mu = 0.3 + 1.7 * torch.randn(500, 2, generator=generator, dtype=torch.float64)
    logvar = torch.randn(500, 2, generator=generator, dtype=torch.float64) - 1
    shift, log_scale = (torch.zeros(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.LBFGS([shift, log_scale], max_iter=200, line_search_fn="strong_wolfe")

    def kl() -> Tensor:
        optimizer.zero_grad()
        value = gaussian_kl(log_scale.exp() * mu + shift, logvar + 2 * log_scale).mean()
        value.backward()
        return value

    optimizer.step(kl)
    saved = gaussian_kl(mu, logvar).mean() - kl().detach()
    assert spare_nats(mu, logvar).sum().item() == pytest.approx(saved.item(), rel=1e-6)


def test_nothing_is_spare_where_the_moments_are_right() -> None:
    mu = torch.tensor([[0.6, 0.0], [-0.6, 0.0]])
    logvar = torch.tensor([[0.64, 1.0], [0.64, 1.0]]).log()
    torch.testing.assert_close(spare_nats(mu, logvar), torch.zeros(2), atol=1e-6, rtol=0)


# The balance that tells the weight


@pytest.mark.parametrize(
    ("exercise", "slug", "beta"),
    [("gaussian_kl", "no-half", 2), ("gaussian_kl", "averaged-latents", 1 / 8), ("negative_elbo", "kl-forgotten", 0)],
)
def test_weight_is_read_off_a_model_that_was_trained_with_it(exercise: str, slug: str, beta: float) -> None:
    model = trained(**mistake(exercise, slug))
    assert weight_of_kl(model, digits()) == pytest.approx((beta, beta), rel=0.1, abs=0.02)
    finding = examine(model, digits())["balance"]
    assert finding.healthy is False and "not 1" in finding.sentence


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_weight_of_a_right_vae_is_one(seed: int) -> None:
    assert weight_of_kl(healthy(seed), digits()) == pytest.approx((1, 1), abs=0.1)


@pytest.mark.parametrize("beta", [0.25, 1, 5])
def test_weight_is_exact_where_the_minimum_is_known(beta: float) -> None:
    """The beta-VAE of a linear decoder is probabilistic PCA with a variance of beta sigma^2."""

    class Linear(nn.Module):
        def __init__(self, x: Tensor, latent: int, sigma: float) -> None:
            super().__init__()
            self.mean = nn.Parameter(x.flatten(1).mean(0))
            values, axes = torch.linalg.eigh((x.flatten(1) - self.mean).T.cov(correction=0))
            self.values, noise = values[-latent:], beta * sigma**2
            self.directions = axes[:, -latent:] * (self.values - noise).sqrt()
            self.logvar, self.likelihood = (noise / self.values).log(), Straight()

        def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
            mu = (x.flatten(1) - self.mean) @ self.directions / self.values
            return mu, self.logvar.expand_as(mu)

        def decode(self, z: Tensor) -> Tensor:
            return self.mean + z @ self.directions.T

    class Straight:
        def nll(self, output: Tensor, x: Tensor) -> Tensor:
            return (output - x.flatten(1)).square().sum(1) / (2 * 0.1**2)

    x = 2 * digits().double()
    model = Linear(x, 4, 0.1)
    torch.testing.assert_close(spare_nats(*model.encode(x)), torch.zeros(4).double(), atol=1e-9, rtol=0)
    assert weight_of_kl(model, x, draws=200) == pytest.approx((beta, beta), rel=0.03)


def test_half_of_a_wrong_kl_is_told_from_its_weight() -> None:
    found = weight_of_kl(trained(**mistake("gaussian_kl", "log-std")), digits())
    assert found.from_mu == pytest.approx(1, abs=0.15) and found.from_logvar > 2


def test_collapsed_model_does_not_tell_the_weight() -> None:
    model = trained(**mistake("bernoulli_nll", "averaged-pixels"))
    assert weight_of_kl(model, digits()) == Weights(None, None)
    assert examine(model, digits())["balance"].healthy is None


def test_clouds_as_wide_as_the_prior_tell_no_weight_at_logvar() -> None:
    assert weight_of_kl(trained(**mistake("reparameterize", "no-noise")), digits()).from_logvar is None


def test_reading_the_weight_changes_nothing() -> None:
    model, random = healthy(), torch.get_rng_state()
    assert weight_of_kl(model, digits()[:200]) == weight_of_kl(model, digits()[:200])
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None or not parameter.grad.isnan().any() for parameter in model.parameters())


def test_balance_is_not_asked_where_the_likelihood_or_decode_is_not_known() -> None:
    torch.manual_seed(0)
    model = Example()
    assert examine(model, digits())["balance"].healthy is None
    model.likelihood, model.decode = Bernoulli(), lambda z: z.undefined
    assert "AttributeError" in examine(model, digits())["balance"].sentence


# Other models


class Example(nn.Module):
    """As many programs have it: flat pictures, probabilities, a ReLU in the middle, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.mu, self.logvar = nn.Linear(64, 64), nn.Linear(64, 4), nn.Linear(64, 4)
        self.decoder = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.Sigmoid())
        self.dropout, self.norm = nn.Dropout(0.1), nn.BatchNorm1d(64)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.dropout(self.norm(self.body(x.flatten(1)))).relu()
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu) if self.training else mu
        return self.decoder(z), mu, logvar


def example_loss(model: nn.Module, x: Tensor) -> Tensor:
    p, mu, logvar = model(x)
    return F.binary_cross_entropy(p, x.flatten(1), reduction="sum") + gaussian_kl(mu, logvar).sum()


def test_another_program_can_be_examined() -> None:
    torch.manual_seed(0)
    model = Example()
    report = examine(model, digits(), loss=example_loss)
    drawn = {"noise", "spread", "shape", "independence", "path", "reconstruction", "KL", "weight"}
    assert all(report[name].healthy for name in drawn)
    wrong = examine(model, digits(), loss=lambda model, x: example_loss(model, x) / 64 + F.mse_loss(*model(x)[1:]))
    assert "KL" in wrong.wrong


def test_logits_expected_where_probabilities_come_are_seen_without_a_likelihood() -> None:
    def loss(model: nn.Module, x: Tensor) -> Tensor:
        p, mu, logvar = model(x)
        return bernoulli_nll(p, x.flatten(1)) + gaussian_kl(mu, logvar)

    torch.manual_seed(0)
    report = examine(Example(), digits(), loss=loss)
    assert report["reconstruction"].healthy is False
    assert "a cross-entropy after two sigmoids" in report["reconstruction"].sentence


def test_likelihood_that_cannot_be_asked_counts_as_none() -> None:
    torch.manual_seed(0)
    model = Example()
    model.likelihood = "a Bernoulli"
    assert examine(model, digits(), loss=example_loss)["weight"].healthy


def test_decode_may_be_a_module() -> None:
    class Other(Example):
        def __init__(self) -> None:
            super().__init__()
            self.decode = self.decoder
            del self.decoder

        @property
        def decoder(self) -> nn.Module:
            return self.decode

    torch.manual_seed(0)
    report = examine(Other(), digits())
    assert report["spread"].healthy and report["samples"].healthy is not False


def test_model_that_hides_its_codes_is_told_apart_from_one_without_noise() -> None:
    class Hidden(nn.Module):
        def __init__(self, noise: float) -> None:
            super().__init__()
            self.inner, self.noise = nn.Linear(64, 64), noise

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            mu = self.inner(x.flatten(1))[:, :2]
            z = mu + self.noise * torch.randn_like(mu)
            return z.repeat(1, 32).sigmoid(), mu, mu - mu

    assert examine(Hidden(0), digits())["noise"].healthy is False
    report = examine(Hidden(1), digits())
    assert report["noise"].healthy and report["spread"].healthy is None and report["samples"].healthy is None


# Nothing is changed, and bad input is refused


def test_looking_changes_nothing() -> None:
    torch.manual_seed(0)
    model, x = Example(), digits()[:200]
    model.norm.eval()
    example_loss(model, x).backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    random, pixels = torch.get_rng_state(), x.clone()
    attributes = set(vars(model))
    examine(model, x, loss=example_loss)
    assert torch.equal(torch.get_rng_state(), random) and torch.equal(x, pixels)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(p.grad, old) for p, old in zip(model.parameters(), gradients, strict=True))
    assert model.training and not model.norm.training
    assert set(vars(model)) == attributes and not model.decoder._forward_pre_hooks


def test_own_decode_of_an_instance_is_put_back() -> None:
    model = VAE(SHAPE, 4, Bernoulli(), hidden=(16,))
    own = model.decode = functools.partial(VAE.decode, model)
    examine(model, digits()[:100])
    assert vars(model)["decode"] is own
    del model.decode
    examine(model, digits()[:100])
    assert "decode" not in vars(model)


def test_same_seed_same_report() -> None:
    texts = {str(examine(healthy(), digits(), loss=vae_loss, seed=3)) for _ in range(2)}
    assert len(texts) == 1


def test_report_reads_well_and_gives_findings_by_name() -> None:
    report = examine(infected(exercises.reparameterize.mistake("no-noise").function), digits())
    lines = str(report).splitlines()
    assert lines[0] == "1 finding: noise"
    assert any(line.startswith("✘ noise: ") for line in lines) and any(line.startswith("✔ use: ") for line in lines)
    assert "Not seen from here:" in lines and repr(report) == str(report)
    with pytest.raises(KeyError, match="no finding is called 'nose'; this report has finite, noise"):
        report["nose"]


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda x: x, "this one returned Tensor"),
        (lambda x: (x, x.flatten(1)), "this one returned 2 parts"),
        (lambda x: (x, None, x), "this one returned 3 parts"),
        (lambda x: (x, x.flatten(1), x.flatten(1)[:, :3]), r"shapes are .*\(100, 64\), \(100, 3\)"),
        (lambda x: (x[:, :, :4], x.flatten(1), x.flatten(1)), "as many parameters as pixels"),
    ],
)
def test_model_of_another_kind_is_refused(forward: Callable, message: str) -> None:
    class Other(nn.Module):
        def forward(self, x: Tensor) -> object:
            return forward(x)

    with pytest.raises(TypeError, match=message):
        examine(Other(), digits()[:100])


def test_too_few_pictures_and_odd_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="100 pictures or more, but x has 99"):
        examine(healthy(), digits()[:99])
    for beta in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="beta must be a number above 0"):
            examine(healthy(), digits(), beta=beta)
