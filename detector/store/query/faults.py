"""Kernel faults: every kernel match of the history, in an incident or not, newest first.

A report is one fault, under its head; a line that signatures claim inside a report is none of its
own. An index of what is asked for leads; where more is asked, a page looks at a bounded number of
its rows, and its `next` goes on behind them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from detector.known.names import KnownBug
from detector.model import Block, Match
from detector.store.ingest.reports import block_of
from detector.store.query.filters import Filter, FilterError, is_pattern, release_range
from detector.store.query.results import Page, named, read_place, spell_place
from detector.store.rows import read_match, release_number

# Rows of the leading index that one page looks at, a few first: most pages need no more.
LOOKED = (500, 8_000)
# The newest faults whose problems are those of a filter.
LOOKED_ALIKE = 4_000
# What a fault can be asked for by; the rest belongs to incidents.
FIELDS = ("host", "since", "until", "class", "signature", "severity", "problem", "function",
          "module", "kernel", "known", "fixable")  # fmt: skip
_ATTRIBUTES = {"class": "cls", "since": "since_us", "until": "until_us"}
_COLUMNS = {
    "host": "host",
    "problem": "fingerprint",
    "function": "function",
    "kernel": "kernel",
    "signature": "signature",
    "module": "module",
    "severity": "severity",
    "cls": "class",
}
# Filter → index, the most telling first.
_LEADS = {
    "problem": "faults_problem",
    "function": "faults_function",
    "host": "faults_host",
    "module": "faults_module",
    "signature": "faults_signature",
    "kernel": "faults_kernel",
}
_LATEST = (1 << 62, 1 << 62)
_FAULT = """
SELECT f.id, f.host, m.wall_time_us, m.kernel_time_us, f.severity, f.signature, f.class AS cls,
  coalesce(r.title, m.text) AS title, r.kind, f.function, f.module, f.kernel, f.hardware,
    f.fingerprint, f.at_us,
  1 + coalesce((SELECT sum(count) FROM repeats WHERE match_id = f.id), 0) AS times,
  (SELECT coalesce(i.joined_into, i.id) FROM evidence e JOIN incidents i ON i.id = e.incident_id
   WHERE e.match_id = f.id ORDER BY i.joined_into IS NOT NULL LIMIT 1) AS incident
FROM {faults} f JOIN matches m ON m.id = f.id LEFT JOIN reports r ON r.match_id = f.id
"""
_PLACE = (
    "at_us <= :at AND at_us >= :floor AND (at_us, id) < (:at, :id) AND "
    "(at_us, id) >= (:floor, :floor_id)"
)
_FLOOR = """
SELECT at_us, id FROM faults INDEXED BY {index} WHERE {lead} AND at_us <= :at
  AND at_us >= :since AND (at_us, id) < (:at, :id)
