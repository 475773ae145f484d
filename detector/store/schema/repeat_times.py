"""Lines that repeat are known by their times: runs of all sources, and pages of times."""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema import acts
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (acts,)


@MIGRATIONS()
def m016_repeat_times(db: Database) -> None:
    """Makes a run of each source, of which no times are known; of counts of one line that came
    by several sources the greatest stays, since they were of the same lines.
    """
    db.executescript(_REPEAT_TIMES)


_REPEAT_TIMES = """
ALTER TABLE repeating RENAME TO repeating_before;
DROP INDEX repeating_match;
CREATE TABLE repeating (
  run INTEGER PRIMARY KEY,
  label TEXT NOT NULL,
  host TEXT NOT NULL,
  signature TEXT NOT NULL,
  shape BLOB NOT NULL,
  first_us INTEGER NOT NULL,
  match_id INTEGER NOT NULL REFERENCES matches (id) ON DELETE CASCADE,
  whole INTEGER NOT NULL,
  whole_us INTEGER NOT NULL,
  last_us INTEGER NOT NULL,
  boot TEXT NOT NULL,
  line TEXT,
  times_us INTEGER,
  times BLOB
) STRICT;
INSERT INTO repeating (label, host, signature, shape, first_us, match_id, whole, whole_us, last_us,
  boot, line)
SELECT label, host, signature, shape, last_us, match_id, whole, whole_us, last_us,
  json_array(json_extract(boot, '$[0]'), json_object(source, json_extract(boot, '$[3]')), NULL, NULL),
  line
FROM repeating_before;
DROP TABLE repeating_before;
CREATE INDEX repeating_lines ON repeating (label, host, signature, shape, first_us);
CREATE INDEX repeating_match ON repeating (match_id);
CREATE INDEX repeating_unfinished ON repeating (label) WHERE line IS NOT NULL;
CREATE TABLE repeat_times (
  run INTEGER NOT NULL REFERENCES repeating (run) ON DELETE CASCADE,
  first_us INTEGER NOT NULL,
  times BLOB NOT NULL,
  PRIMARY KEY (run, first_us)
) STRICT, WITHOUT ROWID;
DELETE FROM repeats WHERE (match_id, source) IN (
  SELECT match_id, source FROM (
    SELECT match_id, source, row_number() OVER (
      PARTITION BY match_id ORDER BY sum(count) DESC, source) AS place
    FROM repeats GROUP BY match_id, source)
  WHERE place > 1);
"""
