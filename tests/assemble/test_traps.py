"""Traps for whoever collects and reads crash reports, each by its number in the list of known
ones.
"""

from __future__ import annotations

from detector.crash import read
from detector.model import CrashReport
from tests.assemble.stream import FAULT, FAULT_TEXTS, assembler, called, interleave, shifted, stored
from tests.support.feeding import blocks, found, parsed
from tests.support.shipped import shipped


def reports(log: str) -> list[CrashReport]:
    """What the blocks of a log say."""
    return [read(block, shipped().lists["generic-functions"]) for block in blocks(log)]


def origins(log: str) -> list[str]:
    """Whose fault each matching line is."""
    watch, origins = assembler(), []
    for line in parsed(log):
        match = found(watch, line)
        origins += [match.origin] if match is not None else []
        watch.feed(line, match, 0)
    return origins


def test_trap_07_a_kernel_fault_right_after_a_user_fault() -> None:
    """79 µs after a segfault the kernel itself dies: one noise, one report, and it is the
    kernel's.
    """
    user = (
        "[  431.700021] plugin-containe[20113]: segfault at 10 ip 00007f6a5c31a94f sp "
        "00007ffd1a2b3c40 error 4\n"
    )
    log = user + stored("x86_64-6.8")
    assert origins(log) == ["user", "kernel", "kernel"]
    (report,) = reports(log)
    assert report.function == "frob_ring_write"


def test_trap_11_two_cpus_interleaved_with_callers() -> None:
    """Two oopses, line by line in turns, told apart by caller id; a driver's line between `CPU:`
    and `Hardware name:` is not theirs.
    """
    one, two = (
        called(stored("arm64-6.6"), "T3083"),
        called(shifted(stored("x86_64-6.14-gpf"), -181), "T811"),
    )
    stranger = (
        "[  119.200195][   T12] arm-scmi firmware:scmi: timed out in resp(caller: scmi_get+0x1/0x2)"
    )
    rows = interleave(one, two).splitlines()
    found = reports("\n".join([*rows[:26], stranger, *rows[26:]]))
    assert {report.function for report in found} == {"frob_patch_ops", "frob_open"}
    assert all(report.complete for report in found)


def test_trap_11_two_cpus_interleaved_without_callers() -> None:
    """The heads of two oopses interleave; each gets its own ESR."""
    second = [
        text.replace("96000007", "96000005").replace("frob_lookup", "frob_other")
        for text in FAULT_TEXTS
    ]
    order = [
        *FAULT_TEXTS[:2],
        *second[:2],
        FAULT_TEXTS[2],
        second[2],
        *FAULT_TEXTS[3:],
        *second[3:],
    ]
    found = reports("\n".join(f"[  100.{place:06}] {text}" for place, text in enumerate(order)))
    assert [(report.function, report.esr) for report in found] == [
        ("frob_lookup", 0x96000007),
        ("frob_other", 0x96000005),
    ]


def test_trap_12_every_line_twice() -> None:
    """Two consoles, one log: the block holds each line once."""
    (block,) = blocks("".join(f"{line}\n{line}\n" for line in FAULT.splitlines()))
    assert block.lines == FAULT_TEXTS


def test_trap_13_code_over_lines_and_text_before_the_stamp() -> None:
    """A broken Code line is read as one; a line that a program's output runs into still counts."""
    log = stored("x86_64-6.8").replace("01 48 89 57 10", "01 48\n[  431.700144] 89 57 10", 1)
    (report,) = reports(log.replace("[  431.700121] Oops", "er run is 0h 15m[  431.700121] Oops"))
    assert report.code[report.code_mark or 0] == "48"
    assert len(report.code) > 30
    assert report.error_code == 2


def test_trap_14_continuation_pieces() -> None:
    """A page table walk whose pieces came as records of their own does not end or confuse the
    report.
    """
    log = stored("arm64-4.14").replace(
        "*pgd=0000000000000000, *pud=0", "*pgd=0000000000000000\n[61204.770041] , *pud=0"
    )
    (report,) = reports(log)
    assert (report.function, report.fault_address) == ("frob_lookup", 0x18)


