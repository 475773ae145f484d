"""Shapes of files whose records are not their lines: dmesg's JSON, journalctl's export, dmesg's
relative times, lines that a terminal or a mail wrapped.

In: the bytes of a file, in pieces that end with a line. Out: rows, each the bytes of one record
without a line end, and the number of the line that it stands for. Does no IO.

Sources: util-linux sys-utils/dmesg.c (2.41), --json and --human; systemd's journal export format
(docs/JOURNAL_EXPORT_FORMATS.md).
"""

from __future__ import annotations

import re
from typing import Protocol

Rows = tuple[list[bytes], list[int]]

# dmesg --json: one document over many lines, its objects flat, no raw line
# end inside a string.
HEAD = rb'(?:\xef\xbb\xbf)?\{\s*+"dmesg"\s*+:\s*+\['
GAP = rb"(?:[\s,\]}]|" + HEAD + rb")*+"
BODY = rb'\{(?:[^"{}]++|"(?:[^"\\\n]|\\.)*+")*+'
DOCUMENT = re.compile(rb"\s*+" + HEAD)
UNDECIDED = re.compile(rb'(?:\xef\xbb\xbf)?\s*+(?:\{\s*+(?:"dmesg"\s*+:?\s*+)?)?')
ENTRY = re.compile(GAP + rb"(" + BODY + rb"\})")
ENTRY_BEGUN = re.compile(GAP + rb"(?:" + BODY + rb'(?:"(?:[^"\\\n]|\\.)*+\\?)?+)?+')
MESSAGE_KEY = re.compile(rb'"msg"\s*+:')

EXPORT = re.compile(rb"__CURSOR=[^\n]*+\n")
# What stands for the line ends of an entry that became one row: control characters that no journal
# writes as text (see `parse.export`).
BETWEEN, WITHIN = b"\x1f", b"\x1e"
_SIZED = re.compile(rb"(?:^|\n)([A-Za-z0-9_]{1,64})\n")
_SIZE = 8
_MESSAGE = re.compile(rb"(?:^|\x1f)MESSAGE=")

_COLOUR = rb"(?:\x1b\[[0-9;]{0,16}m){0,4}"
RELATIVE = re.compile(_COLOUR + rb"\[[A-Z][a-z]{2} ?\d{1,2} \d\d:\d\d\] ")
_RELATIVE_LINE = re.compile(
    rb"(" + _COLOUR + rb")\[(?:([A-Z][a-z]{2} ?\d{1,2} \d\d:\d\d)| {1,3}\+(\d{1,9})\.(\d{6}))\]"
)

# Widths of terminals, and of mails: 80 columns, VT100's 132, RFC 3676's 72 to 78.
WIDTHS = (72, 74, 76, 78, 79, 80, 100, 120, 132)
_TERMINAL = 80
_SAMPLE_LINES = 2_000
_HEADED = re.compile(
    rb"(?:<\d{1,4}>)?(?:\[ *+\d{1,12}\.\d|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d |\d{4}-\d\d-\d\d[T ]\d\d:)"
)


class Shape(Protocol):
    """A reader of one shape. `line` is the number of the line at which `rest` begins; `over` says
    that what follows is not of this shape.
    """

    rest: bytes
    line: int
    over: bool

    @property
    def closed(self) -> bool:
        """Whether nothing is left."""
        ...

    def feed(self, data: bytes) -> Rows:
        """The rows that are whole with `data`."""
        ...

    def end(self) -> Rows:
        """The rows that only the end of the file makes whole."""
        ...


def shape_of(head: bytes) -> Shape | None:
    """The shape of a file that begins so; None for lines."""
    if DOCUMENT.match(head):
        return Document()
    if EXPORT.match(head):
        return Export()
    if RELATIVE.match(head):
        return Relative()
    if (width := _wrapped_at(head)) is not None:
        return Wrapped(*width)
    return None


class Document:
    """The document of `dmesg --json`, or several one after the other. `line` is the number of the
    line at which `rest` begins.
    """

    def __init__(self) -> None:
        self.rest = b""
        self.line = 1
        self.over = False

    @property
    def closed(self) -> bool:
        """Whether nothing is left but brackets."""
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
        """Nothing: an object is whole by itself."""
        return [], []


