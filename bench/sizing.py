"""What a fleet of a million hosts costs, measured in both stages over a real Kafka, and what fleets
of other sizes need by that.

    python -m bench.sizing [--hosts 1000000] [--page docs/sizing.md]

Hosts and keys are real ones: each host has lines of its own, keyed by its name. Time is compressed:
a topic holds some lines of every host instead of a day of them, so that costs come out by record,
by line of noise and by finding. CPU seconds are those of whole processes once they have their
partitions; they change less than the clock on the wall where other work is on the machine.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from confluent_kafka import Producer

from bench.broker import PRODUCER, broker
from bench.machine import facts
from bench.processes import cpu_s, peak_mb
from detector.clock import DAY_US
from detector.simulate import SimulationPlan, records, simulate
from tests.kafka.broker import ApacheKafka
from tests.kafka.stages import Stages
from tests.support.kafka_runs import moving

PARTITIONS = 12
LINES_EACH = 3
START_US = 1_776_000_000_000_000
WITHIN_S = 3_000
_NOT_SHOWN = ("corpora", "rounds")
SETTINGS = {"fleet_counts_s": 10, "kafka_session_s": 45, "keep_every_s": 0}
Rows = Iterable[tuple[str, bytes]]


@dataclass(slots=True)
class Cost:
    """What a process took for what it read: CPU and wall seconds, and the most memory, in MB."""

    records: int
    cpu_s: float = 0.0
    wall_s: float = 0.0
    memory_mb: float = 0.0

    @property
    def rate(self) -> float:
        """Records a CPU second."""
        return self.records / self.cpu_s


@dataclass(slots=True)
class Measured:
    """All that was measured. Sizes are bytes on a disk."""

    hosts: int
    quiet: Cost
    shared: Cost
    noise: Cost
    crashes: Cost
    noise_rows: Cost
    findings: Cost
    record_bytes: float
    finding_bytes: float
    noise_row_bytes: float
    history_noise_bytes: float
    history_finding_bytes: float


def name_of(number: int) -> str:
    """A host's name."""
    return f"node-{number:07}.rack{number % 997:03}.example.net"


def stamp(at_us: int) -> str:
    """RFC 3164, as rsyslog writes it to Kafka."""
    return time.strftime("%b %e %H:%M:%S", time.gmtime(at_us / 1_000_000))


def quiet_rows(hosts: int) -> Iterator[tuple[str, bytes]]:
    """Ordinary lines of every host, in turn."""
    for turn in range(LINES_EACH):
        for number in range(hosts):
            at_us = START_US + turn * 60_000_000 + number
            since = 900_000 + number % 7_919 + turn * 60
            host, when = name_of(number), stamp(at_us)
            text = (
                f"eth0: renamed from veth{number:06x}",
                f"audit: type=1400 audit({at_us // 1_000_000}.{number % 1_000:03}:{turn}): allowed",
                f"EXT4-fs (sda{number % 8}): mounted filesystem with ordered data mode",
            )[(number + turn) % 3]
            line = f"<6>{when} {host} kernel: [{since}.{number % 1_000_000:06}] {text}"
            yield host, line.encode()


def noise_rows(hosts: int) -> Iterator[tuple[str, bytes]]:
    """One crash of a program on every host."""
    for number in range(hosts):
        host, when = name_of(number), stamp(START_US + number)
        pid, name = 1_000 + number % 30_000, f"worker-{number % 50}"
        text = (
            f"{name}[{pid}]: segfault at {number * 8:x} ip 00007f3b1c0{number % 4096:05x} sp "
            f"00007ffd4a0{number % 4096:05x} error 4 in libc.so.6[7f3b1c000000+195000]"
        )
        line = (
            f"<6>{when} {host} kernel: [{900_000 + number % 7_919}.{number % 1_000_000:06}] {text}"
        )
        yield host, line.encode()


