"""The generic webhook: signed JSON, one key for each notice."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from pathlib import Path

from detector.alert.payload import notice_item
from detector.alert.senders import sender_of
from detector.alert.senders.webhook import notice_key
from tests.support.notices import NOW, SECOND, notice
from tests.support.receivers import http_receiver


def test_what_is_posted_is_the_documented_object() -> None:
    """As JSON, to the address of the receiver, path and query included."""
    with http_receiver() as receiver:
        outcome = sender_of(
            {"kind": "webhook", "url": f"{receiver.url}/hook?team=kernel"}, "w"
        ).send(notice(), NOW)
    (request,) = receiver.requests
    assert (outcome.verdict, outcome.detail) == ("delivered", "200 OK: ok")
    assert request.path == "/hook?team=kernel"
    assert request.headers["Content-Type"] == "application/json"
    assert request.json == notice_item(notice())
    assert "Oopswatch-Signature" not in request.headers


def test_signature_proves_sender_and_time(tmp_path: Path) -> None:
    """HMAC-SHA256 of time and body, as the page says how to check it."""
    secret = tmp_path / "secret"
    secret.write_text("between-us\n")
    with http_receiver() as receiver:
        sender_of({"kind": "webhook", "url": receiver.url, "secret_file": str(secret)}, "w").send(
            notice(), NOW
        )
    (request,) = receiver.requests
    at = request.headers["Oopswatch-Timestamp"]
    assert at == str(NOW // SECOND)
    digest = hmac.new(b"between-us", at.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert request.headers["Oopswatch-Signature"] == f"v1={digest}"


def test_each_attempt_at_one_notice_has_one_key() -> None:
    """So that a receiver can drop the second copy; another state is another notice."""
    first = notice()
    assert notice_key(first) == notice_key(replace(first, repeated=True))
    assert notice_key(first) != notice_key(notice("resolve"))
    assert notice_key(first) != notice_key(notice(at_us=NOW + 1))


def test_templates_word_title_and_message(tmp_path: Path) -> None:
    """The rest of the object stays as documented."""
    (tmp_path / "t.j2").write_text("{{ severity }} on {{ incidents[0].host }}")
    table = {"title_template": str(tmp_path / "t.j2"), "body_template": str(tmp_path / "t.j2")}
    with http_receiver() as receiver:
        sender_of({"kind": "webhook", "url": receiver.url, **table}, "w").send(notice(), NOW)
    said = "critical on db-17"
    assert receiver.requests[0].json == notice_item(notice()) | {"title": said, "message": said}
