"""Lists incidents from the search index: pages and surveys of a filter.

A survey is a count, facets and a histogram.

In: a connection, a filter. Out: frozen rows. Every question first asks an index for places, the
newest first, then for what stands there. A survey looks at the newest so many, and its answer says
so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from sqlite3 import Connection
from typing import Any

from detector.clock import DAY_US
from detector.render.units import Bucket
from detector.store.query import search_index
from detector.store.query.filters import Filter, FilterError, is_pattern, release_range
from detector.store.query.results import (
    Counted,
    Facet,
    IncidentRow,
    Page,
    Survey,
    incident_row,
    read_place,
    spell_place,
)

# The newest incidents of a filter that a survey looks at.
SURVEYED = 4_000
# A pattern of hosts that means more is compared row by row; with words or evidence to look up
# beside it, which leave fewer rows, sooner.
_HOSTS = 2_000
_HOSTS_BESIDE = 200
# A range of kernels that means more is compared row by row: each place is looked for in the list of
# every alternative.
_KERNELS = 40
# More problems than the search index takes in one expression are compared row by row as well.
_PROBLEMS = 400
_END = (1 << 63) - 1
# The newest incidents of many hosts that are looked at for a host.
_SPREADS = 500
_SPREAD_ON = """
SELECT i.place FROM spread_hosts s INDEXED BY spread_hosts_host
  JOIN incidents i ON i.id = s.incident_id
WHERE s.host IN (SELECT value FROM json_each(?)) AND i.place IS NOT NULL LIMIT ?
"""
_SPREAD_LIKE = """
SELECT i.place FROM (SELECT incident_id FROM spreads INDEXED BY spreads_last
  WHERE last_us > 0 ORDER BY last_us DESC LIMIT ?) n JOIN incidents i ON i.id = n.incident_id
WHERE i.place IS NOT NULL AND EXISTS (
  SELECT 1 FROM spread_hosts s WHERE s.incident_id = n.incident_id AND s.host GLOB ?)
"""

# The anchor's report says what crashed; without a title of its own an incident is called by its
# anchor's text.
INCIDENT = """
SELECT i.*, coalesce(i.title, m.text) AS headline, m.kernel_time_us,
  (SELECT count(DISTINCT match_id) FROM evidence
   WHERE incident_id IN (SELECT i.id UNION SELECT id FROM incidents
     WHERE joined_into = i.id)) AS matches
