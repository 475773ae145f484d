"""The overview for on-call, and counts of the whole history: open incidents, new problems,
regressions, a heat strip, noise, totals.

In: a connection, the time now. Out: frozen rows. Every count is kept as it changes, or is of a
bounded time: nothing large is read through.
"""

from __future__ import annotations

from collections import Counter
from sqlite3 import Connection

from detector.clock import DAY_US, HOUR_US
from detector.render.units import Bucket
from detector.store.query import incidents as incident_queries
from detector.store.query import search_index
from detector.store.query.filters import SEVERITIES, Filter
from detector.store.query.noise import noise
from detector.store.query.results import (
    Counted,
    HeatRow,
    HistoryTotals,
    OpenProblem,
    Overview,
    ProblemRow,
    named,
)
from detector.unclaimed import UnclaimedCount

HEAT_HOURS = 48
# Hosts of their own in the heat strip; the others are one row together.
HEAT_HOSTS = 20
# The newest incidents that the heat strip looks at.
HEATED = 10_000
SHOWN = 10
# The open incidents that are grouped by problem: those that changed last.
OPENED = 2_000

_TOTALS = """
SELECT (SELECT rows FROM sizes WHERE name = 'hosts') AS hosts,
  (SELECT rows FROM sizes WHERE name = 'boots') AS boots,
  (SELECT coalesce(max(id), 0) FROM matches) - (SELECT rows FROM sizes
    WHERE name = 'removed matches') AS matches,
  (SELECT rows FROM sizes WHERE name = 'reports') AS reports, (SELECT count(*) FROM reports
    WHERE open) AS open_reports,
  (SELECT coalesce(sum(incidents), 0) FROM incident_counts) AS incidents,
  (SELECT rows FROM sizes WHERE name = 'joined') AS joined,
  (SELECT rows FROM sizes WHERE name = 'noise') AS noise,
  (SELECT rows FROM sizes WHERE name = 'first seen') AS first_us,
  (SELECT rows FROM sizes WHERE name = 'last seen') AS last_us
"""
_STATES = "SELECT severity, incidents FROM incident_counts WHERE state = ? AND incidents > 0"
_UNRESOLVED = """
SELECT state, severity, incidents FROM incident_counts WHERE state <> 'resolved' AND incidents > 0
"""
_OLDEST_OPEN = (
    "SELECT rowid FROM incident_words WHERE incident_words MATCH ? ORDER BY rowid LIMIT 1"
)
_LATEST = (
    "SELECT place FROM incidents INDEXED BY incidents_place WHERE place IS NOT NULL ORDER BY "
    "place DESC LIMIT 1"
)
# Of the open incidents that changed last, by problem.
_OPEN_PROBLEMS = """
SELECT fingerprint, id AS incident, coalesce(title, (SELECT text FROM matches
  WHERE matches.id = anchor_id)) AS title,
  min(instr(:severities, severity)) AS worst, count(*) AS incidents, count(DISTINCT host) AS hosts,
  min(began) AS first_us, max(began) AS last_us, max(changed_us) AS changed
FROM (SELECT *, coalesce(started_us, found_us) AS began FROM incidents INDEXED BY incidents_live
  WHERE state <> 'resolved' AND joined_into IS NULL ORDER BY changed_us DESC LIMIT :opened)
GROUP BY coalesce(fingerprint, id) ORDER BY worst, last_us DESC, incident
"""
_SEVERITIES = " ".join(SEVERITIES)
_HEAT = """
SELECT host, place FROM incidents INDEXED BY incidents_place WHERE place >= ?
  AND place < ? ORDER BY place DESC LIMIT ?
"""
_REJECTED = "SELECT coalesce(sum(count), 0) FROM counters WHERE substr(name, 1, 9) = 'rejected:'"
_NEW = (
    "SELECT * FROM problems WHERE first_us >= ? AND first_us <= ? ORDER BY first_us DESC, "
    "fingerprint LIMIT ?"
)
_NEW_COUNT = "SELECT count(*) FROM problems WHERE first_us >= ? AND first_us <= ?"
_REGRESSED = (
    "SELECT * FROM problems WHERE regressed_us >= ? AND regressed_us <= ? ORDER BY "
    "regressed_us DESC, fingerprint LIMIT ?"
)
_SIGNATURE = (
    "SELECT hour_us, matches FROM signature_hours WHERE signature = ? AND hour_us > ? AND "
    "hour_us < ? ORDER BY hour_us"
)


def unresolved(connection: Connection) -> dict[tuple[str, ...], int]:
    """Numbers of incidents that are not resolved, by state and severity."""
    rows = connection.execute(_UNRESOLVED).fetchall()
    return {(row["state"], row["severity"]): row["incidents"] for row in rows}


