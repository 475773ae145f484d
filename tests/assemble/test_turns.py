"""Two reports line by line in turns, without caller ids."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

import pytest

from tests.assemble.stream import FAULT_TEXTS, stored, texts
from tests.support.feeding import blocks


def stamped(rows: Iterable[str]) -> str:
    """The rows as one console printed them, a line each 10 µs."""
    return "\n".join(f"[  700.{place * 10:06}] {text}" for place, text in enumerate(rows)) + "\n"


def in_turns(one: tuple[str, ...], two: tuple[str, ...]) -> str:
    """The lines of both, a line each in turns."""
    return stamped(text for pair in zip_longest(one, two) for text in pair if text is not None)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("warning-5.15-refcount", "kasan-6.6"),
        ("x86_64-6.14-gpf", "hung-task-6.1"),
        ("arm64-6.6", "lockdep-6.1"),
        ("soft-lockup-5.4", "x86_64-6.8"),
    ],
)
def test_two_reports_in_turns(one: str, two: str) -> None:
    """Each report has its lines, and none of the other's, after the shorter one's end too."""
    apart = texts(blocks(stored(one))) + texts(blocks(stored(two)))
    assert sorted(texts(blocks(in_turns(*apart)))) == sorted(apart)


def test_one_that_prints_alone_keeps_its_lines() -> None:
    """A head breaks into another report's dump, and one of the two prints on alone: no turns."""
    second = tuple(
        text.replace("0001950b", "ffffc04000004000").replace("12", "3") for text in FAULT_TEXTS
    )
    order = [*FAULT_TEXTS[:5], *second, *FAULT_TEXTS[5:]]
    found = texts(blocks(stamped(order)))
    assert sorted(found) == sorted([FAULT_TEXTS, second])


def test_a_lost_line_ends_no_turns() -> None:
    """A line of one of them is lost: the other lines still go where they belong."""
    apart = texts(blocks(stored("x86_64-6.14-gpf"))) + texts(blocks(stored("hung-task-6.1")))
    kept = in_turns(*apart).splitlines()
    at = next(place for place, row in enumerate(kept) if "RAX: " in row)
    lost = kept.pop(at).split("] ", 1)[1]
    wanted = [tuple(text for text in block if text != lost) for block in apart]
    assert sorted(texts(blocks("\n".join(kept)))) == sorted(wanted)


def _sleeper(pid: int, functions: str) -> list[str]:
    """A hung task as kernel/hung_task.c and sched_show_task() print it (4.19)."""
    return [
        f"INFO: task demo:{pid} blocked for more than 140 seconds.",
        "      Not tainted 4.19.0 #7",
        '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.',
        f"demo            D28024  {pid}   2582 0x00000004",
        "Call Trace:",
        *(f" {name}+0x77/0x1a0" for name in functions.split()),
        " entry_SYSCALL_64_after_hwframe+0x49/0xbe",
        "RIP: 0033:0x465209",
        "RSP: 002b:00007fad04d8cc68 EFLAGS: 00000246 ORIG_RAX: 0000000000000010",
    ]


def test_a_report_that_is_whole_takes_no_turns() -> None:
    """One thread prints hung tasks one after the other: each keeps all of its trace."""
    apart = [
        _sleeper(3901, "schedule rt_mutex_slowlock demo_read vfs_read do_syscall_64"),
        _sleeper(3875, "schedule schedule_timeout wait_for_completion demo_xfer demo_ioctl"),
        _sleeper(3906, "schedule rt_mutex_slowlock demo_write vfs_write do_syscall_64"),
    ]
    found = texts(blocks(stamped(text for report in apart for text in report)))
    assert sorted(found) == sorted(map(tuple, apart))
