"""Tables of what many hosts share: spreads, packages of kernels, kernel errors."""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema import faults
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (faults,)


@MIGRATIONS()
def m009_spreads(db: Database) -> None:
    """Hosts by value and hour; the span of each incident of many hosts, and its hosts."""
    db.executescript(_SPREADS)


_SPREADS = """
CREATE TABLE value_hours (
  field TEXT NOT NULL CHECK (field IN ('fingerprint', 'process')),
  value TEXT NOT NULL,
  hour_us INTEGER NOT NULL,
  host TEXT NOT NULL,
  match_id INTEGER,
  PRIMARY KEY (field, value, hour_us, host)
) STRICT, WITHOUT ROWID;
CREATE INDEX value_hours_hour ON value_hours (hour_us);
CREATE INDEX value_hours_match ON value_hours (match_id) WHERE match_id IS NOT NULL;

CREATE TABLE spreads (
  incident_id TEXT NOT NULL PRIMARY KEY REFERENCES incidents (id) DEFERRABLE INITIALLY DEFERRED,
  rule TEXT NOT NULL,
  field TEXT NOT NULL,
  value TEXT NOT NULL,
  first_us INTEGER NOT NULL,
  last_us INTEGER NOT NULL,
  hosts INTEGER NOT NULL,
  told INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spreads_value ON spreads (rule, value, last_us);

CREATE TABLE spread_hosts (
  incident_id TEXT NOT NULL REFERENCES incidents (id) DEFERRABLE INITIALLY DEFERRED,
  host TEXT NOT NULL,
  PRIMARY KEY (incident_id, host)
) STRICT, WITHOUT ROWID;
"""


@MIGRATIONS()
def m010_packages(db: Database) -> None:
    """As banners and reports name it; of boots that are stored already it is not known."""
    db.executescript(_PACKAGES)


_PACKAGES = """
ALTER TABLE boots ADD COLUMN package TEXT;
"""


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


@MIGRATIONS()
def m011_spread_search(db: Database) -> None:
    """The indexes that lead from a host to its outbreaks."""
    db.execute("CREATE INDEX spread_hosts_host ON spread_hosts (host)")
    db.execute("CREATE INDEX spreads_last ON spreads (last_us)")


@MIGRATIONS()
def m014_program_days(db: Database) -> None:
    """On how many hosts a program crashed, by the day; counted from now on."""
    db.executescript(_PROGRAM_DAYS)


_PROGRAM_DAYS = """
CREATE TABLE program_days (
  day_us INTEGER NOT NULL,
  process TEXT NOT NULL,
  hosts INTEGER NOT NULL,
  PRIMARY KEY (day_us, process)
) STRICT, WITHOUT ROWID;
"""
