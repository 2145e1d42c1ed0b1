"""How the package hangs together: what an import brings, which module knows which, claims, seeds and figures."""

import base64
import io
import random
import re
import subprocess
import sys
from importlib.metadata import version

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

import vae_utils
from vae_utils import ClaimFailed, claim, plots, setup
from vae_utils.runtime import best_device, exact_products

HEAVY = ("torch", "numpy", "matplotlib", "torchvision", "sklearn", "matplotlib.pyplot")


# Imports

# In a new Python that forgets our modules before each import, so that each must stand alone.
IMPORT_EACH = """
import importlib, sys
for module in sys.argv[1].split():
    for name in [name for name in sys.modules if name.split(".")[0] == "vae_utils"]:
        del sys.modules[name]
    importlib.import_module(module)
print(*(name for name in sys.argv[2].split() if name in sys.modules))
"""


def brought_by(*modules):
    """Which of the heavy libraries are loaded once these modules were imported."""
    command = [sys.executable, "-c", IMPORT_EACH, " ".join(modules), " ".join(HEAVY)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def test_importing_the_package_brings_nothing_heavy():
    assert brought_by("vae_utils", "vae_utils.claims", "vae_utils.runtime", "vae_utils.__main__") == []


def test_each_module_imports_alone_and_brings_no_more_than_torch_and_numpy(root):
    files = (path.relative_to(root).with_suffix("") for path in (root / "vae_utils").rglob("*.py"))
    modules = sorted(".".join(file.parts).removesuffix(".__init__") for file in files)
    assert {"vae_utils.models", "vae_utils.training", "vae_utils.plots", "vae_utils.data.drawing"} <= {*modules}
    assert brought_by(*modules) == ["torch", "numpy"]


# Claims and the start of a notebook


@pytest.mark.parametrize("true", [True, 3 > 2, torch.tensor(True), np.bool_(True), torch.tensor([1.0]) > 0])
def test_a_claim_that_holds(true, capsys, monkeypatch):
    for strict in ("0", "1"):
        monkeypatch.setenv("VAE_STRICT", strict)
        claim("two is less than three", true)
        assert capsys.readouterr().out == "✓ two is less than three\n"


@pytest.mark.parametrize("false", [False, torch.tensor(False), np.float64("nan") > 0])
def test_a_claim_that_does_not_hold(false, capsys, monkeypatch):
    monkeypatch.delenv("VAE_STRICT", raising=False)
    claim("the roads are straighter", false)
    assert capsys.readouterr().out == "✗ Does not hold here: the roads are straighter\n"
    monkeypatch.setenv("VAE_STRICT", "1")
    with pytest.raises(ClaimFailed, match="the roads are straighter") as failure:
        claim("the roads are straighter", false)
    assert isinstance(failure.value, AssertionError) and capsys.readouterr().out == ""


@pytest.fixture
def state():
    """Leave random numbers, precision and style as they were."""
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state(), torch.get_float32_matmul_precision()
    threads = torch.get_num_threads()
    with matplotlib.rc_context():
        yield
    random.setstate(kept[0])
    np.random.set_state(kept[1])
    torch.set_rng_state(kept[2])
    torch.set_float32_matmul_precision(kept[3])
    torch.set_num_threads(threads)
    torch.set_printoptions(profile="default", sci_mode=None)


def test_setup_seeds_everything(state):
    def draws(seed):
        assert isinstance(setup(seed), torch.device)
        return random.random(), float(np.random.rand()), torch.rand(1).item()

    first, again, other = draws(0), draws(0), draws(1)
    assert first == again and all(a != b for a, b in zip(first, other, strict=True))
    assert torch.get_float32_matmul_precision() == "medium"
    assert matplotlib.rcParams["image.interpolation"] == "nearest"


def test_exact_products_are_float32s_and_the_setting_comes_back(state):
    setup(0)
    a, b = torch.randn(64, 300), torch.randn(300, 64)
    with pytest.raises(KeyError), exact_products():
        assert torch.allclose(a @ b, (a.double() @ b.double()).float(), atol=1e-4)
        raise KeyError
    assert torch.get_float32_matmul_precision() == "medium"


def test_setup_takes_half_of_the_cores_or_what_the_variable_says(state, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for cores, threads in ((8, 4), (2, 1), (1, 1), (None, 1)):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        setup(0)
        assert torch.get_num_threads() == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    torch.set_num_threads(3)
    setup(0)
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_setup_refuses_a_seed_and_changes_nothing(state, seed):
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match=f"seed is {seed}; it must be a whole number from 0 to 4294967295"):
        setup(seed)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("named", "cuda", "mps", "expected"),
    [
        (None, False, False, "cpu"),
        (None, False, True, "mps"),
        (None, True, True, "cuda"),
        ("", True, False, "cuda"),
        ("cpu", True, True, "cpu"),
        ("mps", True, True, "mps"),
    ],
)
def test_best_device_is_the_fastest_or_the_named_one(monkeypatch, named, cuda, mps, expected):
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: mps)
    monkeypatch.delenv("VAE_DEVICE", raising=False)
    if named is not None:
        monkeypatch.setenv("VAE_DEVICE", named)
    assert best_device() == torch.device(expected)


