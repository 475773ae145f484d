"""Positions of sources: read, moved on and set, with the topic that a position is of.

A position belongs to a topic's id, not to its name, and to this history, which has an identity of
its own: `about` holds it. Noise below `counted` is counted already, and not again when records are
read again; files, which are read anew each time, have none. Moving on belongs inside a batch's
transaction; placing opens its own.

Runs inside the transaction of the journal that owns it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from sqlite3 import Connection, DatabaseError, Row

from detector.boots import LineStream
from detector.model import Position
from detector.store.connection import connect_reading
from detector.store.errors import explained
from detector.store.rows import NAME_LIMIT, clean, storable

# Files, which have nothing counted, are not read from where they stand: nothing is held for them.
_ADVANCE = """
INSERT INTO positions (source, position) VALUES (:source, :end)
ON CONFLICT (source) DO UPDATE SET counted = max(counted, :end), set_us = NULL,
  position = CASE WHEN counted IS NULL THEN :end ELSE :held END
"""
# Not where the source was placed elsewhere meanwhile.
_CATCH_UP = """
UPDATE positions SET position = counted WHERE source = ? AND counted = ? AND position < counted
"""
_PLACE = """
INSERT INTO positions (source, position, topic_id, counted, set_us)
VALUES (:source, :position, :topic_id, :counted, :set_us)
ON CONFLICT (source) DO UPDATE SET position = excluded.position, topic_id = excluded.topic_id,
  counted = excluded.counted, set_us = excluded.set_us
"""
_COLUMNS = "position, topic_id, coalesce(counted, position) AS counted, set_us"

Transaction = Callable[[], AbstractContextManager[None]]


class Positions:
    """The positions of one history.

    `history` is its identity; `copied_us` when the copy was made that this history was restored
    from, None where it is no copy.
    """

    def __init__(self, connection: Connection, transaction: Transaction) -> None:
        self._connection = connection
        self._transaction = transaction
        about = dict(connection.execute("SELECT name, value FROM about").fetchall())
        if "history" not in about:
            raise DatabaseError("the history has lost its identity")
        self.history: str = about["history"]
        self.copied_us = int(about["copied_us"]) if "copied_us" in about else None
        query = "SELECT source, counted FROM positions WHERE counted > position"
        self._counted: dict[str, int] = dict(connection.execute(query).fetchall())

    def all(self) -> dict[str, Position]:
        """Every source with its position, by name."""
        query = f"SELECT source, {_COLUMNS} FROM positions ORDER BY source"  # noqa: S608
        return {row[0]: _position(row[1:]) for row in self._connection.execute(query)}

    def get(self, source: str) -> Position | None:
        """Returns where one source stands; None where nothing of it was read."""
        query = f"SELECT {_COLUMNS} FROM positions WHERE source = ?"  # noqa: S608
        row = self._connection.execute(query, (clean(source),)).fetchone()
        return _position(row) if row else None

    def reads(self, topic: str) -> bool:
        """Returns whether any partition of a topic has a position."""
        query = "SELECT 1 FROM positions WHERE substr(source, 1, ?) = ? LIMIT 1"
        start = clean(f"{topic}/")
        return self._connection.execute(query, (len(start), start)).fetchone() is not None

    def counted(self, source: str) -> int:
        """The position below which this source's noise is counted already; 0 unless it is read
        again.
        """
        return self._counted.get(source, 0)

    def advance(self, ends: Mapping[str, int], held: Mapping[str, int] | None = None) -> None:
        """Stores where sources stand after a batch. Where a message waits for its rest, the
        position is `held` before it, so that the next start reads it again.
        """
        behind = held or {}
        rows = [
            {"source": clean(name), "end": end, "held": behind.get(name, end)}
            for name, end in ends.items()
        ]
        self._connection.executemany(_ADVANCE, rows)

    def catch_up(self, ends: Mapping[str, int]) -> None:
        """Moves positions that were behind the counted ones up to them: nothing waits any more."""
        self._connection.executemany(_CATCH_UP, [(clean(name), end) for name, end in ends.items()])

    def place(self, positions: Mapping[str, Position]) -> None:
        """Stores from where sources are read from now on, in one transaction of its own."""
        rows = [
            {
                "source": clean(source),
                "position": position.offset,
                "topic_id": position.topic_id,
                "counted": position.counted,
                "set_us": position.set_us,
            }
            for source, position in positions.items()
        ]
        with self._transaction():
            self._connection.executemany(_PLACE, rows)
            self._connection.execute("DELETE FROM about WHERE name = 'copied_us'")
        self._counted |= {source: position.counted for source, position in positions.items()}


def _position(row: tuple[int, str | None, int, int | None]) -> Position:
    return Position(*row)


def mark_copy(connection: Connection, now_us: int) -> None:
    """Notes in a copy of a history when it was made."""
    connection.execute(
        "INSERT OR REPLACE INTO about (name, value) VALUES ('copied_us', ?)", (str(now_us),)
    )


def read_positions(path: str | Path) -> dict[str, Position]:
    """The positions of a history that exists, also beside a running service."""
    with closing(connect_reading(str(path))) as db, explained(str(path)):
        return Positions(db, nullcontext).all()


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
# So many streams are read by one query.
_TOGETHER = 200


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


def read(connection: Connection, names: Sequence[str]) -> dict[str, LineStream]:
    """Those of some streams that are stored, by name."""
    stored: dict[str, LineStream] = {}
    for start in range(0, len(names), _TOGETHER):
        by_stored = {clean(name): name for name in names[start : start + _TOGETHER]}
        places = ",".join("?" * len(by_stored))
        query = f"{_SELECT} WHERE name IN ({places})"
        for row in connection.execute(query, tuple(by_stored)):
            stored[by_stored[row["name"]]] = _stream(row)
    return stored


def read_all(connection: Connection) -> dict[str, LineStream]:
    """All streams as they were stored."""
    return {row["name"]: _stream(row) for row in connection.execute(_SELECT).fetchall()}


def _stream(row: Row) -> LineStream:
    count, latest, fresh, begun, boot_id, began, epoch, earlier = row[:8]
    return LineStream(count, latest, bool(fresh), bool(begun), boot_id, began, epoch, earlier)
