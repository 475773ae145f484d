"""Why a goal is missed, where that is known: shown on the page beside the goal, and only while it
is missed. Pure.
"""

from __future__ import annotations

import re

RSIGMA = (
    "rsigma is native code that tries two rules on a line it was given as JSON, at a "
    "quarter of ripgrep's pace. Twenty times that would be "
    "several times ripgrep's own, which only counts lines; oopswatch itself goes at about "
    "ripgrep's pace where hits are few."
)
CORRELATES = (
    "Twenty times the peer's pace would be more than ripgrep's where hits are few. At 2 % "
    "hits every hit is located, decoded, parsed, "
    "matched and counted in Python, some 30 µs each, where the peer tries one rule and "
    "drops the line."
)
RIPGREP = (
    "Beyond the search itself each hit is located, decoded, parsed, matched and counted in "
    "Python, and at 2 % hits that is "
    "most of the time. ripgrep counts lines and looks no further. Start-up (imports, the "
    "catalogue, the Hyperscan database) "
    "is charged as well."
)
CONFLUENT = (
    "With fetch.queue.backoff.ms=1, so that it does not pause while it fetches ahead, "
    "confluent-kafka hands out some 0.84 M messages a second. Three times that is about what "
    "fetch and search take together on one core; reports, hits and transactions come on top."
)
FETCH = (
    "The faster the fetch, the lower this ratio: the bare fetch takes about 0.17 µs of CPU a "
    "record, Hyperscan 0.10 to 0.13 µs for its 140 bytes. With the search alone, on the same core, "
    "it would be 0.6; hits, reports and a transaction for each poll are what is left."
)
STORM = (
    "A report of 60 lines costs some 14 ms of CPU: half for its lines (each is parsed, "
    "matched and put to its report, since its host is followed), half for reading, explaining, "
    "storing and indexing the report, once when the incident is raised and once when the report is "
    "whole. 15 s for 5,000 would be 3 ms each."
)
WAITS = (
    "A record waits for the poll under way, its batch's transaction and the commit to the disk "
    "before its row can be read."
)
INPUT = (
    "Both hold the same mixture; what grows besides are caches and tables, in which hosts and "
    "programs take their places."
)
HISTORY = (
    "Each new match touches a leaf of three indexes that begin with the host. At ten "
    "million that leaf is its host's alone, at one "
    "million ten hosts share it: 4.4 pages are written for a match instead of 3.3, and 6.8 "
    "read instead of 3.5 (counted by strace), "
    "and system calls are most of the difference. Larger caches, memory maps and longer "
    "logs were tried and change nothing."
)
PRODUCER = "Producer and broker share one core here, and could not send more."

CAUSES = (
    ("^storm", STORM),
    ("against rsigma", RSIGMA),
    ("which correlates", CORRELATES),
    ("ripgrep", RIPGREP),
    ("confluent-kafka", CONFLUENT),
    ("nothing scanned", FETCH),
    ("p50|p99", WAITS),
    ("the input", INPUT),
    ("history of", HISTORY),
    ("while that was measured", PRODUCER),
)


def cause(what: str) -> str:
    """The reason for a goal of that name; empty where none is known."""
    return next((why for pattern, why in CAUSES if re.search(pattern, what)), "")
