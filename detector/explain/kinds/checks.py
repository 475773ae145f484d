"""Explains well-known WARN()s by the function that holds the check.

It quotes the message that was printed with it, too.

In: a report of a WARN() or BUG(). Out: statements. A function stands here only where all its checks
mean the same in the versions named: arch/powerpc/kernel/eeh.c (2.6 to 6.x),
net/sched/sch_generic.c dev_watchdog() (2.6.2x to 6.8, a plain message from then on),
mm/slab_common.c kmalloc_slab() (3.10 to 6.x), mm/page_alloc.c (3.x to 6.x), mm/util.c
kvmalloc_node() (4.12 to 6.x), net/ipv4/af_inet.c inet_sock_destruct() (2.6 to 6.x),
kernel/softirq.c (3.x to 6.x), kernel/smp.c (2.6.2x to 6.x).
"""

from __future__ import annotations

from collections.abc import Sequence

from detector.crash.identity import base
from detector.explain.block_text import first, head_of, quoted
from detector.lazy_regex import lazy_regex
from detector.model import Confidence, CrashReport, Match, Statement
from detector.release import KernelRelease

_PLACE = lazy_regex(
    r"WARNING: (?:CPU: \d+ PID: \d+ )?(?:at )?(?:\[.*\] )?(?P<file>[\w./-]+\.[chSrs]+):\d+"
    r"(?: at)?(?: \.?(?P<function>[A-Za-z_][\w.]*))?"
)
_QUEUE = "netdev-watchdog"
_EEH = "arch/powerpc/"
_EEH_WORDS = (
    "The hardware isolated a PCI slot (powerpc's EEH) after an error on its bus, which a device, "
    "the slot or a driver (a bad DMA address) can have made. The WARN() only shows who read from "
    "it then."
)
_TOO_LARGE = (
    "More memory was asked for than the allocator hands out in one piece: the size was not "
    "checked, or is wrong. It does not mean that memory ran out."
)
_STOPPED = (
    "A network device had packets to send and did not finish one in time. The trace is the "
    "watchdog's and does not say why (hardware, driver, peer, lost interrupts, a stopped guest)."
)
_SOCKET = (
    "A socket was destroyed while it was not idle, or its counts of memory were not back at "
    "zero: buffers were lost, or counted wrongly."
)
_BOTTOM_HALVES = (
    "Soft interrupts were switched on again in an interrupt or with interrupts off, where that "
    "is forbidden."
)
_CROSS_CALL = (
    "Other CPUs were to be called with interrupts off, or from an interrupt, where two CPUs "
    "that do so wait for each other."
)
# (end of the file's name, functions) → what the check means, and how sure that is.
_CHECKS: tuple[tuple[str, tuple[str, ...], str, Confidence], ...] = (
    ("net/sched/sch_generic.c", ("dev_watchdog",), _STOPPED, "certain"),
    ("mm/slab_common.c", ("kmalloc_slab",), _TOO_LARGE, "certain"),
    ("mm/page_alloc.c", ("__alloc_pages", "__alloc_frozen_pages"), _TOO_LARGE, "likely"),
    ("net/ipv4/af_inet.c", ("inet_sock_destruct",), _SOCKET, "certain"),
    ("kernel/softirq.c", ("__local_bh_enable", "_local_bh_enable"), _BOTTOM_HALVES, "likely"),
    ("kernel/smp.c", ("smp_call_function",), _CROSS_CALL, "likely"),
)
# Lines that a report has anyway; what stands beside the head and is none of them was printed with
# it.
_OWN = lazy_regex(
    r"\s*$|-{3,}|={3,}|WARNING: |Modules linked in:|CPU: |Pid: |Kernel panic|Hardware name|"
    r"[Cc]all [Tt]race|Tainted|Not tainted|Dumping ftrace|Internal error|invalid opcode|Oops|"
    r"[REN]IP\b|pc :|PC is|task: |Code:|Backtrace|Stack|\s|\[<|#\d|kernel BUG|Kernel BUG|PREEMPT|"
    r"(?:Workqueue|Sched_ext|Stopper|Call): |Last Breaking|Krnl|Disabling lock debugging|"
    r"Rebooting in|Shutting down|.{1,60}: [0-9a-f]{4} (?:ilc:\d )?\[#|Unable to handle"
)
_FRAME = lazy_regex(r"\s*(?:\? )?[\w.$]+\+0x[0-9a-f]+/0x[0-9a-f]+|.{0,3}\[[0-9a-f<]{8,20}")
_LONGEST = 200
_WARNS = "WARNING: "
_BEFORE_HEAD = (4, 12)  # from here on x86 and others print the message first
_SAID_ELSEWHERE = ("refcount_t: ", "list_", "ODEBUG: ")


