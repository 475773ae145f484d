"""Faults of the kernel: which bug strikes, and the text around it that is the same on every
architecture.

In: a host and a random generator. Out: (level, text) lines of a whole fault, a warning or a
socket-release line. The architectures' blocks themselves are in `arm64` and `x86`.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from detector.simulate import arm64, x86
from detector.simulate.blocks import KernelText, SimulatedBug, SimulatedFault
from detector.simulate.fleet import Host

_SOFTIRQ = (
    *(
        "tcp_v4_rcv",
        "ip_protocol_deliver_rcu",
        "ip_local_deliver_finish",
        "ip_local_deliver",
        "ip_rcv_finish",
        "ip_rcv",
    ),
    *(
        "__netif_receive_skb_core",
        "__netif_receive_skb_one_core",
        "netif_receive_skb_internal",
        "napi_gro_receive",
    ),
    *(
        "mlx5e_handle_rx_cqe [mlx5_core]",
        "mlx5e_poll_rx_cq [mlx5_core]",
        "mlx5e_napi_poll [mlx5_core]",
    ),
    *("net_rx_action", "__do_softirq", "irq_exit"),
)
_NETLINK = (
    "__inet_diag_dump",
    "inet_diag_dump [inet_diag]",
    "netlink_dump",
    "netlink_recvmsg",
    "sock_recvmsg",
    "__sys_recvmsg",
)
_CLOSE = ("inet_release", "__sock_release", "sock_close", "__fput", "____fput", "task_work_run")
_READ = ("tcp_seq_next", "seq_read_iter", "seq_read", "proc_reg_read", "vfs_read", "ksys_read")
_WORKER = ("process_one_work", "worker_thread", "kthread")
_MAP = (
    "ext4_ext_map_blocks [ext4]",
    "ext4_map_blocks [ext4]",
    "ext4_mpage_readpages [ext4]",
    "read_pages",
    "filemap_fault",
    "__do_fault",
)
_DISPATCH = (
    "blk_mq_dispatch_rq_list",
    "__blk_mq_do_dispatch_sched",
    "blk_mq_sched_dispatch_requests",
    "blk_mq_run_work_fn",
)
_COMMIT = (
    "xfs_trans_committed_bulk [xfs]",
    "xlog_cil_process_committed [xfs]",
    "xlog_state_do_callback [xfs]",
)

BUGS: tuple[SimulatedBug, ...] = (
    SimulatedBug("__inet_lookup_listener", "", _SOFTIRQ, "swapper", 0x30, "page"),
    SimulatedBug("__inet_lookup_established", "", _SOFTIRQ, "swapper", 0x0C, "page"),
    SimulatedBug(
        "tcp_md5_do_lookup", "", ("tcp_v4_inbound_md5_hash", *_SOFTIRQ), "swapper", 0x990, "null"
    ),
    SimulatedBug("inet_diag_dump_icsk", "inet_diag", _NETLINK, "ss", 0x30, "page"),
    SimulatedBug("listening_get_next.isra.0", "", _READ, "netstat", 0x30, "page"),
    SimulatedBug("ipv6_sock_mc_close", "", ("inet6_release", *_CLOSE[1:]), "proxyd", 0x58, "null"),
    SimulatedBug("inet_csk_listen_stop", "", ("tcp_close", *_CLOSE), "haproxy", 0x88, "null"),
    SimulatedBug("sk_filter_trim_cap", "", _SOFTIRQ, "swapper", 0x18, "null"),
)
UNRELATED_BUGS: tuple[SimulatedBug, ...] = (
    SimulatedBug("ext4_find_extent", "ext4", _MAP, "rsync", 0x28, "null"),
    SimulatedBug("nvme_queue_rq", "nvme", (*_DISPATCH, *_WORKER), "kworker/3:1H", 0x10, "page"),
    SimulatedBug(
        "xfs_trans_ail_update_bulk", "xfs", (*_COMMIT, *_WORKER), "kworker/17:2", 0x40, "page"
    ),
)
_MODULES = (
    "mlx5_ib mlx5_core inet_diag bonding ipmi_si ipmi_devintf ipmi_msghandler nf_conntrack "
    "overlay xfs ext4 nvme nvme_core"
)


@dataclass(frozen=True, slots=True)
class SimulatedCrash:
    """The course of one fault: the bug, which fault of its boot it is (1 is the first), and
    whether the host goes down with it.
    """

    bug: SimulatedBug
    count: int
    panics: bool = False


def fault_block(host: Host, random: Random, crash: SimulatedCrash) -> list[KernelText]:
    """The whole block that `crash` prints on `host`, the head first."""
    bug = crash.bug
    in_interrupt = bug.comm == "swapper"
    cpu = random.randrange(host.cpus)
    address = _address(host, random, bug)
    comm, pid = (
        (f"swapper/{cpu}", 0) if in_interrupt else (bug.comm, random.randrange(900, 900_000))
    )
    fault = SimulatedFault(bug, address, cpu, pid, comm, crash.count, _MODULES, in_interrupt)
    texts = (
        arm64.block(host, random, fault)
        if host.kernel.arch == "arm64"
        else x86.block(host, random, fault)
    )
    return texts + (_panic(host, random, in_interrupt) if crash.panics else [])


def _address(host: Host, random: Random, bug: SimulatedBug) -> int:
    """A null pointer's member, a nulls end mark taken for a socket (odd, small), or a pointer
    that led astray.
    """
    if bug.kind == "null":
        return bug.member
    if random.random() < 0.6:
        return ((random.randrange(0x1000, 0x7FFFF) << 1) | 1) - 0x38
    top = 0xFFFF_0000_0000_0000 if host.kernel.arch == "arm64" else 0xFFFF_9000_0000_0000
    return top + random.getrandbits(36) * 8


def _panic(host: Host, random: Random, in_interrupt: bool) -> list[KernelText]:
    """The tail of kernel/panic.c; the last line of a host before its watchdog or kdump starts
    it again.
    """
    why = "Fatal exception in interrupt" if in_interrupt else "Fatal exception"
    stopping, base = ("SMP: stopping secondary CPUs", "ffff800010000000")
    if host.kernel.arch == "x86_64":
        stopping, base = ("Shutting down cpus with NMI", "ffffffff81000000")
    return [
        (0, f"Kernel panic - not syncing: {why}"),
        (2, stopping),
        (0, f"Kernel Offset: 0x{random.getrandbits(12) << 16:x} from 0x{base}"),
        (0, f"---[ end Kernel panic - not syncing: {why} ]---"),
    ]


def release(host: Host, random: Random, state: int = 10) -> KernelText:
    """The line of inet_sock_destruct (net/ipv4/af_inet.c); kernels from 4.15 on hash the
    pointer.
    """
    if host.kernel.pointers_hashed:
        return (
            3,
            f"IPv4: Attempt to release TCP socket in state {state} {random.getrandbits(32):016x}",
        )
    return (
        3,
        (
            f"IPv4: Attempt to release TCP socket in state {state} "
            f"ffff80{random.getrandbits(37) << 3:010x}"
        ),
    )


def refcount_warning(host: Host, random: Random) -> list[KernelText]:
    """The warning that a doubly released socket draws before the fault: a trace of its own that
    belongs to no incident.
    """
    cpu, pid = random.randrange(host.cpus), random.randrange(900, 900_000)
    tainted = f"Not tainted {host.kernel.release} {host.kernel.build.split()[0]}"
    trace = f"{random.getrandbits(64):016x}" if host.kernel.generation < (5, 19) else "0" * 16
    texts = [
        "------------[ cut here ]------------",
        "refcount_t: saturated; leaking memory.",
        f"WARNING: CPU: {cpu} PID: {pid} at lib/refcount.c:22 refcount_warn_saturate+0x61/0xe0",
        f"Modules linked in: {_MODULES}",
        f"CPU: {cpu} PID: {pid} Comm: proxyd {tainted}",
        f"Hardware name: {host.kernel.hardware}",
        "RIP: 0010:refcount_warn_saturate+0x61/0xe0"
        if host.kernel.arch == "x86_64"
        else "pc : refcount_warn_saturate+0x6c/0x144",
        "Call Trace:" if host.kernel.arch == "x86_64" else "Call trace:",
        " refcount_warn_saturate+0x6c/0x144",
        " __tcp_close+0x3c4/0x440",
        " tcp_close+0x1f/0x70",
        " inet_release+0x2e/0x60",
        " __sock_release+0x37/0xa0",
        f"---[ end trace {trace} ]---",
    ]
    return [(4, text) for text in texts]
