"""What is too old goes, with all that refers to it, in short steps; what is needed stays, and the
sums stay true.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from detector.clock import DAY_US
from detector.model import Block, CrashReport
from detector.store import StoreError, open_actions, open_history, open_journal, retention
from detector.store.query.filters import Filter
from detector.store.retention import Background, Keeper, RetentionLimits
from tests.support.nouns import HOUR, match, noise
from tests.support.queries import DAY, NOW_US, fill


def run(
    path: Path, limits: RetentionLimits, now_us: int = NOW_US, *, pages: bool = False
) -> dict[str, int]:
    """All that is due, as rows by what was done; with the pages that were given back only where it
    is asked for.
    """
    done: dict[str, int] = {}
    with closing(Keeper(path, limits)) as keeper:
        for step in keeper.steps(now_us):
            assert step.rows
            if pages or step.what != "pages freed":
                done[step.what] = done.get(step.what, 0) + step.rows
    return done


def counted(path: Path, table: str) -> int:
    """Rows of a table."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_nothing_goes_without_a_limit(tmp_path: Path) -> None:
    """0 is for ever."""
    path = tmp_path / "history.db"
    fill(path)
    assert run(path, RetentionLimits(), NOW_US + 99_999 * DAY) == {}


def test_old_incidents_go_with_what_refers_to_them(tmp_path: Path) -> None:
    """Evidence, changes and words go; the problem keeps its sums; totals, index and references stay
    true.
    """
    path = tmp_path / "history.db"
    ids = fill(path)
    with closing(sqlite3.connect(path)) as connection:
        old, young = ids["listener long ago"], ids["listener"]
        connection.execute(
            (
                "INSERT INTO alert_groups (id, receiver, scope, leader, dedup_key, last_us) "
                "VALUES (1, 'r', 's', ?, 'k', 1)"
            ),
            (old,),
        )
        connection.execute(
            (
                "INSERT INTO alert_groups (id, receiver, scope, leader, dedup_key, last_us) "
                "VALUES (2, 'r', 't', ?, 'k', 1)"
            ),
            (old,),
        )
        connection.executemany(
            "INSERT INTO alert_members VALUES (?, ?)", [(old, 1), (old, 2), (young, 2)]
        )
        connection.execute(
            "INSERT INTO deliveries (id, group_id, receiver, reason, created_us, due_us) "
            "VALUES (1, 1, 'r', 'x', 1, 1)"
        )
        told = """
            INSERT INTO notifications (change_id, incident_id, at_us, delivery_id, reason)
            SELECT min(id), ?, 1, 1, 'x' FROM changes WHERE incident_id = ?
        """
        connection.execute(told, (old, old))
        connection.execute(told, (young, young))
        connection.commit()
    assert run(path, RetentionLimits(incidents_days=20)) == {"incidents removed": 1}
    assert retention.check(path) == []
    with closing(open_history(path)) as history:
        assert history.incident(old) is None
        assert history.changes_of(old) == []
        assert len(history.search(Filter()).rows) == history.totals().incidents == 6
        problem = history.problem("1:__inet_lookup_listener")
        assert problem is not None
        assert (problem.row.incidents, len(problem.incidents)) == (3, 2)
        assert history.db.execute("SELECT id, leader FROM alert_groups").fetchall()[0][:] == (
            2,
            young,
        )
        assert history.db.execute("SELECT count(*) FROM incident_words").fetchone()[0] == 6


def test_the_latest_change_stays(tmp_path: Path) -> None:
    """Its id would be given again; and what alerts have not seen is not old."""
    path = tmp_path / "history.db"
    fill(path)
    with closing(open_history(path)) as history:
        last = history.last_change()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT OR REPLACE INTO outbox VALUES ('alerts', 3)")
        connection.commit()
    assert run(path, RetentionLimits(changes_days=1), NOW_US + 999 * DAY) == {"changes removed": 3}
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM outbox")
        connection.commit()
    run(path, RetentionLimits(changes_days=1, incidents_days=1), NOW_US + 999 * DAY)
    with closing(open_history(path)) as history:
        assert [change.id for change in history.changes()] == [last]
        assert history.totals().incidents == 1
    assert retention.check(path) == []


