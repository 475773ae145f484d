"""`oopswatch run` as its user starts it, watched from outside: by its log and by what stands in its
history.

A run is timed from the moment at which the group hands it its partitions to the moment at which
every position of the topic is stored.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.figures import Reported
from bench.processes import peak_mb
from bench.running import FailedError, pinned

LOOK_S = 0.01
WITHIN_S = 600


@dataclass(slots=True)
class Service:
    """One process, its history and its log."""

    process: subprocess.Popen[bytes]
    store: Path
    log: Path

    def began(self) -> float | None:
        """Wall time at which partitions were assigned; None while they are not."""
        for line in self.log.read_text(errors="replace").splitlines():
            if '"rebalance"' in line and (event := json.loads(line)).get("assigned"):
                return datetime.fromisoformat(event["timestamp"]).timestamp()
        return None

    def stored(self) -> int:
        """Records whose positions are stored."""
        rows = self.ask("SELECT coalesce(sum(position), 0) FROM positions")
        return int(rows[0][0]) if rows else 0

    def incidents(self) -> list[Reported]:
        """Host and kernel time of each incident's anchor."""
        query = (
            "SELECT i.host, m.kernel_time_us FROM incidents i JOIN matches m ON m.id = "
            "i.anchor_id WHERE joined_into IS NULL AND rule = ?"
        )
        return [
            (str(host), int(kernel_us))
            for host, kernel_us in self.ask(query, "tcp-release-and-memory-fault")
        ]

    def ask(self, query: str, *arguments: object) -> list[tuple[object, ...]]:
        """Rows of the history; none while it is being made."""
        try:
            with closing(
                sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=5)
            ) as reader:
                return reader.execute(query, arguments).fetchall()
        except sqlite3.OperationalError:
            return []

    def wait(self, records: int) -> float:
        """Waits until so many records are stored; the seconds since partitions were assigned.
        Raises FailedError.
        """
        deadline = time.monotonic() + WITHIN_S
        while self.stored() < records:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise FailedError(
                    f"oopswatch run stands at {self.stored():,} of {records:,}: "
                    f"{self.log.read_text(errors='replace')[-400:]}"
                )
            time.sleep(LOOK_S)
        done, began = time.time(), self.began()
        if began is None:
            raise FailedError("oopswatch run stored positions without an assignment in its log")
        return done - began

    def peak_mb(self) -> float:
        """The most memory that it has had resident."""
        return peak_mb(self.process.pid)


@contextmanager
def service(
    home: Path, bootstrap: str, topic: str, settings: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """A service with a new group and a new history in `home`; it is ended by SIGTERM."""
    name = uuid.uuid4().hex[:12]
    store, log = home / f"{name}.db", home / f"{name}.log"
    words = [
        Path(sys.executable).with_name("oopswatch"),
        "run",
        "--bootstrap",
        bootstrap,
        "--topic",
        topic,
        "--group",
        name,
        "--store",
        store,
    ]
    environment = {**os.environ, **(settings or {})}
    with log.open("wb") as errors:
        process = subprocess.Popen(
            pinned([str(word) for word in words]), stdout=errors, stderr=errors, env=environment
        )
    try:
        yield Service(process, store, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)
        for part in home.glob(f"{name}.db*"):
            part.unlink()
