"""Tables of alerts: silences, groups, messages and the log of every message sent or not
sent.
"""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema import history, life_cycle
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (history, life_cycle)


@MIGRATIONS()
def m003_alerts(db: Database) -> None:
    """Silences, groups of incidents, messages to receivers, what became of each; and the
    problems of older incidents, added up.
    """
    db.executescript(_ALERTS)
    db.executescript(_PROBLEMS)


_ALERTS = """
CREATE INDEX incidents_live ON incidents (changed_us) WHERE state <> 'resolved';
CREATE INDEX incidents_problem ON incidents (fingerprint, coalesce(started_us, found_us))
  WHERE joined_into IS NULL AND fingerprint IS NOT NULL;

CREATE TABLE silences (
  id INTEGER PRIMARY KEY,
  host TEXT,
  rule TEXT,
  fingerprint TEXT,
  starts_us INTEGER NOT NULL,
  ends_us INTEGER NOT NULL,
  author TEXT NOT NULL,
  comment TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  expired_us INTEGER,
  expired_by TEXT
) STRICT;
CREATE INDEX silences_ends ON silences (ends_us);

CREATE TABLE outbox (
  name TEXT NOT NULL PRIMARY KEY,
  change_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE alert_groups (
  id INTEGER PRIMARY KEY,
  receiver TEXT NOT NULL,
  scope TEXT NOT NULL,
  leader TEXT NOT NULL REFERENCES incidents (id),
  dedup_key TEXT NOT NULL,
  fingerprint TEXT,
  team TEXT,
  last_us INTEGER NOT NULL,
  told TEXT CHECK (told IN ('open', 'acknowledged', 'resolved')),
  said TEXT,
  messages INTEGER NOT NULL DEFAULT 0,
  sent_us INTEGER,
  repeat_us INTEGER
) STRICT;
CREATE INDEX alert_groups_scope ON alert_groups (receiver, scope, last_us);
CREATE INDEX alert_groups_repeat ON alert_groups (receiver, repeat_us) WHERE repeat_us IS NOT NULL;

CREATE TABLE alert_members (
  incident_id TEXT NOT NULL REFERENCES incidents (id),
  group_id INTEGER NOT NULL REFERENCES alert_groups (id),
  PRIMARY KEY (incident_id, group_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_members_group ON alert_members (group_id);

CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY,
  group_id INTEGER NOT NULL REFERENCES alert_groups (id),
  receiver TEXT NOT NULL,
  action TEXT CHECK (action IN ('fire', 'update', 'acknowledge', 'resolve')),
  reason TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'waiting'
    CHECK (state IN ('waiting', 'attempting', 'delivered', 'refused', 'undelivered', 'unchanged')),
  created_us INTEGER NOT NULL,
  due_us INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  repeated INTEGER NOT NULL DEFAULT 0 CHECK (repeated IN (0, 1)),
  settled_us INTEGER,
  detail TEXT
) STRICT;
CREATE INDEX deliveries_due ON deliveries (receiver, attempts, due_us) WHERE state = 'waiting';
CREATE INDEX deliveries_live ON deliveries (group_id) WHERE state IN ('waiting', 'attempting');

CREATE TABLE notifications (
  id INTEGER PRIMARY KEY,
  change_id INTEGER NOT NULL REFERENCES changes (id),
  incident_id TEXT NOT NULL REFERENCES incidents (id),
  at_us INTEGER NOT NULL,
  receiver TEXT,
  delivery_id INTEGER REFERENCES deliveries (id),
  reason TEXT NOT NULL
) STRICT;
CREATE INDEX notifications_incident ON notifications (incident_id);
CREATE INDEX notifications_delivery ON notifications (delivery_id) WHERE delivery_id IS NOT NULL;
"""

# Incidents that were stored before problems were kept.
_PROBLEMS = """
CREATE TEMP VIEW old AS SELECT *, coalesce(started_us, found_us) AS began_us FROM incidents
  WHERE joined_into IS NULL AND fingerprint IS NOT NULL;
INSERT INTO problems (fingerprint, title, kind, function, module, severity, known_issue, first_us, last_us, incidents, hosts)
  SELECT fingerprint, title, kind, function, module, severity, known_issue, min(began_us), max(began_us), count(*), count(DISTINCT host)
  FROM old GROUP BY fingerprint;
INSERT INTO problem_hosts (fingerprint, host, incidents, first_us, last_us)
  SELECT fingerprint, host, count(*), min(began_us), max(began_us) FROM old GROUP BY fingerprint, host;
INSERT INTO problem_kernels (fingerprint, kernel, incidents, first_us, last_us)
  SELECT fingerprint, kernel, count(*), min(began_us), max(began_us) FROM old WHERE kernel IS NOT NULL GROUP BY fingerprint, kernel;
INSERT INTO problem_days (fingerprint, day_us, incidents)
  SELECT fingerprint, began_us - began_us % 86400000000, count(*) FROM old GROUP BY 1, 2;
DROP VIEW old;
"""
