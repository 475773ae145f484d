"""The trace of each problem, as far as traces are compared: the functions of its first
stored report.

In: a fault with a report. Out: `problems.trace` and `problem_frames`, by which problems with common
frames are found. Runs inside the transaction of the journal that owns the connection.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from sqlite3 import Connection

from detector.model import Frame
from detector.store.rows import NAME_LIMIT, clean, from_json

_DETAILS = "SELECT details FROM reports WHERE match_id = ?"


def note(connection: Connection, fingerprint: str, match_id: int) -> None:
    """Stores the trace of a problem that has none yet."""
    row = connection.execute(_DETAILS, (match_id,)).fetchone()
    if row is None or row["details"] is None:
        return
    functions = [clean(name, NAME_LIMIT) for name in names(_frames(row["details"]))]
    if not functions:
        return
    connection.execute(
        "UPDATE problems SET trace = ? WHERE fingerprint = ?", (json.dumps(functions), fingerprint)
    )
    connection.executemany(
        "INSERT OR IGNORE INTO problem_frames VALUES (?, ?)",
        [(name, fingerprint) for name in functions],
    )


def names(frames: Iterable[Frame]) -> tuple[str, ...]:
    """The functions by which traces are compared, top first: without entry code and the like."""
    # Imported here: most commands over the history compare no traces.
    from detector.crash.identity import identity
    from detector.known.trace import tidied

    return tidied((identity(frame) for frame in frames if frame.reliable), frozenset[str]())


def _frames(details: str) -> list[Frame]:
    return [
        Frame(item["function"], module=item["module"], reliable=item["reliable"])
        for item in from_json(details).get("frames", ())
    ]
