"""The notifier, a transactional outbox: follows changes of incidents, plans messages, hands them
out and records their outcome. One turn, one transaction.

In: the time, outcomes of attempts. Out: notices to send now; all state is in the alert store. A
message is marked before it is handed out: after a crash it is sent again under the same key, as
repeated. Sends nothing, has no clock and no threads: `dispatcher.py` does that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from detector.alert.notice import Notice, SendOutcome
from detector.alert.notice_builder import NoticeBuilder
from detector.alert.routing import Receiver, Routing
from detector.alert.schedule import Notified, action_of, backoff_us, due_us
from detector.alert.stages import RoutedChange, StageContext, Windows, run_stages
from detector.clock import SECOND_US
from detector.store.alert_rows import AlertDelivery, AlertGroup, FollowedChange
from detector.store.alerts import AlertStore
from detector.store.lifecycle.states import State

BATCH = 500

NotifierLog = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Timing:
    """Times in µs: how long to wait for a report's end (debounce), between two updates of a group
    (rate limit), until a message is given up, before the first retry; windows.
    """

    settle_us: int
    interval_us: int
    give_up_us: int
    windows: Windows
    retry_us: int = SECOND_US


@dataclass(frozen=True, slots=True)
class Handout:
    """One notice for one receiver. `delivery_id` is None where the last message is only repeated;
    `planned_us` is when it was first due.
    """

    receiver: Receiver
    group_id: int
    delivery_id: int | None
    attempts: int
    state: State
    digest: str
    notice: Notice
    planned_us: int


@dataclass(slots=True)
class _Lane:
    """The state of one receiver: an attempt under way, failures in a row, and until when nothing
    is sent (backoff).
    """

    busy: bool = False
    failures: int = 0
    not_before_us: int = 0


@dataclass(slots=True)
class Notifier:
    """Plans and hands out messages over one history. `chance` gives numbers in 0…1; `on_event`
    receives what a person should know, `on_attempt` each attempt with its outcome and time.
    """

    store: AlertStore
    routing: Routing
    builder: NoticeBuilder
    timing: Timing
    chance: Callable[[], float]
    on_event: NotifierLog
    on_attempt: Callable[[Handout, SendOutcome, int], None] = lambda *_: None
    _lanes: dict[str, _Lane] = field(default_factory=dict)

    def begin(self, now_us: int) -> None:
        """Continues where an earlier process stopped."""
        with self.store.transaction():
            repeated = self.store.begin(now_us)
        if repeated:
            self.on_event("alerts_repeated", {"messages": repeated})

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
        with self.store.transaction():
            for handout, outcome in outcomes:
                self._record(handout, outcome, now_us)
            self._plan(changes, now_us)
            self._give_up(now_us)
            receivers = self.routing.receivers.values() if hand_out else ()
            handouts = (self._hand_out(receiver, now_us) for receiver in receivers)
            return [handout for handout in handouts if handout is not None]

    def next_us(self, now_us: int) -> int | None:
        """Returns when the next turn is due, in µs; None where only a new change brings one."""
        times = [self._when(name) for name in self.routing.receivers]
        times += [
            change.at_us + self.timing.settle_us if change.printing else now_us
            for change in self.store.changes(1)
        ]
        return min((time for time in times if time is not None), default=None)

    def _settled(self, now_us: int) -> list[FollowedChange]:
        """Returns the next changes, up to the first whose report is still being printed
        (debounce).
        """
        changes = self.store.changes(BATCH)
        for place, change in enumerate(changes):
            if (
                change.what == "raised"
                and change.printing
                and change.at_us + self.timing.settle_us > now_us >= change.at_us
            ):
                return changes[:place]
        return changes

    def _when(self, name: str) -> int | None:
        lane = self._lanes.setdefault(name, _Lane())
        due = None if lane.busy else self.store.next_us(name)
        return None if due is None else max(due, lane.not_before_us)

    def _is_due(self, name: str, now_us: int) -> bool:
        when = self._when(name)
        return when is not None and when <= now_us

    def _plan(self, changes: Sequence[FollowedChange], now_us: int) -> None:
        """Runs the changes through the stages; then schedules one message for each group that got
        some.
        """
        if not changes:
            return
        context = StageContext(
            self.store, self.routing, self.timing.windows, now_us, self.store.silences(now_us)
        )
        groups: dict[int, list[RoutedChange]] = {}
        for change in changes:
            for case in run_stages(context, change):
                if case.group_id is None:
                    self.store.log(change, now_us, case.receiver, None, case.why)
                else:
                    groups.setdefault(case.group_id, []).append(case)
        for group_id, cases in groups.items():
            delivery = self._schedule(group_id, cases[0].why, now_us)
            for case in cases:
                self.store.log(case.change, now_us, case.receiver, delivery, case.why)
        self.store.move_cursor(changes[-1].id)

    def _schedule(self, group_id: int, reason: str, now_us: int) -> int:
        """Schedules a message about a group: the one that waits already, or a new one."""
        group, sums = self.store.group(group_id), self.store.sums(group_id)
        told = Notified(group.told, group.messages, group.sent_us)
        due = due_us(told, sums.state, sums.total, now_us, self.timing.interval_us)
        waiting = self.store.waiting(group_id)
        if waiting is None:
            return self.store.plan(group_id, group.receiver, reason, now_us, due)
        if due < waiting.due_us and not waiting.attempts:
            self.store.reschedule(waiting.id, reason, due)
        return waiting.id

    def _hand_out(self, receiver: Receiver, now_us: int) -> Handout | None:
        """Returns the next notice for a receiver that is free, or None."""
        while self._is_due(receiver.name, now_us):
            delivery = self.store.due(receiver.name, now_us)
            group = (
                self.store.group(delivery.group_id)
                if delivery
                else self.store.repeat(receiver.name, now_us)
            )
            if group is None:
                return None
            handout = self._handout(receiver, group, delivery, now_us)
            if handout is not None:
                self._lanes[receiver.name].busy = True
                return handout
        return None

    def _handout(
        self, receiver: Receiver, group: AlertGroup, delivery: AlertDelivery | None, now_us: int
    ) -> Handout | None:
        sums = self.store.sums(group.id)
        digest = self.builder.digest(group, sums)
        if delivery is None:
            return self._repeat(receiver, group, digest, now_us)
        action = action_of(group.told, sums.state)
        if group.told == sums.state and group.said == digest:
            self.store.settle(delivery.id, "unchanged", now_us, "all of it was said before")
            return None
        told = Notified(group.told, group.messages, group.sent_us)
        due = due_us(told, sums.state, sums.total, now_us, self.timing.interval_us)
        if due > now_us:  # planned while an earlier message was under way
            self.store.reschedule(delivery.id, delivery.reason, due)
            return None
        if action not in receiver.sender.actions:
            detail = f"a receiver of kind {receiver.sender.kind} has no word for {action}"
            self.store.settle(delivery.id, "unchanged", now_us, detail, action)
            self.store.mark_known(group.id, sums.state, digest)
            return None
        self.store.attempt(delivery.id, action)
        facts = (group, sums, action, delivery.reason, now_us)
        notice = self.builder.notice(*facts, repeated=delivery.repeated)
        state: State = "open" if action == "fire" and sums.state == "resolved" else sums.state
        return Handout(
            receiver,
            group.id,
            delivery.id,
            delivery.attempts + 1,
            state,
            digest,
            notice,
            delivery.created_us,
        )

    def _repeat(
        self, receiver: Receiver, group: AlertGroup, digest: str, now_us: int
    ) -> Handout | None:
        """Repeats the last message to a receiver that forgets what is not sent again."""
        sums = self.store.sums(group.id)
        if sums.state == "resolved" or receiver.sender.repeat_s is None:
            self.store.repeat_at(group.id, None)
            return None
        notice = self.builder.notice(group, sums, "fire", "it is still open", now_us)
        return Handout(receiver, group.id, None, 1, sums.state, digest, notice, now_us)

    def _record(self, handout: Handout, outcome: SendOutcome, now_us: int) -> None:
        """Records the outcome of an attempt, and sets the receiver's backoff."""
        lane = self._lanes.setdefault(handout.receiver.name, _Lane())
        lane.busy = False
        taken = outcome.verdict in ("delivered", "refused")
        if taken:
            if lane.failures:
                self.on_event(
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
                self.on_event(
                    "receiver_failing",
                    {
                        "receiver": handout.receiver.name,
                        "verdict": outcome.verdict,
                        "detail": outcome.detail,
                    },
                )
        if handout.delivery_id is None:
            self.store.repeat_at(
                handout.group_id, self._repeat_us(handout, now_us) if taken else lane.not_before_us
            )
        else:
            self._record_delivery(handout, handout.delivery_id, outcome, now_us)
        self.on_attempt(handout, outcome, now_us)

    def _record_delivery(
        self, handout: Handout, delivery_id: int, outcome: SendOutcome, now_us: int
    ) -> None:
        if outcome.verdict == "delivered":
            self.store.settle(delivery_id, "delivered", now_us, outcome.detail)
            fingerprint = handout.notice.subjects[0].fingerprint
            repeat = self._repeat_us(handout, now_us)
            self.store.mark_delivered(
                handout.group_id, handout.state, handout.digest, now_us, repeat, fingerprint
            )
            if self.store.sums(handout.group_id).state != handout.state:
                self._schedule(handout.group_id, "it is over by now", now_us)
        elif outcome.verdict == "refused":
            self.store.settle(delivery_id, "refused", now_us, outcome.detail)
            self.on_event(
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
            self.store.postpone(
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
        """Gives up messages that no receiver took in time."""
        for delivery in self.store.overdue(now_us - self.timing.give_up_us):
            known = delivery.receiver in self.routing.receivers
            last = delivery.detail or (
                "never tried" if known else "this receiver is no longer in the routing file"
            )
            hours = self.timing.give_up_us / (3_600 * SECOND_US)
            self.store.settle(
                delivery.id, "undelivered", now_us, f"given up after {hours:g} h: {last}"
            )
            self.on_event(
                "alert_undelivered",
                {"receiver": delivery.receiver, "delivery": delivery.id, "detail": last},
            )
