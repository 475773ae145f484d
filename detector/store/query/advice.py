"""Advice of people on a problem: its cause, a workaround, a ticket; and in which release
it is fixed.

In: a connection, a fingerprint. Out: frozen rows. Written by `lifecycle/actions.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection
from typing import Literal, get_args

AdviceKind = Literal["cause", "workaround", "ticket"]
ADVICE: tuple[AdviceKind, ...] = get_args(AdviceKind)
TEXT_LIMIT = 2_000

_ADVICE = (
    "SELECT about, text, author, at_us FROM problem_advice WHERE fingerprint = ? ORDER BY about"
)


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that somebody said of a problem, and when."""

    about: AdviceKind
    text: str
    author: str
    at_us: int


def advice_of(connection: Connection, fingerprint: str) -> list[Advice]:
    """Returns what is known of a problem, each kind once."""
    return [Advice(**dict(row)) for row in connection.execute(_ADVICE, (fingerprint,))]
