"""Kernel widgets: every control changes picture and text, and what they say is what torch says."""

from __future__ import annotations

import asyncio
import io
import re
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from scripts import notebooks as runner
from tests.support import hygiene
from tests.support.pngs import pixels
from vae_utils import data, widgets
from vae_utils.data import drawing
from vae_utils.losses import gaussian_kl
from vae_utils.models import VAE, Autoencoder
from vae_utils.training import autoencoder_loss, fit, vae_loss
from vae_utils.widgets import kernel

PART = re.compile(r'<img src="([^"]+)".*?left: ([\d.]+)%; top: ([\d.]+)%; width: ([\d.]+)%; height: ([\d.]+)%"')


def module(name: str) -> Any:
    """The module of a widget: as an attribute of the package, its name is the function."""
    getattr(widgets, name)
    return sys.modules[f"vae_utils.widgets.{name}"]


def shown(figure: kernel.KernelFigure) -> tuple[np.ndarray, str]:
    """The picture and the text that the page has now."""
    whole = pixels(figure.ground.style).copy()
    sides = whole.shape[1], whole.shape[0], whole.shape[1], whole.shape[0]
    for png, *place in PART.findall(figure.picture.value):
        left, top, width, height = (float(part) * side / 100 for part, side in zip(place, sides, strict=True))
        part = pixels(png)
        assert (part.shape[1], part.shape[0]) == (round(width), round(height))
        whole[round(top) : round(top) + round(height), round(left) : round(left) + round(width)] = part
    return whole, re.sub("<[^>]+>", " ", figure.readout.value)


@pytest.fixture(scope="module")
def pictures() -> data.Dataset:
    return data.load("cats_dogs")


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits")


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """The outputs that are displayed; an update stands behind what it replaces."""
    outputs: list[dict] = []

    class Handle:
        def update(self, bundle: dict, raw: bool) -> None:
            outputs.append(bundle)

    def display(bundle: dict, raw: bool, display_id: bool = False) -> Handle | None:
        assert raw
        outputs.append(bundle)
        return Handle() if display_id else None

    monkeypatch.setattr(kernel, "display", display)
    monkeypatch.setattr(module("watch_training"), "display", display)
    return outputs


def small_vae(shape: tuple[int, int, int], latent_dim: int = 2, seed: int = 0, **settings: Any) -> VAE:
    torch.manual_seed(seed)
    return VAE(shape, latent_dim, hidden=(16, 16), **settings)


# --- What all share ---------------------------------------------------------------------------------------------------


def test_the_quick_png_is_the_picture() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (7, 5, 4), dtype=np.uint8)
    read = Image.open(io.BytesIO(kernel.quick_png(picture)))
    read.load()
    assert read.mode == "RGB"
    assert np.array_equal(np.asarray(read), picture[:, :, :3])


def test_a_widget_is_shown_with_what_stands_where_no_kernel_runs(displayed: list[dict]) -> None:
    figure = widgets.two_gaussians()
    figure._ipython_display_()
    (bundle,) = displayed
    assert bundle[kernel.VIEW]["model_id"] == figure.box.model_id
    assert kernel.NOTE in bundle["text/html"]
    assert hygiene.Pictures(bundle["text/html"]).pictures == 1
    assert hygiene.Pictures(bundle["text/html"]).silent == 0
    assert "<script" not in bundle["text/html"]
    assert "onload" not in bundle["text/html"]
    assert bundle["text/plain"].startswith("[Figure: ")
    differ = np.abs(pixels(bundle["text/html"]).astype(int) - shown(figure)[0])
    assert differ.mean() < 1  # 256 colors


def test_no_figure_is_left_to_the_notebook() -> None:
    before = plt.get_fignums()
    widgets.trick()
    assert plt.get_fignums() == before


def test_the_notebooks_style_stays_as_it_is() -> None:
    with plt.rc_context({"font.size": 3.0}):
        widgets.two_gaussians()
        assert plt.rcParams["font.size"] == 3.0


