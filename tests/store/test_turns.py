"""Writers take turns: one that commits and begins again at once shuts nobody out."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from detector.store import open_journal
from detector.store.alerts import open_alert_store
from detector.store.ingest.journal import Journal

# As a storm's batches: each holds the lock for so long, and the next begins at once.
BATCH_S = 0.05
STORM = f"""
import sys, time
from detector.store import open_journal
journal = open_journal(sys.argv[1])
print("begun", flush=True)
while True:
    with journal.transaction():
        journal.add_counts({{"storm": 1}})
        time.sleep({BATCH_S})
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """An empty history."""
    path = tmp_path / "history.db"
    open_journal(path).close()
    return str(path)


@contextmanager
def storm(path: str) -> Iterator[threading.Event]:
    """Batches back to back on a thread of this process; the event is set after each."""
    stored = threading.Event()
    over = threading.Event()

    def run() -> None:
        with closing(open_journal(path)) as journal:
            while not over.is_set():
                with journal.transaction():
                    journal.add_counts({"storm": 1})
                    time.sleep(BATCH_S)
                stored.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield stored
    finally:
        over.set()
        thread.join()


def longest_wait(path: str, turns: int, stored: threading.Event | None = None) -> float:
    """Seconds that one of so many transactions of the alerts waited at most. Each begins when
    something was stored, as alerts do, where that is known.
    """
    waits = []
    with closing(open_alert_store(path)) as store:
        for _ in range(turns):
            if stored is not None:
                assert stored.wait(60)
                stored.clear()
            begun = time.monotonic()
            with store.transaction():
                waits.append(time.monotonic() - begun)
    return max(waits)


def test_alerts_get_their_turn_between_the_batches_of_a_storm(path: str) -> None:
    """Without turns one waits for ten seconds and more, and then alerts halt."""
    with storm(path) as stored:
        assert longest_wait(path, 20, stored) < 2


def test_other_processes_get_their_turn_too(path: str) -> None:
    """`oopswatch incidents ack` beside a service in a storm, and the service beside it."""
    with subprocess.Popen(
        [sys.executable, "-c", STORM, path], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            assert longest_wait(path, 20) < 2
        finally:
            process.kill()


def test_a_gate_that_stays_shut_stops_nobody(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program may lock the folder, or a process may be stopped at the gate."""
    monkeypatch.setattr("detector.store.turns._PATIENCE_S", 0.05)
    descriptor = os.open(Path(path).parent, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        assert longest_wait(path, 2) < 2
    finally:
        os.close(descriptor)


def test_a_history_in_memory_has_no_gate() -> None:
    """It has one writer."""
    with closing(open_journal(":memory:")) as journal:
        assert isinstance(journal, Journal)
        with journal.transaction():
            journal.add_counts({"a": 1})
