"""The outbox: follows what becomes of incidents, plans messages, hands them out, records what
became of them. One turn, one transaction.

In: the time, outcomes of attempts. Out: notices to send now; everything else is in the tables. What
is handed out is marked before: after a crash it is sent again under the same key, as repeated.
Sends nothing, has no clock and no threads: `dispatcher.py` does that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from sqlite3 import Row
from typing import Any

from detector.alert.notice import Notice, SendOutcome
from detector.alert.routing import Receiver, Routing
from detector.alert.schedule import Notified, action_of, backoff_us, due_us
from detector.alert.stages import Desk, RoutedChange, Windows, through
from detector.alert.teller import Teller
from detector.clock import SECOND_US
from detector.store.alerts import AlertStore
from detector.store.lifecycle.states import State

BATCH = 500

NotifierLog = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Timing:
    """Times in µs: how long a report is waited for, between two updates, until a message is given
    up, before the first retry; windows.
    """

    settle_us: int
    interval_us: int
    give_up_us: int
    windows: Windows
    retry_us: int = SECOND_US


@dataclass(frozen=True, slots=True)
class Handout:
    """One notice for one receiver. `delivery_id` is None where the same is only said again;
    `planned_us` is when it was first due.
    """

    receiver: Receiver
    group_id: int
    delivery_id: int | None
    attempts: int
    state: State
    said: str
    notice: Notice
    planned_us: int


@dataclass(slots=True)
class _Lane:
    """How it goes with one receiver: an attempt under way, failures in a row, and until when it is
    left alone.
    """

    busy: bool = False
    failures: int = 0
    not_before_us: int = 0


@dataclass(slots=True)
class Notifier:
    """One outbox over one history. `chance` gives numbers in 0…1; `tell` hears of what a person
    should know.
    """

    tables: AlertStore
    routing: Routing
    teller: Teller
    timing: Timing
    chance: Callable[[], float]
    tell: NotifierLog
    _lanes: dict[str, _Lane] = field(default_factory=dict)

    def begin(self, now_us: int) -> None:
        """Goes on where an earlier process stopped."""
        with self.tables.transaction():
            repeated = self.tables.begin(now_us)
        if repeated:
            self.tell("alerts_repeated", {"messages": repeated})

    def turn(
        self,
        now_us: int,
        outcomes: Sequence[tuple[Handout, SendOutcome]] = (),
        *,
        hand_out: bool = True,
    ) -> list[Handout]:
        """Records outcomes, plans what is new, and hands out what is due: at most one notice for
        each receiver that is free.
        """
        changes = self._settled(now_us)
        due = any(self._is_due(name, now_us) for name in self.routing.receivers)
        if not (changes or outcomes or due):
            return []
        with self.tables.transaction():
            for handout, outcome in outcomes:
                self._record(handout, outcome, now_us)
            self._plan(changes, now_us)
            self._give_up(now_us)
            receivers = self.routing.receivers.values() if hand_out else ()
            return [one for receiver in receivers if (one := self._hand_out(receiver, now_us))]

    def next_us(self, now_us: int) -> int | None:
        """When a turn has something to do that no event announces."""
        times = [self._when(name) for name in self.routing.receivers]
        waiting = self.tables.changes(1)
        if waiting:
            times.append(
                waiting[0]["at_us"] + self.timing.settle_us if waiting[0]["printing"] else now_us
            )
        return min((time for time in times if time is not None), default=None)

    def _settled(self, now_us: int) -> list[Row]:
        """The next changes, up to the first one whose report is still being printed and worth
        waiting for.
        """
        changes = self.tables.changes(BATCH)
        for place, change in enumerate(changes):
            if (
                change["what"] == "raised"
                and change["printing"]
                and change["at_us"] + self.timing.settle_us > now_us >= change["at_us"]
            ):
                return changes[:place]
        return changes

    def _when(self, name: str) -> int | None:
        lane = self._lanes.setdefault(name, _Lane())
        due = None if lane.busy else self.tables.next_us(name)
        return None if due is None else max(due, lane.not_before_us)

    def _is_due(self, name: str, now_us: int) -> bool:
        when = self._when(name)
        return when is not None and when <= now_us

    def _plan(self, changes: Sequence[Row], now_us: int) -> None:
        """Every change through the stages; then one message for each group that got something,
        however many changes it tells of.
        """
        if not changes:
            return
        desk = Desk(
            self.tables, self.routing, self.timing.windows, now_us, self.tables.silences(now_us)
        )
        groups: dict[int, list[RoutedChange]] = {}
        for change in changes:
            for case in through(desk, change):
                if case.group_id is None:
                    self.tables.log(change, now_us, case.receiver, None, case.why)
                else:
                    groups.setdefault(case.group_id, []).append(case)
        for group_id, cases in groups.items():
            delivery = self._ask(group_id, cases[0].why, now_us)
            for case in cases:
                self.tables.log(case.change, now_us, case.receiver, delivery, case.why)
        self.tables.followed(changes[-1]["id"])

    def _ask(self, group_id: int, reason: str, now_us: int) -> int:
        """A message about a group: the one that waits already, or a new one."""
        group, sums = self.tables.group(group_id), self.tables.sums(group_id)
        told = Notified(group["told"], group["messages"], group["sent_us"])
        due = due_us(told, sums.state, sums.total, now_us, self.timing.interval_us)
        waiting = self.tables.waiting(group_id)
        if waiting is None:
            return self.tables.plan(group_id, group["receiver"], reason, now_us, due)
        if due < waiting["due_us"] and not waiting["attempts"]:
            self.tables.reschedule(waiting["id"], reason, due)
        return int(waiting["id"])

    def _hand_out(self, receiver: Receiver, now_us: int) -> Handout | None:
        """The next notice for a receiver that is free: the first that says something."""
        while self._is_due(receiver.name, now_us):
            delivery = self.tables.due(receiver.name, now_us)
            group = (
                self.tables.group(delivery["group_id"])
                if delivery
                else self.tables.repeat(receiver.name, now_us)
            )
            if group is None:
                return None
            handout = self._handout(receiver, group, delivery, now_us)
            if handout is not None:
                self._lanes[receiver.name].busy = True
                return handout
        return None

    def _handout(
        self, receiver: Receiver, group: Row, delivery: Row | None, now_us: int
    ) -> Handout | None:
        sums = self.tables.sums(group["id"])
        said = self.teller.digest(group, sums)
        if delivery is None:
            return self._again(receiver, group, said, now_us)
        action = action_of(group["told"], sums.state)
        if group["told"] == sums.state and group["said"] == said:
            self.tables.settle(delivery["id"], "unchanged", now_us, "all of it was said before")
            return None
        told = Notified(group["told"], group["messages"], group["sent_us"])
        due = due_us(told, sums.state, sums.total, now_us, self.timing.interval_us)
        if due > now_us:  # planned while an earlier message was under way
            self.tables.reschedule(delivery["id"], delivery["reason"], due)
            return None
        if action not in receiver.sender.actions:
            detail = f"a receiver of kind {receiver.sender.kind} has no word for {action}"
            self.tables.settle(delivery["id"], "unchanged", now_us, detail, action)
            self.tables.known(group["id"], sums.state, said)
            return None
        self.tables.attempt(delivery["id"], action)
        facts = (group, sums, action, delivery["reason"], now_us)
        notice = self.teller.notice(*facts, repeated=bool(delivery["repeated"]))
        state: State = "open" if action == "fire" and sums.state == "resolved" else sums.state
        return Handout(
            receiver,
            group["id"],
            delivery["id"],
            delivery["attempts"] + 1,
            state,
            said,
            notice,
            delivery["created_us"],
        )

    def _again(self, receiver: Receiver, group: Row, said: str, now_us: int) -> Handout | None:
        """The same once more, to a receiver that forgets what it does not hear again."""
        sums = self.tables.sums(group["id"])
        if sums.state == "resolved" or receiver.sender.repeat_s is None:
            self.tables.repeat_at(group["id"], None)
            return None
        notice = self.teller.notice(group, sums, "fire", "it is still open", now_us)
        return Handout(receiver, group["id"], None, 1, sums.state, said, notice, now_us)

    def _record(self, handout: Handout, outcome: SendOutcome, now_us: int) -> None:
        """What became of an attempt."""
        lane = self._lanes.setdefault(handout.receiver.name, _Lane())
        lane.busy = False
        taken = outcome.verdict in ("delivered", "refused")
        if taken:
            if lane.failures:
                self.tell(
                    "receiver_back", {"receiver": handout.receiver.name, "failures": lane.failures}
                )
            lane.failures, lane.not_before_us = 0, 0
        else:
            lane.failures += 1
            pause = backoff_us(lane.failures, self.chance(), self.timing.retry_us)
            if outcome.retry_after_s is not None:
                pause = max(pause, int(outcome.retry_after_s * SECOND_US))
            lane.not_before_us = now_us + pause
            if lane.failures == 1:
                self.tell(
                    "receiver_failing",
                    {
                        "receiver": handout.receiver.name,
                        "verdict": outcome.verdict,
                        "detail": outcome.detail,
                    },
                )
        if handout.delivery_id is None:
            self.tables.repeat_at(
                handout.group_id, self._repeat_us(handout, now_us) if taken else lane.not_before_us
            )
        else:
            self._record_delivery(handout, handout.delivery_id, outcome, now_us)
        self.tell("attempt", {"handout": handout, "outcome": outcome, "now_us": now_us})

    def _record_delivery(
        self, handout: Handout, delivery_id: int, outcome: SendOutcome, now_us: int
    ) -> None:
        if outcome.verdict == "delivered":
            self.tables.settle(delivery_id, "delivered", now_us, outcome.detail)
            fingerprint = handout.notice.subjects[0].fingerprint
            repeat = self._repeat_us(handout, now_us)
            self.tables.told(
                handout.group_id, handout.state, handout.said, now_us, repeat, fingerprint
            )
            if self.tables.sums(handout.group_id).state != handout.state:
                self._ask(handout.group_id, "it is over by now", now_us)
        elif outcome.verdict == "refused":
            self.tables.settle(delivery_id, "refused", now_us, outcome.detail)
            self.tell(
                "alert_refused",
                {
                    "receiver": handout.receiver.name,
                    "delivery": delivery_id,
                    "detail": outcome.detail,
                },
            )
        else:
            due = now_us + backoff_us(handout.attempts, self.chance(), self.timing.retry_us)
            if outcome.retry_after_s is not None:
                due = max(due, now_us + int(outcome.retry_after_s * SECOND_US))
            self.tables.postpone(
                delivery_id, due, outcome.detail, repeated=outcome.verdict == "unknown"
            )

    def _repeat_us(self, handout: Handout, now_us: int) -> int | None:
        repeat_s = handout.receiver.sender.repeat_s
        return (
            None
            if repeat_s is None or handout.state == "resolved"
            else now_us + int(repeat_s * SECOND_US)
        )

    def _give_up(self, now_us: int) -> None:
        """Messages that nobody took for too long are over, and counted."""
        for delivery in self.tables.overdue(now_us - self.timing.give_up_us):
            known = delivery["receiver"] in self.routing.receivers
            last = delivery["detail"] or (
                "never tried" if known else "this receiver is no longer in the routing file"
            )
            hours = self.timing.give_up_us / (3_600 * SECOND_US)
            self.tables.settle(
                delivery["id"], "undelivered", now_us, f"given up after {hours:g} h: {last}"
            )
            self.tell(
                "alert_undelivered",
                {"receiver": delivery["receiver"], "delivery": delivery["id"], "detail": last},
            )