def crash_rows(hosts: int) -> Iterator[tuple[str, bytes]]:
    """Kernel faults with their reports, pairs among them, of one host in five hundred."""
    some = max(40, hosts // 500)
    plan = SimulationPlan(
        seed=3, hosts=some, lines=some * 150, start=START_US, incidents=some // 4,
        half_signatures=some // 4, noise_share=0.002,
    )  # fmt: skip
    return records(simulate(plan), format="rsyslog", delivery="in-order")


def fill(kafka: ApacheKafka, topic: str, rows: Rows) -> int:
    """Writes rows keyed by host; returns how many."""
    options = {"bootstrap.servers": kafka.bootstrap, "queue.buffering.max.messages": 500_000}
    producer, count = Producer({**options, **PRODUCER}), 0
    for count, (host, value) in enumerate(rows, 1):
        while True:
            try:
                producer.produce(topic, value=value, key=host.encode())
                break
            except BufferError:
                producer.poll(0.1)
        if count % 10_000 == 0:
            producer.poll(0)
    producer.flush()
    return count


class Topic:
    """A topic of logs that was filled, and stages over it."""

    def __init__(self, kafka: ApacheKafka, folder: Path, rows: Rows) -> None:
        folder.mkdir()
        self.kafka = kafka
        self.stages = Stages(kafka, folder, PARTITIONS)
        self.count = fill(kafka, self.stages.topic, rows)
        print(f"  {self.count:,} records", flush=True)

    def detect(self, members: int) -> Cost:
        """What first stages take for all of it, together; the most memory of one."""
        services = [self.stages.detect(f"m{number}", **SETTINGS) for number in range(members)]
        share = PARTITIONS // members
        for service in services:
            service.until(lambda service=service: len(moving(service)) == share, WITHIN_S)
        before, began = [cpu_s(service.process.pid) for service in services], time.monotonic()
        services[0].until(self.stages.detected, WITHIN_S)
        cost = Cost(self.count, wall_s=time.monotonic() - began)
        for service, start in zip(services, before, strict=True):
            cost.cpu_s += cpu_s(service.process.pid) - start
            cost.memory_mb = max(cost.memory_mb, peak_mb(service.process.pid))
            service.stop()
        return cost

    def archive(self) -> Cost:
        """What the second stage takes for the findings of all of it."""
        last = self.stages.last_offsets()
        found = len(self.stages.records())
        service = self.stages.archive(**SETTINGS)
        service.until(lambda: bool(service.said("rebalance")), WITHIN_S)
        before, began = cpu_s(service.process.pid), time.monotonic()
        service.until(lambda: self.stages.archived(last), WITHIN_S)
        wall_s = time.monotonic() - began
        cost = Cost(
            found, cpu_s(service.process.pid) - before, wall_s, peak_mb(service.process.pid)
        )
        service.stop()
        return cost

    def bytes_of(self, *topics: str, partitions: int) -> int:
        """What topics take on the broker's disk."""
        logs = (self.kafka.logs_of(topic, part) for topic in topics for part in range(partitions))
        return sum(path.stat().st_size for paths in logs for path in paths)


def measure(kafka: ApacheKafka, folder: Path, hosts: int) -> Measured:
    """Fills three topics, and runs the stages over each."""
    print("ordinary lines of every host", flush=True)
    quiet = Topic(kafka, folder / "quiet", quiet_rows(hosts))
    lone = quiet.detect(1)
    quiet.stages.group += "-shared"
    shared = quiet.detect(2)
    record_bytes = quiet.bytes_of(quiet.stages.topic, partitions=PARTITIONS) / quiet.count
    print("a crash of a program on every host", flush=True)
    noise = Topic(kafka, folder / "noise", noise_rows(hosts))
    noise_cost = noise.detect(1)
    noise_size = noise.bytes_of(noise.stages.noise, partitions=2)
    noise_archived = noise.archive()
    print("kernel faults", flush=True)
    crashes = Topic(kafka, folder / "crashes", crash_rows(hosts))
    crash_cost = crashes.detect(1)
    finding_size = crashes.bytes_of(crashes.stages.findings, partitions=2)
    archived = crashes.archive()
    empty = 400_000  # a history of nothing
    return Measured(
        hosts, lone, shared, noise_cost, crash_cost, noise_archived, archived, record_bytes,
        finding_size / max(1, archived.records), noise_size / max(1, noise_archived.records),
        (noise.stages.store.stat().st_size - empty) / max(1, noise_archived.records),
        (crashes.stages.store.stat().st_size - empty) / max(1, archived.records),
    )  # fmt: skip


# What is assumed: of lines those of programs that crash, of a host findings and noise keys a day,
# and how full a core may be.
NOISE_SHARE = 0.001
FINDINGS_A_DAY, NOISE_KEYS_A_DAY, FULL = 0.1, 4, 0.5
KEEP_LOGS_DAYS, KEEP_FINDINGS_DAYS, KEEP_HISTORY_DAYS, KEEP_COUNTS_DAYS = 1, 7, 365, 92
RUN_MB = 400
FLEETS = (100, 10_000, 1_000_000)
RATES = (0.1, 1.0, 10.0)


def needs(one: Measured, hosts: int, rate: float) -> tuple[str, ...]:
    """One row of the page: what a fleet needs where each host writes so many lines a second."""
    lines = hosts * rate
    detect = lines / one.quiet.rate + lines * NOISE_SHARE / one.noise.rate
    found = hosts * FINDINGS_A_DAY / 86_400
    counted = hosts * NOISE_KEYS_A_DAY / 86_400
    archive = found / one.findings.rate + counted / one.noise_rows.rate
    processes = ceil(detect / FULL)
    # Below what a core may be full one process does both.
    two = processes > 1 or detect + archive > FULL
    memory = (processes * one.quiet.memory_mb + one.noise_rows.memory_mb) if two else RUN_MB
    logs = lines * 86_400 * KEEP_LOGS_DAYS * one.record_bytes
    topics = KEEP_FINDINGS_DAYS * hosts * (
        FINDINGS_A_DAY * one.finding_bytes + NOISE_KEYS_A_DAY * one.noise_row_bytes
    )  # fmt: skip
    history = KEEP_HISTORY_DAYS * hosts * FINDINGS_A_DAY * one.history_finding_bytes
    history += KEEP_COUNTS_DAYS * hosts * NOISE_KEYS_A_DAY * one.history_noise_bytes
    return (
        f"{hosts:,}", f"{rate:g}", f"{lines:,.0f}",
        f"{processes} × `detect`, 1 × `archive`" if two else "1 × `run`",
        str(max(4 if not two else 12, 2 * processes)),
        f"{detect:.2f}", f"{archive:.3f}", f"{memory / 1_000:.1f}",
        f"{logs / 1e9:,.1f}", f"{topics / 1e9:,.1f}", f"{history / 1e9:,.1f}",
    )  # fmt: skip


def page(one: Measured, load: tuple[float, float]) -> Iterator[str]:
    """The page, line by line."""
    ratio = 2 * one.quiet.cpu_s / one.shared.cpu_s
    yield "# Sizing: what a fleet needs\n"
    yield (
        "Made by `make sizing`: three topics of a real Kafka with lines of "
        f"{one.hosts:,} hosts, each keyed by its host's name, through `detect`, two `detect`,\n"
        "and `archive`. Time is compressed: each host has a few lines instead of a day of them, so "
        "that costs come out by record, and are multiplied below.\n"
    )
    shown = {name: value for name, value in facts().items() if name not in _NOT_SHOWN}
    yield from (f"- {name}: {value}" for name, value in shown.items())
    yield (
        f"- Load of the machine: {load[0]:.1f} at the beginning, {load[1]:.1f} at the end. CPU "
        "seconds are those of the processes alone.\n"
    )
    yield "## Measured\n\n| what | records | a CPU second | CPU s | wall s | memory, MB |"
    yield "| --- | --: | --: | --: | --: | --: |"
    for what, cost in (
        ("`detect`, ordinary lines", one.quiet),
        ("two `detect` that share them", one.shared),
        ("`detect`, each line the crash of a program", one.noise),
        ("`detect`, a log full of kernel faults with reports", one.crashes),
        ("`archive`, counts of noise, a new host each", one.noise_rows),
        ("`archive`, matches and reports, incidents among them", one.findings),
    ):
        yield (
            f"| {what} | {cost.records:,} | {cost.rate:,.0f} | {cost.cpu_s:.1f} | "
            f"{cost.wall_s:.1f} | {cost.memory_mb:,.0f} |"
        )
    yield (
        f"\nTwo `detect` took {one.shared.cpu_s / one.quiet.cpu_s:.2f} × the CPU of one for the "
        f"same topic, so that two cores of their own make them {ratio:.2f} × as fast; by the wall "
        f"clock, with this load, {one.quiet.wall_s / one.shared.wall_s:.2f} ×.\n\n"
        f"Bytes on disk: a record of the logs' topic {one.record_bytes:.0f} (lz4, large batches), "
        f"a finding {one.finding_bytes:,.0f}, a count of noise {one.noise_row_bytes:.0f}; in "
        f"the history a finding\n{one.history_finding_bytes:,.0f}, a count of noise "
        f"{one.history_noise_bytes:.0f}.\n"
    )
    yield "## What fleets need\n"
    yield (
        f"By these costs, with cores at most {FULL:.0%} full, {NOISE_SHARE:.1%} of lines from "
        f"programs that crash, {FINDINGS_A_DAY} findings and "
        f"{NOISE_KEYS_A_DAY} counts of noise (a program, a kind and an hour) a host and day. Disk: "
        f"logs' topic for {KEEP_LOGS_DAYS} day,\ntopics of findings for {KEEP_FINDINGS_DAYS} days, "
        f"each once (multiply by the replicas); history with faults of {KEEP_HISTORY_DAYS} days "
        f"and counts of {KEEP_COUNTS_DAYS} days. `run` is assumed to take {RUN_MB / 1_000} GB of "
        "memory.\n"
    )
    yield (
        "| hosts | lines/s each | lines/s | processes | partitions | cores `detect` | cores "
        "`archive` | memory, GB | logs, GB | findings, GB | history, GB |"
    )
    yield "| --: | --: | --: | --- | --: | --: | --: | --: | --: | --: | --: |"
    for hosts in FLEETS:
        for rate in RATES:
            yield f"| {' | '.join(needs(one, hosts, rate))} |"
    yield (
        "\n- The lines are made, and alike: those of a fleet take two or three times the bytes on "
        "disk.\n- Cores are CPU seconds a second: a fleet that crashes needs more. A line of noise "
        f"costs `detect` {one.quiet.rate / one.noise.rate:.1f} ordinary lines, one of a log full "
        f"of reports {one.quiet.rate / one.crashes.rate:.1f}.\n"
        "- Partitions are twice the processes, so that a process more has a share; 12 are the "
        "least that is worth making for two stages. More cost nothing here.\n"
        "- One `archive` is the limit of one history: "
        f"{one.findings.rate * FULL:,.0f} findings a second on half a core. Several histories, "
        "split by host, each need a group and topics of findings of their own.\n"
        "- The brokers' own cores are not counted: a broker that only stores and hands out lz4 "
        "batches takes less than the readers.\n"
        f"- A day is {DAY_US // 1_000_000:,} s; a fleet that logs by day alone needs as many cores "
        "as its busiest hour has lines."
    )


def main() -> None:
    """Measures, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=1_000_000)
    parser.add_argument("--page", type=Path, default=Path("docs/sizing.md"))
    chosen = parser.parse_args()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="oopswatch-sizing-") as folder, broker() as kafka:
        measured = measure(kafka, Path(folder), chosen.hosts)
    lines = page(measured, (before, os.getloadavg()[0]))
    chosen.page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(chosen.page.read_text())


if __name__ == "__main__":
    main()
