"""What a receiver is told next, and when: for every state it may know and every state that may
be.
"""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.alert.plan import Notified, action_of, backoff_us, due_us
from detector.store.lifecycle.states import State

SECOND = 1_000_000
MINUTE = 60 * SECOND
STATES = st.sampled_from(get_args(State))


@pytest.mark.parametrize(
    ("told", "now", "action"),
    [
        (None, "open", "fire"),
        (None, "acknowledged", "fire"),
        (None, "resolved", "fire"),
        ("open", "open", "update"),
        ("open", "acknowledged", "acknowledge"),
        ("open", "resolved", "resolve"),
        ("acknowledged", "open", "update"),
        ("acknowledged", "acknowledged", "update"),
        ("acknowledged", "resolved", "resolve"),
        ("resolved", "open", "fire"),
        ("resolved", "acknowledged", "fire"),
        ("resolved", "resolved", "resolve"),
    ],
)
def test_the_word_for_what_is_new(told: State | None, now: State, action: str) -> None:
    """The whole table."""
    assert action_of(told, now) == action


@given(STATES, STATES, st.integers(1, 9), st.integers(0, 9_000), st.integers(1, 9_000))
def test_only_additions_wait(
    told: State, now: State, messages: int, ago: int, incidents: int
) -> None:
    """Beginnings and ends are due at once; an addition one interval after the last message, unless
    it is the first to one.
    """
    at, interval = 10_000 * SECOND, 150 * SECOND
    due = due_us(Notified(told, messages, at - ago * SECOND), now, incidents, at, interval)
    if action_of(told, now) != "update" or (incidents == 1 and messages == 1):
        assert due == at
    else:
        assert due == max(at, at - ago * SECOND + interval)


@given(st.integers(1, 500), st.floats(0, 1))
def test_waiting_doubles_up_to_a_minute_and_half_of_it_is_chance(
    failures: int, jitter: float
) -> None:
    """Never longer than a minute, never shorter than half of what it would be."""
    whole = min(MINUTE, SECOND * 2 ** (failures - 1))
    assert whole // 2 <= backoff_us(failures, jitter) <= whole
