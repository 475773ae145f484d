"""The two stages as processes of their own: topics, members, an archive, when all is through."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from tests.kafka.broker import Broker
from tests.kafka.killable import Forked
from tests.kafka.service import Service, ask

PARTITIONS = 4
SESSION_S = 3
# A report ends with its text, not with its time: what is read slowly or at once is the same.
SETTINGS = {"assemble_deadline_s": 3_600, "assemble_max_age_s": 3_600}


class Stages:
    """A topic of logs, the topics of findings, and the processes between them."""

    def __init__(self, broker: Broker, folder: Path, partitions: int = PARTITIONS) -> None:
        self.broker, self.folder = broker, folder
        self.topic = broker.create_topic(partitions=partitions)
        self.findings = broker.create_topic(partitions=2)
        self.noise = broker.create_topic(partitions=2)
        self.group = uuid.uuid4().hex
        self.store = folder / "archive.db"
        self.processes: list[Service] = []

    def detect(
        self, member: str, target: str = "0:0:0", *, folder: str = "", **settings: object
    ) -> Service:
        """A first stage under a name; its log is in a folder of its own, if it is to have one."""
        log = self.folder / folder / f"{member}.db"
        log.parent.mkdir(exist_ok=True)
        return self._start("detect", log, target, fleet_member=member, **settings)

    def archive(self, target: str = "0:0:0", **settings: object) -> Service:
        """The second stage."""
        return self._start("archive", self.store, target, **settings)

    def _start(self, command: str, store: Path, target: str, **settings: object) -> Service:
        defaults = {
            "kafka_session_s": SESSION_S,
            "kafka_poll_ms": 50,
            "fleet_counts_s": 1,
            **SETTINGS,
        }
        names = {"fleet_findings_topic": self.findings, "fleet_noise_topic": self.noise}
        service = Service(
            self.broker, self.topic, self.group, store, start=partial(Forked, command=command),
            kill=target, **{**defaults, **names, **settings},
        )  # fmt: skip
        self.processes.append(service)
        return service

    def kill(self) -> None:
        """Ends all that lives."""
        for process in self.processes:
            process.kill()

    def send(self, rows: Iterable[tuple[str, bytes, int]], *, keyed: bool = True) -> None:
        """Sends (host, value, partition)."""
        with closing(self.broker.producer(linger_ms=5)) as producer:
            for host, value, partition in rows:
                key = host.encode() if keyed else None
                producer.send(self.topic, value=value, key=key, partition=partition)
            producer.flush()

    def through(self, detect: Service, archive: Service, within_s: float = 120) -> None:
        """Waits until all that was sent is detected, summed and archived."""
        detect.until(self.detected, within_s)
        last = self.last_offsets()
        archive.until(lambda: self.archived(last), within_s)

    def detected(self) -> bool:
        """Whether all that was sent is read, and its findings and sums are sent."""
        with self._consumer(self.group) as consumer:
            parts = _partitions(consumer, self.topic)
            ends = consumer.end_offsets(parts)
            for part in parts:
                commit = consumer.committed(part, metadata=True)
                if ends[part] == 0:
                    continue
                said = json.loads(commit.metadata) if commit else {}
                if said.get("counted") != ends[part]:
                    return False
        time.sleep(0.05)
        return True

    def written(self) -> int:
        """How many records of logs there are."""
        with self._consumer(None) as consumer:
            return sum(consumer.end_offsets(_partitions(consumer, self.topic)).values())

    def archived(self, last: Mapping[str, int]) -> bool:
        """Whether the history holds all up to these offsets."""
        known = dict(ask(self.store, "SELECT source, position FROM positions"))
        return all(known.get(name, 0) > offset for name, offset in last.items())

    def last_offsets(self) -> dict[str, int]:
        """The last committed finding of each partition."""
        return {f"{one.topic}/{one.partition}": one.offset for one in self.records()}

    def records(self, *topics: str) -> list[Any]:
        """All that is committed to topics (by default those of findings), in the order of their
        partitions.
        """
        found = []
        with self._consumer(None) as consumer:
            parts = [
                one
                for topic in topics or (self.findings, self.noise)
                for one in _partitions(consumer, topic)
            ]
            consumer.assign(parts)
            consumer.seek_to_beginning()
            ends = consumer.end_offsets(parts)
            while any(consumer.position(part) < ends[part] for part in parts):
                for rows in consumer.poll(timeout_ms=200).values():
                    found += rows
        return found

    def _consumer(self, group: str | None) -> closing[KafkaConsumer]:
        return closing(
            KafkaConsumer(
                bootstrap_servers=self.broker.bootstrap,
                group_id=group,
                enable_auto_commit=False,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                **self.broker.client,
            )
        )


def _partitions(consumer: KafkaConsumer, topic: str) -> list[TopicPartition]:
    return [
        TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))
    ]
