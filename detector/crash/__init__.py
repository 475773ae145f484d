"""Crash: a Block read into a CrashReport, and the fingerprint under which equal crashes
meet.

In: the lines of one kernel fault, verbatim. Out: facts and nothing that is not written there. What
they mean is told by explain.
"""

from detector.crash.facts import TAINTS
from detector.crash.identity import fingerprint
from detector.crash.reading import read

__all__ = ["TAINTS", "fingerprint", "read"]
