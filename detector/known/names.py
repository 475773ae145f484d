"""The names that crashes are given, as they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from detector.known.releases import Status

BugConfidence = Literal["likely", "possible"]


@dataclass(frozen=True, slots=True)
class KnownBug:
    """A name that a crash is given, as it is shown: `common` of `of` frames agree, `alike`
    bugs fit alike; `fixed_in` and `commit` are the fix of the kernel's own series (else
    mainline's), and `fixable` whether that series has one that the kernel lacks; `standing`
    says so in a sentence.
    """

    id: str
    subject: str
    confidence: BugConfidence
    common: int
    of: int
    alike: int
    status: Status
    fixed_in: str | None
    commit: str | None
    fixable: bool
    standing: str
