"""Kill -9, again and again, while a simulated fleet's logs come in: nothing lost, nothing doubled.

`python -m tests.kafka.chaos ROUNDS SEED` starts a broker, and prints what it saw. Half of the kills
come at numbered points (`killable`), each in its turn; the others at random times from the start
on. Records are sent as they are read, so that the kills meet work.
"""

from __future__ import annotations

import secrets
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random

from kafka.errors import KafkaTimeoutError

from detector.simulate import Simulation, SimulationPlan, records, simulate
from tests.kafka.broker import ApacheKafka, Broker
from tests.kafka.facts import differences, faults_of
from tests.kafka.killable import ENDING, ONCE, POINTS, Forked
from tests.kafka.service import Service, ask, stored

PARTITIONS = 3
# Records for each round; how many are sent at once, and are kept unread.
A_ROUND, SLICE, AHEAD = 800, 40, 160
# How long a numbered point is waited for once something was stored, and the longest random time
# from the start to the kill; in seconds.
POINT_S, RANDOM_S = 8.0, 2.5
SAID_EVERY = 20
# Records that no broker acknowledged for so long are written by another client.
WRITTEN_WITHIN_S = 60
# A report ends with its text, not with its time: what is read slowly or at once is the same.
SETTINGS = {"assemble_deadline_s": 3_600, "assemble_max_age_s": 3_600}


@dataclass(slots=True)
class Outcome:
    """What the rounds came to. `hits` counts the kills at each numbered point, `with_work` those
    that met unread records; `differing` is what the history says otherwise than one that was read
    without a kill: of each table the rows that are missing, and that are too many.
    """

    planted: int
    kills: int = 0
    with_work: int = 0
    hits: Counter[int] = field(default_factory=Counter)
    sent: int = 0
    stored: int = 0
    incidents: int = 0
    differing: dict[str, tuple[int, int]] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether the killed service found what a quiet one finds, to the last count."""
        whole = self.stored == self.sent and self.incidents == self.planted
        return whole and not self.differing and not self.damage

    def __str__(self) -> str:
        """Lines for people."""
        hits = sum(self.hits.values())
        head = (
            f"{self.kills} kills ({hits} at numbered points, {self.with_work} with work in hand): "
            f"{self.stored} of {self.sent} records, {self.incidents} of {self.planted} incidents\n"
            f"missing and doubled rows by table: {self.differing or 'none'}; "
            f"damage of the file: {'; '.join(self.damage) or 'none'}"
        )
        hit = (f"{self.hits[point]:4} {what}" for point, (*_, what) in POINTS.items())
        return "\n".join((head, *hit))


class Feed:
    """A simulated fleet's records into a topic, as many as are wanted."""

    def __init__(self, broker: Broker, topic: str, simulation: Simulation) -> None:
        self.sent = 0
        self.more = True
        self._broker, self._topic = broker, topic
        self._producer = broker.producer(linger_ms=2)
        self._shipped: Iterator[tuple[str, bytes]] = records(
            simulation, format="rsyslog", delivery="in-order"
        )

    def send(self, count: int) -> None:
        """Sends the next records; `more` says whether there are others."""
        group = list(islice(self._shipped, count))
        try:
            self._write(group)
        except KafkaTimeoutError:
            # A client of a broker that died may ask that one for ever. Another client writes again:
            # what is there twice is so for all who read.
            self._producer.close(timeout=0)
            self._producer = self._broker.producer(linger_ms=2)
            self._write(group)
        self.sent += len(group)
        self.more = len(group) == count

    def _write(self, group: Sequence[tuple[str, bytes]]) -> None:
        for host, value in group:
            partition = sum(host.encode()) % PARTITIONS
            self._producer.send(self._topic, value=value, key=host.encode(), partition=partition)
        self._producer.flush(timeout=WRITTEN_WITHIN_S)

    def close(self) -> None:
        """Sends no more."""
        self._producer.close()


