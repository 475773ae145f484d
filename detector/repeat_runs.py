"""Holds one run of lines that repeat: how far it has come, and of which boot it is.

In: matches and their times. Out: whether one may be of the run, and whether it was counted in it.
A run is of one host, signature, shape and boot, from whatever sources, without an hour's pause.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass, field

from detector.boots import ROUNDING_US, TOLERANCE_US, stream_name
from detector.clock import HOUR_US
from detector.model import Boot, Match
from detector.repeat_times import PAGE, RepeatTimes

# After so long a line begins anew; and a whole line is kept at least so often, under which the
# counts stand: they go with it when it is old.
QUIET_US = HOUR_US
# Sources of one run that are remembered, and times of its latest whole lines.
_SOURCES = 64
_WHOLES = 32

RepeatKey = tuple[str, str, bytes]
"""Host, signature, shape."""

Held = Match | Callable[[], Match | None]
"""The latest line, or what reads it when it is needed."""


@dataclass(slots=True)
class RepeatCount:
    """A count of lines after one whole line, in one hour (0 where no wall time is known)."""

    match_id: int
    source: str
    signature: str
    hour_us: int
    count: int = 0
    first_us: int | None = None
    last_us: int | None = None
    first_kernel_us: int | None = None
    last_kernel_us: int | None = None

    def see(self, kernel_us: int, wall_us: int | None) -> None:
        """Counts one more, at these times."""
        self.count += 1
        if self.first_kernel_us is None or kernel_us < self.first_kernel_us:
            self.first_kernel_us = kernel_us
        if self.last_kernel_us is None or kernel_us > self.last_kernel_us:
            self.last_kernel_us = kernel_us
        if wall_us is not None:
            self.first_us = wall_us if self.first_us is None else min(self.first_us, wall_us)
            self.last_us = wall_us if self.last_us is None else max(self.last_us, wall_us)


@dataclass(slots=True)
class RunBoot:
    """The boot of a run: its id, the count of it in each source, and when it began by the wall
    clock, µs since 1970, the earliest and the latest that lines showed.
    """

    id: str | None
    counts: dict[str, int]
    first_start_us: int | None = None
    last_start_us: int | None = None

    @classmethod
    def of(cls, match: Match) -> RunBoot:
        """The boot of the first line."""
        boot = match.boot
        return cls(boot.id, {match.source: boot.count}, boot.epoch_us, boot.epoch_us)

    def holds(self, match: Match) -> bool | None:
        """Returns whether a line is of this boot; None where nothing tells."""
        boot = match.boot
        if self.id and boot.id:
            return self.id == boot.id and (True if not boot.before else None)
        apart_us = self._apart_us(boot.epoch_us)
        if apart_us is not None and apart_us > TOLERANCE_US:
            return False
        near = apart_us is not None and apart_us <= ROUNDING_US
        count = self.counts.get(match.source)
        if boot.before:
            return None
        if count is not None:
            # A source that is read again counts its boots again.
            return True if count == boot.count else None if near else False
        return True if near else None

    def take(self, match: Match) -> None:
        """A line of this boot tells of it, too."""
        boot = match.boot
        self.id = self.id or boot.id
        if match.source not in self.counts and len(self.counts) >= _SOURCES:
            del self.counts[next(iter(self.counts))]
        self.counts.setdefault(match.source, boot.count)
        if boot.epoch_us is not None:
            start = boot.epoch_us
            self.first_start_us = min(start, self.first_start_us or start)
            self.last_start_us = max(start, self.last_start_us or start)

    def _apart_us(self, start_us: int | None) -> int | None:
        if start_us is None or self.first_start_us is None or self.last_start_us is None:
            return None
        return max(self.first_start_us - start_us, start_us - self.last_start_us, 0)


@dataclass(slots=True, eq=False)
class Repeat:
    """One run. Times are kernel times, µs.

    `match_id` is its latest whole line, of `whole_us`; `whole` the number of those. `held`, of
    `held_us` and `source`, was counted last and may still be kept whole; `times` are those of the
    other counted lines. `texts` are the counted ones of `last_us`. `near`: the next line is whole,
    since a fault came. `rivals` are other runs that may be of the same boot and time; from
    `until_us` on a line may be known to another one. `row` is the count of the latest lines.
    """

    match_id: int
    boot: RunBoot
    whole: int
    whole_us: int
    first_us: int
    last_us: int
    times: RepeatTimes
    held: Held | None = None
    held_us: int = 0
    held_stamp: int = -1
    held_hour_us: int = 0
    source: str = ""
    texts: tuple[bytes, ...] = ()
    near: bool = False
    changed: bool = True
    until_us: int = 0
    rivals: list[Repeat] = field(default_factory=list)
    wholes: list[int] = field(default_factory=list)
    row: RepeatCount | None = None

    def covers(self, time_us: int) -> bool:
        """Returns whether it had lines before and after a time, or at it."""
        return self.first_us <= time_us <= self.last_us

    def reaches(self, time_us: int) -> bool:
        """Returns whether a line of this time would be one more of it."""
        return self.first_us <= time_us <= self.last_us + QUIET_US

    def plain(self, match: Match, time_us: int) -> bool:
        """Returns whether a line is one more of it, and of no other."""
        plain = self.reaches(time_us) and time_us < self.until_us and not self.rivals
        return plain and self.boot.holds(match) is True

    def counted(self, stamp: int, time_us: int, text: bytes) -> bool:
        """Returns whether a line was counted in it before."""
        if time_us == self.last_us and self.texts:
            return text in self.texts
        return stamp == self.held_stamp or stamp in self.times

    def keeps_pairs(self, time_us: int, spacing_us: int) -> bool:
        """Returns whether a line that comes late lies between whole lines no further apart than
        that, or between a whole line and one that may still be kept whole.
        """
        if self.whole_us <= time_us:
            end_us = self.whole_us if self.held is None else self.held_us
            return time_us <= end_us <= self.whole_us + spacing_us
        after = bisect_left(self.wholes, time_us)
        if after == len(self.wholes):
            return False
        if self.wholes[after] == time_us:
            return True
        return after > 0 and self.wholes[after] - self.wholes[after - 1] <= spacing_us

    def keep(self, match_id: int, time_us: int) -> None:
        """A line of it was kept whole, the latest of all."""
        self.match_id, self.whole_us = match_id, time_us
        self.changed, self.row = True, None
        self.note_whole(time_us)

    def note_whole(self, time_us: int) -> None:
        """A line of it was kept whole."""
        if time_us not in self.wholes:
            insort(self.wholes, time_us)
            del self.wholes[:-_WHOLES]

    def hold(self, held: Held, source: str, time_us: int, stamp: int, hour_us: int) -> None:
        """A line of it was counted: the latest is held, the one before known by its time."""
        self.changed = True
        if self.held is not None:
            if time_us < self.held_us or stamp == self.held_stamp:
                self.times.add(stamp)
                return
            self.times.add(self.held_stamp)
        self.held, self.source = held, source
        self.held_us, self.held_stamp, self.held_hour_us = time_us, stamp, hour_us

    def follow(self, held: Held, source: str, time_us: int, stamp: int, text: bytes) -> None:
        """A line of it was counted that is later than all before."""
        if self.held is not None:
            tail = self.times.tail
            if tail is not None and tail.size < PAGE and self.held_stamp > tail.last:
                tail.append(self.held_stamp)
            else:
                self.times.add(self.held_stamp)
        self.held, self.source = held, source
        self.held_us, self.held_stamp = time_us, stamp
        self.last_us, self.texts = time_us, (text,)
        self.changed = True

    def boot_in(self, source: str, host: str) -> Boot | None:
        """The boot of it as a source counts boots; None of a source that it is not of."""
        count = self.boot.counts.get(source)
        return None if count is None else Boot(self.boot.id, None, stream_name(source, host), count)
