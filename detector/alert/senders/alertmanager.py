"""Alertmanager, API v2: one alert while an incident is open, posted again before it
lapses, ended when it is resolved.

In: a notice, or that a heartbeat is due. Out: a POST to every Alertmanager of the cluster; one that
takes it is enough, since they talk to each other and the alert is posted again. Labels are the
alert's identity: nothing that changes is among them.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self
from urllib.parse import quote

from pydantic import Field, SecretStr, model_validator

from detector.alert.message import compose, cut, plain
from detector.alert.notice import Action, Notice, SendOutcome, Verdict
from detector.alert.payload import notice_item
from detector.alert.senders.http import Http, place
from detector.alert.senders.options import HttpOptions, hidden, http_url, read, templates_of
from detector.alert.wording import harmless
from detector.clock import SECOND_US
from detector.render.objects import Item, moment

ALERT = "OopswatchIncident"
HEARTBEAT = "OopswatchHeartbeat"
PATH = "/api/v2/alerts"
# Beyond this nobody reads an annotation, and its notifiers cut it in the middle of a line.
ANNOTATION_LIMIT = 8_000
_LABEL_LIMIT = 200
_REMEMBERED = 10_000
_ORDER: tuple[Verdict, ...] = ("delivered", "unknown", "retry", "refused")


class AlertmanagerOptions(HttpOptions):
    """Prometheus Alertmanager, alone or in high availability."""

    urls: tuple[str, ...] = Field(
        min_length=1,
        description="every Alertmanager of the cluster, as http://am-1:9093, with its prefix",
    )
    token: SecretStr | None = hidden("sent as `Authorization: Bearer …`", optional=True)
    repeat_s: float = Field(
        default=60.0,
        ge=0.1,
        le=3_600,
        description="how often an open incident is posted again, in seconds",
    )
    hold_s: float = Field(
        default=900.0,
        ge=0.2,
        le=86_400,
        description="after so many seconds without a post the alert lapses",
    )
    instance: str = Field(
        default="oopswatch",
        min_length=1,
        description="label of the heartbeat: which oopswatch is alive",
    )

    @model_validator(mode="after")
    def _outlasts(self) -> Self:
        if self.hold_s < 2 * self.repeat_s:
            raise ValueError(
                f"hold_s is {self.hold_s:g}, which is less than twice repeat_s: an open "
                "alert would lapse between two posts"
            )
        return self


class Alertmanager:
    """Posts alerts to all of a cluster.

    An acknowledgement has no word there; a silence does, and is made by people.
    """

    kind = "alertmanager"
    actions: frozenset[Action] = frozenset({"fire", "update", "resolve"})

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        options = read(AlertmanagerOptions, table, where)
        self.repeat_s: float | None = options.repeat_s
        self._hold_us = int(options.hold_s * SECOND_US)
        self._urls = [
            http_url(url, "urls", where).rstrip("/").removesuffix(PATH) + PATH
            for url in options.urls
        ]
        self._instance = options.instance
        self._headers = (
            {"Authorization": f"Bearer {options.token.get_secret_value()}"} if options.token else {}
        )
        self._http = Http(options, where)
        self._templates = templates_of(options, where)
        self._labels: OrderedDict[str, dict[str, str]] = OrderedDict()

    def send(self, notice: Notice, now_us: int) -> SendOutcome:
        """One alert: what the incident is now, and until when that is to be believed."""
        words = self._templates.rendered(
            notice_item(notice), names={"title": "summary", "body": "description"}
        )
        ends_us = now_us if notice.action == "resolve" else now_us + self._hold_us
        return self._post(alert(notice, self._kept_labels(notice), words, now_us, ends_us), now_us)

    def heartbeat(self, now_us: int) -> SendOutcome:
        """The alert that always fires: whoever stops hearing of it knows that oopswatch, or the way
        from it, is dead.
        """
        words = {
            "summary": f"{self._instance} is alive",
            "description": "This alert always fires. When it stops, oopswatch watches nothing.",
        }
        labels = {"alertname": HEARTBEAT, "instance": self._instance, "severity": "none"}
        times = {"startsAt": moment(now_us), "endsAt": moment(now_us + self._hold_us)}
        return self._post({"labels": labels, "annotations": words, **times}, now_us)

    def _kept_labels(self, notice: Notice) -> dict[str, str]:
        """Those of the first post under this key: a report that is read later adds a fingerprint,
        and must not make a second alert.
        """
        kept = self._labels.setdefault(notice.dedup_key, labels_of(notice))
        self._labels.move_to_end(notice.dedup_key)
        while len(self._labels) > _REMEMBERED:
            self._labels.popitem(last=False)
        return kept

    def _post(self, item: Item, now_us: int) -> SendOutcome:
        body = json.dumps([item]).encode()
        with ThreadPoolExecutor(len(self._urls)) as pool:
            outcomes = list(
                pool.map(lambda url: self._http.post(url, body, now_us, self._headers), self._urls)
            )
        return together(self._urls, outcomes)


def together(urls: Sequence[str], outcomes: Sequence[SendOutcome]) -> SendOutcome:
    """One verdict of many: the best one, with what each said."""
    verdict = min((outcome.verdict for outcome in outcomes), key=_ORDER.index)
    pauses = [outcome.retry_after_s for outcome in outcomes if outcome.retry_after_s is not None]
    details = "; ".join(
        alert_given.detail
        if alert_given.detail.startswith(place(url))
        else f"{place(url)}: {alert_given.detail}"
        for url, alert_given in zip(urls, outcomes, strict=True)
    )
    return SendOutcome(verdict, details, min(pauses, default=None) if verdict == "retry" else None)


def labels_of(notice: Notice) -> dict[str, str]:
    """The identity of an alert; an empty label would be none."""
    lead = notice.subjects[0]
    named = {
        "rule": lead.rule,
        "host": lead.host,
        "fingerprint": lead.fingerprint,
        "severity": lead.severity,
        "team": notice.team,
    }
    return {
        "alertname": ALERT,
        **{name: harmless(value)[:_LABEL_LIMIT] for name, value in named.items() if value},
    }


def alert(
    notice: Notice, labels: Mapping[str, str], words: Mapping[str, str], now_us: int, ends_us: int
) -> Item:
    """A postable alert. It never starts after it ends, whatever the clock of a host says."""
    message, lead = compose(notice), notice.subjects[0]
    started = lead.started_us if lead.started_us is not None else lead.found_us
    about: dict[str, str | None] = {
        "summary": message.title,
        "description": plain(message, title=False, limit=ANNOTATION_LIMIT),
        **words,
        "incident": lead.id,
        "incidents": f"{notice.total}",
        "hosts": ", ".join(map(harmless, notice.hosts[:20])),
        "known_issue": lead.known_issue,
        "known_bug": lead.known_bug and harmless(lead.known_bug),
        "runbook_url": message.runbook,
    }
    alert_given: Item = {
        "labels": dict(labels),
        "annotations": {name: _bounded(text, message.link) for name, text in about.items() if text},
        "startsAt": moment(max(min(started, now_us), 0)),
        "endsAt": moment(ends_us),
    }
    if message.link:
        alert_given["generatorURL"] = quote(message.link, safe="%/:=&?~#+!$,;'@()*[]")
    return alert_given


def _bounded(text: str, link: str | None) -> str:
    return "\n".join(cut(text.split("\n"), ANNOTATION_LIMIT, link))