def test_only_the_moving_parts_are_drawn_on_a_move(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = widgets.two_gaussians()
    monkeypatch.setattr(kernel.Sheet, "refresh", lambda *_: pytest.fail("drew everything"))
    monkeypatch.setattr(module("two_gaussians"), "_scale", lambda *_: pytest.fail("drew everything"))
    figure.controls[0].value = 0.95


@pytest.fixture
def in_a_kernel(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Awaitable]], None]:
    """What runs moves as a kernel does, in an event loop."""
    monkeypatch.setattr(kernel, "get_ipython", lambda: SimpleNamespace(kernel=None))

    def run(moves: Callable[[], Awaitable]) -> None:
        async def limited() -> None:
            await asyncio.wait_for(moves(), 60)

        with ThreadPoolExecutor(1) as pool:  # this thread may have an event loop of a browser's
            pool.submit(asyncio.run, limited()).result()

    return run


async def drawn_ahead(figure: kernel.KernelFigure, number: int = 0) -> list[tuple]:
    """Wait until the places next to that of a control are drawn ahead; the controls' values there, in this order."""
    before, after = figure.values()[:number], figure.values()[number + 1 :]
    expected = {kernel.places([*before, value, *after]) for value in kernel.next_to(figure.controls[number])}
    while set(figure._ahead) != expected:
        await asyncio.sleep(0)
    return list(figure._ahead)


def test_in_a_kernel_the_text_follows_when_the_controls_rest(in_a_kernel: Callable) -> None:
    figure = widgets.two_gaussians()
    pictures, texts = [], []
    figure.picture.observe(pictures.append, names="value")
    figure.readout.observe(texts.append, names="value")

    async def moves() -> None:
        said = asyncio.get_running_loop().create_future()
        figure.readout.observe(said.set_result, names="value")
        for value in (0.5, 0.0, -0.5):
            figure.controls[0].value = value
        assert len(pictures) == 3
        assert not texts
        await said

    in_a_kernel(moves)
    (change,) = texts
    assert change["new"] == kernel.readout_html(figure.frame.text)
    assert "-0.50" in figure.frame.text


def test_a_resting_figure_draws_the_next_places_ahead(in_a_kernel: Callable) -> None:
    figure = widgets.two_gaussians(mu=0.95)
    mu, sigma, _ = figure.controls
    look, looked = figure.look, []
    figure.look = lambda *values: (looked.append(values), look(*values))[1]

    async def moves() -> None:
        mu.value = 1.0
        assert await drawn_ahead(figure) == [(1.05, 0.6, False), (0.95, 0.6, False)]  # onward first
        assert figure.frame.text == look(1.0, 0.6, False).text
        looked.clear()
        mu.value = 1.05 + 1e-15  # as a page may count
        assert not looked
        expected = widgets.two_gaussians(mu=1.05)
        assert np.array_equal(shown(figure)[0], expected.frame.picture[:, :, :3])
        assert figure.frame.text == expected.frame.text
        sigma.value = 0.65  # another control: nothing is ready
        assert looked == [(mu.value, 0.65, False)]
        assert await drawn_ahead(figure, 1) == [(1.05, 0.7, False), (1.05, 0.6, False)]
        mu.value = 2.0
        assert await drawn_ahead(figure) == [(1.95, 0.65, False)]  # there is nothing beyond

    in_a_kernel(moves)


@pytest.mark.parametrize("name", ["trick", "two_gaussians", "beta_slider", "draw_your_own"])
def test_what_is_drawn_ahead_is_what_would_have_been_drawn(
    in_a_kernel: Callable, pictures: data.Dataset, name: str
) -> None:
    def new() -> kernel.KernelFigure:
        if name == "beta_slider":
            models = {float(beta): small_vae(pictures.shape, seed=beta) for beta in range(1, 9)}
            return widgets.beta_slider(models, pictures.test.x[:50])
        if name == "draw_your_own":
            return widgets.draw_your_own(small_vae(pictures.shape), pictures)
        return getattr(widgets, name)()

    figure, plain = new(), new()
    control = figure.controls[0]

    def step() -> None:
        values = kernel.next_to(control)
        control.value = values[-1]

    seen = []

    async def moves() -> None:
        step()
        for _ in range(5):
            await drawn_ahead(figure)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(figure, "_draw", lambda **_: pytest.fail("was not drawn ahead"))
                step()
            seen.append((control.value, shown(figure)[0], figure.frame.text))

    in_a_kernel(moves)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "get_ipython", lambda: None)
        plain.controls[0].value = kernel.next_to(plain.controls[0])[-1]
        for value, picture, text in seen:
            plain.controls[0].value = value
            assert np.array_equal(picture, shown(plain)[0])
            assert text == plain.frame.text
    assert len({picture.tobytes() for _, picture, _ in seen}) == 5


