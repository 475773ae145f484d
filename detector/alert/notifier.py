"""The notifier, a transactional outbox: follows changes of incidents, plans messages,
hands them out and records their outcome. One turn, one transaction of three steps: outcomes,
changes, what is due; each reads a snapshot, plans without IO, and applies the plan.

In: the time, outcomes of attempts. Out: notices to send now; all state is in the alert store. A
message is marked before it is handed out: after a crash it is sent again under the same key, as
repeated. Sends nothing, has no clock and no threads: `dispatcher.py` does that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from detector.alert.groups import GroupBook
from detector.alert.notice import SendOutcome
from detector.alert.plan import (
    Handout,
    backoff_us,
    plan_attempt,
    plan_end,
    plan_logs,
    plan_message,
    plan_outcome,
)
from detector.alert.routing import Receiver, Routing
from detector.alert.stages import RoutedChange, StageContext, Windows, run_stages, scopes_of
from detector.alert.subject import NoticeBuilder
from detector.clock import SECOND_US
from detector.store.alert_rows import DueMessage, FollowedChange
from detector.store.alert_writes import MoveCursor
from detector.store.alerts import AlertStore

BATCH = 500

NotifierLog = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Timing:
    """Times in µs: how long to wait for a report's end (debounce), between two updates of a
    group (rate limit), until a message is given up, before the first retry; windows.
    """

    settle_us: int
    interval_us: int
    give_up_us: int
    windows: Windows
    retry_us: int = SECOND_US


@dataclass(slots=True)
class _Lane:
    """The state of one receiver: an attempt under way, failures in a row, and until when
    nothing is sent (backoff).
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
            self._record(outcomes, now_us)
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

    def _record(self, outcomes: Sequence[tuple[Handout, SendOutcome]], now_us: int) -> None:
        """Records the outcomes of attempts, and sets the receivers' backoff."""
        states = self.store.states({handout.group_id for handout, _ in outcomes})
        for handout, outcome in outcomes:
            self._note_verdict(handout, outcome, now_us)
            lane = self._lanes[handout.receiver.name]
            retry_us = (
                lane.not_before_us
                if handout.delivery_id is None
                else now_us + self._pause_us(handout.attempts, outcome)
            )
            writes = plan_outcome(
                handout,
                outcome,
                states[handout.group_id],
                now_us,
                interval_us=self.timing.interval_us,
                retry_us=retry_us,
            )
            self.store.apply(writes)
            self.on_attempt(handout, outcome, now_us)

    def _note_verdict(self, handout: Handout, outcome: SendOutcome, now_us: int) -> None:
        """Frees the receiver, or lets it rest, and logs what a person should know."""
        name = handout.receiver.name
        lane = self._lanes.setdefault(name, _Lane())
        lane.busy = False
        if outcome.verdict in ("delivered", "refused"):
            if lane.failures:
                self.on_event("receiver_back", {"receiver": name, "failures": lane.failures})
            lane.failures, lane.not_before_us = 0, 0
        else:
            lane.failures += 1
            lane.not_before_us = now_us + self._pause_us(lane.failures, outcome)
            if lane.failures == 1:
                facts = {"verdict": outcome.verdict, "detail": outcome.detail}
                self.on_event("receiver_failing", {"receiver": name, **facts})
        if outcome.verdict == "refused" and handout.delivery_id is not None:
            refused = {"delivery": handout.delivery_id, "detail": outcome.detail}
            self.on_event("alert_refused", {"receiver": name, **refused})

    def _pause_us(self, failures: int, outcome: SendOutcome) -> int:
        """Returns the backoff after so many failures; a receiver that asks for longer gets it."""
        pause = backoff_us(failures, self.chance(), self.timing.retry_us)
        return max(pause, int((outcome.retry_after_s or 0) * SECOND_US))

    def _plan(self, changes: Sequence[FollowedChange], now_us: int) -> None:
        """Runs the changes through the stages; then schedules one message for each group that got
        some.
        """
        if not changes:
            return
        context = self._context(changes, now_us)
        cases = [case for change in changes for case in run_stages(context, change)]
        ended = [case for case in cases if case.group_id is None]
        self.store.apply([*context.groups.writes, *plan_logs(ended, now_us)])
        grouped: dict[int, list[RoutedChange]] = {}
        for case in cases:
            if case.group_id is not None:
                grouped.setdefault(case.group_id, []).append(case)
        for group_id, state in self.store.states(grouped).items():
            reported = grouped[group_id]
            message = plan_message(state, reported[0].why, now_us, self.timing.interval_us)
            self.store.apply([*message, *plan_logs(reported, now_us)])
        self.store.apply([MoveCursor(changes[-1].id)])

    def _context(self, changes: Sequence[FollowedChange], now_us: int) -> StageContext:
        """Reads what the stages need to know of these changes."""
        windows = self.timing.windows
        since_us = min(change.at_us for change in changes)
        snapshot = self.store.group_snapshot(
            {change.incident_id for change in changes},
            self.routing.receivers,
            {scope for change in changes for scope in scopes_of(change)},
            since_us - max(windows.group_us, windows.kindless_us),
        )
        silences = self.store.silences(now_us)
        return StageContext(GroupBook(snapshot), self.routing, windows, now_us, silences)

    def _hand_out(self, receiver: Receiver, now_us: int) -> Handout | None:
        """Returns the next notice for a receiver that is free, or None."""
        while self._is_due(receiver.name, now_us):
            due = self.store.due(receiver.name, now_us)
            if due is None:
                return None
            handout = self._handout(receiver, due, now_us)
            if handout is not None:
                self._lanes[receiver.name].busy = True
                return handout
        return None

    def _handout(self, receiver: Receiver, due: DueMessage, now_us: int) -> Handout | None:
        """Plans an attempt, and builds its notice where there is one."""
        lead, delivery = self.builder.lead(due), due.delivery
        digest = self.builder.digest(due, lead)
        writes, action = plan_attempt(due, digest, receiver, now_us, self.timing.interval_us)
        self.store.apply(writes)
        if action is None:
            return None
        state = due.sums.state
        return Handout(
            receiver,
            due.group.id,
            delivery.id if delivery else None,
            delivery.attempts + 1 if delivery else 1,
            "open" if action == "fire" and state == "resolved" else state,
            digest,
            self.builder.notice(due, lead, action, now_us),
            delivery.created_us if delivery else now_us,
        )

    def _give_up(self, now_us: int) -> None:
        """Gives up messages that no receiver took in time."""
        for delivery in self.store.overdue(now_us - self.timing.give_up_us):
            known = delivery.receiver in self.routing.receivers
            last = delivery.detail or (
                "never tried" if known else "this receiver is no longer in the routing file"
            )
            self.store.apply([plan_end(delivery, last, self.timing.give_up_us, now_us)])
            self.on_event(
                "alert_undelivered",
                {"receiver": delivery.receiver, "delivery": delivery.id, "detail": last},
            )
