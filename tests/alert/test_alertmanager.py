"""A real Alertmanager takes our alerts: they fire, group, repeat, resolve, are silenced; a cluster
of two notifies once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from detector.alert.senders import sender_of
from tests.alert.alertmanagers import PEER_WAIT_S, Member, alertmanagers, installed, wait_until
from tests.support.notices import SECOND, hostile, notice
from tests.support.receivers import Receiver, http_receiver

pytestmark = pytest.mark.debian


@pytest.fixture(scope="module")
def program() -> str:
    """The program that Debian packages."""
    found = installed()
    if found is None:
        missing = (
            "prometheus-alertmanager is not installed (Debian: package prometheus-alertmanager)"
        )
        if os.environ.get("OOPSWATCH_STRICT") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@pytest.fixture(scope="module")
def one(
    program: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Member, Receiver]]:
    """An Alertmanager that repeats often, and what it notifies; each test has a host of its own."""
    with (
        http_receiver() as hook,
        alertmanagers(program, tmp_path_factory.mktemp("am"), hook, repeat="500ms") as (member,),
    ):
        yield member, hook


def now_us() -> int:
    """Alertmanager has its own clock."""
    return time.time_ns() // 1_000


def sender(*members: Member, **options: Any) -> Any:
    """A sender to some Alertmanagers."""
    return sender_of(
        {
            "kind": "alertmanager",
            "urls": [member.url for member in members],
            "repeat_s": 1,
            "hold_s": 30,
            **options,
        },
        "w",
    )


def told(hook: Receiver, host: str, status: str) -> list[dict[str, Any]]:
    """The alerts of a host that the receiver was notified of, in a state."""
    alerts = [alert for request in list(hook.requests) for alert in request.json["alerts"]]
    return [
        alert
        for alert in alerts
        if alert["labels"].get("host") == host and alert["status"] == status
    ]


def test_fires_repeats_and_resolves(one: tuple[Member, Receiver]) -> None:
    """One alert under one identity from first to last, with our words in it."""
    member, hook = one
    given, at = sender(member), now_us()
    fired = notice(host="life", started_us=at - 90 * SECOND, at_us=at)
    assert given.send(fired, at).verdict == "delivered"
    (first, *_) = wait_until(lambda: told(hook, "life", "firing"), "the first notification")
    assert first["labels"] == {
        "alertname": "OopswatchIncident", "rule": "tcp-release-and-memory-fault", "host": "life",
        "severity": "critical",
        "fingerprint": "1:00112233445566aa", "team": "kernel",
    }  # fmt: skip
    assert first["annotations"]["summary"].startswith("[critical] life: TCP socket released")
    assert "Unable to handle kernel paging request" in first["annotations"]["description"]
    assert first["generatorURL"] == "https://oopswatch.example.com/incidents/0123456789abcdef"
    wait_until(lambda: len(told(hook, "life", "firing")) >= 2, "the repetition")
    assert (
        given.send(
            notice("update", host="life", started_us=at - 90 * SECOND, fingerprint="1:ff"), now_us()
        ).verdict
        == "delivered"
    )
    assert (
        len([alert for alert in member.get("alerts") if alert["labels"].get("host") == "life"]) == 1
    )
    assert (
        given.send(notice("resolve", host="life", started_us=at - 90 * SECOND), now_us()).verdict
        == "delivered"
    )
    (last, *_) = wait_until(lambda: told(hook, "life", "resolved"), "the resolution")
    assert last["fingerprint"] == first["fingerprint"]


def test_two_rules_on_one_host_are_one_notification(one: tuple[Member, Receiver]) -> None:
    """Grouped by host, as the shipped configuration does."""
    member, hook = one
    for rule in ("rule-a", "rule-b"):
        assert (
            sender(member)
            .send(notice(host="group", rule=rule, dedup_key=rule, started_us=now_us()), now_us())
            .verdict
            == "delivered"
        )
    wait_until(
        lambda: any(len(request.json["alerts"]) == 2 for request in list(hook.requests)),
        "both in one",
    )
    both = next(request.json for request in hook.requests if len(request.json["alerts"]) == 2)
    assert {alert["labels"]["rule"] for alert in both["alerts"]} == {"rule-a", "rule-b"}


def test_an_alert_that_is_not_posted_again_lapses(one: tuple[Member, Receiver]) -> None:
    """Posting again holds it open; what dies with us ends by itself."""
    member, hook = one
    brief = sender(member, repeat_s=0.2, hold_s=0.6)
    assert brief.repeat_s == 0.2
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        brief.send(notice(host="hold", started_us=now_us()), now_us())
    assert told(hook, "hold", "resolved") == []
    wait_until(lambda: told(hook, "hold", "resolved"), "the lapse")


def test_silenced_there_nobody_is_told(one: tuple[Member, Receiver]) -> None:
    """A silence by our labels holds; the alert is there, and suppressed."""
    member, hook = one
    now = datetime.now(UTC)
    matcher = {"name": "host", "value": "quiet", "isRegex": False, "isEqual": True}
    times = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat()}
    member.post(
        "silences", {"matchers": [matcher], **times, "createdBy": "test", "comment": "maintenance"}
    )
    assert (
        sender(member).send(notice(host="quiet", started_us=now_us()), now_us()).verdict
        == "delivered"
    )
    wait_until(
        lambda: [
            a
            for a in member.get("alerts")
            if a["labels"].get("host") == "quiet" and a["status"]["silencedBy"]
        ],
        "suppression",
    )
    assert (
        sender(member).send(notice(host="loud", started_us=now_us()), now_us()).verdict
        == "delivered"
    )
    wait_until(lambda: len(told(hook, "loud", "firing")) >= 2, "others, twice")
    assert told(hook, "quiet", "firing") == []


def test_hostile_texts_are_taken(one: tuple[Member, Receiver]) -> None:
    """Whatever a log holds, and whatever a host's clock says, the alert is one that Alertmanager
    takes.
    """
    member, _ = one
    bad = hostile()
    assert sender(member).send(bad, now_us()).verdict == "delivered"
    for started in (now_us() + 10**13, -(10**15), 0):
        assert (
            sender(member).send(notice(host="clock", started_us=started), now_us()).verdict
            == "delivered"
        )
        assert (
            sender(member)
            .send(notice("resolve", host="clock", started_us=started), now_us())
            .verdict
            == "delivered"
        )


def test_heartbeat_always_fires(one: tuple[Member, Receiver]) -> None:
    """A dead man's switch behind Alertmanager hears of us by it."""
    member, _ = one
    assert sender(member, instance="ow-1").heartbeat(now_us()).verdict == "delivered"
    wait_until(
        lambda: [
            a for a in member.get("alerts") if a["labels"]["alertname"] == "OopswatchHeartbeat"
        ],
        "the heartbeat",
    )
    (alive,) = [
        a["labels"]
        for a in member.get("alerts")
        if a["labels"]["alertname"] == "OopswatchHeartbeat"
    ]
    assert alive == {"alertname": "OopswatchHeartbeat", "instance": "ow-1", "severity": "none"}


