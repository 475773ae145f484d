"""Histories that earlier versions wrote are read by this one, with all that they hold.

`schema-NN.db.gz` is a small history as a version with so many migrations wrote it, `schema-NN.json`
what that version said of it. Neither is ever changed: a new one is added with each release.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from detector.cli import oopswatch
from tests.kafka.service import ask

HERE = Path(__file__).parent
HISTORIES = sorted(path.name.partition(".")[0] for path in HERE.glob("schema-*.db.gz"))


def call(*words: object) -> list[dict[str, Any]]:
    """The objects that a command prints."""
    done = CliRunner().invoke(oopswatch, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(params=HISTORIES)
def upgraded(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A history after this version opened it for writing, and what its own version said of it."""
    store = tmp_path / "history.db"
    store.write_bytes(gzip.decompress((HERE / f"{request.param}.db.gz").read_bytes()))
    said = json.loads((HERE / f"{request.param}.json").read_text())
    assert ask(store, "PRAGMA user_version") == [(said["schema"],)]
    done = CliRunner().invoke(oopswatch, ["keep", "run", "--store", str(store)])
    assert done.exit_code == 0, done.output
    return store, said


def test_there_is_one_of_each_released_schema() -> None:
    """The files are found."""
    released = {"schema-04", "schema-10", "schema-13", "schema-15", "schema-16", "schema-18"}
    assert released <= set(HISTORIES)


def test_everything_is_there(upgraded: tuple[Path, dict[str, Any]]) -> None:
    """Incidents with ids, fingerprints, states; matches, reports, noise; and the file is whole."""
    store, said = upgraded
    found = {item["id"]: item for item in call("incidents", "list", "--store", store, "--json")}
    assert found.keys() == said["incidents"].keys()
    for identity, fields in said["incidents"].items():
        assert {name: found[identity][name] for name in fields} == fields
    for table, query in (
        ("matches", "SELECT count(*) FROM matches"),
        ("reports", "SELECT count(*) FROM reports"),
        ("noise", "SELECT sum(count) FROM noise"),
        ("repeats", "SELECT coalesce(sum(count), 0) FROM repeats"),
    ):
        assert ask(store, query) == [(said.get(table, 0),)]
    assert ask(store, "PRAGMA integrity_check") == [("ok",)]
    assert ask(store, "PRAGMA foreign_key_check") == []


def test_what_people_did_is_there(upgraded: tuple[Path, dict[str, Any]]) -> None:
    """With their names and reasons."""
    store, _ = upgraded
    done = ask(store, "SELECT what, actor FROM changes WHERE actor = 'ann' ORDER BY id")
    assert [what for what, _ in done] == ["acknowledged", "resolved", "noted"]


def test_later_tables_know_what_was_before_them(upgraded: tuple[Path, dict[str, Any]]) -> None:
    """Faults, problems and hosts of the old rows are listed."""
    store, said = upgraded
    faults = call("faults", "list", "--store", store, "--json", "--limit", 1_000)
    assert len(faults) >= said["reports"]
    assert {item["incident"] for item in faults} >= said["incidents"].keys()
    problems = {
        item["fingerprint"] for item in call("problems", "list", "--store", store, "--json")
    }
    assert {fields["fingerprint"] for fields in said["incidents"].values()} <= problems
    hosts = {item["name"] for item in call("hosts", "list", "--store", store, "--json")}
    assert {fields["host"] for fields in said["incidents"].values()} <= hosts
