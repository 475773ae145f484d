"""Problems and hosts: lists and details, from the sums that are kept of them.

In: a connection, a filter or a name. Out: frozen rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

from detector.clock import DAY_US
from detector.render.units import Bucket
from detector.store.query import faults
from detector.store.query import incidents as incident_queries
from detector.store.query.advice import advice_of
from detector.store.query.filters import Filter, as_known
from detector.store.query.noise import EVERYTHING, noise
from detector.store.query.results import (
    Attribution,
    BootRow,
    HostDetail,
    HostRow,
    Page,
    ProblemDetail,
    ProblemRow,
    ProblemShare,
    named,
    read_place,
    spell_place,
)
from detector.store.query.survey import SURVEYED

# What a detail shows of each.
SHOWN = 20
SHOWN_DAYS = 92
_PROBLEMS = (
    "SELECT * FROM problems p WHERE {where} ORDER BY last_us DESC, fingerprint DESC LIMIT :limit"
)
_SHARES = (
    "SELECT {name} AS name, incidents, reports, first_us, last_us FROM {table} WHERE fingerprint "
    "= ? "
    "ORDER BY max(incidents, reports) DESC, {name} LIMIT ?"
)
_DAYS = """
SELECT day_us, max(incidents, reports) AS count FROM problem_days
WHERE fingerprint = ? AND day_us > ? ORDER BY day_us
"""
# Of the newest incidents of a problem.
_ATTRIBUTED = """
SELECT known_issue, confidence, count(*) AS incidents FROM (
  SELECT known_issue, diagnosis ->> '$.known_issue_confidence' AS confidence
    FROM incidents INDEXED BY incidents_problem
  WHERE fingerprint = ? AND joined_into IS NULL ORDER BY coalesce(started_us, found_us) DESC LIMIT
    ?)
WHERE known_issue IS NOT NULL AND confidence IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
"""
ATTRIBUTED = 1_000
_HOST = """
SELECT h.*, (SELECT kernel FROM boots b WHERE b.host = h.name AND kernel IS NOT NULL
  ORDER BY id DESC LIMIT 1) AS kernel,
  (SELECT count(*) FROM incidents i WHERE i.host = h.name AND place IS NOT NULL) AS incidents,
  (SELECT max(place) >> 11 FROM incidents i WHERE i.host = h.name) AS last_incident_us
