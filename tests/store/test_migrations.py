"""Histories of older versions are brought up to date with what they hold."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from sqlite_utils import Database

from detector.store import open_journal, schema
from tests.store.nouns import WALL


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
