import re
from dataclasses import replace
from random import Random

import pytest

from detector.simulate import SimulationPlan, crashes
from detector.simulate.crashes import BUGS, UNRELATED_BUGS, SimulatedCrash
from detector.simulate.fleet import FAULTING, KERNELS, build

HOST = build(SimulationPlan(), Random(1)).hosts[0]
KERNELS_THAT_FAULT = [kernel for kernel in KERNELS if kernel.arch in FAULTING]
HEADS = {
    "arm64": (
        r"Unable to handle kernel (paging request|NULL pointer dereference) at virtual address "
        r"([0-9a-f]{8}|[0-9a-f]{16})$"
    ),
    "x86_64": r"BUG: unable to handle kernel (paging request|NULL pointer dereference) at "
    r"[0-9a-f]{16}$"
    r"|BUG: (unable to handle page fault for address:|kernel NULL pointer dereference, "
    r"address:) [0-9a-f]{16}$"
    r"|(Oops: )?general protection fault(, probably for non-canonical address "
    r"0x[0-9a-f]+)?: 0000 \[#1\]",
}


def block(kernel, seed, bug, *, panics=False):
    """The texts of one fault."""
    host = replace(HOST, kernel=kernel)
    return [
        text for _, text in crashes.fault_block(host, Random(seed), SimulatedCrash(bug, 1, panics))
    ]


def value(texts, pattern):
    """The hexadecimal number that `pattern` finds first."""
    return next(int(found[1], 16) for text in texts if (found := re.search(pattern, text)))


@pytest.mark.parametrize("bug", BUGS + UNRELATED_BUGS, ids=lambda bug: bug.function)
@pytest.mark.parametrize("kernel", KERNELS_THAT_FAULT, ids=lambda kernel: kernel.release)
def test_block_opens_and_ends_as_its_kernel_does(kernel, bug):
    """A block begins with a fault's head, names function, kernel and hardware, and has an end."""
    for seed in range(5):
        texts = block(kernel, seed, bug)
        assert re.match(HEADS[kernel.arch], texts[0])
        assert any(f"{bug.function}+0x" in text for text in texts)
        assert any(kernel.release in text and text.startswith("CPU: ") for text in texts)
        assert f"Hardware name: {kernel.hardware}" in texts
        assert any(text.startswith("---[ end trace ") for text in texts)


@pytest.mark.parametrize(
    "kernel",
    [kernel for kernel in KERNELS_THAT_FAULT if kernel.arch == "arm64"],
    ids=lambda kernel: kernel.release,
)
def test_arm64_registers_and_instruction_explain_the_address(kernel):
    """`ldr [x19, #member]` with x19 as printed faults at the address that the head says."""
    for seed, bug in enumerate(BUGS):
        texts = block(kernel, seed, bug)
        fault = value(texts, r"virtual address ([0-9a-f]+)")
        word = value(texts, r"Code: .*\(([0-9a-f]{8})\)")
        scale = 8 if word >> 30 == 3 else 4
        assert (
            value(texts, r"x19: ([0-9a-f]{16})") + (word >> 10 & 0xFFF) * scale
        ) % 2**64 == fault
        assert word >> 5 & 31 == 19


@pytest.mark.parametrize(
    "kernel",
    [kernel for kernel in KERNELS_THAT_FAULT if kernel.arch == "x86_64"],
    ids=lambda kernel: kernel.release,
)
def test_x86_registers_and_instruction_explain_the_address(kernel):
    """`mov rax, [rbx + member]` with rbx as printed faults at the address in CR2, and the report is
    printed the same way twice.
    """
    for seed, bug in enumerate(BUGS):
        texts = block(kernel, seed, bug)
        code = next(text for text in texts if text.startswith("Code: "))
        marked = bytes.fromhex(code.split("<")[1].replace(">", ""))
        member = int.from_bytes(marked[3:7], "little") if marked[2] == 0x83 else marked[3]
        assert member == bug.member
        if "general protection" not in texts[0]:
            assert (value(texts, r"RBX: ([0-9a-f]{16})") + member) % 2**64 == value(
                texts, r"^CR2: ([0-9a-f]{16})"
            )
        assert texts.count(code) == 2


def test_the_words_follow_the_kernels_history():
    """What came and went between 4.14 and 6.12 is there exactly where it was."""
    for kernel in KERNELS_THAT_FAULT:
        text = "\n".join(block(kernel, 3, BUGS[2]))
        if kernel.arch == "arm64":
            assert ("  FSC = 0x04: level 0 translation fault" in text) == (
                kernel.generation >= (5, 11)
            )
            assert ("PC is at tcp_md5_do_lookup+" in text) == (kernel.generation < (4, 17))
            assert ("Exception class = DABT" in text) == (kernel.generation < (5, 4))
            assert ("[#1] SMP" in text) or ("[#1] PREEMPT SMP" in text)
        else:
            assert ("#PF: supervisor read access" in text) == (kernel.generation >= (4, 20))
            assert ("Oops: Oops: 0000 [#1]" in text) == (kernel.generation >= (6, 10))
            assert ("<TASK>" in text) == (kernel.generation >= (5, 15))
        assert (" UID: 0 PID: " in text) == (kernel.generation >= (6, 11))


def test_panic_ends_the_block():
    """A fault that takes the host down says so last."""
    assert (
        block(KERNELS[0], 1, BUGS[0], panics=True)[-1]
        == "---[ end Kernel panic - not syncing: Fatal exception in interrupt ]---"
    )


def test_release_pointer_is_hashed_where_the_kernel_hashes():
    """4.14 prints the socket's address, later kernels a hash of it."""
    raw = crashes.release(replace(HOST, kernel=KERNELS[0]), Random(1))[1]
    hashed = crashes.release(replace(HOST, kernel=KERNELS[1]), Random(1), state=3)[1]
    assert re.fullmatch(r"IPv4: Attempt to release TCP socket in state 10 ffff80[0-9a-f]{10}", raw)
    assert re.fullmatch(
        r"IPv4: Attempt to release TCP socket in state 3 00000000[0-9a-f]{8}", hashed
    )


def test_warning_is_no_fault():
    """The warning between two halves carries a trace of its own and no fault's head."""
    for kernel in KERNELS_THAT_FAULT:
        texts = [
            text for _, text in crashes.refcount_warning(replace(HOST, kernel=kernel), Random(1))
        ]
        assert not any(re.match(HEADS[kernel.arch], text) for text in texts)
        assert any(text.startswith("WARNING: CPU: ") for text in texts)
