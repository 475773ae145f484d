"""Forms of the reports that a processor exception makes: bad addresses, BUG(), traps, stack
overflows.
"""

from __future__ import annotations

from detector.crash.forms.form import CALLERS, FAULT, LOOP, ONLY_PC, form, recipe
from detector.crash.guilty import PC, STACK, TRACE

_PAGING = (
    r"BUG: (?:unable to handle (?:kernel paging request|page fault for address)"
    r"|Unable to handle (?:kernel (?:data access|instruction fetch|unaligned "
    r"access)|unknown paging fault))"
)
_UNABLE = (
    r"Unable to handle kernel (?P<what>paging request|NULL pointer dereference|access to "
    r"user memory|execution of user memory"
    r"|read from unreadable memory|write to read-only memory|execute from non-executable "
    r"memory|pointer dereference)"
)
PAGING_TITLE = "BUG: unable to handle kernel paging request in {function}"
NULL_TITLE = "BUG: unable to handle kernel NULL pointer dereference in {function}"
_PROGRAM_CHECK = (
    r"^(?P<what>illegal operation|monitor event|[a-z]+ (?:operation|exception)|Kernel bug detected"
    r"|[A-Z][a-z]+ (?:kernel )?(?:unaligned |instruction )?(?:access|in kernel code))[:\[]"
)

FAULTS = (
    form("memory-fault", _PAGING, PAGING_TITLE, FAULT),
    form(
        "memory-fault",
        r"BUG: (?:unable to handle kernel|[kK]ernel) NULL pointer dereference",
        NULL_TITLE,
        FAULT,
    ),
    form(
        "memory-fault",
        r"BUG: [uU]nable to handle kernel",
        "BUG: unable to handle kernel",
        FAULT,
    ),
    form("memory-fault", _UNABLE, "BUG: unable to handle kernel {what} in {function}", FAULT),
    form(
        "memory-fault",
        r"general protection fault.*:",
        "general protection fault in {function}",
        FAULT,
    ),
    form(
        "memory-fault",
        r"Unhandled (?:fault|prefetch abort)(?: at|:)",
        "Unhandled fault in {function}",
        FAULT,
    ),
    form("memory-fault", r"Alignment trap:", "Alignment trap in {function}", FAULT),
    form("kernel-trap", r"stack segment: ", "stack segment fault in {function}", FAULT),
    form(
        "double-fault",
        r"PANIC: double fault|double fault: 0",
        "PANIC: double fault in {function}",
        ONLY_PC,
        CALLERS,
    ),
    form(
        "stack-overflow",
        r"BUG: .*stack guard page was hit at",
        "BUG: stack guard page was hit in {function}",
        LOOP,
        FAULT,
    ),
    form(
        "stack-overflow",
        r"^kernel stack overflow \((?:double-fault|page fault)\)",
        "BUG: stack guard page was hit in {function}",
        LOOP,
        FAULT,
    ),
    form(
        "kernel-bug",
        r"[kK]ernel BUG at mm/usercopy\.c",
        "BUG: bad usercopy in {function}",
        recipe(TRACE, STACK, skip="usercopy|__check"),
    ),
    form(
        "kernel-bug",
        r"[kK]ernel BUG at lib/list_debug\.c",
        "BUG: corrupted list in {function}",
        CALLERS,
    ),
    form(
        "kernel-bug",
        r"[kK]ernel BUG (?:at|\[)",
        "kernel BUG in {function}",
        recipe(PC, TRACE, STACK, skip="^skb_"),
        FAULT,
    ),
    form("divide-error", r"divide[ _]error: ", "divide error in {function}", ONLY_PC, CALLERS),
    form("invalid-opcode", r"invalid opcode: ", "invalid opcode in {function}", ONLY_PC, CALLERS),
    form("kernel-trap", r"int3: ", "int3 in {function}", FAULT),
    form("oops", r"Internal error: ", "Internal error in {function}", FAULT),
    form("kernel-trap", _PROGRAM_CHECK, "{what} in {function}", FAULT),
    form("oops", r"Oops(?: - (?P<what>[\w ()-]+?))?(?::| ?\[)", "kernel oops in {function}", FAULT),
    form(
        "memory-fault",
        r"Kernel attempted to \w+ user page",
        "BUG: unable to handle kernel access to user memory in {function}",
        FAULT,
    ),
)
