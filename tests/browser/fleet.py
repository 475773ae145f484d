"""A history as a fleet leaves it behind: the founding incident of the example log among those of a
simulated fleet, and noise.

In: a folder. Out: the file, and the moment as of which pages are to show it. The same every time.
"""

from __future__ import annotations

import shutil
from contextlib import chdir, closing
from pathlib import Path

from detector.app import build
from detector.drive import run
from detector.settings import Settings
from detector.simulate import SimulationPlan, records, simulate, to_stream
from detector.sources.files.source import FileSource
from detector.store import open_journal
from tests.support.shipped import shipped

EXAMPLE = Path(__file__).parents[2] / "docs" / "example.log"
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
START_US = 1_772_323_200 * SECOND_US  # 2026-03-01
NOW_US = START_US + 2 * DAY_US
HOST = "web-12"


def write(folder: Path, *, hosts: int = 30, incidents: int = 24, lines: int = 12_000) -> Path:
    """Writes the history of two days: the fleet's, then the example log, found two minutes ago."""
    path = folder / "history.db"
    plan = SimulationPlan(
        seed=5,
        hosts=hosts,
        lines=lines,
        start=START_US,
        duration_s=2 * 86_400,
        incidents=incidents,
        noise_share=0.01,
    )
    with (folder / "fleet.log").open("wb") as out:
        to_stream(records(simulate(plan)), out)
    shutil.copy(EXAMPLE, folder / EXAMPLE.name)
    with chdir(folder):  # what was read is called as it was named
        take(path, "fleet.log", found_us=NOW_US - 3_600 * SECOND_US)
        take(path, EXAMPLE.name, found_us=NOW_US - 120 * SECOND_US, host=HOST)
    return path


def take(path: Path, log: str, *, found_us: int, host: str | None = None) -> None:
    """Takes a log into a history, as `oopswatch scan --store` does, at a given time."""
    with closing(open_journal(path, clock=lambda: found_us)) as journal:
        watch = build.watch_of(Settings(), journal, shipped(), host=host)
        run(FileSource([log]), watch, lambda: found_us)
        watch.finish(found_us)
