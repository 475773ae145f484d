"""What was sent to a topic, and so what a history must hold: each fault of a fleet once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kafka import KafkaProducer

from tests.kafka.broker import Broker
from tests.kafka.service import ask
from tests.support.fleet_log import report

_NOISE = "SELECT host, sum(count) FROM noise GROUP BY 1"
_INCIDENTS = "SELECT host, count(*) FROM incidents WHERE joined_into IS NULL GROUP BY 1"


def crash(host: str, number: int) -> bytes:
    """A line of noise: a program of a host that crashed, at a time of its own."""
    return (
        f"Nov 22 10:00:00 {host} kernel: [{number:5}.000000] app[7]: segfault at 10 ip "
        "00007f0000000000 sp 00007ffc00000000 error 4 in libc.so[7f0000000000+1000]"
    ).encode()


class Ledger:
    """Sends records to one topic, and keeps what must be found of them: noise and incidents of
    each host. What is sent as `unread` must never be found.
    """

    def __init__(self, broker: Broker, topic: str) -> None:
        self.topic = topic
        self.noise: Counter[str] = Counter()
        self.incidents: Counter[str] = Counter()
        self._broker = broker
        self._number = 0

    def crashes(self, count: int) -> list[tuple[str, bytes]]:
        """Lines of noise of a host that nobody had before."""
        self._number += 1
        host = f"host-{self._number}"
        return [(host, crash(host, number)) for number in range(count)]

    def pair(self) -> tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]:
        """A report that makes an incident, in two parts: its first half, and the fault."""
        self._number += 1
        host = f"host-{self._number}"
        rows = [(host, row.encode()) for row in report(host, 100, f"ffff8000{self._number:08x}")]
        return rows[:1], rows[1:]

    def expect(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """These rows must be found, each once."""
        self.noise.update(host for host, row in rows if b"segfault" in row)
        self.incidents.update(host for host, row in rows if b"Unable to handle" in row)

    def send(
        self,
        rows: Sequence[tuple[str, bytes]],
        partition: int = 0,
        *,
        unread: bool = False,
        producer: KafkaProducer | None = None,
    ) -> list[int]:
        """Sends rows in their order, and waits until they are stored; their offsets."""
        own = producer or self._broker.producer(linger_ms=50)
        try:
            sent = [
                own.send(self.topic, value=value, key=host.encode(), partition=partition)
                for host, value in rows
            ]
            own.flush()
            offsets = [one.get(60).offset for one in sent]
        finally:
            if producer is None:
                own.close()
        if not unread:
            self.expect(rows)
        return offsets

    def differences(self, *stores: Path) -> dict[str, tuple[int, int]]:
        """Hosts of which the histories, taken together, do not hold what was sent: expected and
        found. Noise alone where there are several: a pair may lie across them.
        """
        found: Counter[str] = Counter()
        for store in stores:
            found.update(dict(ask(store, _NOISE)))
        expected = self.noise.copy()
        if len(stores) == 1:
            found.update(dict(ask(stores[0], _INCIDENTS)))
            expected += self.incidents
        hosts = found.keys() | expected.keys()
        return {
            host: (expected[host], found[host]) for host in hosts if expected[host] != found[host]
        }
