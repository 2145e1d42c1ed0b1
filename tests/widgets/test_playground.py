"""The playground's numbers, run in Chromium, against PyTorch: gradients, Adam's updates, losses, noise."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import escape
from inspect import signature
from typing import Any

import numpy as np
import playwright.sync_api as playwright
import pytest
import torch
from PIL import Image
from torch import Tensor

from scripts.bench.browser import as_object
from tests.support import chromium
from vae_utils.likelihoods import Gaussian
from vae_utils.losses import gaussian_kl
from vae_utils.models import VAE
from vae_utils.objectives import vae_loss
from vae_utils.start import start_at_mean
from vae_utils.widgets.figures import playground

thumbnails = playground.thumbnails
NOISES = ("on", "cut", "off", "none")
AVERAGED = ("none", "pixels", "code", "both")
BATCH, SIGMA = 8, 0.15
HELD = thumbnails()[0][playground.N_TRAIN :]


class Page:
    """An empty page that has the playground's numbers, trainer and lessons, in a browser of its own.

    Playwright runs in a thread of its own: the browser tests' Playwright may still be open in this one.
    """

    def __init__(self, path: str) -> None:
        self.thread = ThreadPoolExecutor(1)
        self.page = self.thread.submit(self._open, path).result()

    def _open(self, path: str) -> playwright.Page:
        self.playwright = playwright.sync_playwright().start()
        page = self.playwright.chromium.launch(executable_path=path, args=chromium.OPTIONS).new_page()
        page.add_script_tag(content=as_object("playground", "playground/trainer.js", "playground/lessons.js"))
        return page

    def evaluate(self, script: str, given: object = None) -> Any:
        """What a JavaScript expression, or a function of `given`, returns there."""
        return self.thread.submit(self.page.evaluate, script, given).result()

    def close(self) -> None:
        self.thread.submit(self.playwright.stop).result()
        self.thread.shutdown()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """The playground's numbers in Chromium."""
    opened = Page(chromium.required())
    yield opened
    opened.close()


RUN = """({shape, theta, x, epsilons, settings, lr}) => {
    const P = playground, model = new P.VAE(shape.pixels, shape.width, shape.sigma, shape.batch);
    model.theta.set(theta);
    const adam = new P.Adam(model.theta.length), terms = [];
    let gradient = null;
    for (const epsilon of epsilons) {
        terms.push(model.lossAndGradient(Float64Array.from(x), Float64Array.from(epsilon), settings));
        gradient = gradient || Array.from(model.gradient);
        adam.step(model.theta, model.gradient, lr);
    }
    return {terms, gradient, theta: Array.from(model.theta)};
}"""


