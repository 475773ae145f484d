"""Records of /dev/kmsg and of extended netconsole:
`[release,]prefix,sequence,µs,flag[,key=value…];text` and their dictionaries.

Comes in: one line. Goes out: a Draft with sequence and, for netconsole, the fragment's place.
Joining fragments is netconsole's part.

Sources: Documentation/ABI/testing/dev-kmsg, Documentation/networking/netconsole.rst,
msg_add_ext_text() in kernel/printk/printk.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from detector.lazy_regex import lazy_regex
from detector.parse.draft import Context, Draft, cleaned, trust_of

_RECORD = lazy_regex(
    (
        r"(\d{1,3}\.\d{1,4}[^,;\s]{0,80},)?(\d{1,4}),(\d{1,20}),(\d{1,18}),([^,;\s]{1,2})(,"
        r"[^;\n]{0,600})?;"
    ),
    re.ASCII,
)
_NEXT = lazy_regex(
    r"\n(?=(?:\d{1,3}\.\d{1,4}[^,;\s]{0,80},)?\d{1,4},\d{1,20},\d{1,18},[^,;\s]{1,2}[,;])", re.ASCII
)
_FRAGMENT = lazy_regex(r",ncfrag=(\d{1,6})/(\d{1,6})(?=,|$)", re.ASCII)
_CALLER = lazy_regex(r",caller=([TC]\d{1,10})(?=,|$)", re.ASCII)
_ESCAPE = lazy_regex(rb"\\x([0-9a-f]{2})")
_DICTIONARY = lazy_regex(r" ?(?:SUBSYSTEM|DEVICE)=")
_ANY_KEY = lazy_regex(r" [A-Za-z_][\w.-]{0,63}=", re.ASCII)
_FRAGMENT_BOUND = 65_536


def read(text: str, _context: Context | None = None) -> Draft | None:
    """One record, its text unescaped (it may then hold several lines) unless it is a fragment;
    None for a line of another form.

    Facility 0 is the kernel's: user space cannot set it. Flags `c` and `+` both mark a piece of a
    continued line.
    """
    matched = _RECORD.match(text)
    if not matched:
        return None
    release, prefix, sequence, time_us, flag, fields = matched.groups()
    draft = Draft(text[matched.end() :], "netconsole" if release else "kmsg")
    draft.level, draft.facility = int(prefix) & 7, int(prefix) >> 3
    draft.trust = trust_of(draft.facility)
    draft.sequence = int(sequence)
    draft.kernel_time_us = int(time_us)
    draft.continuation = flag in ("c", "+")
    if fields:
        _read_fields(draft, fields)
    if draft.fragment is None:
        draft.text = unescaped(draft.text)
    return draft


def _read_fields(draft: Draft, fields: str) -> None:
    """The optional fields that are known; all others are skipped, as the ABI asks."""
    if caller := _CALLER.search(fields):
        draft.caller = caller[1]
    if "ncemg=" in fields:
        draft.transport = "netconsole"
    if piece := _FRAGMENT.search(fields):
        offset, total = int(piece[1]), int(piece[2])
        draft.transport = "netconsole"
        if offset < total <= _FRAGMENT_BOUND:
            draft.fragment = (offset, total)


def unescaped(text: str) -> str:
    r"""A record's text with `\x0a` and the like resolved. The kernel escapes control characters,
    the backslash and all beyond ASCII.
    """
    if "\\x" not in text:
        return text
    octets = _ESCAPE.sub(
        lambda matched: bytes([int(matched[1], 16)]), text.encode("utf-8", "replace")
    )
    return "\n".join(map(cleaned, octets.decode("utf-8", "replace").split("\n")))


def is_dictionary(text: str, context: Context) -> bool:
    """Returns whether a line is a record's ` SUBSYSTEM=acpi`: known keys anywhere, any key
    right after a record.
    """
    if text[0] not in " SD":
        return False
    return bool(_DICTIONARY.match(text)) or (context.after_kmsg and bool(_ANY_KEY.match(text)))


def without_dictionary(text: str) -> str:
    """A whole record's text without the dictionary lines that follow it in the same body."""
    first, _, rest = text.partition("\n")
    kept = [line for line in rest.split("\n") if line and not _ANY_KEY.match(line)] if rest else []
    return "\n".join([first, *kept])


def packets(text: str) -> Iterator[str]:
    """The records of a text with fragments in it, a fragment whole: its body may hold line
    ends, and ends with the blanks it has.

    Fragments of one message that a receiver wrote one after another into the same line come apart.
    """
    for packet in _NEXT.split(text):
        matched = _RECORD.match(packet)
        if matched and "ncfrag=" in (matched[6] or ""):
            head = packet[: matched.start(5)]
            yield from (head + piece for piece in packet[len(head) :].split(head))
        else:
            yield from packet.split("\n")
