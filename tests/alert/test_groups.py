"""Groups in memory are the groups of the store: any order of changes, the same answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.alert.groups import GroupBook
from detector.store import open_journal
from detector.store.alert_rows import AlertGroup, FollowedChange, GroupSnapshot
from detector.store.alert_writes import JoinGroup, LeaveGroup, OpenGroup
from detector.store.alerts import AlertStore, open_alert_store
from detector.store.lifecycle.states import State
from tests.support.nouns import incident, match

RECEIVERS = ("pager", "chat")
SCOPES = ("problem 1:a", "problem 1:b")
EMPTY = GroupSnapshot({}, {}, {}, {}, 1)


def change(identity: str, at_us: int = 10, state: State = "open") -> FollowedChange:
    """A change of an incident."""
    facts = ("raised", "oopswatch", None, "rule", "db-1", "critical", "1:a", None)
    return FollowedChange(1, identity, at_us, *facts, state, None, False)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AlertStore, list[str]]]:
    """An alert store over six incidents, the last two joined into the first."""
    path: Path = tmp_path_factory.mktemp("groups") / "history.db"
    identities = []
    with closing(open_journal(path)) as journal, journal.transaction():
        for number in range(6):
            fault, _ = journal.add_match(match(seconds=5, host=f"h{number}"))
            half, _ = journal.add_match(match("tcp-state", 4, host=f"h{number}"))
            made = incident(fault, half)
            journal.save_incident(made, [fault.id, half.id])
            identities.append(made.id)
        for part in identities[4:]:
            journal.db.execute(
                "UPDATE incidents SET joined_into = ?, state = 'resolved' WHERE id = ?",
                (identities[0], part),
            )
    with closing(open_alert_store(str(path))) as store:
        yield store, identities


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("join", "leave")),
        st.integers(0, 5),
        st.sampled_from(RECEIVERS),
        st.sampled_from(SCOPES),
        st.integers(0, 99),
    ),
    max_size=20,
)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_the_book_and_the_store_agree(
    history: tuple[AlertStore, list[str]], steps: list[tuple[str, int, str, str, int]]
) -> None:
    """After any steps a snapshot of the store, to which the writes were applied, answers as the
    book in memory does.
    """
    store, identities = history
    states: list[State] = ["open", "open", "open", "open", "resolved", "resolved"]

    def book() -> GroupBook:
        return GroupBook(store.group_snapshot(identities, RECEIVERS, SCOPES, 0))

    def answers(of: GroupBook) -> list[list[AlertGroup] | AlertGroup | None]:
        return [
            *(of.of(identity) for identity in identities),
            *(of.inherited(identity, name) for identity in identities for name in RECEIVERS),
            *(of.latest(name, scope, since) for name in RECEIVERS for scope in SCOPES
              for since in (0, 50)),
        ]  # fmt: skip

    try:
        with store.transaction():
            current = book()
            for what, number, receiver, scope, at_us in steps:
                news = change(identities[number], at_us, states[number])
                own = current.of_receiver(identities[number], receiver)
                if what == "leave" and own is not None:
                    current.leave(own, news)
                elif what == "join" and own is None:
                    group = current.latest(receiver, scope, 0)
                    current.join(group or current.open(receiver, scope, None, news), news)
            store.apply(current.writes)
            assert answers(book()) == answers(current)
            raise _Undo
    except _Undo:
        pass


class _Undo(Exception):  # noqa: N818
    """Ends the transaction without its writes."""


def test_the_first_incident_opens_a_group_which_it_leads() -> None:
    """Its key is made from the incident's id, and numbers go on from those of the store."""
    book = GroupBook(GroupSnapshot({}, {}, {}, {}, 7))
    group = book.open("pager", "problem 1:a", "db", change("i1"))
    book.join(group, change("i1"))
    assert (group.id, group.leader, group.dedup_key) == (7, "i1", "oopswatch/i1")
    assert [type(write) for write in book.writes] == [OpenGroup, JoinGroup]
    assert book.of_receiver("i1", "pager") == group


def test_a_group_without_a_live_incident_takes_in_no_other() -> None:
    """Its last one was resolved, or went into another incident: it is over."""
    book = GroupBook(EMPTY)
    group = book.open("pager", "problem 1:a", None, change("i1"))
    book.join(group, change("i1", state="resolved"))
    assert book.latest("pager", "problem 1:a", 0) is None
    book.join(group, change("i2"))
    assert book.latest("pager", "problem 1:a", 0) is not None
    book.leave(group, change("i2"))
    assert book.latest("pager", "problem 1:a", 0) is None
    assert isinstance(book.writes[-1], LeaveGroup)
