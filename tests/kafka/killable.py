"""`oopswatch run`, `detect` or `archive`, killed or stopped by itself at a numbered point of a
batch, in a forked process.

A forked process is one of its own, as one that was started is: it has read the modules already,
which is most of what a start takes.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import detector.cli.stage_service  # noqa: F401  # what a forked process would read first
from detector.cli import main
from detector.pipeline import Pipeline
from detector.sources.kafka.consumer import KafkaSource
from detector.sources.kafka.finding_producer import FindingProducer
from detector.sources.kafka.group_source import GroupSource
from detector.sources.kafka.membership import Membership
from detector.sources.kafka.placer import Placer
from detector.stages.archive import Archive
from detector.stages.detector import Detector
from detector.store import Journal

TARGET = "OOPSWATCH_KILL"
# Each point: the method that has it, whether it lies before or behind it, and what it is. A call
# whose first argument is empty has no work in hand, and passes no point.
Points = Mapping[int, tuple[type, str, str, str]]
POINTS: Points = {
    1: (KafkaSource, "_poll", "before", "before a poll"),
    2: (Placer, "place", "behind", "positions were found"),
    3: (Pipeline, "store", "before", "before a transaction"),
    4: (Journal, "add_match", "behind", "a match was added"),
    5: (Journal, "save_incident", "behind", "an incident was added"),
    6: (Journal, "count_noise", "behind", "noise was counted"),
    7: (Journal, "save_open_blocks", "behind", "open reports were stored"),
    8: (Journal, "set_positions", "behind", "positions were set"),
    9: (Journal, "add_rejected", "behind", "before COMMIT"),
    10: (Pipeline, "store", "behind", "behind COMMIT"),
    11: (KafkaSource, "commit", "behind", "the group was told"),
    12: (KafkaSource, "close", "before", "SIGTERM, before the last commit"),
    13: (Membership, "leave", "behind", "SIGTERM, the group was left"),
}
# Those of the two stages; 1, 2 and the ends are as above.
DETECT: Points = {
    **{number: POINTS[number] for number in (1, 2, 12, 13)},
    3: (Detector, "feed", "before", "before records are taken in"),
    4: (Detector, "feed", "behind", "findings were made"),
    5: (Detector, "take_counts", "behind", "sums were taken"),
    6: (FindingProducer, "commit", "before", "before a transaction"),
    7: (FindingProducer, "_send", "behind", "findings were sent, offsets were not"),
    8: (FindingProducer, "_send_offsets", "behind", "offsets were sent, before the commit"),
    9: (FindingProducer, "commit", "behind", "behind the commit"),
    10: (GroupSource, "committed", "behind", "what is out was noted"),
}
ARCHIVE: Points = {
    **{number: POINTS[number] for number in (1, 2, 4, 5, 6, 8, 11, 12, 13)},
    3: (Archive, "store", "before", "before a transaction"),
    7: (Journal, "add_report", "behind", "a report was added"),
    9: (Journal, "add_rejected", "behind", "before COMMIT"),
    10: (Archive, "store", "behind", "behind COMMIT"),
}
POINTS_OF: Mapping[str, Points] = {"run": POINTS, "detect": DETECT, "archive": ARCHIVE}
# Points that are passed once a batch without rows too, and those that only a clean end passes.
_ALWAYS = frozenset({(Journal, "add_rejected"), (Detector, "take_counts")})
_NOT_YET = -(1 << 60)
ENDING = frozenset({12, 13})
# Those that are passed once in a life.
ONCE = ENDING | {2}
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


class Forked:
    """A process, asked and ended as `subprocess.Popen` is."""

    def __init__(self, environment: Mapping[str, str], log: Path, command: str = "run") -> None:
        arguments = (dict(environment), str(log), command)
        self._process = _FORKS.Process(target=_serve, args=arguments)
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """How it ended; None while it lives."""
        return self._process.exitcode

    def kill(self) -> None:
        """Ends it by SIGKILL."""
        self._process.kill()

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None and self.pid is not None:
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(["oopswatch run"], timeout or 0)
        return self._process.exitcode


def _serve(environment: dict[str, str], log: str, command: str) -> None:
    """What a forked process does."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    with open(log, "ab") as file:  # noqa: PTH123
        os.dup2(file.fileno(), 2)
    faulthandler.register(signal.SIGUSR2)  # what it does, where a test waits for it in vain
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = ["oopswatch", command]
    point, passage, number = (int(part) for part in os.environ.get(TARGET, "0:0:9").split(":"))
    if point:
        _arm(POINTS_OF[command], point, passage, number)
    main()


def _arm(points: Points, point: int, passage: int, number: int) -> None:
    """Has the process send itself a signal where a point is passed for the n-th time with work in
    hand; with 0, for the first time after a SIGUSR1.
    """
    owner, name, where, _ = points[point]
    method: Callable[..., Any] = getattr(owner, name)
    passed: Counter[int] = Counter()
    if not passage:
        passed[point] = _NOT_YET
        signal.signal(signal.SIGUSR1, lambda *_: passed.__setitem__(point, 0))

    def passing(arguments: tuple[Any, ...]) -> None:
        passed[point] += not arguments or bool(arguments[0]) or (owner, name) in _ALWAYS
        if passed[point] == max(1, passage):
            passed[point] += 1
            os.kill(os.getpid(), number)

    def wrapped(self: Any, *arguments: Any, **named: Any) -> Any:
        if where == "before":
            passing(arguments)
        result = method(self, *arguments, **named)
        if where == "behind":
            passing(arguments)
        return result

    setattr(owner, name, wrapped)
