"""The way into the fault, in words: which part of the kernel called which, and whether
that was an interrupt or a process.

In: the frames of a report. Out: statements. It knows the usual stations (system calls, interrupts,
NAPI, IP, TCP, block, files, memory) and leaves out what it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from detector.crash.frames import trace, trace_start
from detector.crash.identity import base
from detector.explain.block_text import every, first
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Frame, Statement

# Whole names: `nmi_cpu_backtrace` sends one, `kthread_stop` waits for one.
_INTERRUPT = frozenset({
    "do_IRQ", "common_interrupt", "asm_common_interrupt", "__common_interrupt", "handle_irq_event",
    "__handle_domain_irq", "handle_domain_irq", "generic_handle_domain_irq", "handle_IRQ",
    "gic_handle_irq", "__do_irq", "do_irq", "asm_do_IRQ", "__irq_svc", "smp_apic_timer_interrupt",
    "apic_timer_interrupt", "sysvec_apic_timer_interrupt", "__sysvec_apic_timer_interrupt",
    "asm_sysvec_apic_timer_interrupt", "hrtimer_interrupt", "do_interrupt_handler",
    "timer_interrupt", "el1_interrupt", "el0_interrupt", "el1h_64_irq_handler",
})  # fmt: skip
_SOFTIRQ = frozenset({
    "__do_softirq", "handle_softirqs", "do_softirq", "run_ksoftirqd", "do_softirq_own_stack",
    "__softirqentry_text_start", "irq_exit", "irq_exit_rcu", "__irq_exit_rcu", "invoke_softirq",
    "do_softirq_part",
})  # fmt: skip
_SYSCALL = frozenset({
    "do_syscall_64", "do_syscall_x64", "entry_SYSCALL_64_after_hwframe", "do_int80_emulation",
    "entry_SYSCALL_64_fastpath", "entry_SYSCALL_64", "entry_SYSCALL_compat_after_hwframe",
    "system_call_fastpath", "el0_svc", "el0_svc_naked", "el0_svc_common", "do_el0_svc",
    "el0_svc_handler", "invoke_syscall", "el0t_64_sync_handler", "ret_fast_syscall",
    "sysenter_do_call",
    "sysenter_past_esp", "do_fast_syscall_32", "__do_fast_syscall_32", "do_SYSENTER_32",
    "entry_INT80_compat", "entry_INT80_32", "entry_SYSENTER_32", "entry_SYSENTER_compat",
    "do_int80_syscall_32", "tracesys_phase2", "system_call", "system_call_exception",
    "system_call_common", "__do_syscall", "do_trap_ecall_u", "syscall_common",
})  # fmt: skip
_NMI = frozenset({
    "nmi", "end_repeat_nmi", "do_nmi", "exc_nmi", "asm_exc_nmi", "default_do_nmi", "nmi_handle",
    "first_nmi", "repeat_nmi",
})  # fmt: skip
_INTERRUPT_ENTRIES = ("asm_sysvec_", "__sysvec_", "sysvec_")
"""x86's entries from 5.8 on, one for each vector (arch/x86/include/asm/idtentry.h)."""
_PREEMPTS = frozenset({
    "preempt_schedule_irq", "arm64_preempt_schedule_irq", "irqentry_exit_cond_resched",
    "raw_irqentry_exit_cond_resched", "exit_to_user_mode_loop", "exit_to_user_mode_prepare",
    "irqentry_exit_to_user_mode", "prepare_exit_to_usermode", "do_notify_resume",
})  # fmt: skip
"""What the way back out of an interrupt calls for the task that was interrupted
(kernel/entry/common.c, arch/arm64/kernel/entry-common.c)."""
_ACTIONS = frozenset(
    {"run_timer_softirq", "net_rx_action", "net_tx_action", "tasklet_action", "tasklet_hi_action"}
)
"""What only a soft interrupt runs, where its own frame has another name."""
_THREAD = frozenset({"kthread", "worker_thread", "smpboot_thread_fn", "kernel_thread_helper"})
_CONTEXTS = (
    (_NMI, "NMI"),
    (_SOFTIRQ | _ACTIONS, "soft interrupt"),
    (_INTERRUPT, "interrupt"),
    (_SYSCALL, "system call"),
    (_THREAD, "kernel thread"),
)
_OF_TASKS = ("system call", "kernel thread")
# kernel/locking/lockdep.c print_usage_bug(), print_bad_irq_dependency() (2.6.18 to 6.x): in a hard
# interrupt, its depth, in a soft one, its depth.
_STATE = lazy_regex(r".{1,40} \[HC(?P<hard>\d)\[\d+\]:SC(?P<soft>\d)\[")
_EARLIER = lazy_regex(
    r"\s*(?:-> #\d|which became |to a [\w-]+-unsafe|the (?:existing dependency|dependencies between"
    r"|shortest dependencies)|\.\.\. key +at:)"
)
_BACKTRACE = lazy_regex(r"\s*stack backtrace:")
# Where an interrupt took over: what stands above the last of these is the detector at work.
_ENTRIES = frozenset({
    "apic_timer_interrupt", "asm_sysvec_apic_timer_interrupt", "smp_apic_timer_interrupt",
    "asm_common_interrupt", "ret_from_intr", "reschedule_interrupt",
    "call_function_single_interrupt",
    "asm_sysvec_call_function_single", "asm_sysvec_reschedule_ipi", "el1_irq", "el1h_64_irq",
    "__irq_svc", "nmi", "end_repeat_nmi", "asm_exc_nmi", "decrementer_common",
    "trace_apic_timer_interrupt", "smp_trace_apic_timer_interrupt", "sysvec_apic_timer_interrupt",
})  # fmt: skip
# Functions of the detectors: with one of them and no entry, what was interrupted is not to be seen.
_DETECTORS = frozenset({
    "rcu_check_callbacks", "rcu_sched_clock_irq", "print_cpu_stall", "rcu_dump_cpu_stacks",
    "watchdog_timer_fn", "dump_cpu_task", "nmi_cpu_backtrace", "update_process_times",
})  # fmt: skip
# A line that says whose trace follows: the usual header, sched_show_task() (5.11 on, and before).
_NAMES = lazy_regex(
    r"(?:CPU: \d+ )?(?:UID: \d+ )?P[Ii][Dd]: \d+,? [Cc]omm: +(.{1,64}?)(?: Kdump: loaded)? "
    r"(?:Not tainted|Tainted)"
    r"|task:(.{1,16}?) +state:|(\S.{0,15}?) +[RSDTtXZPI] ?(?:\[?<?[0-9a-f]{8,16}>?\]?)? *\d+ "
    r"+\d+ +\d+ 0x"
)
_WARNED = lazy_regex(
    r"WARNING: (?:CPU: \d+ PID: \d+ )?at \S+ (?P<function>[A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x"
)
_HEADER = 3  # lines of a dump that has no line of its own above the frames
_WATCHDOGS = frozenset({"soft-lockup", "hard-lockup", "rcu-stall"})
# Of a stack that is used up most is the task's own.
_OWN_STACK = frozenset({"stack-overflow", "stack-guard", "double-fault"})

