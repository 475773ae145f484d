"""Fills a history of full size by the rows that the service would have stored, and times every
question that pages and API ask of it.

    python -m bench.history FILE [--size 1.0] [--rounds 20]

Size 1 is 10,000,000 matches, 1,000,000 reports, 1,000,000 incidents and 100,000 hosts over five
years: 16 GB, made in a quarter of an hour. FILE is kept, and used again where it is there already.
Prints p50 and p95 of each question in ms; exit code 1 where a p95 is above the goal.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from sqlite3 import Connection, connect
from typing import Any

from bench.crashes import KINDS, Crash, CrashRows, Template, lone_texts, template
from bench.sums import SUMS
from detector.app import build
from detector.catalogue import Catalogue
from detector.settings import Settings
from detector.store import History, open_history, open_journal
from detector.store.ingest import faults as fault_rows
from detector.store.ingest import traces
from detector.store.query import search_index
from detector.store.query.filters import Filter, parse
from detector.store.rows import INSERT_MATCH, release_number

DAY_US = 86_400_000_000
NOW_US = 1_795_176_000_000_000
SPAN_US = 5 * 365 * DAY_US
GOAL_MS = 100.0
OVERVIEW_GOAL_MS = 20.0
CHUNK = 50_000

FUNCTIONS, LONE = 3_000, 7
KERNELS = [
    f"{major}.{minor}.{patch}"
    for major in (4, 5, 6)
    for minor in range(0, 20, 4)
    for patch in (0, 17, 90)
]


class Fleet:
    """Crashes of a made-up fleet in the order of time, the same for one size."""

    def __init__(self, size: float) -> None:
        self.crashes = int(1_000_000 * size)
        self.hosts = max(1, int(100_000 * size))
        self.noise = int(2_000_000 * size)
        self.random = random.Random(5)

    def host(self, number: int) -> str:
        """A host's name."""
        return f"{('db', 'web', 'cache', 'node')[number % 4]}-{number}"

    def skewed(self, limit: int) -> int:
        """Few values are frequent and many are rare."""
        return int(limit * self.random.random() ** 3)

    def kernel(self, number: int) -> str:
        """The kernel of a crash: the fleet goes on from release to release, each host in its
        turn.
        """
        newest = 6 + (len(KERNELS) - 6) * number // self.crashes
        return KERNELS[newest - number * 7_919 % self.hosts % 6 - 1]

    def made(self) -> Iterator[tuple[str, str, Crash]]:
        """Every crash with its text and its kernel."""
        for number in range(self.crashes):
            text = KINDS[2 if number % 50 == 0 else number % 2]
            host = self.host(number * 7_919 % self.hosts)
            at_us = NOW_US - SPAN_US + SPAN_US * number // self.crashes
            recent = number > self.crashes * 0.99
            state = "open" if recent else ("resolved", "acknowledged", "open")[self.skewed(3)]
            crash = Crash(number, host, self.skewed(FUNCTIONS), at_us, number // self.hosts, state)
            yield text, self.kernel(number), crash

    def noise_rows(self) -> Iterator[tuple[Any, ...]]:
        """The last days by the hour, before that by the day."""
        for number in range(self.noise):
            days = 7 * self.random.random() if number % 4 == 0 else 1_800 * self.random.random()
            at_us = NOW_US - int(days * DAY_US)
            hour = at_us - at_us % (DAY_US // 24 if days < 90 else DAY_US)
            program = f"program-{self.skewed(400)}"
            yield (
                self.host(self.skewed(self.hosts)),
                program,
                "user.segfault",
                hour,
                1 + number % 30,
                hour,
                hour + 1,
            )


_NOISE = """
INSERT INTO noise (host, process, signature, hour_us, count, first_us, last_us) VALUES (?, ?, ?,
    ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET count = count + excluded.count, first_us = min(first_us,
    excluded.first_us), last_us = max(last_us, excluded.last_us)
"""
_CHANGE = "INSERT INTO changes (incident_id, at_us, what, actor, reason) VALUES (?, ?, ?, ?, ?)"
_BOOT = """
INSERT INTO boots (host, epoch_us, stream, boot_count, first_kernel_us, last_kernel_us, kernel)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_NOBODY = connect(":memory:")
_NOBODY.execute("CREATE TABLE incidents (place INTEGER)")
_WORDS = "INSERT INTO incident_words (rowid, words) VALUES (?, ?)"


def fill(path: Path, size: float, made: Callable[[float], Fleet] = Fleet) -> None:
    """Writes the whole history; a file that is not finished is not left behind."""
    unfinished = path.with_suffix(f".{os.getpid()}")
    catalogue = build.catalogue_of(Settings())
    with closing(open_journal(unfinished)) as journal:
        connection = journal.db
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA cache_size = -4000000")
        enter(connection, catalogue, made(size))
        add_up(connection)
        connection.execute("PRAGMA optimize")
        connection.execute("PRAGMA journal_mode = WAL")
    unfinished.rename(path)


def add_up(connection: Connection) -> None:
    """Makes every sum that the service keeps as it stores."""
    connection.create_function("release_number", 1, release_number)
    connection.create_function("model_of", 1, lambda name: name and fault_rows.model_of(name))
    connection.create_function("trace_of", 1, _trace)
    for statement in SUMS:
        _timed(" ".join(statement.split())[:60], partial(connection.execute, statement))


def _trace(details: str) -> str:
    return json.dumps(traces.names(traces._frames(details)))  # noqa: SLF001


def enter(connection: Connection, catalogue: Catalogue, fleet: Fleet) -> None:
    """Enters matches, reports and incidents with their words, changes and boots; and noise."""
    lone = lone_texts(catalogue, LONE)
    templates: dict[tuple[str, str], Template] = {}
    crashes, first, words = iter(fleet.made()), 1, set[str]()
    while chunk := list(islice(crashes, CHUNK // 10)):
        stamped = []
        for text, kernel, crash in chunk:
            if (text, kernel) not in templates:
                templates[text, kernel] = template(catalogue, text, kernel, lone)
            stamped.append(templates[text, kernel].rows(crash))
        connection.execute("BEGIN")
        first = _enter(connection, stamped, first)
        connection.execute("COMMIT")
        words.update(word for rows in stamped for word in rows.words.split(" ")[rows.facts :])
        print(f"  {crash.number + 1:,} crashes", flush=True)
    names = (word for word in words if not search_index._NUMBER.fullmatch(word))  # noqa: SLF001
    connection.executemany("INSERT OR IGNORE INTO vocabulary VALUES (?)", ((n,) for n in names))
    _timed("noise", lambda: connection.executemany(_NOISE, fleet.noise_rows()))


def _enter(connection: Connection, stamped: Sequence[CrashRows], first: int) -> int:
    """Enters some crashes, whose first match gets this id; the next one's."""
    reports, incidents, evidence, words = [], [], [], []
    for rows in stamped:
        anchor_id = first + rows.incident["anchor_id"] - 1
        identity, start_us = rows.incident["id"], rows.incident["started_us"]
        # No two crashes begin at one moment: each has the place that it tries first.
        place = search_index._free_place(_NOBODY, identity, start_us)  # noqa: SLF001
        reports.append(rows.report | {"match_id": anchor_id})
        incidents.append(rows.incident | {"anchor_id": anchor_id, "place": place})
        evidence += [(identity, first + at - 1) for at in rows.evidence]
        words.append((place, rows.words))
        first += len(rows.matches)
    connection.executemany(INSERT_MATCH, (row for rows in stamped for row in rows.matches))
    _insert(connection, "reports", reports)
    _insert(connection, "incidents", incidents)
    connection.executemany("INSERT INTO evidence VALUES (?, ?)", sorted(evidence))
    connection.executemany(_CHANGE, (row for rows in stamped for row in rows.changes))
    boots = ((*rows.boot, rows.report["kernel"]) for rows in stamped)
    connection.executemany(_BOOT, boots)
    connection.executemany(_WORDS, words)
    return first


def _insert(connection: Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    names = ", ".join(rows[0])
    places = ", ".join("?" * len(rows[0]))
    connection.executemany(
        f"INSERT INTO {table} ({names}) VALUES ({places})",
        [tuple(row.values()) for row in rows],
    )


def _timed(name: str, work: Callable[[], object]) -> None:
    started = time.perf_counter()
    work()
    print(f"  {name} {time.perf_counter() - started:.1f} s", flush=True)


# The problem of most reports: a fingerprint is that of kind and functions, whatever the size.
LARGEST = "1:eca9a6c8c2f99e6f"
HEADS = ("kernel.paging-request", "kernel.x86-page-fault", "kernel.oops", "kernel.internal-error")
FAULT_FILTERS: tuple[dict[str, list[str]], ...] = (
    {},
    {"host": ["db-8"]},
    {"host": ["db-*"]},
    {"host": ["*99"]},
    {"host": ["nowhere-*"]},
    {"since": ["24h"]},
    {"since": ["2023-01-01"], "until": ["2023-02-01"]},
    {"function": ["stamped_fn_00000"]},
    {"function": ["stamped_fn_00000", "stamped_fn_02999", "stamped_fn_00017"]},
    {"kernel": ["5.4..6.8"]},
    {"class": ["oops"]},
    {"class": ["memory-fault", "tcp-state"], "host": ["*99"]},
    {"signature": ["kernel.scsi-dead-device"]},
    {"severity": ["warning"]},
    {"problem": [LARGEST], "host": ["db-*"]},
    {"problem": [LARGEST], "host": ["nowhere-*"]},
)
FILTERS: tuple[dict[str, list[str]], ...] = (
    {},
    {"host": ["db-8"]},
    {"host": ["db-*"]},
    {"host": ["*99"]},
    {"host": ["*8", "node-*7"]},
    {"since": ["24h"]},
    {"since": ["30d"], "until": ["7d"]},
    {"until": ["2023-01-01"]},
    {"rule": ["tcp-release-and-memory-fault"]},
    {"class": ["tcp-state"]},
    {"class": ["internal-error", "oops"], "signature": ["kernel.scsi-dead-device"]},
    {"severity": ["warning"]},
    {"state": ["open"]},
    {"state": ["open"], "severity": ["warning"], "rule": ["tcp-release-and-memory-fault"]},
    {"problem": [LARGEST]},
    {"function": ["stamped_fn_00000", "stamped_fn_02999"]},
    {"module": ["stamped_mod_59"]},
    {
        "module": ["stamped_mod_03"],
        "rule": ["tcp-release-and-memory-fault"],
        "severity": ["warning"],
    },
    {"kernel": ["4.8.90"]},
    {"kernel": ["5.4..6.8"]},
    {"known_issue": ["tcp-listener-race"]},
    {"text": ["attempt"]},
    {"text": ["path_012 kernel"]},
    {"text": ["caller_path_12*"]},
    {"text": ["way_path_01*", "stamped_fn_012*"]},
    {"text": ["ffff800010000040"]},
    {"text": ["nowhere to be found"]},
    {
        "host": ["web-*"],
        "since": ["365d"],
        "state": ["open"],
        "kernel": ["4.0.."],
        "text": ["paging"],
    },
)


def questions(history: History) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every question, with its name."""
    for params in FILTERS:
        wanted = parse(params, NOW_US)
        name = (
            " ".join(f"{field}={','.join(values)}" for field, values in params.items())
            or "everything"
        )
        yield f"search     {name}", lambda wanted=wanted: history.search(wanted)
        after = history.search(wanted).next
        yield (
            f"next page  {name}",
            lambda wanted=wanted, after=after: history.search(wanted, after=after),
        )
        yield (
            f"survey     {name}",
            lambda wanted=wanted: history.survey(wanted, list(search_index.COLUMNS), now_us=NOW_US),
        )
        yield f"problems   {name}", lambda wanted=wanted: history.problems(wanted)
        yield f"hosts      {name}", lambda wanted=wanted: history.hosts(wanted)
    for params in FAULT_FILTERS:
        wanted = parse(params, NOW_US)
        name = " ".join(f"{field}={','.join(values)}" for field, values in params.items())
        yield f"faults     {name}", lambda wanted=wanted: history.faults(wanted, HEADS)
    for by in ("kernel", "hardware"):
        for span in (28, 1_800):
            yield (
                f"rates by {by}, {span} days",
                lambda by=by, span=span: history.crash_rates(
                    by, NOW_US - span * DAY_US, now_us=NOW_US
                ),
            )
    yield "releases with", lambda: history.releases_with(LARGEST)
    row = history.search(Filter()).rows[0]
    yield "overview", lambda: history.overview(NOW_US)
    yield "totals", history.totals
    yield "incident", lambda: history.incident(row.id)
    yield "similar", lambda: history.similar(row.id)
    yield "changes of", lambda: history.changes_of(row.id)
    yield "changes", lambda: history.changes(history.last_change() - 100)
    yield "problem (the largest)", lambda: history.problem(LARGEST)
    yield "host", lambda: history.host(row.host)
    week, programs = NOW_US - 7 * DAY_US, ("process", "signature")
    for name, about in {
        "of all time": {},
        "of a day": {"since_us": NOW_US - DAY_US},
        "of a week": {"since_us": week},
        "of a week last year": {"since_us": week - 365 * DAY_US, "until_us": NOW_US - 365 * DAY_US},
        "of a host": {"host": "db-0"},
        "of 25 % of the hosts": {"host": "db-*"},
        "of 1 % of the hosts": {"host": "*99", "since_us": week},
        "of the most frequent program": {"process": "program-0"},
        "of a rare program": {"process": "program-399"},
        "of no program": {"process": "nginx"},
        "of a program on some hosts": {"process": "program-0", "host": "*99"},
        "by program": {"by": programs},
        "by program, of a week": {"by": programs, "since_us": week},
        "by the hour, of a program": {"by": ("hour",), "process": "program-0"},
    }.items():
        yield f"noise {name}", lambda about=about: history.noise(**about, quick=True)
    yield (
        "noise hours of a week",
        lambda: history.noise_hours(since_us=NOW_US - 7 * DAY_US, until_us=NOW_US),
    )
    yield (
        "signature hits of a month",
        lambda: history.signature_hits("kernel.tcp-release-state", NOW_US - 30 * DAY_US, NOW_US),
    )


def measure(path: Path, rounds: int, *, cpu: bool) -> bool:
    """Prints p50 and p95 of every question; whether all are within the goals. `cpu` counts the
    processor's time alone.
    """
    good = True
    with closing(open_history(path)) as history:
        for name, ask in questions(history):
            taken = []
            for _ in range(rounds):
                started = time.thread_time() if cpu else time.perf_counter()
                ask()
                taken.append(
                    ((time.thread_time() if cpu else time.perf_counter()) - started) * 1_000
                )
            taken.sort()
            p50, p95 = taken[len(taken) // 2], taken[math.ceil(len(taken) * 0.95) - 1]
            slow = p95 > (OVERVIEW_GOAL_MS if name == "overview" else GOAL_MS)
            good = good and not slow
            print(f"{p50:8.1f} {p95:8.1f} ms  {name}{'   SLOW' if slow else ''}", flush=True)
    return good


def main() -> int:
    """Fills and measures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--size", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--cpu",
        action="store_true",
        help="count the processor's time alone, where others use the machine too",
    )
    given = parser.parse_args()
    if not given.file.exists():
        started = time.perf_counter()
        fill(given.file, given.size)
        print(
            f"filled in {time.perf_counter() - started:.0f} s: "
            f"{given.file.stat().st_size / 1e9:.2f} GB"
        )
    return 0 if measure(given.file, given.rounds, cpu=given.cpu) else 1


if __name__ == "__main__":
    sys.exit(main())
