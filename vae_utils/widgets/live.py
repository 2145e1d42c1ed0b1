"""What the live figures share, on Python's side: a decoder packed small enough for a page, and the page's HTML.

A live figure is one piece of HTML with everything in it: a still picture with its alternative text, and a script that
puts a figure to move in its place. It needs no network, no kernel and no widget library. The JavaScript lies in js/, in
the order of reading: decoder.js (how a decoder runs in a page), live.js (what all figures share), then one file each.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .. import evaluation, plots
from ..data import Dataset

if TYPE_CHECKING:
    from matplotlib.figure import Figure

JS = Path(__file__).parent / "js"
TOLERANCE = 2.5 / 255  # how far a pixel of the page may lie from the model's
BASES = (4, 8, 12, 16, 20, 24, 32, 40, 48, 64)  # how many base pictures are tried
HINT = "Run this cell to move it."
_made = count()

Array = NDArray[np.float32]


# A decoder for the page


@dataclass(frozen=True)
class Layer:
    """One linear layer and its bend, with weights rounded to whole numbers: weight = whole * scale of its row.

    whole: int8 or int16 (outputs, inputs). scales, bias: (outputs,). bend: a name of `BENDS`.
    """

    whole: NDArray[np.int8] | NDArray[np.int16]
    scales: Array
    bias: Array
    bend: str

    def __call__(self, x: Array) -> Array:
        return BENDS[self.bend](x @ (self.whole * self.scales[:, None]).T + self.bias)

    def for_page(self) -> dict[str, Any]:
        outputs, inputs = self.whole.shape
        return {
            "inputs": inputs,
            "outputs": outputs,
            "bits": 8 * self.whole.itemsize,
            "weights": as_data(self.whole),
            "scales": as_data(self.scales),
            "bias": as_data(self.bias),
            "bend": self.bend,
        }


@dataclass(frozen=True)
class PackedDecoder:
    """A decoder as the page runs it. Called with codes (n, latent_dim) it gives pictures (n, C, H, W) in [0, 1]."""

    layers: tuple[Layer, ...]
    shape: tuple[int, int, int]

    def __call__(self, z: Tensor) -> Tensor:
        values = z.detach().cpu().float().numpy()
        for layer in self.layers:
            values = layer(values)
        return torch.from_numpy(values).float().unflatten(1, self.shape)

    @property
    def bytes(self) -> int:
        """Size of the weights, before they are written as text (which takes a third more)."""
        return sum(layer.whole.nbytes + layer.scales.nbytes + layer.bias.nbytes for layer in self.layers)

    def for_page(self) -> dict[str, Any]:
        return {"shape": self.shape, "layers": [layer.for_page() for layer in self.layers]}


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


BENDS: dict[str, Callable[[Array], Array]] = {  # as in decoder.js
    "none": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))),
}
_BEND_OF = {nn.ReLU: "relu", nn.ELU: "elu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid", nn.SiLU: "silu", nn.GELU: "gelu"}
_PASS = (nn.Identity, nn.Dropout, nn.Flatten, nn.Unflatten)  # they change nothing, once training is over


def pack(model: nn.Module, codes: Tensor, name: str = "The model") -> PackedDecoder:
    """The model's decoder, made small: as few bytes as keep every pixel within 2.5/255 of the model's at these codes.

    model: has `decoder`, an nn.Sequential of linear layers and bends between them; its pictures are the last layer's
        output or its sigmoid.
    codes: (n, latent_dim), a few hundred that cover what the figure can show, its corners too.

    Most weights are in the last layer, one row for each pixel value. At the codes that are met, its outputs differ in
    few directions, so it becomes two: a mix of a few base pictures. Their number and the bits of a weight are the
    smallest that pass the comparison. Raises ValueError for layers that the page can't run, or weights that are no
    numbers.
    """
    linear, bends = read_layers(model, name)
    target = evaluation.decode(model, codes)
    shape = tuple(target.shape[1:])
    hidden = codes.detach().cpu().float().numpy()
    for (weight, bias), bend in zip(linear[:-1], bends[:-1], strict=True):
        hidden = BENDS[bend](hidden @ weight.T + bias)
    weight, bias = linear[-1]
    logits = hidden @ weight.T + bias
    last = next((end for end in (bends[-1], "sigmoid") if _gap(BENDS[end](logits), target) < 1e-3), None)
    if last is None:
        raise ValueError(
            f"{name} draws other pictures than its decoder's output or the sigmoid of it, and the page knows no more "
            "than that. Put everything that draws into model.decoder."
        )
    first = tuple(_round(w, b, bend, bits=16) for (w, b), bend in zip(linear[:-1], bends[:-1], strict=True))
    for ends in _ends(hidden, logits, weight, bias, last):
        packed = PackedDecoder((*first, *ends), shape)
        if _gap(packed(codes).flatten(1).numpy(), target) <= TOLERANCE:
            break
    return packed  # the last try, 16 bits for every weight, is the best there is


def _ends(hidden: Array, logits: Array, weight: Array, bias: Array, bend: str) -> Iterator[tuple[Layer, ...]]:
    """Ways to write the last layer, smallest first: as a mix of a few base pictures or whole, with 8 or 16 bits."""
    inputs, middle = weight.shape[1], logits.mean(0)
    spread = np.linalg.qr(hidden - hidden.mean(0), mode="r")
    directions = np.linalg.svd(weight @ spread.T, full_matrices=False)[0]  # in which the outputs differ, most first
    sizes = [(bases * bits, bases, bits) for bases in BASES for bits in (8, 16) if bases * bits < 16 * inputs]
    for _, bases, bits in sorted([*sizes, (8 * inputs, 0, 8), (16 * inputs, 0, 16)]):
        if bases == 0:
            yield (_round(weight, bias, bend, bits),)
        elif bases <= directions.shape[1]:
            base = directions[:, :bases]
            mix, rest = base.T @ weight, base.T @ (bias - middle)
            share = np.sqrt(np.abs(hidden @ mix.T + rest).max(0).clip(1e-6))  # rounding then hurts all bases alike
            mix, rest = mix / share[:, None], rest / share
            yield _round(mix, rest, "none", 16), _round(base * share, middle, bend, bits)


def _gap(values: Array, target: Tensor) -> float:
    return float(np.abs(values - target.flatten(1).numpy()).max())


def _round(weight: Array, bias: Array, bend: str, bits: int) -> Layer:
    most = 2 ** (bits - 1) - 1
    scales = np.maximum(np.abs(weight).max(1), 1e-30) / most
    whole = np.rint(weight / scales[:, None]).astype(np.int8 if bits == 8 else np.int16)
    return Layer(whole, scales.astype(np.float32), bias.astype(np.float32), bend)


def read_layers(model: nn.Module, name: str = "The model") -> tuple[list[tuple[Array, Array]], list[str]]:
    """Weights (outputs, inputs) and biases of the decoder's linear layers, and the name of the bend after each.

    Raises ValueError where the decoder is missing, has other layers, or weights that are not finite.
    """
    decoder = getattr(model, "decoder", None)
    if not isinstance(decoder, nn.Sequential):
        raise ValueError(f"{name} needs a `decoder` that is an nn.Sequential of layers, but it is {kind(decoder)}.")
    linear, bends = [], []
    for layer in _flat(decoder):
        if isinstance(layer, nn.Linear):
            bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias
            linear.append((_numbers(layer.weight, name), _numbers(bias, name)))
            bends.append("none")
        elif type(layer) in _BEND_OF and bends and bends[-1] == "none" and getattr(layer, "alpha", 1.0) == 1.0:
            bends[-1] = _BEND_OF[type(layer)]
        elif not isinstance(layer, _PASS):
            known = ", ".join(["Linear", *(bend.__name__ for bend in _BEND_OF)])
            raise ValueError(
                f"{name}'s decoder has a layer that the page can't run: {layer}. It can run {known}, each bend "
                "after a Linear layer, and ELU with alpha 1. Other models: show pictures that Python has drawn."
            )
    if not linear:
        raise ValueError(f"{name}'s decoder has no Linear layer, so the page has nothing to run.")
    return linear, bends


def _flat(layers: nn.Sequential) -> Iterator[nn.Module]:
    for layer in layers:
        if isinstance(layer, nn.Sequential):
            yield from _flat(layer)
        else:
            yield layer


def _numbers(values: Tensor, name: str) -> Array:
    array = values.detach().cpu().float().numpy()
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name}'s decoder has weights that are not finite (NaN or infinite): its training went wrong. "
            "Make it anew and train it with a smaller learning rate."
        )
    return array


def kind(thing: object) -> str:
    """A thing's type, as an error names it."""
    return "missing" if thing is None else f"a {type(thing).__name__}"


