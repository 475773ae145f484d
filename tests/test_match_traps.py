"""Lines that mislead a naive detector, each under its number and name. All hosts, programs and
addresses are invented.
"""

from __future__ import annotations

import pytest

from detector.match import Matcher
from detector.model import Boot, Line
from tests.support.shipped import shipped

MATCHER = Matcher(shipped())


def ask(text, trust="unknown"):
    """(origin, class) of what claims a line, or None."""
    found = MATCHER.match(Line(text, "a.log", 1, "h1", "dmesg", trust=trust), Boot())
    return found and (found.origin, found.cls)


def fields(text):
    """The captured fields of a line that must match."""
    return dict(MATCHER.match(Line(text, "a.log", 1, "h1", "dmesg"), Boot()).fields)


NOISE = ("user", "user-fault")
FAULT = ("kernel", "memory-fault")


@pytest.mark.parametrize(
    "text",
    [
        "  FSC = 0x07: level 3 translation fault",
        "  FSC = 0x04: level 0 translation fault",
        "  DFSC = 0x0f: level 3 permission fault",
    ],
)
def test_trap_1_noise_phrase_inside_a_kernel_oops(text):
    """The fault's name is printed within a kernel report too: it is neither noise nor a fault of
    its own there.
    """
    assert ask(text) is None


def test_trap_2_a_user_fault_that_looks_like_an_oops():
    """Up to 4.12 a user's fault prints page tables, registers and a pc: its head is noise and none
    of its lines is a kernel fault.
    """
    block = [
        "indexer[1657]: unhandled level 3 translation fault (11) at 0xffff8c112fe0, esr 0x92000047",
        "pgd = ffff8000f1a2b000",
        (
            "[ffff8c112fe0] *pgd=00000000bb2f4003, *pud=00000000bb2f4003, "
            "*pmd=00000000bb1a0003, *pte=0000000000000000"
        ),
        "CPU: 1 PID: 1657 Comm: indexer Tainted: G        W       4.9.23-demo #1",
        "Hardware name: Demo Board (DT)",
        "task: ffff8000f0a1b200 task.stack: ffff8000f1c2d000",
        "PC is at 0xaaaac8a9473c",
        "LR is at 0xaaaac8a94a10",
        "pc : [<0000aaaac8a9473c>] lr : [<0000aaaac8a94a10>] pstate: 80000000",
        "sp : 0000ffff8c112fe0",
        "x29: 0000ffff8c112fe0 x28: 0000000000000000",
    ]
    assert [ask(text) for text in block] == [NOISE] + [None] * 10


def test_trap_3_the_new_user_form():
    """Neither "unhandled level" nor a signal number; "lower EL" is the user's level, "current EL"
    the kernel's: such a line is what is left of a report.
    """
    text = (
        "resizer[2510]: unhandled exception: DABT (lower EL), ESR 0x92000046, level 2 "
        "translation fault in libscale.so[7f9c4f0000+6000]"
    )
    assert ask(text) == NOISE
    assert fields(text)["process"] == "resizer"
    assert ask("  EC = 0x25: DABT (current EL), IL = 32 bits") == ("kernel", "memory-fault")


def test_trap_4_a_spurious_translation_fault():
    """A warning of its own class, not a memory fault: the kernel goes on."""
    assert ask(
        "Ignoring spurious kernel translation fault at virtual address dead000000000110"
    ) == ("kernel", "spurious-fault")


def test_trap_5_general_protection_of_both_sorts():
    """With ip: and a process it is a user's, with a colon it is the kernel's."""
    assert (
        ask(
            "traps: fuzz-229[3616] general protection fault ip:7feb96eb56a1 sp:20000fd0 "
            "error:0 in demo[7feb96e80000+178000]"
        )
        == NOISE
    )
    assert (
        ask(
            "traps: fuzz[3616] general protection ip:7feb96eb56a1 sp:20000fd0 error:0 in "
            "demo[7feb96e80000+178000]"
        )
        == NOISE
    )
    assert (
        ask(
            "general protection fault, probably for non-canonical address "
            "0xdffffc0000000001: 0000 [#1] PREEMPT SMP KASAN"
        )
        == FAULT
    )
    assert ask("general protection fault: 0000 [#1] SMP") == FAULT
    assert (
        ask(
            "Oops: general protection fault, kernel NULL pointer dereference 0x8: 0000 "
            "[#1] SMP NOPTI"
        )
        == FAULT
    )


def test_trap_6_a_fatal_signal_with_a_kernel_trace():
    """The trace through get_signal belongs to the user's crash; the head is noise with and without
    a name.
    """
    assert ask("potentially unexpected fatal signal 11.") == NOISE
    assert fields("meter/30680: potentially unexpected fatal signal 11.")["process"] == "meter"
    for text in (
        "CPU: 1 PID: 30680 Comm: meter Tainted: P           O    4.1.52 #1",
        "[<c0011a2c>] (unwind_backtrace) from [<c000ed50>] (show_stack+0x10/0x14)",
    ):
        assert ask(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Unable to handle kernel paging request at virtual address 0001950b",
        "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000990",
        "Unable to handle kernel read from unreadable memory at virtual address 0000000000000110",
        (
            "Unable to handle kernel access to user memory outside uaccess routines at virtual "
            "address 0000000000000030"
        ),
        "BUG: unable to handle kernel paging request at 0000000000031a07",
        "BUG: unable to handle kernel NULL pointer dereference at 0000000000000a90",
        "BUG: kernel NULL pointer dereference, address: 0000000000000068",
        "BUG: unable to handle page fault for address: ffffed1012345678",
        (
            "general protection fault, probably for non-canonical address 0xdead000000000110: "
            "0000 [#1] SMP"
        ),
        "Unhandled fault: page domain fault (0x81b) at 0x00000010",
        "Unable to handle kernel paging request for data at address 0xc000000012345678",
        "BUG: Kernel NULL pointer dereference on read at 0x00000010",
        "BUG: Unable to handle kernel data access on write at 0xc000000012345678",
        "Unable to handle kernel pointer dereference in virtual kernel address space",
        (
            "Unable to handle kernel access to user memory without uaccess routines at virtual "
            "address 0000000000000030"
        ),
        (
            "CPU 0 Unable to handle kernel paging request at virtual address ffff800000003a64, "
            "era == 9000000000223344, ra == 9000000000223340"
        ),
        (
            "CPU 3 Unable to handle kernel paging request at virtual address 00000010, epc == "
            "80123456, ra == 80123400"
        ),
    ],
)
def test_trap_9_one_class_for_every_phrase(text):
    """Architectures and versions say the same in other words; rules name the class."""
    assert ask(text) == FAULT


