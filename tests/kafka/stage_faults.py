"""Both stages over three brokers that fail, and in groups that never rest: nothing lost, nothing
doubled, noise exact, and nobody who reads committed records waits long.

`python -m tests.kafka.stage_faults FAULTS STORMS SEED` starts the brokers, and prints what it saw.
A fault kills, stops or pauses one of three brokers while records come. In a storm members of the
group come, end and die, one after another. A process that ends by itself is started again, as a
supervisor does, and counted.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Event, Thread

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from detector.simulate import SimulationPlan, simulate
from tests.kafka.chaos import PARTITIONS, Feed, live_incidents
from tests.kafka.cluster import Cluster
from tests.kafka.facts import differences, faults_of
from tests.kafka.killable import Forked
from tests.kafka.service import Service, stored
from tests.kafka.stages import SETTINGS, Stages

A_TURN = 400
LONGEST_STALL_S = 10.0
MEMBERS = ("a", "b", "c")
KINDS = ("kill", "kill", "stop", "pause", "pause")


@dataclass(slots=True)
class FaultOutcome:
    """What became of it. `stall_s` is the longest time for which what was written to a topic of
    findings could not be read as committed, `ended` the ends that nobody asked for.
    """

    planted: int
    faults: Counter[str] = field(default_factory=Counter)
    storms: int = 0
    moves: int = 0
    sent: int = 0
    incidents: int = 0
    stall_s: float = 0.0
    ended: Counter[str] = field(default_factory=Counter)
    differing: dict[str, tuple[int, int]] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether the stages found what one quiet process finds, and no reader waited too long."""
        exact = self.differing.keys() <= {"counters"}
        whole = self.incidents == self.planted and exact and not self.damage
        return whole and self.stall_s <= LONGEST_STALL_S

    def __str__(self) -> str:
        """Lines for people."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.faults.items()))
        return (
            f"{self.faults.total()} faults ({kinds}), {self.storms} storms of {self.moves} moves: "
            f"{self.sent} records, {self.incidents} of {self.planted} incidents\n"
            f"missing and doubled rows by table: {self.differing or 'none'}; damage of the file: "
            f"{'; '.join(self.damage) or 'none'}\nlongest stall of readers: {self.stall_s:.1f} s; "
            f"ended by themselves: {dict(self.ended) or 'none'}"
        )


class Stalls(Thread):
    """Watches how far committed records stay behind written ones."""

    def __init__(self, bootstrap: str, topics: list[str]) -> None:
        super().__init__(daemon=True)
        self.longest_s = self.latest_s = 0.0
        self.looks = 0
        self._servers, self._topics = bootstrap, topics
        self._stopping = Event()

    def run(self) -> None:
        """Looks five times a second."""
        common = {"bootstrap_servers": self._servers, "request_timeout_ms": 2_000}
        since: dict[TopicPartition, tuple[int, float]] = {}
        with (
            closing(KafkaConsumer(isolation_level="read_committed", **common)) as committed,
            closing(KafkaConsumer(isolation_level="read_uncommitted", **common)) as written,
        ):
            parts = [
                TopicPartition(topic, number)
                for topic in self._topics
                for number in committed.partitions_for_topic(topic) or ()
            ]
            assert parts, "no partitions to watch"
            while not self._stopping.wait(0.2):
                try:
                    ends = written.end_offsets(parts, timeout_ms=2_000)
                    stable = committed.end_offsets(parts, timeout_ms=2_000)
                except KafkaError:
                    continue
                self.looks += 1
                now = time.monotonic()
                for part in parts:
                    known, began = since.get(part, (-1, now))
                    if stable[part] >= ends[part] or stable[part] != known:
                        since[part] = (stable[part], now)
                    else:
                        self.latest_s = max(self.latest_s, now - began)
                        self.longest_s = max(self.longest_s, self.latest_s)

    def stop(self) -> None:
        """Looks no more. Raises AssertionError where it never saw anything."""
        self._stopping.set()
        self.join(30)
        assert self.looks, "the topics' ends were never read"


class Faults:
    """Faults and storms over running stages."""

    def __init__(
        self, cluster: Cluster, stages: Stages, feed: Feed, outcome: FaultOutcome, chance: Random
    ) -> None:
        self._cluster, self._stages, self._feed = cluster, stages, feed
        self._outcome, self._chance = outcome, chance
        self.members: dict[str, Service] = {}
        self.archive = self._archive()
        for name in MEMBERS[:2]:
            self._begin(name)

    def fault(self) -> str:
        """One broker fails while records come, and is back; returns how."""
        kind = self._chance.choice(KINDS)
        node = self._chance.choice(self._cluster.nodes)
        self._turn()
        if kind == "pause":
            node.pause()
        else:
            node.halt(kill=kind == "kill")
        self._outcome.faults[kind] += 1
        try:
            for _ in range(self._chance.randint(1, 3)):
                self._turn()
                time.sleep(self._chance.uniform(0.5, 2))
        finally:
            if kind == "pause":
                node.resume()
            else:
                node.start()
        self._turn()
        self._revive()
        topics = [self._stages.topic, self._stages.findings, self._stages.noise]
        self._cluster.wait_whole([*topics, "__consumer_offsets", "__transaction_state"])
        return kind

    def storm(self) -> str:
        """Members come and go, some by SIGKILL, without a pause in which the group could rest."""
        self._outcome.storms += 1
        for _ in range(self._chance.randint(3, 5)):
            name = self._chance.choice(MEMBERS)
            self._outcome.moves += 1
            if name not in self.members:
                self._begin(name)
            elif self._chance.random() < 0.5:
                self.members.pop(name).kill()
            else:
                self._end(self.members.pop(name))
            self._turn()
            time.sleep(self._chance.uniform(0, 1))
        self._revive()
        return "storm"

    def _end(self, service: Service) -> None:
        """SIGTERM; what does not end shows where it stands, is killed and counted."""
        service.signal(signal.SIGTERM)
        try:
            service.process.wait(40)
        except subprocess.TimeoutExpired:
            service.signal(signal.SIGUSR2)
            time.sleep(1)
            print(service.log.read_text(errors="replace")[-6_000:], file=sys.stderr, flush=True)
            self._outcome.ended["hung at SIGTERM"] += 1
            service.kill()

    def settle(self) -> None:
        """All that is left is sent, read and archived."""
        while self._feed.more:
            self._feed.send(5_000)
        self._revive()
        self._stages.through(self.members["a"], self.archive, within_s=300)
        for service in (*self.members.values(), self.archive):
            service.stop()

    def _turn(self) -> None:
        if self._feed.more:
            self._feed.send(A_TURN)

    def _revive(self) -> None:
        """Starts what ended by itself, and brings the first two members back."""
        for name, service in list(self.members.items()):
            if service.process.poll() is not None:
                self._outcome.ended[f"detect {name}: {last_error(service)}"] += 1
                del self.members[name]
        for name in MEMBERS[:2]:
            if name not in self.members:
                self._begin(name)
        if self.archive.process.poll() is not None:
            self._outcome.ended[f"archive: {last_error(self.archive)}"] += 1
            self.archive = self._archive()

    def _begin(self, name: str) -> None:
        self.members[name] = self._stages.detect(name, kafka_max_records=200)

    def _archive(self) -> Service:
        return self._stages.archive(kafka_max_records=200)


def last_error(service: Service) -> str:
    """Why a process ended; the end of its log is printed where that holds what is no event."""
    try:
        failed = service.said("failed")
    except ValueError:
        print(service.log.read_text(errors="replace")[-6_000:], file=sys.stderr, flush=True)
        return f"exit {service.process.poll()}, and no event: see above"
    return str(failed[-1]["error"])[:150] if failed else f"exit {service.process.poll()}"


def stage_faults(
    cluster: Cluster, folder: Path, faults: int, storms: int, seed: int = 7
) -> FaultOutcome:
    """Runs faults and storms, and compares the archive with one process that nothing befell."""
    turns = faults * 5 + storms * 5
    plan = SimulationPlan(
        seed=seed, hosts=60, start=1_776_000_000_000_000, lines=max(4_000, turns * A_TURN),
        incidents=10 + turns // 8, half_signatures=turns // 5, noise_share=0.02, forged=2,
    )  # fmt: skip
    simulation, chance = simulate(plan), Random(seed)
    stages = Stages(cluster, folder, PARTITIONS)
    outcome = FaultOutcome(planted=len(simulation.truth.incidents))
    stalls = Stalls(cluster.bootstrap, [stages.findings, stages.noise])
    stalls.start()
    try:
        with closing(Feed(cluster, stages.topic, simulation)) as feed:
            run = Faults(cluster, stages, feed, outcome, chance)
            turns_left = ["fault"] * faults + ["storm"] * storms
            chance.shuffle(turns_left)
            for number, turn in enumerate(turns_left, 1):
                began, stalls.latest_s = time.monotonic(), 0.0
                what = run.fault() if turn == "fault" else run.storm()
                took = f"{time.monotonic() - began:.0f} s, stall {stalls.latest_s:.1f} s"
                print(f"{number} of {len(turns_left)}: {what}, {took}", file=sys.stderr, flush=True)
            run.settle()
            outcome.sent = stages.written()
    finally:
        stalls.stop()
        stages.kill()
    outcome.stall_s = stalls.longest_s
    quiet = folder / "quiet.db"
    one = Service(
        cluster, stages.topic, f"{stages.group}-one", quiet, start=Forked, **SETTINGS
    )  # fmt: skip
    one.until(lambda: stored(quiet) >= outcome.sent, within_s=300)
    one.stop()
    outcome.incidents = len(live_incidents(stages.store))
    outcome.differing = differences(stages.store, quiet)
    outcome.damage = faults_of(stages.store)
    return outcome


def main(arguments: list[str]) -> int:
    """The faults and storms that are asked for; 1 where anything is lost, doubled or late."""
    faults = int(arguments[0]) if arguments else 50
    storms = int(arguments[1]) if arguments[1:] else 20
    seed = int(arguments[2]) if arguments[2:] else secrets.randbelow(1_000_000)
    print(f"{faults} faults, {storms} storms, seed {seed}", flush=True)
    cluster, began = Cluster(), time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="oopswatch-stage-faults-") as folder:
            outcome = stage_faults(cluster, Path(folder), faults, storms, seed)
    finally:
        cluster.stop()
    print(f"{outcome}\n{time.monotonic() - began:.0f} s, seed {seed}")
    return 0 if outcome.agrees else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
