"""Lists of incidents: pages, counts, facets and histograms of a filter, from the search index.

In: a connection, a filter. Out: frozen rows. What would have to look at everything looks at the newest so many, and its answer says so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from detector.store import search
from detector.store.answers import Bucket, Counted, Facet, IncidentRow, Page, incident_row, read_place, spell_place
from detector.store.filters import Filter, FilterError, is_pattern, release_range

# The newest incidents that facets and histograms look at, and how far is counted.
FACETED = 5_000
CHARTED = 20_000
COUNTED = 10_000
# A pattern of hosts or a range of kernels that means more is compared row by row; with words or evidence to look up beside it, which
# leave fewer rows, sooner.
_ALTERNATIVES = 2_000
_ALTERNATIVES_BESIDE = 200
_DAY_US = 86_400_000_000
_END = (1 << 63) - 1

# The anchor's report says what crashed; without a title of its own an incident is called by its anchor's text.
INCIDENT = """
SELECT i.*, coalesce(i.title, m.text) AS headline, m.kernel_time_us,
  (SELECT count(DISTINCT match_id) FROM evidence
   WHERE incident_id IN (SELECT i.id UNION SELECT id FROM incidents WHERE joined_into = i.id)) AS matches
FROM incidents i JOIN matches m ON m.id = i.anchor_id
"""
_ROWS = f"{INCIDENT} WHERE i.place IN (SELECT value FROM json_each(?)) ORDER BY i.place DESC"  # noqa: S608 (constants)
_OLDEST = "SELECT place FROM incidents INDEXED BY incidents_place WHERE place IS NOT NULL ORDER BY place LIMIT 1"
_DAYS = "SELECT day_us, sum(incidents) AS count FROM incident_days WHERE day_us >= ? AND day_us < ? {severities} GROUP BY day_us"


@dataclass(slots=True)
class Asked:
    """A filter as SQL: an expression of the search index (None: every incident), conditions beside it, and their parameters.

    `hosts` says that hosts are few and named: their index leads then, and every fact is compared row by row.
    """

    expression: str | None
    conditions: list[str]
    parameters: dict[str, Any]
    hosts: bool = False

    def sql(self, columns: str, limit: int, *, facts: bool = False) -> str:
        """The query for some columns of the newest incidents; `facts` where they are more than their places."""
        place = "i.place" if self.expression is None else "incident_words.rowid"
        tables = f"incidents i INDEXED BY {'incidents_host' if self.hosts else 'incidents_place'}"
        where = [f"{place} >= :from", f"{place} < :to", *self.conditions]
        if self.expression is not None:
            tables = "incident_words"
            if facts or self.conditions:
                tables += " CROSS JOIN incidents i INDEXED BY incidents_place ON i.place = incident_words.rowid"
            where.insert(0, "incident_words MATCH :expression")
        chosen = columns.replace("PLACE", place)
        return f"SELECT {chosen} FROM {tables} WHERE {' AND '.join(where)} ORDER BY {place} DESC LIMIT {limit}"  # noqa: S608 (constants)


def asked(connection: Connection, wanted: Filter) -> Asked:
    """A filter as SQL over this history: patterns of hosts and ranges of kernels become the names that there are."""
    conditions: list[str] = []
    parameters: dict[str, Any] = {
        "from": 0 if wanted.since_us is None else search.place_of(wanted.since_us),
        "to": _END if wanted.until_us is None else search.place_of(wanted.until_us),
    }
    facts: dict[str, Sequence[str]] = {name: getattr(wanted, name) for name in search.COLUMNS if name not in {"host", "kernel"}}
    evidence = {"class": wanted.cls, "signature": wanted.signature}
    hosts, kernels = _hosts(connection, wanted), _kernels(connection, wanted)
    if hosts is not None:
        _among(conditions, parameters, "host", hosts)
    elif wanted.host:
        conditions.append(_alike(wanted.host, parameters))
    if kernels is not None:
        facts["kernel"] = kernels
        conditions += [] if kernels else ["FALSE"]
    elif wanted.kernel:
        conditions.append(_between(wanted.kernel, parameters))
    parts = [search.any_fact(name, values) for name, values in evidence.items() if values]
    parts += [search.any_text(wanted.text)] if wanted.text else []
    leading = hosts is not None and not parts
    for name, values in facts.items():
        if values and leading:
            _among(conditions, parameters, search.COLUMNS[name], values)
        elif values:
            parts.append(search.any_fact(name, values))
    if parts:
        parameters["expression"] = " AND ".join(parts)
    return Asked(parameters.get("expression"), conditions, parameters, leading)


def page(connection: Connection, wanted: Filter, after: str | None, limit: int) -> Page[IncidentRow]:
    """The incidents of a filter, newest first, from `after` on."""
    query = asked(connection, wanted)
    if after is not None:
        query.parameters["to"] = min(query.parameters["to"], read_place(after, int)[0])
    places = [row[0] for row in connection.execute(query.sql("PLACE", limit + 1), query.parameters)]
    more = len(places) > limit
    return Page(rows_at(connection, places[:limit]), spell_place(places[limit - 1]) if more else None)


def rows_at(connection: Connection, places: Sequence[int]) -> list[IncidentRow]:
    """The incidents at some places, newest first."""
    return [incident_row(row) for row in connection.execute(_ROWS, (str(list(places)),))]


def count(connection: Connection, wanted: Filter) -> Counted:
    """How many incidents a filter has, counted to `COUNTED`."""
    query = asked(connection, wanted)
    inner = query.sql("PLACE", COUNTED + 1)
    found = int(connection.execute(f"SELECT count(*) FROM ({inner})", query.parameters).fetchone()[0])  # noqa: S608 (constants)
    return Counted(min(found, COUNTED), found > COUNTED)


def facets(connection: Connection, wanted: Filter, names: Sequence[str], limit: int) -> dict[str, list[Facet]]:
    """For each field the most frequent values among the newest `FACETED` incidents of a filter."""
    for name in names:
        if name not in search.COLUMNS:
            raise FilterError(name, f"there are no counts of it: there are of {', '.join(search.COLUMNS)}")
    query = asked(connection, wanted)
    columns = ", ".join(f"i.{search.COLUMNS[name]}" for name in names) or "1"
    counters: list[Counter[str]] = [Counter() for _ in names]
    for row in connection.execute(query.sql(columns, FACETED, facts=True), query.parameters):
        for counter, value in zip(counters, row, strict=True) if names else ():
            if value is not None:
                counter[value] += 1
    return {name: _most(counter, limit) for name, counter in zip(names, counters, strict=True)}


def histogram(connection: Connection, wanted: Filter, buckets: int, now_us: int | None) -> list[Bucket]:
    """The incidents of a filter over time, in at most `buckets` equal parts.

    From `since`, else the first incident that is counted; to `until`, else `now_us`, else the last. Of more than `CHARTED` incidents the
    newest are counted, and the first part begins with them; asked for by nothing but time and severity all are, in whole days.
    """
    query = asked(connection, wanted)
    places = [row[0] for row in connection.execute(query.sql("PLACE", CHARTED + 1), query.parameters)]
    if not places:
        return []
    times = [place >> search.PLACE_BITS for place in places]
    end = wanted.until_us or max(times[0] + 1, now_us or 0)
    if len(times) > CHARTED:
        if set(_given(wanted)) <= {"since_us", "until_us", "severity"}:
            return _by_days(connection, wanted, end, buckets)
        return _parts(times[-1], end, [(time, 1) for time in times], buckets)
    start = times[-1] if wanted.since_us is None else wanted.since_us
    return _parts(start, end, [(time, 1) for time in times], buckets)


def _by_days(connection: Connection, wanted: Filter, end: int, buckets: int) -> list[Bucket]:
    """All incidents of a time, in parts of whole days."""
    start = wanted.since_us
    if start is None:
        start = connection.execute(_OLDEST).fetchone()[0] >> search.PLACE_BITS
    first, days = start // _DAY_US, -(-end // _DAY_US)
    width = max(1, -(-(days - first) // buckets))
    severities = f"AND severity IN ({', '.join('?' * len(wanted.severity))})" if wanted.severity else ""
    rows = connection.execute(_DAYS.format(severities=severities), (first * _DAY_US, days * _DAY_US, *wanted.severity))
    counted: Counter[int] = Counter()
    for day_us, number in rows:
        counted[(day_us // _DAY_US - first) // width] += number
    parts = -(-(days - first) // width)
    return [Bucket((first + at * width) * _DAY_US, (first + (at + 1) * width) * _DAY_US, counted[at]) for at in range(parts)]


def _parts(start: int, end: int, counted: Sequence[tuple[int, int]], buckets: int) -> list[Bucket]:
    width = max(1, -(-(end - start) // buckets))
    sums: Counter[int] = Counter()
    for time, number in counted:
        sums[(time - start) // width] += number
    return [Bucket(start + at * width, start + (at + 1) * width, sums[at]) for at in range(max(1, -(-(end - start) // width)))]


def _given(wanted: Filter) -> Iterator[str]:
    return (name for name in Filter.__slots__ if getattr(wanted, name) not in ((), None))


def _hosts(connection: Connection, wanted: Filter) -> list[str] | None:
    """The hosts that are asked for by name or pattern; None where all are, or they are too many to name."""
    if not wanted.host:
        return None
    most = _ALTERNATIVES_BESIDE if wanted.text or wanted.cls or wanted.signature else _ALTERNATIVES
    like = "SELECT name FROM hosts WHERE name GLOB ? LIMIT ?"
    rows = (row for host in wanted.host for row in (connection.execute(like, (host, most + 1)) if is_pattern(host) else [(host,)]))
    return _some(rows, most)


def _kernels(connection: Connection, wanted: Filter) -> list[str] | None:
    """The releases that are asked for by name or range; None where all are, or they are too many to name."""
    if not wanted.kernel:
        return None
    between = "SELECT kernel FROM kernels WHERE release BETWEEN ? AND ? LIMIT ?"
    found: list[Any] = []
    for kernel in wanted.kernel:
        ends = release_range(kernel)
        found += connection.execute(between, (*ends, _ALTERNATIVES_BESIDE + 1)) if ends else [(kernel,)]
    return _some(iter(found), _ALTERNATIVES_BESIDE)


def _some(rows: Iterator[Any], most: int) -> list[str] | None:
    names = list(dict.fromkeys(row[0] for row in rows))
    return names if len(names) <= most else None


def _among(conditions: list[str], parameters: dict[str, Any], column: str, values: Sequence[str]) -> None:
    parameters[f"any_{column}"] = json.dumps(list(values))
    conditions.append(f"i.{column} IN (SELECT value FROM json_each(:any_{column}))")  # noqa: S608 (constants)


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


def _most(counter: Counter[str], limit: int) -> list[Facet]:
    return [Facet(value, number) for value, number in sorted(counter.items(), key=lambda one: (-one[1], one[0]))[:limit]]
