"""E-mail, by SMTP: plain text, one thread for each incident.

In: a notice. Out: one message to all recipients. What follows the first message of an incident
refers to it, so that mail programs thread them. Headers are built of inert text alone: no line end
of a log reaches one.
"""

from __future__ import annotations

import hashlib
import smtplib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, FilePath, SecretStr, model_validator

from detector.alert.message import compose, plain
from detector.alert.notice import Action, Notice, SendOutcome
from detector.alert.payload import notice_item
from detector.alert.senders.http import Deadline
from detector.alert.senders.options import (
    Options,
    hidden,
    read,
    redacted,
    templates_of,
    tls_context,
)
from detector.alert.senders.webhook import notice_key
from detector.render.escape import inert

TEXT_LIMIT = 100_000
# Headers are short and stay on one line: folded ones come out with other blanks where they hold
# more than ASCII.
_POLICY = SMTP.clone(max_line_length=900)
_DETAIL_LIMIT = 300
Address = Annotated[str, Field(pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$")]


class MailOptions(Options):
    """E-mail by SMTP."""

    host: str = Field(description="the mail server", pattern=r"^[A-Za-z0-9.:-]+$")
    port: int = Field(default=587, ge=1, le=65_535, description="its port")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="how the connection is encrypted"
    )
    ca_file: FilePath | None = Field(
        default=None,
        description="certificates of the authorities to trust, PEM; without it the system's",
    )
    username: str | None = Field(default=None, description="who logs in; without it nobody does")
    password: SecretStr | None = hidden("the password of the login", optional=True)
    sender: Address = Field(description="address that the message is from")
    to: tuple[Address, ...] = Field(min_length=1, description="addresses that it goes to")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password_file (or password_env) belong together")
        if self.username is not None and self.security == "none":
            raise ValueError(
                'security is "none", and a password would be readable on its way: say '
                '"starttls" or "tls"'
            )
        return self


class Mail:
    """Sends messages through one server, a connection each."""

    kind = "email"
    repeat_s: float | None = None
    actions: frozenset[Action] = frozenset({"fire", "update", "acknowledge", "resolve"})

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        self._options = read(MailOptions, table, where)
        self._tls = tls_context(self._options.ca_file, where)
        self._templates = templates_of(self._options, where)

    def send(self, notice: Notice, now_us: int) -> SendOutcome:  # noqa: ARG002
        """One message. Once its text is on the way a missing answer leaves a doubt; before that
        nothing was sent.
        """
        words = self._templates.rendered(
            notice_item(notice), names={"title": "title", "body": "body"}
        )
        written = composed(notice, self._options, words).as_bytes(policy=_POLICY)
        attempt = _Attempt()
        with Deadline(self._options.timeout_s) as deadline:
            try:
                with self._connected(deadline) as server:
                    attempt.refused = self._addressed(server)
                    attempt.begun = True
                    attempt.answer = server.data(written)
            except smtplib.SMTPResponseException as error:
                attempt.refusal(error.smtp_code, _text(error.smtp_error))
            except (OSError, smtplib.SMTPException) as error:  # an SSLError is an OSError
                # smtplib makes a broken connection of a time-out, and keeps that as its cause.
                late = (
                    deadline.passed
                    or isinstance(error, TimeoutError)
                    or isinstance(error.__context__, TimeoutError)
                )
                attempt.error = (
                    f"no answer within {self._options.timeout_s:g} s"
                    if late
                    else str(error) or type(error).__name__
                )
        return self._judged(attempt)

    def _connected(self, deadline: Deadline) -> smtplib.SMTP:
        """A connection that is encrypted and logged in as the options say."""
        options = self._options
        if options.security == "tls":
            server: smtplib.SMTP = _WatchedTls(
                deadline, options.host, options.port, timeout=options.timeout_s, context=self._tls
            )
        else:
            server = _Watched(deadline, options.host, options.port, timeout=options.timeout_s)
        try:
            if options.security == "starttls":
                server.starttls(context=self._tls)
            if options.username is not None and options.password is not None:
                server.login(options.username, options.password.get_secret_value())
        except BaseException:
            server.close()
            raise
        return server

    def _addressed(self, server: smtplib.SMTP) -> dict[str, str]:
        """Says who it is from and to. Returns the recipients that are refused, with the reason;
        raises the last refusal where all are.
        """
        server.ehlo_or_helo_if_needed()
        status, reply = server.mail(self._options.sender)
        if status != 250:
            raise smtplib.SMTPResponseException(status, reply)
        refused: dict[str, str] = {}
        for to in self._options.to:
            status, reply = server.rcpt(to)
            if status not in (250, 251):
                refused[to] = f"{status} {_text(reply)}"
        if len(refused) == len(self._options.to):
            raise smtplib.SMTPResponseException(status, reply)
        return refused

    def _judged(self, attempt: _Attempt) -> SendOutcome:
        """RFC 5321: 2yz is done, 4yz is for another time, 5yz is final. An answer to the text
        stands, whatever came after it.
        """
        if attempt.answer is None:
            doubt = "sent, not answered" if attempt.begun else "not sent"
            return SendOutcome(
                "unknown" if attempt.begun else "retry",
                f"{self._place()}: {doubt}: {self._clean(attempt.error)}",
            )
        status, reply = attempt.answer
        detail = f"{self._place()}: {status} {self._clean(_text(reply))}"
        if 200 <= status < 300:
            missed = "; ".join(f"{to}: {self._clean(why)}" for to, why in attempt.refused.items())
            return SendOutcome("delivered", f"{detail}; not to {missed}" if missed else detail)
        return SendOutcome("refused" if status >= 500 else "retry", detail)

    def _clean(self, text: str) -> str:
        return inert(redacted(" ".join(text.split()), self._options.secrets()))[:_DETAIL_LIMIT]

    def _place(self) -> str:
        return f"{self._options.host}:{self._options.port}"


def composed(notice: Notice, options: MailOptions, words: Mapping[str, str]) -> EmailMessage:
    """The message.

    Its id is the same at each attempt, so that a mail server can drop the second copy.
    """
    message, domain = compose(notice), options.sender.rpartition("@")[2]
    first = hashlib.blake2b(notice.dedup_key.encode(), digest_size=16).hexdigest()
    mail = EmailMessage(policy=_POLICY)
    mail["Subject"] = words.get("title") or message.short
    mail["From"] = options.sender
    mail["To"] = ", ".join(options.to)
    mail["Date"] = format_datetime(datetime.fromtimestamp(notice.at_us // 1_000_000, UTC))
    mail["Message-ID"] = f"<{first if notice.action == 'fire' else notice_key(notice)}@{domain}>"
    if notice.action != "fire":
        mail["In-Reply-To"] = mail["References"] = f"<{first}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    if message.severity == "critical" and notice.action == "fire":
        mail["Importance"] = "high"
    mail.set_content((words.get("body") or plain(message, limit=TEXT_LIMIT)) + "\n")
    return mail


def _text(reply: bytes | str) -> str:
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply


@dataclass(slots=True)
class _Attempt:
    """How far one attempt came: which recipients are refused, whether the text was begun, what
    was answered or went wrong.
    """

    refused: dict[str, str] = field(default_factory=dict)
    begun: bool = False
    answer: tuple[int, bytes | str] | None = None
    error: str = ""

    def refusal(self, status: int, reply: str) -> None:
        """An answer that ends the attempt. One that sounds like a success where none was asked for
        is no delivery.
        """
        if self.answer is None and status >= 400:
            self.answer = status, reply
        elif self.answer is None:
            self.error = f"an answer out of place: {status} {reply}"


class _Watched(smtplib.SMTP):
    """A dialogue that ends when the deadline passes, from the greeting on."""

    def __init__(self, deadline: Deadline, *arguments: Any, **options: Any) -> None:
        self._deadline = deadline
        super().__init__(*arguments, **options)

    def getreply(self) -> tuple[int, bytes]:
        """Waits for an answer."""
        if self.sock is not None:
            self._deadline.watch(self.sock)
        return super().getreply()


class _WatchedTls(_Watched, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""
