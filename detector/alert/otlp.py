"""Incidents as OpenTelemetry log records: the body of an OTLP/HTTP request in JSON.

In: subjects. Out: an `ExportLogsServiceRequest` by the JSON mapping of opentelemetry-proto 1.x:
64-bit integers are strings, field names lowerCamelCase. Attribute names are those of semantic
conventions 1.44 where they have one, else under `oopswatch.`. There is no trace behind an
incident, so a record has neither trace nor span. No IO, no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detector import __version__
from detector.alert.message import summary
from detector.alert.notice import Subject
from detector.alert.wording import inert_line
from detector.model import Severity
from detector.render.objects import Item

EVENT_NAME = "oopswatch.incident"
# Numbers of the log data model: the first of each range that carries this name there.
_SEVERITY_NUMBER: dict[Severity, int] = {"critical": 21, "error": 17, "warning": 13, "info": 9}
# proto3's fixed64 and int64.
_MOST_NANOSECONDS = 2**64 - 1


def logs_request(subject: Subject, record: Item) -> Item:
    """A request of one record: its resource is the subject's host."""
    return {"resourceLogs": [_resource_logs(subject, record)]}


def log_record(
    subject: Subject, *, observed_us: int, uid: str, action: str | None, link: str | None
) -> Item:
    """One incident. `uid` is equal where a receiver may drop a second copy; `action` is what a
    notice says happened to the incident, None outside of notices; `link` is its page.
    """
    started = subject.started_us if subject.started_us is not None else subject.found_us
    return {
        "timeUnixNano": _nanoseconds(started),
        "observedTimeUnixNano": _nanoseconds(observed_us),
        "severityNumber": _SEVERITY_NUMBER[subject.severity],
        "severityText": subject.severity,
        "eventName": EVENT_NAME,
        "body": {"stringValue": summary(subject)},
        "attributes": _attributes(_facts(subject, uid, action, link)),
    }


def _facts(subject: Subject, uid: str, action: str | None, link: str | None) -> Item:
    """Attributes by name; those without a value are left out later."""
    spread = subject.spread
    return {
        "log.record.uid": uid,
        "code.function.name": subject.function and inert_line(subject.function),
        "url.full": link,
        "oopswatch.action": action,
        "oopswatch.incident.id": subject.id,
        "oopswatch.incident.title": inert_line(subject.title),
        "oopswatch.incident.state": subject.state,
        "oopswatch.incident.fingerprint": subject.fingerprint,
        "oopswatch.incident.gap_us": subject.gap_us,
        "oopswatch.incident.time_basis": subject.time_basis,
        "oopswatch.incident.lines": _lines(subject.lines),
        "oopswatch.rule.id": subject.rule,
        "oopswatch.rule.title": subject.rule_title and inert_line(subject.rule_title),
        "oopswatch.boot": inert_line(subject.boot),
        "oopswatch.uptime_us": subject.uptime_us,
        "oopswatch.kernel.release": subject.kernel and inert_line(subject.kernel),
        "oopswatch.kernel.module": subject.module and inert_line(subject.module),
        "oopswatch.known_issue.id": subject.known_issue,
        "oopswatch.known_issue.confidence": subject.known_issue_confidence,
        "oopswatch.known_bug": subject.known_bug and inert_line(subject.known_bug),
        "oopswatch.next_steps": _lines(subject.next_steps),
        "oopswatch.spread.hosts": spread.hosts if spread else None,
    }


def _lines(lines: Sequence[str]) -> list[str] | None:
    return [inert_line(line) for line in lines] or None


def _resource_logs(subject: Subject, record: Item) -> Item:
    resource = {
        "service.name": "oopswatch",
        "service.version": __version__,
        "host.name": inert_line(subject.host),
        "os.type": "linux",
    }
    return {
        "resource": {"attributes": _attributes(resource)},
        "scopeLogs": [
            {"scope": {"name": "oopswatch", "version": __version__}, "logRecords": [record]}
        ],
    }


def _attributes(values: Item) -> list[Item]:
    return [
        {"key": name, "value": _any_value(value)}
        for name, value in values.items()
        if value is not None
    ]


def _any_value(value: Any) -> Item:
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_any_value(item) for item in value]}}
    return {"stringValue": value}


def _nanoseconds(wall_us: int) -> str:
    """Nanoseconds since 1970 as the JSON mapping has them; 0, "unknown", where none fits."""
    value = wall_us * 1_000
    return str(value if 0 < value <= _MOST_NANOSECONDS else 0)
