"""Prefixes of the kernel's own text: `[uptime]`, caller id, level, dmesg's dates and
decoded levels, vendors' additions.

Comes in: one line whose start is the kernel's or dmesg's (a syslog header is already gone). Goes
out: a Draft with exact kernel time and the text after exactly one separating blank, so that the
kernel's own indentation stays. It finds no stamps inside a line (see console).

Sources: print_prefix() and print_caller() in kernel/printk/printk.c (v2.6 to v6.16); print_record()
in util-linux sys-utils/dmesg.c (2.41).
"""

from __future__ import annotations

import re

from detector.lazy_regex import lazy_regex
from detector.parse.draft import Context, Draft, trust_of
from detector.parse.stamps import CLOCK, iso, micros, with_year, without_year

FACILITIES = {
    name: number
    for number, names in enumerate(
        (
            "kern kernel",
            "user user-level",
            "mail",
            "daemon system",
            "auth security/authorization",
            "syslog syslogd",
            "lpr",
            "news",
            "uucp",
            "cron clock",
            "authpriv",
            "ftp",
            "res0 ntp",
            "res1 security audit",
            "res2 console alert",
            "res3 solaris-cron",
            *(f"local{k}" for k in range(8)),
        )
    )
    for name in names.split()
}
LEVELS = {
    name: number
    for number, names in enumerate(
        (
            "emerg emergency panic",
            "alert",
            "crit critical",
            "err error",
            "warn warning",
            "notice",
            "info informational",
            "debug",
        )
    )
    for name in names.split()
}

_CALLER = r"(?: ?\[ *+([TC]\d{1,10})\])?"
STAMP = lazy_regex(
    (
        rf"\[ *+(\d{{1,12}})\.(\d{{1,9}})s?(?:@\d{{1,3}})?(?: *+<[ +\d.-]{{1,24}}>)? "
        rf"*+\]{_CALLER}(?: "
        r"?<[0-7]>)? ?"
    ),
    re.ASCII,
)
"""An uptime of any width; Amlogic's `@cpu`; dmesg -d's `< delta>`; the caller id, glued or after a
blank; an old priority."""
_DATE = lazy_regex(
    (
        rf"\[(\D\S{{0,11}}) (\S{{1,12}}) {{1,2}}(\d{{1,2}}) {CLOCK} (\d{{4}})(?: *+<[ "
        rf"+\d.-]{{1,24}}>)?\]{_CALLER} ?"
    ),
    re.ASCII,
)
_LOCAL_DATE = lazy_regex(
    rf"\[[^\W\d][^\[\]\d]{{1,20}}[^\[\]]{{1,24}}\d\d:\d\d:\d\d[^\[\]:.]{{0,12}}\]{_CALLER} ?"
)
_DELTA = lazy_regex(
    (
        rf"\[(?:<[ \d.]{{1,20}}>|([A-Z][a-z]{{2}}) ?(\d{{1,2}}) (\d\d:\d\d)(?: "
        rf"\+(\d{{1,9}})\.(\d{{6}}))?"
        rf"| {{1,3}}\+\d{{1,9}}\.\d{{6}})\]{_CALLER} ?"
    ),
    re.ASCII,
)
_STAMPED = lazy_regex(r" *+(?:<(\d{1,4})>)?(?=\[ *+\d{1,12}\.\d)", re.ASCII)
_DECODED = lazy_regex(r"([a-z]{3,8}\d?) *+:([a-z]{3,6}) *+: ", re.ASCII)
_VENDOR = lazy_regex(
    r"[A-Z ]?\[\d{1,2}:.{15}: *+\d{1,7}\] ?"  # Samsung: level, CPU, comm padded to 15, pid
    # Huawei: wall clock, pid, CPU, comm
    r"|\[\d{4}:\d\d:\d\d \d\d:\d\d:\d\d\] ?|\[pid:\d{1,7},cpu\d{1,3},[^\]]{1,20}\] ?"
    # phones: wall clock; pid and comm
    r"|\[20\d{12}\] ?|\[\d{1,7}:(?=[^\]]{0,15}[g-zG-Z_])[^\]\s:]{1,16}\] ?"
    r"|(?:<\d{1,2}>)?[-.]?\(\d{1,2}\)\[\d{1,7}:[^\]]{1,20}\] ?",  # MediaTek: CPU, pid, comm
    re.ASCII,
)
_VENDORS = 3
_BUILD_CLOCK = lazy_regex(r" *+\[ *+\d{1,9}s\] ", re.ASCII)
_LOST_BRACKETS = lazy_regex(r"c *+(\d{1,12})\.(\d{6})! ?", re.ASCII)
_LOST_PAIR = lazy_regex(r"c([#<][^!]{1,40})!")
_ISO_COMMA = lazy_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{6}[+-]\d\d:?\d\d ", re.ASCII)
_HEADLESS = lazy_regex(r"\d{1,12}\.\d{6}\] ", re.ASCII)
# Only before a stamp: a process may be called `: BUG` or `kernel: BUG`.
_REPEATED_TAG = lazy_regex(r"(?:kernel: |: ){1,4}(?=\[ *+\d{1,12}\.\d)", re.ASCII)
_MONOTONIC = lazy_regex(r"(?:([\w.-]{1,253}) )?kernel: ?", re.ASCII)


def without_vendor(text: str) -> str:
    """A kernel's text without what Samsung, Huawei and MediaTek kernels put before every
    message.
    """
    for _ in range(_VENDORS):
        if text[:1] not in "[<-.(" and text[1:2] != "[":
            break
        matched = _VENDOR.match(text)
        if not matched:
            break
        text = text[matched.end() :]
    return text


