"""Decoders packed small enough for a page, which runs them with js/decoder.js."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .. import evaluation
from ..runtime import exact_products
from ..types import LatentModel
from .figure import as_data
from .pictures import kind

TOLERANCE = 2.5 / 255  # largest difference of a pixel between the page and the model
BASES = (4, 8, 12, 16, 20, 24, 32, 40, 48, 64)  # numbers of base pictures to try

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """A linear layer and its activation, with quantized weights: weight = quantized * scale of its row.

    Args:
        quantized: int8 or int16, (outputs, inputs).
        scales: (outputs,).
        bias: (outputs,).
        activation: A name of `ACTIVATIONS`.
    """

    quantized: NDArray[np.int8] | NDArray[np.int16]
    scales: Array
    bias: Array
    activation: str

    def __call__(self, x: Array) -> Array:
        """Return the outputs (n, outputs) for inputs (n, inputs)."""
        return ACTIVATIONS[self.activation](x @ (self.quantized * self.scales[:, None]).T + self.bias)

    def for_page(self) -> dict[str, Any]:
        """Return the layer as decoder.js reads it."""
        outputs, inputs = self.quantized.shape
        return {
            "inputs": inputs,
            "outputs": outputs,
            "bits": 8 * self.quantized.itemsize,
            "weights": as_data(self.quantized),
            "scales": as_data(self.scales),
            "bias": as_data(self.bias),
            "activation": self.activation,
        }


@dataclass(frozen=True)
class PackedDecoder:
    """A decoder as the page runs it: codes (n, latent_dim) to pictures (n, C, H, W) in [0, 1]."""

    layers: tuple[Layer, ...]
    shape: tuple[int, ...]

    def __call__(self, z: Tensor) -> Tensor:
        """Decode codes (n, latent_dim)."""
        values = z.detach().cpu().float().numpy()
        for layer in self.layers:
            values = layer(values)
        return torch.from_numpy(values).float().unflatten(1, self.shape)

    @property
    def bytes(self) -> int:
        """Size of the weights in bytes; base64 takes a third more."""
        return sum(layer.quantized.nbytes + layer.scales.nbytes + layer.bias.nbytes for layer in self.layers)

    def for_page(self) -> dict[str, Any]:
        """Return the decoder as decoder.js reads it."""
        return {"shape": self.shape, "layers": [layer.for_page() for layer in self.layers]}


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {  # as in decoder.js
    "none": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))),
}
_NAME_OF: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.ELU: "elu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
    nn.SiLU: "silu",
    nn.GELU: "gelu",
}
_IDENTITIES = (nn.Identity, nn.Dropout, nn.Flatten, nn.Unflatten)  # they leave values as they are, after training


def pack(model: LatentModel, codes: Tensor, name: str = "The model") -> PackedDecoder:
    """Pack a model's decoder into as few bytes as keep every pixel within 2.5/255 of the model's at these codes.

    Most weights are in the last layer, which has one row for each pixel value. At the given codes, its outputs vary in
    few directions, so it is factored in two: a mix of a few base pictures. Their number and the bits of a weight are
    the smallest that pass the comparison.

    Args:
        model: Has a `decoder`, an nn.Sequential of linear layers with activations between them. Its pictures are the
            last layer's output or its sigmoid.
        codes: (n, latent_dim), a few hundred that cover what the figure can show, including its corners.
        name: What error messages call the model.

    Raises:
        ValueError: The page can't run a layer, or weights are not finite.
    """
    linear, activations = read_layers(model, name)
    with exact_products():
        target = evaluation.decode(model, codes)
    hidden = codes.detach().cpu().float().numpy()
    for (weight, bias), activation in zip(linear[:-1], activations[:-1], strict=True):
        hidden = ACTIVATIONS[activation](hidden @ weight.T + bias)
    weight, bias = linear[-1]
    logits = hidden @ weight.T + bias
    ends = (activations[-1], "sigmoid")
    last = next((end for end in ends if _largest_gap(ACTIVATIONS[end](logits), target) < 1e-3), None)
    if last is None:
        raise ValueError(
            f"{name} draws other pictures than its decoder's output or the sigmoid of it, and the page knows no more "
            "than that. Put everything that draws into model.decoder."
        )
    first = tuple(
        _quantize(w, b, activation, bits=16) for (w, b), activation in zip(linear[:-1], activations[:-1], strict=True)
    )
    for rest in _last_layers(hidden, logits, weight, bias, last):
        packed = PackedDecoder((*first, *rest), tuple(target.shape[1:]))
        if _largest_gap(packed(codes).flatten(1).numpy(), target) <= TOLERANCE:
            break
    return packed  # the last candidate, 16 bits for every weight, is the most exact one


def _last_layers(
    hidden: Array, logits: Array, weight: Array, bias: Array, activation: str
) -> Iterator[tuple[Layer, ...]]:
    """Yield candidates for the last layer, smallest first: factored into base pictures or whole, with 8 or 16 bits."""
    inputs, middle = weight.shape[1], logits.mean(0)
    spread = np.linalg.qr(hidden - hidden.mean(0)).R
    directions = np.linalg.svd(weight @ spread.T, full_matrices=False)[0]  # of the outputs' variation, largest first
    sizes = [(bases * bits, bases, bits) for bases in BASES for bits in (8, 16) if bases * bits < 16 * inputs]
    for _, bases, bits in sorted([*sizes, (8 * inputs, 0, 8), (16 * inputs, 0, 16)]):
        if bases == 0:
            yield (_quantize(weight, bias, activation, bits),)
        elif bases <= directions.shape[1]:
            base = directions[:, :bases]
            mix, rest = base.T @ weight, base.T @ (bias - middle)
            share = np.sqrt(np.abs(hidden @ mix.T + rest).max(0).clip(1e-6))  # spreads the rounding error evenly
            mix, rest = mix / share[:, None], rest / share
            yield _quantize(mix, rest, "none", 16), _quantize(base * share, middle, activation, bits)


def _largest_gap(values: Array, target: Tensor) -> float:
    return float(np.abs(values - target.flatten(1).numpy()).max())


def _quantize(weight: Array, bias: Array, activation: str, bits: int) -> Layer:
    most = 2 ** (bits - 1) - 1
    scales = np.maximum(np.abs(weight).max(1), 1e-30) / most
    quantized = np.rint(weight / scales[:, None]).astype(np.int8 if bits == 8 else np.int16)
    return Layer(quantized, scales.astype(np.float32), bias.astype(np.float32), activation)


def read_layers(model: LatentModel, name: str = "The model") -> tuple[list[tuple[Array, Array]], list[str]]:
    """Return weights (outputs, inputs) and bias of each linear layer of the decoder, and the activation after each.

    Raises:
        ValueError: The decoder is missing, has other layers, or weights that are not finite.
    """
    decoder = getattr(model, "decoder", None)
    if not isinstance(decoder, nn.Sequential):
        raise ValueError(f"{name} needs a `decoder` that is an nn.Sequential of layers, but it is {kind(decoder)}.")
    linear: list[tuple[Array, Array]] = []
    activations: list[str] = []
    for layer in _flat(decoder):
        if isinstance(layer, nn.Linear):
            bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias
            linear.append((_finite(layer.weight, name), _finite(bias, name)))
            activations.append("none")
        elif type(layer) in _NAME_OF and activations[-1:] == ["none"] and getattr(layer, "alpha", 1.0) == 1.0:
            activations[-1] = _NAME_OF[type(layer)]
        elif not isinstance(layer, _IDENTITIES):
            known = ", ".join(["Linear", *(activation.__name__ for activation in _NAME_OF)])
            raise ValueError(
                f"{name}'s decoder has a layer that the page can't run: {layer}. It can run {known}, each activation "
                "after a Linear layer, and ELU with alpha 1. Other models: show pictures that Python has drawn."
            )
    if not linear:
        raise ValueError(f"{name}'s decoder has no Linear layer, so the page has nothing to run.")
    return linear, activations


def _flat(layers: nn.Sequential) -> Iterator[nn.Module]:
    for layer in layers:
        if isinstance(layer, nn.Sequential):
            yield from _flat(layer)
        else:
            yield layer


def _finite(values: Tensor, name: str) -> Array:
    array = values.detach().cpu().float().numpy()
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name}'s decoder has weights that are not finite (NaN or infinite): its training went wrong. "
            "Make it anew and train it with a smaller learning rate."
        )
    return array