class Export:
    """Entries of the journal as `journalctl -o export` writes them: a field a line, a blank line
    after each entry. A row is an entry, `BETWEEN` between its fields.

    A field with a size may hold anything, also what looks like an entry of the kernel: it is passed
    over by its size.
    """

    def __init__(self) -> None:
        self.rest = b""
        self.line = 1
        self.over = False

    @property
    def closed(self) -> bool:
        """Whether nothing is left."""
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
    """Lines of `dmesg --human`: a date where the minute changed, else the seconds since the line
    before. A row has both: `[Nov29 11:23 +0.512040] …`, the seconds since the date.
    """

    def __init__(self) -> None:
        self.rest = b""
        self.line = 1
        self.over = False
        self._minute = b""
        self._since_us = 0

    @property
    def closed(self) -> bool:
        """Whether nothing is left: every line is a row at once."""
        return True

    def feed(self, data: bytes) -> Rows:
        """Every line, with the date that holds for it."""
        ended = data.removesuffix(b"\n").split(b"\n")
        rows = [self._row(line) for line in ended]
        numbers = list(range(self.line, self.line + len(rows)))
        self.line += len(rows)
        return rows, numbers

    def end(self) -> Rows:
        """Nothing: every line was a row at once."""
        return [], []

    def _row(self, line: bytes) -> bytes:
        found = _RELATIVE_LINE.match(line)
        if not found:
            return line
        if found[2]:
            self._minute, self._since_us = found[2], 0
            return line
        self._since_us += int(found[3]) * 1_000_000 + int(found[4])
        seconds, fraction = divmod(self._since_us, 1_000_000)
        clock = b"[%b +%d.%06d]" % (self._minute, seconds, fraction)
        return found[1] + clock + line[found.end() :]


class Wrapped:
    """Lines that were cut at a width, put together again: a line without a head belongs to the one
    before. `hard` says that the cut is within words.
    """

    def __init__(self, width: int, hard: bool) -> None:
        self.rest = b""
        self.line = 1
        self.over = False
        self._width = width
        self._hard = hard

    @property
    def closed(self) -> bool:
        """Whether nothing is left."""
        return not self.rest

    def feed(self, data: bytes) -> Rows:
        """The lines whose successor has a head."""
        lines = (self.rest + data).removesuffix(b"\n").split(b"\n")
        last = next((k for k in range(len(lines) - 1, 0, -1) if _HEADED.match(lines[k])), 0)
        self.rest = b"".join(line + b"\n" for line in lines[last:])
        return self._joined(lines[:last])

    def end(self) -> Rows:
        """The last line with all that was cut off it."""
        rest, self.rest = self.rest, b""
        return self._joined(rest.removesuffix(b"\n").split(b"\n")) if rest else ([], [])

    def _joined(self, lines: list[bytes]) -> Rows:
        rows: list[bytes] = []
        numbers: list[int] = []
        before = b""
        for line in lines:
            bare = line.rstrip(b"\r")
            if rows and not _HEADED.match(bare) and _cut(before, bare, self._width, self._hard):
                glue = b"" if self._hard and len(before) == self._width else b" "
                rows[-1] = rows[-1] + glue + bare
            else:
                rows.append(bare)
                numbers.append(self.line)
            before = bare
            self.line += 1
        return rows, numbers


def _wrapped_at(head: bytes) -> tuple[int, bool] | None:
    """The width at which all long lines of a log were cut, and whether within words; None where
    some line without a head has another cause.
    """
    lines = [line.rstrip(b"\r") for line in head.split(b"\n", _SAMPLE_LINES)[:_SAMPLE_LINES]]
    while lines and not lines[-1]:
        lines.pop()
    if len(lines) < 3 or not _HEADED.match(lines[0]):
        return None
    longest = max(map(len, lines))
    if longest > WIDTHS[-1]:
        return None
    tails = [k for k in range(1, len(lines)) if not _HEADED.match(lines[k])]
    if not tails:
        return None
    for width in (width for width in WIDTHS if width >= longest):
        # One line of a mail may be full by chance; a terminal cuts all of them there.
        full = sum(len(lines[k - 1]) == width for k in tails)
        full = full if width >= _TERMINAL else max(0, full - 2)
        for hard in (True, False) if full else (False,):
            if all(_cut(lines[k - 1], lines[k], width, hard) for k in tails):
                return width, hard
    return None


def _cut(before: bytes, line: bytes, width: int, hard: bool) -> bool:
    """Whether a line may be what was cut off the one before: that one is full, or the next word
    would not have fitted.
    """
    if not line:
        return False
    if hard:  # a copy may have lost the blank at the end
        return len(before) == width or (len(before) == width - 1 and line[:1] != b" ")
    word = line.split(b" ", 1)[0]
    return bool(word) and len(before) <= width < len(before) + 1 + len(word)
