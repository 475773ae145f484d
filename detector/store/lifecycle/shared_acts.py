"""Acts of people as values with a JSON form, as the acts topic holds them.

In: what somebody did with an incident, a problem or a silence. Out: frozen values, and JSON of them
that this version and every later one reads. Each has a `name`, under which a compacted topic keeps
the newest value, and a `subject`: the incident or problem that has to be there before it can be
applied. Writing and applying are in `detector/store/lifecycle/acts.py`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Discriminator, Field, TypeAdapter, ValidationError

from detector.store.lifecycle.states import State

# The version that is written. A field more is no new version; one that changes its meaning is.
VERSION = 1

# Integer microseconds since 1970.
TimeUs = Annotated[int, Field(ge=0, lt=1 << 62)]
Name = Annotated[str, Field(min_length=1, max_length=1_024)]
# Histories may hold acts without a name, from before they were refused.
Actor = Annotated[str, Field(max_length=1_024)]
Done = Literal["acknowledged", "resolved", "reopened", "noted"]
# The state of an incident after an act.
STATES: dict[Done, State | None] = {
    "acknowledged": "acknowledged",
    "resolved": "resolved",
    "reopened": "open",
    "noted": None,
}


class ActError(ValueError):
    """A text that should be an act and is none; the message names the field."""


@dataclass(frozen=True, slots=True)
class IncidentAct:
    """A change of one incident's state, or a note on it.

    `actor` is a person, or `oopswatch` where the state changed by itself.
    """

    incident: Name
    what: Done
    at_us: TimeUs
    actor: Actor
    reason: str | None = None
    request: str | None = None
    kind: Literal["incident"] = "incident"
    v: int = VERSION

    @property
    def name(self) -> str:
        """The key in the topic: each act of an incident has its own."""
        return f"incident/{self.incident}/{self.at_us}/{self.what}"

    @property
    def subject(self) -> str | None:
        """The incident's id."""
        return self.incident


@dataclass(frozen=True, slots=True)
class ProblemAct:
    """The state of a problem, and since when; the newest holds."""

    fingerprint: Name
    state: Literal["open", "resolved"]
    at_us: TimeUs
    actor: Actor
    fixed_in: str | None = None
    kind: Literal["problem"] = "problem"
    v: int = VERSION

    @property
    def name(self) -> str:
        """The key in the topic: a problem has one state."""
        return f"problem/{self.fingerprint}"

    @property
    def subject(self) -> str | None:
        """The problem's fingerprint."""
        return self.fingerprint


@dataclass(frozen=True, slots=True)
class AdviceAct:
    """The advice about a problem; an empty text takes it away, the newest holds."""

    fingerprint: Name
    about: Literal["cause", "workaround", "ticket"]
    text: str
    at_us: TimeUs
    actor: Actor
    kind: Literal["advice"] = "advice"
    v: int = VERSION

    @property
    def name(self) -> str:
        """The key in the topic: a problem has one advice of each kind."""
        return f"advice/{self.fingerprint}/{self.about}"

    @property
    def subject(self) -> str | None:
        """The problem's fingerprint."""
        return self.fingerprint


@dataclass(frozen=True, slots=True)
class SilenceAct:
    """A silence as it is now: with its end before its time, where somebody ended it."""

    starts_us: TimeUs
    ends_us: TimeUs
    at_us: TimeUs
    author: Name
    comment: str
    host: str | None = None
    rule: str | None = None
    fingerprint: str | None = None
    expired_us: TimeUs | None = None
    expired_by: str | None = None
    kind: Literal["silence"] = "silence"
    v: int = VERSION

    @property
    def name(self) -> str:
        """The key in the topic: what a silence is about, and when it was made."""
        parts = (self.at_us, self.starts_us, self.author, self.host, self.rule, self.fingerprint)
        return f"silence/{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}"

    @property
    def subject(self) -> str | None:
        """None: a silence needs nothing to be there."""
        return None


SharedAct = IncidentAct | ProblemAct | AdviceAct | SilenceAct

_ADAPTER: TypeAdapter[SharedAct] = TypeAdapter(Annotated[SharedAct, Discriminator("kind")])


def act_to_json(act: SharedAct) -> bytes:
    """The JSON form, UTF-8."""
    return _ADAPTER.dump_json(act)


def act_from_json(value: bytes | str) -> SharedAct:
    """The act of its JSON form; fields that a later version added are left out.

    Raises ActError.
    """
    try:
        act = _ADAPTER.validate_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "act"
        raise ActError(f"{where}: {first['msg']}") from error
    if act.v > VERSION:
        raise ActError(
            f"v: {act.v} was written by a later oopswatch, and this one reads up to {VERSION}: "
            "upgrade this `archive`"
        )
    return act
