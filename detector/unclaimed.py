"""Counts of lines that hold the phrase of a kernel fault and were not understood.

In: a reason for each (see `review`). Out: counts by reason with a sample and its place, and the
sentence that is said of them. Reads no clock and stores nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

_SAMPLE_BOUND = 200

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "user-space": "written by user space",
        "copy": "quoted or copied",
        "prefix": "unknown prefix",
        "differs": "the regex differs",
        "timeout": "timed out",
        "inner": "inside another message",
        "not-read": "not read",
    }
)
"""Why a line was not understood, and how it is said."""


@dataclass(frozen=True, slots=True)
class UnclaimedCount:
    """A count of lines not understood for one reason, with the first of them.

    `signature` is one whose literal the sample holds.
    """

    reason: str
    count: int
    signature: str
    source: str
    number: int
    host: str
    sample: str


class UnclaimedTally:
    """The counts since the last drain, by reason."""

    def __init__(self) -> None:
        self._counts: dict[str, UnclaimedCount] = {}
        self._marked: dict[str, UnclaimedCount] = {}

    def add(self, why: tuple[str, str], source: str, number: int, host: str, text: str) -> None:
        """Counts one line; the first of its reason is kept."""
        reason, signature = why
        known = self._counts.get(reason)
        if known is not None:
            self._counts[reason] = replace(known, count=known.count + 1)
            return
        sample = text[:_SAMPLE_BOUND]
        self._counts[reason] = UnclaimedCount(reason, 1, signature, source, number, host, sample)

    def mark(self) -> None:
        """The counts are good as they are now."""
        self._marked = dict(self._counts)

    def rewind(self) -> None:
        """Goes back to the counts at the last mark."""
        self._counts = dict(self._marked)

    def drain(self) -> list[UnclaimedCount]:
        """All counts since the last call."""
        rows = list(self._counts.values())
        self._counts = {}
        return rows


def folded(
    known: Mapping[str, UnclaimedCount], rows: Sequence[UnclaimedCount]
) -> dict[str, UnclaimedCount]:
    """Counts by reason with further ones added; the older samples stay."""
    known_samples = dict(known)
    for row in rows:
        before = known_samples.get(row.reason)
        known_samples[row.reason] = (
            row if before is None else replace(before, count=before.count + row.count)
        )
    return known_samples


def unclaimed_summary(counts: Sequence[UnclaimedCount]) -> str | None:
    """Returns what is said of all of them; None where there are none."""
    total = sum(row.count for row in counts)
    if not total:
        return None
    first = min(counts, key=lambda row: _URGENCY.get(row.reason, len(_URGENCY)))
    lines, were = ("line holds", "was") if total == 1 else ("lines hold", "were")
    reasons = ", ".join(f"{row.count:,} {REASONS.get(row.reason, row.reason)}" for row in counts)
    return (
        f"{total:,} {lines} the phrase of a kernel fault and {were} not understood ({reasons}), "
        f"first {first.source}:{first.number}: {first.sample}"
    )


# Whose sample is shown: what may be a fault that is missed before what a program wrote.
_URGENCY = {
    reason: rank
    for rank, reason in enumerate(
        ("differs", "prefix", "timeout", "not-read", "inner", "copy", "user-space")
    )
}
