"""Clocks as logs write them → integer microseconds: uptimes, ISO 8601, syslog dates
without year, epoch numbers of any unit.

Comes in: the digits that a reader's expression found. Goes out: µs, or None for a date that does
not exist or cannot be read. It never uses floating point and reads no clock: the time now is an
argument.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from detector.clock import DAY_US, SECOND_US
from detector.lazy_regex import lazy_regex
from detector.parse.draft import Context

# printk's clock is a u64 of nanoseconds (ts_nsec of struct printk_info,
# kernel/printk/printk_ringbuffer.h, v5.10).
UPTIME_BOUND_US = (1 << 64) // 1_000
# The beginning of the year 10000: later than any date that can be shown.
WALL_BOUND_US = 253_402_300_800 * SECOND_US
CLOCK = r"(\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Abbreviations as %b prints them (glibc localedata/locales, 2.27 to 2.39) in English, Russian,
# German, French, Spanish, Italian, Portuguese, Dutch and Polish; Chinese, Japanese and Korean.
# No word is of two months.
_MONTH_NAMES = (
    "jan янв janv ene gen sty 1月 1월",
    "feb фев févr fev lut 2月 2월",
    "mar мар mär mars mrt 3月 3월",
    "apr апр avril abr kwi 4月 4월",
    "may мая май mai mag mei maj 5月 5월",
    "jun июн juin giu cze 6月 6월",
    "jul июл juil lug lip 7月 7월",
    "aug авг août ago sie 8月 8월",
    "sep сен sept set wrz 9月 9월",
    "oct окт okt ott out paź 10月 10월",
    "nov ноя lis 11月 11월",
    "dec дек dez déc dic gru 12月 12월",
)
_MONTHS = {name: k for k, names in enumerate(_MONTH_NAMES, start=1) for name in names.split()}
_ISO = lazy_regex(
    rf"(\d{{4}})-(\d\d)-(\d\d)[T ]{CLOCK} ?(Z|UTC|[+-]\d\d:?\d\d)?(?=[ :]|$)", re.ASCII
)
_DATED = lazy_regex(rf"([^\W\d]\S{{1,11}}) {{1,2}}(\d{{1,2}}) {CLOCK}")
_NUMBER = lazy_regex(r"(-?\d{1,20})(?:\.(\d{1,18}))?", re.ASCII)


def micros(seconds: str, fraction: str | None = None) -> int:
    """Seconds and their decimals as digits → µs, exactly; what is finer than a microsecond is
    cut off, not rounded.
    """
    whole = int(seconds) * SECOND_US
    if not fraction:
        return whole
    return whole + int(fraction if len(fraction) == 6 else fraction[:6].ljust(6, "0"))


def uptime(kernel_us: int) -> int | None:
    """A kernel time in µs as it is; None where no kernel's clock can show it."""
    return kernel_us if 0 <= kernel_us < UPTIME_BOUND_US else None


def wall(wall_us: int) -> int | None:
    """A wall time in µs as it is; None beyond the year 9999 and more than a day (of a zone's
    offset) before 1970: no clock of Linux shows it.
    """
    return wall_us if -DAY_US <= wall_us < WALL_BOUND_US else None


def month(name: str) -> int | None:
    """The month of an abbreviation in one of `_MONTH_NAMES`, with or without its dot; None for
    any other word.
    """
    return _MONTHS.get(name.rstrip(".").lower())


@lru_cache(maxsize=256)
def zone_of(text: str | None, default: tzinfo) -> tzinfo:
    """`Z`, `UTC`, `+0100` or `+01:00` → its zone; a zone's local name (CET) or none at all →
    the default.
    """
    if text in ("Z", "UTC", "GMT"):
        return UTC
    matched = re.fullmatch(r"([+-])(\d\d):?(\d\d)", text or "", re.ASCII)
    if not matched or int(matched[2]) > 23 or int(matched[3]) > 59:
        return default
    offset = timedelta(hours=int(matched[2]), minutes=int(matched[3]))
    return timezone(-offset if matched[1] == "-" else offset)


def instant(year: int, month_number: int, day: int, clock: str, zone: tzinfo) -> int | None:
    """A date and `HH:MM:SS` in a zone → µs since 1970; None where there is no such date. A leap
    second counts as the second before.
    """
    begun = _minute(year, month_number, day, clock[:5], zone)
    second = int(clock[6:])
    return None if begun is None or second > 60 else begun + min(second, 59) * SECOND_US


@lru_cache(maxsize=8192)
def _minute(year: int, month_number: int, day: int, clock: str, zone: tzinfo) -> int | None:
    """The beginning of a minute: a zone's offset stays the same within it, and many lines share
    it.
    """
    try:
        return (
            datetime(year, month_number, day, int(clock[:2]), int(clock[3:]), tzinfo=zone) - _EPOCH
        ) // _MICROSECOND
    except (ValueError, OverflowError):
        return None


def with_year(
    year: str, month_name: str, day: str, clock: str, fraction: str | None, zone: tzinfo
) -> int | None:
    """A full date with a month's name → µs; None if the month is in a language that we do not
    read.
    """
    number = month(month_name)
    whole = number and instant(int(year), number, int(day), clock, zone)
    return None if whole is None or number is None else whole + micros("0", fraction)


def without_year(
    month_name: str, day: str, clock: str, fraction: str | None, context: Context
) -> int | None:
    """A syslog date → µs, in the newest year that puts it no more than a day into the future
    (29 February may be years back).
    """
    number = month(month_name)
    if number is None:
        return None
    limit = context.now_us + DAY_US
    # A zone may be a day ahead.
    newest = _year(limit // DAY_US + 1)
    for year in range(newest, newest - 10, -1):
        whole = instant(year, number, int(day), clock, context.zone)
        if whole is not None and whole <= limit:
            return whole + micros("0", fraction)
    return None


@lru_cache(maxsize=64)
def _year(day: int) -> int:
    try:
        return (_EPOCH + timedelta(days=day)).year
    except OverflowError:
        return 9998 if day > 0 else 1


def iso(text: str, zone: tzinfo) -> tuple[int | None, int] | None:
    """An ISO 8601 stamp at the start of a text → (µs or None if there is no such date, where it
    ends); None if there is none.
    """
    matched = _ISO.match(text)
    if not matched:
        return None
    whole = instant(
        int(matched[1]), int(matched[2]), int(matched[3]), matched[4], zone_of(matched[6], zone)
    )
    return None if whole is None else whole + micros("0", matched[5]), matched.end()


def any_time(value: object, context: Context) -> int | None:
    """A time as some JSON field holds it → µs: ISO text, a syslog date, or an epoch number in
    s, ms, µs or ns (told by its size).
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return _scaled(value, "") if value < 10**20 else None
    if not isinstance(value, str):
        return None
    value = value[:64].strip()
    if number := _NUMBER.fullmatch(value):
        return _scaled(int(number[1]), number[2] or "")
    if stamp := iso(value, context.zone):
        return stamp[0]
    if dated := _DATED.match(value):
        return without_year(dated[1], dated[2], dated[3], dated[4], context)
    return None


def _scaled(whole: int, fraction: str) -> int | None:
    """An epoch number → µs.

    Until the year 5138 seconds stay below 10^11, ms below 10^14, µs below 10^17; below 10^9
    (2001) it is none.
    """
    if whole < 10**9:
        return None
    if whole < 10**11:
        return whole * SECOND_US + micros("0", fraction)
    if whole < 10**14:
        return whole * 1000 + int(fraction[:3].ljust(3, "0"))
    return whole if whole < 10**17 else whole // 1000
