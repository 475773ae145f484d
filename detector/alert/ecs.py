"""Incidents as documents of the Elastic Common Schema, 9.4.

In: a subject. Out: a nested dictionary of JSON types. Fields that ECS does not have stand under
`oopswatch`, as its page on custom fields says. No IO, no clock.
"""

from __future__ import annotations

from detector import __version__
from detector.alert.message import summary
from detector.alert.notice import Subject
from detector.alert.wording import inert_line
from detector.model import Severity
from detector.render.objects import Item, moment, spread_item

ECS_VERSION = "9.4.0"
# The numbers that Elastic's detection rules have for low, medium, high and critical.
_SEVERITY_NUMBER: dict[Severity, int] = {"critical": 99, "error": 73, "warning": 47, "info": 21}


def ecs_document(
    subject: Subject, *, created_us: int, uid: str, action: str | None, link: str | None
) -> Item:
    """One incident. `uid` is equal where a receiver may drop a second copy; `action` is what a
    notice says happened to the incident, None outside of notices; `link` is its page.
    """
    started = moment(subject.started_us) or moment(subject.found_us)
    document = {
        "@timestamp": started,
        "message": summary(subject),
        "ecs": {"version": ECS_VERSION},
        "event": _event(subject, uid, action, link) | {"created": moment(created_us)},
        "host": _host(subject),
        "rule": {
            "id": subject.rule,
            "name": subject.rule_title and inert_line(subject.rule_title),
            "ruleset": "oopswatch",
        },
        "error": {"id": subject.fingerprint, "message": inert_line(subject.title)},
        "log": {"level": subject.severity},
        "observer": {"product": "oopswatch", "type": "sensor", "version": __version__},
        "oopswatch": _own(subject),
    }
    return _filled(document)


def _event(subject: Subject, uid: str, action: str | None, link: str | None) -> Item:
    return {
        "kind": "alert",
        "category": ["host"],
        "type": ["info"],
        "id": uid,
        "action": action,
        "dataset": "oopswatch.incident",
        "module": "oopswatch",
        "provider": "oopswatch",
        "severity": _SEVERITY_NUMBER[subject.severity],
        "start": moment(subject.started_us),
        "url": link,
    }


def _host(subject: Subject) -> Item:
    uptime = subject.uptime_us
    return {
        "name": inert_line(subject.host),
        "os": {"type": "linux", "kernel": subject.kernel and inert_line(subject.kernel)},
        "uptime": None if uptime is None else uptime // 1_000_000,
    }


def _own(subject: Subject) -> Item:
    spread = spread_item(subject.spread)
    return {
        "incident": {"id": subject.id, "state": subject.state, "found": moment(subject.found_us)},
        "boot": inert_line(subject.boot),
        "gap_us": subject.gap_us,
        "time_basis": subject.time_basis,
        "function": subject.function and inert_line(subject.function),
        "module": subject.module and inert_line(subject.module),
        "lines": [inert_line(line) for line in subject.lines],
        "known_issue": {
            "id": subject.known_issue,
            "confidence": subject.known_issue_confidence,
        },
        "known_bug": subject.known_bug and inert_line(subject.known_bug),
        "next_steps": [inert_line(step) for step in subject.next_steps],
        "spread": {"field": spread["field"], "hosts": spread["hosts"]} if spread else None,
    }


def _filled(item: Item) -> Item:
    """The object without what has no value, however deep."""
    made = {
        name: _filled(value) if isinstance(value, dict) else value for name, value in item.items()
    }
    return {name: value for name, value in made.items() if value not in (None, {}, [])}
