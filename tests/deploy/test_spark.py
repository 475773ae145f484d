"""The Spark job finds what `scan` finds, shuffled as Spark shuffles."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from detector.cli import oopswatch
from detector.clock import DAY_US
from detector.simulate import SimulationPlan, records, simulate

JOB = Path(__file__).parents[2] / "deploy" / "spark" / "backfill.py"
WORKERS = 3
PLAN = SimulationPlan(
    seed=6, hosts=15, lines=2_000, incidents=6, half_signatures=4, reboots=3, noise_share=0.01
)


@pytest.fixture(scope="module")
def job() -> ModuleType:
    """The job as a module; Spark itself is imported by its `main` alone."""
    module = ModuleType("backfill")
    exec(compile(JOB.read_text(), str(JOB), "exec"), module.__dict__)
    return module


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of several hosts each, two of a host."""
    folder = tmp_path_factory.mktemp("lake")
    parts: dict[str, list[bytes]] = {}
    for day, start in enumerate((PLAN.start, PLAN.start + 3 * DAY_US)):
        fleet = simulate(replace(PLAN, start=start))
        for host, value in records(fleet, format="rfc3164", delivery="in-order"):
            parts.setdefault(f"{sum(host.encode()) % 4}-{day}.log", []).append(value)
    for name, values in parts.items():
        (folder / name).write_bytes(b"\n".join(values) + b"\n")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def scanned(lake: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The history of `scan`."""
    store = tmp_path_factory.mktemp("scan") / "scan.db"
    done = CliRunner().invoke(oopswatch, ["scan", "--store", str(store), *map(str, lake)])
    assert done.exit_code == 1, done.output
    return store


@pytest.fixture(scope="module")
def shuffled(job: ModuleType, lake: list[Path]) -> list[list[tuple[tuple[str, int, int], bytes]]]:
    """The sorted partitions after the shuffle."""
    partitions: list[list[tuple[tuple[str, int, int], bytes]]] = [[] for _ in range(WORKERS)]
    for part in enumerate(map(str, lake)):
        for key, finding in job.detect([part]):
            partitions[job.of_host(key) % WORKERS].append((key, finding))
    return [sorted(partition) for partition in partitions]


def rows(store: Path, query: str) -> list[tuple[object, ...]]:
    """The rows of a history, sorted."""
    with closing(sqlite3.connect(store)) as connection:
        return sorted(connection.execute(query), key=repr)


def test_the_history_is_that_of_scan(
    job: ModuleType, shuffled: list[list[object]], scanned: Path, tmp_path: Path
) -> None:
    """Incidents, matches, reports, noise."""
    store = tmp_path / "spark.db"
    job.keep((item for partition in shuffled for item in partition), str(store))
    for query in (
        "SELECT id, title, fingerprint, joined_into FROM incidents",
        "SELECT host, kernel_time_us, wall_time_us, signature, text FROM matches",
        "SELECT lines FROM reports",
        "SELECT host, process, signature, hour_us, sum(count) FROM noise GROUP BY 1, 2, 3, 4",
    ):
        assert rows(store, query) == rows(scanned, query)
        assert rows(store, query)


def test_workers_alone_find_the_same_incidents(
    job: ModuleType, shuffled: list[list[object]], scanned: Path
) -> None:
    """Each row with its JSON."""
    found = [row for partition in shuffled for row in job.correlate(partition)]
    query = "SELECT id, host FROM incidents WHERE joined_into IS NULL"
    assert sorted((row[0], row[1]) for row in found) == rows(scanned, query)
    for row in found:
        item = json.loads(row[-1])
        assert tuple(item[name] for name in job.COLUMNS[:-1]) == row[:-1]


def test_a_file_that_cannot_be_read_fails_the_task(job: ModuleType, tmp_path: Path) -> None:
    """It is named, so that nothing is left out in silence."""

    def work() -> Iterator[object]:
        yield from job.detect([(0, str(tmp_path / "none.log"))])

    with pytest.raises(OSError, match=r"none\.log"):
        list(work())
