"""The live figures as a learner meets them: in JupyterLab before and after a run, in an exported page, by mouse,
finger and keyboard. What their canvases hold is compared with what PyTorch decodes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, Locator, Page, expect
from torch.distributions import Normal, kl_divergence

from tests.browser.live_figures import NEAR, Shown, assert_drawn, assert_map_drawn, pixels
from tests.browser.pages import watched
from tests.support.lab_server import Lab, run_all
from vae_utils import data, evaluation
from vae_utils.widgets import beta_slider, code_map, plane, traversals, trick, two_gaussians, walk
from vae_utils.widgets.figure import LiveFigure, as_data, joined
from vae_utils.widgets.figures.code_map import plane as plane_of
from vae_utils.widgets.figures.traversals import effects
from vae_utils.widgets.packing import pack
from vae_utils.widgets.pictures import choose, encode

SETUP = """
import torch
from vae_utils import data, widgets
from vae_utils.models import VAE, Autoencoder

pictures = data.load("digits")


def made(kind, numbers, seed=None):
    torch.manual_seed(numbers if seed is None else seed)
    model = kind(pictures.shape, numbers, *([pictures.likelihood] if kind is VAE else []))
    with torch.no_grad():
        model.encoder[-1].weight[:numbers] *= 20  # codes well apart
        model.decoder[0].weight *= 2
        model.decoder[-1].weight *= 10  # and pictures that differ
    return model.eval()


pair = {"autoencoder": made(Autoencoder, 2), "VAE": made(VAE, 2)}
betas = {4: made(VAE, 4, 9), 1 / 16: made(VAE, 4)}
"""
CELLS = [
    SETUP,
    "widgets.code_map(pair, pictures)",
    "widgets.walk(pair, pictures)",
    "widgets.traversals(made(VAE, 4), pictures)",
    "widgets.code_map(pair['VAE'], pictures)",
    "widgets.two_gaussians()",
    "widgets.trick()",
    "widgets.beta_slider(betas, pictures, seed=5)",
    "widgets.plane(made(VAE, 4), pictures)",
]


# The figures, made here as the notebook makes them, and where they are shown


@dataclass
class Made:
    """The notebook's models and figures, made in the test's own Python."""

    pictures: data.Dataset
    pair: dict[str, torch.nn.Module]
    four: torch.nn.Module
    betas: dict[float, torch.nn.Module]
    figures: list[LiveFigure]
    path: Path = Path()

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.pictures.shape

    @property
    def both(self) -> list[torch.nn.Module]:
        return list(self.pair.values())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The models, and a notebook with their figures, as it would be stored."""
    space: dict[str, Any] = {}
    exec(SETUP, space)
    four = space["made"](space["VAE"], 4)
    pictures, pair = space["pictures"], space["pair"]
    figures = [
        code_map(pair, pictures),
        walk(pair, pictures),
        traversals(four, pictures),
        code_map(pair["VAE"], pictures),
        two_gaussians(),
        trick(),
        beta_slider(space["betas"], pictures, seed=5),
        plane(four, pictures),
    ]
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    for number, source in enumerate([*CELLS, *["# room to scroll away to\n" + "\n" * 30] * 6]):
        cell = nbformat.v4.new_code_cell(source, execution_count=number + 1)
        if 1 <= number <= len(figures):
            bundle = figures[number - 1]._repr_mimebundle_()
            cell.outputs = [nbformat.v4.new_output("execute_result", bundle, execution_count=number + 1)]
        notebook.cells.append(cell)
    path = tmp_path_factory.mktemp("live") / "live.ipynb"
    nbformat.write(notebook, path)
    return Made(pictures, pair, four, space["betas"], figures, path)


