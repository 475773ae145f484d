"""Lines of syslog daemons and of journalctl: RFC 3164 in every dialect, RFC 5424, short,
short-iso, short-precise, short-full, with-unit; and netconsole's packets as a daemon stores them.

Comes in: a line, and the PRI that stood before it if there was one. Goes out: a Draft whose trust
is settled here: tag `kernel` without a pid is the kernel's, unless the facility says otherwise;
every other line with a date in front is user space, whatever its text pretends.

Sources: RFC 3164, RFC 5424, output_short() in systemd src/shared/logs-show.c (v257), BusyBox
sysklogd/syslogd.c, OpenWrt logread.
"""

from __future__ import annotations

import re

from detector.lazy_regex import lazy_regex
from detector.model import Trust
from detector.parse import kmsg, printk
from detector.parse.draft import Context, Draft, shipped_as, trust_of
from detector.parse.stamps import CLOCK, iso, with_year, without_year, zone_of

_MONTH_FIRST = lazy_regex(
    rf"(\S{{1,12}}) {{1,2}}(\d{{1,2}}) (?:(\d{{4}}) )?{CLOCK}(?: ((?:19|20)\d\d))?(?=[ :]|$):? ?",
    re.ASCII,
)
_DAY_FIRST = lazy_regex(
    rf"(\d{{1,2}})\.? (\S{{1,12}}) (?:(\d{{4}}) )?{CLOCK}(?: ((?:19|20)\d\d))?(?=[ :]|$):? ?",
    re.ASCII,
)
_YEAR_FIRST = lazy_regex(
    rf"(\d{{4}}) (\S{{1,12}}) {{1,2}}(\d{{1,2}}) {CLOCK}(?=[ :]|$):? ?", re.ASCII
)
_WEEKDAY = lazy_regex(
    rf"[^\s\d]{{1,12}},? (\S{{1,12}}) {{1,2}}(\d{{1,2}}) {CLOCK} (\d{{4}})(?= |$) ?", re.ASCII
)
_FULL = lazy_regex(
    r"[^\s\d]{1,12} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?) (\S{1,8})(?= |$) ?", re.ASCII
)

# A level between host and tag, as rsyslog's %syslogseverity-text:::uppercase% of Chrome OS and
# SONiC writes it.
_LEVEL = r"(?:EMERG|PANIC|ALERT|CRIT|ERR|ERROR|WARN|WARNING|NOTICE|INFO|DEBUG)"
_HOST = (
    rf"(?:(?!{_LEVEL} )"
    r"([^\s:\[\]]{1,255}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f.]{0,15}){1,7}:[0-9A-Fa-f.]{1,"
    r"15}(?:%\w{1,15})?) )?"
)
_TAIL = lazy_regex(
    rf"{_HOST}(?:([a-z]{{3,8}}\d?)\.([a-z]{{3,7}}) |({_LEVEL}) "
    rf")?([^\s:\[\]]{{1,128}})(\[[^\]\s]{{0,64}}\])?: ?",
    re.ASCII,
)
# netconsole's packets have neither PRI nor header: a daemon that receives them writes the sender's
# address where a host stands. A message without a tag that has a header names its host.
_ADDRESSED = lazy_regex(
    r"((?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}) (?=[\[\d])", re.ASCII
)
_PAIR = lazy_regex(r"([a-z]{3,8}\d?)\.([a-z]{3,7}) +", re.ASCII)
_KERNEL_TAG = lazy_regex(r"(?:([\w.:-]{1,253}) )?kernel(\[[^\]\s]{0,64}\])?: ?", re.ASCII)
# What stands before a tag without a date is a host where the kernel's stamp follows, or where it is
# no word of a sentence ("the kernel: …").
_NO_WORD = lazy_regex(r"[A-Za-z][\w-]*[\d._-][\w.-]*|(?:\d{1,3}\.){3}\d{1,3}", re.ASCII)
_KERNEL_STAMP = lazy_regex(r"\[ *\d{1,12}\.\d{6}\]", re.ASCII)
_RFC5424 = lazy_regex(
    (
        r"1 (\S{1,48}) (\S{1,255}) (\S{1,64}) \S{1,128} \S{1,64} "
        r'(?:-|(?:\[(?:[^"\]\\]|"(?:[^"\\]|\\.)*+"|\\.)*+\])++)(?: \ufeff?|$)'
    ),
    re.DOTALL,
)
_PRIORITY = lazy_regex(r"(?:\d{1,6} )?<(\d{1,4})>", re.ASCII)


def priority(text: str) -> tuple[int, str] | None:
    """`<6>` (after the octet count of RFC 6587, if there is one) → its number and the rest of
    the line; None if there is none.
    """
    matched = _PRIORITY.match(text)
    return (int(matched[1]), text[matched.end() :]) if matched else None


def read(text: str, context: Context, pri: int | None = None) -> Draft | None:
    """A line with a date in front; None if it has none that we know."""
    head = _head(text, context)
    if head is None:
        return None
    wall_time_us, end = head
    draft = _body(text[end:].lstrip(" "), None if pri is None else pri >> 3, context.policy.tags)
    draft.wall_time_us = wall_time_us
    if pri is not None:
        draft.level, draft.facility = pri & 7, pri >> 3
    return draft


def tagged(text: str, facility: int | None = None) -> Draft | None:
    """A line without a date that begins with `kernel:` or `HOST kernel:`: a daemon's copy on a
    terminal or without its date, which proves nothing, or the rest after a PRI.
    """
    matched = _KERNEL_TAG.match(text)
    if not matched:
        return None
    host, pid = matched[1], matched[2] or ""
    rest = text[matched.end() :]
    if host and not (_NO_WORD.fullmatch(host) or _KERNEL_STAMP.match(rest)):
        return None
    draft = printk.message(rest)
    draft.transport, draft.host = "syslog", host
    draft.trust = "unknown" if facility is None and not pid else trust_of(facility, "kernel" + pid)
    return draft


