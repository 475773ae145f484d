"""apprise: its answer becomes an outcome, its address is a secret, its absence is explained."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from detector.alert.senders import sender_of
from tests.support.notices import FORBIDDEN, NOW, hostile, notice
from tests.support.receivers import answer, http_receiver


def made(tmp_path: Path, url: str, **options: Any) -> Any:
    """A sender to the service of an address."""
    (tmp_path / "url").write_text(url)
    return sender_of(
        {"kind": "apprise", "url_file": str(tmp_path / "url"), "timeout_s": 1, **options}, "w"
    )


# Its plug-ins, which are read when the first one is asked for.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.mark.parametrize("action", ["fire", "resolve"])
def test_a_service_is_told(action: str, tmp_path: Path) -> None:
    """Its generic JSON service stands for all others."""
    with http_receiver() as receiver:
        outcome = made(tmp_path, f"json://127.0.0.1:{receiver.port}/path").send(notice(action), NOW)
    assert outcome.verdict == "delivered"
    item = receiver.requests[0].json
    assert item["title"].startswith(
        "[critical] db-17: paging fault" if action == "fire" else "[resolved] db-17: "
    )
    assert item["type"] == ("failure" if action == "fire" else "success")
    assert "Unable to handle kernel paging request" in item["message"]


def test_hostile_text_is_inert(tmp_path: Path) -> None:
    """As everywhere."""
    with http_receiver() as receiver:
        made(tmp_path, f"json://127.0.0.1:{receiver.port}").send(hostile(), NOW)
    text = receiver.requests[0].json["title"] + receiver.requests[0].json["message"]
    assert not any(bad in text for bad in FORBIDDEN)


def test_texts_are_cut_at_the_services_limit(tmp_path: Path) -> None:
    """Discord takes 2,000 characters; what is missing is counted."""
    with http_receiver() as receiver:
        sender = made(tmp_path, f"json://127.0.0.1:{receiver.port}")
        sender._service.body_maxlen, sender._service.title_maxlen = 500, 40
        sender.send(notice(), NOW)
    item = receiver.requests[0].json
    assert len(item["message"]) <= 500
    assert len(item["title"]) <= 40
    assert "more lines: https://" in item["message"]


def test_what_is_not_taken_is_tried_again_and_shows_no_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """apprise does not tell why; what it logs is the detail."""
    caplog.set_level(logging.DEBUG)
    with http_receiver(answer(500, "not-to-be-shown")) as receiver:
        outcome = made(
            tmp_path, f"json://user:not-to-be-shown@127.0.0.1:{receiver.port}/not-to-be-shown"
        ).send(notice(), NOW)
    assert outcome.verdict == "retry"
    assert "500" in outcome.detail
    assert "not-to-be-shown" not in outcome.detail


def test_an_unknown_service_is_refused(tmp_path: Path) -> None:
    """Without showing the address."""
    with pytest.raises(
        ValueError, match="w: url: apprise knows no service of this address"
    ) as caught:
        made(tmp_path, "nonsense://not-to-be-shown")
    assert "not-to-be-shown" not in str(caught.value)


def test_without_apprise_the_way_to_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(
        ValueError, match=r"w: apprise is not installed: pip install 'oopswatch\[apprise\]'"
    ):
        made(tmp_path, "json://x")
