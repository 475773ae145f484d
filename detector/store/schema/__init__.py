"""The tables of the history, as migrations.

Each migration is applied once, in order, and never changed after a release.

Times are integer microseconds: `*_us` since 1970-01-01 UTC, `*kernel*_us` since boot. Text is clean
UTF-8 (`rows.clean`). `docs/schema.md` explains every column. Connecting, pragmas and refusals are
in `connection.py`.
"""

from __future__ import annotations

from detector.store.schema import (
    acts,
    alerts,
    banner_times,
    boots,
    faults,
    history,
    life_cycle,
    rejected,
    repeat_times,
    repeats,
    search,
    spreads,
    totals,
)
from detector.store.schema.migrations import MIGRATIONS

__all__ = [
    "APPLICATION_ID",
    "MIGRATIONS",
    "acts",
    "alerts",
    "banner_times",
    "boots",
    "faults",
    "history",
    "life_cycle",
    "rejected",
    "repeat_times",
    "repeats",
    "search",
    "spreads",
    "totals",
]

# "oops": tells our files from any other SQLite file (PRAGMA application_id).
APPLICATION_ID = 0x6F6F7073