def test_matches_of_no_incident_go_and_evidence_stays(tmp_path: Path) -> None:
    """With their reports; the number of matches stays right."""
    path = tmp_path / "history.db"
    fill(path)
    with closing(open_journal(path)) as journal, journal.transaction():
        for number in range(50):
            stray, _ = journal.add_match(
                match("stray", number, wall_time_us=NOW_US - 50 * DAY + number)
            )
            journal.add_report(stray.id, Block(stray.match, ("head", "tail"), complete=True))
        journal.add_match(match("stray", 99, wall_time_us=NOW_US))
    with closing(open_history(path)) as history:
        before = history.totals()
    assert run(path, RetentionLimits(reports_days=60)) == {}
    assert run(path, RetentionLimits(reports_days=40)) == {"reports removed": 50}
    assert run(path, RetentionLimits(matches_days=40)) == {"matches removed": 50}
    with closing(open_history(path)) as history:
        after = history.totals()
        assert (after.matches, after.reports) == (before.matches - 50, before.reports - 50)
        assert after.matches == counted(path, "matches")
        assert after.reports == counted(path, "reports")
    assert retention.check(path) == []


def test_old_hours_become_days_and_sums_stay(tmp_path: Path) -> None:
    """Folding changes no sum and no first or last time; late counts are folded by the next round;
    then days go, too.
    """
    path = tmp_path / "history.db"
    day = NOW_US - NOW_US % DAY - 10 * DAY
    with closing(open_journal(path)) as journal:
        with journal.transaction():
            hours = [
                noise(
                    "p",
                    "h",
                    count=hour + 1,
                    hour_us=day + hour * HOUR,
                    first_us=day + hour * HOUR,
                    last_us=day + hour * HOUR,
                )
                for hour in range(24)
            ]
            journal.count_noise(
                [
                    *hours,
                    noise("p", "h", count=5, hour_us=NOW_US - HOUR),
                    noise("p", "h", count=1, hour_us=0),
                ]
            )
            for hour in range(5):
                journal.add_match(match(seconds=hour, wall_time_us=day + hour * HOUR))
        with closing(open_history(path)) as history:
            before, totals = history.noise(), history.totals()
            assert run(path, RetentionLimits(noise_hours_days=3)) == {
                "noise folded": 23, "noise_programs folded": 23, "signature_hours folded": 4
            }  # fmt: skip
            assert (history.noise(), history.totals()) == (before, totals)
            assert [
                (row.hour_us, row.count)
                for row in history.noise(by=["hour"], since_us=day, until_us=day + DAY).rows
            ] == [(day, 300)]
            assert [
                hit.count for hit in history.signature_hits("kernel.memory-fault", day, NOW_US)
            ] == [5]
            with journal.transaction():
                journal.count_noise([noise("p", "h", count=7, hour_us=day + HOUR)])
            assert run(path, RetentionLimits(noise_hours_days=3)) == {
                "noise folded": 1,
                "noise_programs folded": 1,
            }
            assert run(path, RetentionLimits(noise_days=5)) == {
                "noise removed": 1,
                "noise_programs removed": 1,
                "signature_hours removed": 1,
            }
            assert (
                history.totals().noise
                == 6
                == sum(row.count for row in history.noise(by=["process"]).rows)
            )


