"""The stored reports: what a fault printed, verbatim, with what was read from it; also the
blocks that are still open.

In: blocks and crash reports. Out: blocks. Runs inside the transaction of the journal that owns the
connection.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from sqlite3 import Connection

from detector.model import Block, CrashReport
from detector.render.objects import report_item
from detector.store.rows import clean, from_json, read_match, to_json

_SAVE = """
INSERT INTO reports (match_id, open, complete, lines, kind, title, function, module, kernel,
  fingerprint, details)
VALUES (?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (match_id) DO UPDATE SET open = 0, complete = excluded.complete, lines =
  excluded.lines, kind = excluded.kind,
  title = excluded.title, function = excluded.function, module = excluded.module, kernel =
    excluded.kernel,
  fingerprint = excluded.fingerprint, details = excluded.details
WHERE reports.open OR (reports.complete, json_array_length(reports.lines), reports.lines) <=
  (excluded.complete, json_array_length(excluded.lines), excluded.lines)
"""
_SAVE_OPEN = """
INSERT INTO reports (match_id, open, complete, lines) VALUES (?, 1, 0, ?)
ON CONFLICT (match_id) DO UPDATE SET lines = excluded.lines WHERE open AND lines <> excluded.lines
"""
# The few that are open lead: the planner would rather read all matches in their order.
_OPEN = """
SELECT m.*, r.lines FROM reports r INDEXED BY reports_open CROSS
  JOIN matches m ON m.id = r.match_id WHERE r.open ORDER BY r.match_id
"""


def save_report(
    connection: Connection,
    match_id: int,
    block: Block,
    report: CrashReport | None,
    fingerprint: str | None,
) -> None:
    """Stores a block that has ended. Of two readings of one report the better stays: complete
    before cut, then the longer.
    """
    lines = to_json(block.lines)
    names = (
        (report.kind, report.title, report.function, report.module, report.kernel)
        if report
        else (None,) * 5
    )
    columns = [name if name is None else clean(name) for name in names]
    details = to_json(report_item(report)) if report else None
    connection.execute(_SAVE, (match_id, block.complete, lines, *columns, fingerprint, details))


def save_open(
    connection: Connection, blocks: Iterable[tuple[int, Block]], still: Iterable[int] | None = ()
) -> None:
    """Stores the blocks that are open now, by the id of their head; those that are `still` open
    have not changed.

    Any other that was open has ended without a report; with None for `still` none has.
    """
    longest: dict[int, Sequence[str]] = {}
    for match_id, block in blocks:
        longest[match_id] = max(longest.get(match_id, ()), block.lines, key=len)
    connection.executemany(
        _SAVE_OPEN, [(match_id, to_json(lines)) for match_id, lines in longest.items()]
    )
    if still is None:
        return
    ended = (
        "UPDATE reports SET open = 0 WHERE open AND match_id NOT IN (SELECT value FROM "
        "json_each(?))"
    )
    connection.execute(ended, (json.dumps([*longest, *still]),))


def open_blocks(connection: Connection) -> list[tuple[int, Block]]:
    """The blocks that were open at the last commit."""
    return [
        (row["id"], Block(read_match(row), tuple(from_json(row["lines"])), complete=False))
        for row in connection.execute(_OPEN)
    ]


def block_of(connection: Connection, match_id: int) -> Block | None:
    """The lines that are known of a match's report, ended or still open."""
    query = (
        "SELECT m.*, r.lines, r.complete FROM reports r JOIN matches m ON m.id = r.match_id "
        "WHERE r.match_id = ?"
    )
    row = connection.execute(query, (match_id,)).fetchone()
    return (
        Block(read_match(row), tuple(from_json(row["lines"])), bool(row["complete"]))
        if row
        else None
    )
