"""Lines of serial consoles, terminals and mails: text before the stamp, prompts, start-up
messages, and copies.

Comes in: a line that is in no log's form. Goes out: a Draft. A stamp within a line counts only
where a console can have put it there; a quotation, a mail's quote or a search tool's output is a
copy that someone made, so its trust is "user".
"""

from __future__ import annotations

import re

from detector.lazy_regex import lazy_regex
from detector.parse import printk
from detector.parse.draft import Context, Draft

_EMBEDDED = lazy_regex(r"\[ *+\d{1,12}\.\d{6}\](?=[ \[]|$)", re.ASCII)
_CALLED = lazy_regex(r"\[ *+\d{1,12}\.\d{6}\] ?\[ *+[TC]\d{1,10}\]", re.ASCII)
_DROPPED = lazy_regex(r"\*\* (\d{1,12}) printk messages dropped \*\* ?")
_LOGIN = lazy_regex(r"(?:\S{1,64} )?login: ")
_PROMPT = lazy_regex(
    r"(?:\[?[\w.-]{1,64}@[\w.-]{1,64}[ :][^\]#$]{0,128}\]?|[\w./~-]{0,64}) ?[#$] ?"
)
_STARTUP = lazy_regex(
    r"(?:Starting|Stopping|Loading|Mounting) [^\[\"'`]{0,128}[:.] ?|.{0,128}(?:\.\.\.|\]|\*\*) ?"
)
# A shell's error whose line end is missing: exvwarning() in dash's error.c, file_error() in bash's.
_SHELL = lazy_regex(r"[\w./-]{1,64}: (?:line )?\d{1,6}: [^\s:]{1,64}: ?", re.ASCII)
_CLOCK = lazy_regex(r"\d\d:\d\d:\d\d", re.ASCII)
_SEARCHED = lazy_regex(r"[\w./~-]{1,256}[:-](?:\d{1,9}[:-])?", re.ASCII)
_FOUND = lazy_regex(r"[\w./~-]{1,256}[:-]\d{1,9}[:-]$", re.ASCII)
_QUOTED = lazy_regex(r">[> ]+")
_GLUED = lazy_regex(r"(?<=[^\s\"'`(<=|,>\\])\[ *+\d{1,12}\.\d{6}\](?=[ \[]|$)", re.ASCII)
_GLUE_US = 60_000_000
_GLUED_BOUND = 8
_QUOTING = frozenset("\"'`(<=|,>\\")


def read(text: str, context: Context) -> Draft:
    """A line without a form at its start: what a console glued before a stamp is cut off, else
    the text is all there is.
    """
    if text.startswith(">") and (quoted := _QUOTED.match(text)):
        return Draft(text[quoted.end() :], "text", "user")
    if text.startswith("** ") and (dropped := _DROPPED.match(text)) and dropped.end() < len(text):
        context.counts["printk_dropped"] += int(dropped[1])
        text = text[dropped.end() :]
    elif login := _LOGIN.match(text):
        text = text[login.end() :]
    if matched := _EMBEDDED.search(text):
        return _embedded(text, matched.start())
    return Draft(printk.without_vendor(text.lstrip()), "text")


def mixed(text: str, context: Context) -> Draft | None:
    """A daemon's line into which the kernel printed on a console, `… gce-node kern[
    1163.939872] BUG: …`: the kernel's part.

    Only in a console's log, one whose lines begin with stamps, and near the latest of them: whoever
    writes to that console may as well write a stamped line.
    """
    matched = _GLUED.search(text)
    draft = printk.stamped(text[matched.start() :]) if matched else None
    if draft is None or context.console_us is None or draft.kernel_time_us is None:
        return None
    if abs(draft.kernel_time_us - context.console_us) > _GLUE_US:
        return None
    draft.transport = "console"
    return draft


def unglued(draft: Draft, context: Context) -> tuple[Draft, ...]:
    """A console's line, and those that other CPUs printed behind it before its line end:
    `trusty crashed[ 1117.184796] ---…`.

    Only where a console's text is all there is; a transport with records of its own keeps lines
    apart.
    """
    if (
        draft.kernel_time_us is None
        or draft.trust != "unknown"
        or draft.transport not in ("dmesg", "console")
    ):
        return (draft,)
    drafts = [draft]
    while len(drafts) < _GLUED_BOUND and (matched := _GLUED.search(drafts[-1].text)):
        text = drafts[-1].text
        second = printk.stamped(text[matched.start() :])
        if second is None or abs((second.kernel_time_us or 0) - draft.kernel_time_us) > _GLUE_US:
            break
        context.counts["glued"] += 1
        drafts[-1].text, second.transport = text[: matched.start()], draft.transport
        drafts.append(second)
    return tuple(drafts)


def _embedded(text: str, start: int) -> Draft:
    """A stamp somewhere in the line: a console's, or a copy's that is left whole."""
    before = text[:start]
    if start and not _CALLED.match(text, start):
        if _is_copy(before):
            return Draft(text, "text", "user")
        if not _by_console(before):
            return Draft(text, "text")
    draft = printk.stamped(text[start:]) or Draft(text, "text")
    draft.transport = "console"
    return draft


def _is_copy(before: str) -> bool:
    """Returns whether the words before a stamp are those of a log file, a quotation or a
    search: someone wrote the line down again.
    """
    if _PROMPT.fullmatch(before):
        return False
    return (
        bool(_CLOCK.search(before) or _SEARCHED.fullmatch(before) or _FOUND.search(before))
        or before.rstrip()[-1:] in _QUOTING
    )


def _by_console(before: str) -> bool:
    """Returns whether a console mixes its text with the kernel's so: glued in mid-word, after
    a prompt, or after an unfinished start-up line or a shell's error.
    """
    return not before[-1].isspace() or any(
        form.fullmatch(before) for form in (_PROMPT, _STARTUP, _SHELL)
    )