def flat(tensors: list[Tensor] | Iterator[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def new_model(seed: int, shape: tuple[int, int, int] = (3, 4, 4), width: int = 8) -> VAE:
    """A VAE as the playground has it, in double precision, away from its start so that every gradient is there."""
    torch.manual_seed(seed)
    model = VAE(shape, 2, Gaussian(SIGMA), hidden=(width,)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def written_loss(model: VAE, x: Tensor, epsilon: Tensor, settings: dict) -> dict[str, Tensor]:
    """The loss that the playground's settings name, as a person would write it in PyTorch."""
    mu, logvar = model.encode(x)
    drawn = mu + (0.5 * logvar).exp() * epsilon
    z = {"on": drawn, "cut": drawn.detach(), "off": mu, "none": mu}[settings["noise"]]
    nll, kl = model.likelihood.nll(model.decode(z), x), gaussian_kl(mu, logvar)
    per_latent = 0.5 * (mu.square() + logvar.exp() - 1 - logvar)
    left = nll / x[0].numel() if settings["averaged"] in ("pixels", "both") else nll
    right = per_latent.mean(1) if settings["averaged"] in ("code", "both") else kl
    loss = left if settings["noise"] == "none" else left + settings["beta"] * right
    return {"loss": loss.mean(), "nll": nll.mean(), "kl": per_latent.mean(0)}


def compare(page: Page, model: VAE, x: Tensor, epsilons: Tensor, settings: dict, lr: float) -> float:
    """Largest difference of gradients, updates and terms, relative to their size, over these steps."""
    shape = {"pixels": x[0].numel(), "width": model.decoder[0].out_features, "sigma": SIGMA, "batch": len(x)}
    found = page.evaluate(
        RUN,
        {
            "shape": shape,
            "theta": flat(model.parameters()).tolist(),
            "x": x.flatten().tolist(),
            "epsilons": epsilons.flatten(1).tolist(),
            "settings": settings,
            "lr": lr,
        },
    )
    optimizer = torch.optim.Adam(model.parameters(), lr, betas=(0.9, 0.98))
    start, off, gradient = flat(model.parameters()), [], None
    for epsilon, terms in zip(epsilons, found["terms"], strict=True):
        optimizer.zero_grad()
        wanted = written_loss(model, x, epsilon, settings)
        wanted["loss"].backward()
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
        for p, grad in zip(model.parameters(), grads, strict=True):
            p.grad = grad  # a parameter that the loss does not reach has a gradient of 0 here and none there
        gradient = flat(grads) if gradient is None else gradient
        optimizer.step()
        for name, value in wanted.items():
            mine = torch.tensor(terms[name], dtype=torch.float64)
            off.append(((mine - value).abs() / value.abs().clamp(min=1)).max().item())
    for mine, value in ((found["gradient"], gradient), (found["theta"], flat(model.parameters()))):
        mine = torch.tensor(mine, dtype=torch.float64)
        off.append(((mine - value).norm() / value.norm()).item())
    moved = flat(model.parameters()) - start
    off.append(((torch.tensor(found["theta"], dtype=torch.float64) - start - moved).norm() / moved.norm()).item())
    return max(off)


@pytest.mark.parametrize("averaged", AVERAGED)
@pytest.mark.parametrize("noise", NOISES)
def test_gradients_and_updates_are_pytorchs(page: Page, noise: str, averaged: str) -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(BATCH, 3, 4, 4, generator=generator, dtype=torch.float64)
    epsilons = torch.randn(5, BATCH, 2, generator=generator, dtype=torch.float64)
    for beta, lr in ((0.0, 1e-3), (1.0, 5e-3), (20.0, 0.1)):
        settings = {"noise": noise, "averaged": averaged, "beta": beta}
        assert compare(page, new_model(1), x, epsilons, settings, lr) < 1e-9


@pytest.mark.parametrize(("width", "side"), [(8, 4), (16, 4), (64, 4), (32, 16)])
def test_every_width_agrees(page: Page, width: int, side: int) -> None:
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(BATCH, 3, side, side, generator=generator, dtype=torch.float64)
    epsilons = torch.randn(2, BATCH, 2, generator=generator, dtype=torch.float64)
    settings = {"noise": "on", "averaged": "none", "beta": 1.0}
    assert compare(page, new_model(2, (3, side, side), width), x, epsilons, settings, 5e-3) < 1e-9


def test_the_plain_setting_is_the_courses_own_loss() -> None:
    """`written_loss`, which the playground is compared with, against vae_utils.training.vae_loss."""
    model, x = new_model(5), torch.rand(BATCH, 3, 4, 4).double()
    epsilon = torch.randn(BATCH, 2).double()
    model.reparameterize = lambda mu, logvar: mu + (0.5 * logvar).exp() * epsilon
    wanted = vae_loss(model, x, beta=3.0)
    found = written_loss(model, x, epsilon, {"noise": "on", "averaged": "none", "beta": 3.0})
    assert found["loss"].item() == pytest.approx(wanted["loss"].mean().item(), rel=1e-12)


def test_it_starts_as_fit_does(page: Page) -> None:
    model = new_model(6)
    mean = torch.rand(3, 4, 4, dtype=torch.float64)
    started = page.evaluate(
        """({theta, mean}) => {
            const model = new playground.VAE(48, 8, 0.15, 8);
            model.theta.set(theta);
            model.startAtMean(mean);
            return Array.from(model.theta);
        }""",
        {"theta": flat(model.parameters()).tolist(), "mean": mean.flatten().tolist()},
    )
    start_at_mean(model, mean[None])
    assert started == pytest.approx(flat(model.parameters()).tolist(), rel=1e-12, abs=1e-12)


def test_weights_start_as_pytorchs_layers_do(page: Page) -> None:
    parts = page.evaluate(
        """() => {
            const model = new playground.VAE(768, 16, 0.15);
            model.randomize(new playground.Random(0));
            return Object.fromEntries(Object.entries(model.weight).map(([name, part]) => [name, Array.from(part)]));
        }"""
    )
    parameters = dict(VAE((3, 16, 16), 2, Gaussian(0.3), hidden=(16,)).named_parameters())
    assert list(parts) == list(parameters)
    for name, parameter in parameters.items():
        inputs = parameters[name.replace("bias", "weight")].shape[1]
        drawn = torch.tensor(parts[name])
        assert len(drawn) == parameter.numel()
        assert drawn.abs().max() <= 1 / math.sqrt(inputs)
        if len(drawn) > 500:  # enough to tell a uniform law from another
            assert drawn.std().item() == pytest.approx(1 / math.sqrt(3 * inputs), rel=0.1)


def mulberry32(seed: int, n: int) -> list[float]:
    """The generator's steps in Python's whole numbers."""
    state, out = seed, []
    for _ in range(n):
        state = (state + 0x6D2B79F5) % 2**32
        t = ((state ^ (state >> 15)) * (state | 1)) % 2**32
        t ^= (t + ((t ^ (t >> 7)) * (t | 61)) % 2**32) % 2**32
        out.append(((t ^ (t >> 14)) % 2**32) / 2**32)
    return out


def test_noise_is_seeded_and_normal(page: Page) -> None:
    found = page.evaluate(
        """() => {
            const {Random} = playground, random = new Random(7), normals = new Random(1).normals(20000);
            return {uniforms: [1, 2, 3].map(() => random.uniform()), normals: Array.from(normals),
                    again: Array.from(new Random(1).normals(3)), order: Array.from(new Random(2).order(100))};
        }"""
    )
    assert found["uniforms"] == mulberry32(7, 3)
    assert found["again"] == found["normals"][:3]
    assert sorted(found["order"]) == list(range(100)) != found["order"]
    normals = torch.tensor(found["normals"])
    for power, wanted, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):  # moments, variance of z^power
        assert abs(normals.pow(power).mean() - wanted) < 4 * math.sqrt(spread / len(normals))


# Training


def train_in_page(page: Page, pictures: Tensor, settings: dict, steps: int) -> dict:
    """A run of the playground's trainer on pictures uint8 (n, 3, 16, 16), with the course's held-out ones.

    What it gives: curves, codes, figures of the held-out pictures; with the setting "tell" its start, batches, noise.
    """
    return page.evaluate(
        """({train, held, settings, steps}) => {
            const P = playground, bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            const pictures = {pixels: 768, train: bytes(train), held: bytes(held)};
            const trainer = new P.Trainer(pictures, P.complete(settings));
            const theta = settings.tell ? Array.from(trainer.model.theta) : [], batches = [], epsilons = [];
            for (let i = 0; i < steps && trainer.step(); i++) {
                if (!settings.tell) continue;
                const place = i % (trainer.n / P.BATCH);
                batches.push(Array.from(trainer.order.subarray(place * P.BATCH, (place + 1) * P.BATCH)));
                epsilons.push(Array.from(trainer.epsilon));
            }
            const {figures, noted, status, reason, mu, sd, floor} = trainer.snapshot(true);
            return {theta, batches, epsilons, figures, noted, status, reason, floor, steps: trainer.steps,
                    mu: Array.from(mu), sd: Array.from(sd)};
        }""",
        {
            "train": base64.b64encode(pictures.numpy().tobytes()).decode(),
            "held": base64.b64encode(HELD.numpy().tobytes()).decode(),
            "settings": settings,
            "steps": steps,
        },
    )


@pytest.mark.parametrize("settings", [{}, {"noise": "off", "averaged": "both", "beta": 3, "lr": 0.02}])
def test_a_whole_run_is_pytorchs(page: Page, settings: dict) -> None:
    """The same start, batches and noise lead to the same curves and codes."""
    x = thumbnails()[0][:128]
    run = train_in_page(page, x, {"width": 8, "tell": True, **settings}, 30)
    settings = {"beta": 1, "noise": "on", "averaged": "none", "lr": 0.005} | settings
    model = VAE((3, 16, 16), 2, Gaussian(playground.SIGMA), hidden=(8,)).double()
    torch.nn.utils.vector_to_parameters(torch.tensor(run["theta"], dtype=torch.float64), model.parameters())
    optimizer = torch.optim.Adam(model.parameters(), settings["lr"], betas=(0.9, 0.98))
    noted = []
    for batch, noise in zip(run["batches"], run["epsilons"], strict=True):
        optimizer.zero_grad()
        epsilon = torch.tensor(noise, dtype=torch.float64).view(-1, 2)
        terms = written_loss(model, x[batch].double() / 255, epsilon, settings)
        terms["loss"].backward()
        optimizer.step()
        noted.append([terms["nll"].item(), *terms["kl"].tolist(), terms["loss"].item()])
    wanted = torch.tensor(noted).view(-1, 5, 4).mean(1)
    found = torch.tensor(run["noted"])[:, 1:]
    assert len(found) == 6
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-6)
    mu, logvar = (part.detach().float() for part in model.encode(x.double() / 255))
    assert torch.allclose(torch.tensor(run["mu"]).view(-1, 2), mu, atol=1e-5)
    assert torch.allclose(torch.tensor(run["sd"]).view(-1, 2), (0.5 * logvar).exp(), atol=1e-5)


def test_the_trained_loss_is_pytorchs_within_the_seeds(page: Page) -> None:
    """Other random numbers on each side: the trained losses on held-out pictures differ as those of seeds do."""
    x, mine, theirs = thumbnails()[0][:320], [], []
    for seed in range(3):
        run = train_in_page(page, x, {"width": 16, "seed": seed}, 150)
        mine.append(run["figures"]["loss"] - run["floor"])
        torch.manual_seed(seed)
        model = VAE((3, 16, 16), 2, Gaussian(playground.SIGMA), hidden=(16,))
        start_at_mean(model, x)
        optimizer = torch.optim.Adam(model.parameters(), 0.005, betas=(0.9, 0.98))
        for step in range(150):
            if step % 5 == 0:
                order = torch.randperm(len(x)).view(5, 64)
            optimizer.zero_grad()
            vae_loss(model, x[order[step % 5]] / 255)["loss"].mean().backward()
            optimizer.step()
        with torch.no_grad():
            theirs.append(vae_loss(model, HELD / 255)["loss"].mean().item() - run["floor"])
    here, there = torch.tensor(mine), torch.tensor(theirs)
    assert max(here.max(), there.max()) < 100  # both have learned: the start is near 160
    assert abs(here.mean() - there.mean()) < 3 * math.sqrt((here.var() + there.var()) / 3)


def test_the_distance_from_the_prior_is_frechets(page: Page) -> None:
    generator = torch.Generator().manual_seed(0)
    mu = torch.randn(500, 2, generator=generator).double() @ torch.tensor([[2.0, 0.7], [0.0, 0.3]]).double() + 0.4
    sd = torch.rand(500, 2, generator=generator).double()
    found = page.evaluate(
        "({mu, sd}) => playground.distanceFromPrior(mu, sd, 500)",
        {"mu": mu.flatten().tolist(), "sd": sd.flatten().tolist()},
    )
    center = mu.mean(0)
    spread = (mu - center).T @ (mu - center) / 500 + torch.diag(sd.square().mean(0))
    root = torch.linalg.eigvalsh(spread).sqrt()  # the square root of a product with I is that of the matrix itself
    wanted = (center.square().sum() + spread.trace() + 2 - 2 * root.sum()).sqrt().item()
    assert found == pytest.approx(wanted, rel=1e-9)
    assert page.evaluate("playground.distanceFromPrior([0, 0, 0, 0], [1, 1, 1, 1], 2)") == pytest.approx(0)


@pytest.mark.parametrize(("lr", "reason"), [(10, "no longer a finite number"), (0.3, "far above where it started")])
def test_a_run_that_diverges_stops_with_numbers(page: Page, lr: float, reason: str) -> None:
    run = train_in_page(page, thumbnails()[0][:64], {"width": 16, "lr": lr}, 300)
    assert run["status"] == "diverged" and reason in run["reason"] and run["steps"] < 300
    assert all(map(math.isfinite, [*run["mu"], *run["sd"], run["figures"]["nll"], *run["figures"]["kl"]]))
    assert all(math.isfinite(value) for point in run["noted"] for value in point)


def test_a_plan_changes_the_settings_at_its_step(page: Page) -> None:
    found = page.evaluate(
        """() => {
            const P = playground, grey = new Uint8Array(768 * P.BATCH);
            const pictures = {pixels: 768, train: grey, held: grey};
            const settings = {...P.DEFAULTS, width: 8};
            const trainer = new P.Trainer(pictures, settings, {at: 3, settings: {beta: 80}}), betas = [];
            for (let i = 0; i < 5; i++) { trainer.step(); betas.push(trainer.settings.beta); }
            trainer.restart(settings, {at: 3, settings: {beta: 80}});
            trainer.change({beta: 2}); // the reader's own change ends the plan
            for (let i = 0; i < 5; i++) trainer.step();
            return [betas, trainer.settings.beta];
        }"""
    )
    assert found == [[1, 1, 1, 80, 80], 2]


# Settings


def test_settings_survive_an_address(page: Page) -> None:
    settings = {"beta": 0.3, "lr": 0.02, "width": 64, "noise": "cut", "averaged": "both"}
    settings |= {"plane": "shuffled", "seed": 41}
    text = page.evaluate("(s) => playground.toHash(playground.complete(s), null)", settings)
    assert text == "beta=0.3&lr=0.02&width=64&noise=cut&averaged=both&plane=shuffled&seed=41"
    assert page.evaluate("(text) => playground.fromHash('#' + text).settings", text) == settings
    assert page.evaluate("playground.toHash(playground.DEFAULTS, playground.LESSONS[0])") == ""
    for lesson in playground.LESSONS[1:]:
        found = page.evaluate("(id) => playground.fromHash(`#lesson=${id}&seed=3`)", lesson)
        assert (found["lesson"]["id"], found["settings"]["seed"]) == (lesson, 3)
        assert page.evaluate("(f) => playground.toHash(f.settings, f.lesson)", found) == f"lesson={lesson}&seed=3"


@pytest.mark.parametrize("hash", ["", "#", "#a-heading", "#beta", "#other=3", "#beta=2&other=3"])
def test_other_addresses_are_left_alone(page: Page, hash: str) -> None:
    assert page.evaluate("(hash) => playground.fromHash(hash)", hash) is None


def test_nonsense_in_an_address_becomes_the_nearest_that_works(page: Page) -> None:
    hash = "#beta=-3&lr=NaN&width=33&noise=<b>&averaged=&seed=1e99&lesson=none"
    found = page.evaluate("(hash) => playground.fromHash(hash).settings", hash)
    defaults = page.evaluate("playground.DEFAULTS")
    assert found == defaults | {"beta": 0, "lr": 0.005, "width": 32, "noise": "on", "averaged": "none", "seed": 999_999}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "You train a VAE: nll + KL, the right −ELBO."),
        ({"beta": 4}, "You train nll + 4 · KL, which is no −ELBO."),
        (
            {"averaged": "pixels"},
            "nll + 768 · KL, which is no −ELBO: a β of 1 was asked for, and a mean for a sum made",
        ),
        ({"averaged": "code"}, "nll + 0.5 · KL"),
        ({"averaged": "both", "beta": 2}, "nll + 768 · KL, which is no −ELBO: a β of 2 was asked for"),
        ({"beta": 0}, "the nll alone, with clouds"),
        ({"noise": "none"}, "an autoencoder: the nll alone"),
        ({"noise": "cut"}, "the encoder hears the KL alone"),
        ({"noise": "off", "averaged": "pixels"}, "nll + 768 · KL without a draw"),
    ],
)
def test_what_is_trained_is_said_with_the_weight_that_the_loss_has(page: Page, settings: dict, says: str) -> None:
    told = page.evaluate("(some) => playground.trained(playground.complete(some), 768)", settings)
    assert says in told
    weights = page.evaluate("(some) => playground.weights(playground.complete(some), 768)", settings)
    for number in re.findall(r"\+ ([\d.]+) ·", told):
        assert float(number) == pytest.approx(weights["kl"] / weights["nll"], rel=5e-3)