@pytest.mark.parametrize("prefix", ["", "IPv4: "])
@pytest.mark.parametrize(
    "socket", ["ffff8a16c1d2e3f0", "00000000a1b2c3d4", "cfbf1a40", "(____ptrval____)", "(ptrval)"]
)
def test_trap_10_pointers_and_prefixes(prefix, socket):
    """Raw, hashed, 32 bits wide, hidden at early boot; the prefix came with pr_fmt."""
    text = f"{prefix}Attempt to release TCP socket in state 10 {socket}"
    assert ask(text) == ("kernel", "tcp-state")
    assert fields(text) == {"state": "10", "socket": socket}
    assert fields(f"{prefix}Attempt to release alive inet socket {socket}") == {"socket": socket}


@pytest.mark.parametrize(
    "comm",
    [
        "MediaPD~der #12",
        "Trash:store1",
        "plugin-containe",
        "a/b (c)",
        "[kworker]",
        "x[1]",
        ": ",
        "",
        "it's 100% \\o/",
        "ünïcödé",
    ],
)
def test_trap_15_names_of_processes(comm):
    """Blanks, signs, brackets and colons, cut at 15: the name is read whole in every form that
    prints one.
    """
    for text in (
        f"{comm}[52]: unhandled level 2 translation fault (11) at 0x00000010, esr 0x92000006",
        (
            f"{comm}[52]: unhandled exception: DABT (lower EL), ESR 0x92000046, level 2 "
            "translation fault in demo[7f9c4f0000+6000]"
        ),
        f"{comm}[52]: segfault at 10 ip 000000000040113a sp 00007ffd1c2b3a40 error 4",
        f"traps: {comm}[52] trap invalid opcode ip:400512 sp:7ffe1a2b3c40 error:0",
        (
            f"{comm}[52] bad frame in rt_sigreturn frame:00000000e1a2b3c4 ip:7f1a2b3c4d5e "
            "sp:7ffc01020304 orax:ffffffffffffffff"
        ),
        f"{comm}[52]: unhandled signal 11 at 00000010 nip 10000a4c lr 10000a38 code 30001",
        f"{comm}[52]: segfault (11) at 0 nip 0 lr 708aa3fe1900 code 1",
        f"{comm}[52]: unhandled signal 11 code 0x1 at 0x0000000000000010",
    ):
        assert ask(text) == NOISE
        assert (fields(text)["process"], fields(text)["pid"]) == (comm, "52")


def test_trap_16_forged_lines():
    """Written by user space, quoted, or carried in a name: no kernel match."""
    for text in (
        "IPv4: Attempt to release TCP socket in state 10 ffff8a16c1d2e3f0",
        "Unable to handle kernel paging request at virtual address 0001950b",
    ):
        assert ask(text, trust="kernel") is not None
        assert ask(text, trust="user") is None
        assert ask(f"grep: {text}") is None
        assert ask(f"> {text}") is None
        assert (
            ask(f"{text[:15]}[7]: segfault at 10 ip 000000000040113a sp 00007ffd1c2b3a40 error 4")
            == NOISE
        )


def test_trap_23_a_user_fault_at_a_kernel_address():
    """Where a program pointed does not say who crashed."""
    assert (
        ask(
            "sleeper[15640]: segfault (11) at c000000000004c20 nip 10000718 lr 10000708 "
            "code 1 in sleeper[10000000+10000]"
        )
        == NOISE
    )
    assert (
        ask(
            "prober[31]: unhandled level 0 translation fault (11) at 0xffff000008081000, "
            "esr 0x92000004"
        )
        == NOISE
    )
    assert (
        ask(
            "prober[31]: segfault at ffffffff81000000 ip 000000000040113a sp "
            "00007ffd1c2b3a40 error 5 in prober[400000+1000]"
        )
        == NOISE
    )


@pytest.mark.parametrize(
    "text",
    [
        "UNABLE TO HANDLE KERNEL PAGING REQUEST AT VIRTUAL ADDRESS 0001950B",
        "BUG: UNABLE TO HANDLE KERNEL NULL POINTER DEREFERENCE AT 0000000000000010",
        "IPV4: ATTEMPT TO RELEASE TCP SOCKET IN STATE 10 FFFF8A16C1D2E3F0",
        "> [  100.000000] Unable to handle kernel paging request at virtual address 0001950b",
        "Message from syslogd@h1 at Fri Jul 26 05:57:37 2024 ...",
        (
            "c 1851.721062! Unable to handle kernel pointer dereference in virtual kernel address "
            "space"
        ),
    ],
)
def test_trap_24_copies(text):
    """Upper-case copies, quotes and walls of a syslog daemon repeat a fault; they are none."""
    assert ask(text) is None