def stamped(text: str) -> Draft | None:
    """A line that begins with `[uptime]`, read; None for any other."""
    matched = STAMP.match(text)
    if not matched:
        return None
    seconds, fraction, caller = matched.groups()
    draft = Draft(without_vendor(text[matched.end() :]), "dmesg")
    draft.kernel_time_us = micros(seconds, fraction)
    draft.caller = caller
    return draft


def message(text: str) -> Draft:
    """A text that the transport proves to be the kernel's: its stamp, if it has one after any
    blanks, and the rest with its indentation. A tag that a relay wrote once more before it is cut
    off.
    """
    if text.startswith((": ", "kernel: ")) and (repeated := _REPEATED_TAG.match(text)):
        text = text[repeated.end() :]
    return stamped(text.lstrip(" ")) or Draft(without_vendor(text), "text")


def bracketed(text: str, context: Context) -> Draft | None:
    """Any form of dmesg that begins with a bracket: uptime, -d, -T in any language, -e; also
    journalctl's short-monotonic.
    """
    draft = stamped(text)
    if draft is not None:
        if (
            not draft.caller
            and "kernel: " in draft.text[:265]
            and (matched := _MONOTONIC.match(draft.text))
        ):
            # journalctl prints no caller ids. A process may write `x kernel: …` to /dev/kmsg, so
            # this tag proves nothing: the trust stays unknown.
            draft.host, draft.text, draft.transport = (
                matched[1],
                draft.text[matched.end() :],
                "syslog",
            )
        return draft
    if matched := _DATE.match(text):
        draft = _behind_date(text[matched.end() :], matched[7])
        draft.wall_time_us = with_year(
            matched[6], matched[2], matched[3], matched[4], matched[5], context.zone
        )
        return draft
    if matched := _DELTA.match(text):
        draft = _behind_date(text[matched.end() :], matched[6])
        if matched[1]:
            draft.wall_time_us = _minute(matched, context)
        return draft
    if matched := _LOCAL_DATE.match(text):
        return _behind_date(text[matched.end() :], matched[1])
    return None


def _behind_date(rest: str, caller: str | None) -> Draft:
    """Returns what follows dmesg's date, or a console server's: the text, or a line with a
    stamp of its own (conserver writes the same date before each line).
    """
    matched = _STAMPED.match(rest)
    draft = stamped(rest[matched.end() :]) if matched else None
    if matched and matched[1] and draft is not None:
        draft.level, draft.facility = int(matched[1]) & 7, int(matched[1]) >> 3
        draft.trust = trust_of(draft.facility)
    draft = draft or Draft(without_vendor(rest), "dmesg")
    draft.caller = draft.caller or caller
    return draft


def _minute(matched: re.Match[str], context: Context) -> int | None:
    """`dmesg -H` gives whole minutes, and behind them the seconds of the lines since then."""
    month, day, clock, seconds, fraction = matched.groups()[:5]
    whole = without_year(month, day, f"{clock}:00", None, context)
    return None if whole is None else whole + micros(seconds or "0", fraction)


def dated(text: str, context: Context) -> Draft | None:
    """Returns what dmesg --time-format=iso prints: the comma before the fraction tells it from
    a syslog stamp. A raw stamp may follow.
    """
    if not _ISO_COMMA.match(text):
        return None
    stamp = iso(text, context.zone)
    if stamp is None:
        return None
    rest = text[stamp[1] + 1 :]
    draft = stamped(rest) or Draft(without_vendor(rest), "dmesg")
    draft.wall_time_us = stamp[0]
    return draft


def decoded(text: str, context: Context) -> Draft | None:
    """Returns what dmesg -x prints: `kern :warn : ` before any other form of dmesg."""
    matched = _DECODED.match(text)
    if not matched or matched[1] not in FACILITIES or matched[2] not in LEVELS:
        return None
    rest = text[matched.end() :]
    draft = bracketed(rest, context) or dated(rest, context) or Draft(rest, "dmesg")
    draft.transport = "dmesg"
    draft.facility, draft.level = FACILITIES[matched[1]], LEVELS[matched[2]]
    draft.trust = trust_of(draft.facility)
    return draft


def raw(level_and_facility: int, rest: str) -> Draft | None:
    """Returns from dmesg -r, pstore, /proc/kmsg: `<6>` was cut off already, a stamp follows;
    None if none does.
    """
    draft = stamped(rest)
    if draft is not None:
        draft.level, draft.facility = level_and_facility & 7, level_and_facility >> 3
        draft.trust = trust_of(draft.facility)
    return draft


def headless(text: str) -> Draft | None:
    """A stamp whose bracket was cut off, `1163.939872] …`, as a selection with the mouse does."""
    return stamped(f"[{text}") if _HEADLESS.match(text) else None


def without_build_clock(text: str) -> str | None:
    """A line of a build service without the build's own clock, `[ 2269s] `; None if it has
    none.
    """
    matched = _BUILD_CLOCK.match(text)
    return text[matched.end() :] if matched else None


def without_brackets(text: str) -> Draft | None:
    """A 3270 console's copy, where `[` became `c` and `]` became `!`: the stamp, and the pairs
    in the text put right again.
    """
    matched = _LOST_BRACKETS.match(text)
    if not matched:
        return None
    draft = Draft(_LOST_PAIR.sub(r"[\1]", text[matched.end() :]), "console")
    draft.kernel_time_us = micros(matched[1], matched[2])
    return draft