class Rounds:
    """Rounds of one service over one history: it is started, fed and killed."""

    def __init__(self, broker: Broker, folder: Path, simulation: Simulation, chance: Random):
        self.store = folder / "history.db"
        self.topic = broker.create_topic(partitions=PARTITIONS)
        self.group = uuid.uuid4().hex
        self.feed = Feed(broker, self.topic, simulation)
        self.outcome = Outcome(planted=len(simulation.truth.incidents))
        self._broker = broker
        self._chance = chance

    def at_point(self, point: int) -> None:
        """One round that ends at a numbered point, or a while after it should have."""
        ending = point in ENDING
        passage = 1 if point in ONCE else self._chance.randint(1, 3)
        before = stored(self.store)
        service = self._start(f"{point}:{passage}:{signal.SIGKILL:d}")
        deadline = time.monotonic() + 60
        due = None
        while service.process.poll() is None and time.monotonic() < (due or deadline):
            self._feed()
            if due is None and (stored(self.store) > before or not self.feed.more):
                due = time.monotonic() + POINT_S
                if ending:
                    service.signal(signal.SIGTERM)
        self._end(service, point)

    def at_random(self) -> None:
        """One round that ends at a random time: of the start, or a moment after it read."""
        before, service = stored(self.store), self._start("0:0:0")
        due = time.monotonic() + self._chance.uniform(0, RANDOM_S)
        if self._chance.random() < 0.7:
            deadline = time.monotonic() + 60
            while self.feed.more and stored(self.store) == before and time.monotonic() < deadline:
                assert service.process.poll() is None, service.log.read_text()[-3_000:]
                self._feed()
            due = time.monotonic() + self._chance.uniform(0, 0.4)
        while time.monotonic() < due:
            self._feed()
        self._end(service, 0)

    def _start(self, target: str) -> Service:
        return Service(
            self._broker, self.topic, self.group, self.store,
            start=Forked, kill=target, kafka_max_records=50, kafka_poll_ms=50, **SETTINGS,
        )  # fmt: skip

    def _feed(self) -> None:
        """Keeps some records unread."""
        if self.feed.sent - stored(self.store) < AHEAD:
            self.feed.send(SLICE)
        time.sleep(0.02)

    def _end(self, service: Service, point: int) -> None:
        """Kills what still lives, and notes which kill it was."""
        ended = service.process.poll()
        assert ended in {None, -signal.SIGKILL}, service.log.read_text()[-3_000:]
        service.kill()
        outcome = self.outcome
        outcome.kills += 1
        outcome.with_work += stored(self.store) < self.feed.sent
        if point and ended is not None:
            outcome.hits[point] += 1
        elif point:
            outcome.missed.append(point)


def chaos(broker: Broker, folder: Path, rounds: int, seed: int = 7) -> Outcome:
    """Runs the rounds, lets the service come to the end, and compares it with one that nobody
    kills.
    """
    plan = SimulationPlan(
        seed=seed,
        hosts=60,
        lines=max(2_000, rounds * A_ROUND),
        incidents=10 + rounds // 2,
        half_signatures=rounds,
        noise_share=0.02,
        forged=2,
    )
    simulation, chance = simulate(plan), Random(seed)
    run = Rounds(broker, folder, simulation, chance)
    with closing(run.feed):
        points = chance.sample(list(POINTS), len(POINTS))
        for number in range(rounds):
            if number % 2:
                run.at_random()
            else:
                run.at_point(points[number // 2 % len(points)])
            if (number + 1) % SAID_EVERY == 0:
                print(f"{number + 1} of {rounds} rounds", file=sys.stderr, flush=True)
        while run.feed.more:
            run.feed.send(10_000)
    quiet, sent, outcome = folder / "quiet.db", run.feed.sent, run.outcome
    for name, path in ((run.group, run.store), (uuid.uuid4().hex, quiet)):
        service = Service(broker, run.topic, name, path, start=Forked, **SETTINGS)
        starts = len(service.said("rebalance"))
        service.until(lambda: len(service.said("rebalance")) > starts)  # noqa: B023
        service.until(lambda: stored(path) >= sent, within_s=300)  # noqa: B023
        service.stop()
    outcome.sent, outcome.stored = sent, stored(run.store)
    outcome.incidents = len(live_incidents(run.store))
    outcome.differing, outcome.damage = differences(run.store, quiet), faults_of(run.store)
    return outcome


def live_incidents(store: Path) -> list[tuple[object, ...]]:
    """The incidents that were not joined into others."""
    return ask(store, "SELECT id FROM incidents WHERE joined_into IS NULL")


def main(arguments: list[str]) -> int:
    """The rounds that are asked for; 1 where anything is lost or doubled, or a point was never
    hit though its turn came twice.
    """
    rounds = int(arguments[0]) if arguments else 200
    seed = int(arguments[1]) if arguments[1:] else secrets.randbelow(1_000_000)
    print(f"{rounds} rounds, seed {seed}", flush=True)
    broker, began = ApacheKafka(), time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="oopswatch-chaos-") as folder:
            outcome = chaos(broker, Path(folder), rounds, seed)
    finally:
        broker.stop()
    print(f"{outcome}\n{time.monotonic() - began:.0f} s, seed {seed}")
    never = [what for point, (*_, what) in POINTS.items() if not outcome.hits[point]]
    if rounds >= 4 * len(POINTS) and never:
        print(f"never hit: {', '.join(never)}", file=sys.stderr)
        return 1
    return 0 if outcome.agrees else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
