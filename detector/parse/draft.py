"""A line as one reader parsed it, before its host is settled: Draft and Context.

Comes in: nothing. Goes out: the mutable `Draft` that readers fill, the `Context` they read by, and
the rule that turns a transport's claims into a trust. It does not parse and it knows no format.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

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
