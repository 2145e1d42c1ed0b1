"""Where data lives on disk, and whether it is undamaged."""

import hashlib
import os
import sys
from pathlib import Path

from ..files import DataError, disk_problem, write_atomically

__all__ = ["DataError", "check_sha256", "data_root", "disk_problem", "write_atomically"]


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder that holds the data; it need not exist yet.

    The first that applies: `root`; the environment variable VAE_DATA; `data/` of the source checkout that the
    package runs from; a cache folder of the user's own.
    """
    if root is not None:
        return Path(root).expanduser()
    if named := os.environ.get("VAE_DATA", "").strip().strip("\"'"):  # quotes come from a settings file
        return Path(named).expanduser()
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file() and (checkout / "data").is_dir():
        return checkout / "data"
    cache = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "vae-utils"


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
