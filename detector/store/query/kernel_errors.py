"""Kernel errors that no signature claims: those that are news first, then by hosts.

In: a filter, the time now. Out: pages and details. Templates are bounded in number (see
`ingest/kernel_errors.py`), so each list looks through all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Connection, Row
from typing import Any

from detector.clock import DAY_US
from detector.kernel_errors.news import NEWS_DAYS
from detector.render.units import Bucket
from detector.store.ingest.kernel_errors import HOSTS
from detector.store.query.faults import in_range
from detector.store.query.filters import Filter, FilterError, is_pattern, words
from detector.store.query.results import Page, named, read_place, spell_place

# What kernel errors can be asked for by.
FIELDS = ("host", "since", "until", "kernel", "text")
_ATTRIBUTES = {"since": "since_us", "until": "until_us"}
# Hosts that a pattern may mean, and those that a detail names.
_HOSTS = 1_000
NAMED = 100
_KERNELS = 20
_SHOWN_KERNELS = 3
LEVELS = ("emerg", "alert", "crit", "err")

_FRESH = "(t.news IS NOT NULL AND t.news_us >= :fresh)"
_ERROR = f"""
SELECT t.id, t.template, t.level, t.count, t.hosts, t.first_us, t.last_us, t.samples,
  t.source, t.number AS line_number, t.first_host, {_FRESH} AS fresh,
  CASE WHEN {_FRESH} THEN t.news END AS news, CASE WHEN {_FRESH} THEN t.news_us END AS news_us,
  CASE WHEN {_FRESH} THEN t.news_kernel END AS news_kernel FROM kernel_errors t
"""  # noqa: S608
_PLACE = f"({_FRESH}, t.hosts, t.id) < (:was_fresh, :was_hosts, :was_id)"
_ORDER = "ORDER BY fresh DESC, t.hosts DESC, t.id DESC LIMIT :limit"
_OF_HOSTS = """t.id IN (SELECT error_id FROM kernel_error_hosts INDEXED BY kernel_error_hosts_host
  WHERE host IN (SELECT value FROM json_each(:hosts)))"""
_OF_PATTERN = """EXISTS (SELECT 1 FROM kernel_error_hosts h
  WHERE h.error_id = t.id AND h.host GLOB :pattern{number})"""
_OF_KERNELS = """EXISTS (SELECT 1 FROM kernel_error_hosts k INDEXED BY kernel_error_hosts_kernel
  WHERE k.error_id = t.id AND k.kernel IN (SELECT value FROM json_each(:kernels)))"""
_ON_KERNELS = """
SELECT kernel, count(DISTINCT host) AS hosts, sum(count) AS count, min(first_us) AS first_us,
  max(last_us) AS last_us FROM kernel_error_hosts INDEXED BY kernel_error_hosts_kernel
WHERE error_id = ? GROUP BY kernel ORDER BY hosts DESC, kernel LIMIT ?
"""
_ON_HOSTS = """
SELECT host, max(kernel) AS kernel, sum(count) AS count, min(first_us) AS first_us,
  max(last_us) AS last_us FROM kernel_error_hosts WHERE error_id = ?
