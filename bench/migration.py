"""An older history brought up to date while it is served.

    python -m bench.migration OLD.db SCRATCH.db

OLD.db is a history of an earlier version, which is copied. Prints the seconds of opening it (its
tables are brought up to date then), and of the steps that enter its faults, problems and kernels
while `oopswatch serve` answers: how many, how long the file was held at most, and the times of the
pages meanwhile.
"""

from __future__ import annotations

import argparse
import shutil
import time
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from bench.pages import ask, p95, server
from detector.clock import now_us
from detector.store import open_history, open_journal
from detector.store.query.filters import Filter
from detector.store.retention import Keeper, RetentionLimits

ADDRESSES = ("/", "/faults", "/problems", "/incidents", "/api/v1/problems", "/fleet")


def enter(path: Path, told: Connection) -> None:
    """Enters what the older version did not keep, and tells the seconds of each step."""
    keeper = Keeper(path, RetentionLimits())
    begun, held, rows = time.process_time(), [], 0
    with closing(keeper):
        for step in keeper.steps(now_us()):
            if step.what == "older rows entered":
                held.append(step.seconds)
                rows += step.rows
    told.send((held, rows, time.process_time() - begun))


def main() -> None:
    """Copies, opens, enters while serving, and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("scratch", type=Path)
    chosen = parser.parse_args()
    shutil.copyfile(chosen.old, chosen.scratch)
    begun, cpu = time.perf_counter(), time.process_time()
    open_journal(chosen.scratch).close()
    opened = time.perf_counter() - begun
    print(f"  opened: {opened:.1f} s, {time.process_time() - cpu:.1f} s CPU", flush=True)
    told, tells = (context := get_context("spawn")).Pipe(duplex=False)
    taken: dict[str, list[float]] = {address: [] for address in ADDRESSES}
    with server(chosen.scratch) as served:
        child = context.Process(target=enter, args=(chosen.scratch, tells))
        begun = time.perf_counter()
        child.start()
        while not told.poll(0.05):
            for address, times in taken.items():
                times.append(ask(served.connection, address)[0])
        held, rows, cpu = told.recv()
        child.join()
    print(
        f"  entered: {rows:,} rows in {len(held):,} steps, {time.perf_counter() - begun:.0f} s, "
        f"{cpu:.0f} s CPU; a step held the file for {max(held) * 1_000:.0f} ms at most, "
        f"p50 {median(held) * 1_000:.0f} ms",
        flush=True,
    )
    for address, times in taken.items():
        print(f"  {address}: p50 {median(times):.1f} ms, p95 {p95(times):.1f} ms meanwhile")
    with closing(open_history(chosen.scratch)) as history:
        problems, faults = history.problems(Filter()).rows, history.faults(Filter(), ()).rows
        print(f"  after: {len(problems)} problems and {len(faults)} faults on the first page")


if __name__ == "__main__":
    main()