# Models and pictures


def as_models(model: nn.Module | Mapping[str, nn.Module], pictures: Dataset) -> dict[str, nn.Module]:
    """One model or several by name, as name -> model. A model on its own is called by what it is.

    Raises TypeError where these are no models or no data set.
    """
    if not isinstance(pictures, Dataset):
        raise TypeError(f"pictures must be a data set, such as data.load('cats_dogs'), not {kind(pictures)}.")
    if not isinstance(model, Mapping):
        model = {{"Autoencoder": "autoencoder"}.get(type(model).__name__, type(model).__name__): model}
    for name, one in model.items():
        if not isinstance(one, nn.Module) or not hasattr(one, "encode"):
            raise TypeError(f"{name!r} must be a model with encode and decode, but it is {kind(one)}.")
    if not model:
        raise ValueError("There is no model to show: pass one, or a dict of several by name.")
    return dict(model)


@dataclass(frozen=True)
class Codes:
    """Where a model puts pictures: centers (n, latent_dim), and for a VAE widths (n, latent_dim), the clouds' sigma."""

    center: Tensor
    width: Tensor | None

    @property
    def numbers(self) -> int:
        return self.center.shape[1]

    @property
    def spread(self) -> Tensor:
        """Standard deviation of each number over all pictures, the clouds' own widths counted in: (latent_dim,)."""
        own = 0 if self.width is None else self.width.square().mean(0)
        return (self.center.var(0) + own).sqrt()