@pytest.fixture(scope="module")
def in_lab(browser: Browser, lab: Lab, made: Made) -> Iterator[Shown]:
    """JupyterLab with the notebook: opened untrusted, looked at, run, and saved."""
    (lab.folder / "notebooks" / "live.ipynb").write_bytes(made.path.read_bytes())
    with watched(browser) as context:
        page = context.new_page()
        page.goto(lab.url.replace("01_autoencoder", "live"))
        expect(page.locator(".jp-OutputArea-output img")).to_have_count(8)
        before = page.locator(".jp-OutputArea-output").evaluate_all(
            """outputs => outputs.map(output => ({
                alt: output.querySelector("img").alt, wide: output.querySelector("img").naturalWidth,
                canvases: output.querySelectorAll("canvas").length, text: output.innerText.trim() }))"""
        )
        run_all(page)
        expect(page.locator(".vae-live")).to_have_count(8)
        expect(page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]')).to_be_attached()
        yield Shown(page, before)


@pytest.fixture(scope="module")
def exported(browser: Browser, made: Made) -> Iterator[Shown]:
    """The notebook's page as nbconvert exports it, opened from a file with the network off."""
    html, _ = HTMLExporter().from_filename(str(made.path))
    path = made.path.with_suffix(".html")
    path.write_text(html, encoding="utf-8")
    with watched(browser, has_touch=True, offline=True) as context:
        page = context.new_page()
        page.goto(path.as_uri())
        expect(page.locator(".vae-live")).to_have_count(8)
        yield Shown(page)


