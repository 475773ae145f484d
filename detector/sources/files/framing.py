"""Bytes of a file as they are read → chunks that end where a record ends.

In: pieces of any size. Out: `FileChunk`s. A record is a line, or what a file of another shape has
for a record (see `shapes`). Where CR alone ends the lines, a chunk has LFs in their places. Does no
IO.

In a file with LFs a CR is part of its line (a progress bar, what a process wrote into its message)
or of the line end (CRLF). Does no IO.
"""

from __future__ import annotations

from collections.abc import Sequence

from detector.lazy_regex import lazy_regex
from detector.line_ends import line_ends
from detector.model import Record
from detector.sources.files.shapes import UNDECIDED, FileShape, shape_of
from detector.sources.files.wrapping import Wrapping, may_be_wrapped

# A longer line is cut: nothing that the kernel or a shipper writes is near it, and memory stays
# bounded.
LONGEST_LINE = 16 * 1024 * 1024

# So much of a file without a LF between its lines tells whether CR ends them.
CR_LIMIT = 64 * 1024

UNDECIDED_LIMIT = 256
# Of a file that begins so much with something else it is known that it is no document.
HEAD_LIMIT = 4096


class FileChunk:
    """A block of a file cut at record ends.

    `number` of a record is its line's, counted only as far as somebody asks.
    """

    names_inside = True

    __slots__ = (
        "_count",
        "_counted",
        "_counted_to",
        "_first",
        "_numbers",
        "_unended",
        "_wrapping",
        "data",
        "end",
        "hits",
        "source",
    )

    def __init__(
        self,
        source: str,
        data: bytes,
        end: int,
        first: int,
        numbers: Sequence[int] | None = None,
        unended: int = 0,
    ) -> None:
        """`first` is the number of the first line; `numbers` gives each line's where they do not
        follow each other.

        `unended` is 1 where the last line ends with the file and not with a line end.
        """
        self.source = source
        self.data = data
        self.end = end
        self.hits: Sequence[int] | None = None
        self._first = first
        self._numbers = numbers
        self._unended = unended
        self._wrapping = Wrapping()
        self._count: int | None = None
        self._counted = self._counted_to = 0

    @property
    def count(self) -> int:
        """The records of the chunk: counted once, and only from where the numbers of its records
        were counted to.
        """
        if self._count is None:
            self._count = self._counted + line_ends(self.data, self._counted_to) + self._unended
        return self._count

    @property
    def next_line(self) -> int:
        """The number of the line after the chunk, where its lines follow each other."""
        return self._first + self.count

    def take_hits(self, hits: Sequence[int], count: int) -> None:
        """Takes over the hits and the record count that another process found in these bytes."""
        self.hits, self._count = hits, count

    def record_at(self, offset: int) -> tuple[Record, int, int]:
        """The line that covers byte `offset`, where it starts, and where the next one starts; a
        line that was wrapped is whole again.
        """
        data = self.data
        start = data.rfind(b"\n", 0, offset) + 1
        end = data.find(b"\n", offset)
        after = end + 1
        if end < 0:
            end = after = len(data)
        if may_be_wrapped(data, start, after):
            whole = self._wrapping.whole(data, start, end)
            if whole is not None:
                value, start, after = whole
                return Record(value, self.source, self._number(start)), start, after
        return Record(data[start:end], self.source, self._number(start)), start, after

    def line_at(self, offset: int) -> tuple[int, int, int] | None:
        """The start and end of the line that covers byte `offset`, and the start of the next.

        None where the line may be wrapped.
        """
        data = self.data
        start = data.rfind(b"\n", 0, offset) + 1
        end = data.find(b"\n", offset)
        after = end + 1
        if end < 0:
            end = after = len(data)
        return None if may_be_wrapped(data, start, after) else (start, end, after)

    def _number(self, start: int) -> int:
        if start < self._counted_to:
            self._counted -= line_ends(self.data, start, self._counted_to)
        else:
            self._counted += line_ends(self.data, self._counted_to, start)
        self._counted_to = start
        return (
            self._numbers[self._counted]
            if self._numbers is not None
            else self._first + self._counted
        )


