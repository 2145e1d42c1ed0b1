"""Kernel widgets: every control changes picture and text, and what they say is what torch says."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from scripts import notebooks as runner
from scripts.pages import Page as HtmlPage
from tests.support import hygiene
from tests.support.pngs import pixels
from vae_utils import data, widgets
from vae_utils.data import drawing
from vae_utils.likelihoods import Bernoulli, Gaussian
from vae_utils.losses import gaussian_kl
from vae_utils.models import VAE, Autoencoder
from vae_utils.objectives import autoencoder_loss, vae_loss
from vae_utils.training import fit
from vae_utils.widgets import kernel
from vae_utils.widgets.figures import beta_slider, trick, two_gaussians, watch_training

PART = re.compile(r'<img src="([^"]+)".*?left: ([\d.]+)%; top: ([\d.]+)%; width: ([\d.]+)%; height: ([\d.]+)%"')


def shown(box: ipywidgets.VBox) -> tuple[np.ndarray, str]:
    """The picture and the text that the page has now."""
    background, _, picture, readout = box.children[:4]
    whole = pixels(background.value).copy()
    sides = whole.shape[1], whole.shape[0], whole.shape[1], whole.shape[0]
    for png, *place in PART.findall(picture.value):
        left, top, width, height = (float(part) * side / 100 for part, side in zip(place, sides, strict=True))
        part = pixels(png)
        assert (part.shape[1], part.shape[0]) == (round(width), round(height))
        whole[round(top) : round(top) + round(height), round(left) : round(left) + round(width)] = part
    return whole, re.sub("<[^>]+>", " ", readout.value)


def button(box: ipywidgets.Box, name: str) -> ipywidgets.Button:
    """The button of this name in a widget's row of controls."""
    (found,) = (part for part in box.children[1].children if getattr(part, "description", None) == name)
    return found


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
    monkeypatch.setattr(watch_training, "display", display)
    return outputs


def small_vae(shape: tuple[int, int, int], latent_dim: int = 2, seed: int = 0, **settings: Any) -> VAE:
    torch.manual_seed(seed)
    return VAE(shape, latent_dim, **{"likelihood": Gaussian(0.3), "hidden": (16, 16)} | settings)


# --- What all share ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", widgets.__all__)
def test_a_name_is_the_figures_function_whatever_was_imported_before(name: str) -> None:
    module = import_module(f"vae_utils.widgets.figures.{name}")
    assert getattr(widgets, name) is getattr(module, name)
    assert name in dir(widgets)


def test_other_names_are_refused_with_those_there_are() -> None:
    with pytest.raises(AttributeError, match="has no 'histogram'; it has beta_slider, code_map"):
        widgets.histogram  # noqa: B018


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
    assert [bool(picture.alt) for picture in HtmlPage(bundle["text/html"]).pictures] == [True]
    assert "<script" not in bundle["text/html"]
    assert "onload" not in bundle["text/html"]
    assert bundle["text/plain"].startswith("[Figure: ")
    differ = np.abs(pixels(bundle["text/html"]).astype(int) - shown(figure.box)[0])
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
    monkeypatch.setattr(FigureCanvasAgg, "draw", lambda *_: pytest.fail("drew everything"))
    before = shown(figure.box)
    figure.controls[0].value = 0.95
    after = shown(figure.box)
    assert not np.array_equal(before[0], after[0])
    assert before[1] != after[1]


@pytest.fixture
def in_a_kernel(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Awaitable]], None]:
    """What runs moves as a kernel does, in an event loop."""
    monkeypatch.setattr(kernel, "get_ipython", lambda: SimpleNamespace(kernel=None))
    monkeypatch.setattr(kernel, "PAUSE", 0)

    def run(moves: Callable[[], Awaitable]) -> None:
        async def limited() -> None:
            await asyncio.wait_for(moves(), 60)

        with ThreadPoolExecutor(1) as pool:  # this thread may have an event loop of a browser's
            pool.submit(asyncio.run, limited()).result()

    return run


