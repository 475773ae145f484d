"""The folder of symbols packs: one file for each kernel build, `RELEASE-DIGEST.symbols`.

In: the folder, the path of an image. Out: packs by release. A pack is written beside its name, read
back, checked, and only then renamed. Errors are SourceErrors of one line that name the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from detector.lazy_regex import lazy_regex
from detector.sources.errors import SourceError
from detector.sources.symbols.files import read_file
from detector.sources.symbols.modules import read_modules
from detector.sources.whole_file import write_whole
from detector.symbols import MAX_IMAGE, UnreadableImageError, UnreadablePackError
from detector.symbols.btf import HEADER
from detector.symbols.image import read_image, read_types
from detector.symbols.pack import (
    LONGEST_HEADER,
    MAGIC,
    PackHeader,
    SymbolsPack,
    encode_pack,
    open_pack,
    read_header,
)
from detector.symbols.unpack import unpack

SUFFIX = ".symbols"
"""How the files of packs end."""

T = TypeVar("T")
_RELEASE = lazy_regex(r"\d[\w.+~-]{1,100}")


@dataclass(frozen=True, slots=True)
class PackFile:
    """A pack in the folder, by its header; `size` in bytes."""

    path: Path
    header: PackHeader
    size: int


class SymbolsFolder:
    """The packs of one folder. A folder that is not there holds none; `add` makes it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(
        self, image: Path, release: str | None = None, modules: Sequence[Path] = ()
    ) -> PackFile:
        """Reads a kernel image and these modules of it, or the types of a running kernel (then with
        its release), and writes its pack.
        """
        data: bytes | bytearray = read_file(image, MAX_IMAGE)
        try:
            if release is None and not data.startswith(HEADER[:2]):
                data = unpack(data)  # and what was packed is let go
            kernel = read_image(data) if release is None else read_types(bytes(data), release)
        except UnreadableImageError as error:
            raise SourceError(f"{image}: {error}") from error
        except MemoryError as error:
            raise SourceError(f"{image}: it needs more memory than there is") from error
        del data
        if release is not None and not _RELEASE.fullmatch(release):
            raise SourceError(f"{release!r} is no kernel release, such as 6.1.0-28-amd64")
        pack = encode_pack(kernel, read_modules(modules, kernel) if modules else ())
        del kernel
        header, _ = read_header(pack)
        path = self.path / f"{header.release}-{header.digest}{SUFFIX}"
        write_whole(path, pack, check_pack)
        return PackFile(path, header, len(pack))

    def files(self, on_fault: Callable[[str], None]) -> list[PackFile]:
        """The packs, by release; a file that is none is told."""
        files = []
        for path in sorted(self.path.glob(f"*{SUFFIX}")) if self.path.is_dir() else []:
            try:
                files.append(_of(path))
            except SourceError as error:
                on_fault(str(error))
        return files

    def named(self, name: str) -> list[Path]:
        """The packs of a release, or the file of this name, which may be damaged."""
        named = self.path / f"{name.removesuffix(SUFFIX)}{SUFFIX}"
        if named.parent == self.path and named.is_file():
            return [named]
        files = self.files(lambda _text: None)
        return [file.path for file in files if file.header.release == name]

    def paths_of(self, release: str) -> list[Path]:
        """The files of a release's builds, by their names alone: nothing is read."""
        if not _RELEASE.fullmatch(release) or not self.path.is_dir():
            return []
        ending = re.compile(re.escape(release) + r"-[0-9a-f]{12}" + re.escape(SUFFIX))
        return sorted(path for path in self.path.iterdir() if ending.fullmatch(path.name))


def read_pack(path: Path) -> SymbolsPack:
    """Opens a pack; its parts are unpacked when they are asked for."""
    return _in(path, lambda: open_pack(read_file(path, MAX_IMAGE)))


def check_pack(path: Path) -> SymbolsPack:
    """Reads all of a pack; raises SourceError where a part is damaged."""
    pack = read_pack(path)
    _in(path, pack.check)
    return pack


def remove_pack(path: Path) -> None:
    """Deletes a pack."""
    try:
        path.unlink()
    except OSError as error:
        raise SourceError(f"{path}: cannot be removed: {error.strerror}") from error


def _of(path: Path) -> PackFile:
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC) + LONGEST_HEADER)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    header, _ = _in(path, lambda: read_header(head))
    return PackFile(path, header, size)


def _in(path: Path, reading: Callable[[], T]) -> T:
    try:
        return reading()
    except UnreadablePackError as error:
        raise SourceError(
            f"{path}: {error}; `oopswatch symbols add IMAGE` makes a new one"
        ) from error