def test_trap_16_a_name_that_spells_a_signature() -> None:
    """A process that calls itself like a fault is noise, and opens no report."""
    log = (
        "[  9.000000] Unable to hand[77]: unhandled level 3 translation fault (11) at "
        "0x00000030, esr 0x92000007\n"
    )
    assert blocks(log) == []
    assert origins(log) == ["user"]


def test_trap_19_a_pc_without_a_symbol() -> None:
    """`pc : 0x0` names nobody: the first frame does, and without frames the link register."""
    (report,) = reports(stored("arm64-6.12-no-symbol"))
    assert (report.function, report.module) == ("frob_dispatch", "frob")
    (report,) = reports(stored("arm64-6.12-no-symbol").split("[   75.500076]")[0])
    assert (report.function, report.module) == ("frob_dispatch", "frob")


def test_trap_19_generic_functions_are_not_guilty() -> None:
    """The list, not the top of the stack, decides: `__list_del_entry_valid` and
    `refcount_warn_saturate` are their callers' fault.
    """
    assert [report.function for report in reports(stored("x86_64-4.19-gpf"))] == ["frob_cmd_done"]
    assert [report.function for report in reports(stored("warning-5.15-refcount"))] == [
        "frob_ctx_put"
    ]


def test_trap_20_symbols_in_all_dress() -> None:
    """Suffixes, modules, addresses and decoded places are read; stack dumps inside the trace are no
    frames.
    """
    (report,) = reports(stored("arm64-4.14"))
    assert [frame.function for frame in report.frames] == [
        "frob_lookup.isra.7",
        "frob_rx",
        "net_rx_action",
        "irq_exit",
    ]
    assert (report.function, report.display_function, report.module) == (
        "frob_lookup",
        "frob_lookup.isra.7",
        "frob",
    )
    decoded = FAULT.replace(
        " frob_lookup+0xac/0x2a8\n",
        (
            " frob_sum (drivers/frob.h:12 [inline])\n[  100.000008]  frob_lookup "
            "(drivers/frob.c:123)\n"
        ),
    )
    (report,) = reports(decoded)
    assert report.function == "frob_lookup"


def test_trap_21_an_oops_inside_another_report() -> None:
    """A KASAN text cut by a fault, a lockdep text cut by a fault: the second is a report of its
    own, with its own function.
    """
    kasan = "\n".join(stored("kasan-6.6").splitlines()[1:9]) + "\n"
    first, second = reports(kasan + called(shifted(FAULT, 111), "T4411"))
    assert (first.kind, first.complete) == ("kasan", False)
    assert (second.function, second.complete) == ("frob_lookup", True)
    lockdep = "\n".join(stored("lockdep-6.1").splitlines()[:12]) + "\n"
    first, second = reports(lockdep + shifted(FAULT, -33))
    assert (first.title, second.function) == ("possible deadlock in frob_detach", "frob_lookup")


def test_trap_22_a_cut_block() -> None:
    """What ends without its mark, or lost lines on the console, is emitted with what there is, and
    says that it is cut.
    """
    rows = FAULT.splitlines()
    (report,) = reports("\n".join([*rows[:5], "** 93 printk messages dropped ** " + rows[8], ""]))
    assert (report.complete, report.pid, report.title) == (
        False,
        0,
        "BUG: unable to handle kernel paging request in frob_rx",
    )


def test_trap_25_a_warning_between() -> None:
    """A WARNING's trace, and the user's registers under either, are not those of the oops that
    follows.
    """
    warning = shifted(stored("warning-5.15-refcount"), -472)
    found = reports(warning + stored("x86_64-6.8"))
    assert [(report.kind, report.function) for report in found] == [
        ("warning", "frob_ctx_put"),
        ("memory-fault", "frob_ring_write"),
    ]
    assert found[1].registers["rbx"] == 0xFFFF94A2C5A3D000
