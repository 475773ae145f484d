"""Acts of people on their way to and from a topic."""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema import banner_times, rejected, totals
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (banner_times, rejected, totals)


@MIGRATIONS()
def m015_acts(db: Database) -> None:
    """Adds marks of acts that are still to be sent, and acts that wait for their incident or
    problem.
    """
    db.executescript(_ACTS)


_ACTS = """
CREATE TABLE unsent_acts (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('problem', 'advice', 'silence')),
  subject TEXT NOT NULL,
  about TEXT NOT NULL DEFAULT '',
  at_us INTEGER NOT NULL,
  actor TEXT NOT NULL DEFAULT '',
  UNIQUE (kind, subject, about)
) STRICT;
CREATE TABLE waiting_acts (
  name TEXT NOT NULL PRIMARY KEY,
  subject TEXT NOT NULL,
  at_us INTEGER NOT NULL,
  act TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO unsent_acts (kind, subject, at_us)
  SELECT 'problem', fingerprint, state_us FROM problems WHERE state_us IS NOT NULL ORDER BY state_us;
INSERT INTO unsent_acts (kind, subject, about, at_us)
  SELECT 'advice', fingerprint, about, at_us FROM problem_advice ORDER BY at_us;
INSERT INTO unsent_acts (kind, subject, at_us) SELECT 'silence', id, created_us FROM silences ORDER BY id;
"""
