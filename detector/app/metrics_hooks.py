"""The hooks of `oopswatch run`: metrics, log events, alerts, letters of rejected records.

In: what the pipeline says of a batch once it is stored. Out: counters and lines. Nothing is decided
here.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import detector
from detector import clock, telemetry
from detector.app.alerting import Alerts
from detector.app.topic_producer import DeadLetters
from detector.clock import HOUR_US
from detector.correlate import StoredMatch
from detector.errors import UserError
from detector.hooks import Hooks, RaisedIncident, RunTotals, ignore
from detector.model import Rejected, Unparsed
from detector.noise import NoiseCount
from detector.render.objects import rejected_item
from detector.repeat_runs import RepeatCount
from detector.settings import Settings
from detector.sources.kafka.consumer import KafkaSource
from detector.store.errors import StoreError
from detector.store.query.history import open_history
from detector.unclaimed import UnclaimedCount, folded


def metrics_hooks(source: KafkaSource, alerts: Alerts, letters: DeadLetters) -> Hooks:
    """Everything that the service says of its batches."""
    return Hooks(
        match=_match,
        repeats=_repeats(),
        incident=_incident,
        noise=_noise,
        unparsed=_unparsed(),
        rejected=_rejected(letters),
        unclaimed=_unclaimed(clock.now_us),
        switched_off=_switched_off,
        counts=_counts,
        batch=_batch(source, alerts.batch),
    )


def detect_hooks(source: KafkaSource, letters: DeadLetters) -> Hooks:
    """Everything that a first stage says of its batches: it raises nothing, and alerts nobody."""
    return Hooks(
        match=_match,
        noise=_noise,
        unparsed=_unparsed(),
        rejected=_rejected(letters),
        unclaimed=_unclaimed(clock.now_us),
        switched_off=_switched_off,
        counts=_counts,
        batch=_batch(source, ignore),
    )


def serve_metrics(settings: Settings, history: Path | None = None) -> None:
    """Serves the metrics where `metrics.port` asks for them. Raises UserError where that port
    cannot be used.
    """
    if not settings.metrics.port:
        return
    describe_process(history)
    try:
        telemetry.expose(settings.metrics.address, settings.metrics.port)
    except OSError as error:
        place = f"{settings.metrics.address}:{settings.metrics.port}"
        raise UserError(f"metrics.port: {place} cannot be served: {error.strerror}") from error


def describe_process(history: Path | None) -> None:
    """Sets the metrics that are not counted from batches: the version, and what is open in the
    history at `history`, read at each scrape (none while it cannot be read).
    """
    telemetry.BUILD.labels(detector.__version__, platform.python_version()).set(1)

    telemetry.INCIDENTS_OPEN.source = partial(_unresolved, history) if history else dict


def _unresolved(history: Path) -> dict[tuple[str, ...], int]:
    with suppress(StoreError), closing(open_history(history)) as reading:
        return reading.unresolved()
    return {}


def _counts(new: Mapping[str, int]) -> None:
    """What parser and assembler counted in one batch, as far as it tells of losses."""
    for name, count in new.items():
        if name == "sequence_gap":
            telemetry.SEQUENCE_GAPS.inc(count)
        elif name == "fragments_lost":
            telemetry.FRAGMENTS_LOST.inc(count)
        elif name == "host_disagreement":
            telemetry.HOST_DISAGREEMENTS.inc(count)
        elif name in {"text_cut", "rows_cut"}:
            telemetry.LINES_CUT.inc(count)
        elif name.startswith("cut:"):
            telemetry.BLOCKS_CUT.labels(name.removeprefix("cut:")).inc(count)


def _batch(
    source: KafkaSource, judge: Callable[[int, int], None]
) -> Callable[[RunTotals, float], None]:
    """Figures of each batch: what it added to the totals, and how far the source is behind. Then
    `judge` gets the records and the lag.
    """
    before = RunTotals()
    shown: set[tuple[str, str]] = set()

    def tell(totals: RunTotals, seconds: float) -> None:
        nonlocal before, shown
        telemetry.RECORDS.inc(totals.records - before.records)
        telemetry.BYTES.inc(totals.bytes - before.bytes)
        telemetry.HITS.inc(totals.hits - before.hits)
        before = replace(totals)
        telemetry.STORE_SECONDS.observe(seconds)
        telemetry.PARTITIONS_STOPPED.set(source.stopped_partitions)
        lags = source.lag()
        now = {
            (name.rpartition("/")[0], name.rpartition("/")[2]): lag for name, lag in lags.items()
        }
        for labels, lag in now.items():
            telemetry.LAG.labels(*labels).set(lag)
        for labels in shown - now.keys():  # another member's now
            telemetry.LAG.remove(*labels)
        shown = set(now)
        judge(totals.records, sum(lags.values()))

    return tell


def _match(stored: StoredMatch) -> None:
    telemetry.MATCHES.labels(stored.match.signature).inc()


def _repeats() -> Callable[[Sequence[RepeatCount]], None]:
    """Counts lines that repeat; one that is kept whole after all was counted as a match again."""
    owed: Counter[str] = Counter()

    def count(rows: Sequence[RepeatCount]) -> None:
        for row in rows:
            owed[row.signature] += row.count
        for signature in {row.signature for row in rows}:
            if owed[signature] > 0:
                telemetry.MATCHES.labels(signature).inc(owed.pop(signature))

    return count


def _incident(finding: RaisedIncident, new: bool) -> None:
    if not new:
        return
    incident = finding.incident
    telemetry.INCIDENTS.labels(incident.rule).inc()
    title = finding.report.title if finding.report else None
    telemetry.say(
        "incident_raised",
        id=incident.id,
        rule=incident.rule,
        severity=incident.severity,
        host=incident.host,
        title=title,
    )


def _noise(rows: Sequence[NoiseCount]) -> None:
    for row in rows:
        telemetry.NOISE.labels(row.signature).inc(row.count)


def _switched_off(signature: str, strikes: int) -> None:
    telemetry.SIGNATURES_OFF.inc()
    telemetry.say("signature_switched_off", signature=signature, strikes=strikes)


def _rejected(letters: DeadLetters) -> Callable[[Rejected], None]:
    fields = ("source", "number", "stage", "reason", "sample")

    def tell(row: Rejected) -> None:
        item = rejected_item(row)
        telemetry.REJECTED.labels(row.stage).inc()
        telemetry.say("record_rejected", **{name: item[name] for name in fields})
        letters.send(row)

    return tell


def _unparsed() -> Any:
    seen: set[str] = set()

    def tell(unparsed: Unparsed) -> None:
        telemetry.UNPARSED.labels(unparsed.reason).inc()
        if unparsed.reason not in seen:
            seen.add(unparsed.reason)
            sample = unparsed.sample.decode(errors="backslashreplace")
            telemetry.say(
                "unparsed_sample",
                reason=unparsed.reason,
                source=unparsed.source,
                number=unparsed.number,
                sample=sample,
            )

    return tell


def _unclaimed(now_us: Callable[[], int]) -> Callable[[Sequence[UnclaimedCount]], None]:
    """Counts lines that nobody claims; each reason is said when it first comes, then once an
    hour.
    """
    printed_us: dict[str, int] = {}
    waiting: dict[str, UnclaimedCount] = {}

    def tell(rows: Sequence[UnclaimedCount]) -> None:
        waiting.update(folded(waiting, rows))
        for row in rows:
            telemetry.UNCLAIMED.labels(row.reason).inc(row.count)
            if now_us() - printed_us.get(row.reason, -HOUR_US) >= HOUR_US:
                printed_us[row.reason] = now_us()
                first = waiting.pop(row.reason)
                telemetry.say(
                    "unclaimed_sample",
                    **{field.name: getattr(first, field.name) for field in fields(first)},
                )

    return tell
