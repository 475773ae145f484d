"""Histories of older versions are brought up to date with what they hold."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from click.testing import CliRunner
from sqlite_utils import Database

from detector.cli import oopswatch
from detector.clock import DAY_US as DAY
from detector.model import Block, CrashReport
from detector.store import open_history, open_journal, schema
from detector.store.query.filters import Filter
from detector.store.retention import Keeper, RetentionLimits
from detector.store.rows import read_match
from tests.support.nouns import WALL, match
from tests.support.visiting import client_of


def test_incidents_from_before_problems_were_kept_are_added_up(tmp_path: Path) -> None:
    """Two hosts with one problem, one of them twice; a joined one and one without a fingerprint do
    not count.
    """
    path = tmp_path / "old.db"
    db = Database(path)
    schema.MIGRATIONS.apply(db, stop_before="m003_alerts")
    db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    db.execute("PRAGMA user_version = 2")
    db.execute("INSERT INTO hosts (name) VALUES ('a'), ('b')")
    match = (
        "INSERT INTO matches (id, host, stream, boot_count, signature, class, severity, text, "
        "fields, source, number)"
    )
    db.execute(f"{match} VALUES (1, 'a', '', 0, 's', 'c', 'error', 't', '{{}}', 'x', 1)")
    rows = [
        ("1", "a", 0, "1:x", None),
        ("2", "a", 9, "1:x", None),
        ("3", "b", 5, "1:x", None),
        ("4", "b", 6, "1:x", "3"),
        ("5", "b", 7, None, None),
    ]
    for identity, host, at, fingerprint, joined in rows:
        db.execute(
            "INSERT INTO incidents (id, rule, severity, host, boot, time_basis, gap_us, "
            "started_us, found_us, anchor_id, fingerprint,"
            " kernel, joined_into) VALUES (?, 'r', 'error', ?, 'b', 'kernel', 0, ?, 0, 1, "
            "?, '5.10.1', ?)",
            [identity, host, WALL + at, fingerprint, joined],
        )
    db.conn.commit()
    db.close()
    with closing(open_journal(path)) as journal:
        problem = journal.db.execute(
            "SELECT fingerprint, incidents, hosts, first_us, last_us, state FROM problems"
        ).fetchall()
        assert [tuple(row) for row in problem] == [("1:x", 3, 2, WALL, WALL + 9, "open")]
        hosts = journal.db.execute(
            "SELECT host, incidents FROM problem_hosts ORDER BY host"
        ).fetchall()
        assert [tuple(row) for row in hosts] == [("a", 2), ("b", 1)]
        kernels = journal.db.execute("SELECT kernel, incidents FROM problem_kernels").fetchall()
        assert [tuple(row) for row in kernels] == [("5.10.1", 3)]
        days = journal.db.execute("SELECT sum(incidents) FROM problem_days").fetchone()
        assert days[0] == 3


def old_history(path: Path, faults: int) -> None:
    """A history as version 7 of the schema has it: every second fault has a report, on hosts that
    ran one kernel and then another; nothing but an incident counts to a problem.
    """
    db = Database(path)
    schema.MIGRATIONS.apply(db, stop_before="m008_faults")
    db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    db.execute("PRAGMA user_version = 7")
    for host in ("a", "b"):
        db.execute("INSERT INTO hosts (name, last_seen_us) VALUES (?, ?)", [host, WALL])
        for kernel, began in (("5.4.1", WALL - 9 * DAY), ("5.10.1", WALL)):
            db.execute(
                "INSERT INTO boots (host, epoch_us, stream, boot_count, kernel) "
                "VALUES (?, ?, '', 0, ?)",
                [host, began, kernel],
            )
    for number in range(1, faults + 1):
        host, kernel = ("a", "b")[number % 2], ("5.4.1", "5.10.1")[number // 2 % 2]
        db.execute(
            "INSERT INTO matches (id, host, wall_time_us, stream, boot_count, signature, class, "
            "severity, text, fields, source, number) "
            "VALUES (?, ?, ?, '', 0, 's', 'c', 'critical', 't', '{}', 'x', 1)",
            [number, host, WALL + number],
        )
        if number % 2:
            details = '{"hardware": "Model 7, BIOS 2.1 01/02/2020", "frames": []}'
            db.execute(
                "INSERT INTO reports (match_id, open, complete, lines, title, function, kernel, "
                "fingerprint, details) VALUES (?, 0, 1, '[]', 'BUG: f', 'f', ?, '1:f', ?)",
                [number, kernel, details],
            )
    db.execute(
        "INSERT INTO incidents (id, rule, severity, host, boot, time_basis, gap_us, started_us, "
        "found_us, anchor_id, fingerprint, state) VALUES ('1', 'r', 'critical', 'b', 'b', "
        "'kernel', 0, ?, 0, 1, '1:f', 'open')",
        [WALL + 1],
    )
    db.execute(
        "INSERT INTO problems (fingerprint, title, severity, first_us, last_us, incidents, hosts) "
        "VALUES ('1:f', 'BUG: f', 'critical', ?, ?, 1, 1)",
        [WALL + 1, WALL + 1],
    )
    db.execute("INSERT INTO problem_hosts VALUES ('1:f', 'b', 1, ?, ?)", [WALL + 1, WALL + 1])
    db.conn.commit()
    db.close()


def test_an_older_history_gets_its_faults_and_problems_in_steps(tmp_path: Path) -> None:
    """While a reader lists them and a writer adds to them; what is entered is what a history that
    was written today has.
    """
    path, faults = tmp_path / "old.db", 1_500
    old_history(path, faults)
    open_journal(path).close()
    steps, listed = [], []
    with (
        closing(open_journal(path, clock=lambda: WALL)) as journal,
        closing(open_history(path)) as history,
        closing(Keeper(path, RetentionLimits())) as keeper,
    ):
        entered = [history.percent_entered()]
        for step in keeper.steps(WALL):
            steps.append(step.rows)
            listed.append(len(history.faults(Filter(), (), limit=5_000).rows))
            with journal.transaction():
                number = len(steps)
                journal.add_match(match(seconds=number, wall=number, host=f"new-{number}"))
            entered.append(history.percent_entered())
        assert (entered[0], entered[-1]) == (0, None)
        assert any(percent is not None and 0 < percent < 100 for percent in entered)
        added = len(steps)
        assert added >= 4
        assert max(steps[:4]) < faults / 2
        assert listed == sorted(listed)
        assert listed[-1] == faults + added - 1
        problem = history.problem("1:f")
        assert problem is not None
        row = problem.row
        assert (row.reports, row.incidents, row.hosts, row.regressions) == (750, 1, 1, 0)
        assert (row.first_us, row.last_us) == (WALL + 1, WALL + faults - 1)
        assert [(one.name, one.reports) for one in problem.hosts] == [("b", 750)]
        assert {one.name: one.reports for one in problem.kernels} == {"5.4.1": 375, "5.10.1": 375}
        assert [(one.name, one.reports) for one in problem.hardware] == [("Model 7", 750)]
        days = journal.db.execute(
            "SELECT value, day_us / 86400000000, hosts, crashes FROM fleet_days "
            "WHERE about = 'kernel' ORDER BY 1, 2"
        ).fetchall()
        day = WALL // DAY
        assert [tuple(one) for one in days] == [
            ("5.10.1", day, 2, 375),
            ("5.4.1", day - 9, 2, 0),
            ("5.4.1", day, -2, 375),
        ]


def test_rows_that_change_before_they_are_entered_are_counted_once(tmp_path: Path) -> None:
    """A report that is read again while its fault waits to be entered."""
    path = tmp_path / "old.db"
    old_history(path, 3)
    with closing(open_journal(path, clock=lambda: WALL)) as journal:
        with journal.transaction():
            stored = journal.db.execute("SELECT * FROM matches WHERE id = 3").fetchone()
            fault = read_match(stored)
            block = Block(fault, ("head", "more"), complete=True)
            journal.add_report(3, block, CrashReport("oops", title="BUG: f", function="f"), "1:f")
        with closing(Keeper(path, RetentionLimits())) as keeper:
            assert sum(step.rows for step in keeper.steps(WALL)) == 3 + 2
        (row,) = journal.history().problems(Filter()).rows
        assert row.reports == 2


def test_commands_and_pages_say_how_much_of_an_older_history_is_entered(tmp_path: Path) -> None:
    """Lists that do not hold everything yet say so, each with the share."""
    path = tmp_path / "old.db"
    old_history(path, 500)
    open_journal(path).close()
    with closing(Keeper(path, RetentionLimits())) as keeper:
        next(keeper.steps(WALL))
    with closing(open_history(path)) as history:
        percent = history.percent_entered()
    assert percent is not None
    client = client_of(path)
    for words, address in (
        (["faults", "list"], "/faults"),
        (["problems", "list"], "/problems"),
        (["fleet"], "/fleet"),
    ):
        told = CliRunner().invoke(oopswatch, [*words, "--store", str(path)])
        assert f"still reading older reports: {percent} %" in told.stderr
        assert f"Still reading older reports: {percent} %" in client.get(address).text
    with closing(Keeper(path, RetentionLimits())) as keeper:
        list(keeper.steps(WALL))
    assert "older reports" not in client.get("/problems").text
