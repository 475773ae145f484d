"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "fault"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of one check. `advice` says what to do, and is empty where all is well.

    A "fault" stops the service or loses records; a "note" is something that a person should know.
    """

    level: Level
    subject: str
    text: str
    advice: str = ""
