"""Write files whole or not at all, and say in words what a disk refused."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


class DataError(RuntimeError):
    """Data that can't be had, read or stored. The message says what to do about it."""


def disk_problem(error: Exception) -> str | None:
    """Return what an error says about the disk, in words, or None if it is about something else."""
    match getattr(error, "errno", None):
        case errno.ENOSPC | errno.EDQUOT:
            return "the disk is full"
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return "you may not write there"
        case errno.ENOTDIR | errno.EEXIST:
            return "a file is where a folder should be"
    return None


def write_atomically(path: str | Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write(file)` write a temporary file next to `path`, then move it to `path` in one step.

    Missing folders are created. If anything fails, `path` is as it was and the temporary file is gone.

    Raises:
        DataError: The disk is full, read-only or fails otherwise. Other errors of `write` pass unchanged.
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
