"""Choosing a function where the top of the trace is chance: stalls, soft lockups,
overflows, hung tasks.

In: the names of a trace, top first, generic ones left out. Out: the chosen name and its place, or
None.

A CPU that loops is caught anywhere in its loop, so what names the loop stands deeper: the function
below the point where the kernel dispatches work (a system call, a timer, a softirq, a worker). A
hung task waits in a victim's stack; what it waits for names the group.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from detector.lazy_regex import lazy_regex

_DISPATCHERS = lazy_regex(
    r"""
    # work, system calls, interrupts, timers, threads
    process_one_work | do_syscall_ | do_fast_syscall_ | sysenter_dispatch | tracesys_phase2
    | el0_svc_handler | invoke_syscall
    | ret_fast_syscall | system_call_exception | do_trap_ecall_u | do_softirq | tasklet_action
    | tasklet_hi_action
    | netif_receive_skb | call_timer_fn | _run_timers | run_timer_softirq | hrtimer_run
    | run_ksoftirqd | smpboot_thread_fn
    | ^kthread$ | start_secondary | cpu_startup_entry | ret_from_fork | smp_call_function
    # system calls that lead everywhere: the function below says where
    | vfs_write | vfs_read | vfs_iter_read | vfs_iter_write | do_iter_read | do_iter_write
    | call_read_iter | call_write_iter
    | new_sync_read | new_sync_write | do_iter_readv_writev | vfs_ioctl | ksys_ioctl
    | compat_ioctl | compat_sys_ioctl
    | blkdev_driver_ioctl | blkdev_ioctl | ^call_mmap | mmap_region | do_mmap | do_dentry_open
    | vfs_open
    | ^sock_sendmsg | ^sock_recvmsg | ^sock_release | ^__sock_release | ^setsockopt$
    | kernel_setsockopt | sock_common_setsockopt
    | ^listen$ | kernel_listen | sk_common_release | ^sock_mmap | ^accept$ | kernel_accept
    | ^sock_do_ioctl | ^sock_ioctl
    | ^compat_sock_ioctl | ^nfnetlink_rcv_msg | ^rtnetlink_rcv_msg | ^netlink_dump
    | ^(?:sys_)?(?:socketpair|connect|ioctl)
    # page faults and the way back to user space
    | __do_fault | do_page_fault | ^page_fault$ | __fput | task_work_run | exit_to_usermode
    """,
    re.VERBOSE,
)
_CROSS_CALL = "smp_call_function"

_WAITED_FOR = {
    "rtnl_lock": None,
    "synchronize_rcu": "synchronize_rcu",
    "synchronize_srcu": "synchronize_rcu",
    "synchronize_net": "synchronize_rcu",
    "synchronize_sched": "synchronize_rcu",
}
"""Waits that hang because of somebody else: one group each (None keeps the function's own name)."""

_WAITING = lazy_regex(
    "sched|_lock|_slowlock|down|rwsem|completion|kthread|wait|synchronize|context_switch|__switch_to|cancel_delayed_work|rcu_barrier"
)


def stalled(names: Sequence[str]) -> tuple[str, int] | None:
    """The function that a dispatcher called; a CPU that waits for others is known by that wait.
    None without a dispatcher in sight.
    """
    for place, name in enumerate(names):
        if _DISPATCHERS.search(name):
            if _CROSS_CALL in name:
                return _CROSS_CALL, place
            before = max(place - 1, 0)
            return names[before], before
    return None


def hung(names: Sequence[str]) -> tuple[str, int] | None:
    """Returns what the task waits for where that is known to hang others; else the first
    function that is not itself a way to wait.
    """
    for place, name in enumerate(names):
        for waited, group in _WAITED_FOR.items():
            if waited in name:
                return group or name, place
    return next(
        ((name, place) for place, name in enumerate(names) if not _WAITING.search(name)), None
    )
