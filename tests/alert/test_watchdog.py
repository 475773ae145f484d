"""The watcher watched: silence and lag become incidents and end; incidents end by quiet and by
reboot; evidence that comes late.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from detector.alert.watchdog import Watchdog, keep
from detector.model import Block, Boot, CrashReport, Diagnosis
from detector.store.lifecycle.auto_resolve import close_quiet, close_rebooted
from tests.support.nouns import SECOND, WALL, incident, match
from tests.support.outboxes import HOUR, World


def words(watchdog: Watchdog, *batches: tuple[float, int, int]) -> list[tuple[str, bool]]:
    """The alarms of batches of (seconds, records so far, lag)."""
    return [
        (one.kind, one.over)
        for at, records, lag in batches
        for one in watchdog.observe(round(at * SECOND), records, lag)
    ]


def test_a_silent_input_is_an_alarm_once_and_ends_with_the_next_record() -> None:
    """Also one that was silent from the start; each silence anew."""
    assert words(Watchdog(60, 0, 0), (0, 0, 0), (59, 0, 0))[1:] == []
    dog = Watchdog(60, 0, 0)
    words(dog, (0, 5, 0))
    assert words(dog, (61, 5, 0), (90, 5, 0), (95, 6, 0), (96, 7, 0), (200, 7, 0)) == [
        ("input-silent", False),
        ("input-silent", True),
        ("input-silent", False),
    ]
    assert ("input-silent", False) not in words(Watchdog(0, 0, 0), (0, 0, 0), (9_999, 0, 0))


def test_a_lag_that_does_not_shrink_is_an_alarm() -> None:
    """Above the bound for so long and not fewer; one that is worked off is none."""
    dog = Watchdog(0, 100, 60)
    words(dog, (0, 1, 0))
    assert words(dog, (10, 2, 500), (69, 3, 600), (70, 4, 600), (80, 5, 700), (90, 6, 50)) == [
        ("lag-growing", False),
        ("lag-growing", True),
    ]
    assert words(dog, (100, 7, 500), (161, 8, 300), (200, 9, 101)) == []


def test_the_alarm_is_an_incident_that_people_are_told_of(tmp_path: Path) -> None:
    """Raised, told, resolved, told: like any other, of the host that oopswatch runs on; a restart
    ends what an earlier process raised.
    """
    world = World(tmp_path / "h.db")
    dog = Watchdog(60, 0, 0)
    for seconds, records in ((0, 5), (61, 5), (62, 5)):
        for alarm in dog.observe(WALL + seconds * SECOND, records, 0):
            keep(world.journal, alarm, "watcher-1", WALL + seconds * SECOND)
    world.run(1)
    (notice,) = world.fake().taken
    assert (notice.subjects[0].rule, notice.subjects[0].host) == (
        "oopswatch.input-silent",
        "watcher-1",
    )
    assert notice.subjects[0].title.startswith("No record has come in since 2026-")
    for alarm in Watchdog(60, 0, 0).observe(WALL + 100 * SECOND, 1, 0):
        assert keep(world.journal, alarm, "watcher-1", WALL + 100 * SECOND) == (
            alarm.kind == "input-silent"
        )
    world.run(1)
    assert world.actions_taken() == ["fire", "resolve"]
    world.close()


def test_a_quiet_incident_ends_and_says_since_when(tmp_path: Path) -> None:
    """A day after the last that was new; what is spared stays."""
    world = World(tmp_path / "h.db")
    identity, spared = world.crash("db-1"), None
    tables = world.outbox.store
    for hours, expected in ((23, 0), (25, 1), (50, 0)):
        with tables.transaction():
            assert close_quiet(tables.db, WALL + hours * HOUR, 24 * HOUR) == expected
    spared = world.crash("db-2")
    with tables.transaction():
        assert close_quiet(tables.db, WALL + 99 * HOUR, 24 * HOUR, {"pair"}) == 0
    reasons = dict(
        tables.db.execute(
            "SELECT incident_id, reason FROM changes WHERE what = 'resolved'"
        ).fetchall()
    )
    assert set(reasons) == {identity}
    assert spared not in reasons
    assert reasons[identity].startswith("quiet: nothing new since 2026-")
    world.close()


def test_a_reboot_ends_what_its_rule_lets_it(tmp_path: Path) -> None:
    """A later boot of the same host, by boot id and start; not the same boot, an earlier one,
    another host's or another rule's.
    """
    world = World(tmp_path / "h.db")
    with world.journal.transaction():
        fault, _ = world.journal.add_match(match(wall=0, boot=Boot("b1", WALL - 5 * SECOND)))
        half, _ = world.journal.add_match(
            match("tcp-state", 4, wall=0, boot=Boot("b1", WALL - 5 * SECOND))
        )
        made = incident(fault, half)
        world.journal.save_incident(made, [fault.id, half.id])

    def ended(boot: Boot, host: str = "db-1", rules: tuple[str, ...] = ("pair",)) -> int:
        banner = match(seconds=0, wall=0, host=host, boot=boot, text="Linux version 6.1.1 (x)")
        with world.journal.transaction():
            world.journal.note_boot(banner)
        tables = world.outbox.store
        with tables.transaction():
            return close_rebooted(tables.db, world.now, rules, 600 * SECOND)

    assert ended(Boot("b0", WALL - 9_000 * SECOND)) == 0
    assert ended(Boot("b1", WALL + SECOND)) == 0
    assert ended(Boot("b2", WALL + 90 * SECOND), host="db-2") == 0
    assert ended(Boot("b2", WALL + 90 * SECOND), rules=("other",)) == 0
    assert ended(Boot("b2", WALL + 90 * SECOND)) == 1
    (reason,) = world.journal.db.execute(
        "SELECT reason FROM changes WHERE what = 'resolved'"
    ).fetchone()
    assert reason.startswith("the host was rebooted at 2026-")
    world.close()


def test_evidence_of_the_past_updates_and_of_the_present_reopens(tmp_path: Path) -> None:
    """After the end: a vmcore's lines from before only say more; a line that was printed since
    opens the incident again.
    """
    world = World(tmp_path / "h.db")
    with world.journal.transaction():
        fault, _ = world.journal.add_match(match(wall=0))
        half, _ = world.journal.add_match(match("tcp-state", 4, wall=0))
        made = incident(fault, half)
        world.journal.save_incident(made, [fault.id, half.id])
    world.run(2)
    world.now += 100 * SECOND
    world.actions.act(made.id, "resolve", actor="ann")
    world.run(1)
    report = CrashReport("oops", title="BUG: x in f", function="f")
    with world.journal.transaction():
        old, _ = world.journal.add_match(match("panic", 6, text="panic"))
        world.journal.add_report(fault.id, Block(fault.match, ("a", "b"), True), report, "1:aa")
        world.journal.save_incident(
            made, [fault.id, half.id, old.id], Diagnosis(known_issue="a-bug"), report
        )
    with world.journal.transaction():
        world.journal.save_incident(
            made, [fault.id, half.id, old.id], Diagnosis(known_issue="a-bug"), report
        )
    world.run(2)
    world.now += 10 * SECOND
    with world.journal.transaction():
        new, _ = world.journal.add_match(
            replace(match("panic", 7, text="panic again"), wall_time_us=world.now)
        )
        world.journal.save_incident(
            made, [fault.id, half.id, old.id, new.id], Diagnosis(known_issue="a-bug"), report
        )
    rows = world.journal.db.execute("SELECT what, reason FROM changes ORDER BY id").fetchall()
    assert [row["what"] for row in rows] == ["raised", "resolved", "updated", "reopened"]
    assert (
        rows[2]["reason"]
        == "title: BUG: x in f; fingerprint: 1:aa; known issue: a-bug; new evidence: kernel.panic"
    )
    assert rows[3]["reason"] == "again: kernel.panic"
    world.run(2)
    assert world.actions_taken() == ["fire", "resolve", "resolve", "fire"], (
        "what comes after the end opens nothing"
    )
    world.close()
