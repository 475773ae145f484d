"""The table of next steps: for which kinds, under which condition, which commands.

In: a `Crash`. Out: `RULES`, which `steps` fills in and `__main__` writes as docs/next-steps.md. A
condition asks whether the step can work on that host: a dump only of a kernel that died, a live
look only at one that goes on, no symbol of code that a program put there, no management controller
of a virtual machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from detector.explain.kinds.hangs import is_virtual
from detector.explain.kinds.hardware import CLASSES as HARDWARE_CLASSES
from detector.explain.kinds.panics import HARDWARE as HARDWARE_REASONS
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Match

_JIT = lazy_regex(r"bpf_prog_(?P<tag>[0-9a-f]{16})(?:_\w*)?$")
_GROUP = lazy_regex(r".*oom_memcg=(?P<path>/[\w./:@-]{1,200}),")

OOPS = frozenset(
    {"memory-fault", "oops", "kernel-bug", "kernel-trap", "divide-error", "invalid-opcode",
     "stack-overflow", "double-fault", "usercopy"}
)  # fmt: skip
"""Kinds that kill the context they strike; whether the whole kernel died is a setting of the
host."""

_NEVER_BOOTED = ("VFS: Unable to mount root fs", "No working init", "Requested init")


@dataclass(frozen=True, slots=True)
class StepFacts:
    """Facts that decide which steps can work: the report, what stands around it, the sockets
    named.
    """

    report: CrashReport | None
    evidence: Sequence[Match] = ()
    sockets: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The report's kind, else the class of the first match."""
        if self.report is not None:
            return self.report.kind
        return next((match.cls for match in self.evidence), "")

    @property
    def panicked(self) -> bool:
        """Returns whether the log shows that the kernel died."""
        by_report = self.report is not None and (
            self.report.kind == "panic" or self.report.panic is not None
        )
        return by_report or any(match.cls == "panic" for match in self.evidence)

    @property
    def hardware(self) -> bool:
        """Returns whether hardware reported the fault."""
        reason = (self.report.panic or "") if self.report is not None else ""
        if any(words in reason for words in HARDWARE_REASONS):
            return True
        if self.report is not None and (self.report.esr or 0) >> 26 & 0x3F == 0x2F:
            return True
        return any(match.cls in HARDWARE_CLASSES for match in self.evidence)

    @property
    def virtual(self) -> bool:
        """Returns whether the report says that the machine is virtual."""
        return self.report is not None and is_virtual(self.report)

    @property
    def x86(self) -> bool:
        """Returns whether an x86 processor reported it: only they have machine checks of
        that form.
        """
        if self.report is not None and self.report.arch in ("x86_64", "i386"):
            return True
        return any(
            match.cls == "machine-check" and "mcgstatus" in match.fields for match in self.evidence
        )

    @property
    def booted(self) -> bool:
        """Returns whether the kernel had come up before it died: until then nobody has loaded a
        kernel to take a dump with.
        """
        reason = (self.report.panic or "") if self.report is not None else ""
        return not reason.startswith(_NEVER_BOOTED)

    @property
    def dumped(self) -> bool:
        """Returns whether there may be a dump: the kernel died, or may have."""
        may = self.panicked or self.kind in OOPS
        return may and self.booted and not self.hardware and self.kind != "firmware-panic"


@dataclass(frozen=True, slots=True)
class StepRule:
    """Steps for some kinds, under a condition that the documentation gives in words."""

    kinds: str
    when: str
    holds: Callable[[StepFacts], bool]
    steps: tuple[str, ...]


def group_of(crash: StepFacts) -> str | None:
    """The cgroup that was at its limit, where its path is plain."""
    lines = crash.report.lines if crash.report is not None else ()
    result = next(filter(None, map(_GROUP.match, lines)), None)
    return result["path"] if result is not None and ".." not in result["path"] else None


def jit_tag(crash: StepFacts) -> str | None:
    """The tag of the BPF program that the function is, or None."""
    name = crash.report.display_function if crash.report is not None else None
    matched = _JIT.match(name or "")
    return matched["tag"] if matched is not None else None


def _has(crash: StepFacts, *words: str) -> bool:
    """Returns whether a line of the report holds one of the words."""
    lines = crash.report.lines if crash.report is not None else ()
    return any(word in text for text in lines for word in words)


def _corrupts(crash: StepFacts) -> bool:
    """Returns whether the report is of memory that somebody overwrote or freed too early."""
    title = (crash.report.title or "") if crash.report is not None else ""
    return crash.kind in ("list-corruption", "refcount", "bad-page") or any(
        words in title for words in ("corrupted list", "refcount bug")
    )


def _is(*kinds: str) -> Callable[[StepFacts], bool]:
    return lambda crash: crash.kind in kinds and not crash.panicked and not crash.hardware


_STALLS = (
    "soft-lockup",
    "hard-lockup",
    "rcu-stall",
    "workqueue-lockup",
    "spinlock-bug",
    "cpu-backtrace",
)
_ANY = "every kind"

RULES: tuple[StepRule, ...] = (
    StepRule(
        "faults and panics",
        "the kernel died, or may have, and had come up before; no hardware error",
        lambda crash: crash.dumped,
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
        "panic",
        "the root file system or init was not found",
        lambda crash: crash.panicked and not crash.booted,
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
        "the kernel goes on",
        _is("hung-task", "waiting-task"),
        (
            ("host: cat /proc/PID/stack; grep State /proc/PID/status (does it still wait, and "
            "where?)"),
            "host: echo w > /proc/sysrq-trigger; dmesg (all tasks that wait uninterruptibly)",
            "host: crash, then foreach UN bt (on the live kernel; wants its debug information)",
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
        "the machine is virtual",
        lambda crash: crash.kind in ("soft-lockup", "hard-lockup", "rcu-stall") and crash.virtual,
        (("hypervisor: was the guest stopped, migrated or starved at that time? (steal time: sar "
            "-u)"),),
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
        "the kernel goes on",
        _is("memory-pressure"),
        ("host: cat /proc/buddyinfo (are blocks of that order left?)",),
    ),
    StepRule(
        "memory-leak",
        "the kernel goes on",
        _is("memory-leak"),
        ("host: echo scan > /sys/kernel/debug/kmemleak; cat /sys/kernel/debug/kmemleak",),
    ),
    StepRule(
        "list-corruption, refcount, bad-page",
        "the kernel has no KASAN",
        lambda crash: crash.kind in ("list-corruption", "refcount", "bad-page", "kernel-bug",
            "warning")
        and _corrupts(crash) and not _has(crash, " KASAN"),
        (
            ("next boot: slub_debug=FZPU (slab_debug from 6.9 on): the next report then names who "
            "allocated and who freed the object"),
        ),
    ),
    StepRule(
        _ANY,
        "there is no dump; the function is the kernel's own, or a module's",
        lambda crash: not crash.dumped and not crash.hardware and crash.kind != "firmware-panic",
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
