from __future__ import annotations

from dataclasses import replace

import pytest

from detector.explain.decode.fault_codes_arm import CLASSES, FAULT_STATUS, explain_esr, syndrome
from detector.explain.decode.fault_codes_x86 import ARM_STATUS, X86_BITS, explain_oops_code
from detector.explain.decode.machine import machine_of
from detector.model import CrashReport
from tests.support.crashes import FOUNDING, STABLE


def test_exception_classes_are_complete():
    """Every EC that DDI 0487 defines has a name, every reserved one has none."""
    reserved = {
        0x02,
        0x0B,
        0x0F,
        0x10,
        0x23,
        0x29,
        0x2A,
        0x2B,
        0x2E,
        0x36,
        0x37,
        0x39,
        0x3B,
        0x3E,
        0x3F,
    }
    assert set(CLASSES) == set(range(64)) - reserved
    assert syndrome(0x02 << 26).class_name == "UNRECOGNIZED EC 0x02"


def test_fault_status_codes_are_complete():
    """Every DFSC that DDI 0487 defines has a name; the levels count up where a code has them."""
    reserved = {0x19, 0x1A, 0x20, *range(0x2D, 0x30), 0x32, 0x33, *range(0x36, 0x3D), 0x3F}
    assert set(FAULT_STATUS) == set(range(64)) - reserved
    assert [FAULT_STATUS[code] for code in (0x00, 0x07, 0x0B, 0x0D, 0x16, 0x1D, 0x25, 0x2B)] == [
        "level 0 address size fault",
        "level 3 translation fault",
        "level 3 access flag fault",
        "level 1 permission fault",
        "level 2 synchronous external abort (translation table walk)",
        "level 1 synchronous parity error (translation table walk)",
        "level 1 granule protection fault (translation table walk)",
        "level -1 translation fault",
    ]


@pytest.mark.parametrize(
    ("value", "name", "status", "write", "user"),
    [
        (0x96000007, "DABT (current EL)", "level 3 translation fault", False, False),
        (0x96000047, "DABT (current EL)", "level 3 translation fault", True, False),
        (
            0x9600014F,
            "DABT (current EL)",
            "level 3 permission fault",
            False,
            False,
        ),  # cache maintenance: WnR means no write
        (0x92000006, "DABT (lower EL)", "level 2 translation fault", False, True),
        (0x8600000F, "IABT (current EL)", "level 3 permission fault", None, False),
        (0xF2000800, "BRK (AArch64)", None, None, False),
        (0xBF000002, "SError", None, None, False),
    ],
)
def test_syndromes(value, name, status, write, user):
    """Class, status, direction and level of what kernels print."""
    found = syndrome(value)
    assert (found.class_name, found.status_name, found.write, found.from_user) == (
        name,
        status,
        write,
        user,
    )


def test_the_oops_code_is_the_esr_where_none_is_printed():
    """Both ways say the same, and where the value stood is part of the evidence."""
    by_code = explain_esr(FOUNDING)
    by_line = explain_esr(replace(FOUNDING, esr=0x96000007))
    assert (
        by_code[0].text
        == by_line[0].text
        == (
            "A read by the kernel itself (current EL) failed: level 3 translation fault, "
            "that is, nothing is mapped there."
        )
    )
    assert by_code[0].evidence[0].startswith("Oops code")
    assert by_line[0].evidence[0].startswith("ESR")
    assert explain_esr(replace(FOUNDING, error_code=None)) == []
    assert explain_esr(replace(FOUNDING, error_code=0)) == []


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (0x0000, "A read by the kernel failed: no page is mapped there."),
        (0x0002, "A write by the kernel failed: no page is mapped there."),
        (0x0003, "A write by the kernel failed: the page is mapped and forbids it."),
        (0x0010, "An instruction fetch by the kernel failed: no page is mapped there."),
        (0x0011, "An instruction fetch by the kernel failed: the page is mapped and forbids it."),
        (0x0007, "A write in user mode failed: the page is mapped and forbids it."),
        (
            0x0009,
            (
                "A read by the kernel failed: a page-table entry on the way has bits set that must "
                "not be."
            ),
        ),
    ],
)
def test_page_fault_codes(code, sentence):
    """The five classic bits, combined."""
    machine = machine_of(STABLE)
    assert explain_oops_code(replace(STABLE, error_code=code), machine)[0].text == sentence


def test_every_architectural_bit_is_known():
    """P, W, U, RSVD, I, PK, SS, SGX, RMP: each is told of when set."""
    assert set(X86_BITS) == {0, 1, 2, 3, 4, 5, 6, 15, 31}
    machine = machine_of(STABLE)
    for bit in X86_BITS:
        evidence = explain_oops_code(replace(STABLE, error_code=1 << bit), machine)[0].evidence
        assert any(line.startswith(f"bit {bit} set") for line in evidence)


def test_a_protection_fault_has_no_page_fault_code():
    """The selector that a general protection fault pushes is not read as page-fault bits."""
    report = replace(STABLE, title="general protection fault in foo", error_code=0)
    assert explain_oops_code(report, machine_of(report)) == []
    assert explain_oops_code(replace(STABLE, kind="warning"), machine_of(STABLE)) == []


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (0x5, "A read failed: section translation fault."),
        (0x817, "A write failed: page translation fault."),
        (0x81B, "A write failed: page domain fault."),
        (0x80F, "A write failed: page permission fault."),
        (0x207, "A read failed: level 3 translation fault."),
        (0xA0E, "A write failed: level 2 permission fault."),
        (0x406, "A read failed: imprecise external abort."),
    ],
)
def test_arm_fault_status(code, sentence):
    """Short descriptors, and long ones (bit 9)."""
    report = CrashReport("memory-fault", arch="arm", error_code=code)
    assert explain_oops_code(report, machine_of(report))[0].text == sentence
    assert {0x01, 0x05, 0x07, 0x09, 0x0B, 0x0D, 0x0F} <= set(ARM_STATUS)
