"""Files of CVE records: a folder, a tar (plain, gz, bz2, xz), a zip, one JSON file.

In: a path. Out: `Document`s, name and bytes, and how far the reading has come. Nothing is unpacked
to the disk. What cannot be read at all, or ends in the middle, is a `SourceError` with its reason.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, cast

from detector.sources.errors import SourceError

LARGEST = 4 * 1024 * 1024
"""Bytes of a record that are read; the largest published one has 0.2 MB."""
_LARGEST_INNER = 2 * 1024 * 1024 * 1024
_TAR_END = 1024  # two empty blocks
_PIECE = 1024 * 1024
# RuntimeError: a member is encrypted; NotImplementedError: compressed in a way that is not known.
_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(EOFError, OSError, RuntimeError, NotImplementedError, ValueError),
)

Progress = Callable[[int, int], None]
"""Bytes read so far, bytes in all."""


@dataclass(frozen=True, slots=True)
class JsonFile:
    """A JSON file; `data` is None where it is larger than any record."""

    name: str
    data: bytes | None


def documents(path: Path, progress: Progress | None = None) -> Iterator[JsonFile]:
    """Every JSON file at `path`, in an order that does not depend on the file system."""
    try:
        if path.is_dir():
            yield from _folder(path, progress)
            return
        with path.open("rb") as raw:
            zipped = raw.read(4) == b"PK\x03\x04"
            if zipped:
                yield from _zip(raw, progress, path.stat().st_size)
        if path.suffix == ".json":
            yield JsonFile(path.name, _bounded(path.stat().st_size, path.read_bytes))
        elif not zipped:
            yield from _tar(path, progress)
    except SourceError:
        raise
    except _DAMAGE as error:
        raise SourceError(f"{path}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    if isinstance(error, tarfile.ReadError) and "invalid header" in str(error):
        return "is no folder, tar, zip or JSON file of CVE records"
    return f"is damaged or cut ({error}): get it again"


def _bounded(size: int, read: Callable[[], bytes]) -> bytes | None:
    return read() if size <= LARGEST else None


def _folder(path: Path, progress: Progress | None) -> Iterator[JsonFile]:
    files = sorted(path.rglob("*.json"))
    for number, file in enumerate(files, 1):
        if file.is_file():
            name = file.relative_to(path).as_posix()
            yield JsonFile(name, _bounded(file.stat().st_size, file.read_bytes))
        if progress is not None:
            progress(number, len(files))


class _Whole:
    """A stream that is read to its end, and remembers how it ended."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._tail = b""

    def read(self, size: int) -> bytes:
        """The next bytes."""
        piece = self._stream.read(size)
        self._tail = (self._tail + piece)[-_TAR_END:]
        return piece

    def ends_like_tar(self) -> bool:
        """Returns whether the rest can be read and the last two blocks are empty, as tar writes
        them.
        """
        while self.read(_PIECE):
            pass
        return self._tail == bytes(_TAR_END)


def _tar(path: Path, progress: Progress | None) -> Iterator[JsonFile]:
    size = path.stat().st_size
    with path.open("rb") as raw, _decompressed(raw) as stream:
        whole = _Whole(stream)
        with tarfile.open(fileobj=cast("IO[bytes]", whole), mode="r|") as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".json"):
                    yield JsonFile(member.name, _member(archive, member))
                if progress is not None:
                    progress(raw.tell(), size)
        if not whole.ends_like_tar():
            raise SourceError(f"{path}: is cut: it has no end; get it again")


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | None:
    file = archive.extractfile(member)
    assert file is not None
    with file:
        return _bounded(member.size, file.read)


def _decompressed(raw: IO[bytes]) -> IO[bytes]:
    head = raw.read(6)
    raw.seek(0)
    if head.startswith(b"\xfd7zXZ\0"):
        return cast("IO[bytes]", lzma.open(raw))
    if head.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.open(raw))
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(raw))
    return raw


def _zip(raw: IO[bytes], progress: Progress | None, size: int) -> Iterator[JsonFile]:
    """The members by name; an archive inside (as cvelistV5's releases have it) is read
    likewise.
    """
    with zipfile.ZipFile(raw) as archive:
        done = 0
        for member in sorted(archive.infolist(), key=lambda item: item.filename):
            done += member.compress_size
            if member.filename.endswith(".json"):
                read = partial(archive.read, member)
                yield JsonFile(member.filename, _bounded(member.file_size, read))
            elif member.filename.endswith(".zip") and member.file_size <= _LARGEST_INNER:
                with archive.open(member) as inner:
                    yield from _zip(io.BytesIO(inner.read()), None, member.file_size)
            if progress is not None:
                progress(min(done, size), size)
