"""Every metric and every log event that oopswatch gives of itself, declared once.

Metrics are prometheus-client objects: `telemetry.RECORDS.inc(1000)`. Events are said by
`say("broker_back", servers="…", away_s=7)`; an event that is not declared here, or said with other
fields, is an error. `python -m detector.telemetry_page` prints docs/metrics.md. Alerts are not made
here.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Thread
from typing import Any, TextIO
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

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


@dataclass(frozen=True, slots=True)
class Event:
    """One declared log event: how loud it is, what it says, with which fields."""

    level: int
    meaning: str
    fields: tuple[str, ...] = ()


EVENTS: Mapping[str, Event] = {
    "started": Event(
        logging.INFO, "reading begins", ("version", "source", "store", "signatures", "rules")
    ),
    "stopped": Event(
        logging.INFO,
        "what was read is stored and committed",
        ("reason", "records", "matches", "incidents", "noise", "cut_lines", "lost", "skipped"),
    ),
    "incident_raised": Event(
        logging.WARNING, "a rule raised an incident", ("id", "rule", "severity", "host", "title")
    ),
    "history_kept": Event(
        logging.INFO, "what was too old was removed, old hours were folded into days", ("rows",)
    ),
    "keeping_failed": Event(
        logging.ERROR, "what is too old cannot be removed now; it is tried again", ("reason",)
    ),
    "no_routing": Event(logging.WARNING, "nobody is told of incidents: alert.file is not set", ()),
    "routing_loaded": Event(
        logging.INFO, "who is told of incidents was read", ("file", "receivers", "routes")
    ),
    "routing_refused": Event(
        logging.ERROR, "the routing file is bad; the one before it holds", ("faults",)
    ),
    "receiver_failing": Event(
        logging.WARNING,
        "a receiver does not take messages; they are kept",
        ("receiver", "verdict", "detail"),
    ),
    "receiver_back": Event(
        logging.INFO, "a receiver takes messages again", ("receiver", "failures")
    ),
    "alert_refused": Event(
        logging.ERROR, "a receiver will never take this message", ("receiver", "delivery", "detail")
    ),
    "alert_undelivered": Event(
        logging.ERROR, "a message was given up: nobody took it", ("receiver", "delivery", "detail")
    ),
    "alerts_repeated": Event(
        logging.WARNING,
        "messages that were under way at the last stop may arrive twice",
        ("messages",),
    ),
    "alerts_halted": Event(
        logging.ERROR, "the outbox cannot be written; it is tried again", ("error",)
    ),
    "heartbeat_failed": Event(
        logging.WARNING, "a receiver did not hear that oopswatch lives", ("receiver", "detail")
    ),
    "known_index_refused": Event(
        logging.WARNING,
        "an index of known bugs is of no use; the next one is taken, or none",
        ("fault",),
    ),
    "input_alarm": Event(
        logging.ERROR, "something is wrong with the input, or no longer", ("kind", "over", "text")
    ),
    "broker_away": Event(
        logging.WARNING, "no broker answers; it is tried again", ("servers", "error", "retry_s")
    ),
    "broker_back": Event(logging.INFO, "brokers answer again", ("servers", "away_s")),
    "rebalance": Event(
        logging.INFO, "the group shared the partitions out anew", ("revoked", "assigned")
    ),
    "kafka_client_changed": Event(
        logging.WARNING,
        "not the kafka-python that whole batches were written for: record by record it is slower",
        ("version", "changed"),
    ),
    "position_out_of_range": Event(
        logging.WARNING,
        "records were deleted before they were read",
        ("partition", "position", "beginning"),
    ),
    "topic_recreated": Event(
        logging.WARNING,
        "a topic was deleted and made anew: all that it holds is read",
        ("partition", "before", "position"),
    ),
    "topic_gone": Event(
        logging.WARNING, "a topic was deleted; it is read when it is there again", ("topic",)
    ),
    "history_set_back": Event(
        logging.WARNING,
        "the group is ahead of this history (cause says why): what is missing is read again",
        ("partition", "before", "position", "cause"),
    ),
    "history_fresh": Event(
        logging.WARNING,
        "the group has read on, and this history is new: what Kafka still holds is read again",
        ("partition", "before", "position"),
    ),
    "begins_late": Event(
        logging.INFO,
        "nobody has read this partition, and Kafka has deleted its first records already: by "
        "retention, which goes by the stamps that senders set (message.timestamp.type=CreateTime)",
        ("partition", "before", "position"),
    ),
    "history_elsewhere": Event(
        logging.INFO,
        "what comes before was read by another member, and is in its history",
        ("partition", "before", "position"),
    ),
    "position_set": Event(
        logging.INFO,
        "a person set the position: noise that is counted is not counted again",
        ("partition", "before", "position"),
    ),
    "log_truncated": Event(
        logging.ERROR,
        "Kafka lost the end of what was read: what it holds is read again",
        ("partition", "before", "position"),
    ),
    "partition_stopped": Event(
        logging.ERROR,
        "a batch cannot be read, twice: the partition stands still there, and is tried each minute",
        ("partition", "offset", "error"),
    ),
    "partition_resumed": Event(
        logging.INFO, "what could not be read can be read, or is gone", ("partition",)
    ),
    "batch_skipped": Event(
        logging.ERROR,
        "a batch cannot be read, twice: the offsets from offset to following were passed over",
        ("partition", "offset", "following", "error"),
    ),
    "ownership_lost": Event(
        logging.WARNING,
        "the group may have given the partitions away: what was read is dropped, not stored",
        ("error",),
    ),
    "signature_switched_off": Event(
        logging.ERROR,
        "its regex timed out too often: it sees nothing until a restart",
        ("signature", "strikes"),
    ),
    "serving": Event(logging.INFO, "pages and API answer", ("address", "port", "tls", "access")),
    "logged_in": Event(logging.INFO, "a browser was given a session", ("who", "address")),
    "acted": Event(
        logging.INFO,
        "somebody asked for a change of an incident, a problem or a silence",
        ("who", "via", "method", "path", "status"),
    ),
    "queried": Event(
        logging.INFO, "somebody asked through the SQL door", ("who", "rows", "ms", "sql")
    ),
    "access_refused": Event(
        logging.WARNING, "a request was refused", ("reason", "who", "address", "method", "path")
    ),
    "no_more_files": Event(
        logging.ERROR,
        "no connection can be taken: raise the limit of open files (LimitNOFILE); once a minute",
        ("error",),
    ),
    "serve_fault": Event(
        logging.ERROR, "a fault of the server's event loop or of a route", ("message", "error")
    ),
    "library_log": Event(
        logging.WARNING, "a library logged a warning or an error", ("logger", "message")
    ),
    "record_rejected": Event(
        logging.ERROR,
        "a stage raised on a record: it was set aside, the rest goes on; `oopswatch rejected list`",
        ("source", "number", "stage", "reason", "sample"),
    ),
    "unclaimed_sample": Event(
        logging.WARNING,
        "lines hold the phrase of a kernel fault and were not understood: the first of a reason, "
        "then once an hour; `oopswatch explain` says why",
        ("reason", "count", "signature", "host", "source", "number", "sample"),
    ),
    "dead_letter_failed": Event(
        logging.ERROR,
        "a record that was set aside could not be written to kafka.dead_letter_topic",
        ("topic", "error", "source", "number", "stage"),
    ),
    "unparsed_sample": Event(
        logging.WARNING,
        "first record of a kind that no format reads",
        ("reason", "source", "number", "sample"),
    ),
}


def say(event: str, **fields: object) -> None:
    """Log a declared event with its declared fields. Raises ValueError for any other: that is a
    mistake in the code.
    """
    declared = EVENTS.get(event)
    if declared is None:
        raise ValueError(f"log event {event!r} is not declared in {__name__}")
    if set(fields) != set(declared.fields):
        raise ValueError(
            f"log event {event!r} has the fields {', '.join(declared.fields)}, not "
            f"{', '.join(fields)}"
        )
    structlog.get_logger("oopswatch").log(declared.level, event, **fields)


def configure(level: str = "info", style: str = "auto", stream: TextIO | None = None) -> None:
    """Begin to log. `style` is "console", "json" or "auto" (console on a terminal); `stream` is
    standard error unless given.

    Values come from log lines, so control characters are escaped in both styles. The Kafka client
    is quiet unless `level` is "debug".
    """
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
