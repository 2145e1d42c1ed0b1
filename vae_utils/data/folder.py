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
from .files import DataError, data_root

# What file managers and synchronizing programs put next to pictures.
_NOT_PICTURES = {"thumbs.db", "desktop.ini"}
_NOT_CLASSES = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "__pycache__"}
_TRAIN, _TEST = {"train", "training"}, {"val", "valid", "validation", "test", "testing"}
_SHOWN = 10  # unreadable files that an error names
# EXIF's orientation -> how to turn the picture upright
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load(root: str | Path | None = None, dtype: torch.dtype = torch.float32, size: int = 32) -> Dataset:
    """Load color pictures of shape (3, size, size), four fifths of every class to train; Gaussian likelihood.

    Classes are the subfolders of `root` by name (None: of the folder that VAE_DATA names), or those of `train` and
    `val` or `test` in it, which then are the split. Hidden files and system folders are skipped. Pictures are turned
    as their EXIF orientation says, cropped to the central square, resized, and laid on white if they are transparent.
    Each part is shuffled, always in the same way. The first test picture of the first and of the last class are
    followed.

    Raises:
        DataError: There is no such folder, no subfolder, a class with fewer than two pictures, or files that can't be
            read as pictures; the message names them.
        ValueError: `size` is no whole number above 0, or no folder is named.
    """
    _check_size(size)
    if not root and not os.environ.get("VAE_DATA"):
        raise ValueError("folder needs to know where your pictures are: pass root=..., or set VAE_DATA")
    classes, split = _classes(data_root(root or None))
    files = [file for members in classes.values() for file in members]
    labels = np.repeat(np.arange(len(classes)), [len(members) for members in classes.values()])
    pictures = _read_all(files, size)
    given = np.array([split is not None and split in file.parents for file in files])
    parts = stratified_split(labels, 0.2) if split is None else (np.flatnonzero(~given), np.flatnonzero(given))
    shuffled = [np.random.RandomState(0).permutation(rows) for rows in parts]  # any first n are a fair sample
    train, test = (Split(to_tensor(pictures[rows], dtype), torch.from_numpy(labels[rows]).long()) for rows in shuffled)
    names = tuple(classes)
    first, last = ((test.y == kind).nonzero()[0] for kind in (0, len(names) - 1))
    return Dataset(
        name="folder",
        train=train,
        test=test,
        label_names=names,
        shape=(3, size, size),
        likelihood=Gaussian(0.3),
        followed=(int(first), int(last)),
        followed_names=(names[0], names[-1]),
    )


def read(files: list[Path], size: int = 32) -> torch.Tensor:
    """Return pictures (n, 3, size, size) in [0, 1]. Raise DataError with a list of those that can't be read."""
    _check_size(size)
    if not files:
        raise ValueError("name at least one picture file")
    return to_tensor(_read_all(files, size), torch.float32)


def _check_size(size: int) -> None:
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"size must be a whole number, at least 1 pixel, not {size!r}: pictures are square")


def _classes(root: Path) -> tuple[dict[str, list[Path]], Path | None]:
    """Return class name -> its files, both in the order of their names; and the folder of test pictures, if given."""
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: pass the folder that holds one subfolder for each class.")
    folders = _subfolders(root)
    if not folders:
        raise DataError(
            f"{root} has no subfolders: put the pictures of each class into a subfolder of it, "
            f"such as {root / 'cat'} and {root / 'dog'}."
        )
    if given := _given_split(root, folders):
        return given
    classes = {folder.name: _pictures(folder) for folder in folders}
    for name, files in classes.items():
        if len(files) < 2:
            raise DataError(
                f"{root / name} has {len(files)} pictures, and a class needs at least two, one to train and "
                "one to test: add more, or move that folder elsewhere."
            )
    return classes, None


def _given_split(root: Path, folders: list[Path]) -> tuple[dict[str, list[Path]], Path] | None:
    """Return the classes of a train and a test folder, and the latter; None if the folders are classes themselves."""
    train, test = ([folder for folder in folders if folder.name.lower() in names] for names in (_TRAIN, _TEST))
    if not train or len(train) + len(test) < len(folders) or not any(map(_subfolders, folders)):
        return None
    if len(folders) != 2 or not test:
        raise DataError(f"{root} holds {', '.join(folder.name for folder in folders)}: pass the one to be used.")
    kinds = [{folder.name for folder in _subfolders(part)} for part in (train[0], test[0])]
    if odd := ", ".join(sorted(kinds[0] ^ kinds[1])):
        raise DataError(f"{train[0]} and {test[0]} must have the same subfolders; not in both: {odd}.")
    for folder in (part / name for part in (train[0], test[0]) for name in sorted(kinds[0])):
        if not _pictures(folder):
            raise DataError(f"{folder} has no pictures, and each class needs one or more to train and to test.")
    return {name: _pictures(train[0] / name) + _pictures(test[0] / name) for name in sorted(kinds[0])}, test[0]


def _subfolders(root: Path) -> list[Path]:
    folders = (path for path in _by_name(root) if path.is_dir())
    return [path for path in folders if not path.name.startswith(".") and path.name.lower() not in _NOT_CLASSES]


def _pictures(folder: Path) -> list[Path]:
    return [path for path in _by_name(folder) if _may_be_picture(path)]


def _by_name(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: path.name)  # paths themselves sort differently on Windows


def _may_be_picture(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.name.lower() not in _NOT_PICTURES


def _read_all(files: list[Path], size: int) -> NDArray[np.uint8]:
    """Return all pictures as uint8 (n, size, size, 3). Raise DataError with a list of those that can't be read."""
    pictures, problems = [], []
    for file in files:
        try:
            pictures.append(_read(file, size))
        except Exception as error:  # Pillow's decoders raise many kinds
            problems.append(f"{file} can't be read as a picture ({_why(file, error)})")
    if problems:
        more = f", and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        text = ";\n".join(problems[:_SHOWN]) + more
        raise DataError(f"{text}: save it as PNG or JPEG with 8 bits per color, or move it elsewhere.")
    return np.stack(pictures)


def _why(file: Path, error: Exception) -> str:
    if not file.is_file():
        return "it is a folder" if file.is_dir() else "there is no such file"
    start = file.read_bytes()[:200].lstrip().lower() if file.stat().st_size else b""
    if not start:
        return "the file is empty"
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<svg")):
        return "it is a web page or a drawing in text"
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels: make it smaller"
    return str(error)


def _read(path: Path, size: int) -> NDArray[np.uint8]:
    """Return one picture as uint8 (size, size, 3)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks about large or odd files
        with Image.open(path) as file:
            if file.mode.startswith(("I", "F")):
                raise ValueError("it has more than 8 bits per color")
            image = _upright(file)
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.asarray(ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.LANCZOS))


def _upright(image: Image.Image) -> Image.Image:
    """Turn a picture as its EXIF says; what else stands there may be nonsense."""
    try:
        turn = _UPRIGHT.get(image.getexif().get(0x0112, 1))
    except Exception:
        turn = None
    return image if turn is None else image.transpose(turn)
