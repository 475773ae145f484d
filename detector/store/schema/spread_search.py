"""Incidents of many hosts by each of their hosts, and by when they were seen last."""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema import kernel_errors
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (kernel_errors,)


@MIGRATIONS()
def m011_spread_search(db: Database) -> None:
    """The indexes that lead from a host to its outbreaks."""
    db.execute("CREATE INDEX spread_hosts_host ON spread_hosts (host)")
    db.execute("CREATE INDEX spreads_last ON spreads (last_us)")
