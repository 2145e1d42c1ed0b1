"""Kernel widgets: every control changes picture and text, and what they say is what torch says."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook, new_output

from scripts import notebooks as runner
from scripts.pages import Page as HtmlPage
from tests.support import hygiene
from tests.support.pngs import pixels
from vae_utils import data, plots, widgets
from vae_utils.data import drawing
from vae_utils.likelihoods import Bernoulli, Gaussian
from vae_utils.models import VAE, Autoencoder
from vae_utils.objectives import autoencoder_loss, vae_loss
from vae_utils.training import fit
from vae_utils.widgets import kernel
from vae_utils.widgets.figures import watch_training


def shown(box: ipywidgets.VBox) -> tuple[np.ndarray, str]:
    """The picture and the text that the page has now."""
    _, picture, readout = box.children[:3]
    return pixels(picture.value), re.sub("<[^>]+>", " ", readout.value)


def button(box: ipywidgets.Box, name: str) -> ipywidgets.Button:
    """The button of this name in a widget's row of controls."""
    (found,) = (part for part in box.children[0].children if getattr(part, "description", None) == name)
    return found


def holds(figure: kernel.KernelFigure, picture: torch.Tensor) -> bool:
    """Whether a picture (C, H, W) stands in a figure. A model's output depends a little on how many are asked for."""
    images = [image.get_array() for ax in figure.figure.axes for image in ax.images]
    sought = plots.to_image(picture)
    return any(image.shape == sought.shape and np.abs(image - sought).max() <= 1 / 255 for image in images)


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


def own(pictures: data.Dataset) -> kernel.KernelFigure:
    return widgets.draw_your_own(small_vae(pictures.shape), pictures)


def test_a_widget_is_shown_with_what_stands_where_no_kernel_runs(pictures: data.Dataset, displayed: list[dict]) -> None:
    figure = own(pictures)
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


def test_no_figure_is_left_to_the_notebook_and_its_style_stays(pictures: data.Dataset) -> None:
    before = plt.get_fignums()
    with plt.rc_context({"font.size": 3.0}):
        own(pictures)
        assert plt.rcParams["font.size"] == 3.0
    assert plt.get_fignums() == before


def test_a_model_that_has_learned_since_is_drawn_again(pictures: data.Dataset) -> None:
    model = small_vae(pictures.shape)
    figure = widgets.draw_your_own(model, pictures)
    before = shown(figure.box)[0]
    torch.nn.init.normal_(model.decoder[-1].bias)
    figure.redraw()
    assert not np.array_equal(before, shown(figure.box)[0])


def test_an_error_on_a_move_is_said_and_the_picture_stays(pictures: data.Dataset) -> None:
    figure = own(pictures)
    before, _ = shown(figure.box)
    figure.render = lambda *_: 1 / 0
    figure.controls[0].value = 0.5
    after, text = shown(figure.box)
    assert "could not be drawn: division by zero" in text
    assert np.array_equal(before, after)


def test_text_in_a_figure_is_escaped(pictures: data.Dataset) -> None:
    assert "<b>" not in kernel.readout_html("<b>")
    assert 'alt="&quot;&lt;' in kernel.picture_html(own(pictures).figure, '"<')


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
        (None, TypeError, "`encode` and `decode`.*missing"),
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
    _, text = shown(figure.box)
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
        assert holds(figure, expected)


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
def watching(monkeypatch: pytest.MonkeyPatch) -> list[kernel.KernelFigure]:
    """The figures that are made, of what trains on the CPU."""
    monkeypatch.setenv("VAE_DEVICE", "cpu")
    made: list[kernel.KernelFigure] = []

    class Recorded(kernel.KernelFigure):
        def __init__(self, *settings: Any) -> None:
            super().__init__(*settings)
            made.append(self)

    monkeypatch.setattr(watch_training, "KernelFigure", Recorded)
    return made


@pytest.mark.parametrize("kind", ["VAE", "Autoencoder"])
def test_watching_teaches_exactly_what_fit_does(
    digits: data.Dataset, displayed: list[dict], watching: list[kernel.KernelFigure], kind: str
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
    assert holds(watching[0], back[0])
    assert holds(watching[0], x[0])


def test_the_stop_button_keeps_what_was_learned(
    digits: data.Dataset, displayed: list[dict], watching: list[kernel.KernelFigure], capsys: pytest.CaptureFixture
) -> None:
    steps = []

    def loss(model: VAE, x: torch.Tensor) -> dict[str, torch.Tensor]:
        steps.append(1)
        if len(steps) == 33:
            button(watching[0].box, "Stop").click()
        return vae_loss(model, x)

    model, plain = small_vae(digits.shape, likelihood=Bernoulli()), small_vae(digits.shape, likelihood=Bernoulli())
    history = widgets.watch_training(model, digits, steps=400, record_every=20, loss=loss)
    assert history.stopped
    assert history.step == [20, 40]
    assert model.trained_steps == 40
    assert "Stopped at step 40 of 400" in capsys.readouterr().out
    assert "Stopped; the model keeps what it has learned." in displayed[-1]["text/html"]
    assert button(watching[0].box, "Stop").disabled
    fit(plain, digits.train.x, steps=400, record_every=20, watch=lambda h: h.step[-1] == 40)
    assert torch.equal(weights(model), weights(plain))


@pytest.mark.usefixtures("watching")
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
def test_a_training_that_fails_says_so_in_its_window(digits: data.Dataset, watching: list[kernel.KernelFigure]) -> None:
    def broken(model: torch.nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": autoencoder_loss(model, x)["loss"] * float("nan")}

    with pytest.raises(RuntimeError, match="nan"):
        widgets.watch_training(Autoencoder(digits.shape, 2, (8,)), digits, steps=50, record_every=10, loss=broken)
    assert "TrainingDiverged" in shown(watching[0].box)[1]
    assert button(watching[0].box, "Stop").disabled


def test_watch_in_fit_sees_every_entry_and_stops(digits: data.Dataset) -> None:
    seen: list[int] = []
    model = Autoencoder(digits.shape, 2, (8,))
    fit(model, digits.train.x, steps=30, record_every=10, watch=lambda history: seen.append(history.step[-1]))
    assert seen == [10, 20, 30]
    last = fit(model, digits.train.x, steps=20, record_every=10, watch=lambda _: True)
    assert (last.step, last.stopped) == ([10], True)
    whole = fit(model, digits.train.x, steps=10, record_every=10, watch=lambda _: True)
    assert not whole.stopped  # it was at its end anyway
