"""Problems that resemble a crash: the same fingerprint first, then common functions in
order.

In: a connection, a fingerprint, the functions of a trace as `ingest/traces.py` keeps them. Out:
frozen rows, the most alike first. Functions that very many problems have lead to none.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from detector.store.query.results import ProblemRow, named
from detector.store.rows import from_json

# A function that this many problems have tells none of them.
FREQUENT = 2_000
# Problems whose traces are compared: those with most of the functions.
COMPARED_PROBLEMS = 200
# So many functions in common at least, and half of the shorter trace.
LEAST = 2

_WITH = "SELECT fingerprint FROM problem_frames WHERE function = ? LIMIT ?"
_PROBLEMS = "SELECT * FROM problems WHERE fingerprint IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class AlikeProblem:
    """A problem that resembles a crash: `common` functions of the `of` that were compared
    stand in the same order in the trace of its first report, which has `its`; `same`: the same
    fingerprint.
    """

    row: ProblemRow
    same: bool
    common: int
    of: int
    its: int
    functions: tuple[str, ...]


def alike(
    connection: Connection, fingerprint: str | None, functions: Sequence[str], limit: int
) -> list[AlikeProblem]:
    """The problems that resemble a crash, the most alike first."""
    counted: Counter[str] = Counter()
    for function in dict.fromkeys(functions):
        with_it = connection.execute(_WITH, (function, FREQUENT)).fetchall()
        if len(with_it) < FREQUENT:
            counted.update(row["fingerprint"] for row in with_it)
    nearest = [fingerprint_given for fingerprint_given, _ in counted.most_common(COMPARED_PROBLEMS)]
    if fingerprint is not None:
        nearest.append(fingerprint)
    alike_read = []
    for row in connection.execute(_PROBLEMS, (json.dumps(nearest),)):
        its = from_json(row["trace"])
        common = in_common(functions, its)
        same = row["fingerprint"] == fingerprint
        if same or (len(common) >= LEAST and 2 * len(common) >= min(len(functions), len(its))):
            problem = ProblemRow(**named(ProblemRow, row))
            alike_read.append(
                AlikeProblem(problem, same, len(common), len(functions), len(its), tuple(common))
            )
    alike_read.sort(key=lambda item: (item.same, item.common, item.row.last_us), reverse=True)
    return alike_read[:limit]


def in_common(mine: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """The longest common subsequence of two traces."""
    below: list[list[str]] = [[] for _ in range(len(theirs) + 1)]
    for function in reversed(mine):
        longest: list[list[str]] = [[] for _ in range(len(theirs) + 1)]
        for place in range(len(theirs) - 1, -1, -1):
            longest[place] = (
                [function, *below[place + 1]]
                if function == theirs[place]
                else max(below[place], longest[place + 1], key=len)
            )
        below = longest
    return below[0]
