"""Kernel errors by command line, API and page: the same answer from each; and a draft that the
catalogue takes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from detector import clock
from detector.cli import oopswatch
from detector.clock import DAY_US
from tests.kernel_errors.shipping import booted, counting, ship, syslog
from tests.support.queries import NOW_US
from tests.support.visiting import client_of

HOSTILE = "acme: <script>alert(1)</script> \"'{{7*7}} of 7 \x1b[31m"
LINE = "acmenic 0000:3b:00.0 eth{}: ring {} lost its fence"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An old template, and a new one on three hosts of a release."""
    place = tmp_path_factory.mktemp("errors") / "history.db"
    with counting(place) as watch:
        old = NOW_US - 20 * DAY_US
        ship(watch, [booted(f"edge-{k}", old, "6.1.2") for k in range(5)])
        ship(watch, [syslog(f"edge-{k}", old, "acme 7: fan stopped") for k in range(5)])
        ship(watch, [syslog("edge-1", old, HOSTILE)])
        ship(watch, [syslog(f"edge-{k}", NOW_US - DAY_US, LINE.format(k, k)) for k in range(3)])
    return place


def call(path: Path, *words: str, monkeypatch: pytest.MonkeyPatch) -> Result:
    """A command at the time of the tests."""
    monkeypatch.setattr(clock, "now_us", lambda: NOW_US)
    return CliRunner().invoke(oopswatch, [*words, "--store", str(path)])


def test_three_ways_one_answer(path, monkeypatch):
    """What is new comes first, with its hosts and release."""
    client = client_of(path)
    api = client.get("/api/v1/kernel-errors").json()["kernel_errors"]
    page = client.get("/kernel-errors.json").json()["kernel_errors"]
    said = call(path, "kernel-errors", "list", "--json", monkeypatch=monkeypatch)
    rows = [json.loads(line) for line in said.stdout.splitlines()]
    assert [{"type": "kernel-error", **row} for row in api] == rows
    assert page == api
    assert [(row["template"], row["news"], row["hosts"]) for row in api][:2] == [
        ("acmenic *: ring * lost its fence", "new", 3),
        ("acme *: fan stopped", None, 5),
    ]
    assert api[0]["news_kernel"] == "6.1.2"
    news = client.get("/api/v1/kernel-errors", params={"news": True, "kernel": "6.1.."}).json()
    assert news["kernel_errors"] == api[:1]
    told = call(path, "kernel-errors", "list", "--news", monkeypatch=monkeypatch)
    assert "lost its fence" in told.output
    assert "fan stopped" not in told.output


def test_one_template(path, monkeypatch):
    """Hosts, releases, examples, where the first of them stands."""
    client = client_of(path)
    identity = client.get("/api/v1/kernel-errors").json()["kernel_errors"][0]["id"]
    item = client.get(f"/api/v1/kernel-errors/{identity}").json()
    assert [one["host"] for one in item["last_hosts"]] == ["edge-0", "edge-1", "edge-2"]
    assert [(one["kernel"], one["hosts"]) for one in item["releases"]] == [("6.1.2", 3)]
    assert item["samples"] == [LINE.format(k, k) for k in range(3)]
    assert client.get(f"/kernel-errors/{identity}.json").json() == item
    shown = call(path, "kernel-errors", "show", identity, monkeypatch=monkeypatch).output
    for part in ("new since", "6.1.2: 3 hosts", LINE.format(0, 0), "edge-2: 1 line"):
        assert part in shown
    html = client.get(f"/kernel-errors/{identity}").text
    assert "edge-2" in html
    assert client.get("/kernel-errors/none").status_code == 404
    missing = call(path, "kernel-errors", "show", "none", monkeypatch=monkeypatch)
    assert (missing.exit_code, "no kernel error none" in missing.output) == (2, True)


def test_hostile_line_is_text(path):
    """Nothing of a line becomes markup."""
    client = client_of(path)
    rows = client.get("/api/v1/kernel-errors", params={"text": "script"}).json()["kernel_errors"]
    for address in ("/kernel-errors", f"/kernel-errors/{rows[0]['id']}"):
        html = client.get(address).text
        assert "<script>alert" not in html
        assert "&lt;script&gt;" in html
        assert "\x1b" not in html


def test_wrong_filter_names_itself(path, monkeypatch):
    """On the page, in the API, on the command line."""
    client = client_of(path)
    assert client.get("/kernel-errors?class=oops").status_code == 422
    assert client.get("/api/v1/kernel-errors?class=oops").json()["field"] == "class"
    said = call(path, "kernel-errors", "list", "--class", "oops", monkeypatch=monkeypatch)
    assert (said.exit_code, "--class" in said.output) == (2, True)


def test_draft_is_a_signature_whose_tests_pass(path, tmp_path, monkeypatch):
    """`patterns draft` writes what `patterns check` takes and `patterns test` finds."""
    client = client_of(path)
    identity = client.get("/api/v1/kernel-errors").json()["kernel_errors"][0]["id"]
    drafted = call(path, "patterns", "draft", identity, monkeypatch=monkeypatch)
    (tmp_path / "ours.toml").write_text(drafted.stdout)
    ours = ["--patterns", str(tmp_path)]
    checked = CliRunner().invoke(oopswatch, ["patterns", "check", *ours])
    assert (checked.exit_code, checked.output[:8]) == (0, "0 faults")
    tried = CliRunner().invoke(oopswatch, ["patterns", "test", *ours, LINE.format(9, 77)])
    assert tried.exit_code == 0
    assert f"-{identity[:4]} " in tried.output


def test_help_offers_the_filters_that_there_are():
    """Those that kernel errors are not found by are no options."""
    done = CliRunner().invoke(oopswatch, ["kernel-errors", "list", "--help"])
    options = set(re.findall(r"--[a-z-]+", done.output))
    assert {"--host", "--since", "--until", "--kernel", "--text", "--news"} <= options
    assert not {"--class", "--severity", "--module", "--function", "--known"} & options
