"""The services behind `oopswatch detect` and `oopswatch archive`: two stages over Kafka."""

from __future__ import annotations

import platform
import re
import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import detector
from detector import clock, telemetry
from detector.app import build
from detector.app.metrics_hooks import detect_hooks, serve_metrics
from detector.app.topic_producer import DeadLetters
from detector.catalogue import Catalogue
from detector.cli.service import kafka_source, keep_history, say_event, say_stopped
from detector.cli.service_settings import service_settings
from detector.cli.stopping import StoppedEarly, Stopping, stop_early
from detector.drive import BatchKeeper
from detector.hooks import Hooks, RunTotals
from detector.settings import Settings
from detector.sources import SourceError
from detector.sources.kafka.consumer import KafkaSource
from detector.sources.kafka.finding_producer import FindingProducer
from detector.sources.kafka.group_source import GroupSource
from detector.stages.act_topic import ActTopic
from detector.stages.archive import Archive
from detector.stages.archive_input import ArchiveInput
from detector.stages.detect import Detecting
from detector.stages.detector import Detector
from detector.stages.incident_topic import IncidentTopic
from detector.stages.topic_writer import TopicWriter
from detector.store import Journal

# A transaction of the history with so many findings takes about a second.
MOST_FINDINGS = 5_000
_TOPICS = "fleet.findings_topic, fleet.noise_topic, fleet.acts_topic"


def detect_fleet(stopping: Stopping, config_path: Path | None, **overrides: object) -> None:
    """Reads logs and sends findings until a signal comes."""
    settings = service_settings(config_path, **overrides)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nothing of a first stage is read again
    source: GroupSource | None = None
    totals = RunTotals()
    try:
        stopping.then(stop_early)
        catalogue = build.catalogue_of(settings)
        source = _group_source(settings)
        stopping.then(source.stop)
        with closing(source):
            totals = _detect(settings, catalogue, source)
    except StoppedEarly:
        if source is not None:
            source.close()
    say_stopped(stopping, totals, source)


def _detect(settings: Settings, catalogue: Catalogue, source: GroupSource) -> RunTotals:
    fleet, member = settings.fleet, _member(settings)
    source.demand([fleet.findings_topic], "fleet.findings_topic")
    source.demand([fleet.noise_topic], "fleet.noise_topic")
    letters = DeadLetters(settings.kafka)
    with (
        closing(letters),
        closing(FindingProducer(settings.kafka, member, fleet.transaction_s)) as producer,
    ):
        detecting = Detector(settings, catalogue=catalogue, hooks=detect_hooks(source, letters))
        serve_metrics(settings)
        telemetry.say(
            "detecting",
            version=detector.__version__,
            source=", ".join(settings.kafka.topics),
            findings=fleet.findings_topic,
            counts=fleet.noise_topic,
            member=member,
            signatures=len(catalogue.signatures),
        )
        Detecting(
            source,
            producer,
            detecting,
            fleet,
            now_us=clock.now_us,
            elapsed_s=time.monotonic,
            tell=telemetry.say,
        ).run()
        return detecting.totals


def _member(settings: Settings) -> str:
    """The name of this member, which is also that of its transactions."""
    return settings.fleet.member or re.sub(r"[^A-Za-z0-9._-]", "-", platform.node()) or "detect"


def _group_source(settings: Settings) -> GroupSource:
    """A member of the group, once brokers answer."""
    client = {"group_instance_id": f"{settings.kafka.client_id}-{_member(settings)}"}
    return GroupSource(settings.kafka, on_event=say_event, client=client)


def archive_fleet(stopping: Stopping, config_path: Path | None, **overrides: object) -> None:
    """Reads findings into the history until a signal comes."""
    settings = service_settings(config_path, **overrides)
    fleet = settings.fleet
    acts = (fleet.acts_topic,) if fleet.acts_topic else ()
    kafka = settings.kafka.model_copy(
        update={
            "topics": (fleet.findings_topic, fleet.noise_topic, *acts),
            "group": f"{settings.kafka.group}-archive",
            "auto_offset_reset": "earliest",
            "max_records": min(settings.kafka.max_records, MOST_FINDINGS),
        }
    )
    keep_history(stopping, settings.model_copy(update={"kafka": kafka}), _archive, _findings_source)


def _findings_source(settings: Settings) -> KafkaSource:
    """The topics of findings, once brokers answer and all topics of the fleet are there."""
    source = kafka_source(settings, setting=_TOPICS)
    incidents = settings.fleet.incidents_topic
    try:
        source.demand([incidents] if incidents else [], "fleet.incidents_topic")
    except SourceError:
        source.close()
        raise
    return source


def _archive(
    settings: Settings, journal: Journal, catalogue: Catalogue, hooks: Hooks
) -> BatchKeeper:
    archive = Archive(journal, settings, catalogue=catalogue, hooks=hooks)
    fleet = settings.fleet
    turns: list[Callable[[], None]] = []
    if fleet.incidents_topic:
        writer = _writer(settings, "incidents_topic_failed", fleet.incidents_topic)
        turns.append(IncidentTopic(journal, fleet.incidents_topic, writer).turn)
    if fleet.acts_topic:
        writer = _writer(settings, "acts_topic_failed", fleet.acts_topic)
        turns.append(ActTopic(journal, fleet.acts_topic, writer).turn)

    def publish() -> None:
        for turn in turns:
            turn()

    return ArchiveInput(archive, publish, fleet.acts_topic)


def _writer(settings: Settings, event: str, topic: str) -> TopicWriter:
    def failed(error: str) -> None:
        telemetry.say(event, topic=topic, error=error)

    return TopicWriter(settings.kafka, elapsed_s=time.monotonic, failed=failed)
