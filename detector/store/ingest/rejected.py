"""The stored rejected records: of each its place, why, and its first bytes; of them the
newest.

In: what the pipeline set aside. Out: what of it is new. Runs inside the transaction of the journal
that owns the connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from sqlite3 import Connection

from detector.model import Rejected
from detector.render.objects import SAMPLE_BYTES
from detector.store.rows import NAME_LIMIT, clean

# Records beyond this are counted, and the oldest go.
ROWS = 10_000
_INTEGER = (1 << 63) - 1

_ADD = """
INSERT INTO rejected (at_us, source, number, stage, reason, size, sample)
  VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, number, stage) DO UPDATE SET
  at_us = excluded.at_us, reason = excluded.reason, size = excluded.size, sample = excluded.sample
  WHERE sample <> excluded.sample
RETURNING id
"""


def add(
    connection: Connection, rows: Iterable[Rejected], now_us: int, limit: int = ROWS
) -> list[Rejected]:
    """Stores what was set aside; returns what was not known of it.

    Of a place that holds another record now the newer one stays.
    """
    new = [row for row in rows if connection.execute(_ADD, _row(row, now_us)).fetchall()]
    if new:
        connection.execute(
            "DELETE FROM rejected WHERE id <= (SELECT max(id) FROM rejected) - ?", (limit,)
        )
    return new


def _row(row: Rejected, now_us: int) -> tuple[int | str | bytes, ...]:
    return (
        now_us,
        clean(row.source, NAME_LIMIT),
        max(-_INTEGER, min(row.number, _INTEGER)),
        clean(row.stage, NAME_LIMIT),
        clean(row.reason, NAME_LIMIT),
        len(row.value),
        row.value[:SAMPLE_BYTES],
    )
