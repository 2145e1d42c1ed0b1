"""A person's own pictures: one subfolder for each class, any format that Pillow reads."""

import os
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..likelihoods import Gaussian
from .dataset import Dataset, Split, stratified_split, to_tensor
from .files import DataError

_NOT_PICTURES = {"thumbs.db", "desktop.ini"}  # file managers put these next to pictures


def load(root: str | Path | None = None, dtype: torch.dtype = torch.float32, size: int = 32) -> Dataset:
    """Load color pictures of shape (3, size, size), four fifths of every class to train; Gaussian likelihood.

    Classes are the subfolders of `root` by name (None: of the folder that VAE_DATA names). Hidden files are skipped.
    Pictures are turned as their EXIF orientation says, cropped to the central square, resized, and laid on white if
    they are transparent. The first test picture of the first and of the last class are followed.

    Raises:
        DataError: There is no such folder, no subfolder, a class with fewer than two pictures, or a file that can't
            be read as a picture.
        ValueError: `size` is below 1 or no folder is named.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1 pixel, not {size}")
    root = root or os.environ.get("VAE_DATA")
    if not root:
        raise ValueError("folder needs to know where your pictures are: pass root=..., or set VAE_DATA")
    classes = _classes(Path(root).expanduser())
    files = [file for members in classes.values() for file in members]
    labels = np.repeat(np.arange(len(classes)), [len(members) for members in classes.values()])
    pictures = np.stack([_read(file, size) for file in files])
    train, test = (
        Split(to_tensor(pictures[rows], dtype), torch.from_numpy(labels[rows]).long())
        for rows in stratified_split(labels, 0.2)
    )
    names = tuple(classes)
    last = (test.y == len(names) - 1).nonzero()[0]
    return Dataset(
        name="folder",
        train=train,
        test=test,
        label_names=names,
        shape=(3, size, size),
        likelihood=Gaussian(0.3),
        followed=(0, int(last)),
        followed_names=(names[0], names[-1]),
    )


def _classes(root: Path) -> dict[str, list[Path]]:
    """Return class name -> its files, both in the order of their names."""
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: pass the folder that holds one subfolder for each class.")
    subfolders = [path for path in _by_name(root) if path.is_dir() and not path.name.startswith(".")]
    if not subfolders:
        raise DataError(
            f"{root} has no subfolders: put the pictures of each class into a subfolder of it, "
            f"such as {root / 'cat'} and {root / 'dog'}."
        )
    classes = {folder.name: [path for path in _by_name(folder) if _may_be_picture(path)] for folder in subfolders}
    for name, files in classes.items():
        if len(files) < 2:
            raise DataError(
                f"{root / name} has {len(files)} pictures, and a class needs at least two, one to train and "
                "one to test: add more, or move that folder elsewhere."
            )
    return classes


def _by_name(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: path.name)  # paths themselves sort differently on Windows


def _may_be_picture(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.name.lower() not in _NOT_PICTURES


def _read(path: Path, size: int) -> NDArray[np.uint8]:
    """Return one picture as uint8 (size, size, 3)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks about large or odd files
            with Image.open(path) as file:
                if file.mode.startswith(("I", "F")):
                    raise ValueError("it has more than 8 bits per color")
                image: Image.Image = ImageOps.exif_transpose(file)
                if image.has_transparency_data:
                    image = image.convert("RGBA")
                    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
                return np.asarray(ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.LANCZOS))
    except Exception as error:  # Pillow's decoders raise many kinds
        raise DataError(
            f"{path} can't be read as a picture ({error}): save it as PNG or JPEG, or move it elsewhere."
        ) from error
