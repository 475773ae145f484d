"""Shapes of files whose records are not their lines: dmesg's JSON, journalctl's export,
dmesg's relative times, lines that a terminal or a mail wrapped.

In: the bytes of a file, in pieces that end with a line. Out: rows, each the bytes of one record
without a line end, and the number of the line that it stands for. Does no IO.

Sources: util-linux sys-utils/dmesg.c (2.41), --json and --human; systemd's journal export format
(docs/JOURNAL_EXPORT_FORMATS.md).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

from detector.lazy_regex import lazy_regex
from detector.sources.files.wrapping import Wrapping, is_wrapped

Rows = tuple[list[bytes], list[int]]

# dmesg --json: one document over many lines, its objects flat, no raw line
# end inside a string.
HEAD = rb'(?:\xef\xbb\xbf)?\{\s*+"dmesg"\s*+:\s*+\['
GAP = rb"(?:[\s,\]}]|" + HEAD + rb")*+"
BODY = rb'\{(?:[^"{}]++|"(?:[^"\\\n]|\\.)*+")*+'
DOCUMENT = lazy_regex(rb"\s*+" + HEAD)
UNDECIDED = lazy_regex(rb'(?:\xef\xbb\xbf)?\s*+(?:\{\s*+(?:"dmesg"\s*+:?\s*+)?)?')
ENTRY = lazy_regex(GAP + rb"(" + BODY + rb"\})")
ENTRY_BEGUN = lazy_regex(GAP + rb"(?:" + BODY + rb'(?:"(?:[^"\\\n]|\\.)*+\\?)?+)?+')
MESSAGE_KEY = lazy_regex(rb'"msg"\s*+:')

EXPORT = lazy_regex(rb"__CURSOR=[^\n]*+\n")
# What stands for the line ends of an entry that became one row: control characters that no journal
# writes as text (see `parse.export`).
BETWEEN, WITHIN = b"\x1f", b"\x1e"
_SIZED = lazy_regex(rb"(?:^|\n)([A-Za-z0-9_]{1,64})\n")
_SIZE = 8
_MESSAGE = lazy_regex(rb"(?:^|\x1f)MESSAGE=")

_COLOUR = rb"(?:\x1b\[[0-9;]{0,16}m){0,4}"
RELATIVE = lazy_regex(_COLOUR + rb"\[[A-Z][a-z]{2} ?\d{1,2} \d\d:\d\d\] ")
_RELATIVE_LINE = lazy_regex(
    rb"(" + _COLOUR + rb")\[(?:([A-Z][a-z]{2} ?\d{1,2} \d\d:\d\d)| {1,3}\+(\d{1,9})\.(\d{6}))\]"
)


class FileShape(Protocol):
    """A reader of one shape.

    `line` is the number of the line at which `rest` begins; `over` says that what follows is
    not of this shape.
    """

    rest: bytes
    line: int
    over: bool

    @property
    def closed(self) -> bool:
        """Returns whether nothing is left."""
        ...

    def feed(self, data: bytes) -> Rows:
        """The rows that are whole with `data`."""
        ...

    def end(self) -> Rows:
        """The rows that only the end of the file makes whole."""
        ...


def shape_of(head: bytes) -> FileShape | None:
    """The shape of a file that begins so; None for lines."""
    if DOCUMENT.match(head):
        return DmesgJson()
    if EXPORT.match(head):
        return Export()
    if RELATIVE.match(head):
        return Relative()
    return WrappedLines() if is_wrapped(head) else None


class DmesgJson:
    """The document of `dmesg --json`, or several one after the other.

    `line` is the number of the line at which `rest` begins.
    """

    def __init__(self) -> None:
        self.rest = b""
        self.line = 1
        self.over = False

    @property
    def closed(self) -> bool:
        """Returns whether nothing is left but brackets."""
        return not self.rest.strip(b" \t\r\n]},")

    def feed(self, data: bytes) -> tuple[list[bytes], list[int]]:
        """The objects that are whole with `data`, each on one line, and the numbers of the lines
        that hold their messages.
        """
        data = self.rest + data
        objects: list[bytes] = []
        numbers: list[int] = []
        done = 0
        while entry := ENTRY.match(data, done):
            message = MESSAGE_KEY.search(data, entry.start(1), entry.end())
            at = message.start() if message else entry.start(1)
            numbers.append(self.line + data.count(b"\n", done, at))
            self.line += data.count(b"\n", done, entry.end())
            objects.append(entry[1].replace(b"\r", b" ").replace(b"\n", b" "))
            done = entry.end()
        self.rest = data[done:]
        self.over = not ENTRY_BEGUN.fullmatch(self.rest)
        return objects, numbers

    def end(self) -> Rows:
        """Returns nothing: an object is whole by itself."""
        return [], []


class Export:
    """Entries of the journal as `journalctl -o export` writes them: a field a line, a blank
    line after each entry. A row is an entry, `BETWEEN` between its fields.

    A field with a size may hold anything, also what looks like an entry of the kernel: it is passed
    over by its size.
    """

    def __init__(self) -> None:
        self.rest = b""
        self.line = 1
        self.over = False

    @property
    def closed(self) -> bool:
        """Returns whether nothing is left."""
        return not self.rest.strip()

    def feed(self, data: bytes) -> Rows:
        """The entries that a blank line ends."""
        data = self.rest + data
        rows: list[bytes] = []
        numbers: list[int] = []
        at = 0
        while (entry := _entry(data, at)) is not None:
            row, end = entry
            if row.strip(BETWEEN):
                message = _MESSAGE.search(row)
                before = row[: message.start()] if message else b""
                first = before.count(BETWEEN) + before.count(WITHIN)
                numbers.append(self.line + first + bool(message and message.start()))
                rows.append(row)
            self.line += data.count(b"\n", at, end)
            at = end
        self.rest = data[at:]
        return rows, numbers

    def end(self) -> Rows:
        """The last entry, whose blank line is missing."""
        return self.feed(b"\n\n") if self.rest.strip() else ([], [])


def _entry(data: bytes, start: int) -> tuple[bytes, int] | None:
    """The entry at a place as a row, and where the next one begins; None where it is not whole."""
    pieces: list[bytes] = []
    at = start
    while True:
        end = data.find(b"\n\n", at)
        sized = _SIZED.search(data, at, len(data) if end < 0 else end + 1)
        if sized is None:
            break
        begin = sized.end() + _SIZE
        stop = begin + int.from_bytes(data[sized.end() : begin], "little")
        if stop >= len(data):
            return None
        pieces.append(data[at : sized.end() - 1].replace(b"\n", BETWEEN) + b"=")
        pieces.append(data[begin:stop].replace(b"\n", WITHIN))
        at = stop
    if end < 0:
        return None
    pieces.append(data[at:end].replace(b"\n", BETWEEN))
    return b"".join(pieces), end + 2


class Relative:
    """Lines of `dmesg --human`: a date where the minute changed, else the seconds since the
    line before. A row has both: `[Nov29 11:23 +0.512040] …`, the seconds since the date.
    """

    def __init__(self) -> None:
        self.rest = b""
        self.line = 1
        self.over = False
        self._minute = b""
        self._since_us = 0

    @property
    def closed(self) -> bool:
        """Returns whether nothing is left: every line is a row at once."""
        return True

    def feed(self, data: bytes) -> Rows:
        """Every line, with the date that holds for it."""
        ended = data.removesuffix(b"\n").split(b"\n")
        rows = [self._row(line) for line in ended]
        numbers = list(range(self.line, self.line + len(rows)))
        self.line += len(rows)
        return rows, numbers

    def end(self) -> Rows:
        """Returns nothing: every line was a row at once."""
        return [], []

    def _row(self, line: bytes) -> bytes:
        matched = _RELATIVE_LINE.match(line)
        if not matched:
            return line
        if matched[2]:
            self._minute, self._since_us = matched[2], 0
            return line
        self._since_us += int(matched[3]) * 1_000_000 + int(matched[4])
        seconds, fraction = divmod(self._since_us, 1_000_000)
        clock = b"[%b +%d.%06d]" % (self._minute, seconds, fraction)
        return matched[1] + clock + line[matched.end() :]


class WrappedLines:
    """Lines that were broken at a width, made whole (see `wrapping`)."""

    def __init__(self) -> None:
        self.rest = b""
        self.line = 1
        self.over = False
        self._wrapping = Wrapping()

    @property
    def closed(self) -> bool:
        """Returns whether nothing is left."""
        return not self.rest

    def feed(self, data: bytes) -> Rows:
        """All lines but the last whole one, whose pieces may follow."""
        return self._taken(self.rest + data, hold=1)

    def end(self) -> Rows:
        """The last line."""
        return self._taken(self.rest, hold=0)

    def _taken(self, data: bytes, hold: int) -> Rows:
        rows = list(self._wrapping.rows(data))
        kept = rows[len(rows) - hold :] if hold else []
        starts = [start for _, start in rows]
        done = kept[0][1] if kept else len(data)
        numbers: list[int] = []
        for start, after in pairwise((*starts[: len(rows) - len(kept)], done)):
            numbers.append(self.line)
            self.line += data.count(b"\n", start, after)
        self.rest = data[done:]
        return [row for row, _ in rows[: len(rows) - len(kept)]], numbers
