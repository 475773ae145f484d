"""Decides how many records one poll may bring, by what the last ones cost.

In: the most that the settings allow, and seconds of CPU. Out: a number of records. A batch is
stored in one transaction, and nobody hears of an incident before its end: where a storm of crashes
makes records a hundred times dearer than usual, a batch of the usual size would take minutes.

What a batch waits for counts nothing: a slow disk takes as long to write a small transaction as a
large one, so that smaller batches would only wait more often.
"""

from __future__ import annotations

# CPU time. A batch that takes longer makes the next ones smaller; one of less than half of it,
# larger.
BATCH_S = 0.5
LEAST = 100


class Pace:
    """The size of the next batch: `records`."""

    def __init__(self, most: int) -> None:
        self.records = self._most = most

    def note(self, took_s: float) -> None:
        """Takes note of how much CPU time a batch took to be stored."""
        if took_s > BATCH_S:
            least = min(LEAST, self._most)
            self.records = max(least, int(self.records * max(0.1, BATCH_S / took_s)))
        elif took_s < BATCH_S / 2:
            self.records = min(self._most, self.records * 2)
