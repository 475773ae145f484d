"""Stores where the streams of lines stand in their boots, and reads it again after a
restart.

In: streams by name. Out: the same. Runs inside the transaction of the journal that owns it.
"""

from __future__ import annotations

from collections.abc import Mapping
from sqlite3 import Connection, Row

from detector.boots import LineStream
from detector.store.rows import NAME_LIMIT, clean, storable

_SAVE = """
INSERT INTO streams (name, boot_count, latest_kernel_us, fresh, begun, boot_id, began_us, epoch_us,
  earlier_epoch_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET boot_count = excluded.boot_count, latest_kernel_us =
  excluded.latest_kernel_us, fresh = excluded.fresh,
  begun = excluded.begun, boot_id = excluded.boot_id, began_us = excluded.began_us, epoch_us =
    excluded.epoch_us,
  earlier_epoch_us = excluded.earlier_epoch_us
"""
_SELECT = """
SELECT boot_count, latest_kernel_us, fresh, begun, boot_id, began_us, epoch_us, earlier_epoch_us,
  name FROM streams
"""


def save(connection: Connection, moved: Mapping[str, LineStream]) -> None:
    """Stores some streams as they stand."""
    rows = [
        (
            clean(name),
            stream.count,
            storable(stream.latest_us) or 0,
            stream.fresh,
            stream.begun,
            stream.boot_id and clean(stream.boot_id, NAME_LIMIT),
            storable(stream.began_us),
            storable(stream.epoch_us),
            storable(stream.earlier_us),
        )
        for name, stream in moved.items()
    ]
    connection.executemany(_SAVE, rows)


def read(connection: Connection, name: str) -> LineStream | None:
    """One stream as it was stored."""
    row = connection.execute(f"{_SELECT} WHERE name = ?", (clean(name),)).fetchone()
    return _stream(row) if row else None


def read_all(connection: Connection) -> dict[str, LineStream]:
    """All streams as they were stored."""
    return {row["name"]: _stream(row) for row in connection.execute(_SELECT).fetchall()}


def _stream(row: Row) -> LineStream:
    count, latest, fresh, begun, boot_id, began, epoch, earlier = row[:8]
    return LineStream(count, latest, bool(fresh), bool(begun), boot_id, began, epoch, earlier)
