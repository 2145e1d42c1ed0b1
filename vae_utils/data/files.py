"""Where data lives on disk, and how files get there whole or not at all."""

import errno
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


class DataError(RuntimeError):
    """Data that can't be had, read or stored. The message says what to do about it."""


def data_root(root: str | Path | None = None) -> Path:
    """The folder that holds the data; it need not exist yet.

    In this order: `root`; the environment variable VAE_DATA; `data/` of the source checkout that the package
    runs from; a cache folder of the user's own.
    """
    if root is not None:
        return Path(root).expanduser()
    if named := os.environ.get("VAE_DATA"):
        return Path(named).expanduser()
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file() and (checkout / "data").is_dir():
        return checkout / "data"
    cache = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "vae-utils"


def disk_problem(error: Exception) -> str | None:
    """What an error says about the disk, in words, or None where it is about something else."""
    match getattr(error, "errno", None):
        case errno.ENOSPC | errno.EDQUOT:
            return "the disk is full"
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return "you may not write there"
        case errno.ENOTDIR | errno.EEXIST:
            return "a file is where a folder should be"
    return None


def write_atomically(path: str | Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write(file)` write a file beside `path`, then put it in the place of `path` in one step.

    Missing folders are made. Whatever goes wrong, `path` is as it was before and nothing is left beside it.
    Raises DataError where the disk is full, read-only or otherwise fails; other errors of `write` pass.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        reason = disk_problem(error) or error.strerror or error
        raise DataError(f"{path} can't be written ({reason}): free some space or choose another folder.") from error


def check_sha256(path: str | Path, expected: str) -> None:
    """Raise DataError unless the file's SHA-256 checksum is `expected` (64 hexadecimal digits)."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"{path} can't be read ({error.strerror or error}): install the course or download it again."
        ) from error
    if found != expected.lower():
        raise DataError(
            f"{path} is damaged (its checksum differs from that of the file this course was made with): "
            "delete it and install the course or download it again."
        )