FROM hosts h
"""
# Fields that a problem has itself: as its latest incident has them.
_OWN = {
    "problem": "fingerprint",
    "severity": "severity",
    "function": "function",
    "module": "module",
    "known_issue": "known_issue",
}
_OF_FAULTS = {
    *("host", "kernel", "cls", "signature", "problem", "function", "module", "since_us", "until_us")
}
# A problem is open until somebody resolves it: what is acknowledged is an incident.
_STATES = {"open": "open", "acknowledged": "open", "resolved": "resolved"}


def problems(
    connection: Connection, criteria: Filter, after: str | None, limit: int
) -> Page[ProblemRow]:
    """Problems, the one that happened last first.

    Host, kernel, class and signature are looked for in the newest `faults.LOOKED_ALIKE` faults that
    have them; rule and text, which only incidents have, in the newest `SURVEYED`
    incidents.
    """
    conditions, parameters = ["TRUE"], dict[str, Any](limit=limit + 1)
    for name, column in _OWN.items():
        _any(conditions, parameters, f"p.{column}", getattr(criteria, name))
    _any(conditions, parameters, "p.state", sorted({_STATES[state] for state in criteria.state}))
    _times(conditions, parameters, criteria)
    if sets := _matching(connection, criteria):
        parameters["found"] = json.dumps(sorted(set.intersection(*sets)))
        conditions.append("p.fingerprint IN (SELECT value FROM json_each(:found))")
    if after is not None:
        parameters["last"], parameters["fingerprint"] = read_place(after, int, str)
        conditions.append("(p.last_us, p.fingerprint) < (:last, :fingerprint)")
    rows = connection.execute(
        _PROBLEMS.format(where=" AND ".join(conditions)), parameters
    ).fetchall()
    listed = [ProblemRow(**named(ProblemRow, row)) for row in rows]
    more = len(listed) > limit
    return Page(
        listed[:limit],
        spell_place(listed[limit - 1].last_us, listed[limit - 1].fingerprint) if more else None,
    )


def problem(connection: Connection, fingerprint: str) -> ProblemDetail | None:
    """One problem with what it is made of."""
    row = connection.execute(
        "SELECT * FROM problems WHERE fingerprint = ?", (fingerprint,)
    ).fetchone()
    if row is None:
        return None
    days = problem_days(connection, fingerprint, 0)
    return ProblemDetail(
        row=ProblemRow(**named(ProblemRow, row)),
        hosts=_shares(connection, "problem_hosts", "host", fingerprint),
        kernels=_shares(connection, "problem_kernels", "kernel", fingerprint),
        days=days[-SHOWN_DAYS:],
        days_total=len(days),
        incidents=incident_queries.page(
            connection, Filter(problem=(fingerprint,)), None, SHOWN
        ).rows,
        hardware=_shares(connection, "problem_hardware", "hardware", fingerprint),
        attributed=[
            Attribution(**dict(item))
            for item in connection.execute(_ATTRIBUTED, (fingerprint, ATTRIBUTED))
        ],
        advice=advice_of(connection, fingerprint),
    )


def problem_days(connection: Connection, fingerprint: str, since_us: int) -> list[Bucket]:
    """The days of a problem that had any report, from the day of a time on."""
    rows = connection.execute(_DAYS, (fingerprint, since_us - DAY_US))
    return [Bucket(row["day_us"], row["day_us"] + DAY_US, row["count"]) for row in rows]


def hosts(connection: Connection, criteria: Filter, after: str | None, limit: int) -> Page[HostRow]:
    """Hosts by name; `since` and `until` ask for hosts of which lines in that time are stored,
    the rest for hosts of such incidents.

    Those are looked for in the newest `SURVEYED` incidents of the filter.
    """
    conditions, parameters = ["TRUE"], dict[str, Any](limit=limit + 1)
    if set(_given(criteria)) - {"host", "since_us", "until_us"}:
        sets = _values(connection, criteria, "host")
        parameters["found"] = json.dumps(sets)
        conditions.append("h.name IN (SELECT value FROM json_each(:found))")
    elif criteria.host:
        parameters |= {f"host{number}": host for number, host in enumerate(criteria.host)}
        conditions.append(
            "("
            + " OR ".join(f"h.name GLOB :host{number}" for number in range(len(criteria.host)))
            + ")"
        )
    if criteria.since_us is not None:
        conditions.append("h.last_seen_us >= :since")
        parameters["since"] = criteria.since_us
    if criteria.until_us is not None:
        conditions.append("h.first_seen_us < :until")
        parameters["until"] = criteria.until_us
    if after is not None:
        parameters["after"] = read_place(after, str)[0]
        conditions.append("h.name > :after")
    rows = connection.execute(
        f"{_HOST} WHERE {' AND '.join(conditions)} ORDER BY h.name LIMIT :limit", parameters
    ).fetchall()
    found_rows = [HostRow(**named(HostRow, row)) for row in rows]
    more = len(found_rows) > limit
    return Page(found_rows[:limit], spell_place(found_rows[limit - 1].name) if more else None)


def host(connection: Connection, name: str) -> HostDetail | None:
    """One host, by its whole name in any case of letters."""
    name = as_known(connection, name)
    row = connection.execute(f"{_HOST} WHERE h.name = ?", (name,)).fetchone()
    if row is None:
        return None
    boots = connection.execute(
        "SELECT * FROM boots WHERE host = ? ORDER BY id DESC LIMIT ?", (name, SHOWN)
    ).fetchall()
    # The name itself may hold the signs of a pattern.
    escaped = "".join(f"[{item}]" if item in "*?[" else item for item in name)
    return HostDetail(
        row=HostRow(**named(HostRow, row)),
        boots=[BootRow(**named(BootRow, boot)) for boot in boots],
        incidents=incident_queries.page(connection, Filter(host=(escaped,)), None, SHOWN).rows,
        noise=noise(connection, EVERYTHING, escaped, None, None, None, SHOWN, quick=False).rows,
    )


def _shares(connection: Connection, table: str, name: str, fingerprint: str) -> list[ProblemShare]:
    return [
        ProblemShare(**named(ProblemShare, row))
        for row in connection.execute(_SHARES.format(table=table, name=name), (fingerprint, SHOWN))
    ]


def _any(
    conditions: list[str], parameters: dict[str, Any], column: str, values: Sequence[str]
) -> None:
    if values:
        name = column.rpartition(".")[2]
        parameters[f"any_{name}"] = json.dumps(list(values))
        conditions.append(f"{column} IN (SELECT value FROM json_each(:any_{name}))")  # noqa: S608


def _times(conditions: list[str], parameters: dict[str, Any], criteria: Filter) -> None:
    if criteria.since_us is not None:
        conditions.append("p.last_us >= :since")
        parameters["since"] = criteria.since_us
    if criteria.until_us is not None:
        conditions.append("p.first_us < :until")
        parameters["until"] = criteria.until_us


def _given(criteria: Filter) -> list[str]:
    return [name for name in Filter.__slots__ if getattr(criteria, name) not in ((), None)]


def _matching(connection: Connection, criteria: Filter) -> list[set[str]]:
    """The problems that have what only their faults, and what only their incidents tell."""
    sets = []
    if criteria.host or criteria.kernel or criteria.cls or criteria.signature:
        facts = Filter(
            **{name: getattr(criteria, name) for name in _given(criteria) if name in _OF_FAULTS}
        )
        sets.append(set(faults.fingerprints(connection, facts)))
    if criteria.rule or criteria.text:
        facts = Filter(
            **{
                name: getattr(criteria, name)
                for name in _given(criteria)
                if name not in {"state", "severity"}
            }
        )
        sets.append(set(_values(connection, facts, "fingerprint")))
    return sets


def _values(connection: Connection, criteria: Filter, column: str) -> list[str]:
    """The values of a column among the newest incidents of a filter."""
    sets = incident_queries.places(connection, criteria, SURVEYED)
    return sorted(
        {
            row[0]
            for row in incident_queries.values_at(connection, sets, [column])
            if row[0] is not None
        }
    )
