"""Why a goal is missed, where that is known: shown on the page beside the goal, and only while it is missed. Pure."""

from __future__ import annotations

import re

RSIGMA = (
    "rsigma is native code that tries two rules on a line, at a pace not far below ripgrep's. Twenty times that pace would be "
    "a multiple of ripgrep's own, which only counts lines."
)
CORRELATES = (
    "Start-up is charged, and every hit is decoded, parsed and counted in Python, where the peer tries one rule and drops the line."
)
RIPGREP = (
    "Beyond the search itself each hit is located, decoded, parsed, matched and counted in Python, and at 2 % hits that is "
    "most of the time. ripgrep counts lines and looks no further. Start-up (imports, the catalogue, the Hyperscan database) "
    "is charged as well."
)
CONFLUENT = (
    "confluent-kafka fetches and decompresses in native code; what it still pays is one Python object a record, and with "
    "small batches or few records whole batches save little of that."
)
FETCH = "What is above the bare fetch is the search for literals, the hits, and one SQLite transaction a poll."
WAITS = "A record waits for the poll under way, its batch's transaction and the commit to the disk before its row can be read."
INPUT = "Both hold the same mixture; what grows besides are caches and tables, in which hosts and programs take their places."
HISTORY = "A larger history has colder index pages: each new match touches its indexes at random places."
PRODUCER = "Producer and broker share one core here, and could not send more."

CAUSES = (
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
