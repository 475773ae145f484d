"""The table of faults: each stored match once, with what it is searched by; and what its
report adds to its problem and to the days of the fleet.

In: ids of matches that are new or changed. Out: their rows, made anew from matches and reports:
doing it again changes nothing. A fault that the kernel panicked after is critical, whatever it
began as.

A host runs a kernel from the boot that told it until the boot that told another. Runs inside the
transaction of the journal that owns the connection.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable
from sqlite3 import Connection, Row

from detector.clock import DAY_US
from detector.lazy_regex import lazy_regex
from detector.store.ingest import problems
from detector.store.ingest.problems import ProblemPart
from detector.store.rows import NAME_LIMIT, clean, release_number

# Lines of oopswatch's own (the input is silent, a burst of noise) are no faults of a kernel.
_SOURCE = """
SELECT m.id, coalesce(max(m.wall_time_us, 0), 0) AS at_us, m.host, m.signature, m.class,
  CASE WHEN coalesce(r.details ->> '$.panic', '') = '' THEN m.severity
    ELSE 'critical' END AS severity, r.match_id IS NOT NULL AS reported,
  r.function, r.module, r.kernel, r.details ->> '$.hardware' AS hardware, r.fingerprint
FROM matches m LEFT JOIN reports r ON r.match_id = m.id WHERE m.id IN (SELECT value
  FROM json_each(?))
  AND m.signature NOT GLOB 'oopswatch.*'
"""
_STORED = "SELECT * FROM faults WHERE id IN (SELECT value FROM json_each(?)) AND reported"
_INSERT = "INSERT OR REPLACE INTO faults VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def refresh(connection: Connection, ids: Collection[int], now_us: int) -> None:
    """Makes the rows of some matches anew, and moves what their reports add."""
    ids_json = json.dumps(sorted(ids))
    before = {row["id"]: row for row in connection.execute(_STORED, (ids_json,))}
    rows = [_known_facts(row) for row in connection.execute(_SOURCE, (ids_json,))]
    connection.executemany(_INSERT, rows)
    after = {row["id"]: row for row in connection.execute(_STORED, (ids_json,))}
    crashes: Counter[tuple[str, str, int]] = Counter()
    hardware: list[dict[str, object]] = []
    for identity, row in after.items():
        old = before.get(identity)
        if old is None or tuple(old) != tuple(row):
            problems.move(connection, part(old), part(row), now_us)
            crashes.update(_crash(row))
            crashes.subtract(_crash(old))
            if row["hardware"] is not None:
                hardware.append(_told_hardware(row["host"], row["hardware"], row["at_us"]))
    _count_crashes(connection, crashes)
    connection.executemany(_HARDWARE, hardware)


def part(row: Row | None) -> ProblemPart | None:
    """Returns what the report of a fault adds to its problem; None for one without a
    fingerprint.
    """
    if row is None or row["fingerprint"] is None:
        return None
    kernel = row["kernel"]
    return ProblemPart(
        "reports",
        row["id"],
        row["fingerprint"],
        row["host"],
        kernel,
        release_number(kernel) if kernel else None,
        row["hardware"],
        row["at_us"] or None,
        row["id"],
    )


def _known_facts(row: Row) -> tuple[object, ...]:
    """The row as it is stored: hardware by its model alone."""
    if row["hardware"] is None:
        return tuple(row)
    values = dict(row)
    values["hardware"] = clean(model_of(values["hardware"]), NAME_LIMIT)
    return tuple(values.values())


# A report counts as a crash of its kernel where its signature has this severity.
CRASH = "critical"

_RUNS = "SELECT from_us, kernel FROM host_kernels WHERE host = ? ORDER BY from_us"
_BOOTS = """
SELECT coalesce(epoch_us, banner_us) AS from_us, kernel FROM boots
WHERE host = ? AND kernel IS NOT NULL AND coalesce(epoch_us, banner_us) > 0 ORDER BY from_us, id
"""
_DAY = """
INSERT INTO fleet_days (about, value, day_us, hosts, crashes) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET hosts = hosts + excluded.hosts, crashes = crashes + excluded.crashes
"""
_HARDWARE = """
UPDATE hosts SET hardware = :hardware, hardware_us = :at WHERE name = :host
  AND (hardware_us IS NULL OR hardware_us <= :at)
"""
# What follows the model: the firmware (drivers/firmware/dmi_scan.c, dmi_format_ids), or where the
# name is from (arch/arm64/kernel/setup.c, setup_machine_fdt).
_AFTER_MODEL = lazy_regex(r",? BIOS .*| \(DT\)$")

Runs = list[tuple[int, str]]


def model_of(hardware: str) -> str:
    """The model of a "Hardware name:": without firmware version and date."""
    return _AFTER_MODEL.sub("", hardware).strip() or hardware


def refresh_kernels(connection: Connection, hosts: Iterable[str]) -> None:
    """Makes the kernels of hosts anew from their boots, and moves the hosts of each day."""
    for host in hosts:
        before = [tuple(row) for row in connection.execute(_RUNS, (host,))]
        after = _runs(connection.execute(_BOOTS, (host,)))
        if before == after:
            continue
        connection.execute("DELETE FROM host_kernels WHERE host = ?", (host,))
        connection.executemany(
            "INSERT INTO host_kernels VALUES (?, ?, ?)", [(host, *run) for run in after]
        )
        change = _changes(after)
        change.subtract(_changes(before))
        connection.executemany(
            _DAY,
            [("kernel", kernel, day, count, 0) for (kernel, day), count in change.items() if count],
        )


def _told_hardware(host: str, hardware: str, at_us: int) -> dict[str, object]:
    return {"host": host, "hardware": hardware, "at": at_us}


def _count_crashes(connection: Connection, change: Counter[tuple[str, str, int]]) -> None:
    connection.executemany(_DAY, [(*key, 0, count) for key, count in change.items() if count])


def _runs(boots: Iterable[Row]) -> Runs:
    """Returns from when on which kernel ran: of equal ones in a row the first, of one time the
    last.
    """
    runs: Runs = []
    for began, kernel in boots:
        if runs and runs[-1][0] == began:
            runs.pop()
        if not runs or runs[-1][1] != kernel:
            runs.append((began, kernel))
    return runs


def _changes(runs: Iterable[tuple[int, str]]) -> Counter[tuple[str, int]]:
    """Returns by kernel and day: one host more where it begins to run, one less where it ends."""
    counted: Counter[tuple[str, int]] = Counter()
    last = None
    for began, kernel in runs:
        day = began - began % DAY_US
        counted[kernel, day] += 1
        if last is not None:
            counted[last, day] -= 1
        last = kernel
    return counted


def _crash(row: Row | None) -> Counter[tuple[str, str, int]]:
    if row is None or row["severity"] != CRASH:
        return Counter()
    day = row["at_us"] - row["at_us"] % DAY_US
    facts = (("kernel", row["kernel"]), ("hardware", row["hardware"]))
    return Counter((about, value, day) for about, value in facts if value is not None)