@pytest.fixture
def alone(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """open(html, **options): a page with nothing but this HTML on it, which follows the system's light or dark."""
    contexts = ExitStack()

    def opened(html: str, **options: Any) -> Page:
        context = contexts.enter_context(watched(browser, offline=True, **options))
        (tmp_path / "alone.html").write_text(
            "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>A figure</title>"
            "<style>:root { color-scheme: light dark }</style></head>"
            f"<body><main><h1>A figure</h1>{html}</main></body></html>",
            encoding="utf-8",
        )
        page = context.new_page()
        page.goto((tmp_path / "alone.html").as_uri())
        return page

    with contexts:
        yield opened


def centers(made: Made, kind: str, n: int = 120) -> torch.Tensor:
    return encode(made.pair[kind], made.pictures.test.x[choose(made.pictures, n)]).center


# In JupyterLab


def test_before_a_run_a_picture_with_its_text_stands_there(in_lab: Shown, made: Made) -> None:
    for output, figure in zip(in_lab.before, made.figures, strict=True):
        assert output["alt"] == figure.text
        assert output["wide"] > 300
        assert output["canvases"] == 0
        assert output["text"] == "Run this cell to move it."


def test_one_hand_moves_both_points(in_lab: Shown, made: Made) -> None:
    single = in_lab.state(3)["points"]
    planes = in_lab.figure(0).locator(".plane")
    planes.nth(0).scroll_into_view_if_needed()
    boxes = [planes.nth(i).bounding_box() for i in (0, 1)]
    mouse = in_lab.page.mouse
    mouse.move(boxes[0]["x"] + 0.3 * boxes[0]["width"], boxes[0]["y"] + 0.6 * boxes[0]["height"])
    mouse.down()
    for step in range(1, 6):
        mouse.move(boxes[0]["x"] + (0.3 + 0.1 * step) * boxes[0]["width"], boxes[0]["y"] + 0.2 * boxes[0]["height"])
        points = assert_map_drawn(in_lab, 0, made.both, made.shape)
    mouse.move(boxes[0]["x"] - 300, boxes[0]["y"] + 2000, steps=3)  # out of the plane: to its corner
    mouse.up()
    corners = assert_map_drawn(in_lab, 0, made.both, made.shape)
    for i, kind in enumerate(made.pair):
        codes = encode(made.pair[kind], made.pictures.test.x[choose(made.pictures, 120)])
        (left, right), (bottom, top) = plane_of(codes).tolist()
        assert points[i] == pytest.approx([left + 0.8 * (right - left), top - 0.2 * (top - bottom)], rel=0.03, abs=0.02)
        assert corners[i] == pytest.approx([left, bottom], abs=1e-5)
    assert in_lab.state(3)["points"] == single  # the other figure of the notebook stays where it is


def test_a_dots_picture_shows_under_the_mouse_and_a_click_takes_it(in_lab: Shown, made: Made) -> None:
    figure = in_lab.figure(0)
    figure.get_by_role("button", name="the 5").click()
    chosen = choose(made.pictures, 120)
    codes = centers(made, "VAE")
    distance = torch.cdist(codes, codes) + 1e9 * torch.eye(120)
    i = int(distance.amin(1)[2:].argmax()) + 2  # a dot on its own
    dot = figure.locator(".plane").nth(1).locator(".dot").nth(i)
    dot.hover(force=True)
    in_lab.settle()
    real = figure.locator("figure").nth(1)
    kind = made.pictures.label_names[int(made.pictures.test.y[chosen[i]])]
    expect(real).to_contain_text(f"real: {'an' if kind == '8' else 'a'} {kind}")
    difference = pixels(real.locator("canvas"), made.shape) - made.pictures.test.x[chosen[i]]
    assert difference.abs().max() <= 1 / 255
    assert in_lab.state(0)["chosen"] == 1
    dot.click(force=True)
    points = assert_map_drawn(in_lab, 0, made.both, made.shape)
    assert in_lab.state(0)["chosen"] == i
    for z, kind in zip(points, made.pair, strict=True):
        assert z == pytest.approx(centers(made, kind)[i].tolist(), abs=1e-5)


def test_the_clouds_are_the_encoders(in_lab: Shown, made: Made) -> None:
    figure = in_lab.figure(0)
    figure.get_by_role("button", name="the 3").click()
    in_lab.settle()
    codes = encode(made.pair["VAE"], made.pictures.test.x[choose(made.pictures, 120)])
    (left, right), _ = plane_of(codes).tolist()
    drawn = figure.locator(".plane").nth(1).locator("ellipse.cloud")
    for ellipse, sd in zip(drawn.all(), (2, 1), strict=True):
        radii = [float(ellipse.get_attribute(name)) for name in ("rx", "ry")]
        assert radii == pytest.approx((sd * codes.width[0] * 320 / (right - left)).tolist(), rel=1e-4)
    expect(figure.locator(".plane").nth(0).locator("ellipse.cloud")).to_have_count(0)  # an autoencoder has none


def test_the_keyboard_moves_the_point_and_jupyterlab_stays(in_lab: Shown, made: Made) -> None:
    figure, keys = in_lab.figure(3), in_lab.page.keyboard
    plane = figure.locator(".plane")
    figure.get_by_role("checkbox").focus()
    keys.press("Tab")
    expect(plane).to_be_focused()
    assert plane.evaluate("p => getComputedStyle(p).outlineStyle") == "solid"
    active = in_lab.page.locator(".jp-Notebook .jp-Cell.jp-mod-active")
    cell = active.evaluate("c => [...c.parentElement.children].indexOf(c)")
    keys.press("Home")
    in_lab.settle()
    (start,) = in_lab.state(3)["points"]
    (left, right), _ = plane_of(encode(made.pair["VAE"], made.pictures.test.x[choose(made.pictures, 120)])).tolist()
    step = (right - left) / 60
    for key, moved in (
        ("ArrowRight", [step, 0]),
        ("ArrowDown", [step, -step]),
        ("ArrowLeft", [0, -step]),
        ("ArrowUp", [0, 0]),
        ("Shift+ArrowUp", [0, 6 * step]),
        ("Shift+ArrowRight", [6 * step, 6 * step]),
    ):
        keys.press(key)
        (z,) = assert_map_drawn(in_lab, 3, [made.pair["VAE"]], made.shape)
        assert z == pytest.approx([start[0] + moved[0], start[1] + moved[1]], abs=1e-4)
    shown = ", ".join(f"{value:.2f}".replace("-", "−") for value in z)
    assert plane.get_attribute("aria-valuetext").startswith(f"({shown}), nearest real code: a")
    keys.press("Enter")
    (z,) = assert_map_drawn(in_lab, 3, [made.pair["VAE"]], made.shape)
    nearest = centers(made, "VAE")[in_lab.state(3)["chosen"]]
    assert z == pytest.approx(nearest.tolist(), abs=1e-5)
    expect(figure.get_by_role("status")).to_contain_text(figure.locator(".read-out").inner_text())
    assert active.evaluate("c => [...c.parentElement.children].indexOf(c)") == cell
    assert active.count() == 1


def test_the_walk_goes_from_one_picture_to_the_other(in_lab: Shown, made: Made) -> None:
    figure, keys = in_lab.figure(1), in_lab.page.keyboard
    go = figure.get_by_role("slider")
    go.focus()
    ends = {
        kind: encode(model, made.pictures.test.x[list(made.pictures.followed)]).center
        for kind, model in made.pair.items()
    }
    for press, t in (
        ("Home", 0),
        ("ArrowRight", 0.01),
        ("Shift+ArrowRight", 0.06),
        ("End", 1),
        ("Shift+ArrowLeft", 0.95),
    ):
        keys.press(press)
        in_lab.settle()
        assert in_lab.state(1)["t"] == pytest.approx(t)
        assert go.get_attribute("aria-valuetext") == f"{round(100 * t)} % of the way from the 3 to the 5"
        for i, (kind, model) in enumerate(made.pair.items()):
            start, end = ends[kind]
            canvas = figure.locator(".road > canvas").nth(i)
            assert_drawn(canvas, model, (start + t * (end - start)).tolist(), made.shape)
    strip = figure.locator(".strip").nth(1)
    strip.scroll_into_view_if_needed()
    box = strip.bounding_box()
    in_lab.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 10)
    in_lab.settle()
    assert in_lab.state(1)["t"] == pytest.approx(0.5, abs=0.01)
    expect(figure).to_contain_text(
        f"VAE: {evaluation.path_ratio(made.pair['VAE'], ends['VAE'][:1], ends['VAE'][1:]).item():.2f} times as long"
    )


