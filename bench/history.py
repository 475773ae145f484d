"""Fills a history of full size by rows, not through the pipeline, and times every question that
pages and API ask of it.

    python -m bench.history FILE [--size 1.0] [--rounds 20]

Size 1 is 10,000,000 matches, 1,000,000 incidents and 100,000 hosts over five years. FILE is kept,
and used again where it is there already. Prints p50 and p95 of each question in ms; exit code 1
where a p95 is above the goal.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from detector.model import Boot, Match
from detector.store import History, open_history, open_journal
from detector.store.query import search_index
from detector.store.query.filters import Filter, parse
from detector.store.rows import INSERT_MATCH, match_row, release_number

DAY_US = 86_400_000_000
NOW_US = 1_795_176_000_000_000
SPAN_US = 5 * 365 * DAY_US
GOAL_MS = 100.0
OVERVIEW_GOAL_MS = 20.0
CHUNK = 50_000

FUNCTIONS = [f"function_{number}" for number in range(3_000)]
MODULES = [None, *(f"module_{number}" for number in range(60))]
KERNELS = [
    f"{major}.{minor}.{patch}"
    for major in (4, 5, 6)
    for minor in range(0, 20, 4)
    for patch in (0, 17, 90)
]
SIGNATURES = [
    ("kernel.paging-request", "memory-fault"),
    ("tcp.state", "tcp-state"),
    *((f"kernel.fault-{n}", f"class-{n % 9}") for n in range(40)),
]
RULES = [
    "tcp-release-and-memory-fault",
    "storage-timeout-then-hung-task",
    "nic-timeout-then-lockup",
    "machine-check-then-panic",
]
DIAGNOSIS = (
    '{"statements": [], "known_issue": null, "known_issue_confidence": null, "next_steps": ['
    + " " * 500
    + "]}"
)


class Fleet:
    """Rows of a made-up fleet, the same for one size."""

    def __init__(self, size: float) -> None:
        self.matches = int(10_000_000 * size)
        self.incidents = int(1_000_000 * size)
        self.hosts = int(100_000 * size)
        self.noise = int(2_000_000 * size)
        self.random = random.Random(5)

    def host(self, number: int) -> str:
        """A host's name."""
        return f"{('db', 'web', 'cache', 'node')[number % 4]}-{number}"

    def skewed(self, limit: int) -> int:
        """Few values are frequent and many are rare."""
        return int(limit * self.random.random() ** 3)

    def match_rows(self) -> Iterator[tuple[Any, ...]]:
        """Ten matches belong to each incident: a fault first."""
        for number in range(self.matches):
            made = number // 10
            at_us = NOW_US - SPAN_US + SPAN_US * made // self.incidents
            signature, cls = (
                SIGNATURES[0]
                if number % 10 == 0
                else SIGNATURES[1 + self.skewed(len(SIGNATURES) - 1)]
            )
            text = f"{signature} of {FUNCTIONS[made % 3_000]} at address {number * 64:016x}"
            host = self.host(made * 7_919 % self.hosts)
            boot = Boot(f"boot-{host}")
            yield match_row(
                Match(
                    signature,
                    cls,
                    "kernel",
                    "critical",
                    text,
                    {},
                    "logs/0",
                    number,
                    host,
                    boot,
                    number % 10**7 + 1,
                    at_us + number % 10,
                )
            )

    def report_rows(self) -> Iterator[tuple[Any, ...]]:
        """A report of each fault: short, since what its lines hold is searched and not read."""
        for number in range(self.incidents):
            function, kernel = FUNCTIONS[self.skewed(3_000)], KERNELS[self.skewed(len(KERNELS))]
            lines = ", ".join(
                f'"frame_{number % 997}_{at}+0x10/0x{number % 4096:x} x{at}: {number * at:016x}"'
                for at in range(12)
            )
            yield (
                number * 10 + 1,
                f"[{lines}]",
                f"BUG: unable to handle kernel paging request in {function}",
                function,
                kernel,
                f"1:{function}",
            )

    def incident_rows(self) -> Iterator[tuple[Any, ...]]:
        """An incident at every tenth match."""
        for number in range(self.incidents):
            severity = ("critical", "error", "warning")[self.skewed(3)]
            state = (
                "open"
                if number > self.incidents * 0.99
                else ("resolved", "acknowledged", "open")[self.skewed(3)]
            )
            at_us = NOW_US - SPAN_US + SPAN_US * number // self.incidents
            host = self.host(number * 7_919 % self.hosts)
            issue = "tcp-listener-race" if number % 50 == 0 else None
            identity = f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}"
            yield (
                identity, RULES[self.skewed(4)], severity, host, at_us, at_us + 1_000_000,
                number * 10 + 1,
                issue, DIAGNOSIS, state, MODULES[self.skewed(61)],
            )  # fmt: skip

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


