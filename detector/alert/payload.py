"""A notice as JSON: what webhooks and the topic carry, and the names that templates use.

The page docs/receivers.md explains each field.

In: a notice. Out: a dictionary of JSON types; fields are only ever added. Texts are inert, as in
`message`. No IO, no clock.
"""

from __future__ import annotations

from detector.alert.message import compose, plain
from detector.alert.notice import Notice, Subject
from detector.alert.wording import inert_line
from detector.model import Spread
from detector.render.escape import inert
from detector.render.objects import Item, moment, spread_item
from detector.store.query.standing import ProblemStanding

SCHEMA = "oopswatch.notice/1"


def notice_item(notice: Notice) -> Item:
    """All of a notice.

    The first fields are those that Grafana OnCall's formatted webhook reads.
    """
    message = compose(notice)
    return {
        "alert_uid": notice.dedup_key,
        "title": message.title,
        "state": "ok" if notice.action == "resolve" else "alerting",
        "link_to_upstream_details": message.link,
        "message": plain(message, title=False),
        "schema": SCHEMA,
        "action": notice.action,
        "short_title": message.short,
        "reason": inert_line(notice.reason),
        "at": moment(notice.at_us),
        "may_be_repeated": notice.repeated,
        "severity": message.severity,
        "team": notice.team and inert(notice.team),
        "runbook": message.runbook,
        "total": notice.total,
        "host_count": notice.host_count,
        "hosts": [inert_line(host) for host in notice.hosts],
        "incidents": [subject_item(subject) for subject in notice.subjects],
        "history": standing_item(notice.standing) if notice.standing else None,
    }


def subject_item(subject: Subject) -> Item:
    """One incident. Times are RFC 3339 in UTC, spans µs."""
    return {
        "id": subject.id,
        "rule": subject.rule,
        "rule_title": subject.rule_title and inert_line(subject.rule_title),
        "host": inert_line(subject.host),
        "boot": inert_line(subject.boot),
        "severity": subject.severity,
        "title": inert_line(subject.title),
        "fingerprint": subject.fingerprint,
        "started": moment(subject.started_us),
        "found": moment(subject.found_us),
        "gap_us": subject.gap_us,
        "spread": _spread_item(subject.spread),
        "time_basis": subject.time_basis,
        "uptime_us": subject.uptime_us,
        "kernel": subject.kernel and inert_line(subject.kernel),
        "function": subject.function and inert_line(subject.function),
        "module": subject.module and inert_line(subject.module),
        "lines": [inert_line(line) for line in subject.lines],
        "what_happened": [inert_line(entry) for entry in subject.what_happened],
        "known_issue": subject.known_issue,
        "known_issue_confidence": subject.known_issue_confidence,
        "known_bug": subject.known_bug and inert_line(subject.known_bug),
        "next_steps": [inert_line(step) for step in subject.next_steps],
        "state": subject.state,
        "runbook": subject.runbook and inert_line(subject.runbook),
    }


def _spread_item(spread: Spread | None) -> Item | None:
    item = spread_item(spread)
    if item is not None:
        item["value"] = inert_line(item["value"])
        item["names"] = [inert_line(name) for name in item["names"]]
    return item


def standing_item(standing: ProblemStanding) -> Item:
    """Returns what the history knows of the same problem."""
    return {
        "count": standing.count,
        "hosts": standing.hosts,
        "first": moment(standing.first_us),
        "last": moment(standing.last_us),
        "new": standing.new,
        "regression_of": standing.regression_of and inert_line(standing.regression_of),
        "hosts_last_hour": [inert_line(host) for host in standing.hosts_last_hour],
        "reports": standing.reports,
        "advice": [
            {
                "about": entry.about,
                "text": inert_line(entry.text),
                "author": inert_line(entry.author),
                "at": moment(entry.at_us),
            }
            for entry in standing.advice
        ],
    }
