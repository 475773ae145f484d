"""Any program that takes JSON: the documented object, signed, in a shape that Grafana
OnCall's formatted webhook reads as it is; or log records of OpenTelemetry, or a document of ECS.

In: a notice. Out: a POST. `Oopswatch-Signature: v1=<hex>` is HMAC-SHA256 of `<timestamp>.<body>`
under the shared secret.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, SecretStr

from detector.alert.ecs import ecs_document
from detector.alert.notice import Action, Notice, SendOutcome
from detector.alert.otlp import log_record, logs_request
from detector.alert.payload import notice_item
from detector.alert.senders.http import Http
from detector.alert.senders.options import HttpOptions, hidden, http_url, read, templates_of
from detector.render.objects import Item

# A count of proto3 JSON may be a number or a string.
_REJECTED = re.compile(r'"rejectedLogRecords"\s*:\s*"?[1-9]')


class WebhookOptions(HttpOptions):
    """A program that takes JSON over HTTP."""

    url: SecretStr = hidden("where to post to", plain=True)
    format: Literal["notice", "otlp", "ecs"] = Field(
        default="notice",
        description="what is posted: the documented JSON, log records of OpenTelemetry, or a "
        "document of the Elastic Common Schema",
    )
    secret: SecretStr | None = hidden(
        "what signs each request; without it nothing is signed", optional=True
    )
    token: SecretStr | None = hidden("sent as `Authorization: Bearer …`", optional=True)


class Webhook:
    """Posts notices as JSON."""

    kind = "webhook"
    repeat_s: float | None = None
    actions: frozenset[Action] = frozenset({"fire", "update", "acknowledge", "resolve"})

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        self._options = read(WebhookOptions, table, where)
        self._url = http_url(self._options.url.get_secret_value(), "url", where)
        self._http = Http(self._options, where)
        self._templates = templates_of(self._options, where)

    def send(self, notice: Notice, now_us: int) -> SendOutcome:
        """One POST, signed where there is a secret."""
        body = json.dumps(self._item(notice)).encode()
        outcome = self._http.post(self._url, body, now_us, self._headers(notice, body, now_us))
        return _without_rejected(outcome) if self._options.format == "otlp" else outcome

    def _item(self, notice: Notice) -> Item:
        key, lead = notice_key(notice), notice.subjects[0]
        if self._options.format == "ecs":
            return ecs_document(
                lead, created_us=notice.at_us, uid=key, action=notice.action, link=notice.link
            )
        if self._options.format == "otlp":
            record = log_record(
                lead, observed_us=notice.at_us, uid=key, action=notice.action, link=notice.link
            )
            return logs_request(lead, record)
        item = notice_item(notice)
        return item | self._templates.rendered(item, names={"title": "title", "body": "message"})

    def _headers(self, notice: Notice, body: bytes, now_us: int) -> dict[str, str]:
        """The same notice has the same `Idempotency-Key` at each attempt."""
        headers = {"Idempotency-Key": notice_key(notice)}
        if self._options.token:
            headers["Authorization"] = f"Bearer {self._options.token.get_secret_value()}"
        if self._options.secret:
            headers |= signed(body, self._options.secret.get_secret_value(), now_us // 1_000_000)
        return headers


def _without_rejected(outcome: SendOutcome) -> SendOutcome:
    """The outcome, refused where a collector answers 200 and says that it rejected the record
    (partial success of OTLP 1.x, which is not to be sent again).
    """
    if outcome.verdict == "delivered" and _REJECTED.search(outcome.detail):
        return replace(outcome, verdict="refused")
    return outcome


def signed(body: bytes, key: str, at_s: int) -> dict[str, str]:
    """The headers that prove who sent a body, and when (seconds since 1970)."""
    digest = hmac.new(key.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Oopswatch-Timestamp": str(at_s), "Oopswatch-Signature": f"v1={digest}"}


def notice_key(notice: Notice) -> str:
    """Returns what every attempt at one notice has in common, and no other notice has."""
    return hashlib.blake2b(
        f"{notice.dedup_key}\0{notice.action}\0{notice.at_us}".encode(), digest_size=16
    ).hexdigest()
