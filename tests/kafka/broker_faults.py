"""Faults of a broker while a service reads from it: nothing lost, nothing doubled, each one said.

`python -m tests.kafka.broker_faults COUNT SEED` draws a mix of all kinds and prints what it saw.
Before and after each fault records are sent: noise of new hosts, and the two halves of a pair. Then
the history must hold all of it, once; what retention deleted, what was damaged and what was
aborted must not be in it; and the log must say what happened, with its figures, and nothing more.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import tempfile
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from tests.kafka.broker import ApacheKafka
from tests.kafka.killable import Forked
from tests.kafka.ledger import Ledger
from tests.kafka.segments import batch_at, flip
from tests.kafka.service import Service

ADDED_WITHIN_S = 60
# What may be said at any time, and after a broker was away.
ORDINARY = frozenset({"started", "stopped", "no_routing", "rebalance", "incident_raised"})
AWAY = frozenset({"broker_away", "broker_back", "ownership_lost"})


class Trial:
    """One service over one topic, and what it must have found after each fault."""

    def __init__(self, broker: ApacheKafka, folder: Path, chance: Random) -> None:
        self.broker, self.chance = broker, chance
        self.topic = broker.create_topic(partitions=2)
        self.partitions = 2
        self.ledger = Ledger(broker, self.topic)
        self.store = folder / f"{self.topic}.db"
        self.added_s: list[float] = []
        self._group = uuid.uuid4().hex
        self.service = self._start()

    def run(self, kind: str) -> None:
        """One fault of a kind. Raises AssertionError where anything is lost, doubled or unsaid."""
        first, rest = self.ledger.pair()
        before = len(self.service.events)
        self._send(first, 0)
        self._send(self.ledger.crashes(self.chance.randint(5, 40)))
        if self.chance.random() < 0.5:
            self.settle()
        expected = KINDS[kind](self)
        self._send(rest, 0)
        self._send(self.ledger.crashes(self.chance.randint(5, 40)))
        self.settle()
        self.service.until(lambda: said_all(self.service.events[before:], expected))
        names = {event["event"] for event in self.service.events[before:]}
        allowed = ORDINARY | {event["event"] for event in expected}
        if kind in BROKER:
            allowed |= AWAY
        assert names <= allowed, f"{kind}: {sorted(names - allowed)} was said"

    def settle(self) -> None:
        """Waits until the history holds all that was sent, and checks that it holds no more."""
        deadline = time.monotonic() + 120
        while wrong := self.ledger.differences(self.store):
            assert self.service.process.poll() is None, self.service.log.read_text()[-3_000:]
            assert time.monotonic() < deadline, f"expected and found: {wrong}"
            time.sleep(0.05)

    def admin(self) -> Any:
        """An administrator's client, to be closed."""
        return closing(KafkaAdminClient(bootstrap_servers=self.broker.bootstrap))

    def stop(self) -> None:
        """A clean end of the service, once it reads."""
        self.settle()
        self.service.stop()

    def start(self) -> None:
        """The service again, on the same history."""
        self.service = self._start()

    def down(self, work: Callable[[], None]) -> None:
        """Does something between a clean end of the service and its next start."""
        self.stop()
        work()
        self.start()

    def asleep(self, work: Callable[[], None]) -> None:
        """Does something while the service's process stands still."""
        self.service.signal(signal.SIGSTOP)
        try:
            work()
        finally:
            self.service.signal(signal.SIGCONT)

    def perhaps_killed(self) -> None:
        """Now and then the service dies too, and is started again."""
        if self.chance.random() < 0.25:
            self.service.kill()
            self.start()

    def _start(self) -> Service:
        return Service(
            self.broker, self.topic, self._group, self.store,
            start=Forked, kafka_poll_ms=100, kafka_on_corrupt="skip",
        )  # fmt: skip

    def _send(self, rows: list[tuple[str, bytes]], partition: int | None = None) -> None:
        place = self.chance.randrange(self.partitions) if partition is None else partition
        self.ledger.send(rows, place)


Said = list[dict[str, Any]]


def said_all(events: Said, expected: Said) -> bool:
    """Whether each expected event was said, with the fields that are given."""
    return all(any(item.items() <= event.items() for event in events) for item in expected)


def stopped(trial: Trial) -> Said:
    """The broker is stopped, and started when its absence was noticed."""
    known = _away(trial)
    trial.broker.halt()
    return _until_back(trial, known)


