"""Kafka: `oopswatch run` beside consumers that do the same job and consumers that do nothing.
`python -m bench.kafka`.

Broker on one core, client on the other, one topic at a time. oopswatch does its whole job until
every position is stored; slow contenders read a part and are compared by records a second. Clients
that do nothing take their partitions by hand and are not charged their start-up.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import options
from bench.broker import broker, fill
from bench.corpora import HOSTS, SHARES, Corpus, check_corpus, corpora
from bench.figures import (
    Goal,
    Results,
    Row,
    disagreement,
    paired_ratio,
    per_unit,
    printed_incidents,
)
from bench.install import KAFKA_TOOLS, program
from bench.machine import facts, keep
from bench.peers import configurations
from bench.running import Command, Contender, FailedError, in_turn, run
from bench.service import service
from tests.kafka.broker import ApacheKafka
from tests.kafka.jars import java

PART, TINY, QUARTER = 20, 50, 4
OOPSWATCH = "oopswatch run"
STOCK_JOB = "oopswatch's job over stock kafka-python"
FETCH = "the same fetch, nothing scanned"
STOCK, CONFLUENT, JAVA, QUIX = (
    "kafka-python poll()",
    "confluent-kafka consume()",
    "Java consumer-perf-test",
    "Quix Streams",
)
NOTES = {
    OOPSWATCH: "the whole job: scanned, correlated, stored, positions in the same transaction",
    STOCK_JOB: "`kafka.batches = false`: the same answers, record by record",
    FETCH: "whole batches, checked and decompressed: our ceiling",
    STOCK: "counts records, no work",
    CONFLUENT: "counts records, no work",
    JAVA: (
        f"counts records, no work; kafka-tools {KAFKA_TOOLS}, its own fetch time, without the "
        "rebalance"
    ),
    QUIX: "one rule over its state store; no noise, no reports; from the first record on",
}
GOALS = ((STOCK_JOB, 15.0), (CONFLUENT, 3.0), (JAVA, 1.0), (FETCH, 0.8))


class Bench:
    """One broker, its topics, and how each contender is run over them."""

    def __init__(self, kafka: ApacheKafka, home: Path, results: Results) -> None:
        self.kafka, self.home, self.results = kafka, home, results

    def job(
        self, topic: str, records: int, settings: dict[str, str] | None = None
    ) -> Callable[[], float]:
        """`oopswatch run` until all is stored."""

        def once() -> float:
            with service(self.home, self.kafka.bootstrap, topic, settings) as running:
                return running.wait(records)

        return once

    def client(self, name: str, topic: str, records: int) -> Callable[[], float]:
        """One of `bench.clients`."""
        words = [
            sys.executable,
            "-m",
            "bench.clients",
            name,
            self.kafka.bootstrap,
            topic,
            str(records),
        ]
        return lambda: float(run(Command(words, cwd=options.ROOT)).output)

    def perf_test(self, topic: str, records: int) -> Callable[[], float]:
        """Apache Kafka's own. Raises LookupError where it cannot be had."""
        jars, reason = program("kafka-tools")
        if jars is None:
            raise LookupError(reason)
        words = [
            java(),
            "-Xmx512m",
            "-cp",
            f"{jars}/*",
            "org.apache.kafka.tools.ConsumerPerformance",
            "--bootstrap-server",
        ]
        words += [
            self.kafka.bootstrap,
            "--topic",
            topic,
            "--messages",
            str(records),
            "--timeout",
            "60000",
        ]

        def once() -> float:
            told = run(Command([*map(str, words), "--group", f"perf-{time.monotonic_ns()}"])).output
            return _fetch_seconds(told)

        return once

    def quix(self, topic: str, records: int) -> Command:
        """The join in Quix Streams. Raises LookupError where it cannot be had."""
        python, reason = program("quixstreams")
        if python is None:
            raise LookupError(reason)
        script = options.HERE / "peers" / "quix_job.py"
        words = [
            python,
            script,
            self.kafka.bootstrap,
            topic,
            records,
            configurations.release(),
            configurations.fault(),
        ]
        return Command([str(word) for word in words])

    def checked(self) -> bool:
        """Both of our ways and Quix over a small topic: each must find what was planted. Whether
        Quix did.
        """
        small = check_corpus()
        records, planted = fill(self.kafka, "check", small.path), small.truth().incidents
        for name, settings in (
            (OOPSWATCH, None),
            (STOCK_JOB, {"OOPSWATCH_KAFKA_BATCHES": "false"}),
        ):
            with service(self.home, self.kafka.bootstrap, "check", settings) as running:
                running.wait(records)
                self._note(name, disagreement(planted, running.incidents()), len(planted))
        try:
            wrong = disagreement(
                planted, printed_incidents(run(self.quix("check", records)).output)
            )
        except (LookupError, FailedError) as error:
            self.results.not_run[QUIX] = str(error)
            return False
        self._note(QUIX, wrong, len(planted))
        return not wrong

    def _note(self, name: str, wrong: str, planted: int) -> None:
        self.results.checks.append(
            f"check topic: {name} finds {wrong or f'the {planted} incidents planted, and no other'}"
        )
        print(f"  {self.results.checks[-1]}", flush=True)


