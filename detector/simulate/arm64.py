"""The block an arm64 kernel prints for a fault of its own, 4.14 to 6.x
(arch/arm64/mm/fault.c, kernel/traps.c, kernel/process.c).

In: host, fault, random generator. Out: (level, text) lines. The registers, the instruction and the
fault address agree.
"""

from __future__ import annotations

from random import Random

from detector.simulate.blocks import KernelText, SimulatedFault, address_of, culprit, header, symbol
from detector.simulate.fleet import Host

_ALERT, _EMERG, _WARN = 1, 0, 4
_BASE, _TARGET = 19, 3
_FRAME_TAIL = ("el0_svc_common.constprop.0", "do_el0_svc", "el0_svc")
_IDLE_TAIL = (
    "el1_irq",
    "arch_cpu_idle",
    "default_idle_call",
    "do_idle",
    "cpu_startup_entry",
    "secondary_start_kernel",
)


def block(host: Host, random: Random, fault: SimulatedFault) -> list[KernelText]:
    """The whole block, from `Unable to handle kernel` to the end of the trace."""
    esr = 0x96000000 | (4 if fault.address < 0x1000 else random.choice((5, 6, 7)))
    generation = host.kernel.generation
    what = "NULL pointer dereference" if fault.address < 0x1000 else "paging request"
    width = 8 if generation < (4, 17) else 16
    head = f"Unable to handle kernel {what} at virtual address {fault.address:0{width}x}"
    texts: list[KernelText] = [
        (_ALERT, text)
        for text in (head, *_abort(generation, esr), *_tables(generation, random, fault.address))
    ]
    code = f"{esr:016x}" if generation >= (6, 0) else f"{esr:x}"
    preempt = " PREEMPT" if "PREEMPT" in host.kernel.build and generation < (6, 11) else ""
    texts.append((_EMERG, f"Internal error: Oops: {code} [#{fault.count}]{preempt} SMP"))
    texts += [(_WARN, text) for text in (*_state(host, random, fault), *_trace(host, fault))]
    texts.append((_EMERG, f"Code: {_code(random, fault)}"))
    trace = f"{random.getrandbits(64):016x}" if generation < (5, 19) else "0" * 16
    return [*texts, (_WARN, f"---[ end trace {trace} ]---")]


def _abort(generation: tuple[int, int], esr: int) -> list[str]:
    """mem_abort_decode: 4.14 has no ESR line and says `Exception class`; FSC came with 5.11,
    ISS2 and GCS with 6.6.
    """
    status = esr & 0x3F
    texts = ["Mem abort info:"]
    if generation >= (4, 19):
        texts.append(f"  ESR = 0x{esr:016x}" if generation >= (6, 0) else f"  ESR = 0x{esr:08x}")
    kind = (
        "EC = 0x25: DABT (current EL)"
        if generation >= (5, 4)
        else "Exception class = DABT (current EL)"
    )
    texts += [f"  {kind}, IL = 32 bits", "  SET = 0, FnV = 0", "  EA = 0, S1PTW = 0"]
    if generation >= (5, 11):
        texts.append(f"  FSC = 0x{status:02x}: level {status - 4} translation fault")
    texts.append("Data abort info:")
    if generation >= (6, 6):
        return [
            *texts, f"  ISV = 0, ISS = 0x{status:08x}, ISS2 = 0x00000000", ("  CM = 0, WnR = 0, "
                                                                           "TnD = 0, TagAccess = "
                                                                           "0"),
            "  GCS = 0, Overlay = 0, DirtyBit = 0, Xs = 0",
        ]  # fmt: skip
    return [*texts, f"  ISV = 0, ISS = 0x{status:08x}", "  CM = 0, WnR = 0"]


def _tables(generation: tuple[int, int], random: Random, address: int) -> list[str]:
    """show_pte, whose names for the levels changed with 4.19 (pgdp) and 5.8 (p4d)."""
    owner = "swapper" if address >> 48 == 0xFFFF else "user"
    table = random.getrandbits(28) << 12
    if generation < (4, 17):
        pgtable = f"{owner} pgtable: 64k pages, 48-bit VAs, pgd = ffff80{table:010x}"
        return [pgtable, f"[{address:016x}] *pgd=0000000000000000, *pud=0000000000000000"]
    pgtable = (
        f"{owner} pgtable: 4k pages, 48-bit VAs, "
        f"pgdp={'' if generation >= (5, 0) else ' '}{table:016x}"
    ).replace("= ", " = ")
    levels = (
        "pgd=0000000000000000, p4d=0000000000000000"
        if generation >= (5, 8)
        else "pgd=0000000000000000"
    )
    return [pgtable, f"[{address:016x}] {levels}"]


