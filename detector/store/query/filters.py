"""The filter language: one set of names and values for command line, API and pages.

The address of a page is the query.

In: names with their values as people wrote them, and the time now. Out: a `Filter`, or a
`FilterError` that names the field; and a filter as the one canonical query string that parses to it
again. Reads no clock and no file.

A host that no line named is its source's, which may hold capitals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from sqlite3 import Connection
from urllib.parse import quote

from detector.errors import UserError
from detector.lazy_regex import lazy_regex
from detector.release import KernelRelease

UNITS_US = {
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 7 * 86_400_000_000,
}
SEVERITIES = ("critical", "error", "warning", "info")
FIXABLE = ("yes",)
STATES = ("open", "acknowledged", "resolved")
# What a person may ask for at once: more is a mistake or an attack.
VALUES_LIMIT = 50
LENGTH_LIMIT = 1_024
WORDS_LIMIT = 32

# Name → meaning, in the order in which people see them.
FIELDS: dict[str, str] = {
    "host": "host, or a pattern: * any characters, ? one character, [a-f] one of these",
    "since": (
        "from this time on: so long ago (30m, 24h, 7d, 2w), or 2026-11-01, or "
        "2026-11-01T10:00:00+01:00 (UTC where no zone is said)"
    ),
    "until": "before this time, written like since",
    "rule": "id of the rule that raised it",
    "class": "class of a line of its evidence, such as memory-fault",
    "signature": "signature of a line of its evidence, such as kernel.paging-request",
    "severity": "critical, error, warning or info",
    "state": "open, acknowledged or resolved",
    "problem": "fingerprint of the problem that it belongs to",
    "function": "the guilty function",
    "module": "the module of the guilty function",
    "kernel": "kernel release, or a range with both ends in it: 4.19..5.4, 4.19.., ..5.4",
    "known_issue": "id of the known issue that it is attributed to",
    "known": (
        "known bug that its latest report looks like: CVE-2024-50126 or a fixing commit, likely, "
        "or any"
    ),
    "fixable": "yes: a later release of the kernel's own series has the fix of that bug",
    "text": (
        "words that all occur in its evidence or its report, in any order; a name may end in * "
        "(inet_*), a number may not"
    ),
}
_CHOICES = {"severity": SEVERITIES, "state": STATES, "fixable": FIXABLE}
_ATTRIBUTES = {"class": "cls", "since": "since_us", "until": "until_us"}
_AGO = lazy_regex(r"([0-9]{1,18})([smhdw])")
_KNOWN = lazy_regex(r"any|likely|CVE-[0-9]{4}-[0-9]{4,19}|[0-9a-f]{8,40}", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WORD = lazy_regex(r"[A-Za-z0-9_\u0080-\U0010ffff]+\*?")
_FIRST_YEAR, _LAST_YEAR = 1970, 9998
# Every release number lies between these.
_LEAST, _GREATEST = 0, 10**12


class YearError(ValueError):
    """A time that no log of a Linux kernel holds."""


class FilterError(UserError, ValueError):
    """A filter that cannot be understood.

    `field` names the wrong part of it, `message` says what may stand there.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True)
class Filter:
    """The conditions of a query.

    Of the values of one field, any fits; of the fields, all must. Times are µs since 1970;
    `until_us` is not included.
    """

    host: tuple[str, ...] = ()
    since_us: int | None = None
    until_us: int | None = None
    rule: tuple[str, ...] = ()
    cls: tuple[str, ...] = ()
    signature: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    problem: tuple[str, ...] = ()
    function: tuple[str, ...] = ()
    module: tuple[str, ...] = ()
    kernel: tuple[str, ...] = ()
    known_issue: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    fixable: tuple[str, ...] = ()
    text: tuple[str, ...] = ()


def parse(params: Mapping[str, Sequence[str]], now_us: int) -> Filter:
    """The filter of names and values; raises `FilterError`. Empty values, which forms send, are
    left out; repeated ones count once.

    Every name must be one of `FIELDS`: a caller takes parameters of its own, such as the page
    wanted, out first.
    """
    given_read: dict[str, tuple[str, ...] | int | None] = {}
    for name, given in params.items():
        if name not in FIELDS:
            raise FilterError(name, f"there is no such filter: there are {', '.join(FIELDS)}")
        values = tuple(dict.fromkeys(value.strip() for value in given if value.strip()))
        attribute = _ATTRIBUTES.get(name, name)
        if name in {"since", "until"}:
            given_read[attribute] = _one_time(name, values, now_us)
        else:
            given_read[attribute] = _values(name, values)
    return Filter(**given_read)  # type: ignore[arg-type]


def as_params(criteria: Filter) -> dict[str, list[str]]:
    """The filter as names and values that parse to it again, at any time: times are absolute."""
    params: dict[str, list[str]] = {}
    for name in FIELDS:
        value = getattr(criteria, _ATTRIBUTES.get(name, name))
        if isinstance(value, int):
            params[name] = [_spelled(value)]
        elif value:
            params[name] = list(value)
    return params


def as_query(criteria: Filter) -> str:
    """The canonical query string of a filter, without a question mark: names in the order of
    `FIELDS`.
    """
    return "&".join(
        f"{name}={quote(value, safe='*.:_-~')}"
        for name, values in as_params(criteria).items()
        for value in values
    )