@torch.no_grad()
def encode(model: nn.Module, x: Tensor, name: str = "The model") -> Codes:
    """Codes of pictures x (n, C, H, W). Raises ValueError where they are not finite or not (n, latent_dim)."""
    parameters = [model.encode(part.to(next(model.parameters()).device)) for part in floats(x).split(1000)]
    if isinstance(parameters[0], tuple):
        center, logvar = (torch.cat(parts).cpu() for parts in zip(*parameters, strict=True))
        codes = Codes(center, (0.5 * logvar).exp())
    else:
        codes = Codes(torch.cat(parameters).cpu(), None)
    if codes.center.ndim != 2:
        raise ValueError(f"{name}'s codes must be lists of numbers, but their shape is {tuple(codes.center.shape)}.")
    if not all(values.isfinite().all() for values in (codes.center, codes.width) if values is not None):
        raise ValueError(f"{name} gives codes that are not finite (NaN or infinite): its training went wrong.")
    return codes


def choose(pictures: Dataset, n: int) -> list[int]:
    """Indices of n test pictures (or all there are): the two that are followed first, then others by chance."""
    order = torch.randperm(len(pictures.test), generator=torch.Generator().manual_seed(0)).tolist()
    return [*pictures.followed, *(i for i in order if i not in pictures.followed)][:n]


def floats(x: Tensor) -> Tensor:
    """Pictures in [0, 1], whether they are kept so or as bytes."""
    return x / 255 if x.dtype == torch.uint8 else x


def sheet(x: Tensor, columns: int = 16) -> dict[str, Any]:
    """Pictures x (n, C, H, W) for the page: one image of them all, in 256 colors, `columns` in a row."""
    from PIL import Image

    n, channels, height, width = x.shape
    filled = torch.zeros(-(-n // columns) * columns, channels, height, width)
    filled[:n] = floats(x)
    array = (plots.to_image(plots.mosaic(filled, columns)) * 255).round().astype(np.uint8)
    data = io.BytesIO()
    few = Image.fromarray(array).quantize(256, dither=Image.Dither.NONE)  # half the size, and no eye sees it
    few.convert("RGB").save(data, "WEBP", lossless=True)
    return {"sheet": as_address(data.getvalue(), "image/webp"), "columns": columns, "shape": [channels, height, width]}


# HTML


@dataclass(frozen=True)
class LiveFigure:
    """A figure to move. A notebook shows it when it is a cell's last line.

    html: everything in one piece. text: what it shows, for who cannot see it.
    """

    html: str
    text: str

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": f"[Figure to move: {self.text}]"}


def live_figure(
    build: str, data: Mapping[str, Any], scripts: Sequence[str], still: Figure, alt: str, hint: str = HINT
) -> LiveFigure:
    """One output with everything in it.

    build: the JavaScript function build(root, data, state) that makes the figure. data: what it is given, fit for JSON.
    scripts: files of js/ that it needs beside decoder.js and live.js. still: a matplotlib figure, shown until the
    script has run, and closed here. alt: what the picture shows. hint: a line below it.
    """
    import matplotlib.pyplot as plt
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    still.savefig(drawn, format="png", dpi=150)
    plt.close(still)
    image = Image.open(drawn).convert("RGB")
    image.quantize(128, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    width = round(image.width / 1.5)  # shown at 100 dots per inch
    code = "\n".join((JS / name).read_text(encoding="utf-8") for name in ("decoder.js", "live.js", *scripts))
    style = (JS / "live.css").read_text(encoding="utf-8")
    colors = ["currentColor" if color == plots.INK else color for color in plots.CLASSES]
    payload = as_script({**data, "colors": colors})
    mark = hashlib.sha256(f"{next(_made)} {payload}".encode()).hexdigest()[:12]  # the same in every run of a notebook
    html = (
        f'<div data-live="{mark}"><div class="vae-live-still">'
        f'<img src="{as_address(small.getvalue(), "image/png")}" alt="{escape(alt)}" width="{width}" '
        f'style="max-width: 100%; height: auto; background: white"><p>{escape(hint)}</p></div></div>\n'
        f'<script>\n(() => {{\n"use strict";\n{code}\nstart("{mark}", {build}, {payload}, {as_script(style)});\n'
        "})();\n</script>"
    )
    return LiveFigure(html, alt)


def as_script(value: object) -> str:
    """A value as JavaScript that may stand inside HTML."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/").replace("<!--", "<\\!--")


def as_address(data: bytes, kind: str = "application/octet-stream") -> str:
    """Bytes as the text of a data: address."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def as_data(values: NDArray[Any] | Tensor) -> str:
    """An array's bytes, lowest byte first; tensors as float32."""
    array = values.detach().cpu().float().numpy() if isinstance(values, Tensor) else values
    return as_address(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes())
