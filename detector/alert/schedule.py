"""Schedules messages: the next action for a group of a receiver, and its time.

In: the state that the receiver was last sent, the state that is, the times. Out: an action and its
time. Pure: no IO, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from detector.alert.notice import Action
from detector.clock import SECOND_US
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
