"""Selects records that the kernel wrote with priority err or worse, by their bytes.

In: nothing. Out: expressions that the scan searches for beside the literals, and the test of a line
that was read. The expressions are generous: what they select is read, and `is_kernel_error`
decides.

Sources: include/linux/kern_levels.h; RFC 5424, RFC 3164; Documentation/ABI/testing/dev-kmsg;
sys-utils/dmesg.c of util-linux (2.41) for `dmesg -x`, `dmesg -r` and `dmesg --json`;
systemd.journal-fields(7); rsyslog's property replacer; the names of levels in `parse.json_fields`.

A record that holds a literal, and one that an open report may need, always passes. The budget is so
many records a second, with a reserve for bursts; what time it is, is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from detector.clock import SECOND_US
from detector.model import Line, Record

# LOGLEVEL_ERR of include/linux/kern_levels.h; worse ones are smaller.
ERR = 3

_WORDS = rb"(?:emerg|panic|alert|crit|err)"
PRIORITIES: tuple[bytes, ...] = (
    # <3> of syslog and `dmesg -r`: facility 0 is the kernel's.
    rb"<[0-3]>",
    # /dev/kmsg and extended netconsole: priority, sequence, time, flag.
    rb"[0-3],[0-9]{1,20},[0-9]{1,18},[-c+][,;]",
    # Fields of JSON that hold a level, or facility and level in one, which is the level alone where
    # the facility is the kernel's.
    (
        rb'(?i:priority|severity|severity[_-]?(?:code|name|text)|level|pri)"[ \t]{0,4}:[ \t]{0,4}'
        rb'"?(?:[0-3][",} \t\r\n]|(?i:emerg|panic|alert|crit|err))'
    ),
    # `dmesg -x`, and the facility and level that a syslog daemon was told to write.
    rb"kern {1,4}:(?:emerg|alert|crit|err)",
    rb"kern\." + _WORDS,
    rb" (?:EMERG|PANIC|ALERT|CRIT|ERR|ERROR) kernel:",
)


def is_kernel_error(line: Line) -> bool:
    """Tells whether a line is a kernel error, as its transport proves it. What
    stands behind a line end within a message has no priority of its own.
    """
    return (
        line.level is not None
        and line.level <= ERR
        and line.trust == "kernel"
        and not line.inner
        and not line.continuation
    )


# Records that may be read a second for their priority, which takes a fifth of a core; and those of
# a burst.
RATE = 2_000
RESERVE = 100_000

MakeSearch = Callable[[], Callable[[bytes], Sequence[int]]]
"""Makes what finds the literals in some bytes."""


class ErrorBudget:
    """The budget of a pipeline. `search` makes the search for the literals, once it is needed;
    `passed_over` is the number of records that were not read.
    """

    def __init__(self, search: MakeSearch) -> None:
        self.passed_over = 0
        self._search = search
        self._literals_in: Callable[[bytes], Sequence[int]] | None = None
        self._left = float(RESERVE)
        self._renewed_us: int | None = None

    def renew(self, now_us: int) -> None:
        """Adds what the time since the last call allows."""
        if self._renewed_us is not None:
            passed_s = max(0, now_us - self._renewed_us) / SECOND_US
            self._left = min(RESERVE, max(0, self._left) + passed_s * RATE)
        self._renewed_us = now_us

    def spend(self) -> None:
        """Takes one record, which was read for its priority, off the budget."""
        self._left -= 1

    def within(
        self,
        selected: Iterator[tuple[Record, bool]],
        following: Callable[[], Collection[str] | None],
    ) -> Iterator[tuple[Record, bool]]:
        """Yields the selected records within the budget, each with whether it is a hit.

        `following` are the hosts with an open report, None where each record may be of one.
        """
        for record, hit in selected:
            if self._left <= 0 and hit and self._may_pass_over(record, following()):
                self.passed_over += 1
            else:
                yield record, hit

    def _may_pass_over(self, record: Record, followed: Collection[str] | None) -> bool:
        if followed is None or followed:
            return False
        if self._literals_in is None:
            self._literals_in = self._search()
        return not self._literals_in(record.value)