def moment_us(text: str, now_us: int) -> int:
    """µs since 1970 of a time as people write it, so long ago never before 1970; ValueError or
    OverflowError for what is none that a calendar holds.
    """
    if ago := _AGO.fullmatch(text):
        return max(0, now_us - int(ago[1]) * UNITS_US[ago[2]])
    # In an address an unescaped + of a zone arrives as a blank.
    when = datetime.fromisoformat(re.sub(r" (?=\d\d:?\d\d$)", "+", text) if "T" in text else text)
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    if not _FIRST_YEAR <= when.year <= _LAST_YEAR:
        raise YearError(f"the year must be between {_FIRST_YEAR} and {_LAST_YEAR}")
    return (when.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def time_fault(text: str, error: Exception) -> str:
    """Says what is wrong with a time that `moment_us` refused."""
    if isinstance(error, YearError):
        return f"{text[:40]!r}: {error}"
    return f"{text[:40]!r} is no time: write 30m, 24h, 7d, 2026-11-01 or 2026-11-01T10:00:00Z"


def is_pattern(host: str) -> bool:
    """True for a host that is a pattern, which may mean many hosts."""
    return any(sign in host for sign in "*?[")


def words(text: str) -> tuple[str, ...]:
    """The words of a text, as the index has them: letters, digits and _, in lower case.

    In a search, a word may end in *.
    """
    return tuple(dict.fromkeys(_WORD.findall(text.lower())))


def release_range(kernel: str) -> tuple[int, int] | None:
    """The least and greatest release number (`rows.release_number`) of a range of kernels; None
    where it is one release.

    Both ends are in it, an end that names a series with all that is built on it: 4.19..5.4 holds
    5.4.210.
    """
    low, dots, high = kernel.partition("..")
    if not dots:
        return None
    least, greatest = _LEAST, _GREATEST
    if low.strip():
        least = _number(low)[0]
    if high.strip():
        greatest = _number(high)[1]
    if greatest < least:
        raise ValueError(f"{kernel!r} ends before it begins")
    return least, greatest


def checked_release(name: str, text: str) -> None:
    """Raises `FilterError` for the field `name` where a text is no kernel release."""
    try:
        if ".." in text:
            raise ValueError(f"{text!r} is a range: write one release, such as 5.4.210")
        _number(text)
    except ValueError as error:
        raise FilterError(name, str(error)) from error


def _number(text: str) -> tuple[int, int]:
    """The first and last release number that an end of a range means."""
    release = KernelRelease.parse(text)
    # What a builder adds stands behind a sign: 5.4banana is a slip, 5.4-banana may be somebody's.
    if release is None or release.suffix[:1].isalnum():
        raise ValueError(f"{text!r} is no kernel release: write 5.4, 5.4.210 or 5.5-rc3")
    first = ((release.major * 1_000 + release.minor) * 1_000 + release.patch) * 1_000 + min(
        release.candidate, 999
    )
    series = re.fullmatch(r"\s*\d+\.\d+\s*", text) is not None
    return first, first + 999_000 if series else first


def _values(name: str, values: tuple[str, ...]) -> tuple[str, ...]:
    if len(values) > VALUES_LIMIT:
        raise FilterError(name, f"at most {VALUES_LIMIT} values")
    for value in values:
        if len(value) > LENGTH_LIMIT:
            raise FilterError(name, f"at most {LENGTH_LIMIT:,} characters")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise FilterError(name, "not valid UTF-8")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise FilterError(name, f"{value!r} is none of {', '.join(_CHOICES[name])}")
        if name == "kernel":
            _checked_kernel(value)
        if name == "known" and not _KNOWN.fullmatch(value):
            raise FilterError(
                name, f"{value[:40]!r} is neither any, likely, a CVE id nor a commit's hash"
            )
        if name == "text" and not 0 < len(words(value)) <= WORDS_LIMIT:
            raise FilterError(name, f"between one and {WORDS_LIMIT} words of letters, digits and _")
    return values


def _checked_kernel(value: str) -> None:
    try:
        release_range(value)
    except ValueError as error:
        raise FilterError("kernel", str(error)) from error


def _one_time(name: str, values: tuple[str, ...], now_us: int) -> int | None:
    if len(values) > 1:
        raise FilterError(name, "only one time")
    if not values:
        return None
    try:
        return moment_us(values[0], now_us)
    except (ValueError, OverflowError) as error:
        raise FilterError(name, time_fault(values[0], error)) from error


def _spelled(wall_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=wall_us)).isoformat().replace("+00:00", "Z")


_KNOWN_HOST = "SELECT 1 FROM hosts WHERE name GLOB ? LIMIT 1"


def as_known(connection: Connection, host: str) -> str:
    """A host's name, or a pattern of names, as the history spells it."""
    if host == host.lower() or connection.execute(_KNOWN_HOST, (host,)).fetchone():
        return host
    return host.lower()


def with_known_hosts(connection: Connection, criteria: Filter) -> Filter:
    """The filter with its hosts as the history spells them."""
    hosts = tuple(as_known(connection, host) for host in criteria.host)
    return criteria if hosts == criteria.host else replace(criteria, host=hosts)