def killed(trial: Trial) -> Said:
    """SIGKILL, likewise."""
    known = _away(trial)
    trial.broker.halt(kill=True)
    return _until_back(trial, known)


def _away(trial: Trial) -> int:
    return len(trial.service.said("broker_away"))


def _until_back(trial: Trial, known: int) -> Said:
    trial.service.until(lambda: _away(trial) > known)
    trial.perhaps_killed()
    trial.broker.start()
    return [{"event": "broker_away"}, {"event": "broker_back"}]


def restarted(trial: Trial) -> Said:
    """The broker ends, by either signal, and is back as soon as it can."""
    trial.broker.halt(kill=trial.chance.random() < 0.5)
    trial.perhaps_killed()
    trial.broker.start()
    return []


def hung(trial: Trial) -> Said:
    """The broker answers nothing for some seconds."""
    trial.broker.pause()
    try:
        time.sleep(trial.chance.uniform(2, 9))
        trial.perhaps_killed()
    finally:
        trial.broker.resume()
    return []


def partition_added(trial: Trial) -> Said:
    """It is read within a minute, from its first record."""
    trial.partitions += 1
    with trial.admin() as admin:
        admin.create_partitions({trial.topic: trial.partitions})
    began = time.monotonic()
    trial.ledger.send(trial.ledger.crashes(10), trial.partitions - 1)
    trial.settle()
    trial.added_s.append(time.monotonic() - began)
    assert trial.added_s[-1] < ADDED_WITHIN_S
    name = f"{trial.topic}/{trial.partitions - 1}"
    assert any(name in event["assigned"] for event in trial.service.said("rebalance"))
    return []


def _recreated(trial: Trial, length: int) -> Said:
    trial.settle()
    offsets = {one.partition: at for one, at in _ends(trial).items()}

    def anew() -> None:
        trial.broker.delete_topic(trial.topic)
        trial.broker.create_topic(trial.topic, partitions=trial.partitions)
        for partition in range(trial.partitions):
            count = max(1, length + offsets[partition])
            trial.ledger.send(trial.ledger.crashes(count), partition)

    trial.chance.choice((trial.down, trial.asleep))(anew)
    return _made_anew(trial, offsets)


def _made_anew(trial: Trial, offsets: Mapping[int, int]) -> Said:
    return [
        {"event": "topic_recreated", "partition": f"{trial.topic}/{partition}", "position": 0}
        for partition in range(trial.partitions)
        if offsets[partition]
    ]


def recreated_shorter(trial: Trial) -> Said:
    """The topic is deleted and made anew, with fewer records than were read."""
    return _recreated(trial, -trial.chance.randint(3, 30))


def recreated_longer(trial: Trial) -> Said:
    """… with more."""
    return _recreated(trial, trial.chance.randint(3, 30))


def gone(trial: Trial) -> Said:
    """The topic is deleted, and there again after that was noticed."""
    trial.settle()
    offsets = {one.partition: at for one, at in _ends(trial).items()}
    known = len(trial.service.said("topic_gone"))
    trial.broker.delete_topic(trial.topic)
    trial.service.until(lambda: len(trial.service.said("topic_gone")) > known)
    trial.broker.create_topic(trial.topic, partitions=trial.partitions)
    return [{"event": "topic_gone", "topic": trial.topic}, *_made_anew(trial, offsets)]


def retention(trial: Trial) -> Said:
    """Records are deleted before they were read: so many are said to be lost, the rest is read."""
    trial.settle()
    partition = trial.chance.randrange(trial.partitions)
    one = TopicPartition(trial.topic, partition)
    position = _ends(trial)[one]
    lost = trial.chance.randint(1, 20)

    def delete() -> None:
        rows = trial.ledger.crashes(30)
        offsets = trial.ledger.send(rows, partition, unread=True)
        with trial.admin() as admin:
            admin.delete_records({one: offsets[lost]})
        trial.ledger.expect(rows[lost:])

    trial.down(delete)
    return [{"event": "position_out_of_range", "beginning": position + lost}]


