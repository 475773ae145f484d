import re
from dataclasses import replace
from random import Random

import pytest

from detector.simulate import SimulationPlan
from detector.simulate.fleet import KERNELS, build
from detector.simulate.userfaults import PROCESSES, user_fault

HEADS = {
    "arm64": r"{comm}\[\d+\]: unhandled (level [123] translation fault \(11\) at 0x"
    r"|exception: DABT \(lower EL\), ESR 0x[0-9a-f]{{8,16}}, level)",
    "x86_64": (
        r"({comm}\[\d+\]: segfault at [0-9a-f]+ ip |traps: {comm}\[\d+\] (general "
        r"protection|trap invalid opcode))"
    ),
    "ppc64le": r"{comm}\[\d+\]: segfault \(11\) at [0-9a-f]+ nip [0-9a-f]+ lr ",
    "s390x": r"User process fault: interruption code 003b ilc:2 in ",
    "riscv64": r"{comm}\[\d+\]: unhandled signal 11 code 0x1 at 0x",
    "arm": r"(Alignment trap: {comm} \(\d+\) PC=0x|8<--- cut here ---)",
}
HOST = build(SimulationPlan(), Random(1)).hosts[0]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.release)
def test_head_is_the_architectures(kernel):
    """Every kernel reports a user crash in its own words and names the process there; s390 does
    not, and its crashes count as unnamed.
    """
    for seed in range(40):
        fault = user_fault(replace(HOST, kernel=kernel), Random(seed))
        assert re.match(HEADS[kernel.arch].format(comm=re.escape(fault.process)), fault.texts[0][1])
        named = any(fault.process in text for _, text in fault.texts)
        assert named == (kernel.arch != "s390x")


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.release)
def test_user_addresses_are_user_addresses(kernel):
    """No program counter or stack of a user crash lies in the kernel's half of the address
    space.
    """
    for seed in range(40):
        for _, text in user_fault(replace(HOST, kernel=kernel), Random(seed)).texts:
            for found in re.findall(
                r"(?:pc :|lr :|sp :|ip|sp|epc :) (?:\[<)?([0-9a-f]{8,16})", text
            ):
                assert int(found, 16) < 1 << 48


def test_arm64_says_no_address_and_no_signal_from_4_17_on():
    """The word "(11)" and the fault address went with 4.17; the ESR has 16 digits from 5.19 on."""
    for kernel in KERNELS:
        if kernel.arch == "arm64":
            head = user_fault(replace(HOST, kernel=kernel), Random(5)).texts[0][1]
            assert ("(11)" in head) == (kernel.generation < (4, 17))
            assert bool(re.search(r"ESR 0x[0-9a-f]{16},", head)) == (kernel.generation >= (5, 19))


def test_names_fit_a_comm():
    """A comm holds fifteen characters, and these cut where it cuts."""
    assert all(len(process) <= 15 for process in PROCESSES)
