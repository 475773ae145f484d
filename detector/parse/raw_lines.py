"""Lines of the commonest shapes of transports, each by one expression over raw bytes.

In: the bytes of a line of printable ASCII. Out: its stamp, host, kernel time, boot and message as
bytes: what all readers together would find in it, or None for any line that is in the least
unusual: those are theirs. The shapes are those of traditional syslog files, rsyslog's JSON template
and journald's JSON; the kernel's own line in each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from detector.lazy_regex import lazy_regex
from detector.parse import fast_path
from detector.parse.draft import Context

# A message in JSON, without what JSON escapes; it begins as in `fast_path`.
_MESSAGE = r'((?!kernel: )[A-Za-z0-9][!#-Z\]-~](?:[ !#-\[\]-~]*[!#-\[\]-~])?)"'
_HOST = r'"([A-Za-z][\w.-]{0,254})"'
_RSYSLOG = (
    r'\{"ts":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))",'
    rf'"host":{_HOST},"syslogtag":"kernel:","priority":[0-7],'
    rf'"message":" \[ {{0,11}}(\d{{1,10}})\.(\d{{6}})\] {_MESSAGE}\}}'
)
_JOURNALD = (
    r'\{"__CURSOR":"[^"\\]{0,255}","__REALTIME_TIMESTAMP":"(\d{16})",'
    r'"__MONOTONIC_TIMESTAMP":"(\d{1,16})","_BOOT_ID":"([0-9a-f]{32})",'
    rf'"_HOSTNAME":{_HOST},"_TRANSPORT":"kernel","SYSLOG_FACILITY":"0",'
    r'"SYSLOG_IDENTIFIER":"kernel","_SOURCE_MONOTONIC_TIMESTAMP":"([1-9]\d{0,15})",'
    rf'"PRIORITY":"[0-7]","MESSAGE":"{_MESSAGE}\}}'
)

# Seconds of an uptime with so many digits are below what a kernel's clock shows.
_LONGEST_UPTIME = 10
# Stamps that are remembered: those of one chunk are mostly of one second.
_WALLS = 4096

RawLine = tuple[int, int, bytes, int, int, str | None]
"""Where the message starts and ends, the host, kernel time and wall time in µs, the boot id."""


class RawLines:
    """Reads lines of one source, whose time now and zone are the context's."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._walls: dict[bytes, int | None] = {}
        self._last = 0

    def read(self, data: bytes, start: int, end: int) -> RawLine | None:
        """Reads the line between two positions of some data; None where it has no known shape."""
        for _ in _SHAPES:
            pattern, reader = _SHAPES[self._last]
            if (matched := pattern.fullmatch(data, start, end)) is not None:
                return reader(self, matched)
            self._last = (self._last + 1) % len(_SHAPES)
        return None

    def wall_us(self, stamp: bytes) -> int | None:
        """The wall time of a stamp: those of one second are read once."""
        if stamp[19:20] == b".":
            zone = stamp.rindex(b"Z") if stamp.endswith(b"Z") else len(stamp) - 6
            whole = self._whole(stamp[:19] + stamp[zone:])
            return None if whole is None else whole + int(stamp[20:zone][:6].ljust(6, b"0"))
        return self._whole(stamp)

    def _whole(self, stamp: bytes) -> int | None:
        try:
            return self._walls[stamp]
        except KeyError:
            pass
        if len(self._walls) >= _WALLS:
            self._walls.clear()
        wall_us = fast_path.wall_us(stamp.decode(), self._context)
        self._walls[stamp] = wall_us if wall_us is not None and wall_us >= 0 else None
        return self._walls[stamp]


def _syslog(lines: RawLines, matched: re.Match[bytes]) -> RawLine | None:
    stamp, host, seconds, fraction, _ = matched.groups()
    if len(seconds) > _LONGEST_UPTIME:
        return None
    wall_us = lines.wall_us(stamp)
    if wall_us is None:
        return None
    kernel_us = int(seconds) * 1_000_000 + int(fraction)
    return *matched.span(5), host, kernel_us, wall_us, None


def _journald(_lines: RawLines, matched: re.Match[bytes]) -> RawLine | None:
    realtime, read, boot, host, source, _ = matched.groups()
    kernel_us = int(source)
    # As `journald.clock` does: the wall time of the moment at which the kernel printed it.
    wall_us = int(realtime) + kernel_us - int(read)
    return *matched.span(6), host, kernel_us, wall_us, boot.decode()


_SHAPES: Sequence[
    tuple[re.Pattern[bytes], Callable[[RawLines, re.Match[bytes]], RawLine | None]]
] = (
    (fast_path.PLAIN_BYTES, _syslog),
    (lazy_regex(_RSYSLOG.encode(), re.ASCII), _syslog),
    (lazy_regex(_JOURNALD.encode(), re.ASCII), _journald),
)