def main() -> int:
    """Measures everything and keeps the results."""
    results = Results("kafka", facts())
    few, many = corpora((HOSTS[1], share) for share in SHARES)
    with broker() as kafka, tempfile.TemporaryDirectory(prefix="oopswatch-bench-") as scratch:
        results.notes.append(kafka.name.split(" on ")[0])
        bench = Bench(kafka, Path(scratch), results)
        quix = bench.checked()
        results.rows += _side_by_side(bench, few, quix)
        results.rows += _at_many_hits(bench, many)
    keep(results)
    return 0


def _side_by_side(bench: Bench, one: Corpus, quix: bool) -> list[Row]:
    whole, part = fill(bench.kafka, "whole", one.path), max(1, one.lines() // PART)
    fill(bench.kafka, "part", one.path, part)
    tiny, quarter = max(1, one.lines() // TINY), max(1, whole // QUARTER)
    plans: list[tuple[str, int, Callable[[], float]]] = [
        (OOPSWATCH, whole, bench.job("whole", whole)),
        (FETCH, whole, bench.client("fetch", "whole", whole)),
        (STOCK_JOB, part, bench.job("part", part, {"OOPSWATCH_KAFKA_BATCHES": "false"})),
        (STOCK, part, bench.client("stock", "whole", part)),
        (CONFLUENT, quarter, bench.client("confluent", "whole", quarter)),
    ]
    try:
        plans.append((JAVA, whole, bench.perf_test("whole", whole)))
    except LookupError as error:
        bench.results.not_run[JAVA] = str(error)
    if quix:
        fill(bench.kafka, "tiny", one.path, tiny)
        command = bench.quix("tiny", tiny)
        plans.append((QUIX, tiny, lambda: _last_number(run(command).output)))
    rows = in_turn(
        [
            Contender(Row(one.title, name, count, "records", note=NOTES[name]), once)
            for name, count, once in plans
        ],
        options.ROUNDS,
    )
    for name, limit in GOALS:
        other = next((row for row in rows if row.name == name), None)
        if other is not None:
            ratio = paired_ratio(per_unit(other), per_unit(rows[0]))
            bench.results.goals.append(
                Goal(f"Kafka, {one.title}: records/s against {name}", limit, ratio, "at least")
            )
    return rows


def _at_many_hits(bench: Bench, one: Corpus) -> list[Row]:
    """The same at many hits, beside the fetch alone: no goal, but whoever has a crash-looping fleet
    wants to know.
    """
    for topic in ("whole", "part"):
        bench.kafka.delete_topic(topic)
    records = fill(bench.kafka, "hits", one.path)
    plans = (
        (OOPSWATCH, bench.job("hits", records)),
        (FETCH, bench.client("fetch", "hits", records)),
    )
    return in_turn(
        [
            Contender(Row(one.title, name, records, "records", note=NOTES[name]), once)
            for name, once in plans
        ],
        options.ROUNDS,
    )


def _fetch_seconds(output: str) -> float:
    """The fetch time out of what the perf test prints: names, then figures, with commas. Raises
    FailedError.
    """
    lines = [line for line in output.splitlines() if "," in line]
    names = [name.strip() for name in lines[0].split(",")] if len(lines) > 1 else []
    if "fetch.time.ms" not in names:
        raise FailedError(f"consumer-perf-test says {output[-300:]}")
    return float(lines[-1].split(",")[names.index("fetch.time.ms")]) / 1000


def _last_number(output: str) -> float:
    return float(re.findall(r"^\d+\.\d+$", output, re.MULTILINE)[-1])


if __name__ == "__main__":
    raise SystemExit(main())
