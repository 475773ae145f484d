"""Explains the locks that a task holds, and lockdep's tables that are full.

In: a report with lockdep's list of the locks that a task holds (print_lock(), lockdep_print_held_
locks() in kernel/locking/lockdep.c, 3.x to 6.x). Out: statements. Not all that is listed is a lock:
process_one_work() (kernel/workqueue.c) and call_timer_fn() (kernel/time/timer.c) enter the work
queue, the work item and the timer that they run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from itertools import takewhile

from detector.explain.block_text import first, head_of, quoted
from detector.explain.kinds.stacks import repeats
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Statement

_LISTED = lazy_regex(r"\d+ locks? held by (?P<comm>.{1,40})/(?P<pid>\d+):")
_LISTED_LOCK = lazy_regex(
    r"\s*#(?P<depth>\d+): +(?:[0-9a-f]{8,16} )?\((?P<name>[^{]{1,80}?)\)\{[^}]{1,9}\}"
    r"(?:-\{\S+\})?,? at: (?:\[<[0-9a-f]+>\] )?(?P<place>\S+)"
)
_MOST = 4  # locks that are named
_WORK = "(work_completion)"
_QUEUE = "(wq_completion)"
_TIMER_RUNS = "call_timer_fn"
_MANY = 8  # locks of one name, taken at one place: a chain of calls that goes on and on
_FULL = (
    "Lockdep ran out of room and has switched itself off. With MAX_LOCK_DEPTH one task holds very "
    "many locks at once, perhaps left behind; with the other tables nothing else need be wrong."
)


def locks_held(report: CrashReport) -> list[re.Match[str]]:
    """The locks that the first task listed holds, the outermost first."""
    heading = first(report.lines, _LISTED)
    if heading is None:
        return []
    at = next(at for at, text in enumerate(report.lines) if text is heading.string)
    listed = takewhile(bool, map(_LISTED_LOCK.match, report.lines[at + 1 :]))
    # Where a log was symbolized, a lock has a line for each inlined function: the last is its own.
    return list({lock["depth"]: lock for lock in listed if lock is not None}.values())


def held_locks(report: CrashReport) -> Iterator[Statement]:
    """Yields what the first task listed runs and holds, the innermost locks.

    They are the nearest to the fault. rcu_read_lock is a read-side section.
    """
    heading, listed = first(report.lines, _LISTED), locks_held(report)
    if heading is None or not listed:
        return
    locks = [lock for lock in listed if not _is_run(lock)]
    shown = locks[-_MOST:]
    parts = []
    if len(locks) < len(listed):
        parts.append(f"runs {_runs(listed)}")
    if shown:
        names = ", ".join(f"{lock['name']} (taken at {lock['place']})" for lock in shown)
        more = f" and {len(locks) - _MOST} taken before" if len(locks) > _MOST else ""
        parts.append(f"holds {names}{more}")
    text = f"{heading['comm']} (pid {heading['pid']}) {' and '.join(parts)}."
    evidence = tuple(quoted(lock) for lock in listed if _is_run(lock) or lock in shown)
    yield Statement(text, "certain", (quoted(heading), *evidence))


def _is_run(lock: re.Match[str]) -> bool:
    """Returns whether the entry is what the task runs, and no lock."""
    return lock["name"].startswith((_WORK, _QUEUE)) or lock["place"].startswith(_TIMER_RUNS)


def _runs(listed: Sequence[re.Match[str]]) -> str:
    """The work item, its queue and the timer that the task runs, in words."""
    parts = []
    for lock in filter(_is_run, listed):
        name = lock["name"]
        if name.startswith(_QUEUE):
            parts.append(f"the work queue {_bare(name.removeprefix(_QUEUE))}")
        elif name.startswith(_WORK):
            parts.append(f"its work item {_bare(name.removeprefix(_WORK))}")
        else:
            parts.append(f"the timer {_bare(name)}")
    return ", ".join(parts)


def _bare(name: str) -> str:
    if name.startswith("(") and name.endswith(")"):
        name = name[1:-1]
    return name.strip('"')


def explain_exhausted(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A table of lockdep that is full; for the table of one task's locks, what fills it."""
    del skip
    head = head_of(report)
    statements = [Statement(_FULL, "certain", (head,)), *repeats(report)]
    places = Counter((lock["name"], lock["place"]) for lock in locks_held(report))
    if "MAX_LOCK_DEPTH" in head and places:
        (name, place), count = places.most_common(1)[0]
        if count >= _MANY:
            text = f"{count} of the {places.total()} locks listed are {name}, taken at {place}."
            statements.append(Statement(text, "certain", (f"{count} × {name}, at: {place}",)))
    return statements