# (prefixes of function names, the station in words), innermost stations first where a name fits
# two.
_STATIONS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        (
            "__inet_lookup_listener",
            "inet6_lookup_listener",
            "inet_lookup_listener",
            "inet_lhash2_lookup",
        ),
        "listener lookup",
    ),
    (("__inet_lookup_established", "__inet6_lookup_established"), "lookup of established sockets"),
    (("inet_diag_", "__inet_diag_", "sock_diag_", "tcp_diag_"), "socket diagnostics (ss, netlink)"),
    (("listening_get_next", "established_get_next", "tcp_seq_", "tcp4_seq_"), "/proc/net/tcp"),
    (("tcp_v4_rcv", "tcp_v6_rcv", "tcp_v4_do_rcv", "tcp_v6_do_rcv", "tcp_rcv_"), "TCP input"),
    (
        (
            "tcp_sendmsg",
            "tcp_write_xmit",
            "tcp_push",
            "__tcp_push",
            "__tcp_transmit_skb",
            "tcp_transmit_skb",
        ),
        "TCP output",
    ),
    (("udp_rcv", "__udp4_lib_rcv", "udpv6_rcv", "udp_queue_rcv"), "UDP input"),
    (("sctp_",), "SCTP"),
    (("mptcp_",), "Multipath TCP"),
    (("tcp_bpf_", "sk_psock_", "sock_map_", "sock_hash_"), "BPF sockmap"),
    (("nf_hook_slow", "nf_conntrack", "nft_", "ipt_do_table"), "netfilter"),
    (("ip_rcv", "ip_local_deliver", "ip_list_rcv", "ip_sublist_rcv"), "IPv4 input"),
    (("ipv6_rcv", "ip6_input", "ip6_rcv"), "IPv6 input"),
    (("ip_queue_xmit", "__ip_queue_xmit", "ip_output", "ip_finish_output"), "IPv4 output"),
    (("ip6_xmit", "ip6_output", "ip6_finish_output"), "IPv6 output"),
    (("dev_queue_xmit", "__dev_queue_xmit", "dev_hard_start_xmit"), "packet transmit"),
    (
        (
            "napi_gro_",
            "netif_receive_skb",
            "__netif_receive_skb",
            "process_backlog",
            "dev_gro_receive",
        ),
        "packet receive",
    ),
    (("net_rx_action", "napi_poll", "__napi_poll"), "NAPI poll"),
    (tuple(_SOFTIRQ), "soft interrupt"),
    (("sock_close", "__sock_release", "inet_release", "tcp_close"), "socket close"),
    (("sock_sendmsg", "__sys_sendto", "__sys_sendmsg", "sock_write_iter"), "socket send"),
    (("sock_recvmsg", "__sys_recvfrom", "sock_read_iter"), "socket receive"),
    (("handle_mm_fault", "do_page_fault", "exc_page_fault", "do_user_addr_fault"), "page fault"),
    (("submit_bio", "blk_mq_", "blk_finish_plug", "generic_make_request"), "block layer"),
    (("ext4_", "xfs_", "btrfs_", "nfs_", "f2fs_", "ovl_"), "file system"),
    (
        (
            "vfs_read",
            "vfs_write",
            "vfs_open",
            "vfs_statx",
            "path_openat",
            "do_sys_open",
            "vfs_fsync",
        ),
        "file access",
    ),
    (
        ("kmem_cache_alloc", "__kmalloc", "___slab_alloc", "kmem_cache_free", "kfree"),
        "slab allocator",
    ),
    (("process_one_work",), "work queue"),
    (("run_timer_softirq", "call_timer_fn", "expire_timers"), "timer"),
    (("rcu_do_batch", "rcu_core", "rcu_process_callbacks"), "RCU callback"),
    (("do_exit", "do_group_exit", "exit_mmap"), "process exit"),
)
_STRIKES = "soft interrupt"
_RECEIVE = frozenset(
    {"packet receive", "IPv4 input", "IPv6 input", "TCP input", "UDP input", "listener lookup"}
)


