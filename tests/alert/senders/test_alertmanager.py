"""Alertmanager: requests are as its own OpenAPI file wants them, and labels are an identity."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from detector.alert.notice import Notice, SendOutcome
from detector.alert.senders import sender_of
from detector.alert.senders.alertmanager import ANNOTATION_LIMIT, together
from tests.support.notices import FORBIDDEN, NOW, SECOND, hostile, notice, storm
from tests.support.receivers import answer, http_receiver, reset

API = yaml.safe_load(
    (Path(__file__).parents[1] / "fixtures" / "alertmanager-openapi.yaml").read_text()
)
RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")


def sent(*notices: Notice, heartbeat: bool = False, **options: Any) -> list[dict[str, Any]]:
    """The alerts of some notices, one request each, checked against the definitions of the API."""
    with http_receiver() as receiver:
        given: Any = sender_of({"kind": "alertmanager", "urls": [receiver.url], **options}, "w")
        for one in notices:
            assert given.send(one, NOW).verdict == "delivered"
        if heartbeat:
            assert given.heartbeat(NOW).verdict == "delivered"
    alerts = []
    for request in receiver.requests:
        assert request.path == "/api/v2/alerts"
        schema = {"$ref": "#/definitions/postableAlerts", "definitions": API["definitions"]}
        jsonschema.Draft4Validator(
            schema, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER
        ).validate(request.json)
        (alert,) = request.json
        assert set(alert) <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
        assert all(RFC3339.match(alert[time]) for time in ("startsAt", "endsAt"))
        alerts.append(alert)
    return alerts


def test_labels_never_change_while_the_incident_lives() -> None:
    """Alertmanager knows an alert by its labels: what is learnt later goes into annotations."""
    raised = notice(fingerprint=None)
    known = notice("update", at_us=NOW + 5 * SECOND, reason="more is known")
    first, second, last = sent(raised, known, notice("resolve"))
    assert first["labels"] == second["labels"] == last["labels"]
    assert set(first["labels"]) == {"alertname", "rule", "host", "severity", "team"}
    assert first["annotations"]["description"] != second["annotations"]["description"]


def test_times() -> None:
    """It starts with the incident, lapses after the hold, and ends now where it is resolved."""
    open_, over = sent(notice(), notice("resolve"), hold_s=300)
    assert (open_["startsAt"], open_["endsAt"]) == (
        "2026-09-21T14:11:50.000000Z",
        "2026-09-21T14:18:20.000000Z",
    )
    assert over["endsAt"] == "2026-09-21T14:13:20.000000Z"


@pytest.mark.parametrize("started", [NOW + 10**15, -(1 << 61), None])
def test_clocks_that_are_wrong_make_no_alert_that_is_refused(started: int | None) -> None:
    """The start is never after the end."""
    (alert,) = sent(notice("resolve", started_us=started))
    assert alert["startsAt"] <= alert["endsAt"]


@pytest.mark.parametrize(
    "given",
    [hostile(), hostile("resolve"), storm(), notice(lines=("\u20ac" * 900,) * 500, link=None)],
)
def test_texts_are_bounded_and_inert(given: Notice) -> None:
    """Its notifiers pass annotations on to chats as they are."""
    (alert,) = sent(given)
    for text in (*alert["annotations"].values(), *alert["labels"].values()):
        assert 0 < len(text) <= ANNOTATION_LIMIT
        assert text.replace("\n", "").isprintable()
        assert not any(bad in text for bad in FORBIDDEN)


def test_what_is_cut_says_so() -> None:
    """On a line, with the link."""
    (alert,) = sent(notice(lines=tuple(f"[{n}.0] {'x' * 200}" for n in range(500))))
    assert re.search(
        r"\n… \d+ more lines: https://oopswatch.example.com/incidents/0123456789abcdef$",
        alert["annotations"]["description"],
    )


def test_prefixes_and_tokens(tmp_path: Path) -> None:
    """An Alertmanager behind a path and a login."""
    (tmp_path / "token").write_text("t0ken-of-ours")
    with http_receiver() as receiver:
        for url in (
            f"{receiver.url}/am",
            f"{receiver.url}/am/",
            f"{receiver.url}/am/api/v2/alerts",
        ):
            table = {"kind": "alertmanager", "urls": [url], "token_file": str(tmp_path / "token")}
            assert sender_of(table, "w").send(notice(), NOW).verdict == "delivered"
    assert {(one.path, one.headers["Authorization"]) for one in receiver.requests} == {
        ("/am/api/v2/alerts", "Bearer t0ken-of-ours")
    }


def test_heartbeat() -> None:
    """An alert that always fires, by the instance that is alive."""
    (alert,) = sent(heartbeat=True, instance="ow-2")
    assert alert["labels"] == {
        "alertname": "OopswatchHeartbeat",
        "instance": "ow-2",
        "severity": "none",
    }
    assert alert["startsAt"] < alert["endsAt"]


def test_acknowledgements_are_not_its_business() -> None:
    """It has no word for them, and the outbox records that."""
    given = sender_of({"kind": "alertmanager", "urls": ["http://x"]}, "w")
    assert given.actions == {"fire", "update", "resolve"}
    assert given.repeat_s == 60


def test_words_of_a_template(tmp_path: Path) -> None:
    """Summary and description."""
    (tmp_path / "t.j2").write_text("{{ total }} of {{ incidents[0].host }}")
    (alert,) = sent(
        notice(), title_template=str(tmp_path / "t.j2"), body_template=str(tmp_path / "t.j2")
    )
    assert alert["annotations"]["summary"] == alert["annotations"]["description"] == "1 of db-17"


@pytest.mark.parametrize(
    ("verdicts", "together_"),
    [
        (("delivered", "refused"), "delivered"), (("retry", "delivered"), "delivered"),
        (("retry", "unknown"), "unknown"),
        (("refused", "retry"), "retry"), (("refused", "refused"), "refused"),
    ],
)  # fmt: skip
def test_one_that_takes_it_is_enough(verdicts: tuple[Any, Any], together_: str) -> None:
    """And what may come right by waiting is not given up."""
    outcomes = [
        SendOutcome(verdict, "said", 5.0 if verdict == "retry" else None) for verdict in verdicts
    ]
    outcome = together(["http://a", "http://b"], outcomes)
    assert outcome == SendOutcome(
        together_, "a: said; b: said", 5.0 if together_ == "retry" else None
    )  # type: ignore[arg-type]


def test_members_are_asked_at_once() -> None:
    """A dead member costs its time-out once, and the living one has the alert at once."""
    with http_receiver(reset) as dead, http_receiver(answer(200)) as alive:
        outcome = sender_of({"kind": "alertmanager", "urls": [dead.url, alive.url]}, "w").send(
            notice(), NOW
        )
        assert (len(dead.requests), len(alive.requests)) == (1, 1)
    assert outcome.verdict == "delivered"
    assert "sent, not answered" in outcome.detail
