"""Places lines in boots: by journald's id, or by a count within the stream they came in.

In: lines, and which of them a signature takes for a boot banner. Out: `Boot` values. A banner, or a
fall of the kernel time, begins the next boot of a stream; a wall clock only tells lines of an
earlier boot that came late, since it steps, starts at 1970 and stamps when a dump is read. Reads no
clock; streams are plain data (`changed`) that the caller keeps and gives back (`recall`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from itertools import islice
from operator import attrgetter
from typing import Any

from detector.clock import DAY_US, HOUR_US, SECOND_US
from detector.model import DUMPS, VMCORE, Boot, Line, Match

# Starts by the wall clock that lie further apart are two boots even without a banner between: a
# host that is restarted every night must not join two days. Time zones, daylight saving, NTP and
# pauses of a virtual machine stay below.
TOLERANCE_US = 12 * HOUR_US
# Whole seconds of syslog on both sides.
ROUNDING_US = 2 * SECOND_US
# Lines of one boot may come this much out of order (jitter of a shipper) before a fall of the
# kernel time means a reboot; and a syslog daemon that starts late stamps the first lines this late.
FALL_US = 60 * SECOND_US
# A step back of the wall clock by more is taken for a line that was stamped when it was read.
STEP_BACK_US = 2 * HOUR_US
# Before 2001-09-09 no log was read by us: a board without a battery began at its clock's zero.
FIRST_WALL_US = 1_000_000_000 * SECOND_US
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The class of the signatures that are boot banners.
BOOT = "boot"
# Streams that are held in memory; the others are read from the store again.
STREAMS = 20_000


def start_us(line: Line) -> int | None:
    """Returns when the line's boot began by the wall clock, in µs since 1970.
    None where the line does not show it, or where its clock had not been set.
    """
    return _start_us(line.kernel_time_us, line.wall_time_us)


def _start_us(kernel: int | None, wall: int | None) -> int | None:
    if kernel is None or wall is None or wall < FIRST_WALL_US or _is_unset(kernel, wall):
        return None
    return wall - kernel


def _is_unset(kernel_us: int, wall_us: int) -> bool:
    """Whether a clock that has no battery shows the uptime: it began on 1 January at 00:00 UTC of
    1970, of which a syslog date carries no year, or of another year.
    """
    if FALL_US < (wall_us - kernel_us) % DAY_US < DAY_US - FALL_US:
        return False
    try:
        wall = EPOCH + timedelta(microseconds=wall_us)
        start = wall - timedelta(microseconds=kernel_us)
        begun = datetime(start.year + (start.month == 12), 1, 1, tzinfo=UTC)
        shown = (EPOCH + timedelta(microseconds=kernel_us)).replace(year=wall.year)
    except (OverflowError, ValueError):
        return False
    return min(abs(start - begun), abs(wall - shown)) <= timedelta(microseconds=FALL_US)


@dataclass(slots=True)
class LineStream:
    """The state of one host's lines in one source: its present boot and the times of that.

    `count` numbers the present boot, `latest_us` is its greatest kernel time, `fresh` says that
    nothing but banners was seen of it, `begun` that a banner was. By the wall clock: `began_us` is
    the time of its first line, `epoch_us` its start as its last line told, `earlier_us` that of the
    boot before. `saved_us` is the kernel time up to which the store knows the stream.
    """

    count: int = 0
    latest_us: int = 0
    fresh: bool = True
    begun: bool = False
    boot_id: str | None = None
    began_us: int | None = None
    epoch_us: int | None = None
    earlier_us: int | None = None
    saved_us: int = field(default=0, compare=False)

    def goes_on(self, line: Line) -> bool:
        """Returns whether a line is plainly the next one of the present boot, by both clocks."""
        return self.goes_on_at(line.kernel_time_us, line.wall_time_us, line.boot_id)

    def goes_on_at(self, kernel_us: int | None, wall_us: int | None, boot_id: str | None) -> bool:
        """The same of a line of these times."""
        epoch = self.epoch_us
        if kernel_us is None or wall_us is None or epoch is None or self.fresh:
            return False
        near = -ROUNDING_US < wall_us - kernel_us - epoch < ROUNDING_US
        return near and kernel_us >= self.latest_us and boot_id == self.boot_id

    def is_late(self, line: Line, epoch_us: int | None) -> bool:
        """Returns whether a line is of the boot before the present one, and came after its banner.

        Its start by the wall clock is that boot's. Where a dump was read into the stream, all its
        lines are stamped when it was read: after the banner, and nearer to the boot before, or with
        hours more of uptime than the present boot can have.
        """
        wall = line.wall_time_us
        if (line.boot_id and line.boot_id == self.boot_id) or wall is None:
            return False
        stamped_before = self.began_us is not None and wall < self.began_us - ROUNDING_US
        if line.kernel_time_us is None:
            return stamped_before and self.begun
        if epoch_us is None or self.epoch_us is None:
            return False
        behind = self.epoch_us - epoch_us
        if self.earlier_us is None:
            return self.begun and not stamped_before and behind > STEP_BACK_US
        ahead = epoch_us - self.earlier_us
        return behind > ROUNDING_US and -FALL_US <= ahead <= (FALL_US if stamped_before else behind)

    def is_over(self, line: Line, epoch_us: int | None, banner: bool) -> bool:
        """Returns whether a line that is not late begins another boot."""
        if line.boot_id and self.boot_id:
            return line.boot_id != self.boot_id
        if banner:
            # Of a quiet host nothing but banners is read: two that lie far apart are two boots.
            if self.fresh and epoch_us is not None and self.epoch_us is not None:
                return epoch_us - self.epoch_us > TOLERANCE_US
            return not self.fresh and not self._awaits_banner(epoch_us)
        time = line.kernel_time_us
        if time is None:
            return False
        if epoch_us is None or self.epoch_us is None:
            return time < self.latest_us - FALL_US
        # A boot begins after the last line of the one before it was printed; a line that was only
        # stamped late does not.
        last_us = self.epoch_us + self.latest_us
        return time < self.latest_us - ROUNDING_US and epoch_us > last_us - FALL_US

    def _awaits_banner(self, epoch_us: int | None) -> bool:
        """Whether a fall of the kernel time told of the present boot, and its banner was
        overtaken.
        """
        if self.begun or not self.count:
            return False
        if epoch_us is None or self.epoch_us is None:
            return self.latest_us < FALL_US
        return abs(epoch_us - self.epoch_us) <= FALL_US

    def following(self) -> LineStream:
        """The boot after the present one, before its first line."""
        return LineStream(self.count + 1, earlier_us=self.epoch_us)

    def take(self, line: Line, epoch_us: int | None, banner: bool) -> None:
        """A line of the present boot."""
        time = line.kernel_time_us
        if time is not None and time > self.latest_us:
            self.latest_us = time
        if epoch_us is not None:
            self.epoch_us = epoch_us
        if (banner and self.fresh) or self.began_us is None:
            self.began_us = line.wall_time_us
        self.boot_id = line.boot_id or self.boot_id
        self.begun = self.begun or banner
        self.fresh = self.fresh and (banner or time == 0)


def first_of(kernel_us: int, wall_us: int, boot_id: str | None) -> LineStream:
    """The stream whose first line has these times."""
    epoch_us = _start_us(kernel_us, wall_us)
    return LineStream(0, kernel_us, not kernel_us, False, boot_id, wall_us, epoch_us)


_RawTimes = tuple[int, int, str | None]
"""Kernel time and wall time of a line in µs, and its boot id."""
Recall = Callable[[Sequence[str]], Mapping[str, LineStream]]
"""Names of streams → those of them that are stored."""

_STATE: Callable[[LineStream], tuple[Any, ...]] = attrgetter(
    *(part.name for part in fields(LineStream))
)


class Boots:
    """Places lines in boots.

    `recall` gives the state of streams (source and host) that are not held, as far as they are
    stored; `changed` what to keep of those that moved.

    At most `limit` streams are held, and those that moved since the last `changed`: those of
    longest ago are recalled when they are needed.
    """

    def __init__(self, recall: Recall = lambda _names: {}, limit: int = STREAMS) -> None:
        self._recall = recall
        self._limit = limit
        self._held: dict[tuple[str, str], LineStream] = {}
        self._changed: dict[tuple[str, str], LineStream] = {}
        self._before: dict[tuple[str, str], tuple[Any, ...] | None] = {}
        # Lines of streams that are not held, until somebody needs these.
        self._waiting: dict[tuple[str, str], list[_RawTimes]] = {}

    @property
    def held(self) -> int:
        """Returns how many streams are held now."""
        return len(self._held)

    def mark(self) -> None:
        """The state is good as it is now: what was before is forgotten. What has changed by then is
        to have been asked for.
        """
        self._before.clear()

    def rewind(self) -> None:
        """Goes back to the state at the last mark."""
        for key, state in self._before.items():
            self._held.pop(key, None)
            if state is not None:
                self._held[key] = LineStream(*state)
        self._changed = {}
        self._waiting = {}
        self._before.clear()

    def changed(self) -> Mapping[str, LineStream]:
        """The streams that moved since the last call: to be kept, since they may be forgotten
        here.
        """
        self._take_waiting()
        moved, self._changed = self._changed, {}
        for key, stream in moved.items():
            stream.saved_us = stream.latest_us
            self._held.pop(key, None)
            self._held[key] = stream
        for key in list(islice(self._held, max(0, len(self._held) - self._limit))):
            del self._held[key]
        return {stream_name(*key): stream for key, stream in moved.items()}

    def place(self, line: Line, *, banner: bool = False) -> Boot:
        """The boot of a line, by all that the line and its stream tell; `banner` is what a
        signature says of the line.
        """
        epoch = start_us(line)
        if line.trust == "user":
            return Boot(line.boot_id, epoch)
        key = (line.source, line.host)
        if line.transport in DUMPS:
            stream = self._stand(key)
            if not (stream.begun or stream.count):
                return Boot(line.boot_id, epoch, before=True)
            return Boot(line.boot_id, epoch, stream_name(*key), stream.count, before=True)
        stream, late = self._moved(key, line, epoch, banner)
        return Boot(line.boot_id, epoch, stream_name(*key), stream.count, late)

    def follow(self, line: Line) -> None:
        """Moves a stream on by a line whose boot nobody needs, such as one of noise."""
        if line.trust == "user" or line.transport in DUMPS:
            return
        key = (line.source, line.host)
        if not self.follow_on(key, line.kernel_time_us, line.wall_time_us, line.boot_id):
            self._moved(key, line, start_us(line), False)

    def follow_on(
        self, key: tuple[str, str], kernel_us: int | None, wall_us: int | None, boot_id: str | None
    ) -> bool:
        """Moves the stream of a source and a host on by a line of these times, if the line is
        plainly the next one of the present boot, as nearly every line of noise is; else False.
        """
        stream = self._held.get(key)
        if stream is None or not stream.goes_on_at(kernel_us, wall_us, boot_id):
            return False
        stream.latest_us = kernel_us or 0
        if stream.latest_us > stream.saved_us + FALL_US:
            self._changed[key] = stream
        return True

    def follow_raw(
        self, key: tuple[str, str], kernel_us: int, wall_us: int, boot_id: str | None
    ) -> None:
        """The same as `follow`, of a line whose times a clock can show. A stream that is not held
        is recalled with the others of its batch.
        """
        if self.follow_on(key, kernel_us, wall_us, boot_id):
            return
        if key not in self._held:
            self._waiting.setdefault(key, []).append((kernel_us, wall_us, boot_id))
            return
        line = Line("", key[0], 0, key[1], "syslog", kernel_us, wall_us, boot_id, trust="kernel")
        self._moved(key, line, _start_us(kernel_us, wall_us), False)

    def count_next(
        self, key: tuple[str, str], kernel_us: int, wall_us: int, boot_id: str | None
    ) -> int:
        """The count of the present boot where `follow_on` would say yes, else -1; moves nothing."""
        stream = self._held.get(key)
        if stream is None or not stream.goes_on_at(kernel_us, wall_us, boot_id):
            return -1
        return stream.count

    def settle(self, line: Line, known: Boot) -> None:
        """A line that was placed turned out to be a copy of a known one: its stream is back in that
        boot (a file or a topic read again).
        """
        key, epoch = (line.source, line.host), start_us(line)
        if known.before or known.stream != stream_name(*key):
            return
        stream = self._stand(key)
        if known.count != stream.count and not stream.is_late(line, epoch):
            again = LineStream(known.count, line.kernel_time_us or 0, fresh=False)
            again.begun = known.count > 0
            again.epoch_us, again.began_us = epoch, line.wall_time_us
            self._held[key] = self._changed[key] = again

    def _moved(
        self, key: tuple[str, str], line: Line, epoch_us: int | None, banner: bool
    ) -> tuple[LineStream, bool]:
        """A stream after a line of it, and whether the line is of the boot before."""
        stream = self._stand(key)
        if stream.is_late(line, epoch_us):
            return stream, True
        count, fresh = stream.count, stream.fresh
        if stream.is_over(line, epoch_us, banner):
            stream = self._held[key] = stream.following()
        stream.take(line, epoch_us, banner)
        if (stream.count, stream.fresh) != (
            count,
            fresh,
        ) or stream.latest_us > stream.saved_us + FALL_US:
            self._changed[key] = stream
        return stream, False

    def _stand(self, key: tuple[str, str]) -> LineStream:
        """Where a stream stands, whoever knows it."""
        stream = self._held.get(key)
        if key not in self._before:
            self._before[key] = None if stream is None else _STATE(stream)
        if stream is None:
            name = stream_name(*key)
            lines = self._waiting.pop(key, ())
            stream = self._take_lines(key, self._recall((name,)).get(name), lines)
        return stream

    def _take_waiting(self) -> None:
        """Recalls the streams that lines wait for, all at once, and moves them on."""
        waiting, self._waiting = self._waiting, {}
        names = {key: stream_name(*key) for key in waiting}
        stored = self._recall(tuple(names.values())) if names else {}
        for key, lines in waiting.items():
            self._before.setdefault(key, None)
            self._take_lines(key, stored.get(names[key]), lines)

    def _take_lines(
        self, key: tuple[str, str], stream: LineStream | None, lines: Sequence[_RawTimes]
    ) -> LineStream:
        """Holds a stream as it was stored, and moves it on by lines."""
        if stream is not None:
            stream.saved_us = stream.latest_us
        elif lines:
            stream = first_of(*lines[0])
            lines = lines[1:]
            if not stream.fresh:
                self._changed[key] = stream
        self._held[key] = stream or LineStream()
        for times in lines:
            self.follow_raw(key, *times)
        return self._held[key]


class UnplacedBoots(Boots):
    """Leaves it to a later stage in which boot of its stream a line was printed.
    Says only what the line shows by itself. `before` says that it is a dump's.
    """

    def place(self, line: Line, *, banner: bool = False) -> Boot:  # noqa: D102
        del banner
        return Boot(line.boot_id, start_us(line), before=line.transport in DUMPS)

    def follow(self, line: Line) -> None:  # noqa: D102
        del line

    def follow_on(  # noqa: D102
        self, key: tuple[str, str], kernel_us: int | None, wall_us: int | None, boot_id: str | None
    ) -> bool:
        del key, kernel_us, wall_us, boot_id
        return True

    def follow_raw(  # noqa: D102
        self, key: tuple[str, str], kernel_us: int, wall_us: int, boot_id: str | None
    ) -> None:
        del key, kernel_us, wall_us, boot_id

    def count_next(  # noqa: D102
        self, key: tuple[str, str], kernel_us: int, wall_us: int, boot_id: str | None
    ) -> int:
        del key, kernel_us, wall_us, boot_id
        return -1

    def settle(self, line: Line, known: Boot) -> None:  # noqa: D102
        del line, known


def line_of(match: Match) -> Line:
    """The line of a match that `UnplacedBoots` placed, as far as its boot rests on it."""
    return Line(
        text=match.text,
        source=match.source,
        number=match.number,
        host=match.host,
        transport=VMCORE if match.boot.before else "kernel",
        kernel_time_us=match.kernel_time_us,
        wall_time_us=match.wall_time_us,
        boot_id=match.boot.id,
        trust="kernel",
    )


def stream_name(source: str, host: str) -> str:
    """The name of one host's lines in one source."""
    return source if source == host else f"{source} {host}"
