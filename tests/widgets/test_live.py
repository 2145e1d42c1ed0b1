"""The live figures on Python's side: decoders packed for the page, what is refused, and the HTML that comes out."""

import base64
import json
import re

import matplotlib

matplotlib.use("agg")

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.hygiene import problems_of_output
from vae_utils import data, evaluation
from vae_utils.likelihoods import Bernoulli, Gaussian
from vae_utils.models import VAE, Autoencoder
from vae_utils.training import fit
from vae_utils.widgets import beta_slider, code_map, traversals, trick, two_gaussians, walk
from vae_utils.widgets.figure import IMPORT, JS, as_script, joined
from vae_utils.widgets.figures.walk import true_walk
from vae_utils.widgets.packing import pack
from vae_utils.widgets.pictures import Codes, choose, encode, sprite

NEAR = 3 / 255


@pytest.fixture(scope="module")
def pictures():
    return data.load("digits")


def made(kind, shape, numbers, **options):
    """A model whose pictures differ, without training."""
    torch.manual_seed(numbers)
    if kind is VAE:
        options = {"likelihood": Gaussian(0.3)} | options
    model = kind(shape, numbers, **options)
    with torch.no_grad():
        model.encoder[-1].weight *= 20
        model.encoder[-1].weight[numbers:] *= 0.05
        model.decoder[0].weight *= 2
        model.decoder[-1].weight *= 6
    return model.eval()


def reach(numbers, n=200):
    """Codes over a box, and its corners."""
    corners = 3.0 - 6 * torch.randint(0, 2, (16, numbers))
    return torch.cat([6 * torch.rand(n, numbers) - 3, corners])


def payload(figure):
    """What the figure's script is given."""
    return json.loads(re.search(r'start\("\w+", \w+, (\{.*?\}), "', figure.html, re.S)[1])


# Packing


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (1, 8, 8)])
@pytest.mark.parametrize(
    ("kind", "options"),
    [(Autoencoder, {}), (VAE, {}), (VAE, {"likelihood": Bernoulli()}), (VAE, {"hidden": (32,)})],
)
@pytest.mark.parametrize("numbers", [2, 8])
def test_a_packed_decoder_draws_what_the_model_draws(shape, kind, options, numbers):
    model = made(kind, shape, numbers, **options)
    packed = pack(model, reach(numbers, 400))
    z = reach(numbers)
    assert (packed(z) - evaluation.decode(model, z)).abs().max() <= NEAR
    assert packed.shape == shape


def test_the_easier_the_pictures_the_smaller_the_pack():
    model = made(VAE, (3, 32, 32), 2)
    line = torch.linspace(-1, 1, 101).view(-1, 1) * torch.tensor([[1.0, 0.5]])
    along, everywhere = pack(model, line), pack(model, reach(2, 400))
    assert along.bytes < everywhere.bytes < 4 * sum(weight.numel() for weight in model.decoder.parameters())
    assert along.layers[-1].quantized.dtype == np.int8
    assert everywhere.layers[-1].quantized.dtype == np.int16  # eight bits would be too coarse for these


def test_any_chain_of_known_layers_is_packed():
    torch.manual_seed(0)

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            first = nn.Sequential(
                nn.Linear(3, 20, bias=False), nn.SiLU(), nn.Dropout(0.5), nn.Linear(20, 20), nn.Tanh()
            )
            rest = [nn.Linear(20, 20), nn.GELU(), nn.Linear(20, 20), nn.ReLU(), nn.Identity(), nn.Linear(20, 16)]
            self.decoder = nn.Sequential(first, *rest, nn.Sigmoid(), nn.Unflatten(1, (1, 4, 4)))

        def decode(self, z):
            return self.decoder(z)

    model = Odd().eval()
    z = reach(3)
    assert (pack(model, z)(z) - model.decode(z)).abs().max() <= NEAR


def test_what_goes_to_the_page_is_what_python_compared():
    packed = pack(made(VAE, (1, 8, 8), 2), reach(2))
    for layer, sent in zip(packed.layers, json.loads(json.dumps(packed.for_page()))["layers"], strict=True):
        whole = np.frombuffer(base64.b64decode(sent["weights"].split(",")[1]), f"<i{sent['bits'] // 8}")
        assert (whole.reshape(sent["outputs"], sent["inputs"]) == layer.quantized).all()
        assert sent["weights"].startswith("data:")