def context(report: CrashReport) -> str | None:
    """Returns where the innermost part of the trace ran: "soft interrupt", "interrupt", "NMI",
    "system call", "kernel thread"; None if not seen. Lockdep's own word goes before the trace's.
    """
    seen = _context_of(_own_frames(report))
    state = first(report.lines, _STATE) if report.kind == "lockdep" else None
    if state is None or seen == "NMI":
        return seen
    if state["hard"] != "0" or state["soft"] != "0":
        return "interrupt" if state["hard"] != "0" else "soft interrupt"
    return seen if seen in _OF_TASKS else None


def _context_of(frames: Sequence[Frame]) -> str | None:
    """The context that the innermost frame shows which shows one."""
    names = [base(frame.function) for frame in frames if frame.reliable]
    own = next((at for at, name in enumerate(names) if name in _PREEMPTS), len(names))
    for at, name in enumerate(names):
        for known, words in _CONTEXTS:
            if name in known and (at < own or words in _OF_TASKS):
                return words
        if name.startswith(_INTERRUPT_ENTRIES) and at < own:
            return "interrupt"
    return None


def interrupted(frames: Sequence[Frame]) -> str | None:
    """Returns what the frames ran in, where that is none of the task that was on the CPU."""
    names = [base(frame.function) for frame in frames]
    for name in names:
        words = next((words for known, words in _CONTEXTS if name in known), None)
        words = "interrupt" if name.startswith(_INTERRUPT_ENTRIES) else words
        if words is not None:
            return None if words in _OF_TASKS else words
    return None


def _own_frames(report: CrashReport) -> Sequence[Frame]:
    """The frames of what is reported: behind a watchdog's own interrupt, which is in the trace
    only because it looked; of lockdep's traces the last, the others are of earlier moments.
    """
    backtrace = first(report.lines, _BACKTRACE) if report.kind == "lockdep" else None
    if backtrace is not None:
        start = next(at for at, text in enumerate(report.lines) if text is backtrace.string)
        return trace(report.lines[start:])
    if report.kind == "lockdep" and first(report.lines, _EARLIER) is not None:
        return ()
    if report.kind not in _WATCHDOGS:
        return report.frames
    names = [base(frame.function) if frame.reliable else "" for frame in report.frames]
    at = next((at for at, name in enumerate(names) if name in _ENTRIES), None)
    if at is None:
        return () if _DETECTORS.intersection(names) else report.frames
    if at and names[at] not in _NMI and not _DETECTORS.intersection(names[:at]):
        return report.frames  # the detector looked from elsewhere: the interrupt is what it saw
    while at < len(names) and names[at] in _ENTRIES | _INTERRUPT:
        at += 1
    return report.frames[at:]


