"""The most memory that `scan` and `run` have resident over 100,000 hosts at 2 % hits. `python -m
bench.memory`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.broker import broker, fill
from bench.corpora import HOSTS, SHARES, Corpus, corpora
from bench.figures import Goal, Results
from bench.machine import facts, keep
from bench.processes import peak_mb
from bench.service import service

LIMIT_MB = 200


def main() -> int:
    """Measures both once and keeps the results."""
    results = Results("memory", facts())
    (one,) = corpora(((HOSTS[1], SHARES[1]),))
    results.goals.append(
        Goal(f"peak memory of oopswatch scan, {one.title}", LIMIT_MB, _scan(one), "at most", "MB")
    )
    with broker() as kafka, tempfile.TemporaryDirectory(prefix="oopswatch-bench-") as scratch:
        records = fill(kafka, "memory", one.path)
        with service(Path(scratch), kafka.bootstrap, "memory") as running:
            running.wait(records)
            results.goals.append(
                Goal(
                    f"peak memory of oopswatch run, {one.title}",
                    LIMIT_MB,
                    running.peak_mb(),
                    "at most",
                    "MB",
                )
            )
    keep(results)
    return 0


def _scan(one: Corpus) -> float:
    """VmHWM in MB, read until the process has ended: what a new program has used, whoever started
    it.
    """
    words = [str(Path(sys.executable).with_name("oopswatch")), "scan", str(one.path)]
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, peak_mb(process.pid))
        time.sleep(0.02)
    return peak


if __name__ == "__main__":
    raise SystemExit(main())
