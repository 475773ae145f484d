"""Surveys the incidents of a filter: their count, facets, and a histogram.

In: a connection, a filter. Out: frozen rows. It looks at the newest so many, and its answer says
so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from sqlite3 import Connection

from detector.clock import DAY_US
from detector.render.units import Bucket
from detector.store.query import search_index
from detector.store.query.filters import Filter, FilterError
from detector.store.query.incidents import newest, page_at, values_at
from detector.store.query.results import (
    Counted,
    Facet,
    Survey,
)

# The newest incidents of a filter that a survey looks at.
SURVEYED = 4_000


_OLDEST = (
    "SELECT place FROM incidents INDEXED BY incidents_place WHERE place IS NOT NULL ORDER BY "
    "place LIMIT 1"
)


_DAYS = (
    "SELECT day_us, sum(incidents) AS count FROM incident_days WHERE day_us >= ? AND day_us < "
    "? {severities} GROUP BY day_us"
)


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
    met = newest(connection, criteria, SURVEYED + 1)
    more = len(met.places) > SURVEYED or met.floor is not None
    places_met = met.places[:SURVEYED]
    return Survey(
        counted=Counted(len(places_met), more),
        facets=_facets(connection, places_met, names, values),
        histogram=_histogram(connection, criteria, places_met, more, buckets, now_us),
        first=page_at(connection, met, rows),
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


def _most(counter: Counter[str | None], limit: int) -> list[Facet]:
    counted = [(value, number) for value, number in counter.items() if value is not None]
    return [
        Facet(value, number)
        for value, number in sorted(counted, key=lambda item: (-item[1], item[0]))[:limit]
    ]