def test_traversals_are_sorted_by_what_they_do(in_lab: Shown, made: Made) -> None:
    figure, keys = in_lab.figure(2), in_lab.page.keyboard
    codes = encode(made.four, made.pictures.test.x[choose(made.pictures, 500)])
    effect = effects(made.four, codes)
    order = effect.argsort(descending=True).tolist()
    sliders = figure.get_by_role("slider")
    assert [s.get_attribute("aria-label") for s in sliders.all()] == [f"Number {j + 1} of the code" for j in order]
    expect(figure.locator(".latent").nth(1)).to_contain_text(f"{100 * effect[order[0]]:.1f} %")
    figure.get_by_role("button", name="the 5").click()
    in_lab.settle()
    start = in_lab.state(2)["z"]
    assert start == pytest.approx(codes.center[1].tolist(), abs=1e-4)
    drawn = figure.locator("figure canvas").nth(0)
    assert_drawn(drawn, made.four, start, made.shape)
    sliders.nth(0).focus()
    for press in ("End", "Shift+ArrowLeft", "Home"):
        keys.press(press)
        in_lab.settle()
        z = in_lab.state(2)["z"]
        assert [i for i in range(4) if z[i] != start[i]] == [order[0]]
        assert_drawn(drawn, made.four, z, made.shape)
    low = figure.locator(".latent").nth(1).locator("canvas").nth(0)  # the small picture shows the slider's low end
    assert_drawn(low, made.four, z, made.shape)
    figure.get_by_role("button", name="Reset").click()
    in_lab.settle()
    assert in_lab.state(2)["z"] == start
    figure.get_by_role("button", name="the prior's middle").click()
    in_lab.settle()
    assert_drawn(drawn, made.four, [0.0] * 4, made.shape)


def numbers(figure: Locator) -> list[float]:
    """The numbers in what a figure says, in order."""
    told = figure.locator(".read-out").inner_text().replace("−", "-").replace(",", "")
    return [float(number) for number in re.findall(r"-?\d+\.?\d*", told)]


