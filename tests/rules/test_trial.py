"""`oopswatch rules`: what a trial says is what the rules raise where they are in force."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from detector.cli import oopswatch
from detector.store import open_history
from detector.store.query.filters import Filter
from tests.kernel_errors import shipping as errors
from tests.kernel_errors.shipping import counting, day, syslog
from tests.support.outboxes import World
from tests.support.outbreaks import CRASH, RELEASE, SEGFAULT, pipeline, ship

Found = dict[str, tuple[int, int]]


def write(path: Path, **switches: bool) -> None:
    """A history of 24 hosts that crash alike within a day, one of them after a release; a program
    crashes on all of them.
    """
    with closing(World(path)) as world:
        watch = pipeline(world, **switches)
        for number in range(24):
            crash = (RELEASE, *CRASH) if number == 3 else CRASH
            ship(world, watch, f"web-{number}", *crash, SEGFAULT)
            world.now += 60_000_000


def raised(path: Path) -> Found:
    """The live incidents of a history by rule, and on how many hosts."""
    found: Found = {}
    with closing(open_history(path)) as history:
        for row in history.search(Filter(), limit=100).rows:
            detail = history.incident(row.id)
            assert detail is not None
            spread = detail.incident.spread
            count, hosts = found.get(row.rule, (0, 0))
            found[row.rule] = count + 1, hosts + (spread.hosts if spread else 1)
    return found


def run(*words: str) -> list[dict[str, object]]:
    """The objects that a command prints."""
    result = CliRunner().invoke(oopswatch, list(words))
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history that was written with no rule switched on."""
    path = tmp_path_factory.mktemp("trial") / "history.db"
    write(path)
    return path


def test_a_trial_says_what_rules_in_force_raise(plain: Path, tmp_path: Path) -> None:
    """The same logs, once with the rules in force and once without and tried later."""
    other = tmp_path / "history.db"
    write(other, lone_faults=True, outbreaks=True, noise_bursts=True)
    items = run("rules", "test", "--json", "--store", str(plain))
    tried = {
        str(one["rule"]): (one["incidents"], one["hosts"]) for one in items if one["incidents"]
    }
    assert tried == raised(other)
    assert tried == {
        "tcp-release-and-memory-fault": (1, 1),
        "outbreak": (1, 24),
        "noise-burst": (1, 24),
    }
    (lone,) = (one for one in items if one["rule"] == "lone-kernel-fault")
    assert (lone["parts_of_others"], lone["per_week"]) == (24, 0.0)


def test_a_rule_is_tried_with_those_in_force(plain: Path) -> None:
    """Alone it takes in no outbreak, which is not in force; the pair is, and has its fault."""
    (lone,) = run("rules", "test", "lone-kernel-fault", "--json", "--store", str(plain))
    assert (lone["incidents"], lone["hosts"], lone["per_week"]) == (23, 23, 23.0)
    assert lone["parts_of_others"] == 1


def test_a_trial_only_reads(plain: Path) -> None:
    """The history is the same, byte for byte."""
    before = hashlib.sha256(plain.read_bytes()).digest()
    assert raised(plain) == {"tcp-release-and-memory-fault": (1, 1)}
    (item,) = run("rules", "test", "outbreak", "--json", "--store", str(plain), "--limit", "1")
    assert len(item["newest"]) == 1  # type: ignore[arg-type]
    assert hashlib.sha256(plain.read_bytes()).digest() == before


def test_a_trial_of_a_time_leaves_out_what_is_older(plain: Path) -> None:
    """Nothing has happened since tomorrow."""
    (item,) = run(
        "rules", "test", "outbreak", "--json", "--store", str(plain), "--since", "2099-01-01"
    )
    assert (item["incidents"], item["first"], item["newest"]) == (0, None, [])


def test_tables_name_what_was_read(plain: Path) -> None:
    """People see the counts, those that raised most first."""
    result = CliRunner().invoke(oopswatch, ["rules", "test", "--store", str(plain)])
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].startswith("Raised on ")
    assert lines[0].endswith("24 counts of noise")
    assert lines[2].startswith("outbreak ")


@pytest.mark.parametrize("in_force", [False, True])
def test_new_kernel_errors_are_tried(tmp_path: Path, in_force: bool) -> None:
    """An error that is new on 24 hosts is one incident; one that the fleet always had is none."""
    store = tmp_path / "history.db"
    settings = {"rules__kernel_errors": in_force, "kernel_errors__learning_days": 7}
    with counting(store, **settings) as watch:
        for at in range(21):
            known = [syslog(f"h{number}", day(at, number), "acme 7: gone") for number in range(30)]
            errors.ship(watch, known, day(at))
        rows = [syslog(f"h{number}", day(20, number), "pump 3 stopped") for number in range(24)]
        errors.ship(watch, rows, day(20))
    if in_force:
        assert raised(store) == {"new-kernel-error": (1, 24)}
    (item,) = run("rules", "test", "new-kernel-error", "--json", "--store", str(store))
    assert (item["incidents"], item["hosts"]) == (1, 24)
    (newest,) = item["newest"]  # type: ignore[misc]
    assert "pump * stopped" in newest["title"]


def test_rules_are_listed_with_what_puts_them_in_force(tmp_path: Path) -> None:
    """By setting; without one they are in force."""
    items = {one["id"]: one for one in run("rules", "list", "--json")}
    assert items["outbreak"]["in_force"] is False
    assert items["outbreak"]["setting"] == "rules.outbreaks"
    assert items["tcp-release-and-memory-fault"]["in_force"] is True
    config = tmp_path / "oopswatch.toml"
    config.write_text("[rules]\nlone_faults = true\n")
    (item,) = run("rules", "show", "lone-kernel-fault", "--json", "--config", str(config))
    assert (item["in_force"], item["gte"], item["kind"]) == (True, 1, "event_count")


def test_a_rule_is_shown_in_words() -> None:
    """What it asks for, within which time, and which setting switches it on."""
    shown = CliRunner().invoke(oopswatch, ["rules", "show", "outbreak"]).output.splitlines()
    assert "of        one fingerprint on 5 hosts" in shown
    assert "within    24 h" in shown
    assert "in force  no: rules.outbreaks = true switches it on" in shown


def test_a_rule_that_there_is_not_is_one_line(plain: Path) -> None:
    """The name, and where the names are."""
    result = CliRunner().invoke(oopswatch, ["rules", "test", "nope", "--store", str(plain)])
    assert result.exit_code == 2
    assert "no rule is called nope; `oopswatch rules list` names them all" in result.output
