"""Totals that are kept as they change: boots, and the times between which hosts were seen."""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema import repeats
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (repeats,)


@MIGRATIONS()
def m014_totals(db: Database) -> None:
    """Counted once here, and by triggers from then on: no page reads through boots and hosts."""
    db.executescript(_TOTALS)


# A row of times is there once there is a time.
_TOTALS = """
INSERT INTO sizes SELECT 'boots', count(*) FROM boots;
INSERT INTO sizes SELECT 'first seen', min(first_seen_us) FROM hosts HAVING min(first_seen_us) IS NOT NULL;
INSERT INTO sizes SELECT 'last seen', max(last_seen_us) FROM hosts HAVING max(last_seen_us) IS NOT NULL;
CREATE TRIGGER boots_added AFTER INSERT ON boots
  BEGIN UPDATE sizes SET rows = rows + 1 WHERE name = 'boots'; END;
CREATE TRIGGER boots_removed AFTER DELETE ON boots
  BEGIN UPDATE sizes SET rows = rows - 1 WHERE name = 'boots'; END;
CREATE TRIGGER hosts_first_seen AFTER INSERT ON hosts WHEN new.first_seen_us IS NOT NULL BEGIN
  INSERT INTO sizes VALUES ('first seen', new.first_seen_us)
    ON CONFLICT DO UPDATE SET rows = min(rows, excluded.rows);
  INSERT INTO sizes VALUES ('last seen', coalesce(new.last_seen_us, new.first_seen_us))
    ON CONFLICT DO UPDATE SET rows = max(rows, excluded.rows);
END;
CREATE TRIGGER hosts_seen AFTER UPDATE OF first_seen_us, last_seen_us ON hosts
WHEN new.first_seen_us IS NOT NULL
  AND (old.first_seen_us, old.last_seen_us) IS NOT (new.first_seen_us, new.last_seen_us) BEGIN
  INSERT INTO sizes VALUES ('first seen', new.first_seen_us)
    ON CONFLICT DO UPDATE SET rows = min(rows, excluded.rows);
  INSERT INTO sizes VALUES ('last seen', coalesce(new.last_seen_us, new.first_seen_us))
    ON CONFLICT DO UPDATE SET rows = max(rows, excluded.rows);
END;
"""
