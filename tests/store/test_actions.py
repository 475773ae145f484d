"""What people do with incidents: allowed or refused by state, idempotent by request, logged with
who and when.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.store import ActionRefused, Actions, Journal, StoreError, open_actions, open_journal
from detector.store.lifecycle.states import Act, RefusedError, State, after_evidence, step
from detector.store.query.notifications import silences
from tests.support.nouns import SECOND, WALL, incident, match

NOW = WALL + 999 * SECOND


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A history in a file, whose clock stands still."""
    with closing(open_journal(tmp_path / "h.db", clock=lambda: NOW)) as opened:
        yield opened


@pytest.fixture
def actions(journal: Journal) -> Iterator[Actions]:
    """The acts of people on the same file, beside the journal."""
    with closing(open_actions(journal.path, clock=lambda: NOW)) as opened:
        yield opened


def raised(journal: Journal, host: str = "db-1", seconds: float = 5) -> str:
    """An incident."""
    with journal.transaction():
        fault, _ = journal.add_match(match(seconds=seconds, wall=seconds, host=host))
        half, _ = journal.add_match(match("tcp-state", seconds - 1, wall=seconds - 1, host=host))
        made = incident(fault, half)
        journal.save_incident(made, [fault.id, half.id])
    return made.id


def log(journal: Journal) -> list[tuple[str, str, str | None]]:
    """The log of changes."""
    rows = journal.db.execute("SELECT what, actor, reason FROM changes ORDER BY id").fetchall()
    return [tuple(row) for row in rows]


def state(journal: Journal, identity: str) -> str:
    """An incident's state."""
    detail = journal.history().incident(identity)
    assert detail is not None
    return detail.row.state


def test_a_life(journal: Journal, actions: Actions) -> None:
    """Acknowledged, noted, resolved, opened again: each change has who, when and why."""
    identity = raised(journal)
    first = actions.act(identity[:6], "acknowledge", actor="ann", reason="mine")
    assert (first.incident_id, first.at_us, first.what, first.actor, first.reason) == (
        identity,
        NOW,
        "acknowledged",
        "ann",
        "mine",
    )
    assert state(journal, identity) == "acknowledged"
    actions.act(identity, "note", actor="bob", reason="swapped the card")
    assert state(journal, identity) == "acknowledged"
    actions.act(identity, "resolve", actor="bob")
    actions.act(identity, "reopen", actor="ann")
    assert state(journal, identity) == "open"
    assert log(journal) == [
        ("raised", "oopswatch", None),
        ("acknowledged", "ann", "mine"),
        ("noted", "bob", "swapped the card"),
        ("resolved", "bob", None),
        ("reopened", "ann", None),
    ]


def test_what_a_state_does_not_allow_is_refused_in_words(
    journal: Journal, actions: Actions
) -> None:
    """And nothing is written."""
    identity = raised(journal)
    with pytest.raises(ActionRefused, match=f"incident {identity} is open already"):
        actions.act(identity, "reopen", actor="ann")
    with pytest.raises(ActionRefused, match="a note needs a text"):
        actions.act(identity, "note", actor="ann", reason=" ")
    with pytest.raises(StoreError, match="no incident zzz"):
        actions.act("zzz", "resolve", actor="ann")
    with pytest.raises(StoreError, match="no incident ;"):
        actions.act("", "resolve", actor="ann")
    assert len(log(journal)) == 1


def test_a_request_is_done_once(journal: Journal, actions: Actions) -> None:
    """The same request again returns the same change; for another incident it is a mistake."""
    identity, other = raised(journal), raised(journal, "db-2")
    first = actions.act(identity, "resolve", actor="ann", request="r1")
    assert actions.act(identity, "resolve", actor="ann", request="r1") == first
    with pytest.raises(ActionRefused, match="request r1 was made for incident"):
        actions.act(other, "resolve", actor="ann", request="r1")
    assert len(log(journal)) == 3


def test_a_joined_incident_names_the_live_one(journal: Journal, actions: Actions) -> None:
    """Acts belong to the incident that goes on."""
    late = raised(journal, seconds=14)
    with journal.transaction():
        first, _ = journal.add_match(match(seconds=8, wall=8))
        stored = journal.evidence([late])
        made = incident(first, *stored, known=(late,))
        journal.save_incident(made, [first.id, *(one.id for one in stored)])
    with pytest.raises(ActionRefused, match=f"became part of {made.id}"):
        actions.act(late, "resolve", actor="ann")
    assert ("joined", "oopswatch", f"into {made.id}") in log(journal)


def test_an_act_of_nobody_is_refused(journal: Journal, actions: Actions) -> None:
    """A topic of acts could not carry it, and a history would not know whom to ask."""
    identity = raised(journal)
    for act in (
        lambda: actions.act(identity, "resolve", actor=" "),
        lambda: actions.advise("f" * 16, "cause", "cards", actor=""),
        lambda: actions.reopen_problem("f" * 16, actor=""),
        lambda: actions.expire_silence(1, actor=""),
    ):
        with pytest.raises(ActionRefused, match="the name of who does it"):
            act()
    assert log(journal) == [("raised", "oopswatch", None)]


def test_silences_need_sense(journal: Journal, actions: Actions) -> None:
    """Something to silence, an end in the future, an author and a reason; they end early by
    hand.
    """
    ends = NOW + 60 * SECOND
    for wrong, words in (
        ({"host": None}, "needs a host, a rule or a fingerprint"),
        ({"ends_us": NOW}, "must end after it begins"),
        ({"comment": " "}, "needs an author and a comment"),
    ):
        facts = {
            "host": "db-*",
            "starts_us": NOW,
            "ends_us": ends,
            "author": "ann",
            "comment": "upgrade",
        } | wrong
        with pytest.raises(ActionRefused, match=words):
            actions.silence(**facts)  # type: ignore[arg-type]
    identity = actions.silence(
        host="db-*", starts_us=NOW, ends_us=ends, author="ann", comment="upgrade"
    )
    assert [(row.id, row.host, row.author) for row in silences(journal.history(), NOW)] == [
        (identity, "db-*", "ann")
    ]
    actions.expire_silence(identity, actor="bob")
    assert silences(journal.history(), NOW) == []
    with pytest.raises(ActionRefused, match="is over already"):
        actions.expire_silence(identity, actor="bob")
    with pytest.raises(StoreError, match="there is no silence 99"):
        actions.expire_silence(99, actor="bob")


def test_there_must_be_a_history(tmp_path: Path) -> None:
    """Acts make no file."""
    with pytest.raises(StoreError, match="there is no such history"):
        open_actions(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.sampled_from([*get_args(Act), "evidence", "recurrence"]), max_size=30))
def test_the_table_of_states_has_no_hole(acts: list[str]) -> None:
    """Whatever is done in whatever order: a step or a refusal; resolved is left by reopening or
    recurrence alone.
    """
    now: State = "open"
    for act in acts:
        if act in ("evidence", "recurrence"):
            taken = after_evidence(now, recurred=act == "recurrence")
            assert taken.state == ("open" if now == "resolved" and act == "recurrence" else now)
            assert (taken.what == "reopened") == (taken.state != now)
            now = taken.state
            continue
        try:
            taken = step(now, act)  # type: ignore[arg-type]
        except RefusedError:
            assert (now, act) in {
                ("open", "reopen"),
                ("acknowledged", "acknowledge"),
                ("resolved", "acknowledge"),
                ("resolved", "resolve"),
            }
            continue
        assert (
            taken.state
            == {
                "acknowledge": "acknowledged",
                "resolve": "resolved",
                "reopen": "open",
                "note": now,
            }[act]
        )
        now = taken.state