class Recorded:
    """A figure whose drawings are recorded."""

    def __init__(self, figure: kernel.KernelFigure) -> None:
        self.figure, self.drawn, render = figure, [], figure.render

        def recording(*values: Any) -> kernel.Frame:
            self.drawn.append(kernel.rounded(values))
            return render(*values)

        figure.render = recording

    def move(self, control: ipywidgets.Widget, value: Any) -> list[tuple]:
        """Move a control; what was drawn for that at once: the controls' values."""
        self.drawn.clear()
        control.value = value
        return list(self.drawn)

    async def rest(self, control: ipywidgets.Widget, at_once: list[tuple]) -> list[tuple]:
        """Wait until the figure is drawn again and then ahead, for each step of the control; the values, in order."""
        first, steps = len(at_once), len(kernel.steps_from(control))
        while len(self.drawn) < first + 1 + steps:
            await asyncio.sleep(0)
        assert self.drawn[first] == kernel.rounded(self.figure.values())
        return self.drawn[first + 1 :]


def test_in_a_kernel_the_text_follows_when_the_controls_rest(in_a_kernel: Callable) -> None:
    figure = widgets.two_gaussians()
    pictures, texts = [], []
    figure.picture.observe(pictures.append, names="value")
    figure.readout.observe(texts.append, names="value")

    async def moves() -> None:
        followed = asyncio.get_running_loop().create_future()
        figure.readout.observe(followed.set_result, names="value")
        for value in (0.5, 0.0, -0.5):
            figure.controls[0].value = value
        assert len(pictures) == 3
        assert not texts
        await followed

    in_a_kernel(moves)
    (change,) = texts
    assert change["new"] == kernel.readout_html(figure.frame.text)
    assert "-0.50" in figure.frame.text


def test_a_resting_figure_draws_the_next_steps_ahead(in_a_kernel: Callable) -> None:
    figure = widgets.two_gaussians(mu=0.95)
    mu, sigma, _ = figure.controls
    recorded = Recorded(figure)

    async def moves() -> None:
        at_once = recorded.move(mu, 1.0)
        assert await recorded.rest(mu, at_once) == [(1.05, 0.6, False), (0.95, 0.6, False)]  # onward first
        assert "N(1.00" in shown(figure.box)[1]
        assert recorded.move(mu, 1.05 + 1e-15) == []  # as a page may count
        expected = widgets.two_gaussians(mu=1.05)
        assert np.array_equal(shown(figure.box)[0], expected.frame.picture[:, :, :3])
        assert figure.frame.text == expected.frame.text
        at_once = recorded.move(sigma, 0.65)  # another control: nothing is ready
        assert at_once == [(1.05, 0.65, False)]
        assert await recorded.rest(sigma, at_once) == [(1.05, 0.7, False), (1.05, 0.6, False)]
        at_once = recorded.move(mu, 2.0)
        assert await recorded.rest(mu, at_once) == [(1.95, 0.65, False)]  # there is nothing beyond

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
    control, recorded, seen = figure.controls[0], Recorded(figure), []

    async def moves() -> None:
        at_once = recorded.move(control, kernel.steps_from(control)[-1])
        for _ in range(3):
            await recorded.rest(control, at_once)
            at_once = recorded.move(control, kernel.steps_from(control)[-1])
            assert at_once == []
            seen.append((control.value, shown(figure.box)[0], figure.frame.text))

    in_a_kernel(moves)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "get_ipython", lambda: None)
        plain.controls[0].value = kernel.steps_from(plain.controls[0])[-1]
        for value, picture, text in seen:
            plain.controls[0].value = value
            assert np.array_equal(picture, shown(plain.box)[0])
            assert text == plain.frame.text
    assert len({picture.tobytes() for _, picture, _ in seen}) == 3


def test_a_model_that_has_learned_since_is_drawn_again(in_a_kernel: Callable, pictures: data.Dataset) -> None:
    model = small_vae(pictures.shape)
    figure = widgets.draw_your_own(model, pictures)
    control, recorded = figure.controls[0], Recorded(figure)

    async def moves() -> None:
        await recorded.rest(control, recorded.move(control, 0.5))
        torch.nn.init.normal_(model.decoder[-1].bias)
        at_once = recorded.move(control, 0.55)
        old = shown(figure.box)[0]
        await recorded.rest(control, at_once)
        assert not np.array_equal(old, shown(figure.box)[0])
        assert np.array_equal(shown(figure.box)[0], figure.render(*figure.values()).picture[:, :, :3])

    in_a_kernel(moves)


