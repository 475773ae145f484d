"""Writes kernel errors: counts by template, host and day, and which templates are news.

In: counts of one batch. Out: rows, and the templates that are news with the hosts that they were
seen on. What is kept is bounded: so many templates, of which one host begins no more than some a
day, and so many hosts of each; lines beyond are counted. Where all places are taken, templates of
one host that were not seen for longest make room: a fleet's errors are on many hosts, garbage is
not. Runs inside the transaction of the journal
that owns the connection.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from sqlite3 import Connection

from detector.clock import DAY_US
from detector.kernel_errors.news import NEWS_DAYS, NewsReason, Seen, reason_of
from detector.kernel_errors.tally import FOLDED, REMOVED, KernelErrorCount
from detector.kernel_errors.template import template_id
from detector.store import removal
from detector.store.rows import COUNT_LIMIT, NAME_LIMIT, clean, storable

TEMPLATES = 20_000
# Where all are taken, so many of those that one host alone has printed make room.
ROOM = 500
HOSTS = 1_000
# Templates that one host may begin within a day: a host that prints garbage fills no table.
BEGUN = 200
SAMPLES = 3

_KNOWN = "SELECT first_us, last_us, samples, news, news_us FROM kernel_errors WHERE id = ?"
_BEGIN = """
INSERT INTO kernel_errors (id, template, level, count, hosts, first_us, last_us, first_host,
  samples, source, number) VALUES (?, ?, ?, 0, 0, ?, ?, ?, '[]', ?, ?)
"""
_BEGUN_BY = """
SELECT count(*) FROM (SELECT 1 FROM kernel_errors INDEXED BY kernel_errors_host
  WHERE first_host = ? AND first_us BETWEEN ? AND ? LIMIT ?)
"""
_ADD = f"""
UPDATE kernel_errors SET count = min(count + :count, {COUNT_LIMIT}), level = min(level, :level),
  hosts = hosts + :hosts, first_us = min(first_us, :first), last_us = max(last_us, :last),
  samples = :samples WHERE id = :id
"""  # noqa: S608
_NEWS = "UPDATE kernel_errors SET news = ?, news_us = ?, news_kernel = ? WHERE id = ?"
_KERNEL = """
SELECT kernel FROM host_kernels WHERE host = ? AND from_us <= ? ORDER BY from_us DESC LIMIT 1
"""
_HOST = "SELECT 1 FROM kernel_error_hosts WHERE error_id = ? AND host = ? LIMIT 1"
_HOST_SEEN = f"""
UPDATE kernel_error_hosts SET count = min(count + ?, {COUNT_LIMIT}), first_us = min(first_us, ?),
  last_us = max(last_us, ?) WHERE error_id = ? AND host = ? AND kernel = ?
"""  # noqa: S608
_HOST_NEW = "INSERT INTO kernel_error_hosts VALUES (?, ?, ?, ?, ?, ?)"
_HOSTS = "SELECT hosts FROM kernel_errors WHERE id = ?"
_ON_RELEASE = """
SELECT min(first_us) AS first_us, count(*) AS hosts FROM (
  SELECT first_us FROM kernel_error_hosts INDEXED BY kernel_error_hosts_kernel
  WHERE error_id = ? AND kernel = ? ORDER BY first_us LIMIT 10)
"""
_RELEASE_SINCE = "SELECT min(day_us) FROM fleet_days WHERE about = 'kernel' AND value = ?"
_DAY = f"""
INSERT INTO kernel_error_days VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
  count = min(count + excluded.count, {COUNT_LIMIT}), hosts = hosts + excluded.hosts
"""  # noqa: S608
_DAY_HOSTS = "SELECT hosts FROM kernel_error_days WHERE error_id = ? AND day_us = ?"
_DAYS_BEFORE = """
SELECT hosts FROM kernel_error_days WHERE error_id = ? AND day_us >= ? AND day_us < ?
"""
_HOST_DAY_SEEN = f"""
UPDATE kernel_error_host_days SET count = min(count + ?, {COUNT_LIMIT})
  WHERE error_id = ? AND day_us = ? AND host = ?