def overview(connection: Connection, now_us: int) -> Overview:
    """Returns everything on the first page, as of `now_us`."""
    week, ahead = now_us - 7 * DAY_US, now_us + DAY_US
    start = now_us - now_us % HOUR_US - (HEAT_HOURS - 1) * HOUR_US
    oldest = connection.execute(
        _OLDEST_OPEN, (search_index.any_fact("state", ["open"]),)
    ).fetchone()
    latest = connection.execute(_LATEST).fetchone()
    grouped = open_problems(connection)
    counted = sum(item.incidents for item in grouped)
    return Overview(
        now_us=now_us,
        open=dict(connection.execute(_STATES, ("open",)).fetchall()),
        acknowledged=dict(connection.execute(_STATES, ("acknowledged",)).fetchall()),
        newest=incident_queries.page(
            connection, Filter(state=("open", "acknowledged")), None, SHOWN
        ).rows,
        oldest_open_us=oldest and oldest[0] >> search_index.PLACE_BITS,
        latest_us=latest and latest[0] >> search_index.PLACE_BITS,
        new_problems_day=connection.execute(_NEW_COUNT, (now_us - DAY_US, ahead)).fetchone()[0],
        new_problems_week=connection.execute(_NEW_COUNT, (week, ahead)).fetchone()[0],
        new_problems=[
            ProblemRow(**named(ProblemRow, row))
            for row in connection.execute(_NEW, (week, ahead, SHOWN))
        ],
        regressions=[
            ProblemRow(**named(ProblemRow, row))
            for row in connection.execute(_REGRESSED, (week, ahead, SHOWN))
        ],
        heat_start_us=start,
        heat=heat(connection, start),
        noise=noise(
            connection,
            ("process", "signature"),
            None,
            None,
            now_us - DAY_US,
            None,
            SHOWN,
            quick=True,
        ).rows,
        totals=totals(connection),
        unclaimed=unclaimed(connection),
        open_problems=grouped[:SHOWN],
        open_problems_counted=Counted(len(grouped), more=counted >= OPENED),
        rejected=connection.execute(_REJECTED).fetchone()[0],
    )


def open_problems(connection: Connection) -> list[OpenProblem]:
    """Returns what is open by problem, the worst first, of the `OPENED` incidents that changed
    last.
    """
    reasons = []
    for row in connection.execute(_OPEN_PROBLEMS, {"opened": OPENED, "severities": _SEVERITIES}):
        severity = next(item for item in SEVERITIES if _SEVERITIES.index(item) + 1 == row["worst"])
        reasons.append(OpenProblem(**named(OpenProblem, row) | {"severity": severity}))
    return reasons


def unclaimed(connection: Connection) -> list[UnclaimedCount]:
    """The lines that hold the phrase of a kernel fault and were not understood, by reason."""
    return [
        UnclaimedCount(**named(UnclaimedCount, row))
        for row in connection.execute("SELECT * FROM unclaimed ORDER BY count DESC, reason")
    ]


def totals(connection: Connection) -> HistoryTotals:
    """Returns how much the history holds."""
    return HistoryTotals(**named(HistoryTotals, connection.execute(_TOTALS).fetchone()))


def heat(connection: Connection, start_us: int) -> list[HeatRow]:
    """The newest `HEATED` incidents of `HEAT_HOURS` hours by host and hour: the hosts with
    most, then all others together.
    """
    cells: dict[str, Counter[int]] = {}
    ends = (
        search_index.place_of(start_us),
        search_index.place_of(start_us + HEAT_HOURS * HOUR_US),
        HEATED,
    )
    for host, place in connection.execute(_HEAT, ends):
        cells.setdefault(host, Counter())[
            ((place >> search_index.PLACE_BITS) - start_us) // HOUR_US
        ] += 1
    ordered = sorted(cells, key=lambda host: (-cells[host].total(), host))
    rows = [HeatRow(host, _hours(cells[host])) for host in ordered[:HEAT_HOSTS]]
    others = sum((cells[host] for host in ordered[HEAT_HOSTS:]), Counter[int]())
    return [*rows, HeatRow(None, _hours(others))] if others else rows


def signature_hits(
    connection: Connection, signature: str, since_us: int, until_us: int
) -> list[Bucket]:
    """The matches of a signature by the hour (older ones by the day: see `keeping`): hours that
    touch the time and have any.
    """
    rows = connection.execute(_SIGNATURE, (signature, since_us - HOUR_US, until_us))
    return [Bucket(row["hour_us"], row["hour_us"] + HOUR_US, row["matches"]) for row in rows]


def _hours(counted: Counter[int]) -> tuple[int, ...]:
    return tuple(counted[hour] for hour in range(HEAT_HOURS))
