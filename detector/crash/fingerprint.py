"""One name for one bug: over hosts, days, addresses, CPUs, offsets, compiler suffixes.

In: a CrashReport, and the list of generic functions. Out: `1:<hex>`; the number is the algorithm's,
so that a later one regroups nothing.

Version 1 hashes the kind, the guilty function and up to three functions that called it: reliable
frames only, without what every path shares (generic functions, entry code), without offsets,
suffixes, modules' addresses. Few frames on purpose: deep callers differ between ways to the same
bug, and a truncated trace has lost them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container

from detector.crash.identity import identity
from detector.model import CrashReport

VERSION = 1
_CALLERS = 2


def fingerprint(report: CrashReport, skip: Container[str] = ()) -> str:
    """The versioned fingerprint; reports without any function meet by their title."""
    names = [
        identity(frame) for frame in report.frames if frame.reliable and frame.function not in skip
    ]
    names = [name for name in dict.fromkeys(names) if name not in skip]
    guilty = report.function
    if guilty in names:
        names = names[names.index(guilty) :]
    path = [name for name in names if name != guilty][:_CALLERS]
    subject = (
        [report.kind, guilty, *path]
        if guilty is not None
        else [report.kind, report.title or "", *path]
    )
    text = "\x1f".join(map(str, subject))
    return f"{VERSION}:{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"