ORDER BY at_us DESC, id DESC LIMIT 1 OFFSET :looked
"""
_END = (0, 0)
# More values of one field than this are no way into its index.
_LEADING = 200
# The values of a column by a step through its index for each.
_VALUES = """
WITH RECURSIVE found (value) AS (
  SELECT (SELECT {column} FROM faults INDEXED BY {index} WHERE {column} > ''
    ORDER BY {column} LIMIT 1)
  UNION ALL
  SELECT (SELECT {column} FROM faults INDEXED BY {index} WHERE {column} > found.value
    ORDER BY {column} LIMIT 1)
  FROM found WHERE found.value IS NOT NULL
) SELECT value FROM found WHERE value IS NOT NULL LIMIT 10000
"""
_CLASSES = """
SELECT class FROM faults INDEXED BY faults_signature WHERE signature = :signature
  ORDER BY at_us DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One kernel fault. `title` is its report's, else the line itself; `incident` is the live
    incident that it is evidence of. Times are µs, the kernel's since boot. `times` counts the line
    and those like it that were counted between it and the next one that is kept whole.
    """

    id: int
    host: str
    wall_time_us: int | None
    kernel_time_us: int | None
    severity: str
    signature: str
    cls: str
    title: str
    kind: str | None
    function: str | None
    module: str | None
    kernel: str | None
    hardware: str | None
    fingerprint: str | None
    incident: str | None
    times: int = 1
    known_bugs: tuple[KnownBug, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultDetail:
    """A fault with its line and the lines of its report."""

    row: FaultRow
    block: Block | None
    match: Match


@dataclass(frozen=True, slots=True)
class _Search:
    """A filter over `faults`: the field whose index leads (none: that of time), its values, all
    conditions and their parameters.
    """

    lead: str | None
    values: Sequence[str]
    conditions: str
    parameters: dict[str, Any]

    @property
    def index(self) -> str:
        """The index that leads."""
        return _LEADS[self.lead] if self.lead else "faults_time"


def page(
    connection: Connection,
    criteria: Filter,
    heads: Collection[str],
    after: str | None,
    limit: int,
) -> Page[FaultRow]:
    """Returns the faults of a filter, newest first; `heads` are the signatures that open
    reports.

    Raises FilterError for a field that faults do not have, and for what is no place of a list.
    """
    check(criteria)
    search = _search(connection, criteria)
    query = _FAULT.format(
        faults=f"(SELECT * FROM faults INDEXED BY {search.index} WHERE {_PLACE} AND "  # noqa: S608
        f"{search.conditions} "
        "AND (reported OR signature NOT IN (SELECT value FROM json_each(:heads))) "
        "ORDER BY at_us DESC, id DESC LIMIT :limit)"
    )
    at, identity = min((*read_place(after, int, int),) if after else _LATEST, _begin(criteria))
    parameters = search.parameters | {"at": at, "id": identity, "limit": limit + 1}
    parameters["heads"] = json.dumps(list(heads))
    for looked in LOOKED:
        floor = _floor(connection, search, parameters, looked)
        rows = connection.execute(
            f"{query} ORDER BY f.at_us DESC, f.id DESC", _from(parameters, floor)
        ).fetchall()
        if len(rows) > limit or floor == _END:
            break
    faults = [FaultRow(**named(FaultRow, row)) for row in rows[:limit]]
    if len(rows) > limit:
        return Page(faults, spell_place(rows[limit - 1]["at_us"], rows[limit - 1]["id"]))
    return Page(faults, None if floor == _END else spell_place(*floor))


def fault(connection: Connection, identity: int) -> FaultDetail | None:
    """Returns one fault by its number, None where there is none."""
    row = connection.execute(
        f"{_FAULT.format(faults='faults')} WHERE f.id = ?", (identity,)
    ).fetchone()
    if row is None:
        return None
    block = block_of(connection, identity)
    match = connection.execute("SELECT * FROM matches WHERE id = ?", (identity,)).fetchone()
    return FaultDetail(FaultRow(**named(FaultRow, row)), block, read_match(match))


def fingerprints(connection: Connection, criteria: Filter) -> list[str]:
    """The problems of the newest `LOOKED_ALIKE` faults of a filter."""
    search = _search(connection, criteria)
    index = search.index if search.lead else "faults_alike"
    at, identity = _begin(criteria)
    parameters = search.parameters | {"at": at, "id": identity}
    floor = _floor(connection, search, parameters, LOOKED_ALIKE, index)
    rows = connection.execute(
        f"SELECT DISTINCT fingerprint FROM faults INDEXED BY {index} WHERE {_PLACE} AND "  # noqa: S608
        f"{search.conditions} AND fingerprint IS NOT NULL",
        _from(parameters, floor),
    )
    return sorted(row["fingerprint"] for row in rows)


def check(criteria: Filter) -> None:
    """Raises FilterError for a field that faults do not have."""
    known = {_ATTRIBUTES.get(name, name) for name in FIELDS}
    for name in Filter.__slots__:
        if name not in known and getattr(criteria, name):
            raise FilterError(
                name, f"faults are not found by it: there are {', '.join(FIELDS)}; incidents are"
            )


def _search(connection: Connection, criteria: Filter) -> _Search:
    values = _values(connection, criteria)
    conditions: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    for name, column in _COLUMNS.items():
        if name in values:
            parameters[name] = json.dumps(values[name])
            conditions[name] = f"{column} IN (SELECT value FROM json_each(:{name}))"  # noqa: S608
    if patterns := [item for item in criteria.host if is_pattern(item)]:
        parameters |= {f"host{number}": host for number, host in enumerate(patterns)}
        either = [f"host GLOB :host{number}" for number in range(len(patterns))]
        parameters["hosts"] = json.dumps(criteria.host)
        either.append("host IN (SELECT value FROM json_each(:hosts))")
        del values["host"], conditions["host"]
        conditions["pattern"] = f"({' OR '.join(either)})"
    for name, sign in (("since_us", ">="), ("until_us", "<")):
        if (at := getattr(criteria, name)) is not None:
            parameters[name] = at
            conditions[name] = f"at_us {sign} :{name} AND at_us > 0"
    lead = next((item for item in _LEADS if item in values and len(values[item]) <= _LEADING), None)
    together = " AND ".join(conditions.values()) or "TRUE"
    return _Search(lead, values[lead] if lead else (), together, parameters)


def _values(connection: Connection, criteria: Filter) -> dict[str, Sequence[str]]:
    """The values asked for, by the names of the filter; a range of kernels as the releases in
    it, a class as the signatures that have it.
    """
    values: dict[str, Sequence[str]] = {
        name: getattr(criteria, name) for name in _COLUMNS if getattr(criteria, name)
    }
    if criteria.kernel and any(".." in item for item in criteria.kernel):
        all_kernels = _stored(connection, "kernel", "faults_kernel")
        values["kernel"] = tuple(
            kernel for kernel in all_kernels if in_range(criteria.kernel, kernel)
        )
    if criteria.cls and not criteria.signature:
        values["signature"] = tuple(
            item
            for item in _stored(connection, "signature", "faults_signature")
            if connection.execute(_CLASSES, {"signature": item}).fetchone()["class"] in criteria.cls
        )
    return values


def _stored(connection: Connection, column: str, index: str) -> list[str]:
    query = _VALUES.format(column=column, index=index)
    return [row["value"] for row in connection.execute(query)]


def _floor(
    connection: Connection,
    search: _Search,
    parameters: Mapping[str, Any],
    looked: int,
    index: str | None = None,
) -> tuple[int, int]:
    """The place down to which a page looks, `_END` where that is to the end: each value of the
    leading field has an equal share.
    """
    index = index or search.index
    also = "fingerprint IS NOT NULL" if index == "faults_alike" else "TRUE"
    lead = f"{_COLUMNS[search.lead]} = :value" if search.lead else also
    query = _FLOOR.format(index=index, lead=lead)
    place = {
        "at": parameters["at"],
        "id": parameters["id"],
        "since": parameters.get("since_us", 0),
        "looked": looked // max(1, len(search.values)),
    }
    floor = _END
    for value in search.values or (None,):
        row = connection.execute(query, place | {"value": value}).fetchone()
        floor = max(floor, (row["at_us"], row["id"]) if row else _END)
    return floor


def _from(parameters: Mapping[str, Any], floor: tuple[int, int]) -> dict[str, Any]:
    """The parameters with the place down to which is looked, not beyond the time asked for."""
    at, identity = max(floor, (parameters.get("since_us", 0), 0))
    return {**parameters, "floor": at, "floor_id": identity}


def _begin(criteria: Filter) -> tuple[int, int]:
    """The place before which the newest row of a filter is."""
    return _LATEST if criteria.until_us is None else (criteria.until_us, 0)


def in_range(kernels: Sequence[str], kernel: str) -> bool:
    """Returns whether a kernel is one of those asked for, by name or by range."""
    number = release_number(kernel)
    ranges = (release_range(text) for text in kernels)
    return kernel in kernels or any(
        ends is not None and number is not None and ends[0] <= number <= ends[1] for ends in ranges
    )
