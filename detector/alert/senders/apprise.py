"""Every service that apprise speaks to and that has no sender of its own, by apprise's
address of it.

In: a notice. Out: a title and a text, cut at what the service takes. apprise tells whether a
message was taken, not why not, so that what it logs is the detail. It is an extra: without it this
sender says how to install it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from detector.alert.message import compose, cut, plain
from detector.alert.notice import Action, Notice, SendOutcome
from detector.alert.payload import notice_item
from detector.alert.senders.options import Options, hidden, read, redacted, templates_of
from detector.render.escape import inert

if TYPE_CHECKING:
    from apprise import NotifyBase

_DETAIL_LIMIT = 300
_INSTALL = "apprise is not installed: pip install 'oopswatch[apprise]'"
_TYPES: Mapping[str, str] = {
    "critical": "failure",
    "error": "failure",
    "warning": "warning",
    "info": "info",
}


class AppriseOptions(Options):
    """Any service that apprise knows."""

    url: SecretStr = hidden(
        "the service's address as apprise writes it, such as discord://id/token"
    )


class AppriseService:
    """Sends to one service."""

    kind = "apprise"
    repeat_s: float | None = None
    actions: frozenset[Action] = frozenset({"fire", "update", "acknowledge", "resolve"})

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        self._options = read(AppriseOptions, table, where)
        self._service = _service(self._options, where)
        self._templates = templates_of(self._options, where)

    def send(self, notice: Notice, now_us: int) -> SendOutcome:  # noqa: ARG002
        """One message."""
        from apprise import LogCapture, NotifyFormat, NotifyType

        message = compose(notice)
        words = self._templates.rendered(
            notice_item(notice), names={"title": "title", "body": "body"}
        )
        text = words.get("body") or plain(message, title=False)
        body = "\n".join(cut(text.split("\n"), self._service.body_maxlen, message.link))
        title = (words.get("title") or message.short)[: self._service.title_maxlen]
        kind = (
            NotifyType.SUCCESS
            if notice.action == "resolve"
            else NotifyType(_TYPES[message.severity])
        )
        with LogCapture(level=logging.WARNING) as log:  # type: ignore[no-untyped-call]
            try:
                taken = self._service.notify(
                    body=body, title=title, notify_type=kind, body_format=NotifyFormat.TEXT
                )
            except Exception as error:  # noqa: BLE001
                return SendOutcome(
                    "unknown", f"apprise: {self._clean(str(error) or type(error).__name__)}"
                )
            text_given = self._clean(log.getvalue())
        return (
            SendOutcome("delivered", "apprise: taken")
            if taken
            else SendOutcome("retry", f"apprise: not taken: {text_given or 'no reason given'}")
        )

    def _clean(self, text: str) -> str:
        return inert(redacted(" ".join(text.split()), self._options.secrets()))[:_DETAIL_LIMIT]


def _service(options: AppriseOptions, where: str) -> NotifyBase:
    try:
        from apprise import Apprise
    except ImportError:
        raise ValueError(f"{where}: {_INSTALL}") from None
    url = options.url.get_secret_value()
    joint = "&" if "?" in url else "?"
    service = Apprise.instantiate(
        f"{url}{joint}rto={options.timeout_s:g}&cto={options.timeout_s:g}", suppress_exceptions=True
    )
    if service is None:
        raise ValueError(f"{where}: url: apprise knows no service of this address")
    return service
