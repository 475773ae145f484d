"""The table of next steps: for which kinds, under which condition, which commands.

In: `StepFacts`. Out: `RULES`, which `steps` fills in and `__main__` writes as docs/next-steps.md. A
condition asks whether the step can work on that host: a dump only of a kernel that died, a live
look only at one that goes on, no symbol of code that a program put there, no management controller
of a virtual machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from detector.explain.kinds.checks import is_eeh
from detector.explain.kinds.hangs import shown_running
from detector.explain.kinds.rcu import was_busy
from detector.explain.step_facts import StepFacts, group_of, jit_tag


@dataclass(frozen=True, slots=True)
class StepRule:
    """Steps for some kinds, under a condition that the documentation gives in words."""

    kinds: str
    when: str
    holds: Callable[[StepFacts], bool]
    steps: tuple[str, ...]


def _has(crash: StepFacts, *words: str) -> bool:
    """Returns whether a line of the report holds one of the words."""
    lines = crash.report.lines if crash.report is not None else ()
    return any(word in text for text in lines for word in words)


def _corrupts(crash: StepFacts) -> bool:
    """Returns whether the report is of memory that somebody overwrote or freed too early."""
    title = (crash.report.title or "") if crash.report is not None else ""
    return crash.kind in ("list-corruption", "refcount") or any(
        words in title for words in ("corrupted list", "refcount bug")
    )


def _is(*kinds: str) -> Callable[[StepFacts], bool]:
    return lambda crash: crash.kind in kinds and not crash.panicked and not crash.hardware


def _by(crash: StepFacts, kind: str, words: str) -> bool:
    """Returns whether the kernel died of a report of that kind, or of a panic with those words."""
    reason = (crash.report.panic or "") if crash.report is not None else ""
    return crash.kind == kind or words in reason


_STALLS = (
    "soft-lockup",
    "hard-lockup",
    "rcu-stall",
    "workqueue-lockup",
    "spinlock-bug",
    "cpu-backtrace",
)
_LOCKUPS = {
    "soft-lockup": "softlockup: ",
    "hard-lockup": "Hard LOCKUP",
    "rcu-stall": "RCU Stall",
    "workqueue-lockup": "workqueue",
}
_ANY = "every kind"

RULES: tuple[StepRule, ...] = (
    StepRule(
        "crashes by SysRq",
        "somebody asked for it",
        lambda crash: crash.purpose == "sysrq",
        ("host: last -xF (who was logged in, and what was shut down, at that time?)",),
    ),
    StepRule(
        "crashes by SysRq",
        "somebody asked for it, and there may be a dump",
        lambda crash: crash.purpose == "sysrq" and crash.dumped,
        (
            "host: ls -l /var/crash (is there a dump of this time?)",
            "crash: foreach bt (what every task did when it was made to crash)",
        ),
    ),
    StepRule(
        "tests of the kernel",
        "a test made it (lkdtm, KUnit, tests of KASAN and its like)",
        lambda crash: crash.purpose == "test",
        ("test: is this the report that it expects?",),
    ),
    StepRule(
        "faults and panics",
        "the kernel died, or may have, had come up before, and may have left a dump; no hardware "
        "error, and nobody asked for it",
        lambda crash: crash.dumped and crash.purpose is None,
        (
            ("host: ls -l /var/crash (is there a dump of this time? an oops leaves one only where "
            "kdump runs and kernel.panic_on_oops is set, or the kernel panicked)"),
            "crash: bt",
            "crash: log",
            "crash: mod -s MODULE",
            "crash: dis -l LOCATION",
            "host: uname -r (is the running kernel still the one that crashed?)",
        ),
    ),
    StepRule(
        "hung-task, panics by hung tasks",
        "the kernel died of it, and may have left a dump",
        lambda crash: crash.dumped and _by(crash, "hung-task", "hung_task: "),
        ("crash: foreach UN bt (all tasks that wait uninterruptibly)",),
    ),
    StepRule(
        "lockups, stalls, panics by them",
        "the kernel died of it, and may have left a dump",
        lambda crash: crash.dumped
        and any(_by(crash, kind, words) for kind, words in _LOCKUPS.items()),
        ("crash: bt -a (what every CPU did)",),
    ),
    StepRule(
        "faults and panics",
        "no dump can have been taken: none of its heads says `Kdump: loaded` (4.19 and newer, not "
        "powerpc or s390), the panic went on past the start of a dump kernel (`Rebooting in`, `end "
        "Kernel panic`), or it is a board, a router or a phone",
        lambda crash: crash.lost and not crash.phone,
        (
            ("host: ls -l /sys/fs/pstore /var/lib/systemd/pstore (what firmware or ramoops kept of "
             "the dead kernel's log)"),
            ("host: modprobe netconsole netconsole=@/eth0,6666@192.0.2.1/ (your interface and "
             "collector: the end of the next crash then reaches another machine)"),
            "host: uname -r (is the running kernel still the one that crashed?)",
        ),
    ),
    StepRule(
        "faults and panics",
        "no dump can have been taken, and the machine could take one",
        lambda crash: crash.lost and not crash.board,
        (
            ("host: systemctl status kdump kdump-tools (no dump kernel was loaded; with one, the "
             "next crash leaves a dump)"),
        ),
    ),
    StepRule(
        "faults and panics",
        "no dump can have been taken, and the machine is virtual",
        lambda crash: crash.lost and crash.virtual,
        (
            "hypervisor: read the guest's serial console (virsh console, or the cloud's log)",
        ),
    ),
    StepRule(
        "faults and panics",
        "no dump can have been taken, and the machine is a guest of QEMU that does not say that it "
        "reboots within ten minutes",
        lambda crash: crash.lost and crash.qemu and crash.hangs,
        (
            ("hypervisor: virsh dump --memory-only (a dump from outside, if the guest still "
             "hangs there)"),
        ),
    ),
    StepRule(
        "faults",
        "it struck a task, its end mark stands in the log and no panic does (x86, arm, riscv): the "
        "task ended, the kernel goes on",
        lambda crash: crash.goes_on and crash.purpose is None,
        (
            "host: dmesg (the whole log, while that kernel still runs)",
            ("host: sysctl kernel.panic_on_oops (0: this oops ended one task and left no dump; "
             "with 1, and kdump loaded, the next one leaves a dump)"),
            ("host: reboot it when its services allow (what the ended task held stays held: locks, "
             "references)"),
        ),
    ),
    StepRule(
        "faults and panics",
        "no dump can have been taken, and the machine is a board or a router",
        lambda crash: crash.lost and crash.board and not crash.phone,
        (
            ("board: a serial console; ramoops (a reserved-memory node) keeps the log over a warm "
             "restart"),
        ),
    ),
    StepRule(
        "faults and panics",
        "no dump can have been taken, and the kernel is Android's",
        lambda crash: crash.lost and crash.phone,
        (
            "phone: adb shell su -c 'ls /sys/fs/pstore' (console-ramoops: the dead kernel's log)",
            "phone: adb bugreport (holds the last kernel log where the phone keeps one)",
        ),
    ),
    StepRule(
        "faults and panics",
        "the kernel died before it had started init, not for want of a root file system",
        lambda crash: crash.died and not crash.booted and not crash.rootless
        and crash.purpose is None,
        (
            ("boot loader: add ignore_loglevel and earlycon (x86: earlyprintk=serial,ttyS0,115200) "
             "and read the serial console: what else keeps a log may not be up this early"),
            "boot loader: start the kernel that came up last",
        ),
    ),
    StepRule(
        "faults and panics",
        "the kernel died before it had started init, in a virtual machine",
        lambda crash: crash.died and not crash.booted and crash.virtual and crash.purpose is None,
        ("hypervisor: read the guest's serial console (virsh console, or the cloud's log)",),
    ),
    StepRule(
        "panic",
        "the root file system or init was not found",
        lambda crash: crash.panicked and crash.rootless,
        (
            "boot loader: compare root= and init= with blkid of the disk",
            "boot loader: start the kernel before, and build its initramfs anew",
        ),
    ),
    StepRule(
        "machine checks, SError, panics by hardware",
        "hardware reported the fault, and the machine is not virtual",
        lambda crash: crash.hardware and not crash.virtual,
        (
            "host: ras-mc-ctl --errors; ras-mc-ctl --summary (where rasdaemon runs)",
            ("host: grep . /sys/devices/system/edac/mc/mc*/[cu]e_count (which memory controller "
             "counts "
            "errors?)"),
            "host: ipmitool sel elist (what did the management controller log at that time?)",
        ),
    ),
    StepRule(
        "machine checks, panics by hardware",
        "hardware reported the fault, the machine is an x86 and not virtual",
        lambda crash: crash.hardware and not crash.virtual and crash.x86,
        ("host: mcelog --client (where mcelog runs instead of rasdaemon)",),
    ),
    StepRule(
        "machine checks, SError, panics by hardware",
        "hardware reported the fault to a virtual machine",
        lambda crash: crash.hardware and crash.virtual,
        (
            ("hypervisor: look at the log of the physical host at that time; a guest sees "
             "neither its "
            "memory modules nor its management controller"),
        ),
    ),
    StepRule(
        "hung-task, waiting-task",
        "the kernel goes on, and the task was not shown running",
        lambda crash: _is("hung-task", "waiting-task")(crash) and not shown_running(crash.report),
        (
            ("host: cat /proc/PID/stack; grep State /proc/PID/status (does it still wait, and "
            "where?)"),
            "host: echo w > /proc/sysrq-trigger; dmesg (all tasks that wait uninterruptibly)",
            "host: crash, then foreach UN bt (on the live kernel; wants its debug information)",
        ),
    ),
    StepRule(
        "hung-task",
        "the kernel goes on, and the task was killed and runs all the same",
        lambda crash: _is("hung-task")(crash) and shown_running(crash.report),
        (
            "host: grep State /proc/PID/status (does it still run?)",
            "host: echo l > /proc/sysrq-trigger; dmesg (what every CPU does now)",
            "host: perf top -g (where the CPU that runs it spends its time)",
        ),
    ),
    StepRule(
        "hung-task",
        "the kernel goes on and has lockdep",
        lambda crash: _is("hung-task")(crash) and _has(crash, " locks held by", " lock held by"),
        ("host: echo d > /proc/sysrq-trigger; dmesg (who holds which locks)",),
    ),
    StepRule(
        "soft-lockup, hard-lockup, rcu-stall, workqueue-lockup, spinlock-bug, cpu-backtrace",
        "the kernel goes on",
        _is(*_STALLS),
        ("host: echo l > /proc/sysrq-trigger; dmesg (what every CPU does now)",),
    ),
    StepRule(
        "rcu-stall",
        "the kernel goes on, and RCU's thread starves",
        lambda crash: _is("rcu-stall")(crash) and _has(crash, " kthread starved for "),
        ("host: ps -eLo pid,cls,rtprio,psr,comm --sort=-rtprio (which real-time tasks run?)",),
    ),
    StepRule(
        "soft-lockup, hard-lockup, rcu-stall",
        "the machine is virtual, and no CPU is known to have run all the time",
        lambda crash: crash.kind in ("soft-lockup", "hard-lockup", "rcu-stall") and crash.virtual
        and not was_busy(crash.report),
        (
            "hypervisor: was the guest stopped, migrated or starved at that time?",
            "host: sar -u (steal time)",
        ),
    ),
    StepRule(
        "oom, oom-kill",
        "the kernel goes on",
        _is("oom", "oom-kill", "oom-kill-cgroup"),
        (
            "host: ps -eo pid,rss,oom_score_adj,comm --sort=-rss (who is large now?)",
            "host: slabtop -o -s c; cat /proc/meminfo (or is it the kernel itself?)",
        ),
    ),
    StepRule(
        "oom",
        "the kernel goes on, and a memory cgroup was at its limit",
        lambda crash: _is("oom")(crash) and group_of(crash) is not None,
        ("host: grep . /sys/fs/cgroup{,/memory}GROUP/memory.{max,limit_in_bytes,events}",),
    ),
    StepRule(
        "memory-pressure",
        "the kernel goes on, and pages of an order were asked for",
        lambda crash: _is("memory-pressure")(crash) and _has(crash, "page allocation failure"),
        ("host: cat /proc/buddyinfo (are blocks of that order left?)",),
    ),
    StepRule(
        "memory-pressure",
        "the kernel goes on, and an area of vmalloc was asked for",
        lambda crash: _is("memory-pressure")(crash) and _has(crash, ": vmalloc"),
        (
            ("host: grep -E 'MemAvailable|CommitLimit|Vmalloc' /proc/meminfo (can an area of that "
             "size be had at all?)"),
        ),
    ),
    StepRule(
        "memory-leak",
        "the kernel goes on",
        _is("memory-leak"),
        ("host: echo scan > /sys/kernel/debug/kmemleak; cat /sys/kernel/debug/kmemleak",),
    ),
    StepRule(
        "list-corruption, refcount",
        "the kernel has no KASAN",
        lambda crash: crash.kind in ("list-corruption", "refcount", "kernel-bug", "warning")
        and _corrupts(crash) and not _has(crash, " KASAN"),
        (
            ("next boot: slub_debug=FZPU (slab_debug from 6.9 on): a free object that is written "
             "to, or freed again, is then reported with who allocated and who freed it"),
        ),
    ),
    StepRule(
        "bad-page",
        "no hardware error",
        lambda crash: crash.kind == "bad-page" and not crash.hardware,
        (
            ("next boot: page_owner=on (wants CONFIG_PAGE_OWNER): the next report then says who "
             "allocated and who freed the page"),
        ),
    ),
    StepRule(
        "warnings of powerpc's EEH",
        "the kernel goes on",
        lambda crash: _is("warning")(crash) and is_eeh(crash.report),
        ("host: cat /proc/powerpc/eeh (how often slots were isolated, and why)",),
    ),
    StepRule(
        _ANY,
        "there is no dump, and nobody asked for it; the function is the kernel's own, or a "
        "module's",
        lambda crash: not crash.dumped and not crash.hardware and crash.kind != "firmware-panic"
        and crash.purpose is None,
        ("debug information: scripts/faddr2line IMAGE SYMBOL (file and line)",),
    ),
    StepRule(
        _ANY,
        "the function is a BPF program, whose code no image holds",
        lambda crash: jit_tag(crash) is not None and not crash.panicked,
        ("host: bpftool prog show tag TAG; bpftool prog dump jited tag TAG (while it is loaded)",),
    ),
    StepRule(
        _ANY,
        "the function is a BPF program, and there may be a dump",
        lambda crash: jit_tag(crash) is not None and crash.dumped,
        ("crash: bpf -P (the programs loaded), then bpf -p ID -j (its code)",),
    ),
)  # fmt: skip