def test_a_model_that_has_learned_since_is_looked_at_again(in_a_kernel: Callable, pictures: data.Dataset) -> None:
    model = small_vae(pictures.shape)
    figure = widgets.draw_your_own(model, pictures)

    async def moves() -> None:
        figure.controls[0].value = 0.5
        await drawn_ahead(figure)
        torch.nn.init.normal_(model.decoder[-1].bias)
        figure.controls[0].value = 0.55
        before = figure.frame
        while figure.frame is before:
            await asyncio.sleep(0)
        assert not np.array_equal(before.picture, figure.frame.picture)
        expected = figure.look(*figure.values())
        assert np.array_equal(shown(figure)[0], expected.picture[:, :, :3])

    in_a_kernel(moves)


def test_a_place_that_cannot_be_drawn_is_said_when_the_control_is_there(in_a_kernel: Callable) -> None:
    figure = widgets.two_gaussians(mu=0.9)
    look = figure.look
    figure.look = lambda mu, *others: look(mu, *others) if mu < 1.04 else 1 / 0

    async def moves() -> None:
        figure.controls[0].value = 1.0
        while not figure._ahead:
            await asyncio.sleep(0)
        assert list(figure._ahead) == [(0.95, 0.6, False)]
        assert "N(1.00" in shown(figure)[1]
        figure.controls[0].value = 1.05
        assert "could not be drawn: division by zero" in shown(figure)[1]

    in_a_kernel(moves)


def test_a_new_roll_is_never_one_drawn_ahead(in_a_kernel: Callable) -> None:
    figure = widgets.trick()
    mu, _, keep = figure.controls

    async def moves() -> None:
        keep.value = False
        mu.value = 1.1
        for value in (1.2, 1.3, 1.4):
            await drawn_ahead(figure)
            before = re.search("ε = .*?,", figure.frame.text)[0]
            mu.value = value
            assert not figure._ahead
            assert before not in figure.frame.text
        figure.button.click()
        assert not figure._ahead

    in_a_kernel(moves)


def test_the_steps_of_each_kind_of_control() -> None:
    assert kernel.next_to(kernel.slider("μ", 0, 1, 0.3)) == [0.2, 0.4]
    assert kernel.next_to(kernel.slider("μ", 0, 1, 0)) == [0.1]
    assert kernel.next_to(kernel.slider("μ", 0, 1, 1)) == [0.9]
    choice = ipywidgets.SelectionSlider(options=[("a", 4.0), ("b", 2.0), ("c", 1.0)], value=4.0)
    assert kernel.next_to(choice) == [2.0]
    choice.value = 2.0
    assert kernel.next_to(choice) == [4.0, 1.0]
    assert kernel.next_to(ipywidgets.Checkbox(value=True)) == [False]


def test_an_error_on_a_move_is_said_and_the_picture_stays() -> None:
    figure = widgets.two_gaussians()
    before, _ = shown(figure)
    figure.look = lambda *_: 1 / 0
    figure.controls[0].value = 0.5
    after, text = shown(figure)
    assert "could not be drawn: division by zero" in text
    assert np.array_equal(before, after)


def test_text_in_a_figure_is_escaped() -> None:
    assert "<b>" not in kernel.readout_html("<b>")
    black = np.zeros((5, 5, 4), np.uint8)
    assert '"<' not in kernel.picture_html(black, '"<')
    assert '"<' not in kernel.Ground(black).under(black, '"<')


def test_the_page_gets_the_parts_that_differ_from_the_first_picture() -> None:
    first = np.full((20, 400, 4), 255, np.uint8)
    ground, later = kernel.Ground(first), first.copy()
    assert "<img" not in ground.under(later, "white")
    later[7, 12, 1] = later[11, 14, 0] = 0  # these two lie in one tile across, the next beyond a gap
    later[19, 399, 2] = 0
    assert kernel.changed(first, later) == [(10, 5, 15, 15), (395, 15, 400, 20)]
    html = ground.under(later, "dots")
    assert [pixels(part[0]).shape for part in PART.findall(html)] == [(10, 5, 3), (5, 5, 3)]
    assert 'aria-label="dots"' in html
    later[:, 100] = 0  # nearer than the gap to nothing: a part of its own
    assert len(kernel.changed(first, later)) == 3
    later[0, 40] = 0
    assert kernel.changed(first, later)[0] == (10, 0, 45, 15)


