"""Knows lines that were counted by their kernel times, so that none is counted twice.

In: stamps of lines of one run. Out: whether a stamp is among them, and pages of stamps as bytes for
a store. A page holds some hundred stamps in the order of time, some three bytes each; of a long run
only the last page and the one looked at are held. Stores and reads nothing: `load` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from zlib import crc32

# Stamps of a page, which the store keeps as one row. Few long rows leave much of SQLite's pages
# free (a third with 256 stamps); one of more than 1,002 bytes would need a page beside.
PAGE = 120
_TEXT_BITS = 16
# Kernel times that shippers round have this grain at least, µs: there the text is looked at, too.
_ROUNDED_US = 1_000

LoadPage = Callable[[int, int], tuple[int, bytes, int | None] | None]
"""A run and a kernel time, µs → the page of the greatest first time up to it: that, its bytes, and
the first time of the page behind it."""


def stamp_of(kernel_us: int, text: bytes) -> int:
    """Returns what tells a line from others of its run.

    It is the kernel time in µs, with 16 bits of the text where the time may have been rounded.
    """
    stamp = kernel_us << _TEXT_BITS
    return stamp | (crc32(text) & 0xFFFF) if kernel_us % _ROUNDED_US == 0 else stamp


def time_of(stamp: int) -> int:
    """Returns the kernel time of a stamp, µs."""
    return stamp >> _TEXT_BITS


class TimesPage:
    """Stamps between two times, in their order.

    `last` is the greatest; `data` begins behind the first time, and says how far each is from the
    one before.
    """

    __slots__ = ("_data", "_fresh", "_known", "_written_us", "first_us", "last", "size")

    def __init__(self, first_us: int, data: bytes = b"") -> None:
        self.first_us = self._written_us = first_us
        self._data = bytearray(data)
        # Stamps behind those that are written.
        self._fresh: list[int] = []
        stamps = list(_decoded(first_us, self._data))
        self.size = len(stamps)
        self.last = -1
        if stamps:
            self.last, self._written_us = stamps[-1], time_of(stamps[-1])
        self._known: set[int] | None = None

    @property
    def data(self) -> bytearray:
        """The stamps as bytes."""
        if self._fresh:
            self._written_us = _encode(self._data, self._written_us, self._fresh)
            self._fresh = []
        return self._data

    def __contains__(self, stamp: int) -> bool:
        return stamp in self._stamps()

    def append(self, stamp: int) -> None:
        """Adds a stamp that is greater than all before."""
        self._fresh.append(stamp)
        self.last = stamp
        self.size += 1
        if self._known is not None:
            self._known.add(stamp)

    def insert(self, stamp: int) -> None:
        """Adds a stamp that lies between others."""
        known = self._stamps()
        known.add(stamp)
        self._fill(sorted(known))

    def split(self) -> TimesPage | None:
        """Gives its later half to a page of its own; None where all are of one time."""
        stamps = sorted(self._stamps())
        middle = len(stamps) // 2
        while middle < len(stamps) and time_of(stamps[middle]) == time_of(stamps[middle - 1]):
            middle += 1
        if middle >= len(stamps):
            return None
        later = TimesPage(time_of(stamps[middle]))
        later._fill(stamps[middle:])
        self._fill(stamps[:middle])
        return later

    def rest(self) -> None:
        """Frees what was decoded."""
        self._known = None

    def _stamps(self) -> set[int]:
        if self._known is None:
            self._known = set(_decoded(self.first_us, self.data))
        return self._known

    def _fill(self, stamps: list[int]) -> None:
        self._data, self._fresh = bytearray(), list(stamps)
        self.first_us = self._written_us = time_of(stamps[0])
        self.size, self.last, self._known = len(stamps), stamps[-1], set(stamps)


class RepeatTimes:
    """The stamps of one run: its last page, `tail`, and what is looked at of those before.

    `run` is the store's number of it; None where it is not stored yet.
    """

    __slots__ = ("_aside", "_changed", "_load", "_until_us", "run", "tail")

    def __init__(
        self, load: LoadPage, run: int | None = None, tail: TimesPage | None = None
    ) -> None:
        self.run = run
        self.tail = tail
        self._load = load
        self._changed: dict[int, TimesPage] = {}
        self._aside: TimesPage | None = None
        self._until_us = 0

    def __contains__(self, stamp: int) -> bool:
        page = self._page(time_of(stamp))
        return page is not None and stamp in page

    def add(self, stamp: int) -> None:
        """Adds a stamp that is not there."""
        tail = self.tail
        if tail is None:
            tail = self.tail = TimesPage(time_of(stamp))
        if stamp <= tail.last:
            self._insert(stamp)
            return
        if tail.size >= PAGE and time_of(stamp) > time_of(tail.last):
            self._changed[tail.first_us] = tail
            tail = self.tail = TimesPage(time_of(stamp))
        tail.append(stamp)

    def take_changed(self) -> Iterable[tuple[int, bytes]]:
        """Returns the pages before the last that changed since the last time: the first time and
        the bytes of each. What was decoded is freed.
        """
        changed = [(first_us, bytes(page.data)) for first_us, page in self._changed.items()]
        self._changed = {}
        self._aside = None
        if self.tail is not None:
            self.tail.rest()
        return changed

    def _insert(self, stamp: int) -> None:
        page = self._page(time_of(stamp))
        if page is None:  # before all pages: it gets one of its own
            page = TimesPage(time_of(stamp))
            page.append(stamp)
            self._changed[page.first_us] = page
            self._aside = None
            return
        page.insert(stamp)
        later = page.split() if page.size > 2 * PAGE else None
        if page is self.tail:
            if later is not None:
                self._changed[page.first_us], self.tail = page, later
            return
        self._changed[page.first_us] = page
        if later is not None:
            self._changed[later.first_us] = later
            self._aside = None

    def _page(self, time_us: int) -> TimesPage | None:
        """The page that holds a time, if it is held at all."""
        tail = self.tail
        if tail is None or time_us >= tail.first_us:
            return tail
        aside = self._aside
        if aside is not None and aside.first_us <= time_us < self._until_us:
            return aside
        return self._look_aside(time_us, tail.first_us)

    def _look_aside(self, time_us: int, until_us: int) -> TimesPage | None:
        firsts = sorted(self._changed)
        before = [first_us for first_us in firsts if first_us <= time_us]
        until_us = min((first for first in firsts if first > time_us), default=until_us)
        stored = None if self.run is None else self._load(self.run, time_us)
        if stored is not None and stored[2] is not None:
            until_us = min(until_us, stored[2])
        if stored is None:  # nothing tells where the first stored page begins
            return self._changed[before[-1]] if before else None
        if before and before[-1] >= stored[0]:
            page = self._changed[before[-1]]
        else:
            page = TimesPage(stored[0], stored[1])
        self._aside, self._until_us = page, until_us
        return page


def _encode(data: bytearray, before_us: int, stamps: Iterable[int]) -> int:
    """Appends stamps: of each the µs since the one before in groups of seven bits, and its text.
    Returns the time of the last.
    """
    append = data.append
    for stamp in stamps:
        time_us = stamp >> _TEXT_BITS
        rest = time_us - before_us
        before_us = time_us
        while rest > 0x7F:
            append(rest & 0x7F | 0x80)
            rest >>= 7
        append(rest)
        if time_us % _ROUNDED_US == 0:
            data += (stamp & 0xFFFF).to_bytes(2, "big")
    return before_us


def _decoded(time_us: int, data: bytearray) -> Iterable[int]:
    place, size = 0, len(data)
    while place < size:
        shift = 0
        while (byte := data[place]) > 0x7F:
            time_us += (byte & 0x7F) << shift
            shift, place = shift + 7, place + 1
        time_us += byte << shift
        place += 1
        stamp = time_us << _TEXT_BITS
        if time_us % _ROUNDED_US == 0:
            stamp |= int.from_bytes(data[place : place + 2], "big")
            place += 2
        yield stamp
