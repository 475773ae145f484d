"""PagerDuty, Events API v2: trigger, acknowledge, resolve under one key.

In: a notice. Out: one event, within the documented limits: 255 characters of key, 1,024 of summary,
512,000 bytes in all. The answer 202 says that the event was taken, not yet that somebody was
called.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field, SecretStr

from detector.alert.message import compose, cut, plain
from detector.alert.notice import Action, Notice, SendOutcome
from detector.alert.payload import notice_item
from detector.alert.senders.http import Http
from detector.alert.senders.options import HttpOptions, hidden, http_url, read, templates_of
from detector.alert.wording import harmless
from detector.render.objects import Item, moment

KEY_LIMIT = 255
SUMMARY_LIMIT = 1_024
EVENT_BYTES = 512_000
_DETAIL_CHARACTERS = 60_000
_SMALL = 10_000
_WORDS: Mapping[Action, str] = {
    "fire": "trigger",
    "update": "trigger",
    "acknowledge": "acknowledge",
    "resolve": "resolve",
}


class PagerDutyOptions(HttpOptions):
    """PagerDuty, Events API v2."""

    routing_key: SecretStr = hidden("the integration key of a service or of an event orchestration")
    url: str = Field(
        default="https://events.pagerduty.com/v2/enqueue",
        description="where events go; the EU has an address of its own",
    )


class PagerDuty:
    """Sends events to one integration."""

    kind = "pagerduty"
    repeat_s: float | None = None
    actions: frozenset[Action] = frozenset(_WORDS)

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        options = read(PagerDutyOptions, table, where)
        self._routing_key = options.routing_key
        self._url = http_url(options.url, "url", where)
        self._http = Http(options, where)
        self._templates = templates_of(options, where)

    def send(self, notice: Notice, now_us: int) -> SendOutcome:
        """One event."""
        event = {
            "routing_key": self._routing_key.get_secret_value(),
            "event_action": _WORDS[notice.action],
            "dedup_key": key(notice),
        }
        if event["event_action"] == "trigger":
            words = self._templates.rendered(
                notice_item(notice), names={"title": "title", "body": "body"}
            )
            event |= triggering(notice, words)
        return self._http.post(self._url, encoded(event), now_us)


def encoded(event: Item) -> bytes:
    """The event as JSON; one that is too great keeps the beginning of its message, and says so."""
    body = json.dumps(event, ensure_ascii=False).encode()
    if len(body) <= EVENT_BYTES:
        return body
    details = {
        "message": event["payload"]["custom_details"]["message"][:_SMALL],
        "cut": f"{len(body):,} bytes were too many",
    }
    return json.dumps(
        event | {"payload": event["payload"] | {"custom_details": details}}, ensure_ascii=False
    ).encode()


def key(notice: Notice) -> str:
    """The key under which PagerDuty folds events; a long one becomes its digest."""
    given = notice.dedup_key
    return (
        given
        if len(given) <= KEY_LIMIT
        else hashlib.blake2b(given.encode(), digest_size=32).hexdigest()
    )


def triggering(notice: Notice, words: Mapping[str, str]) -> Item:
    """Returns what a trigger says beside its key."""
    message, lead = compose(notice), notice.subjects[0]
    body = words.get("body") or plain(message, title=False)
    details: Item = {"message": "\n".join(cut(body.splitlines(), _DETAIL_CHARACTERS, message.link))}
    details |= {
        part.label: "\n".join(cut(part.lines, _DETAIL_CHARACTERS // 10, message.link))
        for part in message.parts[:20]
    }
    started = lead.started_us if lead.started_us is not None else lead.found_us
    links = [
        {"href": href, "text": text}
        for text, href in (("Incident", message.link), ("Runbook", message.runbook))
        if href
    ]
    payload = {
        "summary": (words.get("title") or message.title)[:SUMMARY_LIMIT],
        "source": harmless(lead.host) or "unknown",
        "severity": lead.severity,
        "timestamp": moment(started),
        "component": harmless(lead.function or lead.module or "") or None,
        "group": notice.team and harmless(notice.team),
        "class": lead.rule,
        "custom_details": details,
    }
    event: Item = {
        "client": "oopswatch",
        "links": links,
        "payload": {name: value for name, value in payload.items() if value is not None},
    }
    if message.link:
        event["client_url"] = message.link
    return event
