"""The whole path in one process: a simulated fleet, a Kafka topic, the pipeline of
`oopswatch run`, a history; planted against found.

In: a plan, a broker (or none: then librdkafka's mock cluster is started inside this process), how a
pipeline is made. Out: an `DemoResult`. It prints nothing. What was found is read back from the
history file, not overheard from the pipeline.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detector.clock import now_us
from detector.drive import run
from detector.errors import UserError
from detector.hooks import Hooks
from detector.pipeline import Pipeline
from detector.settings.kafka import Kafka
from detector.simulate import (
    Comparison,
    SimulationPlan,
    Truth,
    compare,
    records,
    simulate,
    to_kafka,
)
from detector.simulate.targets import Shipped
from detector.simulate.truth import host_name
from detector.sources.kafka.consumer import KafkaSource
from detector.sources.kafka.reach import client_settings, why_unreachable
from detector.store import Journal, open_history, open_journal

FORMAT = "rsyslog"
DELIVERY = "late-hosts"
PARTITIONS = 3
# The mock cluster keeps no more than 5 MB of a partition (rdkafka_mock.c), so the sender never runs
# further ahead than this.
AHEAD = 50_000
# It answers a fetch with one batch: large ones keep the reader from waiting.
_BATCHES = {"batch_size": 1_000_000, "linger_ms": 100}
_STILL_S = 30.0
ATTEMPTS = 4
_LOST = "the broker handed out nothing for 30 s"

MakeWatch = Callable[[Journal, Hooks], Pipeline]
DemoProgress = Callable[[int, int], None]


class DemoError(UserError):
    """A fault that keeps the demo from running, in one line with its remedy."""


class SilentBrokerError(DemoError):
    """The broker takes records and hands none out."""


@dataclass(frozen=True, slots=True)
class DemoBroker:
    """The broker of the demo's topic: settings to reach it, options that all its clients need,
    options that its producers need.
    """

    name: str
    kafka: Kafka
    client: Mapping[str, Any] = field(default_factory=dict)
    producer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of planted thing: how many were planted, how many of them should be told of and
    how many were.
    """

    kind: str
    planted: int
    expected: int
    reported: int


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Planted facts beside those of the history.

    `seconds` is from the first record sent to the last one stored.
    """

    rows: tuple[Row, ...]
    comparison: Comparison
    records: int
    seconds: float
    store: Path

    @property
    def agrees(self) -> bool:
        """Returns whether planted and found are the same, to the last noise count."""
        return self.comparison.agrees


@contextmanager
def embedded_broker(kafka: Kafka) -> Iterator[DemoBroker]:
    """librdkafka's mock cluster: Kafka's protocol without a broker to install. Raises DemoError
    where confluent-kafka is missing.
    """
    try:
        from confluent_kafka import Producer
    except ImportError as error:
        raise DemoError(
            "its own broker is in confluent-kafka, which is not installed: pip install "
            "'oopswatch[demo]', or give --bootstrap host:port"
        ) from error
    cluster = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 4})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    reached = kafka.model_copy(
        update={
            "bootstrap_servers": (f"{broker.host}:{broker.port}",),
            "security_protocol": "PLAINTEXT",
        }
    )
    # It answers newer versions in a way that kafka-python cannot decode, and knows no idempotent
    # producers.
    yield DemoBroker(
        "librdkafka's mock cluster, inside this process",
        reached,
        {"api_version": (2, 0)},
        {"enable_idempotence": False},
    )
    cluster.flush(0)


def embedded_demo(
    plan: SimulationPlan,
    kafka: Kafka,
    make_watch: MakeWatch,
    store: Path,
    progress: DemoProgress | None = None,
    begun: Callable[[DemoBroker, SilentBrokerError | None], None] = lambda _broker, _error: None,
) -> DemoResult:
    """Runs the demo through librdkafka's mock cluster, and through another one where a cluster
    hands out nothing: it is made for tests, and now and then a group never comes together in it.

    `begun` hears the broker of each attempt and why the one before ended. A history that an attempt
    has begun is removed. Raises DemoError, SilentBrokerError after `ATTEMPTS` attempts.
    """
    silent: SilentBrokerError | None = None
    for _ in range(ATTEMPTS):
        with embedded_broker(kafka) as broker:
            begun(broker, silent)
            try:
                return demo(plan, broker, make_watch, store, progress)
            except SilentBrokerError as error:
                silent = error
        for ending in ("", "-wal", "-shm"):
            store.with_name(store.name + ending).unlink(missing_ok=True)
    assert silent is not None
    raise silent


def demo(
    plan: SimulationPlan,
    broker: DemoBroker,
    make_watch: MakeWatch,
    store: Path,
    progress: DemoProgress | None = None,
) -> DemoResult:
    """Sends what `plan` simulates through a topic of its own into the history `store`, and
    compares the two.

    `progress` hears (records stored, records in all). Raises DemoError where the broker does not
    take or hand out the records.
    """
    simulation = simulate(plan)
    with _topic(broker) as topic, closing(open_journal(store)) as journal:
        kafka = broker.kafka.model_copy(
            update={"topics": (topic,), "group": topic, "auto_offset_reset": "earliest"}
        )
        source = KafkaSource(kafka, on_event=_quiet, client=broker.client, sole=True)
        source.resume(journal.sources)
        sender = _DemoSender(
            records(simulation, format=FORMAT, delivery=DELIVERY), topic, _options(broker)
        )
        reader = _DemoReader(source, sender, plan.lines, progress)
        watch = make_watch(
            journal, Hooks(batch=lambda totals, _seconds: reader.heard(totals.records))
        )
        begun = time.monotonic()
        try:
            sender.start()
            run(source, watch, now_us)
        finally:
            sender.give_up()
            source.close()
            sender.join()
        watch.finish(now_us())
        seconds = time.monotonic() - begun
    if reader.error:
        raise SilentBrokerError(reader.error)
    if sender.error:
        raise DemoError(f"the broker does not take the records: {sender.error}")
    items, noise = read_back(store)
    return DemoResult(
        tabulate(simulation.truth, items, noise),
        compare(simulation.truth, items, noise),
        plan.lines,
        seconds,
        store,
    )


def read_back(store: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Incidents with their evidence, and noise counts, as the history holds them."""
    with closing(open_history(store)) as history:
        details = [history.incident(row.id) for row in history.incidents(limit=-1)]
        rows = history.noise(by=("host", "process"), top=-1).rows
        noise = [{"host": row.host, "process": row.process, "count": row.count} for row in rows]
    incidents = [
        {
            "host": detail.incident.host,
            "evidence": [
                {"kernel_time_us": m.kernel_time_us, "text": m.text}
                for m in detail.incident.evidence
            ],
        }
        for detail in details
        if detail is not None
    ]
    return incidents, noise


