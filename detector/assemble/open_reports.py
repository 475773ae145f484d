"""All open reports, by host, within their bounds: what is too much closes the one that has
been open for longest.

In: reports that open, grow and close. Out: the Blocks of those that closed, and counts. Which line
belongs to which is not decided here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from detector.assemble.opened import Opened
from detector.model import Block


@dataclass(frozen=True, slots=True)
class AssemblyLimits:
    """Bounds of a report and of all that are open; times in microseconds, size in characters.

    `idle_us` and `age_us` are measured by the caller's clock, `gap_us` and `linger_us` by the
    stamps of the lines: a gap ends a report, a shorter one the wait for a panic after the end mark.
    NMI traces of other CPUs may take 10 s to come (lib/nmi_backtrace.c). Beyond `size_in_all`
    characters of all open reports the one that has been open for longest is closed. After
    `strangers` lines that do not belong to it an ended report waits no longer, nor one that the
    stamps have left behind; after `foreign_after_head` of them a head without any line, after
    `foreign` one without an end mark if the stamps have gone on by `pause_us`, else after
    `foreign_at_once`. A user fault prints at most `user_lines`.
    """

    lines: int = 1_000
    size: int = 64 * 1024
    per_host: int = 8
    in_all: int = 10_000
    size_in_all: int = 8 * 1024 * 1024
    idle_us: int = 5_000_000
    age_us: int = 60_000_000
    gap_us: int = 10_000_000
    linger_us: int = 1_000_000
    pause_us: int = 1_000_000
    strangers: int = 8
    foreign_after_head: int = 64
    foreign: int = 64
    foreign_at_once: int = 600
    user_lines: int = 48


class OpenReports:
    """The open reports of all hosts, shadows among them (see `Opened.shadow`), which are
    counted in `size` only.
    """

    def __init__(self, limits: AssemblyLimits) -> None:
        self.limits = limits
        self.by_host: dict[str, list[Opened]] = {}
        self.count = 0
        self.size = 0
        self.counts: Counter[str] = Counter()
        self._names: frozenset[str] | None = None
        self._before: dict[str, list[Opened]] = {}
        self.mark()

    def mark(self) -> None:
        """The state is good as it is now: `rewind` goes back to it."""
        self._before.clear()
        self._marked = (dict(self.by_host), self.count, self.size, dict(self.counts))

    def keep(self, host: str) -> None:
        """Keeps a host's reports as they are, before the first change of any since the last
        mark.
        """
        if host not in self._before:
            self._before[host] = [opened.copy() for opened in self.by_host.get(host, ())]

    def rewind(self) -> None:
        """Goes back to the state at the last mark."""
        by_host, self.count, self.size, counts = self._marked
        self.by_host = {host: self._before.get(host, mine) for host, mine in by_host.items()}
        self.counts.clear()
        self.counts.update(counts)
        self._names = None
        self.mark()

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts with an open report: the same object until it changes."""
        if self._names is None:
            self._names = frozenset(self.by_host)
        return self._names

    def all(self) -> list[Opened]:
        """Every open report, shadows too."""
        return [opened for mine in self.by_host.values() for opened in mine]

    def on(self, host: str) -> list[Opened]:
        """The open reports of a host."""
        return self.by_host.get(host, [])

    def add(self, opened: Opened) -> None:
        """Opens a report."""
        self._date(opened)
        self.size += opened.size
        if opened.head.host not in self.by_host:
            self._names = None
        self.by_host.setdefault(opened.head.host, []).append(opened)
        self.count += 1

    def shadow(self, opened: Opened) -> None:
        """Follows what is no report beside the reports of its host."""
        self._date(opened)
        self.by_host[opened.head.host].append(opened)
        self.size += opened.size

    def _date(self, opened: Opened) -> None:
        """Notes since when its host has had reports open."""
        opened.since = {opened.head.source: opened.head.number}
        for other in self.by_host.get(opened.head.host, ()):
            for source, number in other.since.items():
                opened.since[source] = min(number, opened.since.get(source, number))

    def close(self, opened: Opened, why: str, *, cut: bool) -> list[Block]:
        """Closes a report: its Block, or nothing for a shadow and for one that is closed
        already.
        """
        self.keep(opened.head.host)
        mine = self.by_host.get(opened.head.host, [])
        if opened not in mine:
            return []  # a shadow that went with its report
        mine.remove(opened)
        self.size -= opened.size
        if all(other.role == "shadow" for other in mine):
            self.size -= sum(other.size for other in mine)
            del self.by_host[opened.head.host]
            self._names = None
        if opened.role == "shadow":
            return []
        self.count -= 1
        if opened.role == "orphan":
            return []
        block = opened.block(cut=cut)
        self.counts["complete" if block.complete else "incomplete"] += 1
        if not block.complete:
            self.counts[f"cut:{why}"] += 1
        return [block]

    def make_room(self, host: str) -> list[Block]:
        """Closes the oldest report of the host, or of the host that has been open for longest,
        where a bound would be passed.
        """
        mine = [opened for opened in self.by_host.get(host, ()) if opened.role != "shadow"]
        if len(mine) >= self.limits.per_host:
            return self.close(mine[0], "per_host", cut=True)
        if self.count >= self.limits.in_all:
            oldest = next(iter(self.by_host.values()))
            return self.close(
                next(opened for opened in oldest if opened.role != "shadow"), "in_all", cut=True
            )
        return []

    def shrink(self) -> list[Block]:
        """Closes the reports of the host that has been open for longest, until all of them fit."""
        closed: list[Block] = []
        while self.size > self.limits.size_in_all:
            oldest = next(iter(self.by_host.values()))
            closed += self.close(
                next(opened for opened in oldest if opened.role != "shadow"),
                "size_in_all",
                cut=True,
            )
        return closed
