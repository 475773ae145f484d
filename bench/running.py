"""Contenders run in turn: A B C A B C …, each a command on one core, its whole time from start to
end taken by the wall clock.

A contender's output is kept, so that what it found can be held against what was planted before any
time is believed.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import Row
from bench.machine import CLIENT_CORE

TIMEOUT_S = 900


class FailedError(RuntimeError):
    """A contender that ended as it should not, in one line."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command; `feed` is piped into it by `cat`, which runs on another core. `fine` are the exit
    codes that are no failure.
    """

    words: Sequence[str]
    feed: Path | None = None
    fine: tuple[int, ...] = (0,)
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


@dataclass(frozen=True, slots=True)
class Contender:
    """A row that is to be filled, and how one run of it is made: the seconds it took."""

    row: Row
    once: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a command."""

    seconds: float
    output: str
    peak_kb: int


def run(command: Command) -> Ran:
    """Runs it on the client's core. Raises FailedError."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        feeder = (
            subprocess.Popen(["cat", str(command.feed)], stdout=subprocess.PIPE)
            if command.feed
            else None
        )
        begun = time.perf_counter()
        process = subprocess.Popen(
            pinned(command.words), stdin=feeder.stdout if feeder else subprocess.DEVNULL,
            stdout=output, stderr=errors,
            env={**os.environ, **command.environment}, cwd=command.cwd,
        )  # fmt: skip
        if feeder and feeder.stdout:
            feeder.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if feeder:
            feeder.wait(30)
        output.seek(0)
        errors.seek(0)
        if process.returncode not in command.fine:
            said = errors.read().decode(errors="replace").strip()[-400:]
            raise FailedError(
                f"{' '.join(map(str, command.words))[:200]} … ended with "
                f"{process.returncode}: {said}"
            )
        return Ran(seconds, output.read().decode(errors="replace"), usage.ru_maxrss)


def pinned(words: Sequence[str], core: int = CLIENT_CORE) -> list[str]:
    """The command on one core."""
    return ["taskset", "-c", str(core), *map(str, words)]


def in_turn(contenders: Sequence[Contender], rounds: int) -> list[Row]:
    """Every contender once, then all again; says each time as it comes."""
    for number in range(1, rounds + 1):
        for one in contenders:
            seconds = one.once()
            one.row.seconds.append(seconds)
            rate = one.row.amount / seconds
            print(
                (
                    f"  {number}/{rounds} {one.row.group}: {one.row.name}: {seconds:.2f} s, "
                    f"{rate:,.0f} {one.row.unit}/s"
                ),
                flush=True,
            )
    return [one.row for one in contenders]
