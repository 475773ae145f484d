"""Problems: the sums kept as incidents come, change and join are those that counting anew gives;
and what makes a regression.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.model import Block, CrashReport, Diagnosis
from detector.store import Journal, open_actions, open_journal
from tests.store.nouns import SECOND, WALL, incident, match

DAY = 86_400
NOW = WALL + 999 * DAY * SECOND

_COUNTED = """
WITH live AS (SELECT *, coalesce(started_us, found_us) AS began FROM incidents WHERE joined_into IS NULL AND fingerprint IS NOT NULL)
"""
SUMS = {
    "SELECT fingerprint, incidents, hosts, first_us, last_us FROM problems": (
        "SELECT fingerprint, count(*), count(DISTINCT host), min(began), max(began) FROM "
        "live GROUP BY fingerprint"
    ),
    "SELECT fingerprint, host, incidents, first_us, last_us FROM problem_hosts": (
        "SELECT fingerprint, host, count(*), min(began), max(began) FROM live GROUP BY "
        "fingerprint, host"
    ),
    "SELECT fingerprint, kernel, incidents, first_us, last_us FROM problem_kernels": (
        "SELECT fingerprint, kernel, count(*), min(began), max(began) FROM live WHERE "
        "kernel IS NOT NULL GROUP BY fingerprint, kernel"
    ),
    "SELECT fingerprint, day_us, incidents FROM problem_days": (
        "SELECT fingerprint, began - began % 86400000000, count(*) FROM live GROUP BY 1, 2"
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
            CrashReport("oops", title=f"BUG: {fingerprint}", kernel=kernel) if fingerprint else None
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
            journal.db.conn.set_progress_handler(
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
