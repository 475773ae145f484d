"""Writes how many lines no signature claims though they hold the phrase of a fault: a row
for each reason, with its newest sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection

from detector.store.rows import COUNT_LIMIT, NAME_LIMIT, clean, storable
from detector.unclaimed import UnclaimedCount

_ADD = f"""
INSERT INTO unclaimed (reason, count, signature, source, number, host, sample)
  VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (reason) DO UPDATE SET count = min(count + excluded.count, {COUNT_LIMIT}), signature =
  excluded.signature,
  source = excluded.source, number = excluded.number, host = excluded.host, sample = excluded.sample
"""  # noqa: S608


def add(connection: Connection, rows: Sequence[UnclaimedCount]) -> None:
    """Adds to the counts."""
    connection.executemany(
        _ADD,
        [
            (
                clean(row.reason, NAME_LIMIT),
                min(row.count, COUNT_LIMIT),
                clean(row.signature, NAME_LIMIT),
                clean(row.source),
                storable(row.number) or 0,
                clean(row.host, NAME_LIMIT),
                clean(row.sample),
            )
            for row in rows
        ],
    )
