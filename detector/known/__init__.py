"""Known kernel bugs: recognises the bug of a crash report among thousands of published
fixes.

In: published facts of fixed bugs (ids, commits, releases, functions), a crash report. Out: an
index of bugs; the bugs that a report looks like, with what speaks for each, and how a kernel
release stands to them. Never certain: that is left to the hand-written issues of `patterns/`.
"""

from detector.known.bug import Bug, Fix, Trace
from detector.known.releases import ReleaseStanding, standing

__all__ = ["Bug", "Fix", "ReleaseStanding", "Trace", "standing"]