_REPORT = """
INSERT INTO reports (match_id, open, complete, lines, kind, title, function, kernel, fingerprint)
VALUES (?, 0, 1, ?, 'memory-fault', ?, ?, ?, ?)
"""
_INCIDENT = """
INSERT INTO incidents (id, rule, severity, host, boot, time_basis, gap_us, started_us, found_us,
    anchor_id, known_issue, diagnosis, state,
  module,
  title, kind, function, kernel, release, fingerprint, changed_us)
SELECT ?1, ?2, ?3, ?4, 'boot', 'kernel', 1000, ?5, ?6, ?7, ?8, ?9, ?10, ?11, title, kind,
    function, kernel,
  release_number(kernel), fingerprint, ?6
FROM reports WHERE match_id = ?7
"""
_NOISE = """
INSERT INTO noise (host, process, signature, hour_us, count, first_us, last_us) VALUES (?, ?, ?,
    ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET count = count + excluded.count
"""
_SUMS = """
INSERT INTO evidence SELECT i.id, m.id FROM incidents i JOIN matches m ON m.id BETWEEN i.anchor_id
    AND i.anchor_id + 9;
INSERT INTO changes (incident_id, at_us, what, actor) SELECT id, found_us, 'raised', 'oopswatch'
    FROM incidents ORDER BY found_us;
INSERT INTO signature_hours SELECT signature, wall_time_us / 3600000000 * 3600000000, count(*)
    FROM matches WHERE TRUE GROUP BY 1, 2;
INSERT INTO noise_programs
  SELECT process, signature, hour_us, sum(count), min(first_us), max(last_us) FROM noise WHERE
    TRUE GROUP BY 1, 2, 3;
UPDATE sizes SET rows = (SELECT sum(count) FROM noise) WHERE name = 'noise';
INSERT INTO problems (fingerprint, title, kind, function, module, severity, known_issue, first_us,
    last_us, incidents, hosts)
  SELECT fingerprint, title, kind, function, module, severity, known_issue, min(started_us),
    max(started_us), count(*), count(DISTINCT host)
  FROM incidents WHERE TRUE GROUP BY fingerprint;
INSERT INTO problem_hosts (fingerprint, host, incidents, reports, first_us, last_us)
  SELECT fingerprint, host, count(*), count(*), min(started_us), max(started_us) FROM incidents
    WHERE TRUE GROUP BY 1, 2;
INSERT INTO problem_kernels (fingerprint, kernel, release, incidents, reports, first_us, last_us)
  SELECT fingerprint, kernel, min(release), count(*), count(*), min(started_us), max(started_us)
    FROM incidents WHERE TRUE GROUP BY 1, 2;
INSERT INTO problem_days (fingerprint, day_us, incidents, reports)
  SELECT fingerprint, started_us - started_us % 86400000000, count(*), count(*) FROM incidents
    WHERE TRUE GROUP BY 1, 2;
INSERT INTO faults SELECT m.id, m.wall_time_us, m.host, m.signature, m.class, m.severity,
    r.match_id IS NOT NULL,
  r.function, r.module, r.kernel, 'model ' || (m.id / 10 % 40), r.fingerprint FROM matches m LEFT
    JOIN reports r ON r.match_id = m.id;
UPDATE hosts SET hardware = 'model ' || (length(name) * 7 + unicode(substr(name, -1)) % 40),
    hardware_us = last_seen_us;
INSERT INTO problem_hardware
  SELECT fingerprint, hardware, 0, count(*), min(at_us), max(at_us) FROM faults WHERE fingerprint
    IS NOT NULL GROUP BY 1, 2;
UPDATE problems SET reports = incidents, incident_us = last_us, trace = json_array(function,
    'frame_a', 'frame_b', module);
INSERT INTO problem_frames SELECT value, fingerprint FROM problems, json_each(trace) WHERE value
    IS NOT NULL GROUP BY 1, 2;
INSERT INTO host_kernels SELECT host, epoch_us, kernel FROM boots;
INSERT INTO fleet_days SELECT 'kernel', kernel, day, sum(hosts), sum(crashes) FROM (
  SELECT kernel, epoch_us - epoch_us % 86400000000 AS day, count(*) AS hosts, 0 AS crashes FROM
    boots GROUP BY 1, 2
  UNION ALL SELECT kernel, at_us - at_us % 86400000000, 0, count(*) FROM faults WHERE kernel IS
    NOT NULL GROUP BY 1, 2) GROUP BY 2, 3;
INSERT INTO fleet_days SELECT 'hardware', hardware, at_us - at_us % 86400000000, 0, count(*) FROM
    faults WHERE reported GROUP BY 2, 3;
"""


