"""The commands over the history give the answers of the table of questions, and act on what they
found.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from detector import clock as clock_module
from detector.cli import main, oopswatch
from detector.render.units import sparkline
from detector.store import History, open_history
from detector.store.query.filters import Filter
from tests.support.queries import HOSTS, NOW_US, PROBLEMS, QUERIES, REFUSED, Params, fill
from tests.support.visiting import client_of


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The history of the table; nobody writes to it."""
    path = tmp_path_factory.mktemp("asking") / "history.db"
    return path, fill(path)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the time of the table."""
    monkeypatch.setattr(clock_module, "now_us", lambda: NOW_US)


def options(params: Params) -> list[str]:
    """A question as options of a command."""
    return [
        word
        for name, values in params.items()
        for value in values
        for word in (f"--{name.replace('_', '-')}={value}",)
    ]


def said(path: Path, *arguments: str, code: int = 0) -> str:
    """What a command prints."""
    result = CliRunner().invoke(oopswatch, [*arguments, "--store", str(path)])
    assert result.exit_code == code, result.output
    return result.output


def column(output: str, name: str) -> list[str]:
    """A column of CSV."""
    return [row[name] for row in csv.DictReader(io.StringIO(output))]


@pytest.mark.parametrize(("params", "labels"), QUERIES, ids=[str(params) for params, _ in QUERIES])
def test_lists_give_the_answers_of_the_table(filled, params: Params, labels: list[str]) -> None:
    """As CSV."""
    path, ids = filled
    assert column(said(path, "incidents", "list", "--csv", *options(params)), "id") == [
        ids[label] for label in labels
    ]


def test_problems_and_hosts_give_the_answers_of_the_table(filled) -> None:
    """As NDJSON and as CSV."""
    for params, fingerprints in PROBLEMS:
        lines = said(filled[0], "problems", "list", "--json", *options(params)).splitlines()
        assert [json.loads(line)["fingerprint"] for line in lines] == fingerprints
    for params, names in HOSTS:
        assert column(said(filled[0], "hosts", "list", "--csv", *options(params)), "name") == names


def test_refusals_name_the_option(
    filled, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line where the value is at fault; exit code 2."""
    for params, field in REFUSED:
        monkeypatch.setattr(
            "sys.argv",
            ["oopswatch", "incidents", "list", *options(params), "--store", str(filled[0])],
        )
        with pytest.raises(SystemExit) as ended:
            main()
        line = capsys.readouterr().err
        assert ended.value.code == 2
        assert f"--{field}" in line


def test_people_read_tables_and_lines_over_time(filled) -> None:
    """Counts, sparklines and the inert text of hostile names."""
    path, ids = filled
    output = said(path, "incidents", "list")
    assert "7 incidents" in output
    assert "█" in output
    assert "No incident matches." in said(path, "incidents", "list", "--host", "nowhere")
    assert "1 incident\n" in said(
        path, "incidents", "list", "--known_issue", "tcp-listener-race", "--kernel", "..4.14"
    )
    shown = said(path, "incidents", "show", ids["listener again"])
    assert "acknowledged by ann: seen" in shown
    assert "nobody was told yet" in shown
    assert ids["listener"] in shown
    assert "2 on 2 hosts" in said(path, "problems", "show", "1:nvme_irq")
    assert "2 incidents" in said(path, "hosts", "show", "db-1")
    assert "5 critical" in said(path, "stats")
    assert json.loads(said(path, "stats", "--json"))["totals"]["incidents"] == 7
    assert said(path, "noise", "top", "--json") == said(path, "noise", "--json")
    item = json.loads(said(path, "incidents", "show", ids["listener again"], "--json"))
    assert [change["what"] for change in item["changes"]] == ["raised", "acknowledged"]


def test_people_act_on_what_they_found(tmp_path: Path) -> None:
    """Each act with who did it and why; a state that does not allow it is one line, not a
    traceback.
    """
    path = tmp_path / "history.db"
    ids = fill(path)
    short = ids["disk"][:8]
    assert "acknowledged by ann: looking" in said(
        path, "incidents", "ack", short, "--actor", "ann", "--reason", "looking"
    )
    assert "noted by ann: hm" in said(
        path, "incidents", "note", short, "--actor", "ann", "--reason", "hm"
    )
    changed = [
        json.loads(said(path, "incidents", what, short, "--json"))["what"]
        for what in ("resolve", "reopen")
    ]
    assert changed == ["resolved", "reopened"]
    assert "2 incidents were resolved" in said(
        path, "problems", "resolve", "1:nvme_irq", "--fixed-in", "5.10", "--actor", "ann"
    )
    with closing(open_history(path)) as history:
        assert {row.id for row in history.search(Filter(state=("resolved",))).rows} == {
            ids["disk"], ids["disk on rc"], ids["listener long ago"]
        }  # fmt: skip