@pytest.mark.parametrize("named", ["cuda", "gpu"])
def test_a_device_that_is_not_here(monkeypatch, named):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    monkeypatch.setenv("VAE_DEVICE", named)
    with pytest.raises(ValueError, match=f"VAE_DEVICE is '{named}', but what PyTorch finds here is mps, cpu: unset it"):
        best_device()


def test_version_stands_in_one_place(root):
    assert vae_utils.__version__ == version("vae-utils")
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {vae_utils.__version__}" in citation
    assert f"## [{vae_utils.__version__}]" in (root / "CHANGELOG.md").read_text(encoding="utf-8")


# Figures


@pytest.fixture
def figures():
    """No figure is open, before and after; another file's test in the same process may have left one."""
    plt.close("all")
    yield
    plt.close("all")


def test_show_needs_a_text_and_hands_it_on(figures, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **more: shown.append((bundle, more)))
    figure = plt.figure(figsize=(2, 1))
    for empty in ("", "  \n"):
        with pytest.raises(ValueError, match="needs a text"):
            plots.show(figure, empty)
    assert shown == [] and plt.get_fignums()
    plots.show(figure, 'a "cat" & a <dog>')
    ((bundle, more),) = shown
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    faces = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(face))).convert("RGB"))
        for face in (bundle["image/png"], re.search(r"data:image/webp;base64,([\w+/=]+)", bundle["text/html"])[1])
    ]
    assert np.array_equal(*faces)
    assert 'alt="a &quot;cat&quot; &amp; a &lt;dog&gt;"' in bundle["text/html"]
    assert more["metadata"]["image/png"]["alt"] == 'a "cat" & a <dog>' and more["raw"]
    assert not plt.get_fignums()


def test_grid_puts_pictures_and_words_in_their_places(figures):
    rows = [torch.rand(3, 3, 4, 4), torch.rand(2, 1, 4, 4)]
    axes = np.array(plots.grid(rows, ["cats", "dogs"], ["a", "b", "c"]).axes).reshape(2, 3)
    assert [ax.get_title() for ax in axes[0]] == ["a", "b", "c"]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["cats", "dogs"]
    np.testing.assert_allclose(axes[0, 1].images[0].get_array(), rows[0][1].permute(1, 2, 0))
    np.testing.assert_allclose(axes[1, 0].images[0].get_array(), rows[1][0, 0])
    assert axes[1, 1].axison and not axes[1, 2].axison  # no picture there


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"row_labels": ["a"]}, "2 rows of pictures need 2 labels, not 1"),
        ({"row_labels": ["a", "b", "c"]}, "2 rows of pictures need 2 labels, not 3"),
        ({"column_labels": ["a", "b"]}, "3 columns of pictures need 3 labels, not 2"),
    ],
)
def test_grid_refuses_labels_that_do_not_fit(figures, labels, message):
    with pytest.raises(ValueError, match=message):
        plots.grid([torch.rand(3, 1, 4, 4), torch.rand(2, 1, 4, 4)], **labels)
    assert not plt.get_fignums()


def test_mosaic_lays_pictures_row_by_row():
    pictures = torch.rand(6, 3, 4, 5)
    whole = plots.mosaic(pictures, columns=3)
    assert whole.shape == (3, 8, 15)
    for i in range(6):
        top, left = i // 3 * 4, i % 3 * 5
        assert torch.equal(whole[:, top : top + 4, left : left + 5], pictures[i])
    with pytest.raises(ValueError, match="6 pictures do not fill rows of 4"):
        plots.mosaic(pictures, columns=4)


def test_pictures_are_clipped_and_grey_ones_are_flat():
    assert plots.to_image(torch.tensor([[[-1.0, 0.5]], [[0.0, 1.0]], [[1.0, 2.0]]])).tolist() == [
        [[0, 0, 1], [0.5, 1, 1]]
    ]
    assert plots.to_image(torch.rand(1, 4, 5)).shape == (4, 5)


def test_codes_are_dots_in_the_colors_of_their_labels(figures):
    _, ax = plt.subplots()
    z, y = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]), torch.tensor([1, 0, 1])
    plots.codes(ax, z, y, ["cat", "dog"])
    assert [dots.get_offsets().tolist() for dots in ax.collections] == [[[2, 3]], [[0, 1], [4, 5]]]
    colors = [matplotlib.colors.to_hex(dots.get_facecolor()[0]).upper() for dots in ax.collections]
    assert colors == [plots.ORANGE, plots.BLUE]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["cat", "dog"]
