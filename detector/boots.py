"""Which boot a line belongs to, and whether two matches may be of one boot.

In: lines, matches. Out: `Boot` values and yes or no. Evidence never joins over a reboot. What proves a boot, best first: journald's id;
the boot's wall-clock start (wall − kernel time); else a count within the line's stream, advanced by a boot banner or a fall of the
kernel time. Reads no clock; the counts are plain data (`streams`) that the caller may keep over a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from detector.model import Boot, Line, Match

TOLERANCE_US = 600 * 1_000_000
# Whole seconds of syslog on both sides.
ROUNDING_US = 2 * 1_000_000
# Lines of one boot may come this much out of order (jitter of a shipper) before a fall of the kernel time means a reboot.
FALL_US = 60 * 1_000_000
# init/main.c start_kernel() prints linux_banner; arch/arm64/kernel/setup.c, arch/arm/kernel/setup.c print the second, and before it.
BANNERS = ("Linux version ", "Booting Linux on physical CPU")


def same_boot(a: Match, b: Match, tolerance_us: int = TOLERANCE_US) -> bool:
    """False where something proves two boots; True where something proves one, or nothing is known.

    Two starts by the wall clock may differ: clocks drift and step, and late readers stamp late. But a second boot cannot begin before the
    last line of the first was printed: starts that lie closer together than the first one's uptime at its line are one boot.
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
class Stream:
    """Where a stream of lines without wall time or boot id stands: its boot's count, the greatest kernel time, nothing but banners yet."""

    count: int = 0
    latest_us: int = 0
    fresh: bool = True


class Boots:
    """Places lines in boots. `streams` maps source and host to where a stream stands; what `changed` gives comes back after a restart."""

    def __init__(self, streams: Mapping[str, Stream] | None = None) -> None:
        self.streams = dict(streams or {})
        self._changed: dict[str, Stream] = {}

    def changed(self) -> Mapping[str, Stream]:
        """The streams that moved since the last call."""
        moved, self._changed = self._changed, {}
        return moved

    def place(self, line: Line) -> Boot:
        """The boot of a line, by the best that the line and its stream tell."""
        epoch = None
        if line.kernel_time_us is not None and line.wall_time_us is not None:
            epoch = line.wall_time_us - line.kernel_time_us
        if line.boot_id or epoch is not None:
            return Boot(line.boot_id, epoch)
        name = stream_name(line.source, line.host)
        stream = advance(self.streams.get(name, Stream()), line)
        self._move(name, stream)
        return Boot(stream=name, count=stream.count)

    def settle(self, line: Line, known: Boot) -> None:
        """A line turned out to be a copy of one stored before: its stream is back in that boot (a file or a topic read again)."""
        name = stream_name(line.source, line.host)
        if known.stream == name and name in self.streams:
            self._move(name, Stream(known.count, line.kernel_time_us or 0, fresh=False))

    def _move(self, name: str, stream: Stream) -> None:
        if self.streams.get(name) != stream:
            self.streams[name] = self._changed[name] = stream


def stream_name(source: str, host: str) -> str:
    """The name of one host's lines in one source."""
    return source if source == host else f"{source} {host}"


def advance(stream: Stream, line: Line) -> Stream:
    """Where a stream stands after one more line of it."""
    time = line.kernel_time_us
    banner = line.trust != "user" and line.text.startswith(BANNERS)
    if banner and not stream.fresh:
        return Stream(stream.count + 1, time or 0, fresh=True)
    if time is not None and time < stream.latest_us - FALL_US:
        return Stream(stream.count + 1, time, fresh=banner)
    fresh = stream.fresh and (banner or time == 0)
    return Stream(stream.count, max(stream.latest_us, time or 0), fresh)
