"""Kill -9, again and again, while a simulated fleet's logs come in: nothing lost, nothing doubled.

`python -m tests.kafka.chaos ROUNDS` starts a broker, and prints what it saw. Half of the kills come
at random times, half at numbered points (`killable`); input is sent as it is read, so that the
kills meet work.
"""

from __future__ import annotations

import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

from detector.simulate import SimulationPlan, records, simulate
from tests.kafka.broker import ApacheKafka, Broker
from tests.kafka.killable import POINTS
from tests.kafka.service import Service, ask, stored

PARTITIONS = 3
# Records that are sent for each kill, and the batches that they come in.
A_ROUND, SLICE = 240, 40
_INCIDENTS = "SELECT id FROM incidents WHERE joined_into IS NULL"
_NOISE = "SELECT host, process, signature, sum(count) FROM noise GROUP BY 1, 2, 3"
KILLABLE = (sys.executable, "-m", "tests.kafka.killable")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rounds came to. `with_work` is the number of kills that met unread records."""

    kills: int
    at_points: int
    with_work: int
    records: int
    stored: int
    planted: int
    incidents: int
    missed: int
    false: int
    noise: int
    noise_differs: int

    @property
    def agrees(self) -> bool:
        """Whether the killed service found what a quiet one finds, to the last count."""
        wrong = self.missed or self.false or self.noise_differs
        return not wrong and self.stored == self.records and self.incidents == self.planted

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"{self.kills} kills ({self.at_points} at numbered points, {self.with_work} with work "
            f"in hand): {self.stored} of {self.records} records, {self.incidents} of "
            f"{self.planted} incidents, missed {self.missed}, doubled or false {self.false}, "
            f"{self.noise} counts of noise, {self.noise_differs} rows differ"
        )


def slices(shipped: Iterator[tuple[str, bytes]], size: int) -> Iterator[list[tuple[str, bytes]]]:
    """Records in groups of a size."""
    while group := list(islice(shipped, size)):
        yield group


def chaos(broker: Broker, folder: Path, rounds: int, seed: int = 7) -> Outcome:
    """Runs the rounds, lets the service come to the end, and compares it with one that nobody kills."""
    plan = SimulationPlan(
        seed=seed,
        hosts=20,
        lines=max(5_000, rounds * A_ROUND),
        incidents=min(40, 10 + rounds // 5),
        noise_share=0.02,
        forged=2,
    )
    simulation, chance = simulate(plan), Random(seed)
    topic, group = broker.create_topic(partitions=PARTITIONS), uuid.uuid4().hex
    store = folder / "history.db"
    producer = broker.producer(linger_ms=2)
    shipped = slices(records(simulation, format="rsyslog", delivery="jitter"), SLICE)
    kills = at_points = with_work = sent = 0

    def send(group_of: Sequence[tuple[str, bytes]]) -> None:
        nonlocal sent
        for host, value in group_of:
            partition = sum(host.encode()) % PARTITIONS
            producer.send(topic, value=value, key=host.encode(), partition=partition)
        producer.flush()
        sent += len(group_of)

    for number in range(rounds):
        point = 0 if number % 2 else 1 + (number // 2) % POINTS
        passage = chance.randint(1, 4)
        service = Service(
            broker,
            topic,
            group,
            store,
            command=(*KILLABLE,),
            kill=f"{point}:{passage}",
            kafka_max_records=50,
            kafka_poll_ms=50,
        )
        before, deadline = stored(store), time.monotonic() + 60
        while service.process.poll() is None and stored(store) == before:
            send(next(shipped, []))
            time.sleep(0.05)
            if time.monotonic() > deadline:
                break
        until = time.monotonic() + (5 if point else chance.uniform(0, 0.4))
        while service.process.poll() is None and time.monotonic() < until:
            send(next(shipped, []))
            time.sleep(0.05)
        at_points += service.process.poll() is not None
        service.kill()
        kills += 1
        with_work += stored(store) < sent
    for rest in shipped:
        send(rest)
    producer.close()
    quiet = folder / "quiet.db"
    for name, path in ((group, store), (uuid.uuid4().hex, quiet)):
        service = Service(broker, topic, name, path)
        service.until(lambda: stored(path) >= sent, within_s=300)  # noqa: B023
        service.stop()
    found, expected = (set(ask(path, _INCIDENTS)) for path in (store, quiet))
    counted, right = (set(ask(path, _NOISE)) for path in (store, quiet))
    return Outcome(
        kills,
        at_points,
        with_work,
        sent,
        stored(store),
        len(simulation.truth.incidents),
        len(found),
        len(expected - found),
        len(found - expected),
        sum(row[-1] for row in counted),
        len(counted ^ right),
    )


def main(arguments: list[str]) -> int:
    """The rounds that are asked for; 1 where anything is lost or doubled."""
    rounds = int(arguments[0]) if arguments else 200
    broker = ApacheKafka()
    try:
        with tempfile.TemporaryDirectory(prefix="oopswatch-chaos-") as folder:
            outcome = chaos(broker, Path(folder), rounds)
    finally:
        broker.stop()
    print(outcome)
    return 0 if outcome.agrees else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
