"""Counts again what explanations count in a log: calls that repeat, tasks and their pages.

In: the log's text and a sentence. Out: differences in words. The product takes no part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_ROUNDS = re.compile(
    r"(?P<one>\S+) calls itself: it stands (?P<times>\d+) times in a row in the trace"
    r"|These calls repeat in the trace, (?P<rounds>\d+) times in a row: (?P<chain>.+) → \S+\.$"
)
_TASKS = re.compile(
    r"All (?P<tasks>\d+) tasks in the list together hold (?P<pages>\d+) of (?P<ram>\d+) pages"
)
_FRAME = re.compile(
    r"(?:^|\])\s*(?:\[<?[0-9a-f]+>?\] )?([A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x", re.MULTILINE
)
COUNTED = re.compile(r"\d+ times in a row")
"""Numbers that `false_counts` answers for."""


def false_counts(log: str, text: str) -> Iterator[str]:
    """The counts of a sentence that do not come out."""
    if (said := _ROUNDS.match(text)) is not None:
        chain = said["one"] or said["chain"]
        wanted = int(said["times"] or said["rounds"])
        counted = _rounds(log, [name.strip() for name in chain.split("→")][::-1])
        if counted != wanted:
            yield f"{chain} stands {counted} times in a row, not {wanted}"
    if (said := _TASKS.match(text)) is not None:
        rows = _rss(log)
        if (len(rows), sum(rows)) != (int(said["tasks"]), int(said["pages"])):
            yield f"the list has {len(rows)} tasks with {sum(rows)} pages"


def _rounds(log: str, cycle: list[str]) -> int:
    """The most times that these functions follow each other in this order, innermost first."""
    names = [re.sub(r"\.(?:isra|part|constprop|cold).*", "", name) for name in _FRAME.findall(log)]
    best = 0
    for start in range(len(names)):
        length = 0
        while names[start + length : start + length + len(cycle)] == cycle:
            length += len(cycle)
        best = max(best, length // len(cycle))
    return best


def _rss(log: str) -> list[int]:
    """The column rss of the list of tasks, wherever it stands in its header."""
    header = re.search(r"\[ *pid *\](.*\bname)", log)
    if header is None:
        return []
    before = header[1].split().index("rss")
    rows = re.findall(r"\[ *\d+\]((?: +-?\d+){5,}) +\S", log[header.end() :])
    return [int(row.split()[before]) for row in rows]
