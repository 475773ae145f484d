"""Routes, maintenance and silences; the file with its located faults and its own tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from detector.alert.notice import SendOutcome
from detector.alert.routing import RoutingFacts, why_quiet
from detector.alert.routing_file import RoutingError, load_routing, read_routing
from detector.store.query.notifications import SilenceRow
from tests.support.nouns import SECOND, WALL
from tests.support.outboxes import Fake, World

SAMPLE = Path(__file__).parents[2] / "deploy" / "notify.toml"
FILE = """
[[receiver]]
name = "dba"
kind = "fake"

[[receiver]]
name = "all"
kind = "fake"

[[route]]
rule = "machine-*"
receivers = ["all"]
continue = true

[[route]]
host = ["db-*", "pg-*"]
severity = "critical"
receivers = ["dba"]
team = "databases"

[[route]]
known-issue = "a-bug"
receivers = []

[[route]]
problem = "1:ff"
receivers = ["dba", "all"]

[[maintenance]]
host = "rack7-*"
from = 2026-09-21T00:00:00Z
until = 2026-09-22T00:00:00Z
comment = "power"
"""


def told(
    host: str,
    rule: str = "pair",
    severity: Any = "critical",
    problem: str | None = None,
    known_issue: str | None = None,
) -> list[str]:
    """Who is told by `FILE`."""
    return [
        one.receiver
        for one in read_routing("n.toml", FILE, Fake).assign(
            RoutingFacts(host, rule, severity, problem, known_issue)
        )
    ]


def test_the_first_route_that_fits_is_the_last_unless_it_goes_on() -> None:
    """By host pattern, rule, severity, problem and known issue."""
    assert told("db-1") == ["dba"]
    assert told("db-1", "machine-check") == ["all", "dba"]
    assert told("db-1", severity="warning") == []
    assert told("web-1", problem="1:ff") == ["dba", "all"]
    assert told("web-1", problem="1:ff", known_issue="a-bug") == []


def test_why_nobody_is_told() -> None:
    """No file, no route, or a route to nobody: each is said."""
    routing = read_routing("n.toml", FILE, Fake)
    assert (
        routing.why_nobody(RoutingFacts("web", "pair", "error", None, "a-bug"))
        == "the route at n.toml:21 names no receiver"
    )
    assert (
        routing.why_nobody(RoutingFacts("web", "pair", "error"))
        == "no route of n.toml is for host web, rule pair, severity error"
    )
    assert (
        type(routing)().why_nobody(RoutingFacts("web", "pair", "error"))
        == "there is no routing file (alert.file)"
    )


def test_maintenance_and_silences_have_their_time() -> None:
    """While they last, with the reason; a silence fits all that it names."""
    routing = read_routing("n.toml", FILE, Fake)
    day = 1_789_948_800 * SECOND  # 2026-09-21
    rack, web = (
        RoutingFacts("rack7-3", "pair", "critical"),
        RoutingFacts("web-1", "pair", "critical", "1:ff"),
    )
    assert (
        why_quiet(rack, routing, (), day)
        == "maintenance (n.toml:29) until 2026-09-22T00:00:00.000000Z: power"
    )
    assert why_quiet(rack, routing, (), day - 1) is None
    assert why_quiet(rack, routing, (), day + 86_400 * SECOND) is None
    silence = SilenceRow(3, "web-*", "pair", "1:ff", day, day + SECOND, "ann", "known")
    assert (
        why_quiet(web, routing, (silence,), day)
        == "silenced by #3 (ann) until 2026-09-21T00:00:01.000000Z: known"
    )
    for other in (
        RoutingFacts("db-1", "pair", "critical", "1:ff"),
        RoutingFacts("web-1", "x", "critical", "1:ff"),
        RoutingFacts("web-1", "pair", "critical"),
    ):
        assert why_quiet(other, routing, (silence,), day) is None
    assert why_quiet(web, routing, (silence,), day + SECOND) is None


def test_every_fault_is_located_and_told_at_once() -> None:
    """File and line of each, in order; what was probably meant."""
    text = """[[receiver]]
name = "a"
kind = "webhok"

[[receiver]]
kind = "webhook"

[[receiver]]
name = "b"
kind = "webhook"
url = "http://127.0.0.1:1/"
heartbeat = true

[[route]]
hosts = "x"
receivers = ["c"]

[[maintenance]]
host = "x"

[[test]]
name = "t"
host = "h"
rule = "r"
severity = "dire"
expect = []