# What is refused


def with_layer(layer):
    model = Autoencoder((1, 8, 8), 2)
    model.decoder = nn.Sequential(nn.Linear(2, 16), layer, nn.Linear(16, 64))
    return model


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(16), nn.Softplus(), nn.ELU(alpha=2.0), nn.LayerNorm(16)])
def test_layers_that_the_page_can_not_run_are_named(layer):
    with pytest.raises(ValueError, match=f"can't run: {type(layer).__name__}.*It can run Linear, ReLU, ELU"):
        pack(with_layer(layer), torch.zeros(3, 2))


def test_weights_that_are_not_finite_are_refused(pictures):
    model = made(VAE, pictures.shape, 2)
    with torch.no_grad():
        model.decoder[2].weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match="VAE's decoder has weights that are not finite"):
        code_map(model, pictures)
    model = made(Autoencoder, pictures.shape, 2)
    with torch.no_grad():
        model.encoder[0].bias[0] = torch.inf
    with pytest.raises(ValueError, match="autoencoder gives codes that are not finite"):
        code_map(model, pictures)


def test_a_model_that_draws_otherwise_is_refused():
    model = made(Autoencoder, (1, 8, 8), 2)
    model.decode = lambda z: (1 - model.decoder(z).sigmoid()).unflatten(1, model.shape)
    with pytest.raises(ValueError, match="draws other pictures than its decoder's output or the sigmoid of it"):
        pack(model, reach(2))


@pytest.mark.parametrize("numbers", [1, 3, 8])
def test_a_code_map_takes_codes_of_two_numbers_only(pictures, numbers):
    with pytest.raises(ValueError, match=f"needs codes of 2 numbers, but those of VAE have {numbers}"):
        code_map(made(VAE, pictures.shape, numbers), pictures)


@pytest.mark.parametrize("numbers", [1, 17])
def test_traversals_take_two_to_sixteen_numbers(pictures, numbers):
    with pytest.raises(ValueError, match=f"2 to 16, but the codes of VAE have {numbers}"):
        traversals(made(VAE, pictures.shape, numbers), pictures)


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 299), (2.0, 3), ("cat", 3)])
def test_a_walk_goes_between_test_pictures(pictures, start, end):
    with pytest.raises(ValueError, match="indices of test pictures, 0 to 298"):
        walk(made(VAE, pictures.shape, 2), pictures, start=start, end=end)


def test_a_walk_needs_two_pictures(pictures):
    with pytest.raises(ValueError, match="start and end are both 5"):
        walk(made(VAE, pictures.shape, 2), pictures, start=5, end=5)


def test_what_is_no_model_or_no_data_set_is_named(pictures):
    model = made(VAE, pictures.shape, 2)
    with pytest.raises(TypeError, match="pictures must be a data set.*not a Tensor"):
        code_map(model, pictures.test.x)
    with pytest.raises(TypeError, match="'VAE' must be a model with encode and decode, but it is a str"):
        code_map({"VAE": "vae.pt"}, pictures)
    with pytest.raises(ValueError, match="no model to show"):
        walk({}, pictures)
    model.decoder = nn.Linear(2, 64)
    with pytest.raises(ValueError, match="`decoder` that is an nn.Sequential of layers, but it is a Linear"):
        code_map(model, pictures)


# The figures


@pytest.fixture(scope="module")
def figures(pictures):
    pair = {"autoencoder": made(Autoencoder, pictures.shape, 2), "VAE": made(VAE, pictures.shape, 2)}
    return {
        "code map": code_map(pair, pictures),
        "walk": walk(pair, pictures, start=4, end=9),
        "traversals": traversals(made(VAE, pictures.shape, 8), pictures),
    }


@pytest.mark.parametrize("name", ["code map", "walk", "traversals"])
def test_an_output_is_one_piece_with_a_picture_and_its_text(figures, name):
    bundle = figures[name]._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert list(problems_of_output({"output_type": "execute_result", "data": bundle})) == []
    html = bundle["text/html"]
    assert html.index("<img") < html.index("<script>")
    assert html.count("<script>") == html.count("</script>") == 1
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", html)  # nothing is fetched
    assert len(html) < 450_000


