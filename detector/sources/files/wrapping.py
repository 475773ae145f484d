"""Lines of a log that a terminal, a mail program or a pager broke at its width → whole
again.

In: the bytes of a file and where one line of it lies. Out: the whole line, where it starts and
where the next one starts. A line without a stamp behind one that has one is a piece of it only if
the width says so: the widest line of the log is no wider than a screen, and the piece's first word
had no room left before it. Anything else stays a line of its own: a shell's output on a console,
the further lines of a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from detector.lazy_regex import lazy_regex

# What begins a line of any log that has stamps: dmesg, a priority, dates, /dev/kmsg, dmesg -x; and
# the heads of pstore's parts (fs/pstore/platform.c).
_STAMP = (
    rb"<\d{1,3}>|\[ *\d+\.\d{3,9}\]|\[?[A-Z][a-z]{2} [A-Z][a-z]{2} |[A-Z][a-z]{2} [ \d]\d \d\d:\d\d"
    rb"|\[?\d{4}-\d\d-\d\d[T ]\d\d:|\d{1,3},\d+,\d+,|kern *:|\{"
    rb"|(?:Panic|Oops|Emergency|Shutdown|Restart|Halt|Poweroff|Unknown)#\d{1,9} Part\d"
)
_STAMPED = lazy_regex(_STAMP)
_UNSTAMPED = lazy_regex(rb"\n(?!\n|\Z|" + _STAMP + rb")")
# Screens and mails are this wide; a log whose longest line is longer was not wrapped.
_NARROWEST = 60
_WIDEST = 240
# So much of the log around a line tells its width.
_WINDOW = 64 * 1024
_PIECES = 64
_SAMPLE = 2_000
# So many broken lines show whether a log was cut in mid-word, or between words.
_CUTS = 2
_BRACKET = ord("[")
_UPTIME = b" 0123456789"
_WORD = lazy_regex(rb"\S+")
# A symbol's offset or size, or the digits of a register: where only both sides make a whole.
_BROKEN = lazy_regex(rb"(?:\+0x[0-9a-f]*|/0x?|/0x[0-9a-f]*|[\[(]<?[0-9a-f]{1,15})$")
_DIGITS_BEFORE = lazy_regex(rb"[0-9a-f]+$")
_DIGITS_AFTER = lazy_regex(rb"[0-9a-f]+")


class Wrapping:
    """The width at which a log was wrapped, looked for once, when a line looks like a piece."""

    __slots__ = ("_cut", "_width")

    def __init__(self) -> None:
        self._width: int | None = None
        self._cut = False

    def whole(self, data: bytes, start: int, end: int) -> tuple[bytes, int, int] | None:
        """The line between two offsets with all its pieces, where it starts, where the next one
        starts; None for a line that is whole as it is.
        """
        first = self._first(data, start)
        if not _STAMPED.match(data, first):
            return None
        begun = end if first == start else _end(data, first)
        value, at, pieces = data[first:begun], begun, 0
        while pieces < _PIECES and at < len(data):
            after = _end(data, at + 1)
            piece = data[at + 1 : after]
            last = data[data.rfind(b"\n", 0, at) + 1 : at]
            if not self._is_piece(data, last, piece, at):
                break
            value += self._between(last, piece) + piece
            at, pieces = after, pieces + 1
        return (value, first, min(at + 1, len(data))) if pieces else None

    def rows(self, data: bytes) -> Iterator[tuple[bytes, int]]:
        """Every line of a log made whole, and where it started."""
        at = 0
        while at < len(data):
            end = _end(data, at)
            after = min(end + 1, len(data))
            start, row = at, data[at:end]
            if may_be_wrapped(data, at, after) and (whole := self.whole(data, at, end)) is not None:
                row, _, after = whole
            at = after
            yield row, start

    def _first(self, data: bytes, start: int) -> int:
        """Returns where the line starts that this one is a piece of; its own start where it is
        none.
        """
        first = start
        for _ in range(_PIECES):
            if first == 0 or _STAMPED.match(data, first):
                break
            before = data.rfind(b"\n", 0, first - 1) + 1
            piece = data[first : _end(data, first)]
            if not self._is_piece(data, data[before : first - 1], piece, first):
                return start
            first = before
        return first if _STAMPED.match(data, first) else start

    def _is_piece(self, data: bytes, last: bytes, piece: bytes, near: int) -> bool:
        piece = piece.rstrip(b"\r")
        word = _WORD.search(piece)
        if word is None or _STAMPED.match(piece):
            return False
        width = self._width_near(data, near)
        length = len(last.rstrip(b"\r"))
        if not _NARROWEST <= width <= _WIDEST or length > width:
            return False
        return length >= width - 1 if self._cut else width < length + 1 + len(word[0])

    def _between(self, last: bytes, piece: bytes) -> bytes:
        """Returns what stood between two pieces: nothing where the line was cut in mid-word."""
        last = last.rstrip(b"\r")
        if piece[:1] == b" ":
            return b""
        if len(last) < (self._width or 0):
            return b" "
        before, after = _DIGITS_BEFORE.search(last), _DIGITS_AFTER.match(piece)
        digits = len(before[0]) + len(after[0]) if before and after else 0
        broken = _BROKEN.search(last) is not None or digits in (8, 16)
        return b"" if self._cut or broken else b" "

    def _width_near(self, data: bytes, near: int) -> int:
        if self._width is None:
            window = data[max(0, near - _WINDOW) : near + _WINDOW]
            lines = [line.rstrip(b"\r") for line in window.split(b"\n")]
            self._width = width = max(map(len, lines))
            broken = [
                (len(line), len(after.split(None, 1)[0]))
                for line, after in pairwise(lines)
                if after.strip() and _STAMPED.match(line) and not _STAMPED.match(after)
            ]
            # a terminal fills its lines; between words they end here and there
            full = sum(length >= width - 1 for length, _ in broken)
            words = sum(length < width - 1 <= length + word for length, word in broken)
            self._cut = full >= _CUTS and full > 4 * words
        return self._width


def is_wrapped(head: bytes) -> bool:
    """Returns whether a log that begins so was wrapped as a whole: every line without a stamp
    is a piece of the one before. Then a phrase may be broken in two, and lines are made whole
    before anything is searched for in them.
    """
    if not _STAMPED.match(head):
        return False
    lines = head.split(b"\n", _SAMPLE)[:_SAMPLE]
    if max(map(len, lines)) > _WIDEST:
        return False
    sample = b"\n".join(lines)
    if _UNSTAMPED.search(sample) is None:
        return False
    rows = list(Wrapping().rows(sample))
    return len(rows) > 1 and all(_STAMPED.match(row) for row, _ in rows if row)


def may_be_wrapped(data: bytes, start: int, after: int) -> bool:
    """Returns whether a line may be broken, or a piece of a broken one: the one after it
    begins with another character, or it does not begin as the log does. Asked for every record.
    """
    own = data[start] if start < len(data) else 0
    if own != data[0]:
        return True
    if after + 1 >= len(data):
        return False
    return data[after] != own or (own == _BRACKET and data[after + 1] not in _UPTIME)


def _end(data: bytes, start: int) -> int:
    end = data.find(b"\n", start)
    return len(data) if end < 0 else end