def test_an_error_of_a_step_is_shown_when_the_control_is_there(in_a_kernel: Callable) -> None:
    figure = widgets.two_gaussians(mu=0.9)
    mu, render = figure.controls[0], figure.render
    figure.render = lambda mu, *others: render(mu, *others) if mu < 1.04 else 1 / 0
    recorded = Recorded(figure)

    async def moves() -> None:
        ahead = await recorded.rest(mu, recorded.move(mu, 1.0))
        assert {1.05, 0.95} == {values[0] for values in ahead}
        assert "N(1.00" in shown(figure.box)[1]
        mu.value = 1.05
        assert "could not be drawn: division by zero" in shown(figure.box)[1]

    in_a_kernel(moves)


def test_a_new_epsilon_is_never_one_drawn_ahead(in_a_kernel: Callable) -> None:
    figure = widgets.trick()
    mu, _, keep = figure.controls
    recorded = Recorded(figure)

    def epsilon() -> str:
        return re.search("ε = (.*?) ", figure.frame.text)[1]

    async def moves() -> None:
        await recorded.rest(mu, recorded.move(mu, 1.1))
        button(figure.box, "Roll again").click()
        new = epsilon()
        recorded.move(mu, 1.2)
        assert epsilon() == new
        keep.value = False
        at_once = recorded.move(mu, 1.3)
        seen = {epsilon()}
        for value in (1.4, 1.5, 1.6):
            await recorded.rest(mu, at_once)
            at_once = recorded.move(mu, value)
            seen.add(epsilon())
        assert len(seen) == 4

    in_a_kernel(moves)


def test_the_steps_of_each_kind_of_control() -> None:
    assert kernel.steps_from(kernel.slider("μ", 0, 1, 0.3)) == [0.2, 0.4]
    assert kernel.steps_from(kernel.slider("μ", 0, 1, 0)) == [0.1]
    assert kernel.steps_from(kernel.slider("μ", 0, 1, 1)) == [0.9]
    choice = ipywidgets.SelectionSlider(options=[("a", 4.0), ("b", 2.0), ("c", 1.0)], value=4.0)
    assert kernel.steps_from(choice) == [2.0]
    choice.value = 2.0
    assert kernel.steps_from(choice) == [4.0, 1.0]
    assert kernel.steps_from(ipywidgets.Checkbox(value=True)) == [False]


def test_an_error_on_a_move_is_said_and_the_picture_stays() -> None:
    figure = widgets.two_gaussians()
    before, _ = shown(figure.box)
    figure.render = lambda *_: 1 / 0
    figure.controls[0].value = 0.5
    after, text = shown(figure.box)
    assert "could not be drawn: division by zero" in text
    assert np.array_equal(before, after)


def test_text_in_a_figure_is_escaped() -> None:
    assert "<b>" not in kernel.readout_html("<b>")
    black = np.zeros((5, 5, 4), np.uint8)
    assert '"<' not in kernel.picture_html(black, '"<')
    assert '"<' not in kernel.Background(black).overlay(black, '"<')


def test_the_page_gets_the_parts_that_differ_from_the_first_picture() -> None:
    first = np.full((20, 400, 4), 255, np.uint8)
    background, later = kernel.Background(first), first.copy()
    assert "<img" not in background.overlay(later, "white")
    later[7, 12, 1] = later[11, 14, 0] = 0  # these two lie in one tile across, the next beyond a gap
    later[19, 399, 2] = 0
    assert kernel.changed(first, later) == [(10, 5, 15, 15), (395, 15, 400, 20)]
    html = background.overlay(later, "dots")
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
    first = shown(figure.box)[0]
    figure.controls[0].value = -1.5
    assert np.array_equal(pixels(figure.background.style), first)
    assert not np.array_equal(shown(figure.box)[0], first)
    figure.controls[0].value = 1.0
    assert np.array_equal(shown(figure.box)[0], first)


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
    _, text = shown(figure.box)
    epsilon = float(re.search(r"ε = (-?[\d.]+)", text)[1])
    mu, sigma = (torch.tensor(value, requires_grad=True) for value in (1.3, 0.7))
    ((mu + sigma * epsilon - 5) ** 2).backward()
    found = re.search(r"its gradient (-?[\d.]+) reaches μ as it is, and σ times ε: (-?\d+\.\d+)", text)
    assert float(found[1]) == pytest.approx(mu.grad.item(), abs=0.02)
    assert float(found[2]) == pytest.approx(sigma.grad.item(), abs=0.02)


