"""The block an x86_64 kernel prints for a fault of its own, 4.18 to 6.x
(arch/x86/mm/fault.c, kernel/dumpstack.c, kernel/traps.c).

In: host, fault, random generator. Out: (level, text) lines. The registers, the instruction and the
fault address agree.
"""

from __future__ import annotations

from random import Random

from detector.simulate.blocks import KernelText, SimulatedFault, culprit, header, symbol
from detector.simulate.fleet import Host

_ALERT, _DEFAULT = 1, 4
_NON_CANONICAL = 0xDEAD_0000_0000_0100
_SYSCALL_TAIL = ("do_syscall_64", "entry_SYSCALL_64_after_hwframe")
_IRQ_TAIL = (
    "common_interrupt",
    "asm_common_interrupt",
    "cpuidle_enter_state",
    "cpuidle_enter",
    "do_idle",
    "cpu_startup_entry",
    "start_secondary",
)


def block(host: Host, random: Random, fault: SimulatedFault) -> list[KernelText]:
    """The whole block, from `BUG:` or `general protection fault` to the end of the trace."""
    protection = fault.address >= 0x1000 and random.random() < 0.2
    address = _NON_CANONICAL + fault.bug.member if protection else fault.address
    heads = _protection(host, fault, address) if protection else _page_fault(host, random, fault)
    registers = _registers(random, fault, address)
    where = f"RIP: 0010:{symbol(host, culprit(fault.bug))}"
    place = [where, f"Code: {_code(random, fault)}", *registers]
    texts = [*heads, header(host, fault), f"Hardware name: {host.kernel.hardware}", *place]
    texts += ["Call Trace:", *_trace(host, random, fault), f"Modules linked in: {fault.modules}"]
    if not protection:
        texts.append(f"CR2: {address:016x}")
    trace = f"{random.getrandbits(64):016x}" if host.kernel.generation < (5, 19) else "0" * 16
    texts += [f"---[ end trace {trace} ]---", *place]
    alerts = 1 if protection or host.kernel.generation < (4, 20) else 3
    return [(_ALERT if number < alerts else _DEFAULT, text) for number, text in enumerate(texts)]


def _options(host: Host) -> str:
    """Returns what __die puts after the counter: build options, and how page tables are
    isolated.
    """
    preempt = "PREEMPT " if "PREEMPT" in host.kernel.build else ""
    return f"{preempt}SMP {'PTI' if host.kernel.generation < (5, 5) else 'NOPTI'}"


def _protection(host: Host, fault: SimulatedFault, address: int) -> list[str]:
    """A general protection fault: bare up to 5.4, with its address from 5.5, behind `Oops: `
    from 6.10.
    """
    counted = f"0000 [#{fault.count}] {_options(host)}"
    if host.kernel.generation < (5, 5):
        return [f"general protection fault: {counted}"]
    lead = "Oops: " if host.kernel.generation >= (6, 10) else ""
    return [
        (
            f"{lead}general protection fault, probably for non-canonical address 0x{address:x}: "
            f"{counted}"
        )
    ]


def _page_fault(host: Host, random: Random, fault: SimulatedFault) -> list[str]:
    """show_fault_oops and its page-table walk, in the words of the kernel's generation."""
    null, generation = fault.address < 0x1000, host.kernel.generation
    oops = "Oops: Oops: 0000" if generation >= (6, 10) else "Oops: 0000"
    walk = (
        "PGD 0 P4D 0 "
        if null or fault.address < 1 << 47
        else f"PGD {random.getrandbits(24) << 12:x} P4D 0 "
    )
    tail = [walk, f"{oops} [#{fault.count}] {_options(host)}"]
    if generation < (4, 20):
        what = "NULL pointer dereference" if null else "paging request"
        return [f"BUG: unable to handle kernel {what} at {fault.address:016x}", *tail]
    head = (
        "BUG: kernel NULL pointer dereference, address: "
        if null
        else "BUG: unable to handle page fault for address: "
    )
    return [
        f"{head}{fault.address:016x}",
        "#PF: supervisor read access in kernel mode",
        "#PF: error_code(0x0000) - not-present page",
        *tail,
    ]


