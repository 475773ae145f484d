"""Forms of what is left of reports whose head is lost or cut: the class is known, the kind is not."""

from __future__ import annotations

from detector.crash.forms.faults import NULL_TITLE, PAGING_TITLE
from detector.crash.forms.form import CALLERS, FAULT, form, recipe
from detector.crash.guilty import STACK, TRACE

UNNAMED_FAULT = form("memory-fault", r"", PAGING_TITLE, FAULT)
UNNAMED_NULL = form("memory-fault", r"", NULL_TITLE, FAULT)
"""A memory fault whose `Unable to handle …` is lost: the address in its block says which of the two."""

_DEADLOCK = recipe(TRACE, STACK, skip="check_|validate_chain|print_")
"""The lock validator's own functions stand on top (kernel/locking/lockdep.c)."""

RESTS = (
    form(
        "kasan",
        r"^(?P<access>Read|Write) of size \d+ at addr",
        "KASAN: bad access {access} in {function}",
        CALLERS,
    ),
    form("kasan", r"^The buggy address belongs to", "KASAN: bad access in {function}", CALLERS),
    form("lockdep", r"^but task is already holding", "possible deadlock in {function}", _DEADLOCK),
    form("lockdep", r"^which lock already depends", "possible deadlock in {function}", _DEADLOCK),
    form(
        "hung-task",
        r'^"echo 0 > /proc',
        "INFO: task hung in {function}",
        recipe(TRACE, STACK, choose="hung"),
    ),
    form(
        "report-rest",
        r"^(?:---\[ end trace |\s*R?E?SP: |EIP: |Process )",
        "kernel report without its head in {function}",
        FAULT,
    ),
)