def tabulate(
    truth: Truth, items: list[dict[str, Any]], noise: list[dict[str, Any]]
) -> tuple[Row, ...]:
    """Planted against told, kind by kind; a false incident counts for the decoy whose line it
    rests on, or for "nothing planted".
    """
    comparison = compare(truth, items)
    decoys = {
        (host, half.text): decoy.kind
        for decoy in truth.decoys
        for host, _ in decoy.where
        for half in decoy.halves
    }
    false: Counter[str] = Counter()
    for incident in comparison.false:
        kinds = [
            decoys.get((host_name(incident["host"]), match["text"]))
            for match in incident["evidence"]
        ]
        false[next((kind for kind in kinds if kind), "nothing planted")] += 1
    planted = Counter(decoy.kind for decoy in truth.decoys) | Counter(dict.fromkeys(false, 0))
    incidents = len(truth.incidents)
    rows = [Row("incident", incidents, incidents, incidents - len(comparison.missed))]
    rows += [Row(kind, planted[kind], 0, false[kind]) for kind in sorted(planted | false)]
    crashes = sum(item.count for item in truth.noise)
    return (*rows, Row("noise", crashes, crashes, sum(row["count"] for row in noise)))


class _DemoSender(threading.Thread):
    """Sends in the background, never more than `AHEAD` records before what is `stored`; `error`
    says what went wrong, if anything did.
    """

    def __init__(self, shipped: Iterable[Shipped], topic: str, options: Mapping[str, Any]) -> None:
        super().__init__(name="demo-sender", daemon=True)
        self.error: Exception | None = None
        self._shipped, self._topic, self._options = shipped, topic, {**_BATCHES, **options}
        self._stored, self._given_up = 0, False
        self._more = threading.Condition()

    def run(self) -> None:
        """Sends all of it."""
        try:
            to_kafka(self._held(), self._topic, self._options)
        except Exception as error:  # noqa: BLE001
            self.error = error

    def stored(self, number: int) -> None:
        """So many records are dealt with: as many more may be sent."""
        with self._more:
            self._stored = number
            self._more.notify()

    def give_up(self) -> None:
        """Nobody reads any more: sends nothing further."""
        with self._more:
            self._given_up = True
            self._more.notify()

    def _held(self) -> Iterator[Shipped]:
        for number, record in enumerate(self._shipped):
            if number >= self._stored + AHEAD:
                with self._more:
                    while not self._given_up and number >= self._stored + AHEAD:
                        self._more.wait()
            if self._given_up:
                return
            yield record


