"""Any program that takes JSON: the documented object, signed, in a shape that Grafana
OnCall's formatted webhook reads as it is.

In: a notice. Out: a POST. `Oopswatch-Signature: v1=<hex>` is HMAC-SHA256 of `<timestamp>.<body>`
under the shared secret.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from detector.alert.notice import Action, Notice, SendOutcome
from detector.alert.payload import notice_item
from detector.alert.senders.http import Http
from detector.alert.senders.options import HttpOptions, hidden, http_url, read, templates_of


class WebhookOptions(HttpOptions):
    """A program that takes JSON over HTTP."""

    url: SecretStr = hidden("where to post to", plain=True)
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
        item = notice_item(notice)
        item |= self._templates.rendered(item, names={"title": "title", "body": "message"})
        body = json.dumps(item).encode()
        return self._http.post(self._url, body, now_us, self._headers(notice, body, now_us))

    def _headers(self, notice: Notice, body: bytes, now_us: int) -> dict[str, str]:
        """The same notice has the same `Idempotency-Key` at each attempt."""
        headers = {"Idempotency-Key": notice_key(notice)}
        if self._options.token:
            headers["Authorization"] = f"Bearer {self._options.token.get_secret_value()}"
        if self._options.secret:
            headers |= signed(body, self._options.secret.get_secret_value(), now_us // 1_000_000)
        return headers


def signed(body: bytes, key: str, at_s: int) -> dict[str, str]:
    """The headers that prove who sent a body, and when (seconds since 1970)."""
    digest = hmac.new(key.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Oopswatch-Timestamp": str(at_s), "Oopswatch-Signature": f"v1={digest}"}


def notice_key(notice: Notice) -> str:
    """Returns what every attempt at one notice has in common, and no other notice has."""
    return hashlib.blake2b(
        f"{notice.dedup_key}\0{notice.action}\0{notice.at_us}".encode(), digest_size=16
    ).hexdigest()
