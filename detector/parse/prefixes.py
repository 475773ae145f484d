"""Prefixes that collectors put before a line: clocks of console loggers, columns of
relays, container runtimes, Loki's labels, crash(8).

Comes in: a line, and the reader of all other forms. Goes out: a Draft of the line behind, or None.
A prefix is made of clocks, addresses and separators alone, so it says nothing of who wrote the
line: that is settled by what stands behind it. One that names a process (a container's stream, a
program's label) makes the line a process's.

Sources: conserver (timestamps of the log file), minicom and tio (timestamps), grabserial, moreutils
ts, LAVA; kubernetes CRI log format (pkg/kubelet/kuberuntime/logs); `aws logs tail`; logcli;
display_sys_stats() in crash-utility's kernel.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from detector.lazy_regex import lazy_regex
from detector.parse import origin
from detector.parse.draft import Context, Draft
from detector.parse.stamps import instant, iso, zone_of

PrefixReader = Callable[[str, Context], Draft]

# `date` in a Chinese or Japanese locale: `2026年 02月 24日 星期二 19:21:10 CST`.
_EASTERN = r"\d{4}年 ?\d\d?月 ?\d\d?日(?: ?\(?(?:星期|周)?[日一二三四五六月火水木金土]曜?日?\)?)? ?"
_DATE = rf"(?:(?:\d{{4}}[-/.:]\d\d?[-/.:]\d\d?|\d\d?[-/.]\d\d?[-/.]\d{{4}})[T ] ?|{_EASTERN})"
# Terminals on Windows put a colon before the milliseconds: `[19:21:10:123]`.
_CLOCK = r"\d\d?:\d\d:\d\d(?:[.,]\d{1,9}|:\d{3})?(?: ?[AP]M)?(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?"
_IPV4 = r"(?:\d{1,3}\.){3}\d{1,3}"
_IPV6 = r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}"
_ADDRESS = rf"{_IPV4}|{_IPV6}"
# What a kernel's or a daemon's line begins with: a stamp of uptime, a priority, a date.
_FORMED = (
    r"\[ *+\d{1,12}\.\d{1,9}|<\d{1,4}>|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d |"
    r"\d{4}-\d\d-\d\d[T ]\d\d:"
)
_BRACKETED = lazy_regex(rf"\[((?:{_DATE})?{_CLOCK})\] ?(?= *+(?:{_FORMED}))", re.ASCII)
# Seconds since the logger began, and since the line before: grabserial.
_ELAPSED = lazy_regex(rf"\[\d{{1,9}}\.\d{{6}} \d{{1,9}}\.\d{{6}}\] ?(?= *+(?:{_FORMED}))", re.ASCII)
_CLOCKED = lazy_regex(
    rf"((?:{_DATE})?{_CLOCK}(?: [A-Z]{{3,5}})?) ?[|#:;,-]?[ \t]*+(?=\[ *+\d|<\d{{1,4}}>)", re.ASCII
)
_TIMED = lazy_regex(
    rf"((?:{_EASTERN})?{_CLOCK}(?: [A-Z]{{3,5}})?) (?:([\w.-]{{1,253}}) )?(?=kernel: )", re.ASCII
)
# A receiver of netconsole writes who sent a record, and some the port; Xen's console writes of
# which domain a line is, `(d12) ` (guest_printk() in xen/drivers/char/console.c).
_RECORD = r"(?:\d{1,3}\.\d{1,4}[^,;\s]{0,80},)?\d{1,4},\d{1,20},\d{1,18},[-c+][,;]"
_SENDER = lazy_regex(
    rf"(?:\(d\d{{1,5}}\)|({_IPV4}|\[{_IPV6}\]|{_IPV6})(?::\d{{1,5}})?:?) {{1,2}}"
    rf"(?=\[ *+\d{{1,12}}\.\d|<\d{{1,4}}>|{_RECORD})",
    re.ASCII,
)
_COLUMN = lazy_regex(rf"(?:((?:{_DATE}){_CLOCK})|({_ADDRESS}))[ \t]*+[|;,\t][ \t]*+", re.ASCII)
_BEHIND_COLUMNS = lazy_regex(_FORMED, re.ASCII)
_COLUMNS = 4
_CONTAINER = lazy_regex(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(?:Z|[+-]\d\d:\d\d)) (?:stdout|stderr) "
    r"[FP](?::\S{1,16})? ?",
    re.ASCII,
)
_CLOUDWATCH = lazy_regex(
    rf"(\d{{4}}-\d\d-\d\dT{_CLOCK}) (i-(?:[0-9a-f]{{8}}|[0-9a-f]{{17}})) (?={_FORMED})", re.ASCII
)
_LABELLED = lazy_regex(
    r'(\d{4}-\d\d-\d\dT\S{1,40}) \{((?:[\w.-]{1,64}="(?:[^"\\]|\\.){0,256}"(?:, ?)?){1,32})\} ?',
    re.ASCII,
)
_LABEL = lazy_regex(r'([\w.-]+)="((?:[^"\\]|\\.)*)"', re.ASCII)
_CRASH = lazy_regex(r'PANIC: "(.{1,1024}?)(?:"(?: \(check log for details\))?)?$')
_NUMBERS = lazy_regex(
    r"(?:(\d{1,4})[-/.:年] ?(\d{1,2})[-/.:月] ?(\d{1,4})(?:[T ] ?|日\D{0,6}))"
    r"(\d\d?:\d\d:\d\d)(?:[.,:](\d{1,9}))?"
    r"(?: ?([AP])M)?(?: ?(Z|UTC|GMT|[+-]\d\d:?\d\d))?",
    re.ASCII,
)
_DEPTH = 3


def bracketed(text: str, context: Context, reader: PrefixReader) -> Draft | None:
    """A line behind a console logger's clock in brackets: `[2026-02-24 19:21:10] [   12.3] …`."""
    matched = _BRACKETED.match(text)
    if matched:
        return _behind(text[matched.end() :], matched[1], context, reader)
    matched = _ELAPSED.match(text)
    return _behind(text[matched.end() :], "", context, reader) if matched else None