FROM incidents i JOIN matches m ON m.id = i.anchor_id
"""
_ROWS = f"{INCIDENT} WHERE i.place IN (SELECT value FROM json_each(?)) ORDER BY i.place DESC"  # noqa: S608
_OLDEST = (
    "SELECT place FROM incidents INDEXED BY incidents_place WHERE place IS NOT NULL ORDER BY "
    "place LIMIT 1"
)
_DAYS = (
    "SELECT day_us, sum(incidents) AS count FROM incident_days WHERE day_us >= ? AND day_us < "
    "? {severities} GROUP BY day_us"
)


@dataclass(slots=True)
class FilterSql:
    """A filter as SQL: an expression of the search index, conditions beside it, parameters.

    The expression is None where every incident fits. `hosts` says that hosts are few and named:
    their index leads then, and every fact is compared row by row.
    """

    expression: str | None
    conditions: list[str]
    parameters: dict[str, Any]
    hosts: bool = False

    def sql(self) -> str:
        """The query for the places of the newest incidents. Facts beside the expression are
        compared in an index that has them all.
        """
        beside = "CROSS JOIN incidents i INDEXED BY incidents_place ON i.place"
        if self.expression is not None:
            tables, place = "incident_words", "incident_words.rowid"
            tables += f" {beside} = {place}" if self.conditions else ""
        elif self.hosts:
            tables, place = "incidents h INDEXED BY incidents_host", "h.place"
            tables += (
                f" {beside} = {place}"
                if any("i." in condition for condition in self.conditions)
                else ""
            )
        else:
            tables, place = "incidents i INDEXED BY incidents_place", "i.place"
        words = ["incident_words MATCH :expression"] if self.expression is not None else []
        where = " AND ".join((*words, f"{place} >= :from", f"{place} < :to", *self.conditions))
        return f"SELECT {place} FROM {tables} WHERE {where} ORDER BY {place} DESC LIMIT :limit"  # noqa: S608


def conditions_of(connection: Connection, criteria: Filter) -> FilterSql:
    """A filter as SQL over this history: patterns of hosts, ranges of kernels and words with *
    become the names that there are.

    `FilterError` for a word that stands for too many.
    """
    conditions: list[str] = []
    parameters: dict[str, Any] = {
        "from": 0 if criteria.since_us is None else search_index.place_of(criteria.since_us),
        "to": _END if criteria.until_us is None else search_index.place_of(criteria.until_us),
    }
    facts: dict[str, Sequence[str]] = {
        name: getattr(criteria, name)
        for name in search_index.COLUMNS
        if name not in {"host", "kernel"}
    }
    evidence = {"class": criteria.cls, "signature": criteria.signature}
    hosts, kernels = _hosts(connection, criteria), _kernels(connection, criteria)
    if kernels is not None:
        facts["kernel"] = kernels
        conditions += [] if kernels else ["FALSE"]
    elif criteria.kernel:
        conditions.append(_between(criteria.kernel, parameters))
    parts = [search_index.any_fact(name, values) for name, values in evidence.items() if values]
    parts += [search_index.any_text(connection, criteria.text)] if criteria.text else []
    leading = hosts is not None and not parts
    for name, values in facts.items():
        if values and (leading or (name == "problem" and len(values) > _PROBLEMS)):
            _among(conditions, parameters, f"i.{search_index.COLUMNS[name]}", values)
        elif values:
            parts.append(search_index.any_fact(name, values))
    if hosts is not None:
        _among(conditions, parameters, "h.host" if leading else "i.host", hosts)
    elif criteria.host:
        conditions.append(_alike(criteria.host, parameters))
    if parts:
        parameters["expression"] = " AND ".join(parts)
    return FilterSql(parameters.get("expression"), conditions, parameters, leading)


def page(
    connection: Connection, criteria: Filter, after: str | None, limit: int
) -> Page[IncidentRow]:
    """The incidents of a filter, newest first, from `after` on."""
    return _page(connection, places(connection, criteria, limit + 1, after), limit)


def _page(connection: Connection, places_met: Sequence[int], limit: int) -> Page[IncidentRow]:
    """The first so many of some places; there are more where there is one more."""
    more = limit and len(places_met) > limit
    return Page(
        rows_at(connection, places_met[:limit]),
        spell_place(places_met[limit - 1]) if more else None,
    )


def places(
    connection: Connection, criteria: Filter, limit: int, after: str | None = None
) -> list[int]:
    """The places of the newest incidents of a filter, from `after` on.

    A filter of hosts also finds incidents of many hosts, by each of them.
    """
    queries = [conditions_of(connection, criteria)]
    if criteria.host and (spread := _spread_places(connection, criteria.host)):
        beside = conditions_of(connection, replace(criteria, host=()))
        beside.conditions.append("i.place IN (SELECT value FROM json_each(:spread))")
        beside.parameters["spread"] = str(spread)
        queries.append(beside)
    before = _END if after is None else read_place(after, int)[0]
    newest: set[int] = set()
    for query in queries:
        parameters = query.parameters | {"limit": limit}
        parameters["to"] = min(parameters["to"], before)
        newest.update(row[0] for row in connection.execute(query.sql(), parameters))
    return sorted(newest, reverse=True)[:limit]


def _spread_places(connection: Connection, hosts: Sequence[str]) -> list[int]:
    """The places of the newest incidents of many hosts, of which one is asked for."""
    named = json.dumps([host for host in hosts if not is_pattern(host)])
    newest = {row[0] for row in connection.execute(_SPREAD_ON, (named, _SPREADS))}
    for pattern in filter(is_pattern, hosts):
        newest.update(row[0] for row in connection.execute(_SPREAD_LIKE, (_SPREADS, pattern)))
    return sorted(newest, reverse=True)[:_SPREADS]


def values_at(
    connection: Connection, places_met: Sequence[int], columns: Sequence[str]
) -> Iterator[Sequence[Any]]:
    """Some columns of the incidents at some places."""
    query = (
        f"SELECT {', '.join(columns)} FROM incidents INDEXED BY incidents_place WHERE place IN "  # noqa: S608
        "(SELECT value FROM json_each(?))"
    )
    return connection.execute(query, (str(list(places_met)),))


def rows_at(connection: Connection, places: Sequence[int]) -> list[IncidentRow]:
    """The incidents at some places, newest first."""
    return [incident_row(row) for row in connection.execute(_ROWS, (str(list(places)),))]


def survey(
    connection: Connection,
    criteria: Filter,
    names: Sequence[str],
    values: int,
    buckets: int,
    now_us: int | None,
    rows: int,
) -> Survey:
    """Counts the incidents of a filter, by the values of some fields and over time.

    Of each field the most frequent values are counted; the first page has `rows` rows.

    Only the newest `SURVEYED` incidents are looked at, with one exception: asked for by nothing but
    time and severity, all are charted, in whole days. The chart has at most `buckets` equal parts.
    It begins at `since`, else with the first incident that is counted, and ends at `until`, else
    `now_us`, else with the last.
    """
    for name in names:
        if name not in search_index.COLUMNS:
            raise FilterError(
                name, f"there are no counts of it: there are of {', '.join(search_index.COLUMNS)}"
            )
    places_met = places(connection, criteria, SURVEYED + 1)
    more = len(places_met) > SURVEYED
    del places_met[SURVEYED:]
    return Survey(
        counted=Counted(len(places_met), more),
        facets=_facets(connection, places_met, names, values),
        histogram=_histogram(connection, criteria, places_met, more, buckets, now_us),
        first=_page(connection, places_met, rows),
    )


def _facets(
    connection: Connection, places_met: Sequence[int], names: Sequence[str], values: int
) -> dict[str, list[Facet]]:
    """For each field the most frequent values at some places."""
    if not names:
        return {}
    columns = (
        zip(
            *values_at(connection, places_met, [search_index.COLUMNS[name] for name in names]),
            strict=True,
        )
        if places_met
        else [()] * len(names)
    )
    return {
        name: _most(Counter(column), values) for name, column in zip(names, columns, strict=True)
    }


def _histogram(
    connection: Connection,
    criteria: Filter,
    places_met: Sequence[int],
    more: bool,
    buckets: int,
    now_us: int | None,
) -> list[Bucket]:
    """The incidents at some places over time; `more` where there are older ones."""
    if not places_met:
        return []
    times = [place >> search_index.PLACE_BITS for place in places_met]
    end = criteria.until_us or max(times[0] + 1, now_us or 0)
    if more and set(_given(criteria)) <= {"since_us", "until_us", "severity"}:
        return _by_days(connection, criteria, end, buckets)
    start = times[-1] if more or criteria.since_us is None else criteria.since_us
    return _parts(start, end, times, buckets)


def _by_days(connection: Connection, criteria: Filter, end: int, buckets: int) -> list[Bucket]:
    """All incidents of a time, in parts of whole days."""
    start = criteria.since_us
    if start is None:
        start = connection.execute(_OLDEST).fetchone()[0] >> search_index.PLACE_BITS
    first, days = start // DAY_US, -(-end // DAY_US)
    width = max(1, -(-(days - first) // buckets))
    severities = (
        f"AND severity IN ({', '.join('?' * len(criteria.severity))})" if criteria.severity else ""
    )
    rows = connection.execute(
        _DAYS.format(severities=severities), (first * DAY_US, days * DAY_US, *criteria.severity)
    )
    counted: Counter[int] = Counter()
    for day_us, number in rows:
        counted[(day_us // DAY_US - first) // width] += number
    parts = -(-(days - first) // width)
    return [
        Bucket((first + at * width) * DAY_US, (first + (at + 1) * width) * DAY_US, counted[at])
        for at in range(parts)
    ]


def _parts(start: int, end: int, times: Sequence[int], buckets: int) -> list[Bucket]:
    width = max(1, -(-(end - start) // buckets))
    sums = Counter((time - start) // width for time in times)
    return [
        Bucket(start + at * width, start + (at + 1) * width, sums[at])
        for at in range(max(1, -(-(end - start) // width)))
    ]


def _given(criteria: Filter) -> Iterator[str]:
    return (name for name in Filter.__slots__ if getattr(criteria, name) not in ((), None))


def _hosts(connection: Connection, criteria: Filter) -> list[str] | None:
    """The hosts that are asked for by name or pattern; None where all are, or they are too many to
    name.
    """
    if not criteria.host:
        return None
    most = _HOSTS_BESIDE if criteria.text or criteria.cls or criteria.signature else _HOSTS
    like = "SELECT name FROM hosts WHERE name GLOB ? LIMIT ?"
    rows = (
        row
        for host in criteria.host
        for row in (connection.execute(like, (host, most + 1)) if is_pattern(host) else [(host,)])
    )
    return _some(rows, most)


def _kernels(connection: Connection, criteria: Filter) -> list[str] | None:
    """The releases that are asked for by name or range; None where all are, or they are too many to
    name.
    """
    if not criteria.kernel:
        return None
    between = "SELECT kernel FROM kernels WHERE release BETWEEN ? AND ? LIMIT ?"
    places_met: list[Any] = []
    for kernel in criteria.kernel:
        ends = release_range(kernel)
        places_met += connection.execute(between, (*ends, _KERNELS + 1)) if ends else [(kernel,)]
    return _some(iter(places_met), _KERNELS)


def _some(rows: Iterator[Any], most: int) -> list[str] | None:
    names = list(dict.fromkeys(row[0] for row in rows))
    return names if len(names) <= most else None


def _among(
    conditions: list[str], parameters: dict[str, Any], column: str, values: Sequence[str]
) -> None:
    name = column[2:]
    parameters[f"any_{name}"] = json.dumps(list(values))
    conditions.append(f"{column} IN (SELECT value FROM json_each(:any_{name}))")  # noqa: S608


def _alike(hosts: Sequence[str], parameters: dict[str, Any]) -> str:
    """The condition for hosts that are too many to name."""
    parameters |= {f"host{number}": host for number, host in enumerate(hosts)}
    return f"({' OR '.join(f'i.host GLOB :host{number}' for number in range(len(hosts)))})"


def _between(kernels: Sequence[str], parameters: dict[str, Any]) -> str:
    """The condition for releases that are too many to name."""
    either: list[str] = []
    for number, kernel in enumerate(kernels):
        if ends := release_range(kernel):
            parameters[f"least{number}"], parameters[f"greatest{number}"] = ends
            either.append(f"i.release BETWEEN :least{number} AND :greatest{number}")
        else:
            parameters[f"kernel{number}"] = kernel
            either.append(f"i.kernel = :kernel{number}")
    return f"({' OR '.join(either)})"


def _most(counter: Counter[str | None], limit: int) -> list[Facet]:
    counted = [(value, number) for value, number in counter.items() if value is not None]
    return [
        Facet(value, number)
        for value, number in sorted(counted, key=lambda item: (-item[1], item[0]))[:limit]
    ]