@pytest.mark.parametrize(("mu", "sigma"), [(1.0, 1.0), (-1.0, 0.1), (6.0, 2.0)])
def test_the_tricks_estimators_are_autograds_and_scatter_as_the_formulas_say(mu: float, sigma: float) -> None:
    epsilon = np.random.default_rng(1).standard_normal(100_000)
    path, score = trick.slopes(mu, sigma, 5.0, epsilon)
    m = torch.full((len(epsilon),), mu, dtype=torch.float64, requires_grad=True)
    z = m + sigma * torch.from_numpy(epsilon)
    ((z - 5) ** 2).sum().backward()
    assert np.allclose(path, m.grad)
    (log_q,) = torch.autograd.grad(torch.distributions.Normal(m, sigma).log_prob(z.detach()).sum(), m)
    assert np.allclose(score, ((z.detach() - 5) ** 2 * log_q).numpy())
    for estimates, exact in zip((path, score), trick.variances(mu, sigma, 5.0), strict=True):
        assert estimates.mean() == pytest.approx(2 * (mu - 5), abs=5 * (exact / len(epsilon)) ** 0.5)
        assert estimates.var() == pytest.approx(exact, rel=0.05)


def test_a_kept_epsilon_stays_and_a_new_one_comes_with_each_move() -> None:
    figure = widgets.trick()
    mu, sigma, keep = figure.controls
    kept = []

    def epsilon() -> str:
        return re.search(r"ε = (-?[\d.]+)", shown(figure.box)[1])[1]

    for place in (1.5, 2.0, 2.5):
        mu.value = place
        kept.append(epsilon())
    sigma.value = 0.5
    assert {*kept, epsilon()} == {kept[0]}
    keep.value = False
    new = set()
    for place in (1.5, 2.0, 2.5):
        mu.value = place
        new.add(epsilon())
    assert len(new) == 3
    before = shown(figure.box)
    button(figure.box, "Roll again").click()
    assert epsilon() not in new
    assert not np.array_equal(before[0], shown(figure.box)[0])


def test_the_same_seed_gives_the_same_noise() -> None:
    assert (
        shown(widgets.trick(seed=3).box)[1]
        == shown(widgets.trick(seed=3).box)[1]
        != shown(widgets.trick(seed=4).box)[1]
    )


# --- Two Gaussians ----------------------------------------------------------------------------------------------------


def test_the_area_is_the_closed_form_everywhere() -> None:
    for mu in (-2.0, 0.0, 0.35, 2.0):
        for sigma in (0.3, 1.0, 2.5):
            closed = two_gaussians.closed_forms(mu, sigma)
            for reverse in (False, True):
                above, below = two_gaussians.areas(two_gaussians.integrand(mu, sigma, reverse))
                assert above - below == pytest.approx(closed[reverse], abs=1e-6)
            code = torch.tensor([[mu]], dtype=torch.float64), torch.tensor([[sigma**2]], dtype=torch.float64).log()
            assert closed[0] == pytest.approx(gaussian_kl(*code).item(), abs=1e-12)
            q, p = torch.distributions.Normal(mu, sigma), torch.distributions.Normal(0.0, 1.0)
            assert closed[1] == pytest.approx(torch.distributions.kl_divergence(p, q).item(), rel=1e-5, abs=1e-6)


def test_moving_a_gaussian_moves_picture_and_text() -> None:
    figure = widgets.two_gaussians()
    mu, sigma, reverse = figure.controls
    seen = [shown(figure.box)[0]]
    for control, value in ((mu, -1.5), (sigma, 0.3), (reverse, True), (mu, 0.0)):
        control.value = value
        picture, text = shown(figure.box)
        assert all(not np.array_equal(picture, earlier) for earlier in seen)
        seen.append(picture)
    exact = two_gaussians.closed_forms(0.0, 0.3)
    assert f"closed form says {exact[1]:.4f}" in text
    assert f"KL(q ‖ p) = {exact[0]:.4f}" in text


