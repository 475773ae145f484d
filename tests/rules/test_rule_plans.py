"""No statement of a rule reads through a large table."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from detector.store import open_history
from detector.store.query.filters import Filter
from detector.store.retention import Keeper, RetentionLimits
from tests.rules.worlds import FAULT, HALF, Delivery, fault
from tests.support.outboxes import World
from tests.support.outbreaks import CRASH, RELEASE, SEGFAULT, pipeline, ship
from tests.support.query_plans import scans
from tests.support.rules import LONE, PAIR


def test_the_statements_of_rules_are_led_by_indexes(tmp_path: Path) -> None:
    """All types of rules raise, grow and join; alerts tell of it, pages ask for it, retention
    removes what is old.
    """
    statements: set[str] = set()
    path = tmp_path / "history.db"
    with closing(World(path)) as world:
        for db in (world.journal.db, world.outbox.store.db):
            db.set_trace_callback(statements.add)
        watch = pipeline(world, lone_faults=True, outbreaks=True, noise_bursts=True)
        for number in range(24):
            ship(world, watch, f"web-{number}", *CRASH, SEGFAULT)
        ship(world, watch, "web-1", RELEASE)
        ship(world, watch, "web-late", *CRASH, ago_s=7_200)
        world.run(400, step=100)
        rows = world.journal.history().search(Filter()).rows
        rules = {row.rule for row in rows}
        assert rules >= {"outbreak", "noise-burst", "tcp-release-and-memory-fault"}
        with closing(open_history(path)) as history:
            history.db.set_trace_callback(statements.add)
            for row in rows:
                history.incident(row.id)
        with closing(Keeper(path, RetentionLimits(*[1] * 6))) as keeper:
            keeper._connection.set_trace_callback(statements.add)
            removed = {step.what for step in keeper.steps(world.now * 2)}
        assert "value_hours removed" in removed
        for table in ("value_hours", "spreads", "spread_hosts"):
            assert any(table in one for one in statements)
        assert scans(world.journal.db, statements) == set()


def test_an_incident_whose_part_changed_last_outlives_the_retention(tmp_path: Path) -> None:
    """The latest change is kept, so is the incident it is of, and the one that this is part of."""
    path = tmp_path / "history.db"
    with closing(World(path)) as world:
        delivery = Delivery(world.journal, [PAIR, LONE])
        delivery.batch([fault(FAULT, 500)])
        delivery.batch([fault(FAULT, 104)])
        delivery.batch([fault(HALF, 100)])
        with closing(Keeper(path, RetentionLimits(*[1] * 6))) as keeper:
            assert {step.what for step in keeper.steps(world.now * 2)} >= {"incidents removed"}
        (live,) = delivery.live()
        assert live.rule == "pair"
