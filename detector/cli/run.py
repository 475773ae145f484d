"""`oopswatch run`: the service, Kafka in, history out."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

import click

import detector
from detector import telemetry
from detector.cli import parts
from detector.model import Unparsed
from detector.noise import NoiseCount
from detector.service import Finding, Told
from detector.service import run as drive
from detector.settings import Settings
from detector.sources import KafkaSource
from detector.store import Journal, open_journal


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
@parts.store_option
@parts.patterns_option
@parts.config_option
def run(
    bootstrap: str | None,
    topic: str | None,
    group: str | None,
    store_path: Path | None,
    folders: tuple[Path, ...],
    config_path: Path | None,
) -> None:
    """Reads the fleet's kernel logs from Kafka and keeps incidents, reports and noise counts in the history."""
    overrides = {"kafka__bootstrap_servers": bootstrap, "kafka__topics": topic, "kafka__group": group}
    settings, _ = parts.settings_of(config_path, **overrides, store__path=store_path, patterns__directories=folders)
    telemetry.configure(settings.log.level, settings.log.format)
    catalogue = parts.catalogue_of(settings)
    with closing(open_journal(settings.store.path)) as journal:
        source = kafka_source(settings, journal)
        stopping = _stop_on_signals(source)
        watch = parts.watch_of(settings, journal, catalogue, told=_told())
        names = ", ".join(settings.kafka.topics)
        counts = {"signatures": len(catalogue.signatures), "rules": len(catalogue.rules)}
        telemetry.say("started", version=detector.__version__, source=names, store=str(settings.store.path), **counts)
        try:
            drive(source, watch, parts.now_us)
        finally:
            source.close()
        totals = watch.totals
        found = {"records": totals.records, "matches": totals.matches, "incidents": totals.incidents, "noise": totals.noise}
        telemetry.say("stopped", reason=stopping.get("signal", "end of input"), **found)


def kafka_source(settings: Settings, journal: Journal) -> KafkaSource:
    """The Kafka source of the settings; it begins where the journal stands."""
    return KafkaSource(settings.kafka, start_at=journal.positions().get, on_event=_event)


def _event(name: str, fields: Mapping[str, Any]) -> None:
    telemetry.say(name, **fields)


def _told() -> Told:
    return Told(incident=_incident, noise=_noise, unparsed=_unparsed(), switched_off=_switched_off)


def _incident(finding: Finding, new: bool) -> None:
    if not new:
        return
    incident = finding.incident
    telemetry.INCIDENTS.labels(incident.rule).inc()
    title = finding.report.title if finding.report else None
    telemetry.say("incident_raised", id=incident.id, rule=incident.rule, severity=incident.severity, host=incident.host, title=title)


def _noise(rows: Sequence[NoiseCount]) -> None:
    for row in rows:
        telemetry.NOISE.labels(row.signature).inc(row.count)


def _switched_off(signature: str) -> None:
    telemetry.SIGNATURES_OFF.inc()
    telemetry.say("signature_switched_off", signature=signature, strikes=0)


def _unparsed() -> Any:
    seen: set[str] = set()

    def tell(one: Unparsed) -> None:
        telemetry.UNPARSED.labels(one.reason).inc()
        if one.reason not in seen:
            seen.add(one.reason)
            sample = one.sample.decode(errors="backslashreplace")
            telemetry.say("unparsed_sample", reason=one.reason, source=one.source, number=one.number, sample=sample)

    return tell


def _stop_on_signals(source: KafkaSource) -> dict[str, str]:
    """SIGTERM and SIGINT end the source after the batch in hand; the dictionary then names the signal."""
    caught: dict[str, str] = {}

    def stop(number: int, _frame: FrameType | None) -> None:
        caught["signal"] = signal.Signals(number).name
        source.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return caught
