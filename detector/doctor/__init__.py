"""Checks of an installation: settings, brokers, topics, history, machine, receivers.

Each check yields a `CheckResult`; what is wrong says what to do. Nothing is changed, nobody is
notified.
"""

from __future__ import annotations

from detector.doctor.checks import check_everything
from detector.doctor.result import CheckResult, Level

__all__ = ["CheckResult", "Level", "check_everything"]