def test_figures_fit_the_page_in_whole_pixels() -> None:
    for sides in ((9.2, 3.1), (5.01, 2.53)):
        width, height = kernel.new_figure(*sides).bbox.size
        assert width % kernel.TILE == height % kernel.TILE == 0
        assert abs(width / kernel.DPI - sides[0]) < 0.03


def test_a_first_picture_stays_when_the_canvas_is_drawn_on() -> None:
    figure = widgets.two_gaussians()
    first = shown(figure)[0]
    figure.controls[0].value = -1.5
    assert np.array_equal(pixels(figure.ground.style), first)
    assert not np.array_equal(shown(figure)[0], first)
    figure.controls[0].value = 1.0
    assert np.array_equal(shown(figure)[0], first)


def test_stored_notebooks_hold_no_widget() -> None:
    live = {kernel.VIEW: {"model_id": "1"}, "text/html": "<p>static</p>", "text/plain": "x"}
    bare = {kernel.VIEW: {"model_id": "2"}, "text/plain": "HBox()"}
    outputs = [new_output("display_data", data=dict(d)) for d in (live, bare)] + [new_output("stream", text="1")]
    notebook = new_notebook(cells=[new_code_cell("f()", outputs=outputs)])
    assert len([p for p in hygiene.output_problems(notebook) if "a stored widget" in p]) == 2
    kept = runner.without_widgets(outputs)
    assert [set(output.get("data", {})) for output in kept] == [{"text/html", "text/plain"}, set()]
    notebook.cells[0].outputs = kept
    assert list(hygiene.output_problems(notebook)) == []


# --- Wrong models and pictures ----------------------------------------------------------------------------------------