GROUP BY host ORDER BY last_us DESC, host LIMIT ?
"""
_ON_RELEASES = """
SELECT error_id, kernel FROM kernel_error_hosts INDEXED BY kernel_error_hosts_kernel
WHERE error_id IN (SELECT value FROM json_each(?)) AND kernel <> ''
GROUP BY error_id, kernel ORDER BY error_id, count(*) DESC, max(first_us) DESC, kernel
"""
_DAYS = "SELECT day_us, count FROM kernel_error_days WHERE error_id = ? ORDER BY day_us"
_RELEASES = "SELECT DISTINCT value FROM fleet_days WHERE about = 'kernel'"


@dataclass(frozen=True, slots=True)
class KernelErrorRow:
    """A template of kernel errors, seen on `hosts` hosts, which are counted up to 1,000:
    `more_hosts` says that there may be more.

    `kernels` are the releases that most of its hosts ran, three at most.
    `level` is the most severe that it was printed with. `news` says why it is news, and `news_us`
    since when: "new" to the fleet, new to the "release" `news_kernel`, or "spread" to many hosts
    suddenly.
    """

    id: str
    template: str
    level: str
    count: int
    hosts: int
    first_us: int
    last_us: int
    news: str | None
    news_us: int | None
    news_kernel: str | None
    sample: str
    more_hosts: bool
    kernels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KernelErrorRelease:
    """The hosts of one kernel release that printed a template; an empty release is not known."""

    kernel: str
    hosts: int
    count: int
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True)
class KernelErrorHost:
    """The lines of a template that one host printed."""

    host: str
    kernel: str
    count: int
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True)
class KernelErrorDetail:
    """A template with all that is known of it.

    Its releases, the hosts that printed it last, its lines by day, examples as
    they were printed, and where the first of them stands.
    """

    row: KernelErrorRow
    releases: tuple[KernelErrorRelease, ...]
    last_hosts: tuple[KernelErrorHost, ...]
    days: tuple[Bucket, ...]
    samples: tuple[str, ...]
    first_host: str
    source: str
    line_number: int


def page(
    connection: Connection,
    criteria: Filter,
    news: bool,
    now_us: int,
    after: str | None,
    limit: int,
) -> Page[KernelErrorRow]:
    """Templates of a filter, or those among them that are `news`; those come first.

    Raises FilterError for a field that they do not have, and for what is no place of a list.
    """
    _check(criteria)
    parameters: dict[str, Any] = {"fresh": now_us - NEWS_DAYS * DAY_US, "limit": limit + 1}
    conditions = [*_conditions(connection, criteria, parameters), *([_FRESH] if news else [])]
    if after:
        place = read_place(after, int, int, str)
        parameters |= dict(zip(("was_fresh", "was_hosts", "was_id"), place, strict=True))
        conditions.append(_PLACE)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = connection.execute(f"{_ERROR} {where} {_ORDER}", parameters).fetchall()
    last = rows[limit - 1] if len(rows) > limit else None
    following = spell_place(last["fresh"], last["hosts"], last["id"]) if last else None
    kernels = _kernels(connection, [row["id"] for row in rows[:limit]])
    return Page([_row(row, kernels) for row in rows[:limit]], following)


def detail(connection: Connection, identity: str, now_us: int) -> KernelErrorDetail | None:
    """One template by its id; None where there is none."""
    facts = {"id": identity, "fresh": now_us - NEWS_DAYS * DAY_US}
    row = connection.execute(f"{_ERROR} WHERE t.id = :id", facts).fetchone()
    if row is None:
        return None
    releases = connection.execute(_ON_KERNELS, (identity, _KERNELS))
    hosts = connection.execute(_ON_HOSTS, (identity, NAMED))
    days = connection.execute(_DAYS, (identity,))
    return KernelErrorDetail(
        _row(row, _kernels(connection, [identity])),
        tuple(KernelErrorRelease(**named(KernelErrorRelease, item)) for item in releases),
        tuple(KernelErrorHost(**named(KernelErrorHost, item)) for item in hosts),
        tuple(Bucket(day, day + DAY_US, count) for day, count in days),
        tuple(json.loads(row["samples"])),
        row["first_host"],
        row["source"],
        row["line_number"],
    )


def _kernels(connection: Connection, identities: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The releases of templates, those of most hosts first."""
    kernels: dict[str, tuple[str, ...]] = {}
    for row in connection.execute(_ON_RELEASES, (json.dumps(identities),)):
        known = kernels.get(row["error_id"], ())
        if len(known) < _SHOWN_KERNELS:
            kernels[row["error_id"]] = (*known, row["kernel"])
    return kernels


def _row(row: Row, kernels: Mapping[str, tuple[str, ...]]) -> KernelErrorRow:
    samples = json.loads(row["samples"])
    facts = {name: row[name] for name in KernelErrorRow.__slots__ if name not in _MADE}
    level = LEVELS[min(row["level"], len(LEVELS) - 1)]
    return KernelErrorRow(
        level=level,
        sample=samples[0] if samples else "",
        more_hosts=row["hosts"] >= HOSTS,
        kernels=kernels.get(row["id"], ()),
        **facts,
    )


_MADE = frozenset(("level", "sample", "more_hosts", "kernels"))


def _conditions(connection: Connection, criteria: Filter, parameters: dict[str, Any]) -> list[str]:
    """The conditions of a filter; their values are added to the parameters."""
    conditions = []
    if criteria.since_us is not None:
        parameters["since"] = criteria.since_us
        conditions.append("t.last_us >= :since")
    if criteria.until_us is not None:
        parameters["until"] = criteria.until_us
        conditions.append("t.first_us < :until")
    if criteria.host:
        conditions.append(_of_hosts(connection, criteria.host, parameters))
    if criteria.kernel:
        releases = [row["value"] for row in connection.execute(_RELEASES)]
        meant = [kernel for kernel in releases if in_range(criteria.kernel, kernel)]
        parameters["kernels"] = json.dumps(meant)
        conditions.append(_OF_KERNELS)
    every = tuple(dict.fromkeys(word.rstrip("*") for text in criteria.text for word in words(text)))
    for number, word in enumerate(every):
        parameters[f"word{number}"] = word
        conditions.append(f"instr(lower(t.template), :word{number}) > 0")
    return conditions


def _of_hosts(connection: Connection, hosts: Sequence[str], parameters: dict[str, Any]) -> str:
    """The condition on hosts: by index where they are few, else the hosts of each template."""
    names = [host for host in hosts if not is_pattern(host)]
    wide = []
    for pattern in filter(is_pattern, hosts):
        query = "SELECT name FROM hosts WHERE name GLOB ? LIMIT ?"
        rows = connection.execute(query, (pattern, _HOSTS + 1)).fetchall()
        if len(rows) > _HOSTS:
            wide.append(pattern)
        else:
            names += [row["name"] for row in rows]
    parameters["hosts"] = json.dumps(names)
    conditions = [_OF_HOSTS]
    for number, pattern in enumerate(wide):
        parameters[f"pattern{number}"] = pattern
        conditions.append(_OF_PATTERN.format(number=number))
    return f"({' OR '.join(conditions)})"


def _check(criteria: Filter) -> None:
    """Raises FilterError for a field that kernel errors do not have."""
    known = {_ATTRIBUTES.get(name, name) for name in FIELDS}
    for name in Filter.__slots__:
        if name not in known and getattr(criteria, name):
            raise FilterError(
                "class" if name == "cls" else name,
                f"kernel errors are not found by it: there are {', '.join(FIELDS)}",
            )
