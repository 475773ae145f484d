"""Which boot a line belongs to, and whether two matches may be of one boot.

In: lines, matches. Out: `Boot` values and yes or no. Evidence never joins over a reboot. What
proves a boot, best first: journald's id; the boot's wall-clock start (wall − kernel time); else a
count within the line's stream, advanced by a boot banner or a fall of the kernel time. Reads no
clock; the counts are plain data (`changed`) that the caller keeps, and gives back when asked
(`recall`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice

from detector.model import Boot, Line, Match

TOLERANCE_US = 600 * 1_000_000
# Whole seconds of syslog on both sides.
ROUNDING_US = 2 * 1_000_000
# Lines of one boot may come this much out of order (jitter of a shipper) before a fall of the
# kernel time means a reboot.
FALL_US = 60 * 1_000_000
# Streams without a clock that are held in memory; the others are read from the store again.
STREAMS = 20_000
# init/main.c start_kernel() prints linux_banner; arch/arm64/kernel/setup.c, arch/arm/kernel/setup.c
# print the second, and before it.
BANNERS = ("Linux version ", "Booting Linux on physical CPU")


def same_boot(a: Match, b: Match, tolerance_us: int = TOLERANCE_US) -> bool:
    """False where something proves two boots; True where something proves one, or nothing is known.

    Two starts by the wall clock may differ: clocks drift and step, and late readers stamp late. But
    a second boot cannot begin before the last line of the first was printed: starts that lie closer
    together than the first one's uptime at its line are one boot.
    """
    if a.boot.id and b.boot.id:
        return a.boot.id == b.boot.id
    start, other = a.boot.epoch_us, b.boot.epoch_us
    if start is not None and other is not None:
        first = a if start <= other else b
        return abs(start - other) <= min(tolerance_us, max(ROUNDING_US, first.kernel_time_us or 0))
    if a.boot.stream and a.boot.stream == b.boot.stream:
        return a.boot.count == b.boot.count
    return True


@dataclass(frozen=True, slots=True)
class LineStream:
    """Where a stream of lines without wall time or boot id stands: its boot's count, the greatest
    kernel time, nothing but banners yet.
    """

    count: int = 0
    latest_us: int = 0
    fresh: bool = True


class Boots:
    """Places lines in boots: `recall` tells where a stream (source and host) stands that is not
    held; `changed` gives what to keep for it.

    At most `limit` streams are held, and those that moved since the last `changed`: those of
    longest ago are recalled when they are needed.
    """

    def __init__(
        self, recall: Callable[[str], LineStream | None] = lambda _name: None, limit: int = STREAMS
    ) -> None:
        self._recall = recall
        self._limit = limit
        self._held: dict[str, LineStream] = {}
        self._changed: dict[str, LineStream] = {}

    @property
    def held(self) -> int:
        """How many streams are held now."""
        return len(self._held) + len(self._changed)

    def changed(self) -> Mapping[str, LineStream]:
        """The streams that moved since the last call: to be kept, since they may be forgotten
        here.
        """
        moved, self._changed = self._changed, {}
        self._held |= moved
        for name in list(islice(self._held, max(0, len(self._held) - self._limit))):
            del self._held[name]
        return moved

    def place(self, line: Line) -> Boot:
        """The boot of a line, by the best that the line and its stream tell."""
        epoch = None
        if line.kernel_time_us is not None and line.wall_time_us is not None:
            epoch = line.wall_time_us - line.kernel_time_us
        if line.boot_id or epoch is not None:
            return Boot(line.boot_id, epoch)
        name = stream_name(line.source, line.host)
        stream = advance(self._stand(name) or LineStream(), line)
        self._move(name, stream)
        return Boot(stream=name, count=stream.count)

    def settle(self, line: Line, known: Boot) -> None:
        """A line turned out to be a copy of one stored before: its stream is back in that boot (a
        file or a topic read again).
        """
        name = stream_name(line.source, line.host)
        if known.stream == name and self._stand(name) is not None:
            self._move(name, LineStream(known.count, line.kernel_time_us or 0, fresh=False))

    def _move(self, name: str, stream: LineStream) -> None:
        if self._stand(name) != stream:
            self._held.pop(name, None)
            self._changed[name] = stream

    def _stand(self, name: str) -> LineStream | None:
        """Where a stream stands, whoever knows it."""
        stand = self._changed.get(name) or self._held.get(name)
        if stand is None and (stand := self._recall(name)) is not None:
            self._held[name] = stand
        return stand


def stream_name(source: str, host: str) -> str:
    """The name of one host's lines in one source."""
    return source if source == host else f"{source} {host}"


def advance(stream: LineStream, line: Line) -> LineStream:
    """Where a stream stands after one more line of it."""
    time = line.kernel_time_us
    banner = line.trust != "user" and line.text.startswith(BANNERS)
    if banner and not stream.fresh:
        return LineStream(stream.count + 1, time or 0, fresh=True)
    if time is not None and time < stream.latest_us - FALL_US:
        return LineStream(stream.count + 1, time, fresh=banner)
    fresh = stream.fresh and (banner or time == 0)
    return LineStream(stream.count, max(stream.latest_us, time or 0), fresh)
