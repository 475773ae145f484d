"""The search index: the table of questions, pages that stay in order while incidents arrive, and
answers that agree with brute force.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from detector.store import History, open_actions, open_history, open_journal
from detector.store.query import incidents as incident_queries
from detector.store.query import search_index, survey
from detector.store.query.filters import FIELDS, Filter, FilterError, parse
from detector.store.query.results import Counted
from tests.support.nouns import HOUR, SECOND, WALL, incident, match
from tests.support.queries import HOSTS, NOW_US, PLANTED, PROBLEMS, QUERIES, Params, fill


@dataclass(frozen=True)
class Filled:
    """The history of the table of questions, open for reading."""

    path: Path
    ids: dict[str, str]
    history: History

    def labels(self, rows: list) -> list[str]:
        """Rows as the labels of the table."""
        names = {identity: label for label, identity in self.ids.items()}
        return [names[row.id] for row in rows]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """One history for all questions: nobody writes to it."""
    path = tmp_path_factory.mktemp("search") / "history.db"
    ids = fill(path)
    with closing(open_history(path)) as history:
        yield Filled(path, ids, history)


@pytest.mark.parametrize("compared", [1, 2, 20_000])
@pytest.mark.parametrize(("params", "labels"), QUERIES, ids=[str(params) for params, _ in QUERIES])
def test_pages_go_on_where_a_bounded_look_ended(
    filled: Filled, params: Params, labels: list[str], compared: int, monkeypatch
) -> None:
    """Whatever a page compares: each incident once, in order; also where hosts are many."""
    monkeypatch.setattr(incident_queries, "COMPARED", compared)
    monkeypatch.setattr(incident_queries, "_HOSTS", 0)
    monkeypatch.setattr(incident_queries, "_HOSTS_BESIDE", 0)
    monkeypatch.setattr(incident_queries, "_KERNELS", 0)
    wanted, rows, after = parse(params, NOW_US), [], None
    while True:
        page = filled.history.search(wanted, after=after, limit=2)
        rows += page.rows
        after = page.next
        if after is None:
            break
    assert filled.labels(rows) == labels
    counted = filled.history.survey(wanted).counted
    assert counted == Counted(len(labels), more=False) or counted.more


@pytest.mark.parametrize(("params", "labels"), QUERIES, ids=[str(params) for params, _ in QUERIES])
def test_questions_have_their_answers(filled: Filled, params: Params, labels: list[str]) -> None:
    """Rows, their count, their histogram and their pages of one say the same."""
    wanted = parse(params, NOW_US)
    assert filled.labels(filled.history.search(wanted).rows) == labels
    assert filled.history.survey(wanted).counted == Counted(len(labels), more=False)
    assert sum(
        bucket.count for bucket in filled.history.survey(wanted, buckets=7, now_us=NOW_US).histogram
    ) == len(labels)
    assert sum(
        facet.count for facet in filled.history.survey(wanted, ["severity"]).facets["severity"]
    ) == len(labels)
    one_by_one, after = [], None
    while True:
        page = filled.history.search(wanted, after=after, limit=1)
        one_by_one += page.rows
        after = page.next
        if after is None:
            break
    assert filled.labels(one_by_one) == labels


def test_every_field_is_asked(filled: Filled) -> None:
    """No filter of the language is left out of the table, but for those that need an index of
    known bugs.
    """
    assert {name for params, _ in QUERIES for name in params} == set(FIELDS) - {"known", "fixable"}


@pytest.mark.parametrize(
    ("params", "fingerprints"), PROBLEMS, ids=[str(params) for params, _ in PROBLEMS]
)
def test_problems_are_found(filled: Filled, params: Params, fingerprints: list[str]) -> None:
    """The one that happened last first, also page by page."""
    wanted = parse(params, NOW_US)
    assert [row.fingerprint for row in filled.history.problems(wanted).rows] == fingerprints
    found, after = [], None
    for _ in range(len(fingerprints) or 1):
        page = filled.history.problems(wanted, after=after, limit=1)
        found += [row.fingerprint for row in page.rows]
        after = page.next
    assert (found, after) == (fingerprints, None)


@pytest.mark.parametrize(("params", "names"), HOSTS, ids=[str(params) for params, _ in HOSTS])
def test_hosts_are_found(filled: Filled, params: Params, names: list[str]) -> None:
    """By name, also page by page."""
    wanted = parse(params, NOW_US)
    assert [row.name for row in filled.history.hosts(wanted).rows] == names
    first = filled.history.hosts(wanted, limit=1)
    rest = filled.history.hosts(wanted, after=first.next).rows if first.next else []
    assert [row.name for row in [*first.rows, *rest]] == names


def test_facets_are_counted_and_ordered(filled: Filled) -> None:
    """The most frequent first; what has no value is not counted; a field without counts is refused
    by name.
    """
    found = filled.history.survey(Filter(), ["function", "module"], values=2).facets
    assert [(facet.value, facet.count) for facet in found["function"]] == [
        ("__inet_lookup_listener", 3),
        ("nvme_irq", 2),
    ]
    assert [(facet.value, facet.count) for facet in found["module"]] == [("nvme", 2), ("m&m", 1)]
    with pytest.raises(FilterError, match="text: there are no counts"):
        filled.history.survey(Filter(), ["text"])


def test_a_survey_is_of_the_newest_and_says_so(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven incidents, of which three are looked at; asked for by nothing but severity, the chart
    has all of them.
    """
    monkeypatch.setattr(survey, "SURVEYED", 3)
    everything = filled.history.survey(Filter(), ["severity"], rows=2)
    assert everything.counted == Counted(3, more=True)
    assert sum(facet.count for facet in everything.facets["severity"]) == 3
    assert sum(bucket.count for bucket in everything.histogram) == 7
    assert everything.first == filled.history.search(Filter(), limit=2)
    chosen = parse({"state": ["open"]}, NOW_US)
    newest = filled.history.search(chosen, limit=3).rows
    seen = filled.history.survey(chosen)
    assert (seen.counted, sum(bucket.count for bucket in seen.histogram)) == (
        Counted(3, more=True),
        3,
    )
    assert seen.histogram[0].start_us == newest[-1].started_us
    assert (seen.first.rows, seen.first.next) == ([], None)


