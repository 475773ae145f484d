"""Lines that hold the phrase of a kernel fault and were not understood: why, how many, a sample.

In: lines that no signature claimed. Out: a reason for each that holds the literal of a kernel
signature, and counts by reason with the first line of each. A record that the scan selected and that
ends as no match, no noise and no known line of somebody else's is never silent. Known lines are a
list of the catalogue. Reads no clock and stores nothing.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from detector.match import Candidate, Matcher
from detector.model import Line, Record

# The list of the kernel's other lines that hold a literal: EDAC's at boot, say.
KNOWN_LINES = "known-lines"
# A prefix has no more words than this.
_WORDS = 24
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
    """How many lines were not understood for one reason, and the first of them with its place.

    `signature` is one whose literal the sample holds.
    """

    reason: str
    count: int
    signature: str
    source: str
    number: int
    host: str
    sample: str


class Review:
    """Says why a line that no signature claimed was not understood. `known` lines of the kernel
    hold a literal and are no fault.
    """

    def __init__(self, matcher: Matcher, known: Container[str] = frozenset()) -> None:
        self._matcher = matcher
        self._known = known

    def why(self, line: Line) -> tuple[str, str] | None:
        """(reason, the signature that is nearest); None where no kernel signature is near."""
        near = self._matcher.near_faults(line.text)
        if not near:
            return None
        nearest = near[0][1].id
        if line.trust == "user":
            return ("copy" if line.transport == "text" else "user-space"), nearest
        if line.inner:
            return "inner", nearest
        if line.text.isupper():
            return "copy", nearest
        if line.text in self._known:
            return None
        return self._differing(near, line.text) or ("differs", nearest)

    def unread(self, record: Record) -> tuple[str, str] | None:
        """The reason of a record that no format reads, if it holds a kernel signature's literal."""
        near = self._matcher.near_faults(record.value.decode("utf-8", "replace"))
        return ("not-read", near[0][1].id) if near else None

    def _differing(self, near: Sequence[Candidate], text: str) -> tuple[str, str] | None:
        """Whether a signature ran out of its time, or would claim the text behind its first
        words.
        """
        for _, signature, pattern in near:
            if signature.id in self._matcher.switched_off:
                return "timeout", signature.id
            try:
                if any(
                    pattern.match(text[start:], timeout=self._matcher.timeout_s)
                    for start in _starts(text, signature.literals)
                ):
                    return "prefix", signature.id
            except TimeoutError:
                return "timeout", signature.id
        return None


def _starts(text: str, literals: Sequence[str]) -> list[int]:
    """Where a signature's text may begin: at its literal, and at the words shortly before."""
    ends = [at for literal in literals if (at := text.find(literal)) >= 0]
    if not ends:
        return []
    last = min(ends)
    words = [k for k in range(1, last + 1) if not text[k - 1].isalnum()]
    return [last, *reversed(words[-_WORDS:])]


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
    found = dict(known)
    for row in rows:
        before = found.get(row.reason)
        found[row.reason] = (
            row if before is None else replace(before, count=before.count + row.count)
        )
    return found


def unclaimed_summary(counts: Sequence[UnclaimedCount]) -> str | None:
    """What is said of all of them; None where there are none."""
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
