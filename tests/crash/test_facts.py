"""Facts of single lines that need no block around them."""

from __future__ import annotations

import pytest

from detector.crash.facts import facts


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("Unhandled fault: page domain fault (0x01b) at 0x00000010", 0x10),
        ("Unhandled prefetch abort: breakpoint debug exception (0x222) at 0x8000f1e0", 0x8000F1E0),
        ("Unhandled fault: external abort on non-linefetch (0x1008) at 0xfa0ab060", 0xFA0AB060),
    ],
)
def test_the_address_of_an_abort_that_arm32_does_not_handle(line: str, address: int) -> None:
    """arch/arm/mm/fault.c do_DataAbort and do_PrefetchAbort name status and address on their
    line.
    """
    assert facts([line]).fault_address == address