def fill(path: Path, size: float, made: Callable[[float], Fleet] = Fleet) -> None:
    """Writes the whole history; a file that is not finished is not left behind."""
    fleet, unfinished = made(size), path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with closing(open_journal(unfinished)) as journal:
        connection = journal.db
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.create_function("release_number", 1, release_number)
        hosts = "INSERT INTO hosts (name, first_seen_us, last_seen_us) VALUES (?, ?, ?)"
        _insert(
            connection,
            hosts,
            ((fleet.host(n), NOW_US - SPAN_US, NOW_US - n * 1_000) for n in range(fleet.hosts)),
        )
        boots = (
            "INSERT INTO boots (host, boot_id, epoch_us, stream, boot_count, kernel) VALUES "
            "(?, ?, ?, '', 0, ?)"
        )
        _insert(
            connection,
            boots,
            (
                (fleet.host(n), f"boot-{n}", NOW_US - n % 1_800 * DAY_US, KERNELS[n % len(KERNELS)])
                for n in range(fleet.hosts)
            ),
        )
        _insert(connection, INSERT_MATCH, fleet.match_rows())
        _insert(connection, _REPORT, fleet.report_rows())
        _insert(connection, _INCIDENT, fleet.incident_rows())
        _insert(connection, _NOISE, fleet.noise_rows())
        for statement in _SUMS.strip().split(";\n"):
            started = time.perf_counter()
            connection.execute(statement.removesuffix(";"))
            print(f"  {statement[:60]!r} {time.perf_counter() - started:.1f} s", flush=True)
        started = time.perf_counter()
        ids = connection.execute("SELECT id FROM incidents ORDER BY found_us")
        while batch := ids.fetchmany(CHUNK):
            with journal.transaction():
                for (identity,) in batch:
                    search_index.index(connection, identity)
        print(f"  words {time.perf_counter() - started:.1f} s", flush=True)
        connection.execute("PRAGMA optimize")
    unfinished.rename(path)


def _insert(connection: Any, statement: str, rows: Iterator[tuple[Any, ...]]) -> None:
    started = time.perf_counter()
    while chunk := list(islice(rows, CHUNK)):
        connection.execute("BEGIN")
        connection.executemany(statement, chunk)
        connection.execute("COMMIT")
    print(f"  {statement.strip()[:40]!r} {time.perf_counter() - started:.1f} s", flush=True)


HEADS = ("kernel.fault-7", "kernel.fault-8")
FAULT_FILTERS: tuple[dict[str, list[str]], ...] = (
    {},
    {"host": ["db-8"]},
    {"host": ["db-*"]},
    {"host": ["*99"]},
    {"host": ["nowhere-*"]},
    {"since": ["24h"]},
    {"since": ["2023-01-01"], "until": ["2023-02-01"]},
    {"function": ["function_0"]},
    {"function": ["function_0", "function_2999", "function_17"]},
    {"kernel": ["5.4..6.8"]},
    {"class": ["class-3"]},
    {"class": ["memory-fault", "tcp-state"], "host": ["*99"]},
    {"signature": ["kernel.fault-39"]},
    {"severity": ["warning"]},
    {"problem": ["1:function_0"], "host": ["db-*"]},
    {"problem": ["1:function_0"], "host": ["nowhere-*"]},
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
    {"rule": ["machine-check-then-panic"]},
    {"class": ["tcp-state"]},
    {"class": ["class-3", "class-8"], "signature": ["kernel.fault-39"]},
    {"severity": ["warning"]},
    {"state": ["open"]},
    {"state": ["open"], "severity": ["warning"], "rule": ["machine-check-then-panic"]},
    {"problem": ["1:function_0"]},
    {"function": ["function_0", "function_2999"]},
    {"module": ["module_59"]},
    {"module": ["module_3"], "rule": ["machine-check-then-panic"], "severity": ["warning"]},
    {"kernel": ["4.0.0"]},
    {"kernel": ["5.4..6.8"]},
    {"known_issue": ["tcp-listener-race"]},
    {"text": ["address"]},
    {"text": ["frame_12_3 kernel"]},
    {"text": ["frame_12*"]},
    {"text": ["frame_1_*", "function_10*"]},
    {"text": ["0000000000000040"]},
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
    yield "releases with", lambda: history.releases_with("1:function_0")
    row = history.search(Filter()).rows[0]
    yield "overview", lambda: history.overview(NOW_US)
    yield "totals", history.totals
    yield "incident", lambda: history.incident(row.id)
    yield "similar", lambda: history.similar(row.id)
    yield "changes of", lambda: history.changes_of(row.id)
    yield "changes", lambda: history.changes(history.last_change() - 100)
    yield "problem (the largest)", lambda: history.problem("1:function_0")
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
        lambda: history.signature_hits("tcp.state", NOW_US - 30 * DAY_US, NOW_US),
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
