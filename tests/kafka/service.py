"""`oopswatch run` as a process of its own, what it logs, and what its history holds."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Protocol

from tests.kafka.broker import Broker

WITHIN_S = 120
COMMAND = (sys.executable, "-c", "from detector.cli import main; main()")


class Process(Protocol):
    """What is asked of a process: a part of `subprocess.Popen`."""

    @property
    def pid(self) -> int | None:
        """Its number."""

    def poll(self) -> int | None:
        """How it ended; None while it lives."""

    def kill(self) -> None:
        """Ends it by SIGKILL."""

    def send_signal(self, number: int, /) -> None:
        """Sends a signal."""

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end."""


def started(environment: Mapping[str, str], log: Path) -> Process:
    """Starts `oopswatch run`."""
    with log.open("ab") as file:
        return subprocess.Popen(
            [*COMMAND, "run"], stderr=file, env=environment, start_new_session=True
        )


class Service:
    """One `oopswatch run`, started at once. Its log is in a file beside its history."""

    def __init__(
        self,
        broker: Broker | str,
        topic: str,
        group: str,
        store: Path,
        *,
        start: Callable[[Mapping[str, str], Path], Process] = started,
        **settings: object,
    ) -> None:
        self.store = store
        self.log = store.with_suffix(".log")
        bootstrap = broker if isinstance(broker, str) else broker.bootstrap
        names = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "KAFKA_TOPICS": topic,
            "KAFKA_GROUP": group,
            "STORE_PATH": str(store),
            "LOG_FORMAT": "json",
            "KEEP_EVERY_S": "0",  # old noise is not folded into days
        } | {name.upper(): str(value) for name, value in settings.items()}
        environment = os.environ | {f"OOPSWATCH_{name}": value for name, value in names.items()}
        self.log.touch()
        self.process = start(environment, self.log)

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it has said so far, all starts of this store together: every line is one."""
        return [json.loads(line) for line in self.log.read_text(errors="replace").splitlines()]

    def said(self, event: str) -> list[dict[str, Any]]:
        """The events of a name."""
        return [item for item in self.events if item["event"] == event]

    def until(self, reached: Callable[[], bool], within_s: float = WITHIN_S) -> None:
        """Waits until it is so; fails where the process ends first."""
        deadline = time.monotonic() + within_s
        while not reached():
            assert self.process.poll() is None, self.log.read_text()[-3_000:]
            assert time.monotonic() < deadline, self.log.read_text()[-3_000:]
            time.sleep(0.02)

    def stored(self) -> int:
        """How many records the history says are dealt with."""
        return stored(self.store)

    def signal(self, number: int) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def stop(self) -> float:
        """SIGTERM ends it cleanly; the seconds that this took."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.log.read_text()[-3_000:]
        return time.monotonic() - began

    def kill(self) -> None:
        """Ends it for good, whatever it does."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()


def ask(store: Path, query: str) -> list[tuple[Any, ...]]:
    """Rows of a history, also while it is written; none while it is not made."""
    if not store.exists():
        return []
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as history:
        try:
            return history.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []


def stored(store: Path) -> int:
    """The sum of a history's positions."""
    rows = ask(store, "SELECT coalesce(sum(position), 0) FROM positions")
    return int(rows[0][0]) if rows else 0
