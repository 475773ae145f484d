"""Lines of the commonest shapes, each by one expression: as text, and as raw bytes.

Comes in: a record's text. Goes out: what all readers together would find in it, or None for any
line that is in the least unusual: those are theirs. Nearly every line of /var/log/kern.log is this
one, and a fleet whose programs crash in loops writes thousands a second.

The shapes are those of traditional syslog files, rsyslog's JSON template and journald's JSON; the
kernel's own line in each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from detector.clock import SECOND_US
from detector.lazy_regex import lazy_regex
from detector.parse.draft import Context
from detector.parse.printk import LEVELS
from detector.parse.stamps import iso, micros, without_year

_LONGEST = 4_096
# A message begins as no caller id, no level and no vendor's addition does (see `printk`), and a
# host as no year and no number does.
_PLAIN = (
    r"((?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}\d{1,2} \d\d:\d\d:\d\d"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))"
    r" ([A-Za-z][\w.-]{0,254}) kernel: \[ {0,11}(\d{1,12})\.(\d{6})\] "
    r"([A-Za-z0-9][!-Z\\-~][ -~]*[!-~])"
)
_PLAIN_TEXT = lazy_regex(_PLAIN, re.ASCII)
PLAIN_BYTES = lazy_regex(_PLAIN.encode(), re.ASCII)
"""The same line as bytes: stamp, host, seconds, fraction, message."""
# Where a daemon was told to write facility and level, they stand like a host: `kern.warning kernel:
# …`.
_PAIR = lazy_regex(r"[a-z]{3,8}\d?\.[a-z]{3,7}", re.ASCII)
# Or a level in capitals: `INFO kernel: …`.
_LEVEL_WORDS = frozenset(name.upper() for name in LEVELS)

PlainLine = tuple[str, str, int, int | None]


def read(text: str, context: Context) -> PlainLine | None:
    """(message, host, kernel time in µs, wall time in µs or None for a date that does not
    exist), or None where others must read it.
    """
    matched = _PLAIN_TEXT.fullmatch(text) if len(text) <= _LONGEST else None
    if matched is None:
        return None
    stamp, host, seconds, fraction, message = matched.groups()
    if "ncfrag=" in message or not is_host(host):
        return None
    return message, host, micros(seconds, fraction), wall_us(stamp, context)


def is_host(word: str) -> bool:
    """Returns whether a word in the host's place is a host's name."""
    return not (word in _LEVEL_WORDS or ("." in word and _PAIR.fullmatch(word)))


def wall_us(stamp: str, context: Context) -> int | None:
    """The wall time of a stamp in µs; None for a date that does not exist."""
    if stamp[0].isdigit():
        dated = iso(stamp, context.zone)
        return dated and dated[0]
    month, day, clock = stamp.split()
    return without_year(month, day, clock, None, context)


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
# Minutes whose stamps are remembered; most lines of a batch are of a few.
_MINUTES = 4096
_MINUTE_US = 59 * SECOND_US
_DIGITS = {b"%02d" % second: second * SECOND_US for second in range(60)}

RawLine = tuple[int, int, bytes, int, int, str | None]
"""Where the message starts and ends, the host, kernel time and wall time in µs, the boot id."""


class RawLines:
    """Reads lines by the time now and the zone of the context, as long as they stay the same."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.now_us = context.now_us
        # The beginnings of minutes; None of those of which each second is read for itself.
        self._minutes: dict[tuple[bytes, bytes], int | None] = {}
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
        """The wall time of a stamp."""
        if stamp[19:20] == b".":
            zone = stamp.rindex(b"Z") if stamp.endswith(b"Z") else len(stamp) - 6
            whole = self._whole(stamp[:17], stamp[17:19], stamp[zone:])
            return None if whole is None else whole + int(stamp[20:zone][:6].ljust(6, b"0"))
        if stamp[10:11] == b"T":
            return self._whole(stamp[:17], stamp[17:19], stamp[19:])
        return self._whole(stamp[:-2], stamp[-2:], b"")

    def _whole(self, before: bytes, second: bytes, zone: bytes) -> int | None:
        """The wall time of a whole second: what stands before and after it, and the second."""
        key = before, zone
        begun_us = self._minutes.get(key, -1)
        if begun_us == -1:
            if len(self._minutes) >= _MINUTES:
                self._minutes.clear()
            begun_us = self._minutes[key] = self._minute(before, zone)
        if begun_us is not None and second in _DIGITS:
            return begun_us + _DIGITS[second]
        moment_us = self._moment(before + second + zone)
        return moment_us if moment_us is not None and moment_us >= 0 else None

    def _minute(self, before: bytes, zone: bytes) -> int | None:
        """The beginning of a minute whose last second is 59 seconds later; None where it is not:
        the year of a stamp may change within it.
        """
        begun_us = self._moment(before + b"00" + zone)
        last_us = self._moment(before + b"59" + zone)
        if begun_us is None or begun_us < 0 or last_us != begun_us + _MINUTE_US:
            return None
        return begun_us

    def _moment(self, stamp: bytes) -> int | None:
        return wall_us(stamp.decode(), self._context)


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
    (PLAIN_BYTES, _syslog),
    (lazy_regex(_RSYSLOG.encode(), re.ASCII), _syslog),
    (lazy_regex(_JOURNALD.encode(), re.ASCII), _journald),
)
