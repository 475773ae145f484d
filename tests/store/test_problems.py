"""Problems: the sums kept as incidents come, change and join are those that counting anew gives;
and what makes a regression.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.model import Block, CrashReport, Diagnosis
from detector.store import Journal, open_actions, open_journal
from detector.store.lifecycle.actions import ActionRefused
from detector.store.query.filters import Filter
from tests.support.nouns import SECOND, WALL, incident, match

DAY = 86_400
NOW = WALL + 999 * DAY * SECOND

_COUNTED = """
WITH live AS (
  SELECT fingerprint, host, kernel, NULL AS hardware, coalesce(started_us, found_us) AS began, 1
    AS incident, 0 AS report
  FROM incidents WHERE joined_into IS NULL AND fingerprint IS NOT NULL
  UNION ALL SELECT r.fingerprint, m.host, r.kernel, r.kernel || ' board', m.wall_time_us, 0, 1
  FROM reports r JOIN matches m ON m.id = r.match_id WHERE r.fingerprint IS NOT NULL)
"""
_SUMS = "sum(incident), sum(report), min(began), max(began) FROM live"
SUMS = {
    "SELECT fingerprint, hosts, incidents, reports, first_us, last_us FROM problems": (
        f"SELECT fingerprint, count(DISTINCT host), {_SUMS} GROUP BY fingerprint"
    ),
    "SELECT fingerprint, host, incidents, reports, first_us, last_us FROM problem_hosts": (
        f"SELECT fingerprint, host, {_SUMS} GROUP BY fingerprint, host"
    ),
    "SELECT fingerprint, kernel, incidents, reports, first_us, last_us FROM problem_kernels": (
        f"SELECT fingerprint, kernel, {_SUMS} WHERE kernel IS NOT NULL GROUP BY fingerprint, kernel"
    ),
    "SELECT fingerprint, hardware, incidents, reports, first_us, last_us FROM problem_hardware": (
        f"SELECT fingerprint, hardware, {_SUMS} WHERE hardware IS NOT NULL GROUP BY 1, 2"
    ),
    "SELECT fingerprint, day_us, incidents, reports FROM problem_days": (
        "SELECT fingerprint, began - began % 86400000000, sum(incident), sum(report) "
        "FROM live GROUP BY 1, 2"
    ),
    "SELECT value, day_us, crashes FROM fleet_days WHERE about = 'kernel' AND crashes": (
        "SELECT r.kernel, m.wall_time_us - m.wall_time_us % 86400000000, count(*) FROM reports r "
        "JOIN matches m ON m.id = r.match_id WHERE r.kernel IS NOT NULL GROUP BY 1, 2"
    ),
}


def save(
    journal: Journal,
    host: str,
    day: int,
    fingerprint: str | None,
    kernel: str | None = None,
    joining: tuple[str, ...] = (),
) -> str:
    """An incident of a host and day, or what more is known of it; perhaps others are joined into
    it.
    """
    with journal.transaction():
        fault, _ = journal.add_match(match(seconds=day * 100, wall=day * DAY, host=host))
        half, _ = journal.add_match(match("tcp-state", day * 100 - 1, wall=day * DAY, host=host))
        made = incident(fault, half, known=joining)
        report = (
            CrashReport(
                "oops",
                title=f"BUG: {fingerprint}",
                kernel=kernel,
                hardware=kernel and f"{kernel} board, BIOS 1.0 01/02/2020",
            )
            if fingerprint
            else None
        )
        if fingerprint:
            journal.add_report(fault.id, Block(fault.match, ("head",), True), report, fingerprint)
        journal.save_incident(made, [fault.id, half.id], Diagnosis(), report)
    return made.id


def agree(journal: Journal) -> None:
    """The kept sums are the counted ones."""
    for kept, counted in SUMS.items():
        rows = [
            sorted(map(tuple, journal.db.execute(query).fetchall()))
            for query in (kept, _COUNTED + counted)
        ]
        assert rows[0] == rows[1], kept


Event = st.tuples(
    st.sampled_from(["a", "b"]),
    st.integers(1, 4),
    st.sampled_from([None, "1:x", "1:y"]),
    st.sampled_from([None, "5.10.1", "6.1.2"]),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(Event, max_size=25))
def test_the_sums_are_those_of_counting_anew(
    events: list[tuple[str, int, str | None, str | None, bool]],
) -> None:
    """Incidents come, come again with another fingerprint or kernel, and join each other: the sums
    always agree.
    """
    with closing(open_journal(":memory:", clock=lambda: NOW)) as journal:
        last: str | None = None
        for host, day, fingerprint, kernel, joins in events:
            identity = save(
                journal, host, day, fingerprint, kernel, (last,) if joins and last else ()
            )
            last = identity
            agree(journal)


def test_the_work_does_not_grow_with_the_problem() -> None:
    """The thousandth incident of a problem runs as many statements, and looks at as few rows, as
    the tenth.
    """
    with closing(open_journal(":memory:", clock=lambda: NOW)) as journal:
        steps: list[int] = []
        for number in range(1_000):
            count = [0]
            journal.db.set_progress_handler(
                lambda count=count: count.__setitem__(0, count[0] + 1), 100
            )
            save(journal, f"h{number}", 1, "1:x" if number % 2 else "1:y", "5.10.1")
            save(journal, f"h{number}", 1, "1:x", "5.10.1")
            steps.append(count[0])
        assert sum(steps[-20:]) < 2 * sum(steps[20:40])
        agree(journal)


def test_a_problem_that_returns_is_a_regression(tmp_path: Path) -> None:
    """Resolved with a fixed release: older kernels and older incidents are none; a newer kernel is,
    once, and reopens the problem.
    """
    path = tmp_path / "h.db"
    now = [WALL + 2 * DAY * SECOND]
    with (
        closing(open_journal(path, clock=lambda: now[0])) as journal,
        closing(open_actions(path, clock=lambda: now[0])) as actions,
    ):
        first = save(journal, "a", 1, "1:x", "5.10.1")
        (change,) = actions.resolve_problem("1:x", actor="ann", fixed_in="5.10.200")
        assert (change.incident_id, change.what, change.reason) == (
            first,
            "resolved",
            "the problem is fixed in 5.10.200",
        )
        now[0] = WALL + 9 * DAY * SECOND
        old_kernel = save(journal, "b", 5, "1:x", "5.10.199")
        old_crash = save(journal, "c", 1, "1:x", "5.10.300")
        back = save(journal, "d", 6, "1:x", "5.10.209")
        again = save(journal, "e", 7, "1:x", "5.10.209")
        rows = dict(journal.db.execute("SELECT id, regression FROM incidents").fetchall())
        assert rows == {first: 0, old_kernel: 0, old_crash: 0, back: 1, again: 0}
        (problem,) = journal.db.execute(
            "SELECT state, fixed_in, regressions, regressed_us FROM problems"
        ).fetchall()
        assert tuple(problem) == ("open", "5.10.200", 1, now[0])
        (reason,) = journal.db.execute(
            "SELECT reason FROM changes WHERE incident_id = ?", (back,)
        ).fetchone()
        assert reason == "its problem was resolved (fixed in 5.10.200) and is back"
        actions.resolve_problem("1:x", actor="ann")
        with pytest.raises(ActionRefused, match="is resolved already, fixed in 5"):
            actions.resolve_problem("1:x", actor="ann")
        query = "SELECT state, fixed_in FROM problems"
        assert tuple(journal.db.execute(query).fetchone()) == ("resolved", "5.10.200")


def test_a_report_in_no_incident_is_an_occurrence_and_a_regression() -> None:
    """Its problem is listed, is resolved, and is back with the next report on a fixed release; the
    incident that the same report later anchors is the same regression.
    """
    now = [WALL + 2 * DAY * SECOND]
    with closing(open_journal(":memory:", clock=lambda: now[0])) as journal:

        def crash(host: str, day: int, kernel: str) -> None:
            with journal.transaction():
                fault, _ = journal.add_match(match(seconds=day, wall=day * DAY, host=host))
                block = Block(fault.match, ("head",), complete=True)
                board = f"{kernel} board (DT)"
                report = CrashReport("oops", title="BUG: x", kernel=kernel, hardware=board)
                journal.add_report(fault.id, block, report, "1:x")

        crash("a", 1, "5.10.1")
        crash("b", 1, "5.10.1")
        (row,) = journal.history().problems(Filter()).rows
        assert (row.title, row.reports, row.incidents, row.hosts) == ("BUG: x", 2, 0, 2)
        journal.db.execute(
            "UPDATE problems SET state = 'resolved', state_us = ?, fixed_in = '5.10.9'", [now[0]]
        )
        journal.db.commit()
        crash("c", 5, "5.10.8")
        assert journal.history().problems(Filter()).rows[0].regressions == 0
        crash("c", 6, "5.10.9")
        (row,) = journal.history().problems(Filter()).rows
        assert (row.state, row.regressions, row.reports) == ("open", 1, 4)
        agree(journal)
        with journal.transaction():
            fault, _ = journal.add_match(match(seconds=6, wall=6 * DAY, host="c"))
            half, _ = journal.add_match(match("tcp-state", 5, wall=6 * DAY, host="c"))
            journal.save_incident(incident(fault, half), [fault.id, half.id])
        (made,) = journal.history().search(Filter()).rows
        (row,) = journal.history().problems(Filter()).rows
        assert (made.regression, row.regressions, row.incidents) == (1, 1, 1)
