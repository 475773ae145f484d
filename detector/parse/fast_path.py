"""The plainest line of a syslog file, by one expression: a date, a host, the kernel's tag,
an uptime, printable ASCII.

Comes in: a record's text. Goes out: what all readers together would find in it, or None for any
line that is in the least unusual: those are theirs. Nearly every line of /var/log/kern.log is this
one, and a fleet whose programs crash in loops writes thousands a second.
"""

from __future__ import annotations

import re

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
