"""Crashes written by hand, and the shipped known issues and struct layouts."""

from __future__ import annotations

import tomllib
from pathlib import Path

from detector.catalogue import Catalogue
from detector.catalogue.known_issues import KnownIssue, StructLayout
from detector.model import Boot, CrashReport, Frame, Match

PATTERNS = Path(__file__).parents[2] / "patterns"


def shipped() -> Catalogue:
    """The known issues and layouts that the project ships, without its signatures."""
    tables = [
        tomllib.loads(path.read_text())
        for path in sorted(PATTERNS.glob("*/*.toml"))
        if path.parent.name in ("known-issues", "structs")
    ]
    return Catalogue(
        known_issues=tuple(
            KnownIssue.model_validate(issue)
            for table in tables
            for issue in table.get("known-issue", ())
        ),
        structs=tuple(
            StructLayout.model_validate(layout)
            for table in tables
            for layout in table.get("struct", ())
        ),
    )


def match(text: str, cls: str, time_us: int | None = 1_000_000, **fields: str) -> Match:
    """A kernel match of this class."""
    return Match(
        f"kernel.{cls}", cls, "kernel", "error", text, fields, "-", 1, "h", Boot(), time_us, None
    )


def release(
    state: int, socket: str = "ffff805624a7b800", time_us: int | None = 61_817_741_312_094
) -> Match:
    """The line that says a socket was released in a state."""
    text = f"IPv4: Attempt to release TCP socket in state {state} {socket}"
    return match(text, "tcp-state", time_us, state=str(state), socket=socket)


def fault(address: str = "0001950b", time_us: int | None = 61_817_741_804_411) -> Match:
    """arm64's line of a memory fault."""
    return match(
        f"Unable to handle kernel paging request at virtual address {address}",
        "memory-fault",
        time_us,
    )


def frames(*functions: str) -> tuple[Frame, ...]:
    """A trace; `name@module` names the module."""
    parted = (name.partition("@") for name in functions)
    return tuple(Frame(name, 0x10, 0x100, module or None) for name, _, module in parted)


FOUNDING = CrashReport(
    kind="memory-fault",
    title="BUG: unable to handle kernel paging request in __inet_lookup_listener",
    function="__inet_lookup_listener",
    display_function="__inet_lookup_listener",
    offset=0xAC,
    size=0x2A8,
    kernel="4.14.0-115.el7a.0.1.aarch64",
    arch="arm64",
    comm="swapper/12",
    cpu=12,
    pid=0,
    fault_address=0x1950B,
    error_code=0x96000007,
    code=("eb01001f", "54000260", "d101a013", "b4000253", "f9401a63"),
    code_mark=4,
    registers={"x19": 0x194DB, "x0": 0x19543, "x3": 0, "pc": 0xFFFF00000873CE54},
    frames=(
        Frame("__inet_lookup_listener", 0xAC, 0x2A8),
        *frames(
            "tcp_v4_rcv",
            "ip_local_deliver_finish",
            "ip_rcv",
            "netif_receive_skb_internal",
            "napi_gro_receive",
        ),
        *frames(
            "mlx5e_handle_rx_cqe@mlx5_core",
            "mlx5e_napi_poll@mlx5_core",
            "net_rx_action",
            "__do_softirq",
            "irq_exit",
        ),
    ),
    complete=True,
)

# Invented: a plain stable kernel on x86_64, ss walking the listeners, slot 12345: M = 0x6073, sk =
# M - 0x68 = 0x600b, fault at sk + 0x30.
STABLE = CrashReport(
    kind="memory-fault",
    title="BUG: unable to handle kernel paging request in inet_diag_dump_icsk",
    function="inet_diag_dump_icsk",
    display_function="inet_diag_dump_icsk",
    offset=0x1B3,
    size=0x4F0,
    module="inet_diag",
    kernel="4.19.60",
    arch="x86_64",
    comm="ss",
    pid=4711,
    fault_address=0x603B,
    error_code=0,
    code=("4c", "89", "e7", "4d", "3b", "75", "30", "75", "08"),
    code_mark=3,
    registers={"r13": 0x600B, "r14": 0xFFFFFFFF820F1A80, "rip": 0xFFFFFFFFC0A31234, "cr2": 0x603B},
    frames=frames(
        "__inet_diag_dump@inet_diag",
        "netlink_dump",
        "netlink_recvmsg",
        "sock_recvmsg",
        "do_syscall_64",
        "entry_SYSCALL_64_after_hwframe",
    ),
    complete=True,
)
