"""Lines of other tasks in a warning's report: another CPU printed at the same time.

In: the lines of a block, from the head on. Out: those without the dumps of other tasks. A warning
names its CPU and its task (__warn in kernel/panic.c, all releases from 3.10 on), and so does the
first line of each dump (dump_stack_print_info in lib/dump_stack.c): what follows the one of another
task is that task's, to the next such line. A task may move to another CPU between the two; pid 0
is one task for each CPU.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from detector.lazy_regex import lazy_regex

_WARNED = (
    lazy_regex(r"WARNING: CPU: (?P<cpu>\d+) PID: (?P<pid>\d+) at "),
    lazy_regex(r"WARNING: .* at \S+, CPU#(?P<cpu>\d+): .+/(?P<pid>\d+)\s*$"),
)
_DUMP = lazy_regex(r"CPU: (?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) [Cc]omm: ")


def without_bystanders(lines: Sequence[str]) -> list[str]:
    """The lines without the dumps of tasks that the warning at their head does not name."""
    task = _warned_by(lines[0]) if lines else None
    return list(lines) if task is None else list(_of(task, lines))


def _warned_by(head: str) -> str | None:
    matched = next(filter(None, (pattern.match(head) for pattern in _WARNED)), None)
    return _task(matched) if matched is not None else None


def _task(matched: re.Match[str]) -> str:
    return matched["pid"] if matched["pid"] != "0" else f"0 on CPU {matched['cpu']}"


def _of(task: str, lines: Sequence[str]) -> Iterator[str]:
    own = True
    for text in lines:
        if (matched := _DUMP.match(text)) is not None:
            own = _task(matched) == task
        if own:
            yield text
