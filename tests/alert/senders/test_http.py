"""What each way of answering, and of not answering, means for a notice."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from detector.alert.senders import sender_of
from detector.alert.senders.http import retry_after_s
from tests.support.notices import NOW, SECOND, notice
from tests.support.receivers import Receiver, answer, dripping, http_receiver, raw, reset, silent

SECRET_PATH = "services/T000/B000/not-to-be-shown"


def webhook(url: str, **options: Any) -> Any:
    """A webhook whose path is a token."""
    return sender_of(
        {"kind": "webhook", "url": f"{url}/{SECRET_PATH}", "timeout_s": 0.3, **options}, "w"
    )


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, "delivered"), (202, "delivered"), (204, "delivered"), (301, "refused"),
        (307, "refused"), (400, "refused"), (401, "refused"),
        (404, "refused"), (408, "retry"), (410, "refused"), (413, "refused"), (425, "retry"),
        (429, "retry"), (500, "retry"),
        (502, "retry"), (503, "retry"), (599, "retry"),
    ],
)  # fmt: skip
def test_status_decides(status: int, verdict: str) -> None:
    """2xx is taken; 429, 5xx and what asks for patience is for later; everything else never will
    be.
    """
    with http_receiver(answer(status)) as receiver:
        outcome = webhook(receiver.url).send(notice(), NOW)
    assert outcome.verdict == verdict
    assert outcome.detail.startswith(str(status))


def test_answer_of_a_refusal_is_kept_bounded_and_inert() -> None:
    """Whoever mends it reads what the receiver said; the receiver may be hostile, and may echo our
    token.
    """
    with http_receiver(
        answer(400, f"invalid_blocks\r\n\x1b[31m {SECRET_PATH} " + "x" * 100_000)
    ) as receiver:
        outcome = webhook(receiver.url).send(notice(), NOW)
    assert outcome.detail.startswith("400 Bad Request: invalid_blocks \\x1b[31m [hidden] xxx")
    assert len(outcome.detail) < 400


def test_no_redirect_is_followed() -> None:
    """Neither to another host nor to the same: the token would go along."""
    with (
        http_receiver() as elsewhere,
        http_receiver(answer(307, Location=elsewhere.url)) as receiver,
    ):
        outcome = webhook(receiver.url).send(notice(), NOW)
        assert outcome.verdict == "refused"
        assert "write the address that answers into the receiver" in outcome.detail
        assert elsewhere.requests == []


def test_nobody_listens() -> None:
    """Nothing was sent, so that another attempt repeats nothing."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    outcome = webhook(f"http://127.0.0.1:{port}").send(notice(), NOW)
    assert (outcome.verdict, outcome.retry_after_s) == ("retry", None)
    assert outcome.detail.startswith(f"127.0.0.1:{port}: not sent: ")


def test_no_name() -> None:
    """A host that no resolver knows."""
    assert webhook("http://nowhere.invalid").send(notice(), NOW).verdict == "retry"


def test_a_request_that_is_never_read_is_not_sent() -> None:
    """The connection stands, but nobody takes the bytes: the time-out strikes before the request is
    written.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
        lines = tuple(str(number) * 900 for number in range(9)) * 2_000
        outcome = webhook(f"http://127.0.0.1:{server.getsockname()[1]}").send(
            notice(lines=lines), NOW
        )
    assert outcome.verdict == "retry"
    assert "not sent: no answer within 0.3 s" in outcome.detail


@pytest.mark.parametrize(
    "behave",
    [
        silent,
        lambda _: reset,
        lambda _: raw(b""),
        lambda _: raw(b"HTTP/1.1 2"),
        lambda _: raw(b"hello\r\n\r\n"),
    ],
)
def test_sent_and_not_answered_is_unknown(behave: Callable[[Receiver], Any]) -> None:
    """Silence, a reset, an end before the status, something that is no HTTP: it may have been
    taken.
    """
    with http_receiver() as receiver:
        receiver.behave = behave(receiver)
        outcome = webhook(receiver.url).send(notice(), NOW)
        assert len(receiver.requests) == 1
    assert outcome.verdict == "unknown"
    assert "sent, not answered" in outcome.detail


def test_a_status_counts_though_its_answer_is_torn() -> None:
    """The receiver says that it took the notice, then closes in mid-answer."""
    with http_receiver(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhal")) as receiver:
        assert webhook(receiver.url).send(notice(), NOW).verdict == "delivered"


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (b"x", "unknown"),
        (b"HTTP/1.1 200 OK\r\n", "unknown"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "delivered"),
    ],
)
def test_a_dripping_server_ends_with_the_deadline(data: bytes, verdict: str) -> None:
    """Each byte is in time, all of them are not: one attempt is bounded as a whole."""
    with http_receiver() as receiver:
        receiver.behave = dripping(receiver, data)
        began = time.monotonic()
        outcome = webhook(receiver.url).send(notice(), NOW)
        assert time.monotonic() - began < 5
    assert outcome.verdict == verdict


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None), ("120", 120.0), ("0", 0.0), ("999999999999", 86_400.0), ("-5", None),
        ("soon", None), ("²", None), ("", None),
        (format_datetime(datetime.fromtimestamp(NOW // SECOND + 90, UTC), usegmt=True), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW // SECOND - 90, UTC), usegmt=True), 0.0),
        ("Mon, 99 Foo 2026 12:00:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after(header: str | None, seconds: float | None) -> None:
    """Seconds or a date; within a day; nonsense is none."""
    assert retry_after_s(header, NOW) == seconds


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_passed_on(status: int) -> None:
    """The outbox waits for so long."""
    with http_receiver(answer(status, Retry_After="7")) as receiver:
        outcome = webhook(receiver.url).send(notice(), NOW)
    assert (outcome.verdict, outcome.retry_after_s) == ("retry", 7.0)


def test_tokens_are_in_no_log_and_no_detail(
    caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    """At the most talkative level, whatever happens."""
    token = tmp_path / "token"
    token.write_text("bearer-not-to-be-shown")
    caplog.set_level(logging.DEBUG)
    details = []
    with http_receiver() as receiver:
        sender = webhook(receiver.url, token_file=str(token), secret_file=str(token))
        for behave in (
            answer(200, "bearer-not-to-be-shown"),
            answer(500, SECRET_PATH),
            reset,
            raw(SECRET_PATH.encode()),
        ):
            receiver.behave = behave
            details.append(sender.send(notice(), NOW).detail)
    details.append(sender.send(notice(), NOW).detail)
    assert len(receiver.requests) == 4
    assert receiver.requests[0].headers["Authorization"] == "Bearer bearer-not-to-be-shown"
    assert "not-to-be-shown" not in caplog.text + " ".join(details)


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a notice goes stands in its receiver alone."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with http_receiver() as receiver:
        assert webhook(receiver.url).send(notice(), NOW).verdict == "delivered"


def test_a_certificate_that_is_not_trusted_sends_nothing(https_port: int, ca_file: str) -> None:
    """Certificates are checked always; the authority of one's own is a setting."""
    untrusted = webhook(f"https://localhost:{https_port}").send(notice(), NOW)
    trusted = webhook(f"https://localhost:{https_port}", ca_file=ca_file).send(notice(), NOW)
    wrong_name = webhook(f"https://127.0.0.1:{https_port}", ca_file=ca_file).send(notice(), NOW)
    assert (untrusted.verdict, trusted.verdict, wrong_name.verdict) == (
        "retry",
        "delivered",
        "retry",
    )
    assert "certificate verify failed" in untrusted.detail
