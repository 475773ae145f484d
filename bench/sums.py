"""The sums that the service keeps as it stores, made at once from the rows that they are of.

In: a connection to a history that has hosts' matches, boots, reports, incidents, noise and
evidence. Out: every other table. `tests/bench/test_history.py` holds them to those of the service.
"""

from __future__ import annotations

from detector.clock import DAY_US, HOUR_US

_PARTS = """
INSERT INTO {table} (fingerprint, {columns}, incidents, reports, first_us, last_us)
SELECT fingerprint, {columns}, sum(incident), sum(report), min(time), max(time) FROM (
  SELECT fingerprint, host, kernel, release, NULL AS hardware, 1 AS incident, 0 AS report,
    started_us AS time FROM incidents
  UNION ALL SELECT fingerprint, host, kernel, release_number(kernel), hardware, 0, 1, at_us
    FROM faults WHERE fingerprint IS NOT NULL)
WHERE {key} IS NOT NULL GROUP BY fingerprint, {key}
"""

SUMS = (
    """
INSERT INTO hosts (name, first_seen_us, last_seen_us)
SELECT host, min(first), max(last) FROM (
  SELECT host, min(wall_time_us) AS first, max(wall_time_us) AS last FROM matches GROUP BY host
  UNION ALL SELECT host, min(first_us), max(last_us) FROM noise GROUP BY host) GROUP BY host
""",
    """
INSERT INTO faults SELECT m.id, m.wall_time_us, m.host, m.signature, m.class, m.severity,
  r.match_id IS NOT NULL, r.function, r.module, r.kernel, model_of(r.details ->> '$.hardware'),
  r.fingerprint FROM matches m LEFT JOIN reports r ON r.match_id = m.id
""",
    f"""
INSERT INTO signature_hours SELECT signature, wall_time_us / {HOUR_US} * {HOUR_US}, count(*)
  FROM matches GROUP BY 1, 2
""",
    """
INSERT INTO noise_programs SELECT process, signature, hour_us, sum(count), min(first_us),
  max(last_us) FROM noise GROUP BY hour_us, process, signature
""",
    "UPDATE sizes SET rows = (SELECT coalesce(sum(count), 0) FROM noise) WHERE name = 'noise'",
    """
INSERT INTO problems (fingerprint, title, kind, function, module, severity, known_issue, first_us,
  last_us, incidents, reports, hosts, incident_us)
SELECT i.fingerprint, title, kind, function, module, severity, known_issue,
  min(min(i.started_us), f.first), max(max(i.started_us), f.last), count(*), f.reports,
  count(DISTINCT host), max(i.started_us) AS incident_us
FROM incidents i JOIN (SELECT fingerprint, min(at_us) AS first, max(at_us) AS last,
  count(*) AS reports FROM faults WHERE fingerprint IS NOT NULL GROUP BY 1) f
  ON f.fingerprint = i.fingerprint GROUP BY i.fingerprint
""",
    _PARTS.format(table="problem_hosts", columns="host", key="host"),
    _PARTS.format(table="problem_kernels", columns="kernel, release", key="kernel"),
    _PARTS.format(table="problem_hardware", columns="hardware", key="hardware"),
    f"""
INSERT INTO problem_days (fingerprint, day_us, incidents, reports)
SELECT fingerprint, time - time % {DAY_US}, sum(incident), sum(report) FROM (
  SELECT fingerprint, started_us AS time, 1 AS incident, 0 AS report FROM incidents
  UNION ALL SELECT fingerprint, at_us, 0, 1 FROM faults WHERE fingerprint IS NOT NULL)
GROUP BY 1, 2
""",
    """
UPDATE problems SET trace = coalesce((SELECT trace_of(r.details) FROM faults f
  JOIN reports r ON r.match_id = f.id WHERE f.fingerprint = problems.fingerprint
  ORDER BY f.at_us LIMIT 1), '[]')
""",
    """
INSERT INTO problem_frames SELECT DISTINCT value, fingerprint FROM problems, json_each(trace)
""",
    """
UPDATE hosts SET (hardware, hardware_us) = (SELECT hardware, at_us FROM faults f
  WHERE f.host = hosts.name AND hardware IS NOT NULL ORDER BY at_us DESC LIMIT 1)
""",
    """
INSERT INTO host_kernels SELECT host, epoch_us, kernel FROM (
  SELECT host, epoch_us, kernel, lag(kernel) OVER (PARTITION BY host ORDER BY epoch_us) AS before
  FROM boots WHERE kernel IS NOT NULL AND epoch_us > 0) WHERE before IS NOT kernel
""",
    f"""
INSERT INTO fleet_days SELECT about, value, day, sum(hosts), sum(crashes) FROM (
  SELECT 'kernel' AS about, kernel AS value, from_us - from_us % {DAY_US} AS day, 1 AS hosts,
    0 AS crashes FROM host_kernels
  UNION ALL SELECT 'kernel', lag(kernel) OVER (PARTITION BY host ORDER BY from_us),
    from_us - from_us % {DAY_US}, -1, 0 FROM host_kernels
  UNION ALL SELECT 'kernel', kernel, at_us - at_us % {DAY_US}, 0, 1 FROM faults
    WHERE severity = 'critical'
  UNION ALL SELECT 'hardware', hardware, at_us - at_us % {DAY_US}, 0, 1 FROM faults
    WHERE severity = 'critical') WHERE value IS NOT NULL GROUP BY 1, 2, 3
""",
    "INSERT INTO kernels SELECT DISTINCT kernel, release FROM incidents WHERE kernel IS NOT NULL",
    """
INSERT INTO incident_counts SELECT severity, state, count(*) FROM incidents GROUP BY 1, 2
""",
    f"""
INSERT INTO incident_days SELECT (place >> 11) / {DAY_US} * {DAY_US}, severity, count(*)
  FROM incidents GROUP BY 1, 2
""",
)
"""In the order in which one is made from the other."""
