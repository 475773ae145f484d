"""Explains why a line with the phrase of a kernel fault was not understood.

In: lines that no signature claimed. Out: a reason for each that holds the literal of a kernel
signature, and the signature that is nearest. A record that the scan selected and that ends as no
match, no noise and no known line of somebody else's is never silent. Known lines are a list of the
catalogue. Counting is `unclaimed`'s part.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import regex

from detector.catalogue import Signature
from detector.match import Matcher
from detector.model import Line, Record, Unparsed
from detector.unclaimed import UnclaimedTally

# The list of the kernel's other lines that hold a literal: EDAC's at boot, say.
KNOWN_LINES = "known-lines"
# A prefix has no more words than this.
_WORDS = 24


class Review:
    """Says why a line that no signature claimed was not understood, and counts it.

    `known` lines of the kernel hold a literal and are no fault.
    """

    def __init__(self, matcher: Matcher, known: Container[str] = frozenset()) -> None:
        self._matcher = matcher
        self._known = known
        self.tally = UnclaimedTally()
        self._unread: tuple[str, int] | None = None

    def count(self, line: Line, reported: bool) -> bool:
        """Counts a line that no signature claimed, if it holds the phrase of a fault; says whether
        it does. `reported`: its host has an open report, whose lines are the report's.
        """
        if reported and line.trust != "user" and not line.inner:
            return False
        if (why := self.why(line)) is None:
            return False
        self.tally.add(why, line.source, line.number, line.host, line.text)
        return True

    def count_unread(self, part: Unparsed, record: Record) -> bool:
        """Counts a record that no format reads, if it holds the phrase of a fault: once, however
        many parts of it are not read.
        """
        place = record.source, record.number
        if place == self._unread:
            return False
        self._unread = place
        near = self._matcher.near_faults(record.value.decode("utf-8", "replace"), whole=True)
        if near:
            text = part.sample.decode("utf-8", "replace")
            why = "not-read", near[0][0].id
            self.tally.add(why, part.source, part.number, part.source, text)
        return bool(near)

    def why(self, line: Line) -> tuple[str, str] | None:
        """(reason, the signature that is nearest); None where no kernel signature is near."""
        near = self._matcher.near_faults(line.text)
        if not near:
            return None
        nearest = near[0][0].id
        if line.trust == "user":
            return ("copy" if line.transport == "text" else "user-space"), nearest
        if line.inner:
            return "inner", nearest
        if line.text.isupper():
            return "copy", nearest
        if line.text in self._known:
            return None
        return self._differing(near, line.text) or ("differs", nearest)

    def _differing(
        self, near: Sequence[tuple[Signature, regex.Pattern[str]]], text: str
    ) -> tuple[str, str] | None:
        """Returns whether a signature ran out of its time, or would claim the text behind its
        first words.
        """
        for signature, pattern in near:
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
    """Returns where a signature's text may begin: at its literal, and at the words shortly
    before.
    """
    ends = [at for literal in literals if (at := text.find(literal)) >= 0]
    if not ends:
        return []
    last = min(ends)
    words = [k for k in range(1, last + 1) if not text[k - 1].isalnum()]
    return [last, *reversed(words[-_WORDS:])]