[[rout]]
"""
    with pytest.raises(RoutingError) as caught:
        read_routing("n.toml", text)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith('n.toml:1: receiver "a": kind: no such receiver')
    assert lines[1:] == [
        'n.toml:5: receiver: missing key "name"',
        'n.toml:12: receiver "b": key "heartbeat": a receiver of kind webhook expects none',
        'n.toml:15: route: unknown key "hosts", did you mean "host"?',
        'n.toml:18: maintenance: missing key "comment"',
        (
            "n.toml:25: test: key \"severity\": input should be 'critical', 'error', 'warning' "
            "or 'info'"
        ),
        'n.toml:28: unknown table "rout", did you mean "route"?',
    ]


def test_unknown_receivers_and_broken_toml() -> None:
    """A route to somebody who is not there; a file that is none."""
    with pytest.raises(
        RoutingError, match=r'n.toml:12: route: unknown receiver "pagr", did you mean "pager"\?'
    ):
        read_routing(
            "n.toml",
            FILE.replace('"all"', '"pager"').replace('["pager"]\ncontinue', '["pagr"]\ncontinue'),
            Fake,
        )
    with pytest.raises(RoutingError, match=r"n\.toml:1: bad TOML"):
        read_routing("n.toml", "[[route]")
    with pytest.raises(RoutingError, match="cannot be read: No such file"):
        load_routing(Path("no/such/notify.toml"))


def test_the_files_own_tests_are_run() -> None:
    """A test that fails is a fault: what was expected, what came, and why."""
    test = '\n[[test]]\nname = "mine"\nhost = "db-1"\nrule = "pair"\nexpect = ["all"]\n'
    with pytest.raises(
        RoutingError, match=r'n.toml:35: test "mine": expected all, got dba \(n.toml:15\)'
    ):
        read_routing("n.toml", FILE + test, Fake)
    read_routing("n.toml", FILE + test.replace('"all"', '"dba"') + 'team = "databases"\n', Fake)
    with pytest.raises(RoutingError, match="expected team kernel, got databases"):
        read_routing("n.toml", FILE + test.replace('"all"', '"dba"') + 'team = "kernel"\n', Fake)


def test_the_shipped_sample_is_good() -> None:
    """The file in deploy/ reads, and its tests pass."""
    assert set(load_routing(SAMPLE).receivers) == {"alertmanager", "topic"}


def test_silenced_and_unrouted_incidents_say_so_and_their_end_is_not_told(tmp_path: Path) -> None:
    """Nobody is told, each with its reason; the incidents are in the history; the next host is told
    as ever.
    """
    world = World(tmp_path / "h.db", FILE.replace('problem = "1:ff"\n', 'host = "web-*"\n'))
    assert world.now == WALL
    quiet = {
        "starts_us": world.now,
        "ends_us": world.now + 60 * SECOND,
        "author": "ann",
        "comment": "upgrade",
    }
    world.actions.silence(host="db-*", **quiet)  # type: ignore[arg-type]
    silenced, unrouted = world.crash("db-1"), world.crash("mail-1")
    world.run(1)
    world.actions.act(silenced, "resolve", actor="ann")
    loud = world.crash("web-1")
    world.run(1)
    assert [one.subjects[0].id for one in world.fake("dba").taken] == [loud]
    row, end = world.log(silenced)
    assert (row.receiver, row.outcome) == ("dba", "not sent")
    assert row.reason.startswith("silenced by #1 (ann) until ")
    assert (end.receiver, end.reason) == (None, "nobody was told of the incident")
    (row,) = world.log(unrouted)
    assert (row.receiver, row.reason) == (
        None,
        "no route of notify.toml is for host mail-1, rule pair, severity critical",
    )
    world.now += 60 * SECOND
    world.crash("db-1", fingerprint="1:other")
    world.run(1)
    assert len(world.fake("dba").taken) == 2, "the silence is over"
    world.close()


class Living(Fake):
    """A receiver that expects to hear that we live."""

    def __init__(self, table: Mapping[str, Any], where: str = "") -> None:
        super().__init__(table, where)
        self.beats: list[int] = []

    def heartbeat(self, now_us: int) -> SendOutcome:
        """Notes the time."""
        self.beats.append(now_us)
        return SendOutcome("delivered", "")


def test_heartbeats_are_for_receivers_that_expect_them() -> None:
    """`heartbeat = true` is taken of a kind that has it."""
    text = '[[receiver]]\nname = "a"\nkind = "living"\nheartbeat = true\n'
    assert read_routing("n.toml", text, Living).receivers["a"].heartbeat


@pytest.mark.parametrize("name", ["1", '""'])
def test_a_name_that_is_none_is_told_apart_from_one_that_is_missing(name: str) -> None:
    """The key is there: what is wrong is what it holds."""
    with pytest.raises(RoutingError) as caught:
        read_routing(
            "n.toml",
            f'[[receiver]]\nname = {name}\nkind = "webhook"\nurl = "http://127.0.0.1:1/"\n',
        )
    assert 'n.toml:1: receiver: key "name" must be a text that is not empty' in str(caught.value)
