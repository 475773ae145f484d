"""The outbox on a clock of its own: once per state, in order, never lost, with a reason for
everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.alert.notice import Notice, SendOutcome
from detector.model import Block, CrashReport, Diagnosis
from tests.support.nouns import SECOND, incident, match
from tests.support.outboxes import DELIVERED, HOUR, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One pager that is told of everything."""
    made = World(tmp_path / "history.db")
    yield made
    made.close()


def test_an_incident_is_told_once_for_each_state(world: World) -> None:
    """Raised, acknowledged, resolved, opened again: four messages under one key, and none more
    however much time passes.
    """
    identity = world.crash()
    world.run(5)
    for act in ("acknowledge", "resolve", "reopen"):
        world.actions.act(identity, act, actor="ann")  # type: ignore[arg-type]
        world.run(200)
    world.run(3_600, step=60)
    assert world.actions_taken() == ["fire", "acknowledge", "resolve", "fire"]
    assert {one.dedup_key for one in world.fake().taken} == {f"oopswatch/{identity}"}
    assert [(row.what, row.outcome) for row in world.log(identity)] == [
        ("raised", "delivered"),
        ("acknowledged", "delivered"),
        ("resolved", "delivered"),
        ("reopened", "delivered"),
    ]
    assert "by ann" in world.log(identity)[1].reason


def test_what_was_there_before_is_not_told(tmp_path: Path) -> None:
    """A history with incidents gets its first outbox: nobody is woken for last year's."""
    world = World(tmp_path / "h.db")
    world.outbox.store.db.execute("DELETE FROM outbox")
    world.crash()
    world.outbox.begin(world.now)
    world.run(5)
    assert world.actions_taken() == []
    world.close()


def test_a_report_that_is_being_printed_is_waited_for(world: World) -> None:
    """The first message waits for the end of the report, so that it names function and known issue,
    but no longer than the bound.
    """
    with world.journal.transaction():
        fault, _ = world.journal.add_match(match(wall=0))
        half, _ = world.journal.add_match(match("tcp-state", 4, wall=0))
        made = incident(fault, half)
        world.journal.save_incident(made, [fault.id, half.id])
        world.journal.save_open_blocks([(fault.id, Block(fault.match, ("head",), False))])
    world.run(0.7, step=0.1)
    assert world.actions_taken() == []
    report = CrashReport("memory-fault", title="BUG: x in f", function="f")
    with world.journal.transaction():
        world.journal.add_report(
            fault.id, Block(fault.match, ("head", "tail"), True), report, "1:aa"
        )
        world.journal.save_incident(
            made, [fault.id, half.id], Diagnosis(known_issue="a-bug"), report
        )
    world.run(0)
    assert [
        (one.subjects[0].function, one.subjects[0].known_issue) for one in world.fake().taken
    ] == [("f", "a-bug")]
    world.run(400, step=10)
    assert world.actions_taken() == ["fire"]
    assert [row.outcome for row in world.log(made.id)] == ["delivered", "delivered"]


def test_a_report_that_ends_late_is_an_update(world: World) -> None:
    """Past the bound the message goes out as it is; when the report ends, what it says is told at
    once, and only once.
    """
    with world.journal.transaction():
        fault, _ = world.journal.add_match(match(wall=0))
        half, _ = world.journal.add_match(match("tcp-state", 4, wall=0))
        made = incident(fault, half)
        world.journal.save_incident(made, [fault.id, half.id])
        world.journal.save_open_blocks([(fault.id, Block(fault.match, ("head",), False))])
    world.run(1, step=0.1)
    assert world.actions_taken() == ["fire"]
    report = CrashReport("memory-fault", title="BUG: x in f", function="f")
    world.now += 4 * SECOND
    with world.journal.transaction():
        world.journal.add_report(
            fault.id, Block(fault.match, ("head", "tail"), True), report, "1:aa"
        )
        world.journal.save_incident(made, [fault.id, half.id], Diagnosis(), report)
    world.run(0)
    assert world.actions_taken() == ["fire", "update"]
    with world.journal.transaction():
        world.journal.save_incident(made, [fault.id, half.id], Diagnosis(), report)
    world.run(400, step=10)
    assert world.actions_taken() == ["fire", "update"]
    fired, updated = world.fake().taken
    assert (fired.subjects[0].function, updated.subjects[0].function) == (None, "f")
    assert updated.subjects[0].fingerprint == fired.subjects[0].fingerprint, (
        "the labels of an alert stay as they were"
    )


