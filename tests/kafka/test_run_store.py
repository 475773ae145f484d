"""What happens to the history's file under `oopswatch run`: it is said in one line, and what can be
had is had: in the end every record that Kafka holds is in the history once.
"""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from detector.store import backup
from tests.kafka.broker import ApacheKafka
from tests.kafka.killable import Forked
from tests.kafka.ledger import Ledger
from tests.kafka.service import COMMAND, Process, Service, ask

pytestmark = pytest.mark.kafka

PAGE = 4_096


class Reading:
    """One topic, and services that read it into one history, one after the other."""

    def __init__(self, broker: ApacheKafka, folder: Path) -> None:
        self.ledger = Ledger(broker, broker.create_topic())
        self.store = folder / "history.db"
        self._broker = broker
        self._group = uuid.uuid4().hex

    def start(self, start: Callable[[Mapping[str, str], Path], Process] = Forked) -> Service:
        """A service."""
        return Service(
            self._broker, self.ledger.topic, self._group, self.store, start=start, kafka_poll_ms=50
        )

    def send(self, hosts: int = 5) -> None:
        """Noise of some hosts, and a pair."""
        first, rest = self.ledger.pair()
        rows = [*first, *rest]
        for _ in range(hosts):
            rows += self.ledger.crashes(7)
        self.ledger.send(rows)

    def settle(self, service: Service) -> None:
        """Waits until all that was sent is in the history, once."""
        service.until(lambda: not self.ledger.differences(self.store), within_s=60)

    def read(self, hosts: int = 5) -> None:
        """A service that reads something, and is ended."""
        self.send(hosts)
        service = self.start()
        self.settle(service)
        service.stop()

    def move_away(self) -> None:
        """The file and what belongs to it."""
        for end in ("", "-wal", "-shm"):
            path = Path(f"{self.store}{end}")
            if path.exists():
                path.rename(f"{path}.old")


@pytest.fixture
def reading(own_kafka: ApacheKafka, tmp_path: Path) -> Reading:
    """A topic that nobody has read."""
    return Reading(own_kafka, tmp_path)


def said(service: Service) -> str:
    """What a service that ended by itself says last, which is JSON as all of its log."""
    assert service.process.wait(60) == 2, service.log.read_text()[-2_000:]
    last = service.events[-1]
    assert last["event"] == "failed"
    return str(last["error"])


def test_a_write_ahead_log_that_was_deleted(reading: Reading) -> None:
    """After a kill, what was only in it is read again."""
    reading.read()
    reading.send()
    service = reading.start()
    reading.settle(service)
    service.kill()
    for end in ("-wal", "-shm"):
        Path(f"{reading.store}{end}").unlink()
    service = reading.start()
    reading.settle(service)
    service.stop()
    (event,) = service.said("history_set_back")
    assert event["before"] > event["position"] > 0
    assert "-wal" in event["cause"]


def test_a_backup_that_was_restored(reading: Reading, tmp_path: Path) -> None:
    """What came after it is read again, and nothing before it."""
    copy = tmp_path / "copy.db"
    reading.read()
    backup.backup(reading.store, copy)
    position = ask(copy, "SELECT position FROM positions")[0][0]
    reading.read()
    reading.move_away()
    copy.rename(reading.store)
    service = reading.start()
    reading.settle(service)
    service.stop()
    (event,) = service.said("history_set_back")
    assert event["position"] == position
    assert event["cause"].startswith("a backup of 2")


def test_a_fresh_file(reading: Reading) -> None:
    """All that Kafka holds is read into it."""
    reading.read()
    reading.move_away()
    service = reading.start()
    reading.settle(service)
    service.stop()
    (event,) = service.said("history_fresh")
    assert event["position"] == 0


@pytest.mark.parametrize("table", ["sqlite_schema", "noise", "positions"])
def test_a_page_that_is_damaged(reading: Reading, table: str) -> None:
    """It ends with one line, at its start or when the page is needed; a fresh file has it all."""
    reading.read()
    query = f"SELECT rootpage FROM sqlite_schema WHERE name = '{table}'"
    pages = ask(reading.store, query)
    at = (pages[0][0] - 1) * PAGE if pages else 100  # the header of the file is left whole
    with reading.store.open("r+b") as file:
        file.seek(at)
        file.write(b"\xa5" * (PAGE - at % PAGE))
    reading.send()
    service = reading.start()
    line = said(service)
    assert line.startswith(f"{reading.store}: it is damaged: restore a backup")
    reading.move_away()
    service = reading.start()
    reading.settle(service)
    service.stop()


def test_a_file_that_is_removed_while_it_is_written(reading: Reading) -> None:
    """It ends with one line at the next batch; the next start makes a new one, with everything."""
    reading.send()
    service = reading.start()
    reading.settle(service)
    reading.store.unlink()
    reading.send()
    assert said(service).startswith(f"{reading.store}: the file was removed or replaced")
    reading.move_away()
    service = reading.start()
    reading.settle(service)
    service.stop()
    assert service.said("history_fresh")


def test_a_disk_that_is_full(reading: Reading) -> None:
    """No file may grow beyond what the history has: it ends with one line; with room again it goes
    on behind what was stored.
    """
    reading.read()
    limit = reading.store.stat().st_size + 20 * PAGE

    def limited(environment: Mapping[str, str], log: Path) -> Process:
        shell = ["sh", "-c", f'ulimit -f {limit // 512}; exec "$@"', "run"]  # in blocks of 512
        with log.open("ab") as file:
            return subprocess.Popen([*shell, *COMMAND, "run"], stderr=file, env=environment)

    reading.send(hosts=2_000)
    service = reading.start(limited)
    line = said(service)
    assert line.startswith(f"{reading.store}: ")
    assert "limits; what was stored is kept" in line or "the disk is full" in line
    assert not ask(reading.store, "SELECT * FROM rejected")
    service = reading.start()
    reading.settle(service)
    service.stop()
    assert not service.said("history_set_back")
    assert reading.store.stat().st_size > limit
