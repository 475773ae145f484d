"""Holds the lines of reports until all that a host printed at a time is there.

In: lines of one host from several partitions, each with the record that it came in. Out: all lines
of a host, once none came for a while: in the order in which they were printed. Until then the
records wait: a restart reads them again. Lines are kept for a while longer, so that a report that a
slow first stage sends the rest of comes out again, whole. Reads no clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from detector.assemble.report_lines import in_printed_order
from detector.isolation import RecordPlace
from detector.model import Line

# Lines that are held of one host, and that are kept of all hosts after they came out.
PER_HOST = 4_000
KEPT = 200_000


@dataclass(slots=True)
class HostLines:
    """The lines of one host.

    `new` of them did not come out yet; `first_us` and `last_us` are when the first and the last of
    those came; `waiting` is the first record of those by source.
    """

    lines: list[Line] = field(default_factory=list)
    new: int = 0
    first_us: int = 0
    last_us: int = 0
    waiting: dict[str, int] = field(default_factory=dict)


class SpreadReports:
    """The lines of all hosts.

    Those of a host come out when none came for `idle_us`, or the first of them waits since
    `age_us`.
    """

    def __init__(self, idle_us: int, age_us: int) -> None:
        self._idle_us, self._age_us = idle_us, age_us
        self._hosts: OrderedDict[str, HostLines] = OrderedDict()
        self._size = 0
        self.mark()

    def mark(self) -> None:
        """The state is good as it is now: `rewind` goes back to it."""
        self._before: dict[str, HostLines | None] = {}
        self._marked_size = self._size

    def rewind(self) -> None:
        """Goes back to the state at the last mark."""
        for host, entry in self._before.items():
            self._hosts.pop(host, None)
            if entry is not None:
                self._hosts[host] = entry
        self._size = self._marked_size
        self.mark()

    @property
    def is_waiting(self) -> bool:
        """Returns whether any line did not come out yet."""
        return any(entry.new for entry in self._hosts.values())

    def add(self, line: Line, place: RecordPlace, now_us: int) -> None:
        """Takes a line that came at a time."""
        entry = self._of(line.host)
        if not entry.new:
            entry.first_us = now_us
        entry.lines.append(line)
        entry.new += 1
        entry.last_us = now_us
        entry.waiting[place.source] = min(
            place.number, entry.waiting.get(place.source, place.number)
        )
        self._size += 1

    def waiting(self) -> dict[str, int]:
        """By source, the first record with a line that did not come out yet."""
        first: dict[str, int] = {}
        for entry in self._hosts.values():
            for source, number in entry.waiting.items():
                first[source] = min(number, first.get(source, number))
        return first

    def take_due(self, now_us: int) -> list[Sequence[Line]]:
        """The lines of each host that is due, in the order in which they were printed."""
        due = [
            host
            for host, entry in self._hosts.items()
            if entry.new
            and (
                now_us - entry.last_us >= self._idle_us
                or now_us - entry.first_us >= self._age_us
                or entry.new >= PER_HOST
            )
        ]
        out: list[Sequence[Line]] = []
        for host in due:
            entry = self._of(host)
            out.append(in_printed_order(entry.lines))
            kept = entry.lines[-PER_HOST:]
            self._size -= len(entry.lines) - len(kept)
            self._hosts[host] = HostLines(kept)
            self._hosts.move_to_end(host)
        self._shrink()
        return out

    def _of(self, host: str) -> HostLines:
        entry = self._hosts.get(host)
        if host not in self._before:
            self._before[host] = entry and HostLines(
                list(entry.lines), entry.new, entry.first_us, entry.last_us, dict(entry.waiting)
            )
        if entry is None:
            entry = self._hosts[host] = HostLines()
        return entry

    def _shrink(self) -> None:
        """Forgets hosts whose lines came out longest ago, until what is kept fits."""
        for host in [host for host, entry in self._hosts.items() if not entry.new]:
            if self._size <= KEPT:
                return
            self._of(host)
            self._size -= len(self._hosts.pop(host).lines)
