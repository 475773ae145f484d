"""Kernel errors that no signature claims: templates, with their hosts and days."""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema import spreads
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (spreads,)


@MIGRATIONS()
def m010_kernel_errors(db: Database) -> None:
    """Templates, their hosts by release, their days; `value_hours` takes templates as well."""
    db.executescript(_KERNEL_ERRORS)


_KERNEL_ERRORS = """
CREATE TABLE kernel_errors (
  id TEXT NOT NULL PRIMARY KEY,
  template TEXT NOT NULL,
  level INTEGER NOT NULL,
  count INTEGER NOT NULL,
  hosts INTEGER NOT NULL,
  first_us INTEGER NOT NULL,
  last_us INTEGER NOT NULL,
  first_host TEXT NOT NULL,
  samples TEXT NOT NULL,
  source TEXT NOT NULL,
  number INTEGER NOT NULL,
  news TEXT CHECK (news IN ('new', 'release', 'spread')),
  news_us INTEGER,
  news_kernel TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX kernel_errors_last ON kernel_errors (last_us);
CREATE INDEX kernel_errors_host ON kernel_errors (first_host, first_us);

CREATE TABLE kernel_error_hosts (
  error_id TEXT NOT NULL REFERENCES kernel_errors (id),
  host TEXT NOT NULL,
  kernel TEXT NOT NULL,
  count INTEGER NOT NULL,
  first_us INTEGER NOT NULL,
  last_us INTEGER NOT NULL,
  PRIMARY KEY (error_id, host, kernel)
) STRICT, WITHOUT ROWID;
CREATE INDEX kernel_error_hosts_host ON kernel_error_hosts (host);
CREATE INDEX kernel_error_hosts_kernel ON kernel_error_hosts (error_id, kernel, first_us);

CREATE TABLE kernel_error_days (
  error_id TEXT NOT NULL REFERENCES kernel_errors (id),
  day_us INTEGER NOT NULL,
  count INTEGER NOT NULL,
  hosts INTEGER NOT NULL,
  PRIMARY KEY (error_id, day_us)
) STRICT, WITHOUT ROWID;
CREATE INDEX kernel_error_days_day ON kernel_error_days (day_us);

CREATE TABLE kernel_error_host_days (
  error_id TEXT NOT NULL REFERENCES kernel_errors (id),
  day_us INTEGER NOT NULL,
  host TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (error_id, day_us, host)
) STRICT, WITHOUT ROWID;
CREATE INDEX kernel_error_host_days_day ON kernel_error_host_days (day_us);

CREATE TABLE value_hours_anew (
  field TEXT NOT NULL CHECK (field IN ('fingerprint', 'process', 'kernel-error')),
  value TEXT NOT NULL,
  hour_us INTEGER NOT NULL,
  host TEXT NOT NULL,
  match_id INTEGER,
  PRIMARY KEY (field, value, hour_us, host)
) STRICT, WITHOUT ROWID;
INSERT INTO value_hours_anew SELECT * FROM value_hours;
DROP TABLE value_hours;
ALTER TABLE value_hours_anew RENAME TO value_hours;
CREATE INDEX value_hours_hour ON value_hours (hour_us);
CREATE INDEX value_hours_match ON value_hours (match_id) WHERE match_id IS NOT NULL;
"""