def test_the_curve_always_fits_its_panel() -> None:
    for mu in (-2.0, 2.0):
        assert two_gaussians.integrand(mu, 0.3, True).max() < two_gaussians.HEIGHTS[-1]


# --- Beta -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sweep() -> dict[float, VAE]:
    return {beta: small_vae((1, 8, 8), 3, i, likelihood=Bernoulli()) for i, beta in enumerate((4, 1, 1 / 16))}


def test_beta_shows_what_the_chosen_model_draws(sweep: dict[float, VAE], digits: data.Dataset) -> None:
    record = {"runs": [{"dataset": "digits", "rate": [1, 2], "distortion": [9, 3]}]}
    figure = widgets.beta_slider(sweep, digits, record=record, dataset="digits", seed=5)
    (slider,) = figure.controls
    assert slider.options == (("1/16", 1 / 16), ("1", 1), ("4", 4))
    assert slider.value == 1
    sheets = []
    for beta, model in sweep.items():
        slider.value = beta
        picture, text = shown(figure.box)
        sheets.append(picture)
        x = digits.test.x
        with torch.no_grad():
            mu, logvar = model.encode(x)
            noise = torch.randn(6, 3, generator=torch.Generator().manual_seed(5))
            for expected in (model.mean(mu[:1])[0], model.mean(noise)[0]):
                assert contains(picture, kernel.to_bytes(expected))
        rate = float(re.search(r"costs ([\d.]+) nats", text)[1])
        assert rate == pytest.approx(gaussian_kl(mu, logvar).mean().item(), abs=0.01)
        assert f"β = {beta_slider.name_of(beta)}:" in text
    assert not np.array_equal(sheets[0], sheets[1])


def contains(sheet: np.ndarray, picture: np.ndarray) -> bool:
    """Whether a picture stands in the sheet, each of its pixels as a square of some size.

    Colors may differ by 1 of 255: a model's output depends a little on how many pictures it is given at once.
    """
    sheet, picture = sheet.astype(int), picture.astype(int)
    largest = min(whole // part for whole, part in zip(sheet.shape[:2], picture.shape[:2], strict=True))
    by_light = np.argsort(picture.sum(2), axis=None)
    some = np.unravel_index(by_light[np.linspace(0, by_light.size - 1, 9).astype(int)], picture.shape[:2])
    for times in range(3, largest + 1):
        large = picture.repeat(times, 0).repeat(times, 1)
        height, width = large.shape[:2]
        top, left = np.mgrid[: sheet.shape[0] - height + 1, : sheet.shape[1] - width + 1].reshape(2, -1)
        for y, x in zip(*some, strict=True):  # some pixels first: where they fit, the rest is compared
            fits = (np.abs(sheet[top + y * times, left + x * times] - picture[y, x]) <= 1).all(1)
            top, left = top[fits], left[fits]
        for y, x in zip(top, left, strict=True):
            if np.abs(sheet[y : y + height, x : x + width] - large).max() <= 1:
                return True
    return False


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
        beta({1: sweep[1], 4: small_vae((1, 8, 8), 4, likelihood=Bernoulli())}, digits)
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
    picture, text = shown(figure.box)
    x = torch.from_numpy(data.draw(**chosen)).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        mu, logvar = models["VAE"].encode(x)
        code = models["autoencoder"].encode(x)
        back = models["VAE"].mean(mu)[0], models["autoencoder"].decode(code)[0]
    sigma = (0.5 * logvar).exp()
    for start, expected in (("VAE: μ", mu), ("σ", sigma), ("autoencoder: code", code)):
        found = re.search(rf"{start} = \((-?[\d.]+), (-?[\d.]+)\)", text).groups()
        assert [float(number) for number in found] == pytest.approx(expected[0].tolist(), abs=0.01)
    for expected in (x[0], *back):
        assert contains(picture, kernel.to_bytes(expected))


def test_every_factor_can_have_a_slider(pictures: data.Dataset) -> None:
    figure = widgets.draw_your_own(small_vae(pictures.shape), pictures, factors=tuple(drawing.FACTORS))
    for control in figure.controls:
        before, _ = shown(figure.box)
        control.value = control.min
        control.value = control.max
        assert not np.array_equal(before, shown(figure.box)[0]), control.description


# --- Training watched -------------------------------------------------------------------------------------------------


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([part.detach().flatten() for part in model.parameters()])


@pytest.fixture
def boxes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ipywidgets.VBox]]:
    """The boxes that are made, of what trains on the CPU."""
    monkeypatch.setenv("VAE_DEVICE", "cpu")
    made: list[ipywidgets.VBox] = []
    ipywidgets.Widget.on_widget_constructed(lambda widget: isinstance(widget, ipywidgets.VBox) and made.append(widget))
    yield made
    ipywidgets.Widget.on_widget_constructed(None)