@pytest.mark.parametrize("ends", ["</script>", "<!-- <script>"])
def test_names_can_not_break_out_of_the_script(pictures, ends):
    figure = walk({ends: made(VAE, pictures.shape, 2)}, pictures)
    assert figure.html.count("</script>") == 1
    assert "<!--" not in figure.html.replace("&lt;!--", "")


def test_two_models_of_real_size_fit_into_an_output():
    pictures = data.load("cats_dogs")
    pair = {"autoencoder": Autoencoder(pictures.shape, 2), "VAE": VAE(pictures.shape, 2, pictures.likelihood)}
    for model in pair.values():
        fit(model, pictures.train.x[:2000], steps=60, device="cpu", progress=False)
    assert len(code_map(pair, pictures).html) < 450_000
    assert payload(walk(pair, pictures))["truth"]["steps"] == 60


def test_the_walk_knows_its_pictures_and_its_length(pictures, figures):
    given = payload(figures["walk"])
    assert given["names"] == [f"{pictures.label_names[pictures.test.y[i]]} {i}" for i in (4, 9)]
    assert given["truth"] is None
    model = made(VAE, pictures.shape, 2)
    z = encode(model, pictures.test.x[[4, 9]]).center
    assert given["models"][1]["start"] == pytest.approx(z[0].tolist(), abs=1e-4)
    assert given["models"][1]["length"] == pytest.approx(evaluation.path_ratio(model, z[:1], z[1:]).item(), abs=0.01)


def test_the_true_walk_is_drawn_between_the_factors():
    pictures = data.load("cats_dogs")
    cat, dog = pictures.followed
    drawn = true_walk(pictures, [cat, dog])
    assert (drawn[0] - pictures.test.x[cat]).abs().max() < 1e-6
    assert (drawn[-1] - pictures.test.x[dog]).abs().max() < 1e-6
    factors = {name: ((values[cat] + values[dog]) / 2).item() for name, values in pictures.test.factors.items()}
    half = torch.from_numpy(data.draw(**factors)).permute(2, 0, 1) / 255
    assert (drawn[30] - half).abs().max() < 0.02


def test_traversals_measure_what_a_number_does(pictures):
    model = made(VAE, pictures.shape, 4)
    with torch.no_grad():
        model.decoder[0].weight[:, 2] = 0  # the third number does nothing
    given = payload(traversals(model, pictures))
    assert given["effect"][2] == 0 and given["order"][-1] == 2
    assert [given["effect"][j] for j in given["order"]] == sorted(given["effect"], reverse=True)
    codes = encode(model, pictures.test.x[choose(pictures, 500)])
    step = torch.zeros(4)
    step[0] = codes.spread[0] / 2
    z = codes.center[:200]
    change = (evaluation.decode(model, z + step) - evaluation.decode(model, z - step)).abs().mean().item()
    assert given["effect"][0] == pytest.approx(change, abs=1e-4)


def test_the_spread_counts_the_clouds_in():
    codes = Codes(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [3.0]]))
    assert codes.spread.item() == pytest.approx((2 + 5) ** 0.5)  # variance of the centers, mean of the clouds'


def test_pictures_of_a_sheet_come_back(pictures):
    from io import BytesIO

    from PIL import Image

    chosen = choose(pictures, 20)
    assert tuple(chosen[:2]) == pictures.followed and len(set(chosen)) == 20
    packed = sprite(pictures.test.x[chosen])
    image = np.asarray(Image.open(BytesIO(base64.b64decode(packed["sprite"].split(",")[1]))).convert("L"))
    row, column = divmod(17, packed["columns"])
    tile = image[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] / 255
    assert np.abs(tile - pictures.test.x[chosen[17], 0].numpy()).max() <= 1 / 255


def test_the_same_call_gives_two_figures_that_do_not_share_a_name(pictures):
    model = made(VAE, pictures.shape, 2)
    first, second = (re.search(r'data-live="(\w+)"', walk(model, pictures).html)[1] for _ in range(2))
    assert first != second


# Charts


