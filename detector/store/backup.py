"""A copy of the whole history while it is written to, proved before it gets its name.

In: the history's path, the copy's. Out: what the copy holds. The copy is one file that any
`oopswatch` command opens; to restore it, stop the service and put it in the history's place
(without the `-wal` and `-shm` files that lay beside the old one).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from detector.store import retention
from detector.store.connection import connect_reading
from detector.store.errors import StoreError, explained
from detector.store.ingest.positions import mark_copy
from detector.store.query.history import open_history
from detector.store.query.overview import totals
from detector.store.query.results import HistoryTotals

_PAGES = 2_000


def backup(
    source: str | Path, target: str | Path, progress: Callable[[int, int], None] | None = None
) -> HistoryTotals:
    """Copies a history to a file that must not be there yet; `progress` gets pages done and
    pages in all.

    The copy is what the source was at one moment. Raises `StoreError` where it is not sound, or
    does not hold as much as that moment did; then no file is left.
    """
    target = Path(target)
    if target.exists():
        raise StoreError(f"{target}: there is such a file already: name another one")
    if not target.parent.is_dir():
        raise StoreError(f"{target}: there is no folder {target.parent}: make it first")
    unfinished = target.with_name(f".{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        expected = _copy(str(source), unfinished, progress)
        faults = retention.check(unfinished)
        with closing(open_history(unfinished)) as copy:
            held = copy.totals()
        if faults or held != expected:
            raise StoreError(
                f"{target}: the copy is not sound: "
                f"{'; '.join(faults) or 'it does not hold what the history held'}"
            )
        _settle(unfinished)
        unfinished.rename(target)
    finally:
        for leftover in ("", "-wal", "-shm", "-journal"):
            Path(f"{unfinished}{leftover}").unlink(missing_ok=True)
    return held


def _copy(source: str, target: Path, progress: Callable[[int, int], None] | None) -> HistoryTotals:
    """All steps belong to one reading transaction: a writer beside it neither waits nor makes
    the copy begin again.
    """
    with closing(connect_reading(source)) as db, explained(source):
        db.execute("BEGIN")
        expected = totals(db)
        with explained(str(target)), closing(sqlite3.connect(target)) as copy:

            def tell(_status: int, remaining: int, total: int) -> None:
                if progress:
                    progress(total - remaining, total)

            db.backup(copy, pages=_PAGES, progress=tell, sleep=0)
            mark_copy(copy, time.time_ns() // 1_000)
            copy.commit()
        db.execute("COMMIT")
    return expected


def _settle(path: Path) -> None:
    """On the disk before it has its name."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