def test_the_area_of_two_gaussians_is_the_closed_form(in_lab: Shown) -> None:
    figure, keys = in_lab.figure(4), in_lab.page.keyboard
    mu, sigma = figure.get_by_role("slider").all()
    mu.focus()
    keys.press("Shift+ArrowLeft")
    sigma.focus()
    keys.press("End")
    in_lab.settle()
    q, p = Normal(0.75, 2.5), Normal(0.0, 1.0)
    forward, reverse = kl_divergence(q, p).item(), kl_divergence(p, q).item()
    assert mu.get_attribute("aria-valuetext") == "0.75"
    told = numbers(figure)
    assert told[-3:] == pytest.approx([forward, forward, reverse], abs=6e-5)
    assert told[-5] - told[-4] == pytest.approx(forward, abs=2e-3)  # the areas above and below
    path = figure.locator(".chart").nth(1).locator("path").first.get_attribute("d")
    figure.get_by_role("checkbox").check()
    in_lab.settle()
    expect(figure).to_contain_text("KL(p ‖ q): area above 0")
    assert numbers(figure)[-3:] == pytest.approx([reverse, reverse, forward], abs=6e-5)
    assert figure.locator(".chart").nth(1).locator("path").first.get_attribute("d") != path


def test_the_tricks_gradients_are_autograds(in_lab: Shown) -> None:
    figure, keys = in_lab.figure(5), in_lab.page.keyboard
    figure.get_by_role("slider", name="μ").focus()
    keys.press("Shift+ArrowRight")
    figure.get_by_role("slider", name="σ").focus()
    keys.press("Shift+ArrowLeft")
    in_lab.settle()
    epsilon, z, mu, sigma, *rest = (
        numbers(figure)[:1] + numbers(figure)[4:5] + numbers(figure)[1:3] + numbers(figure)[5:]
    )
    assert (mu, sigma) == (1.5, 0.5)
    parts = [torch.tensor(value, requires_grad=True) for value in (mu, sigma)]
    draw = parts[0] + parts[1] * in_lab.state(5)["epsilon"]
    ((draw - 5) ** 2).backward()
    assert z == pytest.approx(draw.item(), abs=0.01)
    assert rest[1:3] == pytest.approx([part.grad.item() for part in parts], abs=0.01)
    assert epsilon == pytest.approx(in_lab.state(5)["epsilon"], abs=0.01)
    assert len(in_lab.state(5)["trail"]) == 1  # losses at another sigma belong to another curve


def test_a_kept_epsilon_stays_and_a_new_one_comes_with_each_move(in_lab: Shown) -> None:
    figure, keys = in_lab.figure(5), in_lab.page.keyboard

    def moved() -> float:
        figure.get_by_role("slider", name="μ").focus()
        keys.press("ArrowRight")
        in_lab.settle()
        return in_lab.state(5)["epsilon"]

    kept = {in_lab.state(5)["epsilon"], moved(), moved()}
    assert len(kept) == 1
    assert len(in_lab.state(5)["trail"]) == 3
    figure.get_by_role("checkbox").uncheck()
    in_lab.settle()
    assert {in_lab.state(5)["epsilon"]} == kept  # not at the switch itself
    assert len({moved(), moved()} | kept) == 3
    before = in_lab.state(5)["epsilon"]
    figure.get_by_role("checkbox").check()
    figure.get_by_role("button", name="Roll again").click()
    in_lab.settle()
    assert in_lab.state(5)["epsilon"] != before


