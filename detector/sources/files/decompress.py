"""One file, pipe or device as a stream of decompressed bytes, and whether it is a log at
all.

The compression is told by the first bytes, whatever the name says. Raises `NotALogError` for what
is none, OSError for what cannot be opened; damage inside a compressed file is one of `DAMAGE`,
after all that came before it has been read.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import sys
import zlib
from typing import BinaryIO, Protocol, cast

import zstandard

from detector.lazy_regex import lazy_regex

DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError)
HEAD_SIZE = 64 * 1024
STDIN = "-"
GZIP, XZ, BZIP2, ZSTANDARD = b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh", b"\x28\xb5\x2f\xfd"

# What people hand over by mistake, by its first bytes, with what to do instead where there is
# something.
_KINDS = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive: unpack it first"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"LPKSHHRH", "a systemd journal: hand over what `journalctl -o json --file=…` prints"),
    (b"KDUMP   ", "a kernel dump: hand over its vmcore-dmesg.txt, or what `log` prints in crash"),
    (
        b"\x7fELF",
        (
            "an ELF file (a program or a kernel dump): of a dump hand over its "
            "vmcore-dmesg.txt, or what `log` prints in crash"
        ),
    ),
)
_UTF16 = "UTF-16 text: convert it to UTF-8 first"
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
# What the name of a compressed file ends with, and what it must then hold.
_PACKED_NAMES = {".gz": "gzip", ".xz": "xz", ".bz2": "bzip2", ".zst": "zstd"}
# Characters that no text holds; NUL is not among them: a machine that lost its power leaves runs of
# NULs in its logs.
_CONTROL = bytes({*range(1, 32), 127} - set(b"\t\n\v\f\r\b\a\x1b"))
_CONTROL_SHARE = 0.05
# NULs of UTF-16: one beside each ASCII character, of which a log has some in any language.
_UTF16_SHARE = 0.3
_MARKED_UTF16_SHARE = 0.1
# A line of text among binary data: by chance so many printable characters do not begin a line.
_TEXT_LINE = lazy_regex(rb"(?m)^\0*[\t\x1b -~]{20}")


class NotALogError(Exception):
    """An input that is no log; the message says what it is."""


class ByteStream(Protocol):
    """Protocol of decompressors and plain files."""

    def read1(self, size: int = -1, /) -> bytes:
        """Some bytes with at most one read below; none at the end."""
        ...


class OpenInput:
    """An open input.

    `done` counts the bytes read of the file as it lies on the disk; `misnamed` is the
    compression that its name claims and its bytes do not have.
    """

    def __init__(self, path: str) -> None:
        self._raw: BinaryIO = (
            sys.stdin.buffer if path == STDIN else open(path, "rb")  # noqa: PTH123, SIM115
        )  # close() closes it
        try:
            self.seekable = self._raw.seekable()
            head = cast("_Peekable", self._raw).peek(8)
            self._stream, self.compressed = _decompressed(self._raw, head)
            packed = _PACKED_NAMES.get(os.path.splitext(path)[1].lower())  # noqa: PTH122
            self.misnamed = None if self.compressed else packed
            self._damage: Exception | None = None
            self._head = b""
            self._head = self.read(HEAD_SIZE)
            if kind := not_a_log(self._head):
                raise NotALogError(kind)
        except BaseException:
            self.close()
            raise

    @property
    def done(self) -> int:
        """Bytes of the file that have been read; 0 for what has no place to tell."""
        return self._raw.tell() if self.seekable else 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes: of a file as many as there are, of a pipe what it has now. None at
        the end.

        Damage is raised by the call after the one that returned the last good bytes.
        """
        if self._damage and not self._head:
            raise self._damage
        piece, self._head = self._head[:size], self._head[size:]
        pieces = [piece]
        got = len(piece)
        while got < size and not self._damage and (self.seekable or not got):
            try:
                piece = self._stream.read1(size - got)
            except DAMAGE as error:
                self._damage = error
                break
            if not piece:
                break
            pieces.append(piece)
            got += len(piece)
        if self._damage and not got:
            raise self._damage
        return piece if got == len(piece) else b"".join(pieces)

    def close(self) -> None:
        """Closes the file; standard input stays open."""
        if self._raw is not sys.stdin.buffer:
            self._raw.close()


class _Peekable(Protocol):
    def peek(self, size: int = 0, /) -> bytes: ...


class _Zstandard:
    """A reader of .zst that tells a cut file from a whole one, which zstandard's own stream
    reader does not.
    """

    # An RLE block of 4 bytes gives 128 KiB (RFC 8878 3.1.1.2): what one step may cost of memory
    # stays bounded by feeding little.
    STEP = 2048

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._fed = b""
        self._out = b""

    def read1(self, size: int = -1, /) -> bytes:
        """Up to `size` decompressed bytes; EOFError where the file ends within a frame."""
        while not self._out:
            if self._begun and self._frame.eof:
                self._fed = self._frame.unused_data
                self._frame = zstandard.ZstdDecompressor().decompressobj()
                self._begun = False
            self._fed = self._fed or self._raw.read(self.STEP)
            if not self._fed:
                if self._begun:
                    raise EOFError("it ends in the middle of a frame")
                return b""
            self._begun = True
            self._out, self._fed = self._frame.decompress(self._fed), b""
        if size < 0:
            size = len(self._out)
        out, self._out = self._out[:size], self._out[size:]
        return out


def not_a_log(head: bytes) -> str | None:
    """Returns what the first bytes of an input are, where no line of them is text."""
    for magic, kind in _KINDS:
        if head.startswith(magic):
            return f"not a log but {kind}"
    text = head.replace(b"\0", b"")
    if not text:
        return (
            None  # a log that was truncated under its writer begins with a hole, as long as it was
        )
    nuls = len(head) - len(text)
    share = _MARKED_UTF16_SHARE if head.startswith(_BYTE_ORDER_MARKS) else _UTF16_SHARE
    if nuls > share * len(head) and head.count(b"\0\0") < nuls / 10:
        return f"not a log but {_UTF16}"
    controls = len(text) - len(text.translate(None, _CONTROL))
    if controls > _CONTROL_SHARE * len(text) and not _TEXT_LINE.search(head):
        return "not a log: binary data"
    return None


def is_compressed(head: bytes) -> bool:
    """Returns whether a file that begins so is compressed in one of the ways that are read
    here.
    """
    return head.startswith((GZIP, XZ, BZIP2, ZSTANDARD))


def _decompressed(raw: BinaryIO, head: bytes) -> tuple[ByteStream, bool]:
    """The stream to read, and whether it is compressed."""
    stream: ByteStream = cast("ByteStream", raw)
    if head.startswith(GZIP):
        stream = gzip.GzipFile(fileobj=raw)
    elif head.startswith(XZ):
        stream = lzma.LZMAFile(raw)  # it owns nothing but `raw`  # noqa: SIM115
    elif head.startswith(BZIP2):
        stream = bz2.BZ2File(raw)
    elif head.startswith(ZSTANDARD):
        stream = _Zstandard(raw)
    return stream, is_compressed(head)
