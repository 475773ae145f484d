from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.explain.decode.fault import decode_fault
from detector.explain.decode.machine import machine_of
from tests.support.crashes import FOUNDING, STABLE, shipped

CATALOGUE = shipped()


def mark_of(report):
    """The end mark of a report, by way of its decoded instruction."""
    return decode_fault(report, machine_of(report), CATALOGUE.structs).end_mark


@settings(deadline=None)  # the first example loads the decoder
@given(st.integers(28, (1 << 29) - 1))
def test_every_established_slot_is_found_again(slot):
    """M = slot << 1 | 1, sk = M - 0x68, fault at sk + 0x30: the slot comes back, surely only within
    a table of the usual size.
    """
    socket = (slot << 1 | 1) - 0x68
    found = mark_of(replace(FOUNDING, fault_address=socket + 0x30, registers={"x19": socket}))
    assert (found.table, found.slot, found.decoded) == ("established", slot, True)
    assert found.confidence == ("likely" if slot < 512 * 1024 else "possible")


@settings(deadline=None)  # the first example loads the decoder
@given(st.integers(0, 31))
def test_listening_slots(slot):
    """From 1 << 29 on the marks are the listener table's own, and there are 32 of them."""
    socket = ((1 << 29) + slot << 1 | 1) - 0x68
    found = mark_of(replace(STABLE, fault_address=socket + 0x30, registers={"r13": socket}))
    assert (found.table, found.slot, found.marks) == (
        "listening",
        slot,
        ("listening-slot", "listening-slot-decoded"),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"fault_address": 0x1950C, "registers": {"x19": 0x194DC}},  # even
        {"function": "tcp_v4_rcv"},  # no listener walk
        {"kernel": "4.1.0"},  # another layout
        {"kernel": "5.10.0"},  # walks know the marks
        {"arch": "ppc64"},
        {"fault_address": None},
        {
            "code": ("f9400e63",),
            "code_mark": 0,
            "registers": {"x19": 0x1950B - 0x18},
        },  # ldr x3, [x19, #0x18]: not sk_net
        {
            "kernel": None,
            "code": (),
            "code_mark": None,
            "registers": {},
        },  # nothing says that the layout holds
        {"fault_address": 0x4000_0081, "registers": {"x19": 0x4000_0051}},  # beyond both tables
    ],
)
def test_what_is_no_mark(change):
    """Where a part does not agree, or the kernel is not covered, less is said."""
    assert mark_of(replace(FOUNDING, **change)) is None


def test_without_code_the_layout_alone_is_a_possibility():
    """A report cut before its Code line still gives the slot, less surely."""
    found = mark_of(replace(FOUNDING, code=(), code_mark=None))
    assert (found.slot, found.decoded, found.confidence) == (51873, False, "possible")


def test_a_register_stands_in_for_the_kernel_release():
    """A report without release and code, but with the socket pointer that the layout implies in a
    register.
    """
    found = mark_of(replace(FOUNDING, kernel=None, code=(), code_mark=None))
    assert (found.slot, found.confidence) == (51873, "possible")
    assert "x19 = 0x194db: the socket pointer, M - skc_node" in found.evidence


def test_a_mark_held_by_a_register_is_evidence():
    """x0 holds M itself in the founding case; where no register does, nothing is claimed."""
    assert mark_of(FOUNDING).evidence[-1] == "x0 = 0x19543: the mark itself"
    assert "mark itself" not in " ".join(mark_of(STABLE).evidence)