def test_what_cannot_be_is_one_line(
    filled, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Exit code 2 and no traceback."""
    path, ids = filled
    for arguments, message in (
        (["incidents", "show", "zz"], "no incident zz"),
        (["problems", "show", "1:none"], "no problem 1:none"),
        (["hosts", "show", "db-*"], "no host db-*"),
        (["incidents", "ack", ids["listener long ago"]], "resolved"),
        (
            ["problems", "resolve", "1:nvme_irq", "--fixed-in", "banana"],
            "--fixed-in: 'banana' is no kernel release",
        ),
        (
            ["problems", "resolve", "1:nvme_irq", "--fixed-in", "5.4banana"],
            "--fixed-in: '5.4banana' is no kernel release",
        ),
        (["backup", "/nonexistent/x.db"], "/nonexistent/x.db: there is no folder /nonexistent"),
        (["backup", str(path)], "such a file already"),
    ):
        monkeypatch.setattr("sys.argv", ["oopswatch", *arguments, "--store", str(path)])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        told = capsys.readouterr().err
        assert message in told
        assert len(told.splitlines()) == 1


def test_exports_hold_what_was_asked_for(
    filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NDJSON whole, Parquet by rows; without pyarrow it is said what to install."""
    from pyarrow import parquet

    path, ids = filled
    lines = said(path, "export", "--host", "db-*").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [
        ids[label] for label in ("listener", "quoted", "listener again", "listener long ago")
    ]
    said(path, "export", "--output", str(tmp_path / "x.ndjson"), "--host", "db-*")
    assert (tmp_path / "x.ndjson").read_text().splitlines() == lines
    said(path, "export", "--format", "parquet", "--output", str(tmp_path / "x.parquet"))
    table = parquet.read_table(tmp_path / "x.parquet").to_pylist()
    assert [row["id"] for row in table] == [ids[label] for label in QUERIES[0][1]]
    assert table[0]["started_us"] == NOW_US - 3_600_000_000
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'oopswatch[parquet]'" in said(
        path, "export", "--format", "parquet", "--output", str(tmp_path / "y.parquet"), code=2
    )


def test_a_history_is_kept_checked_and_copied(tmp_path: Path) -> None:
    """By the settings; a damaged file is exit code 1."""
    path = tmp_path / "history.db"
    fill(path)
    result = CliRunner().invoke(
        oopswatch,
        ["keep", "run", "--store", str(path)],
        env={"OOPSWATCH_KEEP_INCIDENTS_DAYS": "20"},
    )
    assert "incidents removed: 1" in result.output
    assert "nothing is due" in said(path, "keep", "run")
    assert "sound" in said(path, "keep", "check")
    assert "now" in said(path, "keep", "vacuum")
    assert json.loads(said(path, "backup", str(tmp_path / "copy.db"), "--json"))["incidents"] == 6
    assert json.loads(said(tmp_path / "copy.db", "stats", "--json"))["totals"]["incidents"] == 6
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM hosts WHERE name = 'db-1'")
        connection.commit()
    assert "refers to a row of hosts" in said(path, "keep", "check", code=1)


def test_sparklines() -> None:
    """The greatest is full, the least is seen, none is blank."""
    assert sparkline([0, 1, 50, 100]) == " ▂▅█"
    assert sparkline([]) == ""


def test_a_list_says_that_rows_are_left_out(filled) -> None:
    """In its title, and only where there are more."""
    path, _ = filled
    assert "the newest 2 faults; more with --limit" in said(path, "faults", "list", "--limit", "2")
    assert "the first 2 hosts; more with" in said(path, "hosts", "list", "--limit", "2")
    assert "the newest 1 problem; more with" in said(path, "problems", "list", "--limit", "1")
    assert "newest 2 shown; more with --limit" in said(path, "incidents", "list", "--limit", "2")
    count = len(said(path, "faults", "list", "--json").splitlines())
    whole = said(path, "faults", "list", "--limit", str(count))
    assert whole.startswith(f"{count} faults")
    assert "more with" not in whole


def test_a_list_is_the_same_csv_from_the_command_and_the_page(filled) -> None:
    """Columns and cells; lists inside of a row are JSON."""
    path, _ = filled
    client = client_of(path)
    for noun in ("faults", "problems", "hosts"):
        assert said(path, noun, "list", "--csv") == client.get(f"/{noun}.csv").text
    assert set(column(said(path, "faults", "list", "--csv"), "known_bugs")) == {"[]"}


def test_an_empty_name_is_a_usage_error_and_an_empty_filter_is_none(filled) -> None:
    """The name of the argument is said; `noise --host ''` asks for every host."""
    path, _ = filled
    for arguments in (
        ["problems", "show", ""],
        ["incidents", "show", ""],
        ["hosts", "show", ""],
        ["explain", ""],
    ):
        assert "it is empty" in said(path, *arguments, code=2)
    empty = CliRunner().invoke(oopswatch, ["patterns", "test", "--update", ""])
    assert (empty.exit_code, "it is empty" in empty.output) == (2, True)
    assert said(path, "noise", "--host", "", "--process", "") == said(path, "noise")
    assert (
        "No signature claims any of 1 line."
        in CliRunner().invoke(oopswatch, ["explain", "nothing of note"]).output
    )
    assert "No message matches." in said(path, "notify", "log", "--receiver", "nobody")


def test_an_incident_that_retention_removes_meanwhile_is_left_out_of_a_list(
    filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is read, then its incidents one by one: retention may come between."""
    path, _ = filled
    listed = [json.loads(line) for line in said(path, "incidents", "list", "--json").splitlines()]
    removed, *kept = [item["id"] for item in listed]
    read = History.incident
    monkeypatch.setattr(
        History,
        "incident",
        lambda history, identity: None if identity == removed else read(history, identity),
    )
    found = said(path, "incidents", "list", "--json").splitlines()
    assert [json.loads(line)["id"] for line in found] == kept
