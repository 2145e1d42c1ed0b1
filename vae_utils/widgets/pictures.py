"""Models and pictures as figures take them: checked, encoded, chosen, and packed into one image."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import plots
from ..data import Dataset
from ..types import LatentModel
from .figure import as_address


def kind(thing: object) -> str:
    """Name an object's type, for error messages."""
    return "missing" if thing is None else f"a {type(thing).__name__}"


def as_models(model: LatentModel | Mapping[str, LatentModel], pictures: Dataset) -> dict[str, LatentModel]:
    """Return one model, or several by name, as name -> model. A single model is named by its class.

    Raises:
        TypeError: These are not models, or `pictures` is not a data set.
        ValueError: The mapping is empty.
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


def check_model(
    model: LatentModel, shape: Sequence[int], name: str = "the model", latent_dim: int | None = None
) -> None:
    """Check that a model encodes pictures of this shape (C, H, W), to codes of `latent_dim` numbers unless None.

    Raises:
        TypeError: It is not such a model.
        ValueError: It takes another shape, has other codes, or its weights are not finite.
    """
    if not isinstance(model, nn.Module) or not all(
        callable(getattr(model, part, None)) for part in ("encode", "decode")
    ):
        raise TypeError(
            f"{name} must be an autoencoder or a VAE with `encode` and `decode`, as in vae_utils.models, "
            f"but it is {kind(model)}."
        )
    for part, weights in model.named_parameters():
        if not torch.isfinite(weights).all():
            raise ValueError(f"{name} has weights that are not finite numbers ({part}): train it again, more slowly.")
    takes = tuple(getattr(model, "shape", shape))
    if takes != tuple(shape):
        raise ValueError(f"{name} takes pictures {takes}, but these are {tuple(shape)}: use those it was trained on.")
    numbers = encode(model, torch.full((1, *shape), 0.5), name).numbers
    if latent_dim is not None and numbers != latent_dim:
        raise ValueError(
            f"{name} has codes of {numbers} numbers; this figure draws a plane and needs {latent_dim}: "
            f"train one with latent_dim={latent_dim}."
        )


def test_pictures(pictures: Dataset | Tensor) -> Tensor:
    """Return a data set's test pictures, or the tensor itself, as (n, C, H, W) in [0, 1].

    Raises:
        TypeError: It is neither a data set nor a tensor.
        ValueError: It has another shape, or no picture.
    """
    x = pictures.test.x if isinstance(pictures, Dataset) else pictures
    if not isinstance(x, Tensor):
        raise TypeError(f"pictures must be a data set of vae_utils.data or a tensor, not {kind(x)}.")
    if x.ndim != 4 or len(x) == 0:
        raise ValueError(f"pictures must have shape (n, C, H, W), but theirs is {tuple(x.shape)}.")
    return floats(x)


@dataclass(frozen=True)
class Codes:
    """Codes of pictures.

    Args:
        center: (n, latent_dim); for a VAE the mu of q(z|x).
        width: The sigma of q(z|x), (n, latent_dim); None for an autoencoder.
    """

    center: Tensor
    width: Tensor | None

    @property
    def numbers(self) -> int:
        """How many numbers a code has: latent_dim."""
        return self.center.shape[1]

    @property
    def spread(self) -> Tensor:
        """Standard deviation of each number of z over all pictures, q(z|x)'s own variance included: (latent_dim,)."""
        own = 0 if self.width is None else self.width.square().mean(0)
        return (self.center.var(0) + own).sqrt()


@torch.no_grad()
def encode(model: LatentModel, x: Tensor, name: str = "The model") -> Codes:
    """Return the codes of pictures x (n, C, H, W).

    Raises:
        ValueError: They are not finite or not (n, latent_dim).
    """
    centers, widths = [], []
    for part in floats(x).split(1000):
        code = model.encode(part.to(next(model.parameters()).device))
        if isinstance(code, tuple):
            widths.append((0.5 * code[1]).exp().cpu())
            code = code[0]
        centers.append(code.cpu())
    codes = Codes(torch.cat(centers), torch.cat(widths) if widths else None)
    if codes.center.ndim != 2:
        raise ValueError(f"{name}'s codes must be lists of numbers, but their shape is {tuple(codes.center.shape)}.")
    if not all(values.isfinite().all() for values in (codes.center, codes.width) if values is not None):
        raise ValueError(f"{name} gives codes that are not finite (NaN or infinite): its training went wrong.")
    return codes


def choose(pictures: Dataset, n: int) -> list[int]:
    """Return the indices of n test pictures, or of all: first the two that are followed, then others at random."""
    order = torch.randperm(len(pictures.test), generator=torch.Generator().manual_seed(0)).tolist()
    return [*pictures.followed, *(i for i in order if i not in pictures.followed)][:n]


def floats(x: Tensor) -> Tensor:
    """Return pictures as floats in [0, 1], whether stored as such or as bytes."""
    return x / 255 if x.dtype == torch.uint8 else x


def sprite(x: Tensor, columns: int = 16) -> dict[str, Any]:
    """Return pictures x (n, C, H, W) for the page, as one image of 256 colors with `columns` pictures in a row."""
    from PIL import Image

    n, channels, height, width = x.shape
    filled = torch.zeros(-(-n // columns) * columns, channels, height, width)
    filled[:n] = floats(x)
    array = (plots.to_image(plots.mosaic(filled, columns)) * 255).round().astype(np.uint8)
    data = io.BytesIO()
    few = Image.fromarray(array).quantize(256, dither=Image.Dither.NONE)  # half the size, without a visible change
    few.convert("RGB").save(data, "WEBP", lossless=True)
    return {"sprite": as_address(data.getvalue(), "image/webp"), "columns": columns, "shape": [channels, height, width]}
