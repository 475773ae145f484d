"""Crashes of user programs as the kernel reports them: the noise, each with the block that
its kernel prints.

In: a host and a random generator. Out: a `UserFault`: process, kind and lines. The formats are
those of arch/*/mm/fault.c and arch/*/kernel/traps.c of the host's kernel; nothing here reports a
fault of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from detector.noise import UNNAMED
from detector.simulate.fleet import Arch, Host

UserText = tuple[int, str]
_NAMELESS = ("s390-user-process-fault",)
_INFO = 6

PROCESSES = (
    "python3", "java", "node", "nginx", "Web Content", "MediaPD~der #12", "Trash:store1",
    "plugin-containe", "agent[7]", "gc/worker-0",
)  # fmt: skip
_LIBRARIES = (
    "libc.so.6",
    "libpython3.9.so.1.0",
    "libjvm.so",
    "libcrypto.so.3",
    "ld-linux.so",
    "app.bin",
)


@dataclass(frozen=True, slots=True)
class UserFault:
    """One user crash. `process` is the comm, or UNNAMED where the head names none; `texts` are
    (level, text), the head first.
    """

    process: str
    kind: str
    texts: tuple[UserText, ...]


def user_fault(host: Host, random: Random, process: str | None = None) -> UserFault:
    """A crash of `process` (any, if None) on `host`, in the words of its architecture and
    kernel.
    """
    comm = process or random.choice(PROCESSES)
    kind, texts = _WRITERS[host.kernel.arch](host, random, comm, random.randrange(300, 4_000_000))
    return UserFault(
        UNNAMED if kind in _NAMELESS else comm, kind, tuple((_INFO, text) for text in texts)
    )


def _library(random: Random, base_top: int) -> str:
    base = base_top + random.getrandbits(19) * 0x1000
    return f"{random.choice(_LIBRARIES)}[{base:x}+{random.randrange(1, 512) * 0x1000:x}]"


def _who(host: Host, random: Random, comm: str, pid: int) -> str:
    user = " UID: 1000" if host.kernel.generation >= (6, 11) else ""
    release = f"{host.kernel.release} {host.kernel.build.split()[0]}"
    return f"CPU: {random.randrange(host.cpus)}{user} PID: {pid} Comm: {comm} Not tainted {release}"


def _arm64(host: Host, random: Random, comm: str, pid: int) -> tuple[str, list[str]]:
    """arch/arm64: `unhandled level 3 translation fault (11)` up to 4.16, `unhandled exception:
    DABT (lower EL)` after.
    """
    level = random.randrange(1, 4)
    esr = 0x92000004 + level + random.choice((0, 0x40))
    address = random.choice((0, 8, 0x30, 0x128, 0xFFFF00000000 + random.getrandbits(28)))
    pc, lr, stack = (0xFFFF80000000 + random.getrandbits(29) * 4 for _ in range(3))
    where = f"in {_library(random, 0xFFFF80000000)}"
    if host.kernel.generation < (4, 17):
        head = (
            f"{comm}[{pid}]: unhandled level {level} translation fault (11) at 0x{address:08x}, "
            f"esr 0x{esr:08x}, {where}"
        )
    elif host.kernel.generation < (5, 19):
        head = (
            f"{comm}[{pid}]: unhandled exception: DABT (lower EL), ESR 0x{esr:08x}, level "
            f"{level} translation fault {where}"
        )
    else:
        head = (
            f"{comm}[{pid}]: unhandled exception: DABT (lower EL), ESR 0x{esr:016x}, level "
            f"{level} translation fault {where}"
        )
    texts = [head, _who(host, random, comm, pid), f"Hardware name: {host.kernel.hardware}"]
    if host.kernel.generation < (4, 17):
        texts += [
            (
                f"task: ffff80{random.getrandbits(40):010x} task.stack: "
                f"ffff80{random.getrandbits(40):010x}"
            ),
            f"PC is at 0x{pc:x}",
            f"LR is at 0x{lr:x}",
            f"pc : [<{pc:016x}>] lr : [<{lr:016x}>] pstate: 80000000",
        ]
    else:
        texts += [
            (
                "pstate: 80001000 (Nzcv daif -PAN "
                f"-UAO{' -TCO -DIT +SSBS' if host.kernel.generation >= (5, 10) else ''} "
                "BTYPE=--)"
            )
        ]
        texts += [f"pc : {pc:016x}", f"lr : {lr:016x}"]
    return "arm64-unhandled", [*texts, f"sp : {stack:016x}", *_arm64_registers(host, random, stack)]


def _arm64_registers(host: Host, random: Random, stack: int) -> list[str]:
    """x29 to x0 of a user process: three a row from 5.13 on, two before, as __show_regs writes
    them.
    """
    values = [
        random.choice((0, 1, 0xFFFF80000000 + random.getrandbits(28), random.getrandbits(16)))
        for _ in range(29)
    ] + [stack]
    width = 3 if host.kernel.generation >= (5, 13) else 2
    rows = [range(top, top - width, -1) for top in range(29, -1, -width)]
    return [" ".join(f"x{number:<2}: {values[number]:016x}" for number in row) for row in rows]


def _x86(host: Host, random: Random, comm: str, pid: int) -> tuple[str, list[str]]:
    """arch/x86: show_signal_msg (`segfault at`), and `traps:` of do_trap and the general
    protection handler.
    """
    ip, sp = 0x7F0000000000 + random.getrandbits(36), 0x7FFC00000000 + random.getrandbits(32)
    where = f"in {_library(random, 0x7F0000000000 + (random.getrandbits(8) << 32))}"
    form = random.randrange(5)
    if form == 0:
        fault = (
            "general protection fault"
            if host.kernel.generation >= (4, 20)
            else "general protection"
        )
        return "x86-trap", [f"traps: {comm}[{pid}] {fault} ip:{ip:x} sp:{sp:x} error:0 {where}"]
    if form == 1:
        return "x86-trap", [
            f"traps: {comm}[{pid}] trap invalid opcode ip:{ip:x} sp:{sp:x} error:0 {where}"
        ]
    address = random.choice((0, 8, 0x58, random.getrandbits(47)))
    head = (
        f"{comm}[{pid}]: segfault at {address:x} ip {ip:016x} sp {sp:016x} error "
        f"{random.choice((4, 6, 14, 15))} {where}"
    )
    if host.kernel.generation >= (6, 1):
        cpu = random.randrange(host.cpus)
        head += f" likely on CPU {cpu} (core {cpu // 2}, socket 0)"
    code = [f"{random.getrandbits(8):02x}" for _ in range(64)]
    code[42] = f"<{code[42]}>"
    return "x86-segfault", [head, f"Code: {' '.join(code)}"] if host.kernel.generation >= (
        4,
        20,
    ) else [head]


def _ppc(_host: Host, random: Random, comm: str, pid: int) -> tuple[str, list[str]]:
    """arch/powerpc/kernel/traps.c show_signal_msg, with the two code lines of
    show_user_instructions.
    """
    nip, lr = (0x7FFF80000000 + random.getrandbits(29) for _ in range(2))
    address = random.choice((0, 0x10, 0xC000000000000000 + random.getrandbits(32)))
    head = (
        f"{comm}[{pid}]: segfault (11) at {address:x} nip {nip:x} lr {lr:x} code 1 in "
        f"{_library(random, 0x7FFF80000000)}"
    )
    codes = [" ".join(f"{random.getrandbits(32):08x}" for _ in range(8)) for _ in range(2)]
    return "ppc-segfault", [
        head,
        f"{comm}[{pid}]: code: {codes[0]}",
        f"{comm}[{pid}]: code: <{codes[1][:8]}>{codes[1][8:]}",
    ]


def _s390(host: Host, random: Random, comm: str, pid: int) -> tuple[str, list[str]]:
    """arch/s390/mm/fault.c report_user_fault: the process is named only by the `CPU:` line."""
    address, psw = 0x3FF00000000 + random.getrandbits(30), 0x3FF80000000 + random.getrandbits(28)
    rows = [" ".join(f"{random.getrandbits(40):016x}" for _ in range(4)) for _ in range(4)]
    return "s390-user-process-fault", [
        f"User process fault: interruption code 003b ilc:2 in {_library(random, 0x3FF80000000)}",
        f"Failing address: {address & ~0xFFF:016x} TEID: {address & ~0xFFF | 0x804:016x}",
        "Fault in primary space mode while using user ASCE.",
        f"AS:{random.getrandbits(32):016x} R3:0000000000000024 ",
        _who(host, random, comm, pid),
        f"Hardware name: {host.kernel.hardware}",
        f"User PSW : 0705000180000000 {psw:016x}",
        "           R:0 T:1 IO:1 EX:1 Key:0 M:1 W:0 P:1 AS:0 CC:0 PM:0 RI:0 EA:3",
        f"User GPRS: {rows[0]}",
        *(f"           {row}" for row in rows[1:]),
        f"User Code: {psw - 4:016x}: a7f4000a brc 15,{psw + 16:016x}",
        "Last Breaking-Event-Address:",
        f" [<{psw - 64:016x}>] {_library(random, 0x3FF80000000)}",
    ]


def _riscv(host: Host, random: Random, comm: str, pid: int) -> tuple[str, list[str]]:
    """arch/riscv/kernel/traps.c do_trap, with __show_regs."""
    address, epc = random.getrandbits(38), 0x3F80000000 + random.getrandbits(28)
    groups = (
        ("gp", "tp", "t0"),
        ("t1", "t2", "s0"),
        ("s1", "a0", "a1"),
        ("a2", "a3", "a4"),
        ("a5", "a6", "a7"),
        ("s2", "s3", "s4"),
    )
    return "riscv-unhandled-signal", [
        (
            f"{comm}[{pid}]: unhandled signal 11 code 0x1 at 0x{address:016x} in "
            f"{_library(random, 0x3F80000000)}"
        ),
        _who(host, random, comm, pid),
        f"Hardware name: {host.kernel.hardware}",
        f"epc : {epc:016x} ra : {epc + 128:016x} sp : {0x3FFF000000 + random.getrandbits(20):016x}",
        *(
            " " + " ".join(f"{name} : {random.getrandbits(38):016x}" for name in group)
            for group in groups
        ),
        f"status: 8000000200006020 badaddr: {address:016x} cause: 000000000000000d",
    ]


def _arm(host: Host, random: Random, comm: str, pid: int) -> tuple[str, list[str]]:
    """arch/arm/mm/alignment.c `Alignment trap`, and __do_user_fault with `user_debug=` set."""
    pc, address = 0x10000 + random.getrandbits(20) * 4, random.getrandbits(31)
    if random.random() < 0.5:
        return "arm-alignment", [
            (
                f"Alignment trap: {comm} ({pid}) PC=0x{pc:08x} "
                f"Instr=0x{random.getrandbits(32):08x} Address=0x{address:08x} FSR 0x001"
            )
        ]
    registers = [f"{random.getrandbits(31):08x}" for _ in range(12)]
    return "arm-unhandled", [
        "8<--- cut here ---",
        f"{comm}: unhandled page fault (11) at 0x{address:08x}, code 0x005",
        f"[{address:08x}] *pgd=00000000",
        _who(host, random, comm, pid),
        f"Hardware name: {host.kernel.hardware}",
        f"PC is at 0x{pc:x}",
        f"LR is at 0x{pc + 64:x}",
        f"pc : [<{pc:08x}>]    lr : [<{pc + 64:08x}>]    psr: 60000010",
        f"sp : be{random.getrandbits(24):06x}  ip : {registers[11]}  fp : {registers[10]}",
        *(
            " ".join(f"r{n} : {registers[n]} " for n in range(top, top - 4, -1)).rstrip()
            for top in (7, 3)
        ),
        "Flags: nZCv  IRQs on  FIQs on  Mode USER_32  ISA ARM  Segment user",
        f"Control: 30c5383d  Table: {random.getrandbits(28):08x}  DAC: 55555555",
    ]


_WRITERS: dict[Arch, Callable[[Host, Random, str, int], tuple[str, list[str]]]] = {
    "arm64": _arm64, "x86_64": _x86, "ppc64le": _ppc, "s390x": _s390, "riscv64": _riscv,
    "arm": _arm,
}  # fmt: skip
