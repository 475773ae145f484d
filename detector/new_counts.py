"""Counts since the last batch, of counters that only rise.

In: the counters of parser, assembler, noise and kernel errors, which only rise. Out: what is new of
them. Stores nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping


class NewCounts:
    """The counters of `read`, as they were when they were last taken."""

    def __init__(self, read: Callable[[], Mapping[str, int]]) -> None:
        self._read = read
        self._before: Counter[str] = Counter()
        self._marked = self._before

    def take(self) -> Counter[str]:
        """Returns what was counted since the last call: losses, bounds that acted."""
        now = Counter(self._read())
        new = now - self._before
        self._before = now
        return new

    def mark(self) -> None:
        """The state is good as it is now."""
        self._marked = self._before

    def rewind(self) -> None:
        """Goes back to the last mark."""
        self._before = self._marked
