"""Incidents in the journal: new, grown, joined; and what the correlator gets back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from detector.correlate import StoredMatch
from detector.model import Block, CrashReport, Diagnosis, Match, Statement
from detector.store import Journal, StoreError, open_journal
from tests.support.nouns import SECOND, WALL, incident, match

NOW = WALL + 999 * SECOND


@pytest.fixture
def journal() -> Iterator[Journal]:
    """A history in memory, inside a transaction, whose clock stands still."""
    with closing(open_journal(":memory:", clock=lambda: NOW)) as opened, opened.transaction():
        yield opened


def add(journal: Journal, *matches: Match) -> list[StoredMatch]:
    """Stores matches."""
    return [journal.add_match(one)[0] for one in matches]


def save(journal: Journal, *evidence: StoredMatch, known: tuple[str, ...] = ()) -> tuple[str, bool]:
    """Saves the incident that the evidence makes."""
    made = incident(*evidence, known=known)
    return made.id, journal.save_incident(made, [one.id for one in evidence])


def test_an_incident_is_new_once_and_grows(journal: Journal) -> None:
    """The second save adds evidence, a title and a diagnosis, and takes nothing away."""
    fault, half, more = add(
        journal,
        match(seconds=5, wall=5),
        match("tcp-state", 4, wall=4),
        match("tcp-state", 3, wall=3),
    )
    identity, new = save(journal, fault, half)
    diagnosis = Diagnosis(
        (Statement("It broke.", "certain", ("a", "b")),), "a-known-issue", "likely", ("look",)
    )
    grown = incident(fault, more)
    journal.add_report(
        fault.id,
        Block(fault.match, ("head", "tail"), True),
        CrashReport("memory-fault", title="BUG: x in f", function="f"),
        "1:ff",
    )
    again = journal.save_incident(
        grown,
        [fault.id, more.id],
        diagnosis,
        CrashReport("memory-fault", title="BUG: x in f", function="f"),
    )
    assert (new, again) == (True, False)
    detail = journal.history().incident(identity)
    assert detail is not None
    assert detail.incident.evidence == (more.match, half.match, fault.match)
    assert detail.incident.anchor == fault.match
    assert (detail.row.title, detail.row.function, detail.row.fingerprint) == (
        "BUG: x in f",
        "f",
        "1:ff",
    )
    assert (detail.row.state, detail.row.found_us, detail.row.matches) == ("open", NOW, 3)
    assert detail.diagnosis == diagnosis
    assert detail.row.known_issue == "a-known-issue"
    assert detail.block == Block(fault.match, ("head", "tail"), True)
    assert detail.report is not None
    assert detail.report["function"] == "f"


def test_an_anchor_that_is_not_among_the_evidence_is_refused(journal: Journal) -> None:
    """An incident without its fault would be no incident."""
    fault, half = add(journal, match(), match("tcp-state"))
    with pytest.raises(ValueError, match="anchor"):
        journal.save_incident(incident(fault, half), [half.id])


def test_neighbours_name_the_live_incident(journal: Journal) -> None:
    """A match that is evidence says so, by rule, to whoever finds it or adds it again."""
    fault, half = add(journal, match(), match("tcp-state"))
    identity, _ = save(journal, fault, half)
    late, _ = journal.add_match(match("tcp-state", 6))
    assert {one.id: dict(one.incidents) for one in journal.neighbours(late, 10 * SECOND)} == {
        fault.id: {"pair": identity},
        half.id: {"pair": identity},
    }
    assert journal.add_match(match())[0].incidents == {"pair": identity}


def test_late_evidence_joins_incidents_and_nothing_is_deleted(journal: Journal) -> None:
    """Two incidents become one under the earlier identity; then a third joins both: all evidence
    leads to the live one.
    """
    early, first, second = match("tcp-state", 1), match(seconds=2), match(seconds=14)
    other = match("tcp-state", 15)
    last = add(journal, second, other)
    second_id, _ = save(journal, *last)
    middle = add(journal, match(seconds=8), match("tcp-state", 9))
    middle_id, _ = save(journal, *middle, *last, known=(second_id,))
    start = add(journal, early, first)
    first_id, new = save(journal, *start, *middle, known=(middle_id,))
    assert new
    assert len({second_id, middle_id, first_id}) == 3
    history = journal.history()
    assert [row.id for row in history.incidents()] == [first_id]
    live = history.incident(first_id)
    joined = history.incident(second_id)
    assert live is not None
    assert live.incident.joined == tuple(sorted((second_id, middle_id)))
    assert (live.row.matches, len(live.incident.evidence)) == (6, 6)
    assert joined is not None
    assert joined.row.joined_into == first_id
    assert journal.add_match(second)[0].incidents == {"pair": first_id}
    assert {one.match.text for one in journal.evidence([first_id])} == {
        one.match.text for one in (*last, *middle, *start)
    }


def test_a_joined_incident_stays_joined_and_makes_no_ring(journal: Journal) -> None:
    """Saved again, even with its live one named as joined, a joined incident changes nothing of
    that.
    """
    last = add(journal, match(seconds=14), match("tcp-state", 15))
    last_id, _ = save(journal, *last)
    first = add(journal, match(seconds=5), match("tcp-state", 6))
    first_id, _ = save(journal, *first, *last, known=(last_id,))
    assert save(journal, *last, known=(first_id,)) == (last_id, False)
    assert [row.id for row in journal.history().incidents()] == [first_id]


def test_evidence_is_bounded_and_keeps_the_anchor(journal: Journal) -> None:
    """Of more evidence than the limit the anchor comes first, then the earliest."""
    fault, *halves = add(
        journal, match(seconds=9), *[match("tcp-state", seconds) for seconds in range(8)]
    )
    identity, _ = save(journal, fault, *halves)
    assert [one.match.text for one in journal.evidence([identity], 3)] == [
        one.match.text for one in (fault, *halves[:2])
    ]


def test_what_a_match_anchors_is_found(journal: Journal) -> None:
    """When its report comes, the incidents of a fault are at hand, as they were saved; joined ones
    are not.
    """
    fault, half = add(journal, match(), match("tcp-state"))
    made = incident(fault, half)
    journal.save_incident(made, [half.id, fault.id])
    ((found, evidence),) = journal.anchored(fault.id)
    assert found == made
    assert set(evidence) == {fault.id, half.id}
    assert journal.anchored(half.id) == []


def test_an_incident_is_shown_by_the_beginning_of_its_id(journal: Journal) -> None:
    """A beginning that one id has finds it, one that several have is refused, one that none has
    finds nothing.
    """
    ids = [
        save(journal, *add(journal, match(seconds=at), match("tcp-state", at)))[0]
        for at in range(0, 2_000, 100)
    ]
    history = journal.history()
    found = history.incident(ids[0][:12])
    assert found is not None
    assert found.row.id == ids[0]
    assert history.incident("zz") is None
    assert history.incident("") is None
    shared = next(one[0] for one in ids if sum(other[0] == one[0] for other in ids) > 1)
    with pytest.raises(StoreError, match="more than one incident"):
        history.incident(shared)
