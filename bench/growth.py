"""Growth: ten times the input, and ten times the history. `python -m bench.growth`.

Input: a tenth of a corpus and all of it, by the seconds that the scan itself reports (start-up is
not counted, it would flatter). History: the same new matches (every line is one, one in twenty
completes a pair) into histories of none, one and ten million matches.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

from bench import options
from bench.corpora import HOSTS, SHARES, corpora, line_count
from bench.figures import Goal, Results, Row, paired_ratio
from bench.machine import facts, keep
from bench.running import Command, Contender, in_turn, run
from detector.store import open_journal

FULL = options.BYTES >= options.OFFICIAL_BYTES
HISTORIES = (0, 1_000_000, 10_000_000) if FULL else (0, 20_000, 200_000)
NEW_MATCHES = 20_000 if FULL else 4_000
FLEET = 100_000
_BATCH = 1_000_000
_rounds = count(1)


def main() -> int:
    """Measures both and keeps the results."""
    results = Results("growth", facts())
    for one in corpora((HOSTS[0], share) for share in SHARES):
        part = one.beginning(max(1, one.lines() // 10))
        rows = [
            Row(f"input, {one.title}", f"{line_count(path):,} lines", line_count(path), "lines")
            for path in (part, one.path)
        ]
        in_turn(
            [Contender(row, _scan(path)) for row, path in zip(rows, (part, one.path), strict=True)],
            options.ROUNDS,
        )
        results.rows += rows
        tenfold = paired_ratio(rows[1].seconds, rows[0].seconds)
        factor = rows[1].amount / rows[0].amount
        results.goals.append(
            Goal(f"{factor:.1f} × the input, {one.title}: time", factor * 1.05, tenfold, "at most")
        )
    with tempfile.TemporaryDirectory(prefix="oopswatch-bench-") as scratch:
        results.rows += (rows := _histories(Path(scratch)))
    for row in rows[:2]:
        what = f"history of {rows[2].name} against {row.name}: time of the same new matches"
        results.goals.append(Goal(what, 1.1, paired_ratio(rows[2].seconds, row.seconds), "at most"))
    keep(results)
    return 0


def _scan(path: Path) -> Callable[[], float]:
    return lambda: _seconds([path])


def _seconds(arguments: list[object]) -> float:
    """What the summary of a scan says it took."""
    words = [Path(sys.executable).with_name("oopswatch"), "scan", "--json", *arguments]
    return float(
        json.loads(
            run(Command([str(word) for word in words], fine=(0, 1))).output.splitlines()[-1]
        )["seconds"]
    )


def _histories(scratch: Path) -> list[Row]:
    """New matches into each history in turn. A history grows by them, by less than a hundredth."""
    rows = [Row("history", f"{matches:,} matches", NEW_MATCHES, "matches") for matches in HISTORIES]
    contenders = [
        Contender(row, _into(matches, scratch))
        for row, matches in zip(rows, HISTORIES, strict=True)
    ]
    return in_turn(contenders, options.ROUNDS)


def _into(matches: int, scratch: Path) -> Callable[[], float]:
    kept = history(matches) if matches else None

    def once() -> float:
        number = next(_rounds)
        log, store = scratch / f"{number}.log", kept or scratch / f"{number}.db"
        log.write_text("".join(new_matches(number)), encoding="utf-8")
        return _seconds(["--store", store, log])

    return once


def new_matches(number: int) -> list[str]:
    """Lines that no earlier round held: releases over the fleet, each twentieth followed by the
    fault that makes it an incident.
    """
    lines: list[str] = []
    for index in range(NEW_MATCHES * 20 // 21):
        host, second = f"node-{index * 7919 % FLEET:06d}", 10_000_000 + number * 100_000 + index
        head = f"Jun  1 12:00:00 {host} kernel: [{second}"
        lines.append(
            f"{head}.000001] IPv4: Attempt to release TCP socket in state 10 ffff8056{index:08x}\n"
        )
        if index % 20 == 0:
            lines.append(
                f"{head}.500001] BUG: kernel NULL pointer dereference, address: 0000000000000030\n"
            )
    return lines


def history(matches: int) -> Path:
    """A history that holds so many matches over 100,000 hosts, kept with the corpora. Filled match
    by match in the order of time.

    Indexes that were made afterwards would have no room in their pages, and split at each new match
    as no grown history does.
    """
    path = options.CORPORA / f"grown-{matches}.db"
    if path.exists():
        return path
    print(f"  filling a history of {matches:,} matches …", flush=True)
    scratch = path.with_suffix(".part")
    for old in scratch.parent.glob(f"{scratch.name}*"):
        old.unlink()
    options.CORPORA.mkdir(parents=True, exist_ok=True)
    open_journal(scratch).close()
    with closing(sqlite3.connect(scratch, isolation_level=None)) as db:
        db.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = "
            "OFF; PRAGMA cache_size = -500000;"
        )
        db.execute(_HOSTS, (FLEET,))
        for first in range(0, matches, _BATCH):
            db.execute(_MATCHES, (first, min(matches, first + _BATCH), FLEET))
        db.execute("PRAGMA journal_mode = WAL")
    shutil.move(scratch, path)
    return path


_HOSTS = """WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
INSERT INTO hosts (name, first_seen_us, last_seen_us) SELECT printf('node-%06d', i),
    1767225600000000, 1767225600000000 FROM n"""
_MATCHES = """WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
INSERT INTO matches
  (key, host, kernel_time_us, wall_time_us, stream, boot_count, signature, class, severity, text,
    fields, source, number)
SELECT i * 2654435761, printf('node-%06d', i % ?3), 1000000 * (1000 + i / ?3 * 600),
  1767225600000000 + 1000000 * (i / ?3 * 600),
  'kernel-logs/0', 0, 'kernel.tcp-release-state', 'tcp-state', 'warning',
  printf('IPv4: Attempt to release TCP socket in state 10 %016x', i), '{}', 'kernel-logs/0', i
    FROM n"""


if __name__ == "__main__":
    raise SystemExit(main())
