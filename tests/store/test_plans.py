"""No question reads through a large table, and a new incident costs a number of statements that
does not grow with the history.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

import pytest

from detector.app import build
from detector.assemble import Assembler
from detector.match import Matcher
from detector.parse import Parser
from detector.pipeline import Pipeline
from detector.settings import settings_of
from detector.store import History, connection, open_history, open_journal
from detector.store.alerts import open_alert_store
from detector.store.lifecycle import auto_resolve as closing_rows
from detector.store.query import faults, kernel_errors, search_index
from detector.store.query.filters import Filter, parse
from detector.store.query.standing import standing_of
from detector.store.retention import Keeper, RetentionLimits
from tests.support.chunks import Lines
from tests.support.crash_lines import END, FAULT, NOISE, RELEASE, REST
from tests.support.nouns import incident, match
from tests.support.queries import NOW_US, QUERIES, fill
from tests.support.query_plans import scans


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
        history.survey(wanted, list(search_index.COLUMNS), now_us=NOW_US)
        history.problems(wanted)
        history.hosts(wanted)
    row = history.search(Filter()).rows[0]
    history.incident(row.id)
    history.similar(row.id)
    history.changes_of(row.id)
    history.changes(1)
    history.last_change()
    history.fault(1)
    for params, _ in QUERIES:
        if set(params) <= set(faults.FIELDS):
            page = history.faults(parse(params, NOW_US), ("kernel.oops",), limit=1)
            history.faults(parse(params, NOW_US), ("kernel.oops",), after=page.next)
    for by in ("kernel", "hardware"):
        history.crash_rates(by, now_us=NOW_US)
    history.releases_with("1:nvme_irq")
    history.percent_entered()
    history.advice("1:nvme_irq")
    history.alike("1:nvme_irq", ["nvme_irq", "nvme_process_cq"])
    for params, _ in QUERIES:
        if set(params) <= set(kernel_errors.FIELDS):
            history.kernel_errors(parse(params, NOW_US), now_us=NOW_US)
    history.kernel_error("none", NOW_US)
    standing_of(history, row.id, NOW_US)
    history.problem("1:nvme_irq")
    history.host("db-1")
    history.overview(NOW_US)
    history.problem_days("1:nvme_irq")
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
    """Each statement that SQLite was given is explained: a scan is of a small table, or of an index
    in the order of the list.
    """
    connection = history.db
    statements: set[str] = set()
    connection.set_trace_callback(statements.add)
    ask_everything(history)
    connection.set_trace_callback(None)
    assert len(statements) > 100
    assert scans(connection, statements) == set()


def test_neither_start_nor_batch_nor_upkeep_reads_through_a_large_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline begins, finds a pair, meets it again and ends; then alerts, what ends by itself,
    and retention.
    """
    statements: set[str] = set()
    opened = connection._database

    def traced(made: Connection) -> Connection:
        made.set_trace_callback(statements.add)
        return opened(made)

    path, catalogue = tmp_path / "history.db", build.catalogue_of(settings_of(None)[0])
    open_journal(path).close()
    monkeypatch.setattr(connection, "_database", traced)
    for _ in range(2):
        with closing(open_journal(path, clock=lambda: NOW_US - 10)) as journal:
            watch = Pipeline(
                catalogue, journal, Parser(host="db-1"), matcher=Matcher(catalogue),
                assembler=Assembler(catalogue.opening), now_us=NOW_US, rules=catalogue.rules,
            )  # fmt: skip
            watch.handle([Lines(RELEASE, NOISE, FAULT)], NOW_US)
            watch.handle([Lines(*REST, END)], NOW_US)
            watch.finish(NOW_US)
            with journal.transaction():
                closing_rows.close_rule(journal.db, NOW_US, "input-silent", "db-1", "over")
                closing_rows.close_rebooted(journal.db, NOW_US, ["tcp-release-and-memory-fault"], 1)
                closing_rows.close_quiet(journal.db, NOW_US, 1)
    with closing(open_alert_store(str(path))) as outbox:
        outbox.begin(NOW_US)
        outbox.changes(10)
        outbox.due("ops", NOW_US)
        outbox.group_snapshot(["x"], ["ops"], ["problem x"], 0)
        outbox.next_us("ops")
        outbox.overdue(NOW_US)
        outbox.waiting_by_receiver()
    with closing(Keeper(path, RetentionLimits(*[1] * 6))) as keeper:
        removed = {step.what for step in keeper.steps(NOW_US * 2)}
    assert "changes removed" in removed
    monkeypatch.undo()
    with closing(open_journal(path)) as journal:
        assert len(statements) > 100
        assert scans(journal.db, statements) == set()


def test_an_incident_costs_the_same_however_much_there_is() -> None:
    """Statements of one new incident and its commit, with nothing and with hundreds before it."""

    def cost(journal, number: int) -> int:
        statements: list[str] = []
        journal.db.set_trace_callback(statements.append)
        with journal.transaction():
            pair = [
                journal.add_match(match(cls, 5, number * 60, host=f"h{number}"))[0]
                for cls in ("memory-fault", "tcp-state")
            ]
            journal.save_incident(incident(*pair), [one.id for one in pair])
        journal.db.set_trace_callback(None)
        return len([one for one in statements if not one.startswith("--") and "'main'." not in one])

    with closing(open_journal(":memory:")) as journal:
        cost(journal, 0)
        early = cost(journal, 1)
        for number in range(2, 200):
            cost(journal, number)
        late = cost(journal, 200)
    assert late <= early <= 45


def test_what_is_only_evidence_costs_one_row_a_batch_more(tmp_path: Path) -> None:
    """The counts by signature and hour are written once a batch, not with every match."""
    with closing(open_journal(tmp_path / "history.db")) as journal:
        statements: list[str] = []
        with journal.transaction():
            journal.db.set_trace_callback(statements.append)
            for number in range(100):
                journal.add_match(match(seconds=number, wall=number))
        journal.db.set_trace_callback(None)
    assert 1 <= sum("signature_hours" in one for one in statements) <= 2
    assert sum("incident_words" in one for one in statements) == 0
