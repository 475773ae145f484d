"""Slack: within its limits, and nothing from a log is markup."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block, HeaderBlock, SectionBlock

from detector.alert.notice import Notice
from detector.alert.senders import sender_of
from detector.alert.senders.slack import BLOCKS, HEADER_LIMIT, SECTION_LIMIT, escaped, fitting
from tests.support.notices import FORBIDDEN, HOSTILE, NOW, hostile, notice, storm
from tests.support.receivers import answer, http_receiver


def sent(given: Notice, tmp_path: Path, **options: Any) -> dict[str, Any]:
    """The message of a notice, checked by the models of Slack's own SDK (its limits of lengths and
    counts among them), which write back what they read.
    """
    with http_receiver() as receiver:
        (tmp_path / "url").write_text(f"{receiver.url}/services/T/B/x")
        assert (
            sender_of({"kind": "slack", "url_file": str(tmp_path / "url"), **options}, "w")
            .send(given, NOW)
            .verdict
            == "delivered"
        )
    message = receiver.requests[0].json
    assert set(message) == {"text", "blocks"}
    blocks = Block.parse_all(message["blocks"])
    assert 0 < len(blocks) <= BLOCKS
    for block, as_sent in zip(blocks, message["blocks"], strict=True):
        block.validate_json()
        assert block.to_dict() == as_sent
        assert block.text.text
        block.text.validate_json()
    assert (HEADER_LIMIT, SECTION_LIMIT, BLOCKS) == (150, 3_000, 50)
    assert HeaderBlock.text_max_length == HEADER_LIMIT
    assert SectionBlock.text_max_length == SECTION_LIMIT
    return message  # type: ignore[no-any-return]


def test_what_is_said(tmp_path: Path) -> None:
    """The symptom as header and preview, the log in a code block, links at the end."""
    message = sent(notice(), tmp_path)
    header, facts, log, rest, links = message["blocks"]
    assert message["text"].startswith("[critical] db-17: paging fault in __inet_lookup_listener")
    assert header["text"]["text"].startswith(
        "[critical] db-17: TCP socket released while listening"
    )
    assert "Known issue: tcp-listener-race (likely)" in facts["text"]["text"]
    assert log["text"]["text"].startswith("```\n[61817740.819777] IPv4: Attempt")
    assert log["text"]["text"].endswith("\n```")
    assert "14th time" in rest["text"]["text"]
    assert links["text"]["text"].startswith(
        "<https://oopswatch.example.com/incidents/0123456789abcdef|Incident> · <https://"
    )


@pytest.mark.parametrize("action", ["fire", "update", "acknowledge", "resolve"])
def test_hostile_text_is_inert(action: str, tmp_path: Path) -> None:
    """No link, mention, emoji, style or end of a code block but our own; no control characters."""
    message = sent(hostile(action), tmp_path)
    for block in message["blocks"]:
        text = block["text"]["text"]
        own = text.removeprefix("```\n").removesuffix("\n```") if text.startswith("```") else text
        if block["text"]["type"] == "plain_text":
            assert block["text"]["emoji"] is False
        else:
            assert text.startswith("```") or text.count("<") == text.count("|") == text.count(">")
        assert "`" not in own
        assert not any(bad in own for bad in FORBIDDEN)
        if "|Incident>" not in own:
            assert "<" not in own
            assert ">" not in own


def test_long_logs_are_cut_on_a_line(tmp_path: Path) -> None:
    """What is missing is counted, with a link to it."""
    lines = tuple(f"[{number}.0] <{'x' * 80}> & so on" for number in range(60))
    log = next(
        block
        for block in sent(notice(lines=lines), tmp_path)["blocks"]
        if "[0.0]" in block["text"]["text"]
    )["text"]["text"]
    shown = log.split("\n")[1:-1]
    assert all(line == escaped(lines[number]) for number, line in enumerate(shown[:-1]))
    assert shown[-1] == (
        f"… {60 - len(shown) + 1} more lines: "
        "https://oopswatch.example.com/incidents/0123456789abcdef"
    )


@pytest.mark.parametrize("text", [*HOSTILE, "&" * 5_000, "<" * 700])
def test_one_line_always_fits(text: str, tmp_path: Path) -> None:
    """Also one whose every character becomes an entity; no entity is torn."""
    sent(notice(lines=(text,) * 3, next_steps=(text,) * 3, reason=text, host=text), tmp_path)
    cut = fitting("&" * 700, 150)
    assert cut == "&amp;" * 30


def test_storm(tmp_path: Path) -> None:
    """Five thousand hosts are one message."""
    text = json.dumps(sent(storm(), tmp_path), ensure_ascii=False)
    assert "and 4,980 more" in text


def test_a_link_cannot_be_broken_out_of(tmp_path: Path) -> None:
    """The address may hold a host's name."""
    links = sent(replace(notice(), link="https://x/i?q=a|b><!channel>"), tmp_path)["blocks"][-1][
        "text"
    ]["text"]
    assert links.startswith("<https://x/i?q=a%7Cb&gt;&lt;!channel&gt;|Incident>")


def test_markup_of_a_template_stands(tmp_path: Path) -> None:
    """A team may be called by the template's author, and by no log line."""
    (tmp_path / "b.j2").write_text(
        "<!subteam^S1> *{{ severity }}* {{ incidents[0].lines | join(' ') }}"
    )
    given = notice(lines=("<!channel> `x`",))
    body = sent(given, tmp_path, body_template=str(tmp_path / "b.j2"))["blocks"][1]["text"]
    assert body == {
        "type": "mrkdwn",
        "text": "<!subteam^S1> *critical* &lt;!channel&gt; \u02cbx\u02cb",
    }


def test_slacks_own_errors_are_shown(tmp_path: Path) -> None:
    """They are single words."""
    with http_receiver(answer(400, "invalid_blocks")) as receiver:
        (tmp_path / "url").write_text(receiver.url)
        outcome = sender_of({"kind": "slack", "url_file": str(tmp_path / "url")}, "w").send(
            notice(), NOW
        )
    assert (outcome.verdict, outcome.detail) == ("refused", "400 Bad Request: invalid_blocks")


@pytest.mark.parametrize(
    "block",
    [
        {"type": "header", "text": {"type": "plain_text", "text": "x" * (HEADER_LIMIT + 1)}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "x" * (SECTION_LIMIT + 1)}},
        {"type": "section"},
    ],
)
def test_the_models_refuse_what_slack_does(block: dict[str, Any]) -> None:
    """The check above can fail."""
    with pytest.raises(SlackObjectFormationError):
        Block.parse(block).validate_json()
