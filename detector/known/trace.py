"""A crash report as far as crashes are compared: guilty function, frames, nature.

In: a `CrashReport` and the list of generic functions. Out: a `Trace`. The same function reads the
published reports for the index and the crash that is looked up, so that both lose the same frames.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from detector.crash.frames import frames_of
from detector.crash.identity import identity
from detector.known.bug import Trace
from detector.known.nature import HEADLESS, STUCK, nature
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Frame

KEPT = 9
"""Frames that are kept of a trace: deeper callers differ between ways to the same bug."""
BESIDE = 6
"""Frames that are kept of the stacks beside it."""

# Functions through which every trace of their sort goes: entry code, fault handlers, reporting,
# dispatch of interrupts, softirqs and work, idle. The kernel's own names, 3.x to 6.x.
_PASSED = lazy_regex(
    r"""
    ret_from_ | entry_ | do_syscall | x64_sys_call | syscall_ | invoke_syscall | do_sys(?:call|$)
    | el0 | el1 | el\d | do_el0_svc | asm_ | sysvec_ | exc_ | _start | secondary_startup
    | kthread | worker_thread | process_one_work | process_scheduled | smpboot_thread_fn
    | set_alloc_info | set_track | save_stack | stack_trace_save
    | dump_stack | dump_backtrace | show_stack | print_ | kasan_ | __kasan | __asan | kmsan_
    | __msan
    | __warn | report_bug | handle_bug | die$ | die_ | __die | oops_ | panic$ | check_panic
    | spin_dump
    | page_fault | do_page_fault | do_error_trap | do_trap | do_mem_abort | no_context | bad_area
    | __bad_area | fault_in
    | lock_acquire | __lock_acquire | lock_release | lockdep | trace_hardirqs | preempt_schedule
    | check_noncircular | check_prev | validate_chain | debug_(?:object|timer|hrtimer|assert|init)
    | schedule | __schedule | context_switch | __switch_to | io_schedule
    | common_interrupt | irq_exit | __irq_exit | do_softirq | __do_softirq | handle_softirqs
    | run_ksoftirqd | apic_timer | nmi | default_do_nmi | end_repeat
    | start_kernel | start_secondary | cpu_startup | do_idle | rest_init | default_idle | cpuidle
    | arch_cpu_idle | call_ | native_ | start_this
    """,
    re.VERBOSE,
)

_REST = "report-rest"  # the catalogue's class of reports whose first lines are lost
# arch/x86/include/asm/kasan.h KASAN_SHADOW_OFFSET (four levels of page tables): one byte of shadow
# for eight of memory.
_SHADOW_OF_NULL = 0xDFFF_FC00_0000_0000
_SHADOW_SCALE = 8
_PAGE = 4096
# A BPF program is called by the hash of its code: kernel/bpf/core.c bpf_get_prog_name.
_BPF_PROGRAM = lazy_regex(r"bpf_prog_[0-9a-f]{16}(?:_.*)?$")

_ALLOCATED = lazy_regex(
    r"(?:Allocated by|Allocated:|allocated by|Uninit was (?:created|stored)|Local variable .{1,80} "
    r"created at)"
)
_FREED = lazy_regex(r"(?:Freed by|Freed:|freed by)")
_MAIN = lazy_regex(r"(?:Call [Tt]race|Backtrace)")
_OTHER = lazy_regex(r"(?:Last potentially|Second to last|The buggy address)")


@dataclass(frozen=True, slots=True)
class Stacks:
    """Function names of the stacks in a report, top first: its own, who allocated and who freed
    the memory (mm/kasan/report.c, mm/kmsan/report.c).
    """

    main: list[str] = field(default_factory=list)
    allocated: list[str] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)


def trace_of(report: CrashReport, generic: Container[str]) -> Trace:
    """Returns what is compared of a report."""
    frames = [frame for frame in report.frames if frame.reliable]
    if report.pc is not None and nature(report.kind, report.title) == STUCK:
        frames.insert(0, report.pc)
    every = tidied((identity(frame) for frame in frames), generic)
    plain = tidied((identity(frame) for frame in frames if not frame.inlined), generic)
    beside = stacks(report.lines)
    headless = report.kind == _REST
    return Trace(
        kind=HEADLESS if headless else report.kind,
        title=None if headless else report.title,
        function=report.function,
        frames=every,
        plain=plain if plain != every else (),
        module=report.module or _module(frames),
        offset=_offset_from_null(report),
        allocated=tidied(beside.allocated, generic, BESIDE),
        freed=tidied(beside.freed, generic, BESIDE),
    )


def stacks(lines: Iterable[str]) -> Stacks:
    """The frames under each heading."""
    stacks_read = Stacks()
    into: list[str] | None = stacks_read.main
    for text in lines:
        if _ALLOCATED.match(text):
            into = stacks_read.allocated
        elif _FREED.match(text):
            into = stacks_read.freed
        elif _OTHER.match(text):
            into = None
        elif _MAIN.match(text):
            into = stacks_read.main
        elif into is not None:
            into += [identity(frame) for frame in frames_of(text) if frame.reliable]
    return stacks_read


def _offset_from_null(report: CrashReport) -> int | None:
    """Returns how far from NULL the fault was, within the first page.

    KASAN's own check faults in the shadow of the address instead, on a processor that calls
    that a protection fault.
    """
    address = report.fault_address
    if address is None:
        return None
    if "general protection" in (report.title or ""):
        address = (address - _SHADOW_OF_NULL) * _SHADOW_SCALE
    return address if 0 <= address < _PAGE else None


def tidied(names: Iterable[str], generic: Container[str], most: int = KEPT) -> tuple[str, ...]:
    """The names that tell traces apart, top first; a repeated one once."""
    kept: list[str] = []
    for full in names:
        name = _BPF_PROGRAM.sub("bpf_prog", full)
        if name in generic or _PASSED.match(name) or (kept and kept[-1] == name):
            continue
        kept.append(name)
        if len(kept) == most:
            break
    return tuple(kept)


def _module(frames: Iterable[Frame]) -> str | None:
    return next((frame.module for frame in frames if frame.module), None)
