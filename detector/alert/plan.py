"""Plans the message of a group: what it says, and when it is due.

In: snapshots of the alert store, the time. Out: writes for `AlertStore.apply`. Pure: no IO, no
clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from detector.alert.notice import Action, Notice, SendOutcome
from detector.alert.routing import Receiver
from detector.alert.stages import RoutedChange
from detector.clock import SECOND_US
from detector.store.alert_rows import AlertDelivery, DueMessage, GroupState
from detector.store.alert_writes import (
    AlertWrite,
    BeginAttempt,
    EndMessage,
    LogChange,
    MarkDelivered,
    MarkKnown,
    PlanMessage,
    Postpone,
    RepeatAt,
    Reschedule,
)
from detector.store.lifecycle.states import State

_LONGEST_US = 60 * SECOND_US


@dataclass(frozen=True, slots=True)
class Notified:
    """The last state sent to a receiver about a group; None before the first message. It took
    `messages`, the last at `sent_us`.
    """

    state: State | None
    messages: int = 0
    sent_us: int | None = None


def action_of(notified: State | None, now: State) -> Action:
    """Chooses the action for a change of state.

    The first message fires, even where all is over by now: the end is sent after it. What becomes
    known after the end is sent as a resolve, since any other action would open the alert again.
    """
    if notified is None:
        return "fire"
    if now == "resolved":
        return "resolve"
    if notified == "resolved":
        return "fire"
    if now == "acknowledged" and notified == "open":
        return "acknowledge"
    return "update"


def due_us(notified: Notified, now: State, incidents: int, now_us: int, interval_us: int) -> int:
    """Returns when a message is due: beginnings and ends at once, additions to a group at
    intervals (rate limit), the first addition to a lone incident at once.

    So a storm is one message, then one an interval; and a report that ends after the first message
    is sent as soon as it is read.
    """
    if action_of(notified.state, now) != "update" or notified.sent_us is None:
        return now_us
    if incidents <= 1 and notified.messages <= 1:
        return now_us
    return max(now_us, notified.sent_us + interval_us)


def backoff_us(failures: int, jitter: float, base_us: int = SECOND_US) -> int:
    """Returns the pause, in µs, after so many failures in a row (from 1): exponential backoff
    from `base_us` to a minute; `jitter` in 0…1 spreads it.

    Half of it is fixed, half is left to chance, so that many that failed together do not come back
    together.
    """
    whole = min(_LONGEST_US, base_us << min(failures - 1, 10))
    return int(whole * (0.5 + 0.5 * jitter))


@dataclass(frozen=True, slots=True)
class Handout:
    """One notice for one receiver.

    `delivery_id` is None where the last message is only repeated; `planned_us` is when it was
    first due.
    """

    receiver: Receiver
    group_id: int
    delivery_id: int | None
    attempts: int
    state: State
    digest: str
    notice: Notice
    planned_us: int


def plan_logs(cases: Iterable[RoutedChange], now_us: int) -> list[AlertWrite]:
    """Logs of routed changes: which group's message reports each, or why none does."""
    return [
        LogChange(
            case.change.id, case.change.incident_id, now_us, case.receiver, case.group_id, case.why
        )
        for case in cases
    ]


def plan_message(
    state: GroupState, reason: str, now_us: int, interval_us: int
) -> Sequence[AlertWrite]:
    """Schedules a message about a group: the one that waits already, or a new one."""
    group, sums, waiting = state.group, state.sums, state.waiting
    last = Notified(group.sent_state, group.messages, group.sent_us)
    due = due_us(last, sums.state, sums.total, now_us, interval_us)
    if waiting is None:
        return (PlanMessage(group.id, group.receiver, reason, now_us, due),)
    if due < waiting.due_us and not waiting.attempts:
        return (Reschedule(waiting.id, reason, due),)
    return ()


def plan_attempt(
    due: DueMessage, digest: str, receiver: Receiver, now_us: int, interval_us: int
) -> tuple[Sequence[AlertWrite], Action | None]:
    """Decides what becomes of a message that is due: the action to send, or None where it is
    not sent now or never.
    """
    group, sums, delivery, sender = due.group, due.sums, due.delivery, receiver.sender
    if delivery is None:
        if sums.state == "resolved" or sender.repeat_s is None:
            return (RepeatAt(group.id, None),), None
        return (), "fire"
    action = action_of(group.sent_state, sums.state)
    if group.sent_state == sums.state and group.sent_digest == digest:
        detail = "all of it was said before"
        return (EndMessage(delivery.id, "unchanged", now_us, detail),), None
    last = Notified(group.sent_state, group.messages, group.sent_us)
    later = due_us(last, sums.state, sums.total, now_us, interval_us)
    if later > now_us:  # planned while an earlier message was under way
        return (Reschedule(delivery.id, delivery.reason, later),), None
    if action not in sender.actions:
        detail = f"a receiver of kind {sender.kind} has no word for {action}"
        ended = EndMessage(delivery.id, "unchanged", now_us, detail, action)
        return (ended, MarkKnown(group.id, sums.state, digest)), None
    return (BeginAttempt(delivery.id, action),), action


def plan_outcome(
    handout: Handout,
    outcome: SendOutcome,
    state: GroupState,
    now_us: int,
    *,
    interval_us: int,
    retry_us: int,
) -> Sequence[AlertWrite]:
    """Records the outcome of an attempt; where it was not taken, the message is sent again at
    `retry_us`, and a group that ended meanwhile gets its end.
    """
    taken = outcome.verdict in ("delivered", "refused")
    delivery_id = handout.delivery_id
    if delivery_id is None:
        repeat_us = _repeat_us(handout, now_us) if taken else retry_us
        return (RepeatAt(handout.group_id, repeat_us),)
    if not taken:
        repeated = outcome.verdict == "unknown"
        return (Postpone(delivery_id, retry_us, outcome.detail, repeated),)
    ended = EndMessage(delivery_id, outcome.verdict, now_us, outcome.detail)
    if outcome.verdict == "refused":
        return (ended,)
    marked = MarkDelivered(
        handout.group_id,
        handout.state,
        handout.digest,
        now_us,
        _repeat_us(handout, now_us),
        handout.notice.subjects[0].fingerprint,
    )
    if state.sums.state == handout.state:
        return (ended, marked)
    messages = state.group.messages + 1
    group = replace(state.group, sent_state=handout.state, messages=messages, sent_us=now_us)
    following = replace(state, group=group)
    return (ended, marked, *plan_message(following, "it is over by now", now_us, interval_us))


def plan_end(delivery: AlertDelivery, last: str, give_up_us: int, now_us: int) -> EndMessage:
    """Gives up a message that its receiver did not take in time; `last` says what stood in the
    way.
    """
    hours = give_up_us / (3_600 * SECOND_US)
    return EndMessage(delivery.id, "undelivered", now_us, f"given up after {hours:g} h: {last}")


def _repeat_us(handout: Handout, now_us: int) -> int | None:
    repeat_s = handout.receiver.sender.repeat_s
    if repeat_s is None or handout.state == "resolved":
        return None
    return now_us + int(repeat_s * SECOND_US)