def _state(host: Host, random: Random, fault: SimulatedFault) -> list[str]:
    """print_modules, dump_stack_print_info and __show_regs."""
    generation, stack = host.kernel.generation, 0xFFFF_0000_0A00_0000 + random.getrandbits(20) * 16
    here, caller = culprit(fault.bug), fault.bug.path[0]
    texts = [f"Modules linked in: {fault.modules}"]
    if (4, 17) <= generation < (5, 0):
        texts.append(
            f"Process {fault.comm} (pid: {fault.pid}, stack limit = "
            f"0x{random.getrandbits(32):016x})"
        )
    texts += [header(host, fault), f"Hardware name: {host.kernel.hardware}"]
    if generation < (4, 17):
        pc, lr = address_of(host, here), address_of(host, caller)
        texts.append(
            f"task: ffff80{random.getrandbits(33) << 7:010x} task.stack: "
            f"ffff00000{random.getrandbits(12) << 16:07x}"
        )
        texts += [f"PC is at {symbol(host, here)}", f"LR is at {symbol(host, caller)}"]
        texts.append(f"pc : [<{pc:016x}>] lr : [<{lr:016x}>] pstate: 80400009")
    else:
        flags = "+PAN +UAO" if generation < (5, 10) else "+PAN -UAO -TCO -DIT -SSBS BTYPE=--"
        texts += [
            f"pstate: 80400009 (Nzcv daif {flags})",
            f"pc : {symbol(host, here)}",
            f"lr : {symbol(host, caller)}",
        ]
    texts += [f"sp : {stack:016x}", *_registers(generation, random, fault, stack)]
    if generation < (4, 17):
        texts.append(
            f"Process {fault.comm} (pid: {fault.pid}, stack limit = 0x{stack & ~0xFFFF:016x})"
        )
    return texts


def _registers(
    generation: tuple[int, int], random: Random, fault: SimulatedFault, stack: int
) -> list[str]:
    """x29 to x0, two in a row and from 5.13 on three; the base register holds the fault address
    less the member's offset.
    """
    choices = (
        0,
        1,
        0xFFFF_8000_0000_0000 + random.getrandbits(40),
        0xFFFF_0000_0800_0000 + random.getrandbits(24),
        random.getrandbits(16),
    )
    values = [random.choice(choices) for _ in range(29)] + [stack]
    values[_BASE] = (fault.address - fault.bug.member) % 2**64
    width = 3 if generation >= (5, 13) else 2
    return [
        " ".join(f"x{n:<2}: {values[n]:016x}" for n in range(top, top - width, -1))
        for top in range(29, -1, -width)
    ]


def _trace(host: Host, fault: SimulatedFault) -> list[str]:
    """The call trace: with addresses in brackets up to 4.14, symbols alone after."""
    tail = (
        _IDLE_TAIL
        if fault.in_interrupt
        else ()
        if fault.comm.startswith("kworker")
        else _FRAME_TAIL
    )
    names = [culprit(fault.bug), *fault.bug.path, *tail]
    if host.kernel.generation < (4, 17):
        return [
            "Call trace:",
            *(f"[<{address_of(host, name):016x}>] {symbol(host, name)}" for name in names),
        ]
    return ["Call trace:", *(f" {symbol(host, name)}" for name in names)]


def _code(random: Random, fault: SimulatedFault) -> str:
    """Four words and the faulting one: `ldr x3, [x19, #member]`, or `ldr w3` where the offset
    is a multiple of four only.
    """
    member = fault.bug.member
    load = 0xF9400000 | (member // 8) << 10 if member % 8 == 0 else 0xB9400000 | (member // 4) << 10
    before = random.sample(
        (
            "eb01001f",
            "54000260",
            "d101a013",
            "b4000253",
            "aa0003f3",
            "f9400a60",
            "b9400261",
            "910003fd",
        ),
        4,
    )
    return f"{' '.join(before)} ({load | _BASE << 5 | _TARGET:08x})"
