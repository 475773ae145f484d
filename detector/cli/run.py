"""`oopswatch run`: the service, Kafka in, history out."""

from __future__ import annotations

import hashlib
import platform
import signal
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

import detector
from detector import clock, telemetry
from detector.app import build
from detector.app.alerting import alerts_of
from detector.app.dead_letters import DeadLetters
from detector.app.metrics_hooks import describe_process, metrics_hooks
from detector.catalogue import Catalogue
from detector.cli.keep import kept
from detector.cli.options import config_option, patterns_option, store_option
from detector.errors import UserError
from detector.hooks import RunTotals
from detector.pipeline import run as drive
from detector.settings import Settings, settings_of
from detector.sources.kafka.consumer import KafkaSource
from detector.store.hold import held

if TYPE_CHECKING:
    from detector.serve.server import Server


@click.command(
    epilog="""\b
Examples:
  oopswatch run --config /etc/oopswatch/oopswatch.toml
  oopswatch run --bootstrap kafka-1:9092,kafka-2:9092 --topic kernel-logs --store /var/lib/oopswatch/history.db
Exit: 0 on SIGTERM or SIGINT after what was read is stored and committed, 2 on settings or brokers that do not work."""
)
@click.option("--bootstrap", help="Brokers to begin with, host:port, with commas between them.")
@click.option("--topic", help="Topics to read, with commas between them.")
@click.option("--group", help="Consumer group.")
@store_option
@patterns_option
@config_option
def run(
    bootstrap: str | None,
    topic: str | None,
    group: str | None,
    store_path: Path | None,
    folders: tuple[Path, ...],
    config_path: Path | None,
) -> None:
    """Reads the fleet's kernel logs from Kafka and keeps incidents, reports and noise counts in the
    history.
    """
    overrides = {
        "kafka__bootstrap_servers": bootstrap,
        "kafka__topics": topic,
        "kafka__group": group,
    }
    settings, _ = settings_of(
        config_path, **overrides, store__path=store_path, patterns__directories=folders
    )
    telemetry.configure(settings.log.level, settings.log.format)
    catalogue = build.catalogue_of(settings)
    stopping = _Stopping()
    try:
        source = kafka_source(settings)
        stopping.source = source
        with closing(source):
            totals = _serve(settings, catalogue, source)
    except _StoppedEarly:
        totals = RunTotals()
    telemetry.say(
        "stopped",
        reason=stopping.signal or "end of input",
        records=totals.records,
        matches=totals.matches,
        incidents=totals.incidents,
        noise=totals.noise,
        cut_lines=totals.cut_lines,
        lost=stopping.source.lost if stopping.source else 0,
        skipped=stopping.source.skipped if stopping.source else 0,
    )


def _serve(settings: Settings, catalogue: Catalogue, source: KafkaSource) -> RunTotals:
    """Runs the service on a source that has met its brokers, until the source ends. The history is
    made only now.
    """
    with (
        closing(build.journal_of(settings, settings.store.path)) as journal,
        held(settings.store.path),
        kept(settings),
    ):
        alerts = alerts_of(settings, catalogue, journal)
        source.resume(journal.sources)
        letters = DeadLetters(settings.kafka)
        told = metrics_hooks(source, alerts, letters)
        watch = build.watch_of(settings, journal, catalogue, told=told)
        _expose(settings)
        pages = _pages(settings)
        telemetry.say(
            "started",
            version=detector.__version__,
            source=", ".join(settings.kafka.topics),
            store=str(settings.store.path),
            signatures=len(catalogue.signatures),
            rules=len(catalogue.rules),
        )
        signal.signal(signal.SIGHUP, lambda *_: alerts.dispatcher.reload())
        alerts.start()
        try:
            drive(source, watch, clock.now_us)
        finally:
            source.close()
            letters.close()
            alerts.dispatcher.stop()
            if pages is not None:
                pages.stop()
        return watch.totals


def kafka_source(settings: Settings) -> KafkaSource:
    """The Kafka source of the settings, once brokers answer.

    The group knows this member by host and store, so that a process that was killed takes its
    partitions over at once when it is started again, not when the group misses it.
    """
    member = hashlib.sha256(
        f"{platform.node()}\0{settings.store.path.resolve()}".encode()
    ).hexdigest()[:16]
    client = {"group_instance_id": f"{settings.kafka.client_id}-{member}"}
    return KafkaSource(settings.kafka, on_event=_event, client=client)


def _event(name: str, fields: Mapping[str, Any]) -> None:
    telemetry.say(name, **fields)
    if name in {"broker_away", "broker_back"}:
        telemetry.BROKER_AWAY.set(name == "broker_away")
    elif name == "position_out_of_range":
        topic, _, partition = fields["partition"].rpartition("/")
        lost = fields["beginning"] - fields["position"]
        telemetry.RECORDS_LOST.labels(topic, partition).inc(lost)
    elif name == "batch_skipped":
        topic, _, partition = fields["partition"].rpartition("/")
        skipped = fields["following"] - fields["offset"]
        telemetry.RECORDS_SKIPPED.labels(topic, partition).inc(skipped)


def _expose(settings: Settings) -> None:
    if not settings.metrics.port:
        return
    describe_process(settings.store.path)
    try:
        telemetry.expose(settings.metrics.address, settings.metrics.port)
    except OSError as error:
        place = f"{settings.metrics.address}:{settings.metrics.port}"
        raise UserError(f"metrics.port: {place} cannot be served: {error.strerror}") from error


def _pages(settings: Settings) -> Server | None:
    """Pages and API on a thread of their own, where `serve.port` asks for them."""
    if not settings.serve.port:
        return None
    from detector.serve.server import Server

    server = Server(settings, port=settings.serve.port, clock=clock.now_us)
    server.start()
    return server


class _StoppedEarly(Exception):  # noqa: N818  # it is no error
    """A signal came while brokers were waited for: nothing was read."""


class _Stopping:
    """What SIGTERM and SIGINT do: they end the source after the batch in hand, or the wait for the
    brokers at once. `signal` names the one that came.
    """

    def __init__(self) -> None:
        self.source: KafkaSource | None = None
        self.signal: str | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self.signal = signal.Signals(number).name
        if self.source is None:
            raise _StoppedEarly
        self.source.stop()
