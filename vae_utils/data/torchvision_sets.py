"""MNIST (LeCun et al., 1998) and Fashion-MNIST (Xiao et al., 2017), read and downloaded by torchvision."""

import contextlib
import errno
import http.client
import io
import os
import shutil
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from .dataset import Dataset, Split, clearest, to_tensor
from .files import DataError, data_root, disk_problem

_FILES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
_DIGITS = tuple("0123456789")
_CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
# name -> torchvision's name for the class and for the folder, label names, the two labels that are followed
_SETS = {
    "mnist": ("MNIST", _DIGITS, (3, 5)),
    "fashion_mnist": ("FashionMNIST", _CLOTHES, (0, 9)),
}
_ELSE = "or use cats_dogs or digits, which need no download."


def load(name: str, root: str | Path | None = None, dtype: torch.dtype = torch.float32) -> Dataset:
    """`mnist` or `fashion_mnist`: 60,000 pictures to train and 10,000 to test, grey, (1, 28, 28).

    Files that are under `root` already (in torchvision's layout, `MNIST/raw/...`) are read and nothing is
    written there; otherwise they are downloaded to it first, all of them or none. The likelihood is
    Bernoulli: grey pixels in [0, 1] are taken as probabilities.

    Raises DataError where the files can't be had or are damaged.
    """
    folder_name, label_names, followed = _SETS[name]
    root = data_root(root)
    raw = root / folder_name / "raw"
    if not _complete(raw):
        _download(folder_name, root)
    try:
        train, test = (_read(folder_name, root, part, dtype) for part in ("train", "test"))
        return Dataset(
            name=name,
            train=train,
            test=test,
            label_names=label_names,
            shape=tuple(train.x.shape[1:]),
            likelihood="bernoulli",
            sigma=None,
            followed=tuple(clearest(test, label) for label in followed),
            followed_names=tuple(label_names[label] for label in followed),
        )
    except OSError as error:
        raise DataError(f"{raw} can't be read ({error.strerror or error}): check who may read it, {_ELSE}") from error
    except (AssertionError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(
            f"The {folder_name} files in {raw} are damaged ({error or 'their header makes no sense'}): "
            "delete that folder and load it again, which downloads it."
        ) from error


def _complete(raw: Path) -> bool:
    return all((raw / file).is_file() for file in _FILES)


def _read(folder_name: str, root: Path, part: str, dtype: torch.dtype) -> Split:
    source = _torchvision_class(folder_name)(root, train=part == "train")
    return Split(to_tensor(source.data, dtype), source.targets)


def _torchvision_class(folder_name: str) -> type:
    with _quiet():
        from torchvision import datasets  # costs a second and 160 MB, so only here
    return getattr(datasets, folder_name)


def _download(folder_name: str, root: Path) -> None:
    """Download to a folder beside the target, and move the files over when all are complete.

    A lock makes two notebooks that ask at once take turns; what a killed download left is cleared away.
    """
    from filelock import FileLock  # torch needs it too

    part = root / f".{folder_name}.part"
    lock = root / f".{folder_name}.lock"
    raw = root / folder_name / "raw"
    try:
        _respect_read_only(root)
        part.mkdir(parents=True, exist_ok=True)  # fails at once where nothing can be written
        with FileLock(lock, timeout=600), contextlib.ExitStack() as undo:
            undo.callback(shutil.rmtree, part, ignore_errors=True)
            if _complete(raw):  # another process has fetched it while this one waited
                return
            shutil.rmtree(part, ignore_errors=True)
            print(f"Downloading {folder_name} ...")
            with _quiet(), _network_timeout(30):
                _torchvision_class(folder_name)(part, download=True)
            raw.mkdir(parents=True, exist_ok=True)
            for file in _FILES:
                os.replace(part / folder_name / "raw" / file, raw / file)
    except (OSError, RuntimeError, ValueError, http.client.HTTPException) as error:
        if reason := disk_problem(error):
            raise DataError(
                f"{folder_name} can't be stored in {root} ({reason}): set VAE_DATA to a folder that has it "
                f"or that you may write to, {_ELSE}"
            ) from error
        raise DataError(
            f"{folder_name} can't be downloaded: check the network, set VAE_DATA to a folder that has it, {_ELSE}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()


def _respect_read_only(root: Path) -> None:
    """Raise PermissionError for a folder marked read-only: root, as in many containers, could write there."""
    if os.name == "posix" and root.is_dir() and not root.stat().st_mode & 0o222:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(root))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torchvision's progress bars and warnings out of the notebook."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    """A server that never answers fails after this long; torchvision would wait for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