def test_a_word_that_stands_for_too_many_is_refused(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be looked up word by word; numbers have no end, and their beginnings are not
    kept.
    """
    monkeypatch.setattr(search_index, "NAMES", 1)
    with pytest.raises(
        FilterError, match=r"text: 'n\*' stands for more than 1 words: write more of it"
    ):
        filled.history.search(parse({"text": ["n*"]}, NOW_US))
    for number in ("0*", "0x1f*", "ffff8056*"):
        with pytest.raises(FilterError, match="searched for as a whole"):
            filled.history.survey(parse({"text": [number]}, NOW_US))


@pytest.mark.parametrize(
    "after", ["x", "", "WyJhIl0", "é", "W10", "Wy0xXQ", "W3RydWVd", "WzFlNTBd"]
)
def test_a_place_that_no_page_named_is_refused(filled: Filled, after: str) -> None:
    """Only what a page said was next is taken."""
    with pytest.raises(FilterError, match="after"):
        filled.history.search(Filter(), after=after)
    with pytest.raises(FilterError, match="after"):
        filled.history.problems(Filter(), after=after)


def test_a_problem_says_what_it_is_made_of(filled: Filled) -> None:
    """Hosts, kernels, days and incidents; nothing of a fingerprint that nothing has."""
    detail = filled.history.problem("1:__inet_lookup_listener")
    assert detail is not None
    assert (detail.row.incidents, detail.row.hosts, detail.row.known_issue) == (
        3,
        2,
        "tcp-listener-race",
    )
    assert [(share.name, share.incidents) for share in detail.hosts] == [("db-1", 2), ("db-2", 1)]
    assert [share.name for share in detail.kernels] == ["4.14.0-115.el7a.0.1.aarch64", "4.19.90"]
    assert [day.count for day in detail.days] == [1, 1, 1]
    assert filled.labels(detail.incidents) == ["listener", "listener again", "listener long ago"]
    assert filled.history.problem("1:none") is None


def test_a_host_says_what_happened_on_it(filled: Filled) -> None:
    """Also a host whose name is a pattern; nothing of a host that nobody saw."""
    detail = filled.history.host("db-1")
    assert detail is not None
    assert (detail.row.incidents, detail.row.last_incident_us) == (2, NOW_US - HOUR)
    assert filled.labels(detail.incidents) == ["listener", "listener long ago"]
    assert [(row.process, row.count) for row in detail.noise] == [("java", 3)]
    assert detail.boots
    odd = filled.history.host("od[d]*-<b>")
    assert odd is not None
    assert filled.labels(odd.incidents) == ["odd name"]
    assert filled.history.host("db-*") is None


def test_similar_incidents_share_the_problem(filled: Filled) -> None:
    """The others of the fingerprint, newest first, never itself."""
    assert filled.labels(filled.history.similar(filled.ids["listener again"])) == [
        "listener",
        "listener long ago",
    ]
    assert filled.history.similar("none") == []


def test_the_overview_says_what_is_open(filled: Filled) -> None:
    """Open incidents by severity, what is new, the heat of the last two days, noise, totals."""
    seen = filled.history.overview(NOW_US)
    assert (seen.open, seen.acknowledged) == ({"critical": 5}, {"critical": 1})
    assert filled.labels(seen.newest)[:2] == ["listener", "disk"]
    assert (seen.oldest_open_us, seen.latest_us) == (NOW_US - 5 * HOUR, NOW_US - HOUR)
    assert (seen.new_problems_day, seen.new_problems_week) == (3, 3)
    assert [row.fingerprint for row in seen.new_problems] == [
        "1:nvme_irq",
        "1:kfree",
        "1:foo'\"; DROP TABLE incidents",
    ]
    assert {row.host: sum(row.counts) for row in seen.heat} == {
        planted.host: 1 for planted in PLANTED if planted.hours < 48
    }
    assert [(row.process, row.count) for row in seen.noise] == [("python", 7), ("java", 3)]
    assert (seen.totals.incidents, seen.totals.matches, seen.totals.hosts, seen.totals.noise) == (
        7,
        16,
        6,
        10,
    )


def test_counts_by_the_hour(filled: Filled) -> None:
    """Matches of a signature, crashes of all hosts and of one host and program."""
    ends = (NOW_US - 6 * HOUR, NOW_US)
    assert [
        hit.count for hit in filled.history.signature_hits("kernel.storage-timeout", *ends)
    ] == [1, 1]
    assert [
        hour.count for hour in filled.history.noise_hours(since_us=ends[0], until_us=ends[1])
    ] == [10]
    assert [
        hour.count
        for hour in filled.history.noise_hours(
            host="web-1", process="python", since_us=ends[0], until_us=ends[1]
        )
    ] == [7]
    assert (
        filled.history.noise_hours(host="web-1", process="java", since_us=ends[0], until_us=ends[1])
        == []
    )
    assert filled.history.noise(by=["process"], since_us=NOW_US).rows == []


def test_pages_stay_in_order_while_incidents_arrive(tmp_path: Path) -> None:
    """What comes later never shifts a page: each incident that was there is seen once."""
    path = tmp_path / "history.db"
    with closing(open_journal(path)) as journal:

        def add(number: int) -> None:
            with journal.transaction():
                # Many begin in one second, and some in the same microsecond.
                pair = [
                    journal.add_match(match(cls, 5, number // 3, host=f"h{number}"))[0]
                    for cls in ("memory-fault", "tcp-state")
                ]
                journal.save_incident(incident(*pair), [one.id for one in pair])

        for number in range(30):
            add(number)
        with closing(open_history(path)) as history:
            before = [row.id for row in history.search(Filter(), limit=100).rows]
            seen, after = [], None
            for number in range(30, 100):
                page = history.search(Filter(), after=after, limit=4)
                seen += [row.id for row in page.rows]
                after = page.next
                if after is None:
                    break
                add(number)
    assert len(set(before)) == 30
    assert seen == before


def test_thousands_in_one_microsecond_have_their_places(tmp_path: Path) -> None:
    """Hosts that stamp whole seconds crash together: the index of places goes on into the next
    microseconds.
    """
    with closing(open_journal(":memory:")) as journal:
        connection = journal.db
        with journal.transaction():
            pair = [journal.add_match(match(cls, 5, 0))[0] for cls in ("memory-fault", "tcp-state")]
            journal.save_incident(incident(*pair), [one.id for one in pair])
        columns = "rule, severity, host, boot, time_basis, gap_us, started_us, found_us, anchor_id"
        for number in range(3_000):
            connection.execute(
                f"INSERT INTO incidents (id, {columns}) SELECT ?, {columns} FROM incidents LIMIT 1",
                (f"{number:016x}",),
            )
        search_index.index_all(connection)
        places = [row[0] for row in connection.execute("SELECT place >> 11 FROM incidents")]
        assert len(places) == 3_001
        assert (
            connection.execute("SELECT count(DISTINCT place) FROM incidents").fetchone()[0] == 3_001
        )
        assert WALL <= min(places) <= max(places) < WALL + 20
        assert len(journal.history().search(Filter(until_us=WALL), limit=9).rows) == 0


def test_the_index_follows_what_becomes_of_an_incident(tmp_path: Path) -> None:
    """Joined incidents leave it, states change in it, later evidence adds words and an earlier
    start; counts follow.
    """
    path = tmp_path / "history.db"
    with closing(open_journal(path)) as journal, closing(open_history(path)) as history:

        def save(*matches, known: tuple[str, ...] = ()) -> str:
            with journal.transaction():
                stored = [journal.add_match(one)[0] for one in matches]
                made = incident(*stored, known=known)
                journal.save_incident(made, [one.id for one in stored])
            return made.id

        second = save(
            match(seconds=14, wall=14, text="Unable tail_word"), match("tcp-state", 15, wall=15)
        )
        assert [row.id for row in history.search(Filter(text=("tail_word",))).rows] == [second]
        with closing(open_actions(path)) as actions:
            actions.act(second, "acknowledge", actor="ann")
        assert [row.id for row in history.search(Filter(state=("acknowledged",))).rows] == [second]
        assert history.search(Filter(state=("open",))).rows == []
        first = save(
            match(seconds=5, wall=5),
            match("tcp-state", 6, wall=6),
            match(seconds=14, wall=14, text="Unable tail_word"),
            known=(second,),
        )
        assert [row.id for row in history.search(Filter()).rows] == [first]
        assert [row.id for row in history.search(Filter(text=("tail_word",))).rows] == [first]
        assert (history.totals().incidents, history.totals().joined) == (1, 1)
        assert save(match(seconds=5, wall=5), match("tcp-state", 1, wall=1)) == first
        assert (
            history.search(Filter(until_us=WALL + 5 * SECOND)).rows[0].started_us == WALL + SECOND
        )
        # What is indexed again is what the tables say.
        counts = dict(
            history.db.execute(
                "SELECT state, sum(incidents) FROM incident_counts GROUP BY state"
            ).fetchall()
        )
        assert {state: number for state, number in counts.items() if number} == {"open": 1}
        assert sum(row[0] for row in history.db.execute("SELECT incidents FROM incident_days")) == 1


def test_an_older_history_is_indexed_when_it_is_opened(filled: Filled) -> None:
    """What no index was kept of is searched all the same."""
    with closing(open_journal(":memory:")) as journal:
        filled.history.db.backup(journal.db)
        connection = journal.db
        connection.execute("DELETE FROM incident_words")
        connection.execute("UPDATE incidents SET place = NULL")
        assert journal.history().search(Filter()).rows == []
        search_index.index_all(connection)
        assert (
            filled.labels(journal.history().search(Filter(text=("lookup_marker",))).rows)
            == QUERIES[29][1]
        )
        assert journal.history().totals() == filled.history.totals()


def test_an_index_that_is_right_is_not_written_again(filled: Filled) -> None:
    """One look at the incident, one at its evidence, one at its words: no statement that writes."""
    with closing(open_journal(":memory:")) as journal:
        filled.history.db.backup(journal.db)
        statements: list[str] = []
        journal.db.set_trace_callback(statements.append)
        search_index.index(journal.db, filled.ids["listener"])
        journal.db.set_trace_callback(None)
    outer = [statement for statement in statements if not statement.startswith("--")]
    assert [
        statement
        for statement in outer
        if statement.lstrip().startswith(("INSERT OR REPLACE", "UPDATE", "DELETE"))
    ] == []
    assert len(outer) <= 6