def test_each_beta_shows_what_its_model_draws(in_lab: Shown, made: Made) -> None:
    figure, keys = in_lab.figure(6), in_lab.page.keyboard
    x, (_, height, width) = made.pictures.test.x, made.shape
    noise = torch.randn(6, 4, generator=torch.Generator().manual_seed(5))
    figure.get_by_role("slider").focus()
    for press, beta, name in (("Home", 1 / 16, "1/16"), ("ArrowRight", 4, "4")):
        keys.press(press)
        in_lab.settle()
        expect(figure).to_contain_text(f"β = {name}:")
        model = made.betas[beta]
        rate, distortion = evaluation.rate_and_distortion(model, x, seed=5)
        back = evaluation.reconstruct(model, x[:6])
        told = numbers(figure)[-4:]
        error = (back - x[:6]).square().flatten(1).sum(1).mean().item()
        assert told == pytest.approx([rate, distortion, rate + distortion, error], rel=1e-3, abs=0.06)
        for canvas, row in zip(
            figure.locator("canvas").all(), (x[:6], back, evaluation.decode(model, noise)), strict=True
        ):
            whole = pixels(canvas, (1, height, 6 * width))
            assert (whole - torch.cat(list(row), -1)).abs().max() <= 2 / 255


def test_the_plane_draws_what_lies_between_three_pictures(in_lab: Shown, made: Made) -> None:
    figure, keys = in_lab.figure(7), in_lab.page.keyboard
    codes = encode(made.four, made.pictures.test.x[choose(made.pictures, 24)]).center
    drawn = figure.locator("figure canvas").first
    figure.get_by_role("button", name="another C").click()
    figure.locator(".plane").focus()
    for press, (u, v) in (("ArrowRight", (0.54, 0.5)), ("Shift+ArrowUp", (0.54, 0.7))):
        keys.press(press)
        in_lab.settle()
        a, b, c = codes[in_lab.state(7)["corners"]]
        assert in_lab.state(7)["place"] == pytest.approx([u, v])
        assert_drawn(drawn, made.four, (a + u * (b - a) + v * (c - a)).tolist(), made.shape)
    assert in_lab.state(7)["corners"] == [0, 1, 3]
    box = figure.locator(".plane").bounding_box()
    in_lab.page.mouse.click(box["x"] + 1, box["y"] + box["height"] - 1)
    in_lab.settle()
    assert in_lab.state(7)["place"] == pytest.approx([-0.3, -0.3], abs=0.02)


def test_scrolling_away_and_back_loses_nothing_in_the_dark(in_lab: Shown, lab: Lab, made: Made) -> None:
    in_lab.page.keyboard.press("Control+s")
    expect(in_lab.page.locator(".jp-mod-dirty")).to_have_count(0)
    settings, token = lab.url.split("/lab/")[0] + "/lab/api/settings/@jupyterlab/", lab.url.split("token=")[1]
    page = in_lab.page.context.new_page()

    def put(windowing: str, theme: str) -> None:
        for plugin, values in (
            ("notebook-extension:tracker", {"windowingMode": windowing}),
            ("apputils-extension:themes", {"theme": f"JupyterLab {theme}", "adaptive-theme": False}),
        ):
            headers = {"Authorization": f"token {token}"}
            assert page.request.put(settings + plugin, data={"raw": json.dumps(values)}, headers=headers).ok

    try:
        put("full", "Dark")
        page.goto(lab.url.replace("01_autoencoder", "live"))
        shown = Shown(page)
        expect(shown.figure(0)).to_be_visible()  # saved after a run: trusted, and moving at once
        shown.figure(0).get_by_role("button", name="next real picture").click()
        shown.figure(0).locator(".plane").nth(0).focus()
        page.keyboard.press("Shift+ArrowRight")
        before = assert_map_drawn(shown, 0, made.both, made.shape)
        scroller = page.locator(".jp-WindowedPanel-outer")
        scroller.evaluate("s => { s.scrollTop = s.scrollHeight }")
        expect(page.locator(".vae-live .plane").first).not_to_be_in_viewport()
        scroller.evaluate("s => { s.scrollTop = 0 }")
        expect(shown.figure(0)).to_be_visible()
        assert assert_map_drawn(shown, 0, made.both, made.shape) == before
        ink = shown.figure(0).locator(".cross").first.evaluate("c => getComputedStyle(c).stroke")
        assert sum(map(int, re.findall(r"\d+", ink)[:3])) > 500  # light on dark
        ground = shown.figure(0).locator(".plane").first.evaluate("p => getComputedStyle(p).backgroundColor")
        assert ground == "rgba(0, 0, 0, 0)"
    finally:
        put("none", "Light")
        page.close()


