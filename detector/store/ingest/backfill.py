"""Brings what an older history holds into the tables that came later: faults with the sums
of their reports, and the kernels of hosts.

In: a connection inside a transaction, how many rows to take. Out: how many were taken; `backfills`
says how far each walk is, and holds nothing once all is done. New lines are entered meanwhile as
always: to enter a row twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Connection

from detector.store.ingest import faults

_IDS = "SELECT id FROM matches WHERE id <= ? ORDER BY id DESC LIMIT ?"
_HOSTS = "SELECT name FROM hosts WHERE name > ? ORDER BY name LIMIT ?"
# How many rows were walked, and how many there are.
_DONE = {
    "faults": "SELECT max(id) - CAST(? AS INTEGER), max(id) FROM matches",
    "kernels": "SELECT coalesce(sum(name <= ?), 0), count(*) FROM hosts",
}

BackfillWalk = Callable[[Connection, str, int, int], tuple[int, str | None]]


def is_due(connection: Connection) -> bool:
    """Returns whether anything is left to enter."""
    return connection.execute("SELECT 1 FROM backfills LIMIT 1").fetchone() is not None


def percent_entered(connection: Connection) -> int | None:
    """Returns how much is entered, in percent: of the matches, then of the hosts' kernels; None
    where nothing is left to enter.
    """
    row = connection.execute("SELECT name, place FROM backfills ORDER BY name LIMIT 1").fetchone()
    if row is None:
        return None
    done, total = connection.execute(_DONE[row["name"]], (row["place"],)).fetchone()
    return min(99, 100 * done // total) if total else 99


def step(connection: Connection, rows: int, now_us: int) -> int:
    """Enters the next rows, and returns how many."""
    name, place = connection.execute(
        "SELECT name, place FROM backfills ORDER BY name LIMIT 1"
    ).fetchone()
    taken, following = _WALKS[name](connection, place, rows, now_us)
    if following is None:
        connection.execute("DELETE FROM backfills WHERE name = ?", (name,))
    else:
        connection.execute("UPDATE backfills SET place = ? WHERE name = ?", (following, name))
    return taken


def _faults(connection: Connection, place: str, rows: int, now_us: int) -> tuple[int, str | None]:
    """The newest matches first: what people ask for is there soon."""
    ids = [row["id"] for row in connection.execute(_IDS, (int(place), rows))]
    faults.refresh(connection, ids, now_us)
    return len(ids), str(ids[-1] - 1) if len(ids) == rows else None


def _kernels(connection: Connection, place: str, rows: int, now_us: int) -> tuple[int, str | None]:
    del now_us
    names = [row["name"] for row in connection.execute(_HOSTS, (place, rows))]
    faults.refresh_kernels(connection, names)
    return len(names), names[-1] if len(names) == rows else None


_WALKS: dict[str, BackfillWalk] = {"faults": _faults, "kernels": _kernels}