def test_python_and_the_page_agree_on_what_there_is(page: Page) -> None:
    P = page.evaluate(
        "Object.fromEntries(Object.entries(playground).filter(([, value]) => typeof value !== 'function'))"
    )
    for name, value in (("SIDE", P["SIDE"]), ("N_HELD", P["BATCH"]), ("SHOWN", P["SHOWN"]), ("SIGMA", P["SIGMA"])):
        assert getattr(playground, name) == value, name
    assert {name: tuple(ends) for name, ends in P["RANGES"].items()} == playground.RANGES
    choices = {"width": P["WIDTHS"], "noise": P["NOISES"], "averaged": P["AVERAGED"]}
    choices["plane"] = P["PLANE_NAMES"]
    assert {name: tuple(values) for name, values in choices.items()} == playground.CHOICES
    assert tuple(lesson["id"] for lesson in P["LESSONS"]) == playground.LESSONS
    defaults = {name: value.default for name, value in signature(playground.playground).parameters.items()}
    assert P["DEFAULTS"] == {name: defaults[name] for name in P["DEFAULTS"]}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"beta": -1}, "beta is -1; it must be a number from 0 to 1000"),
        ({"lr": math.nan}, "lr is nan"),
        ({"lr": "0.1"}, "lr is '0.1'"),
        ({"seed": 1.5}, "whole number"),
        ({"width": 30}, "one of 8, 16, 32, 64"),
        ({"noise": "yes"}, "one of 'on', 'cut', 'off', 'none'"),
        ({"averaged": "all"}, "one of 'none', 'pixels'"),
        ({"lesson": "magic"}, "no lesson is called 'magic'"),
    ],
)
def test_wrong_settings_are_named(wrong: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        playground.playground(**wrong)


# What is handed to the page


def test_the_sheet_gives_the_same_bytes_back() -> None:
    x, y = thumbnails()
    assert x.shape == (704, 3, 16, 16) and x.dtype == torch.uint8 and set(y.tolist()) == {0, 1}
    with Image.open(io.BytesIO(playground.sprite(x))) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB")))
    tiles = pixels.view(-1, 16, playground.COLUMNS, 16, 3).permute(0, 2, 4, 1, 3).reshape(-1, 3, 16, 16)
    assert torch.equal(tiles, x)


def test_output_is_small_and_says_what_it_shows() -> None:
    figure = playground.playground(lesson="cut", seed=4)
    assert len(figure.html.encode()) < 600_000
    assert figure.html.index("<img") < figure.html.index("<script")
    assert f'alt="{escape(playground.ALT)}"' in figure.html
    assert "http://" not in figure.html.replace("http://www.w3.org/2000/svg", "") and "https://" not in figure.html
    assert '"lesson":"cut"' in figure.html and '"seed":4' in figure.html
    assert set(figure._repr_mimebundle_()) == {"text/html", "text/plain"}


def test_the_page_escapes_its_title() -> None:
    page = playground.playground_page("a < b")
    assert page.startswith("<!doctype html>") and "<title>a &lt; b</title>" in page and "{figure}" not in page