# In an exported page, from a file, with the network off


def test_the_exported_page_moves_by_finger(exported: Shown, made: Made) -> None:
    expect(exported.page.locator("img:visible")).to_have_count(0)
    plane = exported.figure(3).locator(".plane")
    plane.scroll_into_view_if_needed()
    box = plane.bounding_box()
    exported.page.touchscreen.tap(box["x"] + 3, box["y"] + 3)
    (z,) = assert_map_drawn(exported, 3, [made.pair["VAE"]], made.shape)
    codes = encode(made.pair["VAE"], made.pictures.test.x[choose(made.pictures, 120)])
    (left, right), (_, top) = plane_of(codes).tolist()
    assert z == pytest.approx([left, top], abs=0.02 * (right - left))
    assert plane.evaluate("p => getComputedStyle(p).touchAction") == "none"  # a finger drags the point, not the page


def test_every_figure_of_the_exported_page_draws(exported: Shown, made: Made) -> None:
    assert_map_drawn(exported, 0, made.both, made.shape)
    exported.figure(2).get_by_role("slider").first.focus()
    exported.page.keyboard.press("End")
    exported.settle()
    assert_drawn(exported.figure(2).locator("figure canvas").first, made.four, exported.state(2)["z"], made.shape)
    exported.figure(1).get_by_role("slider").focus()
    exported.page.keyboard.press("Home")
    exported.settle()
    for number in (4, 5, 6, 7):
        hand, said = (
            exported.figure(number).locator(".plane, input[type=range]").last,
            exported.figure(number).inner_text(),
        )
        hand.focus()
        exported.page.keyboard.press("ArrowLeft")
        exported.page.keyboard.press("ArrowLeft")
        exported.settle()
        assert exported.figure(number).inner_text() != said
    start = encode(made.pair["VAE"], made.pictures.test.x[[made.pictures.followed[0]]]).center[0].tolist()
    assert_drawn(exported.figure(1).locator(".road > canvas").nth(1), made.pair["VAE"], start, made.shape)


@pytest.mark.parametrize("number", [0, 1, 2, 4, 5, 6, 7])
def test_it_is_accessible_in_light_and_dark(alone: Callable[..., Page], made: Made, number: int) -> None:
    page = alone(made.figures[number].html)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page).response["violations"]
        assert found == [], [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]
        ink = page.locator(".vae-live").evaluate("f => getComputedStyle(f).color")
        assert (sum(map(int, re.findall(r"\d+", ink)[:3])) > 500) == (scheme == "dark")


# What can go wrong


def test_weights_that_are_no_numbers_leave_a_message(alone: Callable[..., Page], made: Made) -> None:
    bad = json.dumps(as_data(torch.full((64,), torch.nan)))  # of the last layer, one for each of 64 pixels
    for figure in made.figures[:3]:
        start = figure.html.index('"layers"')
        html, count = re.subn(
            r'("outputs":64,"bits":\d+,"weights":"[^"]*","scales":)"[^"]*"', rf"\1{bad}", figure.html[start:]
        )
        assert count
        page = alone(figure.html[:start] + html)
        expect(page.get_by_role("alert").first).to_contain_text("not finite (NaN)")


def test_a_figure_that_can_not_start_keeps_its_picture(alone: Callable[..., Page], made: Made) -> None:
    page = alone(made.figures[1].html.replace('"layers"', '"lawyers"'))
    expect(page.get_by_role("alert")).to_contain_text("This figure could not start")
    expect(page.get_by_role("img", name=made.figures[1].text)).to_be_visible()


