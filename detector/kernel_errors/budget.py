"""Bounds how many records are read for their priority alone.

In: the records that the scan selected. Out: the same without those beyond the budget, which are
counted. A record that holds a literal, and one that an open report may need, always passes. The
budget is so many records a second, with a reserve for bursts; what time it is, is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from detector.clock import SECOND_US
from detector.model import Record

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
