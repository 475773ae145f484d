"""E-mail: one thread for each incident, headers that no log reaches, and what each answer of a
server means.
"""

from __future__ import annotations

import email
import email.policy
import socket
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest

from detector.alert.notice import Notice, SendOutcome
from detector.alert.senders import sender_of
from tests.support.notices import FORBIDDEN, NOW, hostile, notice
from tests.support.receivers import MailServer, smtp_receiver


def send(server: MailServer, given: Notice, **options: Any) -> SendOutcome:
    """One message through a server without encryption."""
    table = {
        "kind": "email",
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "timeout_s": 0.5,
    }
    people = {"sender": "oopswatch@example.com", "to": ["oncall@example.com", "kernel@example.com"]}
    return sender_of({**table, **people, **options}, "w").send(given, NOW)


def received(given: Notice, **options: Any) -> EmailMessage:
    """The message that a server gets."""
    with smtp_receiver() as server:
        assert send(server, given, **options).verdict == "delivered"
    return cast(
        "EmailMessage",
        email.message_from_bytes(
            server.texts[0].removesuffix(b".\r\n"), policy=email.policy.default
        ),
    )


def test_what_arrives() -> None:
    """Subject within 80 characters, plain text, everything that on-call needs."""
    mail = received(notice())
    assert (
        mail["Subject"]
        == "[critical] db-17: paging fault in __inet_lookup_listener, after TCP socket…"
    )
    assert (mail["From"], mail["To"]) == (
        "oopswatch@example.com",
        "oncall@example.com, kernel@example.com",
    )
    assert (mail["Date"], mail["Importance"]) == ("Mon, 21 Sep 2026 14:13:20 +0000", "high")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    text = mail.get_content()
    assert text.startswith(
        "[critical] db-17: TCP socket released while listening, then paging fault"
    )
    assert "    [61817741.312094] Unable to handle kernel paging request" in text


def test_one_incident_is_one_thread() -> None:
    """What comes later refers to the first message; a second attempt has the first one's id."""
    first, again = received(notice()), received(notice(repeated=True))
    later, over = received(notice("update")), received(notice("resolve"))
    assert first["Message-ID"] == again["Message-ID"]
    assert later["References"] == over["In-Reply-To"] == first["Message-ID"]
    assert len({one["Message-ID"] for one in (first, later, over)}) == 3
    assert first["References"] is None
    assert received(notice(dedup_key="other"))["Message-ID"] != first["Message-ID"]


@pytest.mark.parametrize("action", ["fire", "resolve"])
def test_hostile_text_makes_no_header_and_no_command(action: str) -> None:
    """Line ends of a log begin nothing; the text is inert."""
    with smtp_receiver() as server:
        assert send(server, hostile(action)).verdict == "delivered"
    assert [command.split()[0] for command in server.commands] == [
        "EHLO",
        "MAIL",
        "RCPT",
        "RCPT",
        "DATA",
        "QUIT",
    ]
    (raw,) = server.texts
    mail = cast("EmailMessage", email.message_from_bytes(raw, policy=email.policy.default))
    assert mail["Bcc"] is None
    assert set(mail.keys()) <= {
        "Subject", "From", "To", "Date", "Message-ID", "In-Reply-To", "References",
        "Auto-Submitted", "Importance", "MIME-Version",
        "Content-Type", "Content-Transfer-Encoding",
    }  # fmt: skip
    text = mail["Subject"] + mail.get_content().replace("\r\n", "\n")
    assert not any(bad in text for bad in FORBIDDEN)
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    ("answers", "verdict", "said"),
    [
        ({"greeting": None}, "retry", "not sent"),
        ({"greeting": "421 too busy"}, "retry", "421 too busy"),
        ({"greeting": "554 go away"}, "refused", "554 go away"),
        ({"greeting": "wait"}, "retry", "not sent: no answer within 0.5 s"),
        ({"MAIL": "550 not you"}, "refused", "550 not you"),
        ({"MAIL": "451 later"}, "retry", "451 later"),
        ({"RCPT": "550 nobody"}, "refused", "550 nobody"),
        ({"RCPT": "450 greylisted"}, "retry", "450 greylisted"),
        ({"RCPT TO:<kernel@example.com>": "550 nobody"}, "delivered",
            "250 fine; not to kernel@example.com: 550 nobody"),
        ({"DATA": "451 later"}, "retry", "451 later"),
        ({"DATA": "250 what"}, "unknown", "an answer out of place: 250 what"),
        ({".": "554 looks like spam"}, "refused", "554 looks like spam"),
        ({".": "452 disk full"}, "retry", "452 disk full"),
        ({".": None}, "unknown", "sent, not answered"),
        ({".": "wait"}, "unknown", "sent, not answered: no answer within 0.5 s"),
        ({"QUIT": None}, "delivered", "250 fine"),
        ({"QUIT": "wait"}, "delivered", "250 fine"),
        ({"QUIT": "500 what"}, "delivered", "250 fine"),
    ],
)  # fmt: skip
def test_what_an_answer_means(answers: dict[str, str | None], verdict: str, said: str) -> None:
    """4yz is for later, 5yz for ever; silence after the text leaves a doubt, silence before it
    none.
    """
    with smtp_receiver(answers) as server:
        outcome = send(server, notice())
    assert outcome.verdict == verdict
    assert said in outcome.detail
    assert outcome.detail.startswith(f"127.0.0.1:{server.port}: ")