def test_what_it_refuses_is_said(one: tuple[Member, Receiver]) -> None:
    """An alert without a host would be refused by nobody; one that ends before it starts is."""
    member, _ = one
    outcome = sender(member)._post(
        {
            "labels": {"alertname": "x"},
            "startsAt": "2026-01-02T00:00:00Z",
            "endsAt": "2026-01-01T00:00:00Z",
        },
        0,
    )
    assert outcome.verdict == "refused"
    assert "start time must be before end time" in outcome.detail


def test_two_in_high_availability_notify_once(program: str, tmp_path: Path) -> None:
    """The alert goes to both, the cluster tells once; with one of them dead the other still
    does.
    """
    with http_receiver() as hook, alertmanagers(program, tmp_path, hook, count=2) as members:
        both = sender(*members)
        assert both.send(notice(host="ha", started_us=now_us()), now_us()).verdict == "delivered"
        for member in members:
            wait_until(lambda member=member: member.get("alerts"), "the alert at each")
        wait_until(lambda: told(hook, "ha", "firing"), "the notification")
        end = time.monotonic() + PEER_WAIT_S + 0.7  # by then the second one would have told, too
        wait_until(
            lambda: time.monotonic() > end or len(told(hook, "ha", "firing")) > 1,
            "the second member's turn",
        )
        assert (
            both.send(notice("resolve", host="ha", started_us=now_us()), now_us()).verdict
            == "delivered"
        )
        wait_until(lambda: told(hook, "ha", "resolved"), "the resolution")
        end = time.monotonic() + PEER_WAIT_S + 0.7
        wait_until(
            lambda: time.monotonic() > end or len(told(hook, "ha", "resolved")) > 1,
            "the second member's turn",
        )
        assert (len(told(hook, "ha", "firing")), len(told(hook, "ha", "resolved"))) == (1, 1)
        gone = sender(members[0], Member("http://127.0.0.1:9", ""))
        outcome = gone.send(notice(host="half", started_us=now_us()), now_us())
        assert outcome.verdict == "delivered"
        assert "127.0.0.1:9: not sent" in outcome.detail
        wait_until(
            lambda: told(hook, "half", "firing"), "the notification by the one that was told"
        )