def test_copies_of_one_output_all_start_and_share_what_was_done(alone: Callable[..., Page], made: Made) -> None:
    page = alone(2 * made.figures[3].html)
    shown = Shown(page)
    expect(page.locator(".vae-live")).to_have_count(2)
    shown.figure(0).get_by_role("button", name="the 5").click()
    shown.settle()
    again = made.figures[3].html.split("<script>")  # as JupyterLab draws an output again
    page.evaluate(
        """([html, script]) => {
            const output = document.createElement("div");
            document.querySelector("main").replaceChildren(output);
            output.innerHTML = html;
            const code = document.createElement("script");
            code.textContent = script;
            output.append(code);
        }""",
        [again[0], again[1].replace("</script>", "")],
    )
    expect(page.locator(".vae-live")).to_have_count(1)
    assert shown.state(0)["chosen"] == 1
    expect(shown.figure(0).get_by_role("button", name="the 5")).to_have_attribute("aria-pressed", "true")


def test_walking_is_calm_for_who_asked_for_less_motion(alone: Callable[..., Page], made: Made) -> None:
    shown = Shown(alone(made.figures[1].html, reduced_motion="reduce"))
    button = shown.figure(0).get_by_role("button")
    button.click()
    expect(button).to_have_text("Stop")
    places = shown.page.evaluate(
        """() => new Promise(done => {
            const state = Object.values(vaeLiveStates)[0], seen = new Set();
            const look = () => (seen.add(state.t), state.t < 0.75 ? requestAnimationFrame(look) : done([...seen]));
            look();
        })"""
    )
    assert [place for place in places if place % 0.125] == []  # it jumps, with nothing in between
    button.click()
    expect(button).to_have_text("Walk")


def test_narrow_pages_do_not_scroll_sideways(alone: Callable[..., Page], made: Made) -> None:
    for figure in made.figures:
        page = alone(figure.html)
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


# decoder.js on its own


@pytest.mark.parametrize("name", ["cats_dogs", "digits"])
@pytest.mark.parametrize("activation", [torch.nn.ELU, torch.nn.GELU])
def test_the_page_decodes_what_pytorch_decodes(alone: Callable[..., Page], name: str, activation: type) -> None:
    torch.manual_seed(0)
    shape = {"cats_dogs": (3, 32, 32), "digits": (1, 8, 8)}[name]
    model = torch.nn.Module()
    pixels_ = shape[0] * shape[1] * shape[2]
    layers = [
        torch.nn.Linear(3, 256),
        activation(),
        torch.nn.Linear(256, 64),
        activation(),
        torch.nn.Linear(64, pixels_),
    ]
    model.decoder = torch.nn.Sequential(*layers, torch.nn.Sigmoid())
    model.decode = lambda z: model.decoder(z).unflatten(1, shape)
    with torch.no_grad():
        layers[0].weight *= 2
        layers[-1].weight *= 10
    reach = torch.cat([6 * torch.rand(200, 3) - 3, 6 * torch.randint(0, 2, (8, 3)).float() - 3])
    packed = pack(model, reach)
    z = torch.cat([6 * torch.rand(200, 3) - 3, torch.cartesian_prod(*[torch.tensor([-3.0, 3.0])] * 3)])
    script = joined("decoder.js")
    compare = """([packed, codes, ...targets]) => {
        const decode = makeDecoder(packed);
        return targets.map(floats).map((target) => {
            const size = target.length / codes.length;
            const gap = (n, i, value) => Math.abs(value - target[n * size + i]);
            return Math.max(...codes.map((z, n) => decode(z).reduce((most, v, i) => Math.max(most, gap(n, i, v)), 0)));
        });
    }"""
    targets = [as_data(pictures.flatten(1)) for pictures in (evaluation.decode(model, z), packed(z))]
    gaps = alone("").evaluate(
        f"(given) => {{ {script}\nreturn ({compare})(given); }}", [packed.for_page(), z.tolist(), *targets]
    )
    assert gaps[0] <= NEAR
    assert gaps[1] <= 1e-4  # Python knows what the page does
