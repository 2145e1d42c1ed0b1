"""MNIST and others with the same four files, which torchvision downloads."""

import contextlib
import errno
import gzip
import http.client
import io
import os
import shutil
import socket
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..likelihoods import Bernoulli
from .dataset import Dataset, Split, clearest, to_tensor
from .files import DataError, data_root, disk_problem
from .registry import either, names

_FILES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
_ELSE = f"or use {either(names('shipped'))}, which need no download."


@dataclass(frozen=True)
class TorchvisionSet:
    """A data set of torchvision in MNIST's file format. The likelihood is Bernoulli: grey pixels are probabilities.

    Args:
        name: Its name in this course.
        folder_name: torchvision's name for its class and its folder.
        label_names: The name of class 0, 1, 2, ...
        followed: The names of the two classes of which the notebooks follow a clear example.
    """

    name: str
    folder_name: str
    label_names: tuple[str, ...]
    followed: tuple[str, str]

    def where(self, root: str | Path | None = None) -> Path | None:
        """Return the folder that holds the files, or None if they are not all there."""
        return data_root(root) if self._files(root) else None

    def load(self, root: str | Path | None = None, dtype: torch.dtype = torch.float32) -> Dataset:
        """Load the data set from files under `root`, or download it.

        The files may lie in torchvision's layout, `MNIST/raw/...`, in `MNIST` or in `root` itself, also as .gz and
        under their other usual names, such as `train-images.idx3-ubyte`. Nothing is written then; otherwise they are
        first downloaded to `root`, all of them or none.

        Raises:
            DataError: The files can't be had or are damaged.
        """
        files = self._files(root)
        if not files:
            _download(self.folder_name, data_root(root))
            files = self._files(root)
        raw = files[0].parent if files else data_root(root)
        try:
            train, test = (self._split(pictures, labels, dtype) for pictures, labels in (files[:2], files[2:]))
            _, channels, height, width = train.x.shape
            first, second = (clearest(test, self.label_names.index(label)) for label in self.followed)
            return Dataset(
                name=self.name,
                train=train,
                test=test,
                label_names=self.label_names,
                shape=(channels, height, width),
                likelihood=Bernoulli(),
                followed=(first, second),
                followed_names=self.followed,
            )
        except gzip.BadGzipFile as error:
            raise self._damaged(raw, error) from error
        except OSError as error:
            raise DataError(
                f"{raw} can't be read ({error.strerror or error}): check who may read it, {_ELSE}"
            ) from error
        except (EOFError, IndexError, ValueError, zlib.error) as error:
            raise self._damaged(raw, error) from error

    def _damaged(self, raw: Path, error: Exception) -> DataError:
        return DataError(
            f"The {self.folder_name} files in {raw} are damaged ({error or 'their header makes no sense'}): "
            "delete that folder and load it again, which downloads it."
        )

    def _files(self, root: str | Path | None) -> list[Path]:
        """Return the four files, in the order of `_FILES`; an empty list if they are not all in one folder."""
        top, inner = data_root(root), data_root(root) / self.folder_name
        places = (inner / "raw", inner, top, inner / self.folder_name / "raw")
        return next((files for place in places if (files := _four(place))), [])

    def _split(self, pictures: Path, labels: Path, dtype: torch.dtype) -> Split:
        x, y = read_idx(pictures, 3), read_idx(labels, 1)
        if len(x) != len(y) or y.max(initial=0) >= len(self.label_names):
            raise ValueError(f"{len(x)} pictures, {len(y)} labels from 0 to {y.max(initial=0)}")
        return Split(to_tensor(x, dtype), torch.from_numpy(y).long())


def _four(folder: Path) -> list[Path]:
    """Return the four files of a folder, in the order of `_FILES`; an empty list if one is missing."""
    found = []
    for name in _FILES:
        spellings = (f"{stem}{suffix}" for suffix in ("", ".gz") for stem in (name, name.replace("-idx", ".idx")))
        file = next((folder / spelling for spelling in spellings if (folder / spelling).is_file()), None)
        if file is None:
            return []
        found.append(file)
    return found


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """Read a file of bytes in MNIST's format, packed (.gz) or not: (n,) for one axis, (n, H, W) for three.

    Raises:
        ValueError: It is something else.
        OSError: It can't be read.
    """
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        content = file.read()
    if content[:1] == b"<":
        raise ValueError(f"{path.name} is a web page")
    if content[:4] != bytes([0, 0, 8, axes]):
        raise ValueError(f"{path.name} is no file of bytes with {axes} axes")
    shape = np.frombuffer(content, ">u4", axes, 4).astype(int)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
    if len(values) != shape.prod():
        raise ValueError(f"{path.name} has {len(values):,} bytes, not {shape.prod():,}")
    return values.reshape(shape).copy()


def _torchvision_class(folder_name: str) -> type:
    with _quiet():
        from torchvision import datasets  # costs a second and 160 MB, so only here
    return getattr(datasets, folder_name)


def _download(folder_name: str, root: Path) -> None:
    """Download to a folder next to the target, and move the files there when all are complete.

    A lock makes two notebooks that ask at once take turns. What a killed download left is deleted.
    """
    from filelock import FileLock  # torch needs it too

    part = root / f".{folder_name}.part"
    lock = root / f".{folder_name}.lock"
    raw = root / folder_name / "raw"
    try:
        _respect_read_only(root)
        part.mkdir(parents=True, exist_ok=True)  # fails at once if nothing can be written
        with FileLock(lock, timeout=600), contextlib.ExitStack() as undo:
            undo.callback(shutil.rmtree, part, ignore_errors=True)
            if all((raw / file).is_file() for file in _FILES):  # fetched by another process while this one waited
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
    """Raise PermissionError for a folder marked read-only, where the root user of a container could write."""
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
    """Let a server that does not answer fail after this long; torchvision would wait for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
