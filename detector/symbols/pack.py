"""A symbols pack: what one kernel build says of itself, as one compressed file.

In: a `KernelImage`. Out: bytes: a line of magic, a line of JSON with release, build, architecture
and the digest of each part, then the parts as zstd frames. And back: `open_pack` unpacks a part
when it is asked for. A module is a pack inside of the pack, a part of its own, so an explanation
reads those alone that it needs. Bytes that are damaged, cut or of another format raise
UnreadablePackError.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate, pairwise
from typing import Any

import zstandard

from detector.symbols import MAX_IMAGE, UnreadableImageError, UnreadablePackError
from detector.symbols.btf import Btf
from detector.symbols.image import CodeRange, KernelImage
from detector.symbols.module import ModuleImage, decode_places, encode_places
from detector.symbols.table import SymbolTable

MAGIC = b"oopswatch symbols 1\n"
_PARTS = frozenset(("names", "kinds", "addresses", "types", "code"))
_RELOCATED = "relocated"
_MODULE = "module "  # in front of a module's name
_LEVEL = 10  # 12 takes 20 MB of memory and 0.6 s more for 0.3 % less
LONGEST_HEADER = 1_048_576
"""Bytes that the header of a pack has at most."""


@dataclass(frozen=True, slots=True)
class PackHeader:
    """The header of a pack. `digest` names the content; `code` are (address, bytes) of each
    range of code, in order; none where the pack holds types alone.
    """

    release: str
    build: str
    arch: str
    digest: str
    symbols: int
    code: tuple[tuple[int, int], ...]
    parts: tuple[tuple[str, int, int, str], ...]  # name, bytes packed, bytes unpacked, SHA-256

    @property
    def modules(self) -> list[str]:
        """The names of the modules that are in it."""
        names = (part[0] for part in self.parts)
        return [name.removeprefix(_MODULE) for name in names if name.startswith(_MODULE)]


class SymbolsPack:
    """A pack, opened: its parts are unpacked, checked and kept when they are first asked for."""

    def __init__(self, header: PackHeader, data: bytes, start: int) -> None:
        self.header = header
        self._frames: dict[str, tuple[bytes, int, str]] = {}
        for name, packed, size, digest in header.parts:
            self._frames[name] = data[start : start + packed], size, digest
            start += packed

    @cached_property
    def code(self) -> tuple[CodeRange, ...]:
        """The code, as it was linked."""
        data, start, ranges = self._part("code"), 0, []
        for address, size in self.header.code:
            ranges.append(CodeRange(address, data[start : start + size]))
            start += size
        return tuple(ranges)

    @cached_property
    def symbols(self) -> SymbolTable:
        """The symbols."""
        try:
            names = self._part("names").decode().split("\n") if self.header.symbols else []
            steps = array("Q", self._part("addresses"))
            kinds = self._part("kinds").decode()
            addresses = array("Q", accumulate(steps))
        except UnreadablePackError:
            raise
        except (ValueError, OverflowError) as error:
            raise UnreadablePackError("it is damaged: its symbols cannot be read") from error
        if not self.header.symbols == len(names) == len(steps) == len(kinds):
            raise UnreadablePackError("it is damaged: its symbols do not fit each other")
        return SymbolTable(names, kinds, addresses)

    @cached_property
    def types(self) -> Btf:
        """The types; raises UnreadablePackError where the kernel was built without."""
        if not self.has_types:
            raise UnreadablePackError("the kernel was built without types (BTF)")
        try:
            return Btf(self._part("types"))
        except UnreadableImageError as error:
            raise UnreadablePackError(f"it is damaged: {error}") from error

    @property
    def has_types(self) -> bool:
        """Tell if it holds types."""
        return bool(self._frames["types"][1])

    def module(self, name: str) -> SymbolsPack | None:
        """The pack of a module, by the name that logs print; None where it was not asked for."""
        part = _MODULE + name
        return open_pack(self._part(part)) if part in self._frames else None

    @property
    def split_types(self) -> bytes:
        """The types of a module, which go on from those of its kernel."""
        return self._part("types")

    @property
    def relocated(self) -> list[tuple[int, int]]:
        """(address, bytes) of what a module's loader fills in."""
        return decode_places(self._part(_RELOCATED)) if _RELOCATED in self._frames else []

    def check(self) -> None:
        """Unpacks every part and compares it with its digest."""
        if self.has_types:
            _ = self.types
        self.check_parts()
        for name in self.header.modules:
            if (module := self.module(name)) is not None:
                module.check_parts()

    def check_parts(self) -> None:
        """The same, but for what the types mean: those of a module are half of them."""
        for name in self._frames:
            self._part(name)
        _ = self.symbols

    def _part(self, name: str) -> bytes:
        frame, size, digest = self._frames[name]
        try:
            # A frame reserves the memory that its own header claims, whatever max_output_size says.
            if zstandard.frame_content_size(frame) != size:
                raise UnreadablePackError(f"it is damaged: its {name} have another size")
            data = zstandard.ZstdDecompressor().decompress(frame)
        except zstandard.ZstdError as error:
            raise UnreadablePackError(f"it is damaged: {error}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise UnreadablePackError(f"it is damaged: its {name} do not match their digest")
        return data


def encode_pack(image: KernelImage, modules: Sequence[ModuleImage] = ()) -> bytes:
    """The pack of a kernel; equal for equal images and modules."""
    return _encode(image, {_MODULE + module.name: _encode_module(module) for module in modules})


def _encode_module(module: ModuleImage) -> bytes:
    return _encode(module.image, {_RELOCATED: encode_places(module.relocated)})


def _encode(image: KernelImage, others: Mapping[str, bytes]) -> bytes:
    table = image.symbols
    steps = array("Q", (later - earlier for earlier, later in pairwise((0, *table.addresses))))
    # One after the other: together they would take as much memory as the image itself.
    contents: dict[str, Callable[[], Sequence[bytes]]] = {
        "names": lambda: ["\n".join(table.names).encode()],
        "kinds": lambda: [table.kinds.encode()],
        "addresses": lambda: [steps.tobytes()],
        "types": lambda: [image.btf],
        "code": lambda: [part.data for part in image.code],
        **{name: partial(list, (content,)) for name, content in others.items()},
    }
    frames = {name: _frame(content()) for name, content in contents.items()}
    digests = "".join(frames[name][2] for name in contents if name not in others)
    head = {
        "release": image.release,
        "build": image.build,
        "arch": image.arch,
        "digest": hashlib.sha256(digests.encode()).hexdigest()[:12],
        "symbols": len(table),
        "code": [[part.address, len(part.data)] for part in image.code],
        "parts": [[name, len(frame), size, sha] for name, (frame, size, sha) in frames.items()],
    }
    line = json.dumps(head).encode()
    return b"".join((MAGIC, line, b"\n", *(frame for frame, _, _ in frames.values())))


def _frame(pieces: Sequence[bytes]) -> tuple[bytes, int, str]:
    """What these bytes are packed into, their number, their SHA-256."""
    size, digest = sum(map(len, pieces)), hashlib.sha256()
    packing = zstandard.ZstdCompressor(level=_LEVEL).compressobj(size=size)
    frame = []
    for piece in pieces:
        digest.update(piece)
        frame.append(packing.compress(piece))
    return b"".join((*frame, packing.flush())), size, digest.hexdigest()


def open_pack(data: bytes) -> SymbolsPack:
    """The pack that these bytes are."""
    header, start = read_header(data)
    if start + sum(packed for _, packed, _, _ in header.parts) != len(data):
        raise UnreadablePackError("it is cut, or something follows it")
    return SymbolsPack(header, data, start)


def read_header(data: bytes) -> tuple[PackHeader, int]:
    """The header, and where the parts begin; the first 64 KiB of a pack are enough."""
    if not data.startswith(MAGIC):
        raise UnreadablePackError("it is no symbols pack, or one of another version of oopswatch")
    end = data.find(b"\n", len(MAGIC), len(MAGIC) + LONGEST_HEADER)
    try:
        return _header(json.loads(data[len(MAGIC) : end])), end + 1
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UnreadablePackError("it is damaged: its header cannot be read") from error


def _header(item: Mapping[str, Any]) -> PackHeader:
    parts = tuple(
        (str(name), int(packed), int(size), str(digest))
        for name, packed, size, digest in item["parts"]
    )
    names = {name for name, _, _, _ in parts}
    bounds = [number for _, packed, size, _ in parts for number in (packed, size)]
    if not names >= _PARTS or not all(0 <= number <= MAX_IMAGE for number in bounds):
        raise ValueError("parts")
    code = tuple((int(address), int(size)) for address, size in item["code"])
    held = next(size for name, _, size, _ in parts if name == "code")
    if min((0, *(size for _, size in code))) < 0 or sum(size for _, size in code) != held:
        raise ValueError("code")
    return PackHeader(
        str(item["release"]),
        str(item["build"]),
        str(item["arch"]),
        str(item["digest"]),
        int(item["symbols"]),
        code,
        parts,
    )
