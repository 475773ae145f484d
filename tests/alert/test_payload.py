"""The JSON of a notice: what docs/receivers.md promises."""

from __future__ import annotations

import json
import re
from pathlib import Path

from detector.alert.payload import notice_item
from tests.support.notices import FORBIDDEN, hostile, notice, storm

PAGE = Path(__file__).parents[2] / "docs" / "receivers.md"


def test_shape_is_that_of_grafana_oncall() -> None:
    """Its formatted webhook reads these fields as they are."""
    fired, resolved = notice_item(notice()), notice_item(notice("resolve"))
    assert (fired["state"], resolved["state"]) == ("alerting", "ok")
    assert fired["alert_uid"] == resolved["alert_uid"] == "oopswatch/test"
    assert fired["link_to_upstream_details"].startswith("https://")
    assert fired["message"].startswith("Why now: ")
    assert fired["title"].startswith("[critical] db-17: ")


def test_evidence_is_whole_in_the_incident() -> None:
    """Programs get the lines verbatim; only what does not print is spelled out."""
    item = notice_item(notice(lines=("[1.0] <!channel> \x1b[1m",)))
    assert item["incidents"][0]["lines"] == ["[1.0] <!channel> \\x1b[1m"]
    assert "<!" not in item["message"]


def test_storm_is_counted() -> None:
    """All are counted, some are named."""
    item = notice_item(storm())
    assert (item["total"], item["host_count"], len(item["incidents"])) == (5_000, 5_000, 50)


def test_hostile_text_prints() -> None:
    """Every text of the object is printable but for line feeds of the message; it is bounded as a
    whole.
    """
    item = notice_item(hostile())
    text = json.dumps(item)
    assert len(text) < 100_000
    for bad in FORBIDDEN[:10]:
        assert bad not in json.dumps(item, ensure_ascii=False)
    assert not any(bad in item["message"] + item["title"] for bad in FORBIDDEN)


def test_every_field_is_documented() -> None:
    """The page names each field of the notice, of an incident and of the history, and no other."""
    item = notice_item(notice())
    fields = {
        *item,
        *(f"incidents[].{name}" for name in item["incidents"][0]),
        *(f"history.{name}" for name in item["history"]),
    }
    table = PAGE.read_text().partition("## The JSON of a notice")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z_.\[\]]+)` \|", table, re.MULTILINE)) == fields
