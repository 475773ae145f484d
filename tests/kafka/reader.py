"""A source with a history that is a dictionary, and what it has read and told: for tests that look
at reading alone.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from detector.model import Position, Record
from detector.scan import Chunk
from detector.settings.kafka import Kafka
from detector.sources.kafka.consumer import KafkaSource
from tests.kafka.broker import Broker

WITHIN_S = 60


class Memory:
    """Positions as a history keeps them, in memory."""

    def __init__(self, positions: Mapping[str, int] | None = None) -> None:
        self.history = uuid.uuid4().hex
        self.copied_us: int | None = None
        self.positions = {name: Position(at, None, at) for name, at in (positions or {}).items()}

    @property
    def offsets(self) -> dict[str, int]:
        """Where each source stands."""
        return {name: position.offset for name, position in self.positions.items()}

    def get(self, source: str) -> Position | None:
        """Where one source stands."""
        return self.positions.get(source)

    def reads(self, topic: str) -> bool:
        """Whether any partition of a topic has a position."""
        return any(name.startswith(f"{topic}/") for name in self.positions)

    def place(self, positions: Mapping[str, Position]) -> None:
        """Sets positions."""
        self.positions |= positions

    def advance(self, positions: Mapping[str, int]) -> None:
        """Moves sources on."""
        for name, end in positions.items():
            known = self.positions[name]
            self.positions[name] = replace(
                known, offset=end, counted=max(known.counted, end), set_us=None
            )

    def copy(self) -> Memory:
        """What a backup would hold."""
        copied = Memory()
        copied.history, copied.positions = self.history, dict(self.positions)
        return copied


class Reader:
    """A source, its history, what it has read and told."""

    def __init__(
        self,
        broker: Broker,
        topic: str,
        group: str | None = None,
        store: Memory | None = None,
        client: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.store = store or Memory()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.records: list[Record] = []
        self.chunks: list[Chunk] = []
        settings = {
            "bootstrap_servers": (broker.bootstrap,),
            "topics": (topic,),
            "group": group or uuid.uuid4().hex,
            "poll_ms": 100,
        } | settings
        self.source = KafkaSource(
            Kafka(**settings),
            on_event=lambda name, fields: self.told.append((name, dict(fields))),
            client=broker.client
            | {"heartbeat_interval_ms": 300, "reconnect_backoff_max_ms": 1000}
            | dict(client or {}),
        )
        self.source.resume(self.store)
        self._batches = self.source.batches()

    @property
    def values(self) -> list[bytes]:
        """What was read, in order."""
        return [record.value for record in self.records]

    def step(self) -> int:
        """One batch, taken in and committed; how many records it had."""
        return self.take(commit=True)

    def take(self, *, commit: bool) -> int:
        """One batch."""
        before = len(self.records)
        positions = {}
        for chunk in next(self._batches):
            self.chunks.append(chunk)
            self.records += records(chunk)
            positions[chunk.source] = chunk.end
        self.store.advance(positions)
        if commit:
            self.source.commit(positions)
        return len(self.records) - before

    def until(self, enough: Callable[[], bool]) -> None:
        """Batches until it is so."""
        deadline = time.monotonic() + WITHIN_S
        while not enough():
            assert time.monotonic() < deadline, (len(self.records), self.told)
            self.step()

    def read(self, count: int) -> list[bytes]:
        """The values of at least `count` records, and what comes right after them."""
        self.until(lambda: len(self.records) >= count)
        self.step()
        return self.values

    def close(self) -> None:
        """Leaves the group."""
        self.source.close()

    def crash(self) -> None:
        """Ends without a commit, as kill -9 does; only the goodbye is said."""
        self.source._uncommitted.clear()
        self.source.close()

    def events(self, name: str) -> list[dict[str, Any]]:
        """What was told under a name."""
        return [fields for told, fields in self.told if told == name]


def records(chunk: Chunk) -> Iterator[Record]:
    """All records of a chunk that have a value."""
    position = 0
    while position < len(chunk.data):
        record, _, position = chunk.record_at(position)
        if record.value:
            yield record


def lines(count: int, first: int = 0) -> list[tuple[bytes | None, bytes | None]]:
    """Keyed records."""
    return [
        (b"db-%d" % (number % 7), b"[%5d.000000] line %d" % (number, number))
        for number in range(first, first + count)
    ]
