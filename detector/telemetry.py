"""Declares every metric of oopswatch, and logs its events.

Metrics are prometheus-client objects: `telemetry.RECORDS.inc(1000)`. Events are logged by
`say("broker_back", servers="…", away_s=7)`; an event that `log_events` does not declare, or with
other fields, is an error. `python -m detector.telemetry_page` prints docs/metrics.md.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from threading import Thread
from typing import Any, TextIO
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from detector.log_events import EVENTS

REGISTRY = CollectorRegistry()
# Characters of a message of a library.
_LOGGED = 2_000


@dataclass(frozen=True, slots=True)
class Metric:
    """One declared metric, for the page."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]


METRICS: list[Metric] = []


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    METRICS.append(Metric(name, "counter", meaning, labels))
    return Counter(name, meaning, labels, registry=REGISTRY)


def _gauge(name: str, meaning: str, *labels: str) -> Gauge:
    METRICS.append(Metric(name, "gauge", meaning, labels))
    return Gauge(name, meaning, labels, registry=REGISTRY)


def _seconds(name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
    METRICS.append(Metric(name, "histogram", meaning, ()))
    return Histogram(name, meaning, buckets=buckets, registry=REGISTRY)


class _LabelledGauge(Collector):
    """Reads all values of a gauge from `source` when Prometheus scrapes: label values to a
    value. The gauge is empty until `source` is set.
    """

    def __init__(self, name: str, meaning: str, *labels: str) -> None:
        METRICS.append(Metric(name, "gauge", meaning, labels))
        self._declared = METRICS[-1]
        self.source: Callable[[], Mapping[tuple[str, ...], int]] = dict
        REGISTRY.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauge with the values that `source` has now."""
        declared = self._declared
        family = GaugeMetricFamily(declared.name, declared.meaning, labels=declared.labels)
        for labels, value in self.source().items():
            family.add_metric(labels, value)
        yield family


RECORDS = _counter("oopswatch_records_total", "records read")
BYTES = _counter("oopswatch_bytes_total", "bytes of record values read")
HITS = _counter(
    "oopswatch_hits_total", "records that hold a literal of the catalogue, and so were decoded"
)
MATCHES = _counter("oopswatch_matches_total", "lines that a kernel signature claimed", "signature")
NOISE = _counter("oopswatch_noise_total", "lines that a user-space signature claimed", "signature")
INCIDENTS = _counter("oopswatch_incidents_total", "incidents raised, each once", "rule")
UNPARSED = _counter(
    "oopswatch_unparsed_total", "records, or parts of one, that no format reads", "reason"
)
REJECTED = _counter(
    "oopswatch_rejected_total", "records set aside because a stage raised on them", "stage"
)
UNCLAIMED = _counter(
    "oopswatch_unclaimed_total",
    "lines that hold the phrase of a kernel fault and were not understood",
    "reason",
)
SEQUENCE_GAPS = _counter(
    "oopswatch_sequence_gaps_total",
    "holes in the numbers of kernel log lines: they were lost on the way",
)
FRAGMENTS_LOST = _counter(
    "oopswatch_fragments_lost_total",
    "messages of netconsole of which a piece never came: they are read as far as they came",
)
HOST_DISAGREEMENTS = _counter(
    "oopswatch_host_disagreements_total", "records whose body names another host than their key"
)
BLOCKS_CUT = _counter(
    "oopswatch_blocks_cut_total", "crash reports cut by a bound of [assemble]", "bound"
)
SIGNATURES_OFF = _gauge(
    "oopswatch_signatures_switched_off",
    "signatures switched off because their regex timed out too often",
)
STORE_SECONDS = _seconds(
    "oopswatch_store_batch_seconds",
    "time of one batch, its transaction included",
    (0.005, 0.02, 0.1, 0.5, 2, 10),
)
ALERTS = _counter(
    "oopswatch_alerts_total",
    "attempts to say something to a receiver, by what came of them",
    "receiver",
    "verdict",
)
ALERTS_UNDELIVERED = _counter(
    "oopswatch_alerts_undelivered_total", "messages that were given up", "receiver"
)
ALERTS_WAITING = _gauge(
    "oopswatch_alerts_waiting", "messages that wait to be sent, or sent again", "receiver"
)
ALERT_SECONDS = _seconds(
    "oopswatch_alert_seconds",
    "from the plan of a message to its delivery",
    (0.05, 0.2, 0.5, 1, 2, 5, 60, 600),
)
BROKER_AWAY = _gauge("oopswatch_broker_away", "1 while no broker answers")
RECORDS_LOST = _counter(
    "oopswatch_records_lost_total",
    "records that retention deleted before they were read",
    "topic",
    "partition",
)
RECORDS_SKIPPED = _counter(
    "oopswatch_records_skipped_total",
    "offsets of batches that could not be read and were passed over (kafka.on_corrupt)",
    "topic",
    "partition",
)
PARTITIONS_STOPPED = _gauge(
    "oopswatch_partitions_stopped", "partitions that stand still at a batch that cannot be read"
)
LINES_CUT = _counter(
    "oopswatch_lines_cut_total",
    "lines, or rows of a dump, that were longer than what is read of one",
)
LAG = _gauge(
    "oopswatch_lag_records",
    "records between the position and the end of a partition",
    "topic",
    "partition",
)
HTTP_REQUESTS = _counter(
    "oopswatch_http_requests_total",
    "requests answered by pages and API",
    "route",
    "method",
    "status",
)
HTTP_SECONDS = _seconds(
    "oopswatch_http_seconds",
    "time of one answer, streams left out",
    (0.005, 0.02, 0.05, 0.1, 0.5, 2),
)
HTTP_REFUSED = _counter(
    "oopswatch_http_refused_total",
    "requests refused: host, token, role, origin, csrf, rate; connections and heads that came "
    "too late",
    "reason",
)
HTTP_LISTENERS = _gauge("oopswatch_http_listeners", "listeners of /api/v1/events")
DATAGRAMS = _counter("oopswatch_datagrams_total", "datagrams of netconsole that are in Kafka")
DATAGRAMS_LOST = _counter(
    "oopswatch_datagrams_lost_total",
    "datagrams of netconsole that did not get into Kafka: not-allowed, buffer-full, socket-full, "
    "kafka",
    "reason",
)
INCIDENTS_OPEN = _LabelledGauge(
    "oopswatch_incidents_open", "incidents that are not resolved", "state", "severity"
)
BUILD = _gauge(
    "oopswatch_build_info", "always 1: the version that runs, and its Python", "version", "python"
)

# What prometheus-client reads of this process from /proc; other systems have no such figures.
ProcessCollector(registry=REGISTRY)
METRICS.extend(
    Metric(f"process_{name}", kind, meaning, ())
    for name, kind, meaning in (
        ("cpu_seconds_total", "counter", "CPU time of the process, user and system"),
        ("max_fds", "gauge", "file descriptors that the process may open"),
        ("open_fds", "gauge", "file descriptors that are open"),
        ("resident_memory_bytes", "gauge", "memory of the process that is resident"),
        ("start_time_seconds", "gauge", "when the process started, in seconds since 1970"),
        ("virtual_memory_bytes", "gauge", "address space of the process"),
    )
)


def say(event: str, **fields: object) -> None:
    """Log a declared event with its declared fields. Raises ValueError for any other: that is a
    mistake in the code.
    """
    declared = EVENTS.get(event)
    if declared is None:
        raise ValueError(f"log event {event!r} is not declared in detector.log_events")
    if set(fields) != set(declared.fields):
        raise ValueError(
            f"log event {event!r} has the fields {', '.join(declared.fields)}, not "
            f"{', '.join(fields)}"
        )
    import structlog  # what only reads files never logs, and starts without it

    structlog.get_logger("oopswatch").log(declared.level, event, **fields)


def is_logging() -> bool:
    """Returns whether a log has begun."""
    if "structlog" not in sys.modules:
        return False
    import structlog

    return structlog.is_configured()


def is_json() -> bool:
    """Returns whether a log has begun that is JSON."""
    if not is_logging():
        return False
    import structlog

    return isinstance(structlog.get_config()["processors"][-1], structlog.processors.JSONRenderer)


def configure(level: str = "info", style: str = "auto", stream: TextIO | None = None) -> None:
    """Begin to log. `style` is "console", "json" or "auto" (console on a terminal); `stream` is
    standard error unless given.

    Values come from log lines, so control characters are escaped in both styles. The Kafka client
    is quiet unless `level` is "debug".
    """
    import structlog

    stream = stream or sys.stderr
    console = style == "console" or (style == "auto" and stream.isatty())
    least = logging.getLevelNamesMapping()[level.upper()]
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if console:
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty(), repr_native_str=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    logging.getLogger("kafka").setLevel(
        logging.DEBUG if least == logging.DEBUG else logging.CRITICAL
    )
    logging.basicConfig(handlers=[_LibraryHandler()], level=logging.WARNING, force=True)
    logging.captureWarnings(True)


class _LibraryHandler(logging.Handler):
    """Says what libraries log as events, one line each, so that all of standard error is alike."""

    def emit(self, record: logging.LogRecord) -> None:
        """Says a record, with its exception in one line."""
        message = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            message = f"{message.splitlines()[0] if message else ''}: {record.exc_info[1]!r}"
        say("library_log", logger=record.name, message=message[:_LOGGED])


def expose(address: str, port: int) -> tuple[WSGIServer, Thread]:
    """Serve the metrics over HTTP at `address`:`port` from a thread of its own, both returned.
    Raises OSError where the port is taken.
    """
    return start_http_server(port, address, registry=REGISTRY)