def clocked(text: str, context: Context, reader: PrefixReader) -> Draft | None:
    """A line that begins with a digit: behind a container runtime's stream, Loki's labels,
    columns of clocks and addresses, or a bare clock.
    """
    if matched := _CONTAINER.match(text):
        draft = Draft(text[matched.end() :], "container", "user")
        stamp = iso(matched[1], context.zone)
        draft.wall_time_us = stamp and stamp[0]
        return draft
    if matched := _CLOUDWATCH.match(text):
        return _of_host(_behind(text[matched.end() :], matched[1], context, reader), matched[2])
    if matched := _LABELLED.match(text):
        return _labelled(text[matched.end() :], matched[1], matched[2], context, reader)
    if matched := _CLOCKED.match(text):
        return _behind(text[matched.end() :], matched[1], context, reader)
    if matched := _TIMED.match(text):
        return _of_host(_behind(text[matched.end() :], matched[1], context, reader), matched[2])
    return _columns(text, context, reader)


def sent(text: str, context: Context, reader: PrefixReader) -> Draft | None:
    """A line of the kernel behind who sent it: an address, `192.0.2.7:6665 4,1159,…`, or one of
    Xen's domains.
    """
    matched = _SENDER.match(text)
    if not matched:
        return None
    host = (matched[1] or "").strip("[]") or None
    return _of_host(_behind(text[matched.end() :], "", context, reader), host)


def crashed(text: str) -> Draft | None:
    """The panic that crash(8) says at its start, `PANIC: "BUG: unable to …"`."""
    matched = _CRASH.match(text)
    return Draft(matched[1], "console") if matched else None


def _columns(text: str, context: Context, reader: PrefixReader) -> Draft | None:
    """`date | address | <3>…`: at most four columns, none of them a word."""
    end, clock, address = 0, "", None
    for _ in range(_COLUMNS):
        matched = _COLUMN.match(text, end)
        if not matched:
            break
        clock, address = matched[1] or clock, matched[2] or address
        end = matched.end()
    if not end or not _BEHIND_COLUMNS.match(text, end):
        return None
    return _of_host(_behind(text[end:], clock, context, reader), address)


def _of_host(draft: Draft | None, host: object) -> Draft | None:
    """The line with its prefix's host, where it names none itself."""
    if draft is not None and draft.host is None and isinstance(host, str):
        draft.host = host
    return draft


def _labelled(
    rest: str, clock: str, labels: str, context: Context, reader: PrefixReader
) -> Draft | None:
    """A line of logcli, behind the labels of its stream."""
    held: dict[str, object] = dict(_LABEL.findall(labels))
    user, bare = origin.by_process(held, origin.witnesses(tuple(held)), context.policy)
    if user or held.get("transport") in origin.TRANSPORTS:
        return Draft(rest, "container", "user")
    draft = _behind(rest, clock, context, reader)
    if draft is not None and bare and draft.trust == "unknown":
        draft.trust = "user"
    return _of_host(draft, held.get("host") or held.get("nodename") or held.get("hostname"))


def _behind(rest: str, clock: str, context: Context, reader: PrefixReader) -> Draft | None:
    """The line behind a prefix; its own time comes before the prefix's."""
    rest = rest.lstrip(" \t")
    if not rest or context.depth >= _DEPTH:
        return None
    context.depth += 1
    try:
        draft = reader(rest, context)
    finally:
        context.depth -= 1
    if draft.wall_time_us is None:
        draft.wall_time_us = _wall(clock, context)
    return draft


def _wall(clock: str, context: Context) -> int | None:
    """The time of a clock with a date, µs since 1970; None without one, or where day and month
    cannot be told apart.
    """
    matched = _NUMBERS.match(clock)
    if not matched:
        return None
    first, second, third, time, fraction, half, zone = matched.groups()
    if len(first) == 4:
        year, month, day = int(first), int(second), int(third)
    elif len(third) == 4 and max(int(first), int(second)) > 12:
        month, day = sorted((int(first), int(second)))
        year = int(third)
    else:
        return None
    hour, rest = int(time.partition(":")[0]), time.partition(":")[2]
    if half:
        hour = hour % 12 + (12 if half == "P" else 0)
    whole = instant(year, month, day, f"{hour:02d}:{rest}", zone_of(zone, context.zone))
    return None if whole is None else whole + int((fraction or "0")[:6].ljust(6, "0"))
