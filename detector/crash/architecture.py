"""Finds the architecture that printed a report: by its register dump, else its release,
else its wording.

In: the lines of a block, its release. Out: a name, or None where nothing tells.
"""

from __future__ import annotations

from collections.abc import Sequence

from detector.lazy_regex import lazy_regex

_DUMPS = tuple(
    (lazy_regex(pattern), name)
    for pattern, name in (
        (r"\s*(?:RIP|RSP|RAX|RDX): |RIP  \[<", "x86_64"),
        (r"\s*(?:EIP|EAX|ESI|eax): |EIP is at ", "i386"),
        (r"\s*(?:Krnl (?:PSW|GPRS|Code)\s*:)", "s390x"),
        (r"\s*NIP:  ?[0-9a-f]{16}|\s*GPR00: [0-9a-f]{16}", "ppc64"),
        (r"\s*NIP:  ?[0-9a-f]{8}\b|\s*GPR00: [0-9a-f]{8}\b", "ppc"),
        (r"\s*(?:epc|ra) : .*|status: [0-9a-f]{16} badaddr: ", "riscv64"),
        (r"\s*(?:ERA: |CRMD: |ESTAT: |CSR \w+)", "loongarch64"),
        (r"\$ 0   : |BadVA\s*: |PrId\s*: .* \(.*MIPS", "mips"),
        (r"\s*(?:x\d{1,2} ?: [0-9a-f]{16}|pstate: )|Mem abort info:|  ESR = 0x", "arm64"),
        (
            (
                r"\s*(?:pc : \[<[0-9a-f]{8}>\]|r10: [0-9a-f]{8}|\[<[0-9a-f]{8}>\] \(.* from "
                r")|Internal error: .* ARM$"
            ),
            "arm",
        ),
    )
)
"""Register dumps: __show_regs and show_regs of each architecture."""

_RELEASES = (
    ("aarch64", "arm64"),
    ("arm64", "arm64"),
    ("x86_64", "x86_64"),
    ("amd64", "x86_64"),
    ("ppc64", "ppc64"),
    ("s390x", "s390x"),
    ("riscv64", "riscv64"),
    ("loongarch64", "loongarch64"),
    ("armv7", "arm"),
    ("-v7", "arm"),
    ("i686", "i386"),
)
"""What distributions put into the release."""

_WORDING = tuple(
    (lazy_regex(pattern), name)
    for pattern, name in (
        # entry code and system calls, as traces name them
        (r"\b(?:entry_SYSCALL_64|do_syscall_64|system_call_fastpath)", "x86_64"),
        (r"\b(?:asm_(?:exc|sysvec)_\w|__x64_sys_\w|secondary_startup_64|x86_64_start_)", "x86_64"),
        (r"\b(?:entry_INT80_32|do_int80_syscall_32|sysenter_past_esp|startup_32_smp)\b", "i386"),
        (r"\b(?:__arm64_sys_\w|do_el0_svc|el[01][th]?_(?:64_)?(?:sync|svc|irq|da)\b)", "arm64"),
        (r"\b(?:ret_fast_syscall|__(?:irq|dabt|und|pabt)_svc)\b", "arm"),
        (r"\b(?:system_call_exception|system_call_vectored_common)\b", "ppc64"),
        (r"\b(?:__s390x_sys_\w|__do_pgm_check|pgm_check_handler|ilc:\d \[#)", "s390x"),
        (r"\b(?:__riscv_sys_\w|do_trap_ecall_u|do_trap_load_page_fault)", "riscv64"),
        (r"\b(?:handle_adel_int|handle_tlb[ls]|syscall_common)\b", "mips"),
        # heads: arch/x86/mm/fault.c, arch/arm64/kernel/traps.c __die
        (
            r"BUG: unable to handle (?:page fault for address:|kernel .* at) [0-9a-f]{16}\b",
            "x86_64",
        ),
        (r"BUG: kernel NULL pointer dereference, address: [0-9a-f]{16}\b", "x86_64"),
        (r"BUG: unable to handle page fault for address: [0-9a-f]{8}\b", "i386"),
        (r"BUG: kernel NULL pointer dereference, address: [0-9a-f]{8}\b", "i386"),
        (r"Internal error: .*: (?:0{8})?(?:8[4-7]|9[4-7]|be|bf|f2)[0-9a-f]{6} \[#", "arm64"),
    )
)
"""What only one architecture says, where nothing better is left of a report."""


def architecture(lines: Sequence[str], release: str | None) -> str | None:
    """The architecture that the lines are of."""
    for text in lines:
        for pattern, name in _DUMPS:
            if pattern.match(text):
                return name
    for mark, name in _RELEASES:
        if release is not None and mark in release:
            return name
    for text in lines:
        for pattern, name in _WORDING:
            if pattern.search(text):
                return name
    return None
