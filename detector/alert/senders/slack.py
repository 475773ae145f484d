"""Slack, by an incoming webhook: a header, the facts, the log in a code block, links.

In: a notice. Out: blocks within Slack's limits: 50 blocks, 150 characters of header, 3,000 of a
section. Everything that comes from a log is escaped, and in plain text or a code block, where Slack
reads no markup.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from detector.alert.message import Message, MessagePart, compose, cut
from detector.alert.notice import Action, Notice, SendOutcome
from detector.alert.payload import notice_item
from detector.alert.senders.http import Http
from detector.alert.senders.options import HttpOptions, hidden, http_url, read, templates_of
from detector.render.objects import Item

BLOCKS = 50
HEADER_LIMIT = 150
SECTION_LIMIT = 3_000
_FENCE = "```"


class SlackOptions(HttpOptions):
    """Slack, by an incoming webhook."""

    url: SecretStr = hidden("the webhook's address, which is its token")


class Slack:
    """Posts messages to one channel. A webhook can neither edit nor thread: each update is a
    message of its own.
    """

    kind = "slack"
    repeat_s: float | None = None
    actions: frozenset[Action] = frozenset({"fire", "update", "acknowledge", "resolve"})

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        options = read(SlackOptions, table, where)
        self._url = http_url(options.url.get_secret_value(), "url", where)
        self._http = Http(options, where)
        self._templates = templates_of(options, where)

    def send(self, notice: Notice, now_us: int) -> SendOutcome:
        """One message."""
        words = self._templates.rendered(
            notice_item(notice), names={"title": "title", "body": "body"}, escape=escaped
        )
        return self._http.post(
            self._url, json.dumps(blocks(compose(notice), words)).encode(), now_us
        )


def blocks(message: Message, words: Mapping[str, str]) -> Item:
    """The message as Slack takes it; `words` of templates stand for the title and the parts."""
    title = words.get("title") or fitting(message.title, HEADER_LIMIT)
    parts: Iterator[Item] = (
        iter(_markdown(words["body"], message)) if "body" in words else _parts(message)
    )
    shown = [{"type": "header", "text": _plain(title[:HEADER_LIMIT])}, *parts][: BLOCKS - 1]
    if links := [
        f"<{_address(url)}|{text}>"
        for text, url in (("Incident", message.link), ("Runbook", message.runbook))
        if url
    ]:
        shown.append(
            {
                "type": "section",
                "text": {"type": "mrkdwn", "text": " · ".join(links)[:SECTION_LIMIT]},
            }
        )
    return {"text": words.get("title") or escaped(message.short), "blocks": shown}


def escaped(text: str) -> str:
    """Text in which Slack finds no link, no mention, no end of a code block."""
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "\u02cb")
    )


def fitting(text: str, limit: int) -> str:
    """A text escaped and cut so that no entity is torn."""
    while len(escaped(text)) > limit:
        text = text[: len(text) - max(1, (len(escaped(text)) - limit) // 5)]
    return escaped(text)


def _parts(message: Message) -> Iterator[Item]:
    """Short facts share a section, since each section is a block of its own on a phone; logs
    have a code block each.
    """
    facts: list[str] = []
    for part in message.parts:
        if part.code:
            yield from _section(facts, message)
            facts = []
            yield {"type": "section", "text": {"type": "mrkdwn", "text": _code(part, message)}}
        elif len(part.lines) == 1:
            facts.append(f"{part.label}: {part.lines[0]}")
        else:
            facts += [f"{part.label}:", *(f"  • {line}" for line in part.lines)]
    yield from _section(facts, message)


def _section(lines: Sequence[str], message: Message) -> Iterator[Item]:
    if lines:
        text = "\n".join(
            map(escaped, cut(lines, SECTION_LIMIT, message.link, lambda line: len(escaped(line))))
        )
        yield {"type": "section", "text": _plain(text)}


def _code(part: MessagePart, message: Message) -> str:
    room = SECTION_LIMIT - 2 * len(_FENCE) - 2
    lines = cut(part.lines, room, message.link, lambda line: len(escaped(line)))
    return "\n".join([_FENCE, *map(escaped, lines), _FENCE])


def _markdown(text: str, message: Message) -> Iterator[Item]:
    """A template's own markup, whose values are escaped already."""
    yield {
        "type": "section",
        "text": {
            "type": "mrkdwn",
            "text": "\n".join(cut(text.splitlines(), SECTION_LIMIT, message.link)),
        },
    }


def _plain(text: str) -> Item:
    return {"type": "plain_text", "text": text, "emoji": False}


def _address(url: str) -> str:
    return escaped(url).replace("|", "%7C")
