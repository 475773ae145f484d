"""A line as one reader parsed it, before its host is settled: Draft and Context.

Comes in: nothing. Goes out: the mutable `Draft` that readers fill, the `Context` they read by, and
the rule that turns a transport's claims into a trust. It does not parse and it knows no format.

Comes in: decoded text. Goes out: the same without what no log means. It knows no format.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from detector.lazy_regex import lazy_regex
from detector.model import VMCORE, Trust
from detector.trust_policy import TrustPolicy


@dataclass(slots=True)
class Context:
    """Input of a reader besides the line: the zone of stamps without one, the time now, and
    where oddities are counted.

    `after_kmsg` says that the line before was a /dev/kmsg record, so that an indented `KEY=value`
    is its dictionary. `policy` is what the site trusts. `depth` counts the
    prefixes that a line was read behind. `console_us` is the latest stamp that began a line of this
    source, if it is a console's log. `cut` counts the lines of the record at hand that were cut
    before they were read: their texts are not counted once more.
    """

    zone: tzinfo = UTC
    now_us: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    after_kmsg: bool = False
    depth: int = 0
    console_us: int | None = None
    cut: int = 0
    policy: TrustPolicy = field(default_factory=TrustPolicy)


class Draft:
    """A line as one reader understood it.

    None means that the line does not say; `text` may hold several lines of one message.

    `inner` is text behind a line end within one message, `sequence` is printk's record number,
    `fragment` netconsole's (offset, total) in characters, `part` pstore's (kind, count, part).
    """

    __slots__ = (
        "boot_id",
        "caller",
        "continuation",
        "facility",
        "fragment",
        "host",
        "inner",
        "kernel_time_us",
        "level",
        "part",
        "sequence",
        "text",
        "transport",
        "trust",
        "wall_time_us",
    )

    def __init__(self, text: str, transport: str, trust: Trust = "unknown") -> None:
        self.text = text
        self.transport = transport
        self.trust: Trust = trust
        self.host: str | None = None
        self.kernel_time_us: int | None = None
        self.wall_time_us: int | None = None
        self.boot_id: str | None = None
        self.level: int | None = None
        self.facility: int | None = None
        self.caller: str | None = None
        self.continuation = False
        self.inner = False
        self.sequence: int | None = None
        self.fragment: tuple[int, int] | None = None
        self.part: tuple[str, int, int] | None = None

    def fill(self, outer: Draft) -> Draft:
        """Takes from an envelope what this line does not say itself; of two trusts, "user" wins,
        then "kernel".
        """
        self.transport = outer.transport
        self.trust = least(outer.trust, self.trust)
        self.boot_id = outer.boot_id
        if self.host is None:
            self.host = outer.host
        if self.kernel_time_us is None:
            self.kernel_time_us = outer.kernel_time_us
        if self.wall_time_us is None:
            self.wall_time_us = outer.wall_time_us
        if self.level is None:
            self.level = outer.level
        if self.facility is None:
            self.facility = outer.facility
        if self.sequence is None:
            self.sequence = outer.sequence
        return self


def least(outer: Trust, inner: Trust) -> Trust:
    """The trust of a message that two layers speak of: a word for user space is final, silence
    yields to the other.
    """
    if "user" in (outer, inner):
        return "user"
    return "kernel" if "kernel" in (outer, inner) else "unknown"


def shipped_as(transport: str, tag: str | None, trust: Trust) -> str:
    """The transport of a line behind a syslog tag: the log of a vmcore, where the site trusts
    such a tag, was printed by a kernel that is gone.
    """
    return VMCORE if trust == "kernel" and tag and tag.startswith("vmcore") else transport


def trust_of(
    facility: int | None = None, tag: str | None = None, transport: str | None = None
) -> Trust:
    """Returns who wrote a line, by what its transport says: a facility, tag or journald
    transport other than the kernel's means user space.

    User space cannot set facility 0 through /dev/kmsg (devkmsg_write in kernel/printk/printk.c) nor
    through syslog(3).
    """
    if (
        facility not in (None, 0)
        or tag not in (None, "kernel")
        or transport not in (None, "kernel")
    ):
        return "user"
    return "unknown" if facility is None and tag is None and transport is None else "kernel"


LINE_BOUND = 16_384
"""Characters of one line that are read. printk stores at most 1,024 (kernel/printk/printk.c),
extended consoles print at most 8,192."""
ROWS_BOUND = 100_000
"""Lines of one record that are read."""

_ESCAPES = lazy_regex(
    r"\x1b(?:\[[0-9;?]{0,32}[ "
    r"-/]?[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|[()#][0-9A-Za-z]|[0-9=>A-Zc-z])?"
)
_CONTROLS = lazy_regex(r"[\x00-\x08\x0e-\x1f\x7f\ufffd]")
_BYTE_ORDER_MARK = "\ufeff"
_HEAD = 256
_START = 16


def cleaned(text: str) -> str:
    """A line without colours, NULs, byte order marks, line ends and blanks on the right, its
    no-break spaces as blanks. Other control characters stay: they may be the message's own.
    """
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    if "\0" in text:
        text = text.replace("\0", "")
    if _BYTE_ORDER_MARK in text:  # of files that were put together, each with its own
        text = text.replace(_BYTE_ORDER_MARK, "")
    if "\xa0" in text:  # what pages and mails make of a stamp's padding
        text = text.replace("\xa0", " ")
    text = text.strip("\r\n").rstrip()
    # socat -v writes a carriage return as it is spelled (xio-streams: xioread with "verbose").
    return text[:-2].rstrip() if text.endswith("\\r") else text


def is_rule(text: str) -> bool:
    """Returns whether a line is blank, or the rule that a report begins with (`=====`)."""
    return not text.strip("=-*_#~. ")


def is_text(text: str) -> bool:
    """Returns whether a line without any form could be text: it begins with words, or less
    than a fifth of its head is controls or broken bytes.
    """
    start = text[:_START]
    if start.isascii() and start.isprintable() and (len(start) == _START or text == start):
        return True
    head = text[:_HEAD]
    return 5 * len(_CONTROLS.findall(head)) <= len(head)