@pytest.mark.parametrize("kind", ["VAE", "Autoencoder"])
def test_watching_teaches_exactly_what_fit_does(
    digits: data.Dataset, displayed: list[dict], boxes: list[ipywidgets.VBox], kind: str
) -> None:
    def new() -> torch.nn.Module:
        torch.manual_seed(0)
        return VAE(digits.shape, 2, Bernoulli(), (16,)) if kind == "VAE" else Autoencoder(digits.shape, 2, (16,))

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
    picture, _ = shown(boxes[0])
    assert contains(picture, kernel.to_bytes(back[0]))
    assert contains(picture, kernel.to_bytes(x[0]))


def test_the_stop_button_keeps_what_was_learned(
    digits: data.Dataset, displayed: list[dict], boxes: list[ipywidgets.VBox], capsys: pytest.CaptureFixture
) -> None:
    steps = []

    def loss(model: VAE, x: torch.Tensor) -> dict[str, torch.Tensor]:
        steps.append(1)
        if len(steps) == 33:
            button(boxes[0], "Stop").click()
        return vae_loss(model, x)

    model, plain = small_vae(digits.shape, likelihood=Bernoulli()), small_vae(digits.shape, likelihood=Bernoulli())
    history = widgets.watch_training(model, digits, steps=400, record_every=20, loss=loss)
    assert history.stopped
    assert history.step == [20, 40]
    assert model.trained_steps == 40
    assert "Stopped at step 40 of 400" in capsys.readouterr().out
    assert "Stopped; the model keeps what it has learned." in displayed[-1]["text/html"]
    assert button(boxes[0], "Stop").disabled
    fit(plain, digits.train.x, steps=400, record_every=20, watch=lambda h: h.step[-1] == 40)
    assert torch.equal(weights(model), weights(plain))


@pytest.mark.usefixtures("boxes")
def test_an_interrupt_keeps_what_was_learned(digits: data.Dataset, displayed: list[dict]) -> None:
    steps = []

    def loss(model: VAE, x: torch.Tensor) -> dict[str, torch.Tensor]:
        steps.append(1)
        if len(steps) == 33:
            raise KeyboardInterrupt
        return vae_loss(model, x)

    model = small_vae(digits.shape, likelihood=Bernoulli())
    history = widgets.watch_training(model, digits, steps=400, record_every=10, loss=loss)
    assert history.stopped
    assert model.trained_steps == 32
    assert "Stopped; the model keeps" in displayed[-1]["text/html"]


@pytest.mark.usefixtures("displayed")
def test_a_training_that_fails_says_so_in_its_window(digits: data.Dataset, boxes: list[ipywidgets.VBox]) -> None:
    def broken(model: torch.nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": autoencoder_loss(model, x)["loss"] * float("nan")}

    with pytest.raises(RuntimeError, match="nan"):
        widgets.watch_training(Autoencoder(digits.shape, 2, (8,)), digits, steps=50, record_every=10, loss=broken)
    assert "TrainingDiverged" in shown(boxes[0])[1]
    assert button(boxes[0], "Stop").disabled


def test_watch_in_fit_sees_every_entry_and_stops(digits: data.Dataset) -> None:
    seen: list[int] = []
    model = Autoencoder(digits.shape, 2, (8,))
    fit(model, digits.train.x, steps=30, record_every=10, watch=lambda history: seen.append(history.step[-1]))
    assert seen == [10, 20, 30]
    last = fit(model, digits.train.x, steps=20, record_every=10, watch=lambda _: True)
    assert (last.step, last.stopped) == ([10], True)
    whole = fit(model, digits.train.x, steps=10, record_every=10, watch=lambda _: True)
    assert not whole.stopped  # it was at its end anyway