"""  # noqa: S608
_HOST_DAY_NEW = "INSERT INTO kernel_error_host_days VALUES (?, ?, ?, ?)"
# Since when errors are counted is kept apart from the days: those of removed templates are gone.
_SINCE = "SELECT value FROM about WHERE name = 'kernel_errors_since_us'"
_FIRST_DAY = "SELECT min(day_us) FROM kernel_error_days"
_SET_SINCE = "INSERT OR REPLACE INTO about (name, value) VALUES ('kernel_errors_since_us', ?)"
_COUNT = "SELECT count(*) FROM kernel_errors INDEXED BY kernel_errors_last"


@dataclass(frozen=True, slots=True)
class KernelErrorNews:
    """A template that is news was seen on a host at a wall time."""

    id: str
    host: str
    at_us: int


class KernelErrors:
    """The tables of kernel errors."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._removed = 0

    def add(
        self, rows: Iterable[KernelErrorCount], learning_us: int
    ) -> tuple[list[KernelErrorNews], dict[str, int]]:
        """Adds counts; returns what of them is news, and counters: of lines that were not told
        apart, and of templates that made room.

        A fleet, and a release, is learned for `learning_us`.
        """
        self._removed = 0
        ordered = sorted(rows, key=lambda row: (row.template, row.day_us, row.first_us, row.host))
        if not ordered:
            return [], {}
        learned_us = self._since(min(row.first_us for row in ordered)) + learning_us
        folded, news = 0, []
        for template, group in groupby(ordered, key=lambda row: row.template):
            of_template = list(group)
            lines = sum(row.count for row in of_template)
            name = self._begin(clean(template, NAME_LIMIT), of_template[0])
            if name is None:
                folded += lines
                continue
            news += self._add(name, of_template, learned_us, learning_us)
        counts = {FOLDED: folded, REMOVED: self._removed}
        return news, {name: count for name, count in counts.items() if count}

    def template(self, identity: str) -> str:
        """The template of an id."""
        query = "SELECT template FROM kernel_errors WHERE id = ?"
        row = self._connection.execute(query, (identity,)).fetchone()
        return row["template"] if row else identity

    def _since(self, first_us: int) -> int:
        """Returns since when errors are counted: the first time that any was counted at."""
        execute = self._connection.execute
        row = execute(_SINCE).fetchone()
        known = int(row["value"]) if row else execute(_FIRST_DAY).fetchone()[0]
        since = first_us if known is None else min(known, first_us)
        if row is None or since != known:
            execute(_SET_SINCE, (str(since),))
        return since

    def _begin(self, template: str, first: KernelErrorCount) -> str | None:
        """The id of a template, entered where it is new; None where there is no room for it."""
        execute = self._connection.execute
        name = template_id(template)
        if execute("SELECT 1 FROM kernel_errors WHERE id = ?", (name,)).fetchone():
            return name
        host = clean(first.host, NAME_LIMIT)
        begun = (host, first.first_us - DAY_US, first.first_us + DAY_US, BEGUN)
        if execute(_BEGUN_BY, begun).fetchone()[0] >= BEGUN:
            return None
        if execute(_COUNT).fetchone()[0] >= TEMPLATES:
            room = removal.lone_kernel_errors(self._connection, ROOM)
            self._removed += room
            if not room:
                return None
        place = (clean(first.source, NAME_LIMIT), storable(first.number) or 0)
        times = (first.first_us, first.first_us)
        execute(_BEGIN, (name, template, first.level, *times, host, *place))
        return name

    def _add(
        self, name: str, rows: list[KernelErrorCount], learned_us: int, learning_us: int
    ) -> list[KernelErrorNews]:
        """Adds the counts of one template, in order of their days."""
        execute = self._connection.execute
        known = execute(_KNOWN, (name,)).fetchone()
        samples: list[str] = json.loads(known["samples"])
        first_us, news_us = known["first_us"], known["news_us"]
        news: list[KernelErrorNews] = []
        for row in rows:
            host = clean(row.host, NAME_LIMIT)
            kernel = self._kernel(host, row.last_us)
            new_hosts = self._add_host(name, host, kernel, row)
            new_on_day = self._add_day(name, host, row)
            sample = clean(row.sample, NAME_LIMIT)
            if len(samples) < SAMPLES and (new_hosts or not samples) and sample not in samples:
                samples.append(sample)
            first_us = min(first_us, row.first_us)
            facts = {"id": name, "count": row.count, "level": row.level, "hosts": new_hosts}
            times = {"first": row.first_us, "last": row.last_us}
            execute(_ADD, {**facts, **times, "samples": json.dumps(samples, ensure_ascii=False)})
            is_news = news_us is not None and row.last_us - news_us < NEWS_DAYS * DAY_US
            if not is_news and (new_hosts or new_on_day):
                seen = self._seen(name, row, first_us, learned_us, kernel, learning_us)
                if reason := reason_of(seen):
                    self._enter(name, reason, row.first_us, kernel)
                    news_us, is_news = row.first_us, True
            if is_news:
                news.append(KernelErrorNews(name, host, row.first_us))
        return news

    def _enter(self, name: str, reason: NewsReason, at_us: int, kernel: str) -> None:
        self._connection.execute(_NEWS, (reason, at_us, kernel or None, name))

    def _kernel(self, host: str, at_us: int) -> str:
        """The release that a host ran at a time; empty where that is not known."""
        row = self._connection.execute(_KERNEL, (host, at_us)).fetchone()
        return row["kernel"] if row else ""

    def _add_host(self, name: str, host: str, kernel: str, row: KernelErrorCount) -> int:
        """Adds to the count of a host and its release; how many hosts more there are."""
        execute = self._connection.execute
        seen = (row.count, row.first_us, row.last_us, name, host, kernel)
        if execute(_HOST_SEEN, seen).rowcount:
            return 0
        known = execute(_HOST, (name, host)).fetchone() is not None
        if not known and execute(_HOSTS, (name,)).fetchone()["hosts"] >= HOSTS:
            return 0
        execute(_HOST_NEW, (name, host, kernel, row.count, row.first_us, row.last_us))
        return int(not known)

    def _add_day(self, name: str, host: str, row: KernelErrorCount) -> bool:
        """Adds to the counts of a day; whether the host is new on it."""
        execute = self._connection.execute
        seen = execute(_HOST_DAY_SEEN, (row.count, name, row.day_us, host)).rowcount
        new = False
        if not seen:
            day = execute(_DAY_HOSTS, (name, row.day_us)).fetchone()
            new = day is None or day["hosts"] < HOSTS
            if new:
                execute(_HOST_DAY_NEW, (name, row.day_us, host, row.count))
        execute(_DAY, (name, row.day_us, row.count, int(new)))
        return new

    def _seen(
        self,
        name: str,
        row: KernelErrorCount,
        first_us: int,
        learned_us: int,
        kernel: str,
        learning_us: int,
    ) -> Seen:
        """What is known of a template now that it was seen on one more host."""
        execute = self._connection.execute
        span = (name, row.day_us - NEWS_DAYS * DAY_US, row.day_us)
        before = tuple(item["hosts"] for item in execute(_DAYS_BEFORE, span))
        hosts = execute(_DAY_HOSTS, (name, row.day_us)).fetchone()["hosts"]
        since = execute(_RELEASE_SINCE, (kernel,)).fetchone()[0] if kernel else None
        release = execute(_ON_RELEASE, (name, kernel)).fetchone()
        return Seen(
            at_us=row.first_us,
            learned_us=learned_us,
            first_us=first_us,
            hosts=hosts,
            before=before,
            release_learned_us=None if since is None else since + learning_us,
            release_first_us=release["first_us"],
            release_hosts=release["hosts"],
        )