class Framer:
    """Makes chunks of what is fed. `cut` counts the lines that were longer than `longest`."""

    def __init__(self, source: str, longest: int = LONGEST_LINE) -> None:
        # Bytes of a file's name that are no UTF-8 (PEP 383) are spelled: the history holds text.
        self.source = source.encode(errors="backslashreplace").decode()
        self.cut = 0
        self._longest = longest
        self._pieces: list[bytes] = []
        self._held = 0
        self._line = 1
        self._last: FileChunk | None = None
        self._end = 0
        self._shape: FileShape | None = None
        self._decided = False
        self._cr: bool | None = None

    @property
    def begun(self) -> bool:
        """Returns whether something was fed before: positions are then not those of one file."""
        return bool(self._end or self._pieces)

    @property
    def plain(self) -> bool:
        """Returns whether the chunks are the bytes of the file as they lie there."""
        return self._decided and self._shape is None and not self._cr

    def feed(self, data: bytes) -> list[FileChunk]:
        """The records that are whole with `data`; what is left waits for more."""
        if self._cr is None:
            data = b"".join((*self._pieces, data))
            enough = len(data) >= min(CR_LIMIT, self._longest)
            self._cr = are_cr(data, last=enough)
            self._hold(data if self._cr is None else b"")
            if self._cr is None:
                return []
        if self._cr:
            data = as_lf(data)
        end = data.rfind(b"\n") + 1
        if end:
            whole = (
                b"".join((*self._pieces, memoryview(data)[:end]))
                if self._pieces or end < len(data)
                else data
            )
            self._hold(data[end:])
            return self._chunks(whole)
        self._pieces.append(data)
        self._held += len(data)
        if self._held < self._longest:
            return []
        self.cut += 1
        long = b"".join(self._pieces)
        self._hold(b"")
        return self._chunks(long)

    def end_line(self) -> None:
        """Ends a line at the end of one file of several that are one log."""
        if self._pieces:
            self._pieces.append(b"\n")

    def finish(self) -> list[FileChunk]:
        """The end of the file: what is left is a record, with or without a line end."""
        rest = b"".join(self._pieces)
        self._hold(b"")
        if self._cr is None:
            rest = unified(rest)
        chunks = self._chunks(rest, last=True) if rest else []
        if self._shape is not None:
            chunks += self._rows(*self._shape.end())
            if not self._shape.closed:
                chunks += self._rest_as_lines(self._shape)
        return chunks

    def _hold(self, rest: bytes) -> None:
        self._pieces = [rest] if rest else []
        self._held = len(rest)

    def _chunks(self, data: bytes, *, last: bool = False) -> list[FileChunk]:
        if not self._decided:
            if not last and len(data) < UNDECIDED_LIMIT and UNDECIDED.fullmatch(data):
                self._hold(data + b"".join(self._pieces))
                return []
            self._decided = True
            self._shape = shape_of(data)
        self._end += len(data)
        if self._shape is not None:
            return self._shaped(self._shape, data)
        return [self._lines(data, last and not data.endswith(b"\n"))]

    def _lines(self, data: bytes, unended: bool) -> FileChunk:
        if self._last is not None:
            self._line = self._last.next_line
        self._last = FileChunk(self.source, data, self._end, self._line, unended=int(unended))
        return self._last

    def _shaped(self, shape: FileShape, data: bytes) -> list[FileChunk]:
        chunks = self._rows(*shape.feed(data))
        if shape.over or len(shape.rest) > self._longest:
            chunks += self._rest_as_lines(shape)
        return chunks

    def _rows(self, rows: Sequence[bytes], numbers: Sequence[int]) -> list[FileChunk]:
        data = b"".join(row + b"\n" for row in rows)
        return [FileChunk(self.source, data, self._end, 0, numbers)] if rows else []

    def _rest_as_lines(self, shape: FileShape) -> list[FileChunk]:
        """The shape is over, or broken: from here on the file is lines."""
        self._shape = None
        self._line = shape.line
        return [self._lines(shape.rest, not shape.rest.endswith(b"\n"))]


# A line of bare dmesg or of a console (printk's "[%5lu.%06lu]").
_STAMPED = lazy_regex(rb"(?:<\d{1,3}>)?\[ *\d+\.\d+\]")


def are_cr(head: bytes, *, last: bool = False) -> bool | None:
    """Returns whether CR alone ends the lines; None where more of the file must come to tell.

    `last` says that no more is waited for.

    Behind one LF at the end only where the first line has printk's stamp: what a daemon ends with a
    LF is one message, into which a process may have written CRs and a kernel's line.
    """
    between, ended = b"\n" in head[:-1], head.endswith(b"\n")
    if between or (ended and not _STAMPED.match(head)):
        return False
    # a CR at the very end divides nothing, and a LF may follow it
    divided = head.count(b"\r") - head.count(b"\r\n") - head.endswith(b"\r") > 0
    if last:
        return divided
    return False if ended and not divided else None


def as_lf(data: bytes) -> bytes:
    """The same bytes, each CR a LF."""
    return data.replace(b"\r", b"\n")


def unified(text: bytes) -> bytes:
    """A whole text with LFs between its lines."""
    return as_lf(text) if are_cr(text, last=True) else text
