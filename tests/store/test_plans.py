"""No question reads through a large table, and a new incident costs a number of statements that does not grow with the history."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from detector.store import History, open_history, open_journal, search
from detector.store.filters import Filter, parse
from tests.queries import NOW_US, QUERIES, fill
from tests.store.nouns import incident, match

LARGE = (
    "matches",
    "evidence",
    "reports",
    "incidents",
    "changes",
    "noise",
    "noise_programs",
    "signature_hours",
    "problem_hosts",
    "problem_days",
)
# The page of a list ends after so many rows, in the order of this index; what a pattern leaves out is compared in it alone.
IN_ORDER = ("incidents_place", "problems_last", "problems_first", "problems_regressed")
# Holds nothing but the reports that are open now.
SMALL = ("reports_open",)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Planned without statistics, as a young history is."""
    path = tmp_path_factory.mktemp("plans") / "history.db"
    fill(path)
    with closing(open_history(path)) as opened:
        yield opened


def ask_everything(history: History) -> None:
    """Every question of pages and API."""
    for params, _ in QUERIES:
        wanted = parse(params, NOW_US)
        page = history.search(wanted, limit=1)
        history.search(wanted, after=page.next)
        history.survey(wanted, list(search.COLUMNS), now_us=NOW_US)
        history.problems(wanted)
        history.hosts(wanted)
    row = history.search(Filter()).rows[0]
    history.incident(row.id)
    history.similar(row.id)
    history.changes_of(row.id)
    history.changes(1)
    history.last_change()
    history.problem("1:nvme_irq")
    history.host("db-1")
    history.overview(NOW_US)
    history.noise(host="db-1", since_us=1)
    history.noise_hours(since_us=1, until_us=2)
    history.noise_hours(host="db-1", since_us=1, until_us=2)
    history.signature_hits("kernel.memory-fault", 1, 2)
    for quick in (False, True):
        history.noise(quick=quick)
        history.noise(process="python", since_us=1, quick=quick)
        history.noise(host="*", process="python", until_us=NOW_US, quick=quick)
        history.noise(by=["process"], quick=quick)


def test_no_question_reads_through_a_large_table(history: History) -> None:
    """Each statement that SQLite was given is explained: a scan is of a small table, or of an index in the order of the list."""
    connection = history.db.conn
    statements: set[str] = set()
    connection.set_trace_callback(statements.add)
    ask_everything(history)
    connection.set_trace_callback(None)
    scans = set()
    for statement in statements:
        if statement.startswith("--") or not statement.lstrip().upper().startswith(("SELECT", "WITH")) or "'main'." in statement:
            continue
        for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"):
            if found := re.match(r"SCAN (?:TABLE )?(\w+)(?: USING (?:COVERING )?INDEX (\w+))?", row[3]):
                names = {"i": "incidents", "m": "matches", "e": "evidence", "p": "problems", "h": "hosts", "r": "reports"}
                table = names.get(found[1], found[1])
                if table in LARGE and found[2] not in (*IN_ORDER, *SMALL):
                    scans.add((row[3], " ".join(statement.split())[:300]))
    assert len(statements) > 100
    assert scans == set()


def test_an_incident_costs_the_same_however_much_there_is() -> None:
    """Statements of one new incident and its commit, with nothing and with hundreds before it."""

    def cost(journal, number: int) -> int:
        statements: list[str] = []
        journal.db.conn.set_trace_callback(statements.append)
        with journal.transaction():
            pair = [journal.add_match(match(cls, 5, number * 60, host=f"h{number}"))[0] for cls in ("memory-fault", "tcp-state")]
            journal.save_incident(incident(*pair), [one.id for one in pair])
        journal.db.conn.set_trace_callback(None)
        return len([one for one in statements if not one.startswith("--") and "'main'." not in one])

    with closing(open_journal(":memory:")) as journal:
        cost(journal, 0)
        early = cost(journal, 1)
        for number in range(2, 200):
            cost(journal, number)
        late = cost(journal, 200)
    assert late <= early <= 40


def test_what_is_only_evidence_costs_one_row_a_batch_more(tmp_path: Path) -> None:
    """The counts by signature and hour are written once a batch, not with every match."""
    with closing(open_journal(tmp_path / "history.db")) as journal:
        statements: list[str] = []
        with journal.transaction():
            journal.db.conn.set_trace_callback(statements.append)
            for number in range(100):
                journal.add_match(match(seconds=number, wall=number))
        journal.db.conn.set_trace_callback(None)
    assert 1 <= sum("signature_hours" in one for one in statements) <= 2
    assert sum("incident_words" in one for one in statements) == 0
