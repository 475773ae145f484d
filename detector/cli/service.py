"""The service behind `oopswatch run` and `oopswatch archive`.
Kafka in, history, alerts and pages out. They differ in what they read and in what takes it in.
"""

from __future__ import annotations

import hashlib
import platform
import signal
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import detector
from detector import clock, telemetry
from detector.app import build
from detector.app.alerting import alerts_of
from detector.app.metrics_hooks import metrics_hooks, serve_metrics
from detector.app.topic_producer import DeadLetters
from detector.catalogue import Catalogue
from detector.cli.keep import kept
from detector.cli.service_settings import service_settings
from detector.cli.stopping import StoppedEarly, Stopping, stop_early
from detector.drive import BatchKeeper
from detector.drive import run as drive
from detector.hooks import Hooks, RunTotals
from detector.settings import Settings
from detector.sources.kafka.consumer import KafkaSource
from detector.store import Journal
from detector.store.turns import held

if TYPE_CHECKING:
    from detector.serve.server import Server


# What takes batches into a history, and tells of it.
Taking = Callable[[Settings, Journal, Catalogue, Hooks], BatchKeeper]


def serve_fleet(stopping: Stopping, config_path: Path | None, **overrides: object) -> None:
    """Reads Kafka into the history until a signal comes."""
    keep_history(stopping, service_settings(config_path, **overrides), _pipeline)


def _pipeline(
    settings: Settings, journal: Journal, catalogue: Catalogue, hooks: Hooks
) -> BatchKeeper:
    return build.watch_of(settings, journal, catalogue, hooks=hooks)


def keep_history(
    stopping: Stopping,
    settings: Settings,
    taking: Taking,
    source_of: Callable[[Settings], KafkaSource] | None = None,
) -> None:
    """Reads the topics of the settings into the history until a signal comes."""
    # A reload that is asked for before there is anything to reload ends nothing.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    source: KafkaSource | None = None
    totals = RunTotals()
    try:
        stopping.then(stop_early)
        catalogue = build.catalogue_of(settings)
        source = (source_of or kafka_source)(settings)
        stopping.then(source.stop)
        with closing(source):
            totals = _serve(settings, catalogue, source, taking)
    except StoppedEarly:
        if source is not None:
            source.close()
    say_stopped(stopping, totals, source)


def say_stopped(stopping: Stopping, totals: RunTotals, source: KafkaSource | None) -> None:
    """The last line of a service."""
    telemetry.say(
        "stopped",
        reason=stopping.signal or "end of input",
        records=totals.records,
        matches=totals.matches,
        incidents=totals.incidents,
        noise=totals.noise,
        cut_lines=totals.cut_lines,
        lost=source.lost if source else 0,
        skipped=source.skipped if source else 0,
    )


def _serve(
    settings: Settings, catalogue: Catalogue, source: KafkaSource, taking: Taking
) -> RunTotals:
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
        hooks = metrics_hooks(source, alerts, letters)
        watch = taking(settings, journal, catalogue, hooks)
        serve_metrics(settings, settings.store.path)
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


def kafka_source(settings: Settings, setting: str = "kafka.topics") -> KafkaSource:
    """The Kafka source of the settings, once brokers answer; `setting` names its topics.

    The group knows this member by host and store, so that a process that was killed takes its
    partitions over at once when it is started again, not when the group misses it.
    """
    member = hashlib.sha256(
        f"{platform.node()}\0{settings.store.path.resolve()}".encode()
    ).hexdigest()[:16]
    client = {"group_instance_id": f"{settings.kafka.client_id}-{member}"}
    return KafkaSource(settings.kafka, on_event=say_event, client=client, setting=setting)


def say_event(name: str, fields: Mapping[str, Any]) -> None:
    """Logs and counts what happens to a source."""
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


def _pages(settings: Settings) -> Server | None:
    """Pages and API on a thread of their own, where `serve.port` asks for them."""
    if not settings.serve.port:
        return None
    from detector.serve.server import Server

    server = Server(settings, port=settings.serve.port, clock=clock.now_us)
    server.start()
    return server
