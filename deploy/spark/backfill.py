"""Finds the incidents of a lake of archived logs with Spark, by oopswatch's public API alone.

    spark-submit backfill.py --history history.db 'lake/*/*.gz'
    spark-submit backfill.py --parquet incidents.parquet 'lake/*/*.gz'

The paths are read by the workers, so the lake is a file system that all of them mount. Each file is
detected by itself; findings are brought together by host and sorted as they were made, the files of
a host in the order of their names. With `--history` the driver stores them in one SQLite history,
which is `scan --store`'s; with `--parquet` each worker correlates the hosts that it has, and
incidents are written as a table (id, host, rule, severity, started, title, json).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from glob import glob
from typing import Any

from detector.api import (
    Archive,
    Detector,
    FileSource,
    catalogue_of,
    from_json,
    incident_json,
    open_history,
    settings_from,
    to_json,
)

# Host, number of the file, number of the finding within the file: sorted, the order in which they
# were made.
Key = tuple[str, int, int]
# Findings of one transaction.
BATCH = 5_000
# Tasks of a worker: patterns are read once a task.
TASKS = 8
COLUMNS = ("id", "host", "rule", "severity", "started", "title", "json")


def detect(parts: Iterable[tuple[int, str]]) -> Iterator[tuple[Key, bytes]]:
    """Numbered files → keyed findings. Raises where a file cannot be read: Spark tries again."""
    settings = settings_from()
    catalogue = catalogue_of(settings)
    for number, path in parts:
        detector, found = Detector(settings, catalogue=catalogue), 0
        source = FileSource((path,))
        with closing(source):
            for batch in source.batches():
                for finding in detector.feed(batch, now_us()):
                    found += 1
                    yield (finding.host, number, found), to_json(finding)
        if source.failed:
            raise OSError("; ".join(str(problem) for problem in source.problems))
        for finding in detector.finish(now_us()):
            found += 1
            yield (finding.host, number, found), to_json(finding)


def now_us() -> int:
    """The time, µs since 1970."""
    return time.time_ns() // 1_000


def of_host(key: Key) -> int:
    """The shuffle's hash of a key: all findings of one host are one worker's."""
    return zlib.crc32(key[0].encode())


def keep(findings: Iterable[tuple[Key, bytes]], path: str) -> int:
    """Stores findings in a history; returns how many incidents they raised or changed."""
    raised: set[str] = set()
    with closing(open_history(path)) as history:
        archive = Archive(history, settings_from())
        for batch in batches(findings):
            raised.update(item.incident.id for item in archive.take(map(from_json, batch)))
    return len(raised)


def correlate(findings: Iterable[tuple[Key, bytes]]) -> Iterator[tuple[str | None, ...]]:
    """Findings of some hosts → incidents as rows of `COLUMNS`."""
    raised: dict[str, dict[str, Any]] = {}
    with closing(open_history(":memory:")) as history:
        archive = Archive(history, settings_from())
        for batch in batches(findings):
            for item in archive.take(map(from_json, batch)):
                raised[item.incident.id] = json.loads(incident_json(item))
    joined = {identity for item in raised.values() for identity in item["joined"]}
    for identity, item in raised.items():
        if identity not in joined:
            yield (*(item[name] for name in COLUMNS[:-1]), json.dumps(item))


def batches(findings: Iterable[tuple[Key, bytes]]) -> Iterator[list[bytes]]:
    """So many findings as one transaction takes."""
    batch: list[bytes] = []
    for _, finding in findings:
        batch.append(finding)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def arguments() -> argparse.Namespace:
    """What the command line asks for, with `paths` as the files that fit."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files of logs, globs")
    out = parser.add_mutually_exclusive_group(required=True)
    out.add_argument("--history", help="SQLite history to store everything in")
    out.add_argument("--parquet", help="new folder to write incidents to")
    given = parser.parse_args()
    paths = {path for pattern in given.paths for path in glob(pattern)}  # noqa: PTH207
    if not paths:
        parser.error(f"no file fits {' '.join(given.paths)}")
    given.paths = sorted(paths)
    return given


def main() -> None:
    """Runs the job."""
    given = arguments()

    from pyspark.sql import SparkSession

    spark = SparkSession.builder.appName("oopswatch-backfill").getOrCreate()
    workers = max(spark.sparkContext.defaultParallelism, 2)
    tasks = min(len(given.paths), workers * TASKS)
    found = (
        spark.sparkContext.parallelize(list(enumerate(given.paths)), tasks)
        .mapPartitions(detect)
        .repartitionAndSortWithinPartitions(workers, of_host)
    )
    try:
        if given.history:
            incidents = keep(found.toLocalIterator(), given.history)
            done = f"{incidents} incidents raised or changed: {given.history}"
        else:
            schema = ", ".join(f"{name} string" for name in COLUMNS)
            table = spark.createDataFrame(found.mapPartitions(correlate), schema)
            table.write.mode("error").parquet(given.parquet)
            done = f"incidents: {given.parquet}"
    finally:
        spark.stop()
    sys.stdout.write(f"{len(given.paths)} files, {done}\n")


if __name__ == "__main__":
    main()