def _registers(random: Random, fault: SimulatedFault, address: int) -> list[str]:
    """__show_regs: general registers with rbx as the base of the faulting read, segments,
    control registers.
    """
    names = (
        "RAX",
        "RBX",
        "RCX",
        "RDX",
        "RSI",
        "RDI",
        "RBP",
        "R08",
        "R09",
        "R10",
        "R11",
        "R12",
        "R13",
        "R14",
        "R15",
    )
    values = {
        name: random.choice(
            (0, 1, 0xFFFF_9A00_0000_0000 + random.getrandbits(40), random.getrandbits(20))
        )
        for name in names
    }
    values["RBX"] = (address - fault.bug.member) % 2**64
    rows = [
        " ".join(f"{name}: {values[name]:016x}" for name in names[start : start + 3])
        for start in range(0, 15, 3)
    ]
    stack, task = (
        f"ffffb1{random.getrandbits(36) << 4:010x}",
        f"ffff9a{random.getrandbits(24) << 16:010x}",
    )
    thread = 0 if fault.in_interrupt else 0x7F0000000000 + random.getrandbits(36)
    cr2 = 0x7F0010002000 if address >> 16 == _NON_CANONICAL >> 16 else address
    return [
        f"RSP: {'0000' if fault.in_interrupt else '0018'}:{stack} EFLAGS: 00010206",
        *rows,
        f"FS:  {thread:016x}(0000) GS:{task}(0000) knlGS:0000000000000000",
        "CS:  0010 DS: 0000 ES: 0000 CR0: 0000000080050033",
        f"CR2: {cr2:016x} CR3: {random.getrandbits(24) << 12:016x} CR4: 00000000007706e0",
        "PKRU: 55555554",
    ]


def _trace(host: Host, random: Random, fault: SimulatedFault) -> list[str]:
    """The call trace with one unreliable entry, the marks of the context, and the user
    registers after a system call.
    """
    worker = fault.comm.startswith("kworker")
    tail = _IRQ_TAIL if fault.in_interrupt else ("ret_from_fork",) if worker else _SYSCALL_TAIL
    frames = [f" {symbol(host, name)}" for name in (*fault.bug.path, *tail)]
    unreliable = "tcp_rcv_state_process" if fault.in_interrupt else "__check_object_size"
    frames.insert(1, f" ? {symbol(host, unreliable)}")
    if fault.in_interrupt:
        frames = [" <IRQ>", *frames, " </IRQ>"]
    if host.kernel.generation >= (5, 15):
        frames = (
            [*frames, " <TASK>", " </TASK>"]
            if fault.in_interrupt
            else [" <TASK>", *frames, " </TASK>"]
        )
    if fault.in_interrupt or worker:
        return frames
    user = f"RIP: 0033:0x{0x7F0000000000 + random.getrandbits(36):x}"
    closing = " </TASK>" if frames[-1] == " </TASK>" else None
    body = frames[:-1] if closing else frames
    stack = (
        f"RSP: 002b:{0x7FFC00000000 + random.getrandbits(32):016x} EFLAGS: 00000246 ORIG_RAX: "
        "000000000000002f"
    )
    return [*body, user, stack, *([closing] if closing else [])]


def _code(random: Random, fault: SimulatedFault) -> str:
    """64 bytes with the faulting instruction at byte 42: `mov rax, [rbx + member]`, whose
    displacement takes one or four bytes.
    """
    member = fault.bug.member
    load = (
        [0x48, 0x8B, 0x43, member]
        if member < 0x80
        else [0x48, 0x8B, 0x83, *member.to_bytes(4, "little")]
    )
    code = (
        [random.getrandbits(8) for _ in range(42)]
        + load
        + [random.getrandbits(8) for _ in range(22 - len(load))]
    )
    return " ".join(
        f"<{byte:02x}>" if number == 42 else f"{byte:02x}" for number, byte in enumerate(code)
    )
