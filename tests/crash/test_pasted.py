"""Reports that a web page or an editor changed."""

from __future__ import annotations

from detector.crash import read
from detector.model import CrashReport
from tests.support.feeding import blocks
from tests.support.shipped import shipped

PASTED = """\
Unable to handle kernel paging request at virtual address f899b670
printing eip:
c01de48c
*pde = 00737067
Oops: 0002 [#1]
CPU: 0
EIP: 0060:[] Not tainted VLI
EFLAGS: 00210286 (2.6.9-11.frob)
EIP is at frobject_add+0×83/0xd7
eax: c038db78 ebx: c038db04 ecx: f899b670 edx: f8a4a630
Process modprobe (pid: 8227, threadinfo=d7568000 task=f4ea99b0)
Call Trace:
[] frobject_register+0×19/0×39
[] syscall_call+0×7/0xb
"""


def report_of(log: str) -> CrashReport:
    """The one report of a log."""
    (block,) = blocks(log)
    return read(block, shipped().lists["generic-functions"])


def test_a_failed_assertion_names_its_function() -> None:
    """OpenZFS prints file, line and function of an assertion (spl-err.c spl_panic)."""
    for head in (
        "PANIC at dnode.c:16:dnode_setdirty()",
        "SPLError: 5:0:(d.c:9:dnode_hold()) SPL PANIC",
    ):
        report = report_of(
            head + "\nShowing stack for process 44943\nCall Trace:\n spl_panic+0xc9/0x110 [spl]\n"
        )
        assert report.function in ("dnode_setdirty", "dnode_hold")
        assert report.title == f"ZFS panic in {report.function}"


def test_multiplication_signs_and_lost_addresses() -> None:
    """An editor made `0x` a multiplication sign, and HTML took the addresses for tags."""
    report = report_of(PASTED)
    assert (report.function, report.kernel, report.comm) == (
        "frobject_add",
        "2.6.9-11.frob",
        "modprobe",
    )
    assert [frame.function for frame in report.frames] == ["frobject_register", "syscall_call"]
    assert any("0×83" in line for line in report.lines)  # verbatim