def spoiled(model: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        model.decoder[0].weight[0, 0] = float("nan")
    return model


@pytest.mark.parametrize(
    ("model", "error", "says"),
    [
        (None, TypeError, "`encode` and `decode`.*None"),
        (torch.nn.Linear(2, 2), TypeError, "`encode` and `decode`.*Linear"),
        (small_vae((3, 32, 32), 3), ValueError, "codes of 3 numbers.*latent_dim=2"),
        (small_vae((1, 28, 28)), ValueError, r"takes pictures \(1, 28, 28\).*\(3, 32, 32\)"),
        (spoiled(small_vae((3, 32, 32))), ValueError, "not finite.*decoder.0.weight"),
    ],
)
def test_a_wrong_model_is_named_before_anything_is_shown(
    pictures: data.Dataset, displayed: list[dict], model: object, error: type, says: str
) -> None:
    with pytest.raises(error, match=says):
        widgets.draw_your_own(model, pictures)
    if "3 numbers" not in says:
        with pytest.raises(error, match=says):
            widgets.watch_training(model, pictures, steps=1)
    assert displayed == []


def test_wrong_settings_are_named(pictures: data.Dataset, digits: data.Dataset) -> None:
    for wrong in ({"mu": 9}, {"sigma": 0}, {"target": 7}, {"draws": 10}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            widgets.trick(**wrong)
    for wrong in ({"mu": -3}, {"sigma": 0.1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            widgets.two_gaussians(**wrong)
    model = small_vae(pictures.shape)
    with pytest.raises(ValueError, match=r"digits.*DATASET = \"cats_dogs\""):
        widgets.draw_your_own(small_vae(digits.shape), digits)
    with pytest.raises(ValueError, match="whiskers.*species"):
        widgets.draw_your_own(model, pictures, factors=["whiskers"])
    with pytest.raises(ValueError, match="one or two"):
        widgets.draw_your_own({"a": model, "b": model, "c": model}, pictures)
    with pytest.raises(TypeError, match="data set"):
        widgets.draw_your_own(model, pictures.test.x)
    with pytest.raises(TypeError, match="leave `watch` out"):
        widgets.watch_training(model, pictures, watch=print)
    with pytest.raises(ValueError, match="to show"):
        widgets.watch_training(model, pictures, shown=digits.test.x)
    with pytest.raises(TypeError, match="tensor"):
        widgets.watch_training(model, [1, 2])


# --- The trick --------------------------------------------------------------------------------------------------------


def test_the_tricks_arrow_is_autograds_gradient() -> None:
    figure = widgets.trick(mu=1.3, sigma=0.7)
    _, text = shown(figure)
    epsilon = float(re.search(r"ε = (-?[\d.]+)", text)[1])
    mu, sigma = (torch.tensor(value, requires_grad=True) for value in (1.3, 0.7))
    ((mu + sigma * epsilon - 5) ** 2).backward()
    found = re.search(r"its gradient (-?[\d.]+) reaches μ as it is, and σ times ε: (-?\d+\.\d+)", text)
    assert float(found[1]) == pytest.approx(mu.grad.item(), abs=0.02)
    assert float(found[2]) == pytest.approx(sigma.grad.item(), abs=0.02)


@pytest.mark.parametrize(("mu", "sigma"), [(1.0, 1.0), (-1.0, 0.1), (6.0, 2.0)])
def test_the_tricks_estimators_are_autograds_and_scatter_as_the_formulas_say(mu: float, sigma: float) -> None:
    trick = module("trick")
    rolls = np.random.default_rng(1).standard_normal(100_000)
    path, score = trick.slopes(mu, sigma, 5.0, rolls)
    m = torch.full((len(rolls),), mu, dtype=torch.float64, requires_grad=True)
    z = m + sigma * torch.from_numpy(rolls)
    ((z - 5) ** 2).sum().backward()
    assert np.allclose(path, m.grad)
    (log_q,) = torch.autograd.grad(torch.distributions.Normal(m, sigma).log_prob(z.detach()).sum(), m)
    assert np.allclose(score, ((z.detach() - 5) ** 2 * log_q).numpy())
    for estimates, exact in zip((path, score), trick.variances(mu, sigma, 5.0), strict=True):
        assert estimates.mean() == pytest.approx(2 * (mu - 5), abs=5 * (exact / len(rolls)) ** 0.5)
        assert estimates.var() == pytest.approx(exact, rel=0.05)


def test_a_kept_roll_glides_and_a_new_one_jumps() -> None:
    figure = widgets.trick()
    mu, sigma, keep = figure.controls
    rolls = []

    def roll() -> str:
        return re.search(r"ε = (-?[\d.]+)", shown(figure)[1])[1]

    for place in (1.5, 2.0, 2.5):
        mu.value = place
        rolls.append(roll())
    sigma.value = 0.5
    assert {*rolls, roll()} == {rolls[0]}
    keep.value = False
    new = set()
    for place in (1.5, 2.0, 2.5):
        mu.value = place
        new.add(roll())
    assert len(new) == 3
    before = shown(figure)
    figure.button.click()
    assert roll() not in new
    assert not np.array_equal(before[0], shown(figure)[0])


def test_the_same_seed_rolls_the_same_dice() -> None:
    assert shown(widgets.trick(seed=3))[1] == shown(widgets.trick(seed=3))[1] != shown(widgets.trick(seed=4))[1]


# --- Two Gaussians ----------------------------------------------------------------------------------------------------


def test_the_area_is_the_closed_form_everywhere() -> None:
    two = module("two_gaussians")
    for mu in (-2.0, 0.0, 0.35, 2.0):
        for sigma in (0.3, 1.0, 2.5):
            closed = two.closed_forms(mu, sigma)
            for reverse in (False, True):
                above, below = two.areas(two.integrand(mu, sigma, reverse))
                assert above - below == pytest.approx(closed[reverse], abs=1e-6)
            code = torch.tensor([[mu]], dtype=torch.float64), torch.tensor([[sigma**2]], dtype=torch.float64).log()
            assert closed[0] == pytest.approx(gaussian_kl(*code).item(), abs=1e-12)
            q, p = torch.distributions.Normal(mu, sigma), torch.distributions.Normal(0.0, 1.0)
            assert closed[1] == pytest.approx(torch.distributions.kl_divergence(p, q).item(), rel=1e-5, abs=1e-6)


def test_moving_a_gaussian_moves_picture_and_text() -> None:
    figure = widgets.two_gaussians()
    mu, sigma, reverse = figure.controls
    seen = [shown(figure)[0]]
    for control, value in ((mu, -1.5), (sigma, 0.3), (reverse, True), (mu, 0.0)):
        control.value = value
        picture, text = shown(figure)
        assert all(not np.array_equal(picture, earlier) for earlier in seen)
        seen.append(picture)
    exact = module("two_gaussians").closed_forms(0.0, 0.3)
    assert f"closed form says {exact[1]:.4f}" in text
    assert f"KL(q ‖ p) = {exact[0]:.4f}" in text


def test_the_curve_always_fits_its_panel() -> None:
    two = module("two_gaussians")
    for mu in (-2.0, 2.0):
        assert two.integrand(mu, 0.3, True).max() < two.HEIGHTS[-1]


# --- Beta -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sweep() -> dict[float, VAE]:
    return {beta: small_vae((1, 8, 8), 3, i, likelihood="bernoulli") for i, beta in enumerate((4, 1, 1 / 16))}


def test_beta_shows_what_the_chosen_model_draws(sweep: dict[float, VAE], digits: data.Dataset) -> None:
    record = {"runs": [{"dataset": "digits", "rate": [1, 2], "distortion": [9, 3]}]}
    figure = widgets.beta_slider(sweep, digits, record=record, dataset="digits", seed=5)
    (slider,) = figure.controls
    assert slider.options == (("1/16", 1 / 16), ("1", 1), ("4", 4))
    assert slider.value == 1
    sheets = []
    for beta, model in sweep.items():
        slider.value = beta
        picture, text = shown(figure)
        sheets.append(picture)
        x = digits.test.x
        with torch.no_grad():
            mu, logvar = model.encode(x)
            noise = torch.randn(6, 3, generator=torch.Generator().manual_seed(5))
            for expected in (model.mean(mu[:1])[0], model.mean(noise)[0]):
                assert contains(picture, kernel.to_bytes(expected))
        assert f"carries {gaussian_kl(mu, logvar).mean():.2f} nats" in text
        assert f"β = {module('beta_slider').name_of(beta)}:" in text
    assert not np.array_equal(sheets[0], sheets[1])


def contains(sheet: np.ndarray, picture: np.ndarray) -> bool:
    """Whether a picture stands in the sheet, each of its pixels as a square of some size."""
    sheet, picture = (part @ np.array([65536, 256, 1]) for part in (sheet, picture))  # a number for a color
    largest = min(whole // part for whole, part in zip(sheet.shape, picture.shape, strict=True))
    for times in range(3, largest + 1):
        large = picture.repeat(times, 0).repeat(times, 1)
        height, width = large.shape
        here = np.ones((sheet.shape[0] - height + 1, sheet.shape[1] - width + 1), bool)
        for y, x in ((0, 0), (height // 2, width // 2), (-1, -1), (height // 3, width // 4), (0, -1)):  # pixels first
            top, left = y % height, x % width
            here &= sheet[top : top + here.shape[0], left : left + here.shape[1]] == large[y, x]
        if any((sheet[top : top + height, left : left + width] == large).all() for top, left in np.argwhere(here)):
            return True
    return False


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_rate_and_distortion_are_those_of_the_loss(digits: data.Dataset, likelihood: str) -> None:
    model, x = small_vae((1, 8, 8), 3, likelihood=likelihood, sigma=0.3), digits.test.x[:700]
    rate, distortion = module("beta_slider").rate_and_distortion(model, x)
    torch.manual_seed(1)
    with torch.no_grad():
        terms = [vae_loss(model, x) for _ in range(20)]
    if likelihood == "bernoulli":
        floor = torch.nn.functional.binary_cross_entropy(x, x, reduction="none").flatten(1).sum(1).mean()
    else:
        floor = 64 * (np.log(0.3) + 0.5 * np.log(2 * np.pi))
    nll = torch.stack([term["nll"].mean() for term in terms])
    assert rate == pytest.approx(terms[0]["kl"].mean().item(), rel=1e-4)
    assert distortion == pytest.approx(nll.mean().item() - float(floor), abs=5 * nll.std().item())


def test_wrong_sweeps_are_named(sweep: dict[float, VAE], digits: data.Dataset) -> None:
    beta = widgets.beta_slider
    with pytest.raises(TypeError, match="dictionary"):
        beta([sweep[1]], digits)
    with pytest.raises(TypeError, match="two models"):
        beta({1: sweep[1]}, digits)
    with pytest.raises(ValueError, match="'1' is no beta"):
        beta({"1": sweep[1], 4: sweep[4]}, digits)
    with pytest.raises(TypeError, match="beta = 4 is no VAE"):
        beta({1: sweep[1], 4: Autoencoder((1, 8, 8), 3)}, digits)
    with pytest.raises(ValueError, match="one length"):
        beta({1: sweep[1], 4: small_vae((1, 8, 8), 4, likelihood="bernoulli")}, digits)
    with pytest.raises(ValueError, match="beta = 4 has weights"):
        beta({1: sweep[1], 4: spoiled(small_vae((1, 8, 8), 3))}, digits)
    with pytest.raises(ValueError, match="samples"):
        beta(sweep, digits, samples=0)
    with pytest.raises(ValueError, match="to show"):
        beta(sweep, digits, shown=torch.zeros(2, 3, 8, 8))


# --- Draw your own ----------------------------------------------------------------------------------------------------


def test_your_animal_is_drawn_encoded_and_drawn_again(pictures: data.Dataset) -> None:
    models = {"autoencoder": Autoencoder(pictures.shape, 2, (16, 16)), "VAE": small_vae(pictures.shape)}
    figure = widgets.draw_your_own(models, pictures)
    names = [control.description for control in figure.controls]
    usual = {name: value for name, (_, _, value) in drawing.FACTORS.items()}
    assert [control.value for control in figure.controls] == [usual[name] for name in names]
    chosen = {"species": 1.0, "ears": 0.8, "light": 0.3}
    for control in figure.controls:
        control.value = chosen.get(control.description, control.value)
    picture, text = shown(figure)
    x = torch.from_numpy(data.draw(**chosen)).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        mu, logvar = models["VAE"].encode(x)
        code = models["autoencoder"].encode(x)
        back = models["VAE"].mean(mu)[0], models["autoencoder"].decode(code)[0]
    assert f"VAE: μ = ({mu[0, 0]:.2f}, {mu[0, 1]:.2f})" in text
    sigma = (0.5 * logvar[0]).exp()
    assert f"σ = ({sigma[0]:.2f}, {sigma[1]:.2f})" in text
    assert f"autoencoder: code = ({code[0, 0]:.2f}, {code[0, 1]:.2f});" in text
    for expected in (x[0], *back):
        assert contains(picture, kernel.to_bytes(expected))


def test_every_factor_can_have_a_slider(pictures: data.Dataset) -> None:
    figure = widgets.draw_your_own(small_vae(pictures.shape), pictures, factors=tuple(drawing.FACTORS))
    for control in figure.controls:
        before, _ = shown(figure)
        control.value = control.min
        control.value = control.max
        assert not np.array_equal(before, shown(figure)[0]), control.description


# --- Training watched -------------------------------------------------------------------------------------------------


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([part.detach().flatten() for part in model.parameters()])


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The windows that training opens, on the CPU."""
    monkeypatch.setenv("VAE_DEVICE", "cpu")
    kind, opened = module("watch_training")._Window, []
    init = kind.__init__
    monkeypatch.setattr(kind, "__init__", lambda self, *args: (opened.append(self), init(self, *args))[1])
    return opened


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("kind", ["VAE", "Autoencoder"])
def test_watching_teaches_exactly_what_fit_does(
    digits: data.Dataset, displayed: list[dict], windows: list[Any], kind: str
) -> None:
    def new() -> torch.nn.Module:
        torch.manual_seed(0)
        return VAE(digits.shape, 2, (16,), "bernoulli") if kind == "VAE" else Autoencoder(digits.shape, 2, (16,))

    watched, plain = new(), new()
    before = torch.get_rng_state()
    history = widgets.watch_training(watched, digits, steps=60, record_every=20, seed=3)
    assert torch.equal(before, torch.get_rng_state())
    expected = fit(plain, digits.train.x, steps=60, record_every=20, seed=3)
    assert torch.equal(weights(watched), weights(plain))
    assert (history.step, history.terms) == (expected.step, expected.terms)
    assert not history.stopped
    first, last = displayed
    assert first[kernel.VIEW] == last[kernel.VIEW]
    assert "Not trained yet" in first["text/html"]
    assert f"Step 60 of 60: loss {history['loss'][-1]:.2f}" in last["text/html"]
    assert "Done." in last["text/html"]
    with torch.no_grad():
        x = digits.test.x[[digits.followed[0]]]
        code = watched.encode(x)
        back = watched.mean(code[0]) if kind == "VAE" else watched.decode(code)
    picture, _ = shown(windows[0].figure)
    assert contains(picture, kernel.to_bytes(back[0]))
    assert contains(picture, kernel.to_bytes(x[0]))


@pytest.mark.usefixtures("windows")
def test_the_stop_button_keeps_what_was_learned(
    digits: data.Dataset, displayed: list[dict], capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = module("watch_training")
    look = watching._Window.look

    def push_at_40(window: Any, history: Any) -> bool:
        if history.step[-1] == 40:
            window.button.click()
        return look(window, history)

    monkeypatch.setattr(watching._Window, "look", push_at_40)
    model, plain = small_vae(digits.shape, likelihood="bernoulli"), small_vae(digits.shape, likelihood="bernoulli")
    history = widgets.watch_training(model, digits, steps=400, record_every=20)
    assert history.stopped
    assert history.step == [20, 40]
    assert model.trained_steps == 40
    assert "Stopped at step 40 of 400" in capsys.readouterr().out
    assert "Stopped; the model keeps what it has learned." in displayed[-1]["text/html"]
    fit(plain, digits.train.x, steps=400, record_every=20, watch=lambda h: h.step[-1] == 40)
    assert torch.equal(weights(model), weights(plain))


@pytest.mark.usefixtures("windows")
def test_an_interrupt_keeps_what_was_learned(digits: data.Dataset, displayed: list[dict]) -> None:
    steps = []

    def loss(model: torch.nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
        steps.append(1)
        if len(steps) == 33:
            raise KeyboardInterrupt
        return vae_loss(model, x)

    model = small_vae(digits.shape, likelihood="bernoulli")
    history = widgets.watch_training(model, digits, steps=400, record_every=10, loss=loss)
    assert history.stopped
    assert model.trained_steps == 32
    assert "Stopped; the model keeps" in displayed[-1]["text/html"]


@pytest.mark.usefixtures("windows")
def test_a_training_that_fails_says_so_in_its_window(
    digits: data.Dataset, displayed: list[dict], windows: list[Any]
) -> None:
    def broken(model: torch.nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": autoencoder_loss(model, x)["loss"] * float("nan")}

    with pytest.raises(RuntimeError, match="nan"):
        widgets.watch_training(Autoencoder(digits.shape, 2, (8,)), digits, steps=50, record_every=10, loss=broken)
    assert "TrainingDiverged" in windows[0].figure.readout.value
    assert windows[0].button.disabled


def test_watch_in_fit_sees_every_entry_and_stops(digits: data.Dataset) -> None:
    seen: list[int] = []
    model = Autoencoder(digits.shape, 2, (8,))
    fit(model, digits.train.x, steps=30, record_every=10, watch=lambda history: seen.append(history.step[-1]))
    assert seen == [10, 20, 30]
    last = fit(model, digits.train.x, steps=20, record_every=10, watch=lambda _: True)
    assert (last.step, last.stopped) == ([10], True)
    whole = fit(model, digits.train.x, steps=10, record_every=10, watch=lambda _: True)
    assert not whole.stopped  # it was at its end anyway


def test_the_busy_thread_is_forgotten() -> None:
    """What ipykernel 7.4 remembers, and a widget without a kernel."""

    class Comm:
        _reply_subshell_id = "class"

    class Widget:
        comm: object = Comm()

    Widget.comm.__dict__["_reply_subshell_id"] = None
    module("watch_training").let_subshell_hear(Widget)
    assert Widget.comm._reply_subshell_id == "class"
    Widget.comm = None
    module("watch_training").let_subshell_hear(Widget)


def test_run_all_trains_shows_the_end_and_goes_on(tmp_path: Any) -> None:
    """In a kernel without a page: nbclient, as `make notebooks`, nbval and papermill use it."""
    code = (
        "import torch\nfrom vae_utils import data, widgets\nfrom vae_utils.models import Autoencoder\n"
        "torch.manual_seed(0)\nd = data.load('digits')\nmodel = Autoencoder(d.shape, 2, (8,))\n"
        "history = widgets.watch_training(model, d, steps=50)"
    )
    cells = [new_code_cell(code), new_code_cell("widgets.two_gaussians()"), new_code_cell("print(model.trained_steps)")]
    path = tmp_path / "01_run_all.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    run = runner.execute(path)
    assert run.error is None
    assert run.notebook.cells[2].outputs[0].text == "50\n"
    (trained,), (still,) = (cell.outputs for cell in run.notebook.cells[:2])
    assert "Step 50 of 50" in trained.data["text/html"]
    assert kernel.VIEW not in {*trained.data, *still.data}
    assert kernel.NOTE in runner.page(run)
    assert list(hygiene.output_problems(run.notebook)) == []
