"""Every file in a folder and in the archives in it, read in memory: nothing is unpacked, so no path leads elsewhere."""

from __future__ import annotations

import contextlib
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, cast

MOST_BYTES = 20_000_000  # of one file
MOST_PACKED = 500_000_000  # of one archive in another
MOST_UNPACKED = 5_000_000_000  # of all that is read from one archive in the folder
MOST_FILES = 50_000  # in one archive
DEEPEST = 5  # archives in archives
SUFFIXES = (".tar.gz", ".tar.bz2", ".tar.xz", ".zip", ".tar", ".tgz", ".gz", ".tbz2", ".bz2", ".txz", ".xz")
ZIP, PACKED = (b"PK\3\4", b"PK\5\6"), (b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
FOREIGN = {b"Rar!": "RAR", b"7z\xbc\xaf": "7z"}
# Zip files by their bytes, but nobody hands in notebooks in them.
DOCUMENTS = (".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".npz", ".pt", ".pth", ".pages", ".whl", ".epub")

# What reading a broken archive raises; RuntimeError also for one with a password
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
)


@dataclass(frozen=True)
class File:
    """A file.

    Attributes:
        path: Where it is in the folder; an archive counts as a folder.
        time: When it was changed last, in seconds.
        content: Its bytes, MOST_BYTES + 1 of them at most.
        problem: Why it could not be read, or ''.
    """

    path: str
    time: float = 0.0
    content: bytes = field(default=b"", repr=False)
    problem: str = ""


def files(folder: Path) -> Iterator[File]:
    """Yield each file in a folder, or in the archive that stands for one."""
    alone = folder.is_file()
    for path in [folder] if alone else sorted(path for path in folder.rglob("*") if not path.is_dir()):
        name = path.name if alone else path.relative_to(folder).as_posix()
        if not path.resolve().is_relative_to(folder.resolve()):
            yield File(name, problem="a link that leads out of the folder")
            continue
        try:
            time, stream = path.stat().st_mtime, path.open("rb")
        except OSError as error:
            yield File(name, problem=f"it can't be read: {error.strerror}")
            continue
        with stream:
            yield from _Reader().read(name, time, stream, inside="" if alone else f"{name}/")


class _Reader:
    """Read one file of the folder, and if it is an archive, what is in it, up to the limits."""

    def __init__(self) -> None:
        self.left = MOST_UNPACKED

    def read(self, path: str, time: float, stream: IO[bytes], inside: str, depth: int = 0) -> Iterator[File]:
        """Yield the file, or the files in it; `inside` goes before their names."""
        try:
            head = stream.read(512)
            if foreign := FOREIGN.get(head[:4]):
                yield File(path, time, problem=f"a {foreign} archive; unpack it, or ask for a zip file")
                return
            suffix = next((one for one in SUFFIXES if path.lower().endswith(one)), "")
            packed = head.startswith(ZIP) and not path.lower().endswith(DOCUMENTS)
            packed |= head.startswith(PACKED) or head[257:262] == b"ustar"
            if not packed:
                content = head + stream.read(MOST_BYTES + 1 - len(head))
                self.left -= len(content) if depth else 0
                yield File(path, time, content, "it is named like an archive, but is none" if suffix else "")
                return
            if depth == DEEPEST:
                yield File(path, time, problem=f"an archive in {DEEPEST} others; unpack it")
                return
            if depth:  # archives are read from any place in them; a member of one is not
                content = head + stream.read(MOST_PACKED + 1 - len(head))
                self.left -= len(content)
                if len(content) > MOST_PACKED:
                    yield File(path, time, problem=f"an archive of more than {MOST_PACKED // 1_000_000} MB in another")
                    return
                stream = io.BytesIO(content)
            stream.seek(0)
            members = _zipped(stream) if head.startswith(ZIP) else _tarred(stream, PurePosixPath(path).name, time)
            yield from self._members(path, time, members, inside, depth + 1)
        except BROKEN as error:
            yield File(path, time, problem=_why(error, depth))

    def _members(self, path: str, time: float, members: Members, inside: str, depth: int) -> Iterator[File]:
        number = 0
        for number, (name, changed, size, opened) in enumerate(members, start=1):
            self.left -= size
            if number > MOST_FILES or self.left < 0:
                yield File(path, time, problem="an archive with too much in it; unpack it, what came last was not read")
                return
            where = inside + _clean(name)
            try:
                stream = opened()
                if stream is None:
                    yield File(where, changed, problem="a link in an archive, not a file")
                    continue
                with stream:
                    yield from self.read(where, changed, stream, f"{where}/", depth)
            except BROKEN as error:
                yield File(where, changed, problem=_why(error, depth))
        if not number:
            yield File(path, time, problem="an archive with nothing in it")


Members = Iterator[tuple[str, float, int, Callable[[], IO[bytes] | None]]]


def _zipped(stream: IO[bytes]) -> Members:
    """Yield name and time of each file in a zip file, how many bytes passing over it takes, and what opens it."""
    with zipfile.ZipFile(stream) as archive:
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            name = entry.filename
            if not entry.flag_bits & 0x800:  # macOS writes UTF-8, and does not say so
                with contextlib.suppress(UnicodeError):
                    name = name.encode("cp437").decode("utf-8")
            time = 0.0
            with contextlib.suppress(ValueError, OverflowError, OSError):
                time = datetime(*entry.date_time).timestamp()
            yield name, time, 0, lambda entry=entry: archive.open(entry)  # type: ignore[misc]


def _tarred(stream: IO[bytes], name: str, time: float) -> Members:
    """Yield the same for a tar file, packed or not, and for a single file that gzip packed."""
    try:
        archive = tarfile.open(fileobj=stream, mode="r:*")  # noqa: SIM115
    except tarfile.ReadError:
        stream.seek(0)
        if stream.read(2) != b"\x1f\x8b":
            raise
        stream.seek(0)
        yield name.removesuffix(".gz"), time, 0, lambda: cast(IO[bytes], gzip.GzipFile(fileobj=stream))
        return
    with archive:
        for entry in archive:
            if not entry.isdir():
                member = archive.extractfile if entry.isfile() else (lambda _: None)
                yield entry.name, entry.mtime, entry.size, lambda entry=entry, member=member: member(entry)  # type: ignore[misc]


def _clean(name: str) -> str:
    """Return a member's name without what would lead out of its archive."""
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", ".", ".."))


def _why(error: Exception, depth: int) -> str:
    if isinstance(error, RuntimeError) and "password" in str(error):
        return "an archive with a password"
    return f"a broken file in an archive ({error})" if depth else f"a broken archive ({error})"
