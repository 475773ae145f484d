"""Lists the incidents of a filter from the search index, page by page.

In: a connection, a filter. Out: frozen rows. Every question first asks an index for places, the
newest first, then for what stands there. Where facts are compared row by row beside words, a page
looks at a bounded number of rows, and its `next` goes on behind them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from sqlite3 import Connection
from typing import Any

from detector.store.query import search_index
from detector.store.query.filters import Filter, is_pattern, release_range
from detector.store.query.results import (
    IncidentRow,
    Page,
    incident_row,
    read_place,
    spell_place,
)

# The newest incidents with the words of a filter that are compared row by row with the rest of it.
COMPARED = 20_000
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

_WORDS = """
SELECT rowid AS place FROM incident_words WHERE incident_words MATCH :expression
  AND rowid >= :from AND rowid < :to ORDER BY rowid DESC
"""
_FLOOR = f"{_WORDS} LIMIT 1 OFFSET :beyond"


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

    @property
    def is_compared(self) -> bool:
        """Returns whether facts are compared beside the expression."""
        return self.expression is not None and bool(self.conditions)

    def sql(self) -> str:
        """The query for the places of the newest incidents. Facts beside the expression are
        compared in an index that has them all.
        """
        beside = "CROSS JOIN incidents i INDEXED BY incidents_place ON i.place"
        if self.is_compared:
            tables, place = f"({_WORDS} LIMIT :compared) w {beside} = w.place", "w.place"
        elif self.expression is not None:
            tables, place = "incident_words", "incident_words.rowid"
        elif self.hosts:
            tables, place = "incidents h INDEXED BY incidents_host", "h.place"
            tables += (
                f" {beside} = {place}"
                if any("i." in condition for condition in self.conditions)
                else ""
            )
        else:
            tables, place = "incidents i INDEXED BY incidents_place", "i.place"
        matched = self.expression is not None and not self.is_compared
        words = ["incident_words MATCH :expression"] if matched else []
        where = " AND ".join((*words, f"{place} >= :from", f"{place} < :to", *self.conditions))
        return f"SELECT {place} FROM {tables} WHERE {where} ORDER BY {place} DESC LIMIT :limit"  # noqa: S608


@dataclass(frozen=True, slots=True)
class PlacesFound:
    """The newest places of a filter; the place down to which was looked, where older ones were
    not.
    """

    places: list[int]
    floor: int | None


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
    return page_at(connection, newest(connection, criteria, limit + 1, after), limit)


def page_at(connection: Connection, met: PlacesFound, limit: int) -> Page[IncidentRow]:
    """The first so many of some places, and where the next page begins.

    There is one where there is one place more, or where older ones were not looked at.
    """
    following = met.floor
    if len(met.places) > limit:
        following = met.places[limit - 1] if limit else None
    rows = rows_at(connection, met.places[:limit])
    return Page(rows, None if following is None else spell_place(following))


def places(
    connection: Connection, criteria: Filter, limit: int, after: str | None = None
) -> list[int]:
    """The places of the newest incidents of a filter, from `after` on."""
    return newest(connection, criteria, limit, after).places


def newest(
    connection: Connection, criteria: Filter, limit: int, after: str | None = None
) -> PlacesFound:
    """The places of the newest incidents of a filter, and how far was looked.

    A filter of hosts also finds incidents of many hosts, by each of them.
    """
    queries = [conditions_of(connection, criteria)]
    if criteria.host and (spread := _spread_places(connection, criteria.host)):
        beside = conditions_of(connection, replace(criteria, host=()))
        beside.conditions.append("i.place IN (SELECT value FROM json_each(:spread))")
        beside.parameters["spread"] = str(spread)
        queries.append(beside)
    before = _END if after is None else read_place(after, int)[0]
    met: set[int] = set()
    floor: int | None = None
    for query in queries:
        parameters = query.parameters | {"limit": limit, "compared": COMPARED}
        parameters["to"] = min(parameters["to"], before)
        rows = [row[0] for row in connection.execute(query.sql(), parameters)]
        met.update(rows)
        if query.is_compared and len(rows) < limit:
            row = connection.execute(_FLOOR, parameters | {"beyond": COMPARED - 1}).fetchone()
            floor = floor if row is None else max(floor or 0, row[0])
    # What one of the queries did not reach comes with the next page.
    ordered = sorted((place for place in met if place >= (floor or 0)), reverse=True)
    return PlacesFound(ordered[:limit], floor)


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
