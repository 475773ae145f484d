"""PagerDuty: the events are as its documentation wants them, whatever a log holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from detector.alert.notice import Notice, SendOutcome
from detector.alert.senders import sender_of
from tests.support.notices import FORBIDDEN, NOW, hostile, notice, storm
from tests.support.receivers import answer, http_receiver

KEY = "0123456789abcdef0123456789abcdef"
SCHEMA = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "pagerduty-event.schema.json").read_text()
)
TAKEN = answer(202, '{"status": "success", "message": "Event processed", "dedup_key": "k"}')


def sent(
    given: Notice, tmp_path: Path, **options: Any
) -> tuple[dict[str, Any], SendOutcome, bytes]:
    """The event of a notice, checked against the schema."""
    (tmp_path / "key").write_text(KEY)
    with http_receiver(TAKEN) as receiver:
        table = {
            "kind": "pagerduty",
            "routing_key_file": str(tmp_path / "key"),
            "url": f"{receiver.url}/v2/enqueue",
            **options,
        }
        outcome = sender_of(table, "w").send(given, NOW)
    (request,) = receiver.requests
    assert request.path == "/v2/enqueue"
    jsonschema.Draft202012Validator(SCHEMA).validate(request.json)
    return request.json, outcome, request.body


@pytest.mark.parametrize(
    ("action", "word"),
    [
        ("fire", "trigger"),
        ("update", "trigger"),
        ("acknowledge", "acknowledge"),
        ("resolve", "resolve"),
    ],
)
def test_life_of_an_incident_under_one_key(action: str, word: str, tmp_path: Path) -> None:
    """Each action has its word; the key is the same from first to last."""
    event, outcome, _ = sent(notice(action), tmp_path)
    assert (event["event_action"], event["dedup_key"], event["routing_key"]) == (
        word,
        "oopswatch/test",
        KEY,
    )
    assert ("payload" in event) == (word == "trigger")
    assert outcome.verdict == "delivered"
    assert outcome.detail.startswith("202 Accepted")


def test_what_a_trigger_says(tmp_path: Path) -> None:
    """Summary, source, severity, time, component, class, links."""
    event, _, _ = sent(notice(), tmp_path)
    payload = event["payload"]
    assert payload["summary"].startswith("[critical] db-17: TCP socket released")
    assert (payload["source"], payload["severity"], payload["class"]) == (
        "db-17",
        "critical",
        "tcp-release-and-memory-fault",
    )
    assert (payload["component"], payload["group"]) == ("__inet_lookup_listener", "kernel")
    assert payload["timestamp"] == "2026-09-21T14:11:50.000000Z"
    assert "Unable to handle kernel paging request" in payload["custom_details"]["Log"]
    assert [link["text"] for link in event["links"]] == ["Incident", "Runbook"]


@pytest.mark.parametrize("severity", ["critical", "error", "warning", "info"])
def test_severities_are_pagerdutys(severity: Any, tmp_path: Path) -> None:
    """They are the same four words."""
    assert sent(notice(severity=severity), tmp_path)[0]["payload"]["severity"] == severity


def test_limits_are_kept(tmp_path: Path) -> None:
    """Key 255, summary 1,024 characters, event 512,000 bytes; a cut text says so; equal keys stay
    equal.
    """
    wide = "\U0001f4a9" * 900
    lead = notice(
        host=wide,
        title=wide,
        what_happened=(wide,),
        lines=(wide,) * 1_000,
        next_steps=(wide,) * 1_000,
    ).subjects[0]
    great = replace(
        storm(),
        subjects=(lead, *storm().subjects),
        dedup_key="k" * 5_000,
        link="https://x.example/" + "i" * 2_000,
    )
    event, _, body = sent(great, tmp_path)
    assert len(body) <= 512_000
    assert "more lines" in event["payload"]["custom_details"]["message"]
    assert event["dedup_key"] == sent(replace(great, action="resolve"), tmp_path)[0]["dedup_key"]
    assert (
        event["dedup_key"] != sent(replace(great, dedup_key="k" * 5_001), tmp_path)[0]["dedup_key"]
    )


def test_an_event_that_is_still_too_great_keeps_its_beginning(tmp_path: Path) -> None:
    """Details are given up before the event is."""
    lines = ("\U0001f4a9" * 1_000,) * 500
    event, _, body = sent(
        notice(lines=lines, next_steps=lines, hosts=lines, standing=None, total=2), tmp_path
    )
    assert len(body) <= 512_000
    assert event["payload"]["custom_details"]["message"].startswith("Why now: ")


def test_hostile_text_is_inert(tmp_path: Path) -> None:
    """It passes texts on to chats and phones: nothing in them calls anybody or moves a cursor."""
    event, _, _ = sent(hostile(), tmp_path)
    text = json.dumps(event["payload"], ensure_ascii=False)
    assert not any(bad in text for bad in FORBIDDEN)


def test_words_of_a_template(tmp_path: Path) -> None:
    """Summary and message."""
    (tmp_path / "t.j2").write_text("{{ incidents[0].host }} is down")
    event, _, _ = sent(
        notice(),
        tmp_path,
        title_template=str(tmp_path / "t.j2"),
        body_template=str(tmp_path / "t.j2"),
    )
    assert (
        event["payload"]["summary"]
        == event["payload"]["custom_details"]["message"]
        == "db-17 is down"
    )


def test_an_invalid_event_says_why(tmp_path: Path) -> None:
    """As PagerDuty answers it."""
    (tmp_path / "key").write_text(KEY)
    with http_receiver(
        answer(
            400, '{"status": "invalid event", "errors": ["Length of \'routing_key\' is incorrect"]}'
        )
    ) as receiver:
        outcome = sender_of(
            {"kind": "pagerduty", "routing_key_file": str(tmp_path / "key"), "url": receiver.url},
            "w",
        ).send(notice(), NOW)
    assert outcome.verdict == "refused"
    assert "Length of 'routing_key' is incorrect" in outcome.detail
