"""What a receiver is told next of a group, and when: a table of what it knows against what is.

In: the state that the receiver was told, the state that is, the times. Out: an action and its time,
or nothing. Pure: no IO, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from detector.alert.notice import Action
from detector.clock import SECOND_US
from detector.store.lifecycle.states import State

_LONGEST_US = 60 * SECOND_US


@dataclass(frozen=True, slots=True)
class Notified:
    """What a receiver knows of a group: nothing (`state` None) before the first message. `messages`
    it took, the last at `sent_us`.
    """

    state: State | None
    messages: int = 0
    sent_us: int | None = None


def action_of(told: State | None, now: State) -> Action:
    """The word for what is new, where something is.

    The first message fires, even where all is over by now: the end is told after it. What becomes
    known after the end is told as the end once more, since any other word would open the alert
    again.
    """
    if told is None:
        return "fire"
    if now == "resolved":
        return "resolve"
    if told == "resolved":
        return "fire"
    if now == "acknowledged" and told == "open":
        return "acknowledge"
    return "update"


def due_us(told: Notified, now: State, incidents: int, now_us: int, interval_us: int) -> int:
    """When it is said: beginnings and ends at once, what is added to a group at intervals, the
    first addition to a lone incident at once.

    So a storm is one message, then one an interval; and a report that ends after the first message
    is told as soon as it is read.
    """
    if action_of(told.state, now) != "update" or told.sent_us is None:
        return now_us
    if incidents <= 1 and told.messages <= 1:
        return now_us
    return max(now_us, told.sent_us + interval_us)


def backoff_us(failures: int, jitter: float, base_us: int = SECOND_US) -> int:
    """How long to wait after so many failures in a row (from 1): doubling from about a second to a
    minute; `jitter` in 0…1 spreads it.

    Half of it is fixed, half is left to chance, so that many that failed together do not come back
    together.
    """
    whole = min(_LONGEST_US, base_us << min(failures - 1, 10))
    return int(whole * (0.5 + 0.5 * jitter))
