"""A small world for the tests of the outbox: a journal, an outbox over the same file, receivers
that do as told, and a clock of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from detector.alert.notice import Action, Notice, SendOutcome
from detector.alert.notifier import Notifier, Timing
from detector.alert.plan import Handout
from detector.alert.routing import Routing
from detector.alert.routing_file import read_routing
from detector.alert.stages import Windows
from detector.alert.subject import NoticeBuilder
from detector.model import Block, CrashReport, Diagnosis
from detector.store import Journal, open_actions, open_journal
from detector.store.alerts import open_alert_store
from detector.store.query.notifications import NotificationRow, notifications_of
from tests.support.nouns import SECOND, WALL, incident, match
from tests.support.shipped import shipped

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DELIVERED = SendOutcome("delivered", "200 OK")
TIMING = Timing(
    settle_us=800_000,
    interval_us=150 * SECOND,
    give_up_us=24 * HOUR,
    windows=Windows(group_us=HOUR, kindless_us=150 * SECOND, stale_us=24 * HOUR),
)
ONE = """
[[receiver]]
name = "pager"
kind = "fake"

[[route]]
receivers = ["pager"]
"""


class Fake:
    """A receiver that keeps what it takes, and answers as `answer` says."""

    def __init__(self, table: Mapping[str, Any], _where: str = "") -> None:
        self.kind = str(table["kind"])
        self.repeat_s: float | None = table.get("repeat_s")
        self.actions: frozenset[Action] = frozenset(
            table.get("actions", ("fire", "update", "acknowledge", "resolve"))
        )
        self.taken: list[Notice] = []
        self.answer: Callable[[Notice], SendOutcome] = lambda _: DELIVERED

    def send(self, notice: Notice, now_us: int) -> SendOutcome:
        """Takes it if the answer is that it was delivered, or that nobody knows."""
        del now_us
        outcome = self.answer(notice)
        if outcome.verdict in ("delivered", "unknown"):
            self.taken.append(notice)
        return outcome


class World:
    """One history with its outbox. Time passes by `run`; every receiver answers at once."""

    def __init__(self, path: Path, routing: str = ONE, timing: Timing = TIMING) -> None:
        self.path = path
        self.now = WALL
        self.timing = timing
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.attempts: list[tuple[Handout, SendOutcome]] = []
        self.journal: Journal = open_journal(path, clock=lambda: self.now)
        self.actions = open_actions(path, clock=lambda: self.now)
        self.journal.db.execute("PRAGMA synchronous = OFF")
        self.routing: Routing = read_routing("notify.toml", routing, Fake)
        self.outbox = self.open()

    def open(self) -> Notifier:
        """An outbox as a process that starts now has it."""
        store = open_alert_store(str(self.path))
        store.db.execute(
            "PRAGMA synchronous = OFF"
        )  # no test here cuts the power, and many commit often
        builder = NoticeBuilder(store.history(), shipped(), "https://oops.example")
        outbox = Notifier(
            store,
            self.routing,
            builder,
            self.timing,
            lambda: 1.0,
            lambda name, fields: self.told.append((name, fields)),
            lambda handout, outcome, _now_us: self.attempts.append((handout, outcome)),
        )
        outbox.begin(self.now)
        return outbox

    def fake(self, name: str = "pager") -> Fake:
        """A receiver."""
        sender = self.routing.receivers[name].sender
        assert isinstance(sender, Fake)
        return sender

    def actions_taken(self, name: str = "pager") -> list[str]:
        """What a receiver took, by word."""
        return [notice.action for notice in self.fake(name).taken]

    def crash(
        self,
        host: str = "db-1",
        at: float | None = None,
        *,
        text: str = "fault",
        fingerprint: str | None = "1:ff",
    ) -> str:
        """A pair of faults on a host, with its report where it has a fingerprint; its incident's
        id.
        """
        with self.journal.transaction():
            return self.write_crash(host, at, text=text, fingerprint=fingerprint)

    def write_crash(
        self,
        host: str,
        at: float | None = None,
        *,
        text: str = "fault",
        fingerprint: str | None = "1:ff",
    ) -> str:
        """The same inside a transaction."""
        wall = (self.now - WALL) / SECOND if at is None else at
        fault, _ = self.journal.add_match(
            match(seconds=5, wall=wall, host=host, text=f"{text} {wall}")
        )
        half, _ = self.journal.add_match(
            match("tcp-state", 4, wall=wall, host=host, text=f"half {wall}")
        )
        made = incident(fault, half)
        report = None
        if fingerprint is not None:
            report = CrashReport(
                "memory-fault", title=f"BUG: {text}", function="f", kernel="5.10.1"
            )
            self.journal.add_report(
                fault.id, Block(fault.match, ("head",), True), report, fingerprint
            )
        self.journal.save_incident(made, [fault.id, half.id], Diagnosis(), report)
        return made.id

    def turn(self) -> list[Handout]:
        """One turn, and the answers of those that were asked."""
        handouts = self.outbox.turn(self.now)
        while handouts:
            answers = [(one, one.receiver.sender.send(one.notice, self.now)) for one in handouts]
            handouts = self.outbox.turn(self.now, answers)
        return handouts

    def run(self, seconds: float = 0, step: float = 1.0) -> None:
        """Time passes, with a turn at each step."""
        end = self.now + round(seconds * SECOND)
        self.turn()
        while self.now < end:
            self.now = min(end, self.now + round(step * SECOND))
            self.turn()

    def log(self, identity: str) -> list[NotificationRow]:
        """Who was told of an incident."""
        return notifications_of(self.journal.history(), identity)

    def close(self) -> None:
        """Closes all connections."""
        self.journal.close()
        self.actions.close()
        self.outbox.store.close()
