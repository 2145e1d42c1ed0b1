"""Data sets that torchvision reads and downloads: MNIST and others with the same four files."""

import contextlib
import errno
import http.client
import io
import os
import shutil
import socket
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

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
        return data_root(root) if _complete(self._raw(root)) else None

    def load(self, root: str | Path | None = None, dtype: torch.dtype = torch.float32) -> Dataset:
        """Load the data set, from files under `root` (in torchvision's layout, `MNIST/raw/...`) if all are there.

        Nothing is written then; otherwise they are first downloaded to `root`, all of them or none.

        Raises:
            DataError: The files can't be had or are damaged.
        """
        root, raw = data_root(root), self._raw(root)
        if not _complete(raw):
            _download(self.folder_name, root)
        try:
            train, test = (_read(self.folder_name, root, part, dtype) for part in ("train", "test"))
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
        except OSError as error:
            raise DataError(
                f"{raw} can't be read ({error.strerror or error}): check who may read it, {_ELSE}"
            ) from error
        except (AssertionError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise DataError(
                f"The {self.folder_name} files in {raw} are damaged ({error or 'their header makes no sense'}): "
                "delete that folder and load it again, which downloads it."
            ) from error

    def _raw(self, root: str | Path | None) -> Path:
        return data_root(root) / self.folder_name / "raw"


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
