"""The receivers that alerts can be sent to: one module each, one table of options each,
one attempt a call.

In: the table of a receiver, then notices. Out: outcomes. When to send, to whom, and whether again
is the outbox's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from detector.alert.notice import Sender
from detector.alert.senders.alertmanager import Alertmanager
from detector.alert.senders.apprise import AppriseService
from detector.alert.senders.kafka import KafkaTopic
from detector.alert.senders.mail import Mail
from detector.alert.senders.pagerduty import PagerDuty
from detector.alert.senders.slack import Slack
from detector.alert.senders.webhook import Webhook
from detector.toml_tables import suggestion

SENDERS: Mapping[str, Callable[[Mapping[str, Any], str], Sender]] = {
    "alertmanager": Alertmanager,
    "apprise": AppriseService,
    "email": Mail,
    "kafka": KafkaTopic,
    "pagerduty": PagerDuty,
    "slack": Slack,
    "webhook": Webhook,
}
"""Kind → what makes a sender of a table and the place that it is from."""


def sender_of(table: Mapping[str, Any], where: str) -> Sender:
    """The sender that a table asks for by `kind`; the rest of the table are its options,
    `name` is whoever's.

    Connects to nothing. Raises ValueError with one line that begins with `where` and names the
    option.
    """
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in SENDERS:
        fault = "missing" if kind is None else f"no such receiver: {kind!r}"
        raise ValueError(f"{where}: kind: {fault}{suggestion(str(kind), SENDERS)}")
    return SENDERS[kind](table, where)
