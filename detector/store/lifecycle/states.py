"""State machine of an incident: state, act, next state.

In: a state and an act. Out: the next state and what the log of changes calls it, or a refusal that
says why. Pure: no IO, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["open", "acknowledged", "resolved"]
Act = Literal["acknowledge", "resolve", "reopen", "note"]
What = Literal["raised", "updated", "joined", "acknowledged", "resolved", "reopened", "noted"]


class RefusedError(ValueError):
    """A state does not allow an act; the message says why, in words that follow the incident's
    name.
    """


@dataclass(frozen=True, slots=True)
class Transition:
    """A transition: the state after it, and the name of the change."""

    state: State
    what: What


_STEPS: dict[tuple[State, Act], Transition] = {
    ("open", "acknowledge"): Transition("acknowledged", "acknowledged"),
    ("open", "resolve"): Transition("resolved", "resolved"),
    ("acknowledged", "resolve"): Transition("resolved", "resolved"),
    ("acknowledged", "reopen"): Transition("open", "reopened"),
    ("resolved", "reopen"): Transition("open", "reopened"),
}
_REFUSALS: dict[tuple[State, Act], str] = {
    ("open", "reopen"): "is open already",
    ("acknowledged", "acknowledge"): "is acknowledged already",
    ("resolved", "acknowledge"): "is resolved: reopen it first",
    ("resolved", "resolve"): "is resolved already",
}


def step(state: State, act: Act) -> Transition:
    """The step that an act takes from a state.

    Raises `RefusedError` where the state does not allow it; a note is always allowed.
    """
    if act == "note":
        return Transition(state, "noted")
    refusal = _REFUSALS.get((state, act))
    if refusal is not None:
        raise RefusedError(refusal)
    return _STEPS[state, act]


def after_evidence(state: State, *, recurred: bool) -> Transition:
    """The step that new evidence takes: a resolved incident opens again where it recurred; late
    evidence of the past only adds to it.
    """
    if state == "resolved" and recurred:
        return Transition("open", "reopened")
    return Transition(state, "updated")
