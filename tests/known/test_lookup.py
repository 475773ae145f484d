"""Which reports the index of known bugs is asked about."""

from __future__ import annotations

from detector.known import Bug, Trace
from detector.known.index import Index
from detector.known.lookup import KnownBugs
from detector.model import CrashReport, Frame
from tests.support.shipped import shipped

CALLS = ("dev_watchdog", "call_timer_fn", "run_timer_softirq", "demo_irq", "demo_idle")


def test_the_trace_of_a_watchdog_names_no_bug() -> None:
    """A device of any driver ends there: the trace is the timer's that looked."""
    title = "WARNING in {}"
    frames = tuple(Frame(name, 16, 64) for name in CALLS)
    bugs = [
        Bug(
            "CVE-2024-00001",
            "demo: hold",
            traces=(Trace("warning", title.format(name), name, CALLS),),
        )
        for name in ("dev_watchdog", "demo_poll")
    ]
    known = KnownBugs(lambda: Index.of(bugs), shipped)
    for name, count in (("demo_poll", 1), ("dev_watchdog", 0)):
        report = CrashReport("warning", function=name, title=title.format(name), frames=frames)
        assert len(known.of(report)) == count