def test_a_receiver_that_is_down_gets_everything_later(world: World) -> None:
    """Retries wait ever longer, at most a minute; when it is back each incident arrives once, and
    the reason of each wait was kept.
    """
    world.fake().answer = lambda _: SendOutcome("retry", "503 Service Unavailable")
    identities = [world.crash(f"db-{number}", fingerprint=f"1:{number}") for number in range(30)]
    world.run(900)
    assert 15 < len(world.attempts) < 40, "about one a minute, whatever waits"
    waiting = world.log(identities[0])[0]
    assert (waiting.outcome, waiting.detail) == ("waiting", "503 Service Unavailable")
    world.fake().answer = lambda _: DELIVERED
    world.run(121)
    assert sorted(one.subjects[0].id for one in world.fake().taken) == sorted(identities)
    assert not any(one.repeated for one in world.fake().taken), "a 503 says that it was not taken"
    assert [name for name, _ in world.told if name.startswith("receiver_")] == [
        "receiver_failing",
        "receiver_back",
    ]


def test_retry_after_is_honoured(world: World) -> None:
    """429 with Retry-After: nothing is sent before that, to this receiver."""
    times: list[int] = []

    def answer(_: Notice) -> SendOutcome:
        times.append(world.now)
        return SendOutcome("retry", "429", retry_after_s=40.0) if len(times) == 1 else DELIVERED

    world.fake().answer = answer
    world.crash("db-1", fingerprint="1:a")
    world.crash("db-2", fingerprint="1:b")
    world.run(60)
    assert [(time - times[0]) // SECOND for time in times] == [0, 40, 40]


def test_no_answer_is_sent_again_under_the_same_key_and_says_so(world: World) -> None:
    """A time-out may have arrived: the second is flagged, and carries the same key."""
    answers = iter([SendOutcome("unknown", "no answer within 10 s"), DELIVERED])
    world.fake().answer = lambda _: next(answers)
    identity = world.crash()
    world.run(10)
    first, second = world.fake().taken
    assert (first.repeated, second.repeated) == (False, True)
    assert first.dedup_key == second.dedup_key
    assert world.log(identity)[0].repeated


def test_refused_is_kept_shown_and_not_tried_again(world: World) -> None:
    """A 400 is our mistake: one attempt, the answer is kept, and the others go on."""
    bad = world.crash("bad", fingerprint="1:a")
    good = world.crash("good", fingerprint="1:b")
    world.fake().answer = lambda one: (
        SendOutcome("refused", "400 unknown field") if one.subjects[0].host == "bad" else DELIVERED
    )
    world.run(300)
    assert [(row.outcome, row.attempts, row.detail) for row in world.log(bad)] == [
        ("refused", 1, "400 unknown field")
    ]
    assert [row.outcome for row in world.log(good)] == ["delivered"]
    assert [fields["detail"] for name, fields in world.told if name == "alert_refused"] == [
        "400 unknown field"
    ]


def test_given_up_is_recorded_and_counted(world: World) -> None:
    """After a day nobody wants to know; the log says so, and the event is told."""
    world.fake().answer = lambda _: SendOutcome("retry", "connection refused")
    identity = world.crash()
    world.run(25 * 3_600, step=600)
    row = world.log(identity)[0]
    assert row.outcome == "undelivered"
    assert row.detail == "given up after 24 h: connection refused"
    assert [fields["receiver"] for name, fields in world.told if name == "alert_undelivered"] == [
        "pager"
    ]


def test_a_crash_of_ours_in_mid_attempt_is_flagged(world: World) -> None:
    """What was handed out when the process died is sent again by the next, as perhaps a second
    time, under the same key.
    """
    identity = world.crash()
    (handout,) = world.outbox.turn(world.now)
    assert world.log(identity)[0].outcome == "attempting"
    world.outbox.store.close()
    world.outbox = world.open()
    world.run(1)
    (notice,) = world.fake().taken
    assert notice.repeated
    assert notice.dedup_key == handout.notice.dedup_key
    assert world.told[0] == ("alerts_repeated", {"messages": 1})


def test_resolved_before_anybody_could_be_told(world: World) -> None:
    """The receiver was down from crash to end: it hears of both, in that order."""
    world.fake().answer = lambda _: SendOutcome("retry", "503")
    identity = world.crash()
    world.run(3)
    world.actions.act(identity, "resolve", actor="bob")
    world.run(3)
    world.fake().answer = lambda _: DELIVERED
    world.run(120)
    assert world.actions_taken() == ["fire", "resolve"]


def test_a_receiver_without_the_word_is_passed_over(tmp_path: Path) -> None:
    """Alertmanager knows no acknowledgement: it is not sent, and that is the recorded reason."""
    routing = (
        '[[receiver]]\nname = "am"\nkind = "fake"\nactions = ["fire", "resolve"]\n[[route]]\n'
        'receivers = ["am"]\n'
    )
    world = World(tmp_path / "h.db", routing)
    identity = world.crash()
    world.run(1)
    world.actions.act(identity, "acknowledge", actor="ann")
    world.run(1)
    world.actions.act(identity, "resolve", actor="ann")
    world.run(1)
    assert world.actions_taken("am") == ["fire", "resolve"]
    row = world.log(identity)[1]
    assert (row.outcome, row.detail) == (
        "unchanged",
        "a receiver of kind fake has no word for acknowledge",
    )
    world.close()


def test_a_receiver_that_forgets_hears_it_again_until_the_end(tmp_path: Path) -> None:
    """Alertmanager's way: posted again each minute while it is open, not after."""
    routing = (
        '[[receiver]]\nname = "am"\nkind = "fake"\nrepeat_s = 60.0\n[[route]]\nreceivers = ["am"]\n'
    )
    world = World(tmp_path / "h.db", routing)
    identity = world.crash()
    world.run(300)
    assert world.actions_taken("am") == ["fire"] * 6
    world.outbox.store.close()
    world.outbox = world.open()
    world.run(60)
    assert len(world.fake("am").taken) == 7, "a restart goes on with it"
    world.actions.act(identity, "resolve", actor="ann")
    world.run(300)
    assert world.actions_taken("am")[7:] == ["resolve"]
    assert len(world.log(identity)) == 2, "what is said again unchanged is no event"
    world.close()


def test_a_slow_receiver_delays_no_other(tmp_path: Path) -> None:
    """While one has not answered, the other is handed the next notice."""
    routing = (
        '[[receiver]]\nname = "slow"\nkind = "fake"\n[[receiver]]\nname = "quick"\nkind = "fake"\n'
    )
    world = World(tmp_path / "h.db", routing + '[[route]]\nreceivers = ["slow", "quick"]\n')
    world.crash("db-1", fingerprint="1:a")
    world.crash("db-2", fingerprint="1:b")
    first = {one.receiver.name: one for one in world.outbox.turn(world.now)}
    assert set(first) == {"slow", "quick"}
    second = world.outbox.turn(world.now, [(first["quick"], DELIVERED)])
    assert [one.receiver.name for one in second] == ["quick"]
    world.close()


def test_a_bad_message_holds_up_no_other(world: World) -> None:
    """One that the receiver chokes on each time waits behind those that were tried less."""
    world.fake().answer = lambda one: (
        SendOutcome("retry", "500") if one.subjects[0].host == "bad" else DELIVERED
    )
    world.crash("bad", fingerprint="1:a")
    others = [world.crash(f"db-{number}", fingerprint=f"1:x{number}") for number in range(10)]
    world.run(60)
    assert sorted(one.subjects[0].id for one in world.fake().taken) == sorted(others)


def test_notes_and_old_changes_are_told_to_nobody(world: World) -> None:
    """Each with its reason."""
    identity = world.crash()
    world.run(1)
    world.actions.act(identity, "note", actor="ann", reason="looking")
    world.run(1)
    late = world.crash("db-9", fingerprint="1:z")
    world.now += 30 * HOUR
    world.run(1)
    assert world.actions_taken() == ["fire"]
    assert [row.reason for row in world.log(identity)][1:] == ["a note: it is kept in the history"]
    assert [row.reason for row in world.log(late)] == [
        "it was 30 h old when it was looked at: longer than alert.give_up_s"
    ]


def test_an_incident_that_becomes_part_of_another_goes_on_under_its_key(world: World) -> None:
    """Late evidence finds an earlier anchor: the alert goes on under the same key, and ends with
    the live incident.
    """
    with world.journal.transaction():
        fault, _ = world.journal.add_match(match(seconds=14, wall=14))
        half, _ = world.journal.add_match(match("tcp-state", 15, wall=15))
        late = incident(fault, half)
        world.journal.save_incident(late, [fault.id, half.id])
    world.run(2)
    with world.journal.transaction():
        first, _ = world.journal.add_match(match(seconds=8, wall=8))
        early = incident(first, fault, half, known=(late.id,))
        world.journal.save_incident(early, [first.id, fault.id, half.id])
    assert early.id != late.id
    world.run(2 * 150)
    world.actions.act(early.id, "resolve", actor="ann")
    world.run(1)
    assert world.actions_taken() == ["fire", "update", "resolve"]
    assert {one.dedup_key for one in world.fake().taken} == {f"oopswatch/{late.id}"}
    assert world.fake().taken[-1].subjects[0].id == early.id
    assert f"told under {early.id}" in world.log(late.id)[-1].reason