def test_nobody_listens() -> None:
    """Nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert send(MailServer(port), notice()).verdict == "retry"


def test_no_password_without_encryption(tmp_path: Path) -> None:
    """Neither is it accepted as an option, nor is it sent to a server that offers no STARTTLS."""
    (tmp_path / "password").write_text("mail-not-to-be-shown")
    login = {"username": "u", "password_file": str(tmp_path / "password")}
    with smtp_receiver() as server:
        with pytest.raises(ValueError, match="would be readable on its way"):
            send(server, notice(), **login)
        outcome = send(server, notice(), **login, security="starttls")
    assert outcome.verdict == "retry"
    assert "STARTTLS" in outcome.detail
    assert [command.split()[0] for command in server.commands] == ["EHLO"]


def test_words_of_a_template(tmp_path: Path) -> None:
    """Subject and text."""
    (tmp_path / "t.j2").write_text("{{ severity }}\n{{ incidents[0].host }}")
    mail = received(
        notice(), title_template=str(tmp_path / "t.j2"), body_template=str(tmp_path / "t.j2")
    )
    assert (mail["Subject"], mail.get_content().splitlines()) == (
        "critical db-17",
        ["critical", "db-17"],
    )


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_encrypted_and_logged_in(security: str, tmp_path: Path, ca_file: str) -> None:
    """The password goes only to a server whose certificate is trusted, and over TLS."""
    (tmp_path / "password").write_text("mail-not-to-be-shown")
    table = {
        "security": security,
        "host": "localhost",
        "username": "u",
        "password_file": str(tmp_path / "password"),
        "timeout_s": 5,
    }
    with smtp_receiver(
        {"AUTH": "235 welcome"}, Path(ca_file), implicit=security == "tls"
    ) as server:
        assert send(server, notice(), **table, ca_file=ca_file).verdict == "delivered"
        commands = [command.split()[0] for command in server.commands]
        assert commands.count("STARTTLS") == (security == "starttls")
        assert commands.index("AUTH") < commands.index("MAIL")
        untrusted = send(server, notice(), **table)
    assert untrusted.verdict == "retry"
    assert "certificate verify failed" in untrusted.detail
    assert len(server.texts) == 1


def test_a_server_that_says_yes_to_everything_has_taken_nothing(tmp_path: Path) -> None:
    """250 is no answer to STARTTLS, and no delivery."""
    with smtp_receiver(
        {"EHLO": "250-mail.example.com\r\n250 STARTTLS", "STARTTLS": "250 fine"}
    ) as server:
        outcome = send(server, notice(), security="starttls")
    assert outcome.verdict == "retry"
    assert "not sent: an answer out of place: 250 fine" in outcome.detail


def test_a_refused_login_shows_no_password(tmp_path: Path, ca_file: str) -> None:
    """Not even where the server repeats it."""
    (tmp_path / "password").write_text("mail-not-to-be-shown")
    table = {
        "security": "tls",
        "host": "localhost",
        "username": "u",
        "password_file": str(tmp_path / "password"),
        "ca_file": ca_file,
    }
    with smtp_receiver(
        {"AUTH": "535 wrong: mail-not-to-be-shown"}, Path(ca_file), implicit=True
    ) as server:
        outcome = send(server, notice(), **table, timeout_s=5)
    assert outcome.verdict == "refused"
    assert outcome.detail.endswith(": 535 wrong: [hidden]")