def corrupt(trial: Trial) -> Said:
    """A batch is damaged on the broker's disk: it is passed over, and said with its offsets."""
    trial.settle()
    partition = trial.chance.randrange(trial.partitions)
    spots: list[tuple[Path, int]] = []
    offsets: list[int] = []

    def damage() -> None:
        for number in range(3):
            rows = trial.ledger.crashes(10)
            offsets.extend(trial.ledger.send(rows, partition, unread=number == 1))
        spots.append(batch_at(trial.broker.logs_of(trial.topic, partition), offsets[10]))
        flip(*spots[0])

    trial.down(damage)
    name = f"{trial.topic}/{partition}"
    expected = {
        "event": "batch_skipped",
        "partition": name,
        "offset": offsets[10],
        "following": offsets[20],
    }
    trial.service.until(lambda: said_all(trial.service.events, [expected]))
    flip(*spots[0])
    return [expected]


def aborted(trial: Trial) -> Said:
    """Transactions that are aborted are never read; what waits behind an open one comes after."""
    partition = trial.chance.randrange(trial.partitions)
    producer = trial.broker.producer(transactional_id=uuid.uuid4().hex)
    with closing(producer):
        producer.init_transactions()
        for commits in (False, True, False):
            producer.begin_transaction()
            trial.ledger.send(
                trial.ledger.crashes(7), partition, unread=not commits, producer=producer
            )
            trial.ledger.send(trial.ledger.crashes(5), partition)
            if commits:
                producer.commit_transaction()
            else:
                producer.abort_transaction()
    return []


def away_at_start(trial: Trial) -> Said:
    """The service is started while there is no broker."""
    trial.stop()
    known = _away(trial)
    trial.broker.halt()
    trial.start()
    return _until_back(trial, known)


def _ends(trial: Trial) -> dict[TopicPartition, int]:
    """Where the partitions end."""
    partitions = [TopicPartition(trial.topic, number) for number in range(trial.partitions)]
    with closing(KafkaConsumer(bootstrap_servers=trial.broker.bootstrap)) as consumer:
        return dict(consumer.end_offsets(partitions))


KINDS: Mapping[str, Callable[[Trial], Said]] = {
    "stop": stopped,
    "kill": killed,
    "restart": restarted,
    "hang": hung,
    "partition added": partition_added,
    "topic recreated, shorter": recreated_shorter,
    "topic recreated, longer": recreated_longer,
    "topic gone": gone,
    "retention": retention,
    "corrupt batch": corrupt,
    "aborted transactions": aborted,
    "away at start": away_at_start,
}
# In these the broker itself is away, or silent.
BROKER = frozenset({"stop", "kill", "restart", "hang", "away at start"})
# A partition that is added is looked for each half minute.
RARE = frozenset({"partition added"})


def drawn(count: int, chance: Random) -> list[str]:
    """So many kinds: each once, then each as often as chance has it, rare ones seldom."""
    weights = [1 if kind in RARE else 4 for kind in KINDS]
    more = chance.choices(list(KINDS), weights, k=max(0, count - len(KINDS)))
    return chance.sample([*KINDS, *more], max(count, len(KINDS)))


def main(arguments: list[str]) -> int:
    """The faults that are asked for; 1 where anything is lost, doubled or unsaid."""
    count = int(arguments[0]) if arguments else 60
    seed = int(arguments[1]) if arguments[1:] else secrets.randbelow(1_000_000)
    chance, done, failed = Random(seed), Counter[str](), Counter[str]()
    print(f"{count} faults, seed {seed}", flush=True)
    began, broker = time.monotonic(), ApacheKafka()
    try:
        with tempfile.TemporaryDirectory(prefix="oopswatch-faults-") as folder:
            trial = Trial(broker, Path(folder), chance)
            for kind in drawn(count, chance):
                done[kind] += 1
                at = time.monotonic()
                try:
                    trial.run(kind)
                except (AssertionError, OSError, KafkaError):
                    failed[kind] += 1
                    traceback.print_exc()
                    trial.service.kill()
                    broker.halt(kill=True)
                    broker.start()
                    trial = Trial(broker, Path(folder), chance)
                print(f"{time.monotonic() - at:5.1f} s  {kind}", flush=True)
            added = trial.added_s
            trial.service.kill()
    finally:
        broker.stop()
    print(f"{done.total()} faults in {time.monotonic() - began:.0f} s, seed {seed}")
    for kind, times in sorted(done.items()):
        print(f"{times:4} {kind}{f', {failed[kind]} FAILED' if failed[kind] else ''}")
    if added:
        print(f"an added partition was read after {', '.join(f'{s:.0f} s' for s in added)}")
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    raise SystemExit(main(sys.argv[1:]))
