"""Explains crashes that were made on purpose: by SysRq, the crash test module, a test.

In: a report and the matches around it. Out: statements, and which sort of purpose it was, for the
next steps. Sources: drivers/tty/sysrq.c sysrq_handle_crash() (2.6.3x to 6.x), drivers/misc/lkdtm
(2.6.2x to 6.x), lib/kunit/try-catch.c, mm/kasan/kasan_test*.c (lib/test_kasan.c to 6.0),
mm/kfence/kfence_test.c, mm/kmsan/kmsan_test.c, kernel/kcsan/kcsan_test.c, lib/test_lockup.c,
kernel/rcu/rcutorture.c rcu_torture_stall*(), lib/fault-inject.c fail_dump() (4.x to 6.x).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from detector.crash.identity import base
from detector.explain.block_text import place
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Frame, Match, Statement

Purpose = Literal["sysrq", "test"]

_PANIC = "sysrq triggered crash"
_SYSRQ = frozenset({"sysrq_handle_crash"})
_LKDTM = lazy_regex(r"(?:do_)?lkdtm_(?P<name>[A-Z][A-Z0-9_]+)$")
_KUNIT = frozenset({"kunit_try_run_case", "kunit_generic_run_threadfn_adapter"})
# Modules that do nothing but provoke reports.
_MODULES = {
    "test_kasan": "the tests of KASAN",
    "test_kasan_module": "the tests of KASAN",
    "kasan_test": "the tests of KASAN",
    "kfence_test": "the tests of KFENCE",
    "kmsan_test": "the tests of KMSAN",
    "kcsan_test": "the tests of KCSAN",
    "test_ubsan": "the tests of UBSAN",
    "test_lockup": "the module test_lockup",
    "hung_task_tests": "the tests of the detector of hung tasks",
}
_STALLS = ("rcu_torture_stall",)
_SELF_TESTS = ("kasan", "kfence", "kmsan", "kcsan", "ubsan", "fortify", "usercopy")
_INJECTED = "fault-injected"


def purpose_of(report: CrashReport | None) -> Purpose | None:
    """Returns whether the report shows that somebody wanted it: by SysRq, or as a test."""
    if report is None:
        return None
    if _requested(report):
        return "sysrq"
    return "test" if any(_tests(report)) else None


def explain_deliberate(report: CrashReport | None, evidence: Sequence[Match]) -> list[Statement]:
    """Returns that the crash was made on purpose, or in a test, or after a failure that was
    injected; nothing where nothing says so.
    """
    if report is None:
        return []
    keys = tuple(match.text for match in evidence if match.cls == "crash-requested")
    if by := _requested(report):
        text = (
            "Somebody had the kernel crash on purpose, with SysRq c (echo c > /proc/sysrq-trigger, "
            "or the keys): what follows is no bug. Who did it, and why, is the question: a test of "
            "kdump, or a machine that hung."
        )
        return [Statement(text, "certain", (*keys, by))]
    statements = list(_tests(report))
    if keys and not statements and report.kind in ("panic", "memory-fault"):
        text = "Just before, somebody had the kernel crash on purpose (SysRq c): this may be it."
        statements.append(Statement(text, "likely", keys))
    return [*statements, *_injected(report, evidence)]


def _requested(report: CrashReport) -> str:
    """Returns the line or frame that shows SysRq's crash, or ""."""
    if report.panic and _PANIC in report.panic:
        return report.panic
    return next((place(frame) for frame in _sure(report) if base(frame.function) in _SYSRQ), "")


def _sure(report: CrashReport) -> list[Frame]:
    """The function at the program counter and the frames that the kernel is sure of."""
    frames = [frame for frame in report.frames if frame.reliable]
    return frames if report.pc is None else [report.pc, *frames]


def _tests(report: CrashReport) -> Iterator[Statement]:
    """Yields which test provoked it."""
    sure = _sure(report)
    crash_test = [frame for frame in sure if frame.module == "lkdtm"]
    crash_test += [frame for frame in sure if _LKDTM.match(base(frame.function))]
    if crash_test:
        named = next(filter(None, (_LKDTM.match(base(item.function)) for item in crash_test)), None)
        which = f", test {named['name']}" if named is not None else ""
        text = (
            f"The kernel's crash test module (lkdtm{which}) provoked this on purpose: it is no bug."
        )
        yield Statement(text, "certain", (place(crash_test[0]),))
        return
    provoker = next((item for item in sure if item.module in _MODULES), None)
    if provoker is None:
        provoker = next((item for item in sure if item.function.startswith(_STALLS)), None)
    if provoker is not None:
        which = _MODULES.get(provoker.module or "", "rcutorture")
        text = f"It was provoked on purpose, by {which}: it is no bug."
        yield Statement(text, "certain", (place(provoker),))
        return
    if (runner := next((item for item in sure if base(item.function) in _KUNIT), None)) is not None:
        yield Statement("It happened in a KUnit test.", "certain", (place(runner),))
        if report.kind in _SELF_TESTS:
            text = (
                "The test most probably provoked it: the checkers' own tests make such reports and "
                "count them. The test's line `ok` or `not ok` says whether it was expected."
            )
            yield Statement(text, "likely", (place(runner),))


def _injected(report: CrashReport, evidence: Sequence[Match]) -> Iterator[Statement]:
    """Yields that a failure was injected just before: the kernel is being tested."""
    injected = tuple(dict.fromkeys(item.text for item in evidence if item.cls == _INJECTED))
    if injected:
        yield Statement(
            "Within seconds of it a failure was injected on purpose (fault injection): this kernel "
            "is being tested.",
            "certain",
            injected,
        )
        if report.kind != "memory-pressure":
            text = (
                "It may be how some code copes with the error that it was given: look at the error "
                "paths of the functions in the trace."
            )
            yield Statement(text, "possible", injected)