@pytest.mark.parametrize(("figure", "wrong"), [(trick, {"mu": 9}), (trick, {"sigma": 0}), (trick, {"target": 7})])
def test_settings_out_of_range_are_named(figure, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*; it must lie between"):
        figure(**wrong)


def test_other_settings_out_of_range_are_named():
    for figure, wrong in ((trick, {"draws": 10}), (two_gaussians, {"mu": -3}), (two_gaussians, {"sigma": 0.1})):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is "):
            figure(**wrong)


def test_the_tricks_seed_decides_its_noise():
    assert [payload(trick(seed=seed))["epsilon"] for seed in (3, 3)] == [payload(trick(seed=3))["epsilon"]] * 2
    assert payload(trick(seed=3))["epsilon"] != payload(trick(seed=4))["epsilon"]


@pytest.fixture(scope="module")
def sweep():
    models = {}
    for seed, beta in enumerate((4, 1, 1 / 16)):
        torch.manual_seed(seed)
        models[beta] = VAE((1, 8, 8), 3, Bernoulli(), hidden=(16, 16))
    return models


def test_the_beta_slider_begins_near_one_and_is_sorted(sweep, pictures):
    record = {"runs": [{"dataset": name, "rate": [1, 2], "distortion": [9, 3]} for name in ("digits", "mnist")]}
    sent = payload(beta_slider(sweep, pictures, record=record, dataset="digits"))
    assert [model["name"] for model in sent["models"]] == ["1/16", "1", "4"]
    assert (sent["start"], len(sent["runs"])) == (1, 1)
    for model, beta in zip(sent["models"], (1 / 16, 1, 4), strict=True):
        rate, distortion = evaluation.rate_and_distortion(sweep[beta], pictures.test.x, seed=0)
        assert (model["rate"], model["distortion"]) == pytest.approx((rate, distortion), rel=1e-5)


def test_wrong_sweeps_are_named(sweep, pictures):
    other = VAE((1, 8, 8), 4, Bernoulli(), hidden=(16, 16))
    spoiled = VAE((1, 8, 8), 3, Bernoulli(), hidden=(16, 16))
    with torch.no_grad():
        spoiled.decoder[0].weight[0, 0] = torch.nan
    for models, error, says in (
        ([sweep[1]], TypeError, "dictionary"),
        ({1: sweep[1]}, TypeError, "two models"),
        ({"1": sweep[1], 4: sweep[4]}, ValueError, "'1' is no beta"),
        ({1: sweep[1], 4: Autoencoder((1, 8, 8), 3)}, TypeError, "beta = 4 is no VAE"),
        ({1: sweep[1], 4: other}, ValueError, "one length"),
        ({1: sweep[1], 4: spoiled}, ValueError, "beta = 4 has weights"),
    ):
        with pytest.raises(error, match=says):
            beta_slider(models, pictures)
    with pytest.raises(ValueError, match="samples"):
        beta_slider(sweep, pictures, samples=0)
    with pytest.raises(ValueError, match="to show"):
        beta_slider(sweep, pictures, shown=torch.zeros(2, 3, 8, 8))


def test_modules_are_joined_once_each_after_what_they_need():
    script = joined("walk.js", "traversals.js")
    assert script.count("function openSprite(") == 1
    assert script.index("function makeDecoder(") < script.index("function walk(") < script.index("function traversals(")
    assert not re.search(r"^(import|export) ", script, re.MULTILINE)


# Stored in the notebooks


def test_stored_figures_hold_the_scripts_of_today(notebooks):
    """A change of js/ asks for `make notebooks`: what readers open is what the notebooks have stored."""
    alone = {file.name: own(file) for file in JS.rglob("*.js")}
    alone |= {file.name: as_script(file.read_text(encoding="utf-8"))[1:-1] for file in JS.rglob("*.css")}
    found, old = set(), set()
    for notebook in notebooks:
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", ()):
                html = "".join(output.get("data", {}).get("text/html", ""))
                for name, text in alone.items() if "data-live=" in html else ():
                    if text[:60] in html:
                        found.add(name)
                        if text not in html:
                            old.add(f"{notebook.name}: {name}")
    later = {"traversals.js", "walk.js"}  # figures of what lives in the code, which no notebook shows yet
    assert found | later == set(alone)
    assert sorted(old) == []


def own(file):
    """A module's part of a joined script."""
    return re.sub(r"^export ", "", IMPORT.sub("", file.read_text(encoding="utf-8")), flags=re.MULTILINE)
