"""Compares the Spark job with `scan --store` over the same simulated lake, row by row.

Run by `make spark`: LAKE_MB says how large the lake is before it is compressed.
"""

from __future__ import annotations

import gzip
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

JOB = Path(__file__).parents[1] / "deploy" / "spark" / "backfill.py"
LAKE_MB = int(os.environ.get("LAKE_MB", "1000"))
LINE_BYTES = 115  # of rfc3164, about
PARTS = {
    "incidents": "SELECT id, title, fingerprint, function, severity, joined_into FROM incidents",
    "matches": "SELECT host, kernel_time_us, wall_time_us, signature, text FROM matches",
    "reports": "SELECT lines, title, fingerprint FROM reports",
    "noise": "SELECT host, process, signature, hour_us, sum(count) FROM noise GROUP BY 1, 2, 3, 4",
}


def run(*command: object) -> float:
    """Runs a program; returns its seconds."""
    began = time.monotonic()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def make_lake(folder: Path) -> int:
    """Writes the logs of 500 hosts, compressed; returns their bytes before that."""
    program = Path(sys.executable).with_name("oopswatch")
    lines = LAKE_MB * 1_000_000 // LINE_BYTES
    run(
        program, "simulate", "--hosts", 500, "--lines", lines, "--incidents", 100, "--seed", 17,
        "--noise-share", 0.002, "--format", "rfc3164", "--out", folder,
    )  # fmt: skip
    size = 0
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        size += len(data)
        path.with_suffix(".log.gz").write_bytes(gzip.compress(data, 1))
        path.unlink()
    return size


def rows(store: Path, query: str) -> list[tuple[object, ...]]:
    """The rows of a history, sorted."""
    with closing(sqlite3.connect(store)) as connection:
        return sorted(connection.execute(query), key=repr)


def main() -> int:
    """Prints each part with its number of rows; returns 1 where one differs."""
    program, submit = (
        Path(sys.executable).with_name(name) for name in ("oopswatch", "spark-submit")
    )
    os.environ["PATH"] = f"{program.parent}:{os.environ['PATH']}"
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    with TemporaryDirectory(prefix="oopswatch-spark-") as name:
        folder = Path(name)
        size = make_lake(folder / "lake")
        scanned, sparked = folder / "scan.db", folder / "spark.db"
        subprocess.run(
            [program, "scan", "--store", scanned, folder / "lake"],
            check=False,  # 1 says that it found faults
            stdout=subprocess.DEVNULL,
        )
        options = ("--master", "local[2]", "--conf", "spark.ui.enabled=false")
        seconds = run(submit, *options, JOB, "--history", sparked, folder / "lake" / "*.gz")
        sys.stdout.write(f"{size / 1e6:,.0f} MB, job {seconds:.0f} s\n")
        differing = 0
        for part, query in PARTS.items():
            theirs, ours = rows(scanned, query), rows(sparked, query)
            differing += theirs != ours
            equal = "equal" if theirs == ours else "DIFFERENT"
            sys.stdout.write(f"{part}: scan {len(theirs):,}, Spark {len(ours):,}: {equal}\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