def _within_interrupt(frames: Sequence[Frame]) -> Sequence[Frame]:
    """The frames since the last interrupt struck: what it interrupted did not call it."""
    for at, frame in enumerate(frames):
        if frame.reliable and base(frame.function) in _ENTRIES:
            return frames[: at + 1]
    return frames


def stations(frames: Sequence[Frame]) -> tuple[tuple[str, str], ...]:
    """(station, function) from the outermost call in, neighbours of one station joined."""
    results: list[tuple[str, str]] = []
    for frame in reversed(frames):
        words = _station(frame, results)
        if frame.reliable and words and (not results or results[-1][0] != words):
            results.append((words, frame.function))
    return tuple(results)


def _station(frame: Frame, before: list[tuple[str, str]]) -> str | None:
    known = _known_station(frame.function)
    if known or not frame.module:
        return known
    receiving = any(words == "NAPI poll" for words, _ in before) and not any(
        words in _RECEIVE for words, _ in before
    )
    return f"network driver {frame.module}" if receiving else f"module {frame.module}"


@lru_cache(4096)
def _known_station(function: str) -> str | None:
    return next((words for prefixes, words in _STATIONS if function.startswith(prefixes)), None)


def explain_path(report: CrashReport) -> list[Statement]:
    """The way in, and the context; nothing where the trace has no station that is known."""
    if _is_of_another(report):
        return []
    where = context(report)
    way = stations(_within_interrupt(_own_frames(report)))
    if len(way) > 1 and way[-1][1].startswith(("do_page_fault", "exc_page_fault")):
        way = way[:-1]  # the handler of this very fault
    struck = max((at for at, (words, _) in enumerate(way) if words == _STRIKES), default=0)
    if way[struck + 1 : struck + 2] and way[struck + 1][0] != "NAPI poll":
        way = way[struck:]  # only packets come to a soft interrupt from what it struck (loopback)
    statements: list[Statement] = []
    if where:
        statements.append(Statement(_context_sentence(where, report), "likely"))
    if len(way) > 1:
        functions = " > ".join(function for _, function in way)
        statements.append(
            Statement(
                "The way in: " + " → ".join(words for words, _ in way) + ".", "likely", (functions,)
            )
        )
    return statements


def _context_sentence(where: str, report: CrashReport) -> str:
    comm = report.comm
    if where in ("soft interrupt", "interrupt", "NMI"):
        idle = (comm or "").startswith("swapper/")
        task = (
            "; the CPU was idle before"
            if idle
            else f"; the task it names, {comm}, need not be involved"
            if comm and report.kind not in _OWN_STACK
            else ""
        )
        return f"It happened in {'an' if where[0] in 'iN' else 'a'} {where}{task}."
    if where == "system call":
        task = f" of {comm}" if comm else ""
        pid = f" (pid {report.pid})" if task and report.pid is not None else ""
        return f"It happened in process context, in a system call{task}{pid}."
    return f"It happened in a kernel thread{f', {comm}' if comm else ''}."


def _is_of_another(report: CrashReport) -> bool:
    """Returns whether the trace is that of another task than the one that the report names:
    the task that is named last before the trace begins says whose it is.
    """
    if _lost_its_head(report) or _lacks_its_function(report):
        return True
    start = trace_start(report.lines)
    above = report.lines if start is None else report.lines[: start + _HEADER]
    named = list(every(above, _NAMES))
    if not named:
        return False
    task = next(name for name in named[-1].groups() if name is not None).strip()
    if report.kind == "rcu-stall" and task.startswith("rcu_"):
        return True  # RCU's own thread, which is shown because it starves
    return report.comm is not None and task != report.comm.strip()


def _lost_its_head(report: CrashReport) -> bool:
    """Returns whether a slab report lacks its head: a trace there may be that of an old free."""
    return report.kind == "slab" and not any(text.startswith("BUG ") for text in report.lines)


def _lacks_its_function(report: CrashReport) -> bool:
    """Returns whether a warning's head names a function that is neither at the program counter
    nor in the trace: another CPU's trace came between.
    """
    head = first(report.lines, _WARNED)
    if head is None or report.pc is None:
        return False  # a trace without registers may have lost its first frames
    seen = (*report.frames, report.pc)
    name = base(head["function"])
    return all(base(frame.function) != name for frame in seen)
