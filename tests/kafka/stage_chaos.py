"""Kill -9 of both stages, again and again, while a simulated fleet's logs come in: nothing lost,
nothing doubled, noise exact.

`python -m tests.kafka.stage_chaos ROUNDS SEED` starts a broker, and prints what it saw. Each round
starts both stages and ends both by SIGKILL: one of them, by turns, at a numbered point (`killable`)
or at a random time, the other one with it.
"""

from __future__ import annotations

import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from detector.simulate import SimulationPlan, simulate
from tests.kafka.broker import ApacheKafka, Broker
from tests.kafka.chaos import PARTITIONS, SLICE, Feed, live_incidents
from tests.kafka.facts import differences, faults_of
from tests.kafka.killable import ENDING, ONCE, POINTS_OF, Forked
from tests.kafka.service import Service, stored
from tests.kafka.stages import SETTINGS, Stages

STAGES = ("detect", "archive")
A_ROUND = 800
# How long a numbered point is waited for, and the longest random time from the start to the kill.
POINT_S, RANDOM_S = 8.0, 3.0
SAID_EVERY = 20
MEMBER = "a"


@dataclass(slots=True)
class StageOutcome:
    """What the rounds came to. `hits` counts the kills at each numbered point of each stage;
    `differing` is what the archive says otherwise than one process that nobody killed.
    """

    planted: int
    kills: int = 0
    hits: Counter[tuple[str, int]] = field(default_factory=Counter)
    sent: int = 0
    incidents: int = 0
    differing: dict[str, tuple[int, int]] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether the killed stages found what a quiet process finds: incidents, matches, reports,
        noise and rejected records, to the last count. The counters that the assembler keeps of its
        own work are shown, and may be one off: a report that is read again ends in another batch.
        """
        exact = self.differing.keys() <= {"counters"}
        return self.incidents == self.planted and exact and not self.damage

    @property
    def never(self) -> list[str]:
        """The numbered points that no kill hit."""
        return [
            f"{stage}: {points[number][3]}"
            for stage, points in POINTS_OF.items()
            if stage in STAGES
            for number in points
            if not self.hits[stage, number]
        ]

    def __str__(self) -> str:
        """Lines for people."""
        head = (
            f"{self.kills} kills ({sum(self.hits.values())} at numbered points): "
            f"{self.sent} records, {self.incidents} of {self.planted} incidents\n"
            f"missing and doubled rows by table: {self.differing or 'none'}; "
            f"damage of the file: {'; '.join(self.damage) or 'none'}"
        )
        hits = (
            f"{count:4} {stage}: {POINTS_OF[stage][number][3]}"
            for (stage, number), count in sorted(self.hits.items())
        )
        return "\n".join((head, *hits))


class StageRounds:
    """Rounds of both stages over one topic: they are started, fed and killed."""

    def __init__(self, stages: Stages, feed: Feed, outcome: StageOutcome, chance: Random) -> None:
        self._stages, self._feed, self._outcome, self._chance = stages, feed, outcome, chance

    def at_point(self, stage: str, number: int) -> None:
        """One round that ends at a numbered point, or a while after it should have."""
        passage = 1 if number in ONCE else self._chance.randint(1, 3)
        self._round(stage, f"{number}:{passage}:{signal.SIGKILL:d}", POINT_S, number)

    def at_random(self, stage: str) -> None:
        """One round that ends at a random time."""
        self._round(stage, "0:0:0", self._chance.uniform(0, RANDOM_S), 0)

    def _round(self, stage: str, target: str, within_s: float, number: int) -> None:
        targets = {name: target if name == stage else "0:0:0" for name in STAGES}
        both = {
            "detect": self._stages.detect(MEMBER, targets["detect"], kafka_max_records=100),
            "archive": self._stages.archive(targets["archive"], kafka_max_records=50),
        }
        victim = both[stage]
        starts = len(victim.said("rebalance"))
        began = time.monotonic()
        while victim.process.poll() is None and time.monotonic() - began < within_s:
            if self._feed.more and time.monotonic() - began < POINT_S / 2:
                self._feed.send(SLICE)
            # One that is stopped before it reads ends cleanly, and passes no point.
            if number in ENDING and len(victim.said("rebalance")) > starts:
                victim.signal(signal.SIGTERM)
            time.sleep(0.03)
        self._end(stage, number, both)

    def _end(self, stage: str, number: int, both: dict[str, Service]) -> None:
        """Kills what still lives, and notes which kill it was."""
        ended = both[stage].process.poll()
        for process in both.values():
            assert process.process.poll() in {None, -signal.SIGKILL}, process.log.read_text()[
                -3_000:
            ]
            process.kill()
            self._outcome.kills += 1
        if number and ended is not None:
            self._outcome.hits[stage, number] += 1
        self._stages.processes.clear()


def stage_chaos(broker: Broker, folder: Path, rounds: int, seed: int = 7) -> StageOutcome:
    """Runs the rounds, lets the stages come to the end, and compares them with one process."""
    plan = SimulationPlan(
        seed=seed, hosts=60, lines=max(4_000, rounds * A_ROUND), incidents=10 + rounds // 2,
        half_signatures=rounds, noise_share=0.02, forged=2,
    )  # fmt: skip
    simulation, chance = simulate(plan), Random(seed)
    stages = Stages(broker, folder, PARTITIONS)
    outcome = StageOutcome(planted=len(simulation.truth.incidents))
    with closing(Feed(broker, stages.topic, simulation)) as feed:
        run = StageRounds(stages, feed, outcome, chance)
        points = [(stage, number) for stage in STAGES for number in POINTS_OF[stage]]
        chance.shuffle(points)
        for number in range(rounds):
            if number % 3 == 2:
                run.at_random(STAGES[number // 3 % 2])
            else:
                run.at_point(*points[(number - number // 3) % len(points)])
            if (number + 1) % SAID_EVERY == 0:
                print(f"{number + 1} of {rounds} rounds", file=sys.stderr, flush=True)
        while feed.more:
            feed.send(10_000)
        outcome.sent = feed.sent
    _compare(stages, outcome, folder / "quiet.db")
    return outcome


def _compare(stages: Stages, outcome: StageOutcome, quiet: Path) -> None:
    detect, archive = stages.detect(MEMBER), stages.archive()
    stages.through(detect, archive, within_s=300)
    detect.stop()
    archive.stop()
    one = Service(
        stages.broker, stages.topic, f"{stages.group}-one", quiet, start=Forked, **SETTINGS
    )
    one.until(lambda: stored(quiet) >= outcome.sent, within_s=300)
    one.stop()
    outcome.incidents = len(live_incidents(stages.store))
    outcome.differing = differences(stages.store, quiet)
    outcome.damage = faults_of(stages.store)


def main(arguments: list[str]) -> int:
    """The rounds that are asked for; 1 where anything is lost or doubled, or a point was never
    hit though its turn came twice.
    """
    rounds = int(arguments[0]) if arguments else 120
    seed = int(arguments[1]) if arguments[1:] else secrets.randbelow(1_000_000)
    print(f"{rounds} rounds, seed {seed}", flush=True)
    broker, began = ApacheKafka(), time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="oopswatch-chaos-") as folder:
            outcome = stage_chaos(broker, Path(folder), rounds, seed)
    finally:
        broker.stop()
    print(f"{outcome}\n{time.monotonic() - began:.0f} s, seed {seed}")
    if rounds >= 80 and outcome.never:
        print(f"never hit: {', '.join(outcome.never)}", file=sys.stderr)
        return 1
    return 0 if outcome.agrees else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
