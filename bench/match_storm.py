"""A storm of kernel matches: python -m bench.match_storm [LINES].

Lines of three signatures from a hundred hosts within an hour, with two faults inside that each make
a pair with the line before. Said are the CPU time a line (start-up included), the size of the
history, whether both pairs were found, and whether the counts are exact.
"""

from __future__ import annotations

import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

LINES, HOSTS, SPAN_S = 1_000_000, 100, 3_600
BEGIN = datetime(2026, 11, 3, 10, tzinfo=UTC)
FAULT = "EXT4-fs error (device sda1): ext4_find_entry:1455: inode #{n}: comm kworker/0:1: bad entry"
STORM = (
    "nfs: server nas-{n} not responding, still trying",
    (
        "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0 (channel:1 slot:0 "
        "page:0x{n:x} offset:0x0 grain:32 syndrome:0x0)"
    ),
    "blk_update_request: I/O error, dev sda, sector {n} op 0x0:(READ) flags 0x0 phys_seg 1",
)
GOALS = "goals: 20 µs a line, 10 MB, 2 pairs, exact counts"


def write(path: Path, lines: int) -> None:
    """Writes a storm with a fault at a third and at two thirds of it."""
    drawn = random.Random(7)
    faults = {lines // 3, 2 * lines // 3}
    with path.open("w", encoding="utf-8") as out:
        for number in range(lines):
            us = number * SPAN_S * 1_000_000 // lines + drawn.randrange(7)
            host = drawn.randrange(HOSTS)
            text = FAULT if number in faults else drawn.choice(STORM)
            stamp = (BEGIN + timedelta(microseconds=us)).strftime("%b %e %H:%M:%S")
            seconds, fraction = divmod(us, 1_000_000)
            out.write(
                f"{stamp} node-{host} kernel: [{100_000 + host + seconds}.{fraction:06}] "
                f"{text.format(n=drawn.randrange(1 << 20))}\n"
            )


def main(arguments: list[str]) -> None:
    """Measures and prints."""
    lines = int(arguments[0]) if arguments else LINES
    with tempfile.TemporaryDirectory() as folder:
        log, store = Path(folder, "storm.log"), Path(folder, "history.db")
        write(log, lines)
        command = [Path(sys.executable).with_name("oopswatch"), "scan", "--store", store, log]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        with sqlite3.connect(store) as history:
            whole, counted, pairs = history.execute(
                "SELECT (SELECT count(*) FROM matches), (SELECT sum(count) FROM repeats), "
                "(SELECT count(*) FROM incidents)"
            ).fetchone()
        size = store.stat().st_size
    difference = whole + counted - lines
    sys.stdout.write(
        f"{lines:,} lines: {cpu_s / lines * 1e6:.1f} µs CPU a line, {size / 1e6:.1f} MB, "
        f"{pairs} pairs, {whole:,} whole and {counted:,} counted: "
        f"{f'{difference:+,} lines' if difference else 'exact'} ({GOALS})\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
