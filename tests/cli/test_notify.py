"""`oopswatch notify`: what it prints, and with which code it exits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from detector.cli import oopswatch
from tests.support.outboxes import World
from tests.support.receivers import answer, http_receiver

RULE = "lone-kernel-fault"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, without settings."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    """One command."""
    return CliRunner().invoke(oopswatch, ["notify", *words])


def hook(folder: Path, url: str) -> str:
    """A routing file that tells a webhook of databases."""
    path = folder / "n.toml"
    path.write_text(
        f'[[receiver]]\nname = "hook"\nkind = "webhook"\nurl = "{url}"\n[[route]]\nhost = '
        '"db-*"\nreceivers = ["hook"]\nteam = "dba"\n'
    )
    return str(path)


def test_check_and_route(folder: Path) -> None:
    """Faults are located and exit with 2; a route says who and why."""
    path = hook(folder, "http://127.0.0.1:1/")
    assert run("check", "--file", path).output == f"{path}: 1 receiver, 1 route, 0 maintenances\n"
    assert (
        run("route", "--file", path, "--host", "db-1", "--rule", RULE).output
        == f"hook: by the route at {path}:5, team dba\n"
    )
    assert (
        "nobody: no route of"
        in run("route", "--file", path, "--host", "web", "--rule", RULE).output
    )
    shown = json.loads(
        run("route", "--file", path, "--host", "db-1", "--rule", RULE, "--json").output
    )
    assert (shown["receivers"][0]["receiver"], shown["quiet"]) == ("hook", None)
    Path(path).write_text("[[rout]]\n")
    bad = run("check", "--file", path)
    assert (bad.exit_code, "unknown table" in bad.stderr) == (2, True)
    Path(path).write_text("")
    assert run("check", "--file", path).output.endswith(": nobody is notified of incidents\n")
    missing = run("check", "--file", f"{path}.none")
    assert f"{path}.none: cannot be read" in missing.stderr
    missing = run("check")
    assert (missing.exit_code, "there is no routing file" in missing.stderr) == (2, True)


def test_a_rule_that_there_is_not_is_refused(folder: Path) -> None:
    """A silence or a question for it would be about nothing; a pattern must fit some rule."""
    path, store = hook(folder, "http://127.0.0.1:1/"), str(folder / "h.db")
    World(folder / "h.db").close()
    refused = run("route", "--file", path, "--host", "db-1", "--rule", "lone-kernel-falt")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--rule: no rule is called lone-kernel-falt (did you mean lone-kernel-fault?)" in (
        refused.stderr
    )
    silent = ("silence", "add", "--for", "1h", "--comment", "c", "--author", "a", "--store", store)
    assert "no rule is called tpc-*" in run(*silent, "--rule", "tpc-*").stderr
    assert run(*silent, "--rule", "tcp-*").exit_code == 0
    assert run(*silent, "--rule", "oopswatch.*").exit_code == 0


def test_a_real_test_message(folder: Path) -> None:
    """It goes to the receiver, and its end after it; one that refuses makes exit code 1."""
    with http_receiver() as receiver:
        path = hook(folder, receiver.url)
        good = run("--test", "hook", "--file", path)
        assert (good.exit_code, good.output.startswith("hook (webhook): delivered")) == (0, True)
        assert [request.json["action"] for request in receiver.requests] == ["fire", "resolve"]
        receiver.behave = answer(400, "no such field")
        bad = run("--file", path, "--test", "hook")
        assert (bad.exit_code, "refused" in bad.output) == (1, True)
        unknown = run("--file", path, "--test", "hok")
        assert (unknown.exit_code, "no receiver hok" in unknown.stderr) == (2, True)


def test_silences_and_the_log(folder: Path) -> None:
    """A silence is made, listed, in force for `route`, ended; the log says who was told."""
    path = hook(folder, "http://127.0.0.1:1/")
    store = str(folder / "h.db")
    world = World(folder / "h.db")
    identity = world.crash()
    world.run(1)
    world.close()
    made = run(
        "silence",
        "add",
        "--host",
        "db-*",
        "--for",
        "2h",
        "--comment",
        "upgrade",
        "--author",
        "ann",
        "--store",
        store,
    )
    assert made.output.startswith("silence #1 until ")
    assert "upgrade" in run("silence", "list", "--store", store).output
    quiet = run("route", "--file", path, "--host", "db-1", "--rule", RULE, "--store", store).output
    assert "but not now: silenced by #1 (ann)" in quiet
    assert run("silence", "expire", "1", "--store", store).output == "silence #1 is over\n"
    assert run("silence", "list", "--store", store, "--json").output == ""
    rows = [json.loads(line) for line in run("log", "--store", store, "--json").output.splitlines()]
    assert [(row["incident"], row["receiver"], row["outcome"]) for row in rows] == [
        (identity, "pager", "delivered")
    ]
    assert identity in run("log", "--store", store, "--outcome", "delivered").output
    assert run("log", "--store", store, "--outcome", "refused", "--json").output == ""
    bad = run("silence", "add", "--host", "x", "--for", "soon", "--comment", "c", "--store", store)
    assert (bad.exit_code, "write how long as" in bad.stderr) == (2, True)
