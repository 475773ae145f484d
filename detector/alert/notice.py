"""Notices, which senders deliver, and the outcome of an attempt.

A notice is about one incident, or about many with one fingerprint. Times are µs since 1970-01-01
UTC, gaps and uptimes µs. Texts are as the log had them: whoever makes markup of them escapes them
first. No IO, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from detector.model import Confidence, Severity, Spread, TimeBasis
from detector.store.query.standing import ProblemStanding

Action = Literal["fire", "update", "acknowledge", "resolve"]
Verdict = Literal["delivered", "retry", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Subject:
    """One incident, as far as a message describes it.

    `lines` are its evidence verbatim, in order of time, each with its stamp and place;
    `known_bug` is the bug that it likely is, in one line. `spread` tells of the hosts where
    there are many; `host` is then the first of them.
    """

    id: str
    rule: str
    host: str
    boot: str
    severity: Severity
    title: str
    fingerprint: str | None
    started_us: int | None
    found_us: int
    gap_us: int
    time_basis: TimeBasis
    uptime_us: int | None
    kernel: str | None
    function: str | None
    module: str | None
    lines: tuple[str, ...]
    what_happened: tuple[str, ...]
    known_issue: str | None
    known_issue_confidence: Confidence | None
    next_steps: tuple[str, ...]
    state: str
    rule_title: str | None = None
    runbook: str | None = None
    known_bug: str | None = None
    spread: Spread | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one receiver. `subjects` holds the leading incident first, and at most
    some of the others; `total` counts all.

    `dedup_key` stays the same from the first message about a group to the last; `reason` says why
    this message is sent now. `repeated` is set where an earlier attempt had no answer, so that this
    one may reach the receiver a second time.
    """

    action: Action
    dedup_key: str
    subjects: tuple[Subject, ...]
    total: int
    hosts: tuple[str, ...]
    host_count: int
    standing: ProblemStanding | None
    reason: str
    at_us: int
    team: str | None = None
    link: str | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """The outcome of one attempt. "retry": not taken, try again; "refused": never will be;
    "unknown": no answer, it may have been taken.
    """

    verdict: Verdict
    detail: str
    retry_after_s: float | None = None


class Sender(Protocol):
    """Delivers notices to one receiver. `repeat_s`: how often an open incident is sent again
    unchanged (Alertmanager); None: never.

    `actions` are those that the receiver has a word for; others are not sent to it, and that is its
    recorded reason.
    """

    kind: str
    repeat_s: float | None
    actions: frozenset[Action]

    def send(self, notice: Notice, now_us: int) -> SendOutcome:
        """One attempt, bounded in time. Raises nothing: what fails is an outcome."""
        ...


@runtime_checkable
class Alive(Protocol):
    """A sender whose receiver expects heartbeats, and raises an alarm when they stop."""

    def heartbeat(self, now_us: int) -> SendOutcome:
        """Sends one heartbeat. Raises nothing."""
        ...
