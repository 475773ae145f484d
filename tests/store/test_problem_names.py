"""Problems are named by known bugs in bounded steps, and how far that has come is said."""

from __future__ import annotations

import pytest

from bench.history import fill
from bench.known_pages import CrashedFleet
from detector.app.known import known_bugs
from detector.serve.naming import BackgroundNaming
from detector.settings import Settings
from detector.store import StoreError, open_history
from detector.store.query.filters import Filter
from detector.store.query.problem_names import NamingProgress, ProblemNames
from tests.alert.alertmanagers import wait_until
from tests.known.fleet import fleet
from tests.support.visiting import client_of

PROBLEMS = 50


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    """A history of so many problems that look like bugs of the shipped index."""
    path = tmp_path_factory.mktemp("names") / "history.db"
    fill(path, PROBLEMS / 1_000_000, CrashedFleet)
    return path


def names_for(path) -> ProblemNames:
    """The names of a history's problems, by the shipped index."""
    return ProblemNames(known_bugs(Settings.model_validate({"store": {"path": str(path)}})))


def test_an_answer_waits_for_one_step_where_somebody_goes_on(crashed):
    """The latest problems first; the rest is named by who was called, and says how far it is."""
    names, calls = names_for(crashed), []
    names.hand_over(lambda: calls.append(1))
    history = open_history(crashed, names)
    first = history.problems(Filter(known=("any",)), limit=500).rows
    progress = history.naming()
    assert 0 < progress.named < progress.of == PROBLEMS
    assert 0 < progress.percent < 100
    assert calls
    whole = open_history(crashed, names_for(crashed)).problems(Filter(), limit=progress.named).rows
    assert [row.fingerprint for row in first] == [
        row.fingerprint for row in whole if row.known_bugs
    ]
    while history.name_problems():
        pass
    calls.clear()
    later = history.problems(Filter(known=("any",)), limit=500).rows
    assert len(later) > len(first)
    assert history.naming().percent == 100
    assert not calls


def test_alone_an_answer_is_whole(crashed):
    """On the command line nobody goes on."""
    history = open_history(crashed, names_for(crashed))
    rows = history.problems(Filter(known=("any",)), limit=500).rows
    assert history.naming() == NamingProgress(PROBLEMS, PROBLEMS)
    assert all(row.known_bugs for row in rows)
    bug = rows[-1].known_bugs[0]
    alone = open_history(crashed, names_for(crashed))
    only = alone.problems(Filter(known=(bug.id.lower(),)), limit=500).rows
    assert rows[-1].fingerprint in {row.fingerprint for row in only}
    assert alone.naming().named < PROBLEMS, "a bug's id asks for the problems of its functions"


def test_an_id_is_answered_whole_while_naming_goes_on(crashed):
    """Its problems are few: they are named at once."""
    every = open_history(crashed, names_for(crashed))
    rows = every.problems(Filter(known=("any",)), limit=500).rows
    names = names_for(crashed)
    names.hand_over(lambda: None)
    history = open_history(crashed, names)
    for row in (rows[0], rows[-1]):
        asked = Filter(known=(row.known_bugs[0].id.lower(),))
        assert row.fingerprint in {item.fingerprint for item in history.problems(asked).rows}


def test_looking_again_keeps_the_names(crashed):
    """Nothing is taken away while every problem is looked at once more."""
    names = names_for(crashed)
    history = open_history(crashed, names)
    before = history.problems(Filter(known=("any",)), limit=500).rows
    names.hand_over(lambda: None)
    history.name_problems_again()
    assert history.naming().is_whole
    assert history.problems(Filter(known=("any",)), limit=500).rows == before
    assert history.name_problems() > 0, "all are looked at again"


def test_what_comes_is_named(tmp_path, crashed):
    """A report that is added, and another history in the place of this one."""
    path = fleet(tmp_path)
    names = names_for(path)
    assert open_history(path, names).problems(Filter(known=("any",))).rows == []
    history = open_history(crashed, names)
    assert history.problems(Filter(known=("any",))).rows
    assert open_history(path, names).problems(Filter(known=("any",))).rows == []


def test_a_page_says_how_far_it_is(crashed):
    """Pages in words, the API in numbers; of lists that ask for no known bug nothing is said."""
    client = client_of(crashed)
    client.app.state.naming.close()  # nobody goes on
    said = client.get("/problems?known=any").text
    assert f"Still naming older reports by known bugs: 32 % of {PROBLEMS} problems" in said
    assert "Still naming" not in client.get("/problems").text
    found = client.get("/api/v1/problems?known=any").json()["naming"]
    assert found == {"named": 16, "of": PROBLEMS}
    assert "naming" not in client.get("/api/v1/problems").json()
    assert "Still naming" in client.get("/incidents?fixable=yes").text


def test_the_rest_is_named_beside_the_server(crashed):
    """By a thread that the first asker wakes, and that ends with the server."""
    client = client_of(crashed)
    naming = client.app.state.naming
    try:
        assert client.get("/api/v1/problems?known=any").json()["naming"]["named"] < PROBLEMS
        history = client.app.state.reading.history()
        wait_until(lambda: history.naming().is_whole, "all problems to be named", 60)
        rows = client.get("/api/v1/problems?known=any&limit=500").json()
        assert rows["naming"] == {"named": PROBLEMS, "of": PROBLEMS}
        alone = open_history(crashed, names_for(crashed))
        named = alone.problems(Filter(known=("any",)), limit=500).rows
        assert [row["fingerprint"] for row in rows["problems"]] == [
            row.fingerprint for row in named
        ]
    finally:
        naming.close()
    assert not naming.is_running, "servers of other tests may name theirs"


def test_a_history_that_is_away_is_asked_again(crashed):
    """The thread goes on once it is back, and ends when it is told to."""
    names, away = names_for(crashed), [True]
    names.hand_over(lambda: None)

    def history():
        if away:
            away.pop()
            raise StoreError("away")
        return open_history(crashed, names)

    naming = BackgroundNaming(history)
    try:
        naming.wake()
        wait_until(lambda: not away, "the first look")
        naming.wake()
        wait_until(lambda: names.naming().named == PROBLEMS, "all problems to be named", 60)
    finally:
        naming.close()
    naming.wake()
    assert not naming.is_running, "servers of other tests may name theirs"