def test_steps_grow_shorter_where_they_take_long(tmp_path: Path) -> None:
    """A slow disk gets fewer rows at once; each step is a transaction of its own, so that a writer
    gets its turn.
    """
    path = tmp_path / "history.db"
    with closing(open_journal(path)) as journal:
        with journal.transaction():
            for number in range(600):
                journal.add_match(match("stray", number, wall_time_us=number + 1))
        ticks = iter(range(10_000))
        with closing(
            Keeper(path, RetentionLimits(matches_days=1), timer=lambda: float(next(ticks)))
        ) as keeper:
            rows = []
            for step in keeper.steps(NOW_US):
                rows += [step.rows] if step.what == "matches removed" else []
                with journal.transaction():
                    journal.count_noise([noise()])
    assert rows[:4] == [200, 100, 50, 25]
    assert sum(rows) == 599


def test_the_service_is_kept_in_the_background(tmp_path: Path) -> None:
    """A thread does what is due and tells of it; a fault is told, and ends nothing."""
    path, told, heard = tmp_path / "history.db", [], Event()
    fill(path)

    def tell(done: dict[str, int], fault: str | None) -> None:
        told.append((done, fault))
        heard.set()

    background = Background(
        path, RetentionLimits(incidents_days=20), lambda: NOW_US, tell, every_s=3_600
    )
    background.start()
    assert heard.wait(20)
    background.stop()
    assert [(done["incidents removed"], fault) for done, fault in told] == [(1, None)]
    heard.clear()
    missing = Background(
        tmp_path / "none.db", RetentionLimits(), lambda: NOW_US, tell, every_s=3_600
    )
    missing.start()
    assert heard.wait(20)
    missing.stop()
    assert "there is no such history" in told[-1][1]


def test_damage_is_found(tmp_path: Path) -> None:
    """What refers to nothing, and pages that are not what they were."""
    path = tmp_path / "history.db"
    ids = fill(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM incidents WHERE id = ?", (ids["disk"],))
        connection.commit()
    assert any("changes: row" in fault and "incidents" in fault for fault in retention.check(path))
    with pytest.raises(StoreError, match="no such history"):
        Keeper(tmp_path / "none.db", RetentionLimits())


def test_free_pages_go_back_to_the_disk(tmp_path: Path) -> None:
    """In steps; and by a vacuum, also of a file that was made without this."""
    path = tmp_path / "history.db"
    fill(path)
    with closing(open_journal(path)) as journal, journal.transaction():
        for number in range(2_000):
            journal.add_match(
                match("stray", number, wall_time_us=1 + number, text="x" * 500 + str(number))
            )
    full = _pages(path)
    done = run(path, RetentionLimits(matches_days=1), pages=True)
    assert done["pages freed"] > 100
    assert _pages(path) < full - 100
    retention.vacuum(path)
    assert retention.check(path) == []
    with closing(open_actions(path)) as actions:
        assert actions.act(_any(path), "note", actor="ann", reason="still writes").what == "noted"


def _pages(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA page_count").fetchone()[0]


def _any(path: Path) -> str:
    with closing(open_history(path)) as history:
        return history.search(Filter()).rows[0].id


def test_faults_go_with_their_matches_and_problems_keep_their_sums(tmp_path: Path) -> None:
    """What is too old is listed no longer; how often it was seen stays known."""
    path = tmp_path / "history.db"
    with closing(open_journal(path)) as journal:
        for number in (1, 2, 3):
            with journal.transaction():
                fault, _ = journal.add_match(match(seconds=number, wall_time_us=number * DAY_US))
                report = CrashReport("oops", title="BUG: x", kernel="5.10.1")
                journal.add_report(fault.id, Block(fault.match, ("head",), True), report, "1:x")
        with closing(Keeper(path, RetentionLimits(matches_days=1))) as keeper:
            assert sum(step.rows for step in keeper.steps(9 * DAY_US)) >= 2
        history = journal.history()
        assert [row.id for row in history.faults(Filter(), ()).rows] == [3]
        (row,) = history.problems(Filter()).rows
        assert (row.reports, row.first_us, row.last_us) == (3, DAY_US, 3 * DAY_US)
