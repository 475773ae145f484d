"""Finds the task whose dump a frame stands in: an RCU stall shows several tasks in turn.

In: the lines of a block, a frame. Out: CPU, pid and name as the head of that dump says them; None
for what it does not say. Heads: lib/dump_stack.c dump_stack_print_info(); kernel/sched/core.c
sched_show_task(), to 5.8 and from 5.9 on, below dump_cpu_task()'s line that names the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detector.crash.frames import frames_of
from detector.crash.guilty import program_counter
from detector.lazy_regex import lazy_regex
from detector.model import Frame

_NAMED = r"(?P<comm>(?s:.{1,64}?))"
_HEADS = (
    lazy_regex(
        rf"CPU: (?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) Comm: {_NAMED} (?:Kdump: loaded )?"
        r"(?:Not tainted|Tainted: )"
    ),
    lazy_regex(rf"Pid: (?P<pid>\d+), comm: +{_NAMED} (?:Not tainted|Tainted: )"),
    lazy_regex(rf"task:{_NAMED} +state:\S .*?\bpid: *(?P<pid>\d+)\b"),
    lazy_regex(
        rf"{_NAMED} +[RSDTtXZPIKW] +(?:running task +|[0-9a-f]{{8,16}} +)?\d+ +(?P<pid>\d+) +\d+ "
        r"0x[0-9a-f]+"
    ),
)
_ON_CPU = lazy_regex(r"Task dump for CPU (?P<cpu>\d+):")


@dataclass(frozen=True, slots=True)
class Dumped:
    """The task that a dump is of; None for what its head does not say."""

    cpu: int | None = None
    pid: int | None = None
    comm: str | None = None


NOBODY = Dumped()


def dumped(lines: Sequence[str], frame: Frame) -> Dumped:
    """Returns the task in whose dump the frame stands first."""
    task = NOBODY
    for above, text in zip(("", *lines), lines, strict=False):
        task = _headed(above, text) or task
        if frame.function in text and (frame in frames_of(text) or frame == program_counter(text)):
            return task
    return NOBODY


def _headed(above: str, text: str) -> Dumped | None:
    """The task that a line is the head of a dump of."""
    for pattern in _HEADS:
        if (matched := pattern.match(text)) is not None:
            groups = matched.groupdict()
            cpu = groups.get("cpu")
            if cpu is None and (on := _ON_CPU.match(above)) is not None:
                cpu = on["cpu"]
            return Dumped(int(cpu) if cpu else None, int(groups["pid"]), groups["comm"].strip())
    return None
