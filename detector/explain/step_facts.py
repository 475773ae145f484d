"""Facts that decide which next steps can work on the host at hand.

In: the report, what stands around it, the sockets named. Out: yes or no to each question that
`step_rules` asks, and the names that a step is filled with. Nothing is guessed: what the report
does not say holds a step back only where the step needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from detector.explain.call_path import context
from detector.explain.deliberate import Purpose, purpose_of
from detector.explain.host_facts import (
    ended_its_oops,
    is_board,
    is_past_dump,
    is_phone,
    is_qemu,
    is_virtual,
    kdump_loaded,
    reboots_after,
    was_starting,
)
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

_TASKS = ("system call", "kernel thread")  # contexts that an oops ends without the kernel
_EARLIEST_INIT_US = 300_000  # no init has loaded a kernel for dumps so soon after the start
_LONG_WAIT = 600  # seconds: time enough to reach the hypervisor
_NEVER_BOOTED = ("VFS: Unable to mount root fs", "No working init", "Requested init")


@dataclass(frozen=True)
class StepFacts:
    """Facts that decide which steps can work: the report, what stands around it, the sockets
    named. Each question is answered once, though many rules ask it.
    """

    report: CrashReport | None
    evidence: Sequence[Match] = ()
    sockets: tuple[str, ...] = ()

    @cached_property
    def kind(self) -> str:
        """The report's kind, else the class of the first match."""
        if self.report is not None:
            return self.report.kind
        return next((match.cls for match in self.evidence), "")

    @cached_property
    def panicked(self) -> bool:
        """Returns whether the log shows that the kernel died."""
        by_report = self.report is not None and (
            self.report.kind == "panic" or self.report.panic is not None
        )
        return by_report or any(match.cls == "panic" for match in self.evidence)

    @cached_property
    def hardware(self) -> bool:
        """Returns whether hardware reported the fault."""
        reason = (self.report.panic or "") if self.report is not None else ""
        if any(words in reason for words in HARDWARE_REASONS):
            return True
        if self.report is not None and (self.report.esr or 0) >> 26 & 0x3F == 0x2F:
            return True
        return any(match.cls in HARDWARE_CLASSES for match in self.evidence)

    @cached_property
    def virtual(self) -> bool:
        """Returns whether the report says that the machine is virtual."""
        return self.report is not None and is_virtual(self.report)

    @cached_property
    def qemu(self) -> bool:
        """Returns whether the report says that the machine is a guest of QEMU."""
        return self.report is not None and is_qemu(self.report)

    @cached_property
    def x86(self) -> bool:
        """Returns whether an x86 processor reported it: only they have machine checks of
        that form.
        """
        if self.report is not None and self.report.arch in ("x86_64", "i386"):
            return True
        return any(
            match.cls == "machine-check" and "mcgstatus" in match.fields for match in self.evidence
        )

    @cached_property
    def purpose(self) -> Purpose | None:
        """Returns whether somebody wanted the crash: by SysRq, or as a test."""
        return purpose_of(self.report)

    @cached_property
    def rootless(self) -> bool:
        """Returns whether the kernel died since it found no root file system or no init."""
        reason = (self.report.panic or "") if self.report is not None else ""
        return reason.startswith(_NEVER_BOOTED)

    @cached_property
    def booted(self) -> bool:
        """Returns whether the kernel had come up before it died: until then nobody has loaded a
        kernel to take a dump with.
        """
        early = any(
            match.kernel_time_us is not None and match.kernel_time_us < _EARLIEST_INIT_US
            for match in self.evidence
        )
        starting = self.report is not None and was_starting(self.report)
        return not (self.rootless or early or starting)

    @cached_property
    def died(self) -> bool:
        """Returns whether the kernel died, or may have, and not by its hardware or firmware."""
        may = self.panicked or self.kind in OOPS
        return may and not self.hardware and self.kind != "firmware-panic"

    @cached_property
    def dumped(self) -> bool:
        """Returns whether there may be a dump: the kernel died, or may have, and nothing in its
        report says that nobody could take one.
        """
        if self.report is None:
            return self.died
        if not self.died or not self.booted or self.purpose == "test":
            return False
        if self.goes_on or is_past_dump(self.report):
            return False
        loaded = kdump_loaded(self.report)
        return loaded is True or (loaded is None and not is_board(self.report))

    @cached_property
    def lost(self) -> bool:
        """Returns whether the kernel died, or may have, where no dump can have been taken."""
        here = self.died and self.booted and not self.dumped and not self.goes_on
        return here and self.purpose is None

    @cached_property
    def goes_on(self) -> bool:
        """Returns whether an oops ended one task, as far as the log says: it has its end mark, no
        panic follows, and its context is one that can be ended.
        """
        report = self.report
        if report is None or self.panicked or self.kind not in OOPS or not report.pid:
            return False
        return report.pid != 1 and context(report) in _TASKS and ended_its_oops(report)

    @cached_property
    def hangs(self) -> bool:
        """Returns whether the dead kernel may still be there to look at: it did not say that it
        reboots soon.
        """
        seconds = reboots_after(self.report) if self.report is not None else None
        return seconds is None or seconds >= _LONG_WAIT

    @cached_property
    def phone(self) -> bool:
        """Returns whether the kernel is one of Android's."""
        return self.report is not None and is_phone(self.report)

    @cached_property
    def board(self) -> bool:
        """Returns whether the machine is a small one: a board, a router, a phone."""
        return self.report is not None and is_board(self.report)


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