def paired(text: str, context: Context) -> Draft | None:
    """A line without a date that begins with facility and level: `kern.alert kernel: …`. Any
    program may print so, so it proves nothing for the kernel.
    """
    pair = _pair(text)
    if not pair or not _TAIL.match(text, pair.end()):
        return None
    draft = _body(text, None, context.policy.tags)
    draft.trust = "unknown" if draft.trust == "kernel" else draft.trust
    return draft


def rfc5424(text: str, context: Context, pri: int) -> Draft | None:
    """RFC 5424 after its PRI; None if this is not that.

    A stamp that cannot be read leaves the wall time open.
    """
    matched = _RFC5424.match(text)
    if not matched:
        return None
    tag = None if matched[3] == "-" else matched[3]
    trust: Trust = "kernel" if tag in context.policy.tags else trust_of(pri >> 3, tag)
    rest = text[matched.end() :]
    draft = Draft(rest, "rfc5424") if trust == "user" else printk.message(rest)
    draft.transport, draft.trust = shipped_as("rfc5424", tag, trust), trust
    draft.level, draft.facility = pri & 7, pri >> 3
    draft.host = None if matched[2] == "-" else matched[2]
    stamp = iso(matched[1], context.zone)
    draft.wall_time_us = stamp and stamp[0]
    return draft


def _head(text: str, context: Context) -> tuple[int | None, int] | None:
    """The date → (µs or None if it cannot be read, where the rest begins); None if the line
    begins with no date.
    """
    if matched := _MONTH_FIRST.match(text):
        name, day, year, clock, fraction, later_year = matched.groups()
    elif text[0].isdigit():
        return _digits_first(text, context)
    elif matched := _WEEKDAY.match(text):
        name, day, clock, fraction, year = matched.groups()
        later_year = None
    elif matched := _FULL.match(text):
        stamp = iso(matched[1], zone_of(matched[2], context.zone))
        return (stamp[0] if stamp else None), matched.end()
    else:
        return None
    return _named_month(name, day, year or later_year, clock, fraction, context), matched.end()


def _digits_first(text: str, context: Context) -> tuple[int | None, int] | None:
    """ISO 8601, and the dates of languages that put the day or the year before the month."""
    if stamp := iso(text, context.zone):
        end = stamp[1] + (text[stamp[1] : stamp[1] + 1] == ":")
        return stamp[0], end + (text[end : end + 1] == " ")
    if matched := _DAY_FIRST.match(text):
        day, name, year, clock, fraction, later_year = matched.groups()
        return _named_month(name, day, year or later_year, clock, fraction, context), matched.end()
    if matched := _YEAR_FIRST.match(text):
        year, name, day, clock, fraction = matched.groups()
        return _named_month(name, day, year, clock, fraction, context), matched.end()
    return None


def _named_month(
    name: str, day: str, year: str | None, clock: str, fraction: str | None, context: Context
) -> int | None:
    if year:
        return with_year(year, name, day, clock, fraction, context.zone)
    return without_year(name, day, clock, fraction, context)


def _body(rest: str, facility: int | None, tags: frozenset[str]) -> Draft:
    """Returns what follows the date: host, tag and message, or a console's line that some tool
    put a date before. `tags` are those that the site takes for the kernel's.
    """
    if facility is None and (matched := _ADDRESSED.match(rest)):
        draft = kmsg.read(rest[matched.end() :]) or printk.stamped(rest[matched.end() :])
        if draft is not None:
            draft.host, draft.transport = matched[1], "netconsole"
            return draft
    if rest.startswith("[") and facility in (None, 0) and (draft := printk.stamped(rest)):
        draft.transport, draft.trust = "syslog", trust_of(facility)
        return draft
    pair = _pair(rest)
    matched = _TAIL.match(rest, pair.end() if pair else 0)
    if not matched:
        return _untagged(rest, facility)
    host, facility_name, level_name, level_word, tag, pid = matched.groups()
    if pair and not facility_name:
        facility_name, level_name = pair.groups()
    if facility_name in printk.FACILITIES and facility is None:
        facility = printk.FACILITIES[facility_name]
    vouched = tag in tags and not pid
    trust: Trust = "kernel" if vouched else trust_of(facility, tag + (pid or ""))
    message = rest[matched.end() :]
    draft = printk.message(message) if trust == "kernel" else Draft(message, "syslog")
    draft.transport = shipped_as("syslog", tag, trust)
    draft.trust, draft.host, draft.facility = trust, host, facility
    draft.level = printk.LEVELS.get(level_name or (level_word or "").lower())
    return draft


def _pair(text: str) -> re.Match[str] | None:
    """`kern.warn ` at the start of a text: facility and level, as BusyBox, OpenWrt and
    rsyslog's pri-text write them.
    """
    matched = _PAIR.match(text)
    known = matched and matched[1] in printk.FACILITIES and matched[2] in printk.LEVELS
    return matched if known else None


def _untagged(rest: str, facility: int | None) -> Draft:
    """A line without a tag: only a PRI of the kernel's facility makes it the kernel's, for a
    process may well send no tag.
    """
    host, _, text = rest.partition(" ")
    if facility == 0:
        draft = printk.message(text)
        draft.trust = "kernel"
    else:
        draft = Draft(text or rest, "syslog", "user")
    draft.transport = "syslog"
    draft.host = host if text else None
    return draft
