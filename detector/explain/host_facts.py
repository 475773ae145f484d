"""Reads what a report says of its host: could it leave a dump, is it a board, a phone or a
virtual machine, had it come up.

In: a report. Out: facts that decide which next steps can work. Sources: lib/dump_stack.c
dump_stack_print_info() prints `Kdump: loaded` where kexec_crash_loaded() says so (4.18 to 6.x, and
kernels that took it over); init/main.c start_kernel(), kernel_init(), which end where init starts;
kernel/panic.c panic(), which prints `Rebooting in` and its end mark where __crash_kexec() came
back; oops_end() in arch/x86/kernel/dumpstack.c and die() in arch/{arm,arm64,riscv}/kernel/traps.c,
which call crash_kexec() before oops_exit() prints the end mark (3.x to 6.x);
kernel/sched/idle.c, whose frames stand on top of start_kernel's on the first CPU for ever.
"""

from __future__ import annotations

from detector.crash.identity import base
from detector.explain.block_text import every
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport

_STACK_HEAD = lazy_regex(
    r"CPU: \d+ (?:UID: \d+ )?PID: \d+ Comm: .{0,64}?(?P<kdump>Kdump: loaded )?"
    r"(?:Not tainted|Tainted: )"
)
_RELEASE = lazy_regex(r"(?P<major>\d+)\.(?P<minor>\d+)")
_PRINTS_KDUMP = (4, 19)
# Firmware, or a tool of its own, can dump these without a dump kernel: fadump, stand-alone dump.
_OTHER_DUMPS = ("ppc64", "ppc64le", "powerpc", "ppc", "s390x", "s390")
_ANDROID = lazy_regex(r".*(?:-android\d|-perf\b|-gki\b|-lineage|-ab\d{6,}|-qgki)")
_BOARDS = ("arm", "mips", "mips64")
_VIRTUAL = lazy_regex(
    r"QEMU|KVM|VMware|VirtualBox|Xen|Bochs|Google Compute|OpenStack|Amazon "
    r"EC2(?!.*metal)|Virtual Machine|dummy-virt"
)
_QEMU = lazy_regex(r"QEMU|KVM|Bochs|dummy-virt")
_STARTING = frozenset({"start_kernel", "kernel_init", "kernel_init_freeable"})
_DUMP_PASSED = lazy_regex(r"---\[ end Kernel panic|Rebooting in (?P<seconds>\d{1,9}) seconds")
_END_OF_OOPS = lazy_regex(r"---\[ end trace ")
# Where die() starts the dump kernel before it prints the end mark.
_DUMPS_FIRST = ("x86_64", "i386", "arm64", "arm", "riscv64")
_IDLE = frozenset({"do_idle", "cpu_idle", "cpu_startup_entry", "cpu_idle_loop"})


def is_virtual(report: CrashReport) -> bool:
    """Returns whether the hardware's name is that of a virtual machine."""
    return report.hardware is not None and _VIRTUAL.search(report.hardware) is not None


def is_qemu(report: CrashReport) -> bool:
    """Returns whether the hardware's name is that of a guest of QEMU."""
    return report.hardware is not None and _QEMU.search(report.hardware) is not None


def kdump_loaded(report: CrashReport) -> bool | None:
    """Returns whether a dump kernel was loaded; None where the report does not say."""
    heads = list(every(report.lines, _STACK_HEAD))
    if any(head["kdump"] for head in heads):
        return True
    release = _RELEASE.match(report.kernel or "")
    if not heads or release is None or report.arch is None or report.arch in _OTHER_DUMPS:
        return None
    prints = (int(release["major"]), int(release["minor"])) >= _PRINTS_KDUMP
    return False if prints else None


def is_past_dump(report: CrashReport) -> bool:
    """Returns whether panic() went past the places where it starts a dump kernel."""
    passed = next(every(report.lines, _DUMP_PASSED), None) is not None
    return passed and report.arch not in _OTHER_DUMPS


def reboots_after(report: CrashReport) -> int | None:
    """The seconds after which the kernel said that it reboots, or None."""
    lines = every(report.lines, _DUMP_PASSED)
    return next((int(line["seconds"]) for line in lines if line["seconds"]), None)


def ended_its_oops(report: CrashReport) -> bool:
    """Returns whether die() went past the place where it starts a dump kernel."""
    ended = next(every(report.lines, _END_OF_OOPS), None) is not None
    return ended and report.arch in _DUMPS_FIRST


def is_phone(report: CrashReport) -> bool:
    """Returns whether the release is one of Android's kernels."""
    return _ANDROID.match(report.kernel or "") is not None


def is_board(report: CrashReport) -> bool:
    """Returns whether it is a small machine, which has no room for a dump kernel as a rule."""
    return is_phone(report) or report.arch in _BOARDS


def was_starting(report: CrashReport) -> bool:
    """Returns whether the trace is of a kernel that had not started its init yet."""
    # Until it runs init, process 1 bears the first CPU's name (init/main.c rest_init()).
    if report.pid == 1 and (report.comm or "").startswith("swapper"):
        return True
    names = {base(frame.function) for frame in report.frames if frame.reliable}
    if any(text.startswith("PANIC: early exception") for text in report.lines):
        return True
    return bool(names & _STARTING) and not names & _IDLE