def is_eeh(report: CrashReport | None) -> bool:
    """Returns whether a WARN() is that of powerpc's EEH, which hardware caused."""
    matched = first(report.lines, _PLACE) if report is not None else None
    return matched is not None and matched["file"].endswith("/eeh.c") and _EEH in matched["file"]


def explain_eeh(report: CrashReport) -> list[Statement]:
    """Returns what EEH's WARN() means."""
    matched = first(report.lines, _PLACE)
    evidence = (quoted(matched),) if matched is not None else (head_of(report),)
    return [Statement(_EEH_WORDS, "certain", evidence)]


def explain_check(report: CrashReport) -> list[Statement]:
    """Returns what the check that failed means, where it is a well-known one."""
    matched = first(report.lines, _PLACE)
    if matched is None:
        return []
    function = matched["function"] or (report.pc.function if report.pc is not None else "")
    name = base(function)
    for file, functions, words, confidence in _CHECKS:
        if matched["file"].endswith(file) and name.startswith(functions):
            return [Statement(words, confidence, (quoted(matched),))]
    return []


def explain_queue(report: CrashReport, evidence: Sequence[Match]) -> list[Statement]:
    """The device and the queue that the watchdog of network devices names in a line of its own."""
    head = first(report.lines, _PLACE)
    if head is None or not (head["function"] or "").startswith("dev_watchdog"):
        return []
    named = next(
        (item for item in evidence if item.cls == _QUEUE and "device" in item.fields), None
    )
    if named is None:
        return []
    fields = named.fields
    text = f"The device is {fields['device']}"
    text += f", of the driver {fields['driver']}" if fields.get("driver") else ""
    text += f"; its transmit queue {fields['queue']} timed out" if fields.get("queue") else ""
    text += f" after {fields['milliseconds']} ms" if fields.get("milliseconds") else ""
    return [Statement(f"{text}.", "certain", (named.text,))]


def printed_with(report: CrashReport) -> list[Statement]:
    """The message that a WARN() printed beside its head; empty where none is there for sure.

    It is what stands alone before the head, where the assembler puts what came between `cut here`
    and the head (kernel/panic.c __warn_printk()); up to 4.11, and on 32-bit arm still, it stands
    right after the head (warn_slowpath_fmt()). Of several lines before it some are of others.
    """
    head = next((at for at, text in enumerate(report.lines) if text.startswith(_WARNS)), None)
    if head is None:
        return []
    beside = report.lines[:1] if head == 1 else ()
    if head == 0 and _is_behind(report):
        beside = report.lines[1:2]
    for text in beside:
        message = text.strip()
        if _OWN.match(text) or _FRAME.match(text) or message.startswith(_SAID_ELSEWHERE):
            continue
        cut = message if len(message) <= _LONGEST else message[:_LONGEST] + "…"
        return [Statement(f'The kernel\'s message: "{cut}"', "certain", (message[:_LONGEST],))]
    return []


def _is_behind(report: CrashReport) -> bool:
    """Returns whether this kernel prints a WARN()'s message behind its head."""
    release = KernelRelease.of(report.kernel, report.package)
    before = release is not None and release.series < _BEFORE_HEAD
    return before or report.arch == "arm"
