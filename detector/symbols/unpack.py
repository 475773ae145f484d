"""Unpacks what a boot loader is given into the kernel as it was linked.

In: the bytes of an x86 bzImage, an EFI zboot image, an arm64 Image or an ELF vmlinux, plain or
compressed by gzip, xz, zstd or lz4. Out: an ELF file or an arm64 Image. No more than `MAX_IMAGE`
bytes are made, whatever the input claims.

Sources: Documentation/arch/x86/boot.rst (payload_offset, protocol 2.08), arch/arm64/kernel/head.S,
drivers/firmware/efi/libstub/zboot-header.S (6.1 and later), scripts/Makefile.lib (size_append).
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from detector.symbols import MAX_IMAGE, UnreadableImageError

ELF_MAGIC = b"\x7fELF"
_STEP = 1024 * 1024
_LZ4_LEGACY = b"\x02\x21\x4c\x18"
_LZ4_BLOCK = 8 * 1024 * 1024  # bytes a block unpacks to at most: lz4's legacy frame format
_LARGEST_PACKED = 48 * 1024 * 1024  # Debian's have 8 to 12 MB
# Its window grows with what is unpacked: together they are to stay below 200 MB.
_LARGEST_BY_XZ = 76 * 1024 * 1024
_XZ_MEMORY = 160 * 1024 * 1024  # the kernel's xz uses dictionaries of up to 128 MiB
_UNREAD = {b"\x5d\x00\x00": "lzma", b"BZh": "bzip2", b"\x89LZO": "lzo"}


def unpack(data: bytes | bytearray) -> bytes | bytearray:
    """The kernel inside of an image; raises UnreadableImageError."""
    if is_plain(data):
        return data
    payload = _payload(memoryview(data))
    kernel = decompress(payload)
    if not is_plain(kernel[:64]):
        raise UnreadableImageError("what is packed inside is neither an ELF file nor an Image")
    return kernel


def is_plain(data: bytes | bytearray) -> bool:
    """Tell if this begins as an ELF file or as an arm64 Image, and is not packed."""
    return data[:4] == ELF_MAGIC or is_arm64_image(data)


def is_arm64_image(data: bytes | bytearray) -> bool:
    """Tell if the header of an arm64 Image is there (Documentation/arch/arm64/booting.rst)."""
    return data[0x38:0x3C] == b"ARM\x64"


def _payload(data: memoryview) -> memoryview:
    """The compressed kernel: all of the bytes, or what the header of a boot image points to."""
    head = bytes(data[:0x250])
    if head[:2] == b"MZ" and head[4:8] == b"zimg" and len(data) >= 0x38:
        start, size = struct.unpack_from("<II", data, 8)
    elif len(data) >= 0x250 and head[0x202:0x206] == b"HdrS":
        offset, size = struct.unpack_from("<II", data, 0x248)
        start = ((data[0x1F1] or 4) + 1) * 512 + offset
    else:
        return data
    if start + size > len(data):
        raise UnreadableImageError(
            f"it is cut: its header says {start + size:,} bytes, there are {len(data):,}"
        )
    return data[start : start + size]


def decompress(payload: memoryview) -> bytes | bytearray:
    """Unpacks gzip, xz, zstd or lz4; stops where the first bytes are no kernel's."""
    steps = _steps_of(bytes(payload[:8]))
    if len(payload) > _LARGEST_PACKED:
        raise UnreadableImageError(f"it has more than {_LARGEST_PACKED >> 20} MB, packed")
    most = _LARGEST_BY_XZ if steps is _xz else MAX_IMAGE
    made: bytes | bytearray = b""
    try:
        for part in steps(payload):
            made = _joined(made, part)
            if len(made) > most:
                raise UnreadableImageError(f"it unpacks to more than {most >> 20} MB")
            if len(made) >= 64 and not is_plain(made[:64]):
                break
    except (zlib.error, lzma.LZMAError, RuntimeError, ValueError, EOFError) as error:
        if isinstance(error, UnreadableImageError):
            raise
        raise UnreadableImageError(f"it does not unpack: {error}") from error
    return made


def _joined(made: bytes | bytearray, part: bytes) -> bytes | bytearray:
    """Both, without a copy where there is only one part."""
    if not made:
        return part
    joined = made if isinstance(made, bytearray) else bytearray(made)
    joined += part
    return joined


def _steps_of(head: bytes) -> Callable[[memoryview], Iterator[bytes]]:
    """What unpacks bytes that begin so."""
    for magic, steps in _FORMATS.items():
        if head.startswith(magic):
            return steps
    for magic, name in _UNREAD.items():
        if head.startswith(magic):
            raise UnreadableImageError(
                f"it is packed by {name}, which is not read: unpack it with the kernel's "
                "scripts/extract-vmlinux"
            )
    raise UnreadableImageError("it is no kernel image: no bzImage, Image, zboot or ELF file")


def _gzip(payload: memoryview) -> Iterator[bytes]:
    unpacking = zlib.decompressobj(31)
    yield unpacking.decompress(payload, _STEP)
    while unpacking.unconsumed_tail:
        yield unpacking.decompress(unpacking.unconsumed_tail, _STEP)
    if not unpacking.eof:
        raise EOFError("it is cut")


def _xz(payload: memoryview) -> Iterator[bytes]:
    unpacking = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    for part in _steps(payload):
        yield unpacking.decompress(part, _STEP)
        while not unpacking.needs_input and not unpacking.eof:
            yield unpacking.decompress(b"", _STEP)
        if unpacking.eof:
            return
    raise EOFError("it is cut")


def _zstd(payload: memoryview) -> Iterator[bytes]:
    import zstandard

    # At once, the output is the only memory that is needed; in steps zstd keeps a window of it too.
    size = int.from_bytes(payload[-4:], "little")
    try:
        # A frame reserves the memory that its own header claims, whatever max_output_size says.
        if size <= MAX_IMAGE and zstandard.frame_content_size(payload) in (-1, size):
            yield zstandard.ZstdDecompressor().decompress(payload, max_output_size=size)
            return
    except zstandard.ZstdError:
        pass  # no size is appended, or it is damaged: in steps it is said how
    unpacking = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    try:
        for start, end in pairwise(range(0, len(payload) + 4096, 4096)):
            yield unpacking.decompress(payload[start:end])
            if unpacking.eof:
                return
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    raise EOFError("it is cut")


def _lz4(payload: memoryview) -> Iterator[bytes]:
    import lz4.block

    position = 4
    while position + 8 <= len(payload):  # the last 4 bytes are the size that the build appends
        (size,) = struct.unpack_from("<I", payload, position)
        if size == int.from_bytes(_LZ4_LEGACY, "little"):
            position += 4
            continue
        position += 4
        if not 0 < size <= len(payload) - position:
            raise EOFError("it is cut")
        block = payload[position : position + size]
        try:
            yield lz4.block.decompress(block, uncompressed_size=_LZ4_BLOCK)
        except lz4.block.LZ4BlockError as error:
            raise ValueError("a block of lz4 is damaged") from error
        position += size


def _steps(payload: memoryview) -> Iterator[memoryview]:
    return (payload[start : start + _STEP] for start in range(0, len(payload), _STEP))


_FORMATS: Mapping[bytes, Callable[[memoryview], Iterator[bytes]]] = {
    b"\x1f\x8b": _gzip,
    b"\xfd7zXZ\x00": _xz,
    b"\x28\xb5\x2f\xfd": _zstd,
    _LZ4_LEGACY: _lz4,
}