class _DemoReader:
    """Ends the source when all records are stored, when sending has failed, or when nothing
    comes any more.
    """

    def __init__(
        self, source: KafkaSource, sender: _DemoSender, expected: int, progress: DemoProgress | None
    ) -> None:
        self.error: str | None = None
        self._source, self._sender, self._expected, self._progress = (
            source,
            sender,
            expected,
            progress,
        )
        self._stored, self._since = 0, time.monotonic()

    def heard(self, stored: int) -> None:
        """After every batch, also an empty one."""
        if stored != self._stored:
            self._stored, self._since = stored, time.monotonic()
            self._sender.stored(stored)
            if self._progress is not None:
                self._progress(stored, self._expected)
        if time.monotonic() - self._since > _STILL_S:
            self.error = _LOST
        if stored >= self._expected or self.error or self._sender.error:
            self._source.stop()


@contextmanager
def _topic(broker: DemoBroker) -> Iterator[str]:
    """A topic that nobody else has; a real broker is asked to make it and to delete it, the
    mock makes any that is asked for.
    """
    name = f"oopswatch-demo-{secrets.token_hex(4)}"
    if broker.producer:
        from kafka import KafkaProducer

        with closing(KafkaProducer(**_options(broker))) as producer:
            producer.partitions_for(name)
        yield name
        return
    from kafka.admin import NewTopic

    _administer(broker, lambda admin: admin.create_topics([NewTopic(name, PARTITIONS, 1)]))
    try:
        yield name
    finally:
        _administer(broker, lambda admin: admin.delete_topics([name]))


def _administer(broker: DemoBroker, order: Callable[[Any], object]) -> None:
    """Gives one order to a real broker.

    Raises DemoError with the reason where it cannot be reached or refuses.
    """
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    options = _options(broker)
    if reason := why_unreachable(options):
        raise DemoError(reason)
    try:
        with closing(KafkaAdminClient(**options)) as admin:
            order(admin)
    except KafkaError as error:
        raise DemoError(" ".join(str(error).split()) or type(error).__name__) from error


def _options(broker: DemoBroker) -> dict[str, Any]:
    return {**client_settings(broker.kafka), **broker.client, **broker.producer}


def _quiet(_name: str, _fields: Mapping[str, Any]) -> None:
    """The demo does not tell of rebalances."""
