"""Storms: many hosts with one problem are one message, then one an interval, with counts and hosts;
every incident stays in the history.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.nouns import SECOND
from tests.support.outboxes import World

HOSTS = 5_000
TWO = "".join(f'[[receiver]]\nname = "{name}"\nkind = "fake"\n' for name in ("a", "b"))


def test_five_thousand_hosts_within_a_minute_are_three_messages(tmp_path: Path) -> None:
    """The first within five seconds, at most three in five minutes for each receiver, all incidents
    in the history and in its log.
    """
    world = World(tmp_path / "h.db", TWO + '[[route]]\nreceivers = ["a", "b"]\n')
    began, step = world.now, 60 * SECOND // HOSTS
    connection = world.journal.db
    for batch in range(0, HOSTS, 100):
        with world.journal.transaction():
            for host in range(batch, batch + 100):
                world.now = began + host * step
                world.write_crash(f"host-{host:04d}")
        world.turn()
    world.now = began + 60 * SECOND
    world.run(240, step=10)
    for name in ("a", "b"):
        taken = world.fake(name).taken
        assert len(taken) <= 3
        assert taken[0].at_us - began <= 5 * SECOND
        assert (taken[-1].total, taken[-1].host_count) == (HOSTS, HOSTS)
        assert len(taken[-1].hosts) == 200
        assert taken[-1].standing is not None
        assert taken[-1].standing.count == HOSTS
        assert len({one.dedup_key for one in taken}) == 1
    world.run(150, step=5)
    assert (
        connection.execute("SELECT count(*) FROM incidents WHERE joined_into IS NULL").fetchone()[0]
        == HOSTS
    )
    told = connection.execute(
        "SELECT count(*) FROM notifications n JOIN deliveries d ON d.id = n.delivery_id "
        "WHERE d.state IN ('delivered', 'unchanged')"
    ).fetchone()[0]
    assert told == 2 * HOSTS, "each incident's log says in which message it was told"
    (problem,) = connection.execute("SELECT incidents, hosts FROM problems").fetchall()
    assert tuple(problem) == (HOSTS, HOSTS)
    world.close()


def test_the_first_message_says_that_it_is_one_host_and_the_next_how_many(tmp_path: Path) -> None:
    """Three hosts: fire at once, the other two in one update after the interval."""
    world = World(tmp_path / "h.db")
    first = world.crash("db-1")
    world.run(3)
    world.crash("db-2")
    world.run(0)
    third = world.crash("db-3")
    world.run(149)
    world.run(60)
    assert [(one.action, one.total, one.host_count) for one in world.fake().taken] == [
        ("fire", 1, 1),
        ("update", 3, 3),
    ]
    assert (world.fake().taken[1].at_us - world.fake().taken[0].at_us) == 150 * SECOND
    assert {one.subjects[0].id for one in world.fake().taken} == {first}
    assert f"folded into the group of {first}" in world.log(third)[0].reason
    world.close()


def test_a_group_ends_when_its_last_incident_does(tmp_path: Path) -> None:
    """One of two resolved is an update; both are the end; a crash after that is a new alert under a
    new key.
    """
    world = World(tmp_path / "h.db")
    identities = [world.crash(host) for host in ("db-1", "db-2")]
    world.run(2)
    for identity in identities:
        world.actions.act(identity, "resolve", actor="ann")
        world.run(2)
    again = world.crash("db-1", at=60.0)
    world.run(2)
    assert world.actions_taken() == ["fire", "resolve", "fire"]
    assert world.fake().taken[-1].dedup_key == f"oopswatch/{again}"
    world.close()


def test_incidents_without_a_report_are_held_together_by_rule_for_a_moment(tmp_path: Path) -> None:
    """A storm of faults that print no report is one group; two hours later it is another."""
    world = World(tmp_path / "h.db")
    for host in range(20):
        world.crash(f"h{host}", fingerprint=None)
    world.run(200)
    world.crash("late", fingerprint=None)
    world.run(2)
    assert world.actions_taken().count("fire") == 2
    world.close()


def test_a_topic_gets_every_incident_apart(tmp_path: Path) -> None:
    """A receiver that is not grouped is told of each incident under a key of its own."""
    world = World(
        tmp_path / "h.db",
        '[[receiver]]\nname = "t"\nkind = "fake"\ngroup = false\n[[route]]\nreceivers = ["t"]\n',
    )
    identities = [world.crash(f"h{host}") for host in range(5)]
    world.run(1)
    assert [one.dedup_key for one in world.fake("t").taken] == [
        f"oopswatch/{identity}" for identity in identities
    ]
    world.close()
