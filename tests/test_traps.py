"""The 25 traps of kernel logs, each through the whole pipeline: a log in, and what a scan says of
it out.

Every trap has its tests here, under its number: what misleads whoever reads single lines, looks for
phrases, or trusts clocks and order. Hosts, programs, functions and addresses are invented; the
words around them are those that kernels print.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from detector.cli.pattern_tests import scanned
from tests.support.shipped import shipped

PAIR_RULE = "tcp-release-and-memory-fault"
RELEASE = "IPv4: Attempt to release TCP socket in state 10 ffff80011c2d3e00"
HEAD = "Unable to handle kernel paging request at virtual address 0001c0d3"
SEGFAULT = (
    "indexd[311]: segfault at 8 ip 000055d0a1c3e1f4 sp 00007ffd9a1b3c40 error 4 in "
    "indexd[55d0a1c3d000+2000]"
)

ARM64 = """\
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000028
Mem abort info:
  ESR = 0x96000005
  EC = 0x25: DABT (current EL), IL = 32 bits
  SET = 0, FnV = 0
  EA = 0, S1PTW = 0
  FSC = 0x05: level 1 translation fault
Data abort info:
  ISV = 0, ISS = 0x00000005
  CM = 0, WnR = 0
[0000000000000028] user address but active_mm is swapper
Internal error: Oops: 96000005 [#1] SMP
Modules linked in: tidewatch
CPU: 1 PID: 212 Comm: tide-reader Not tainted 5.15.31-umbra #1
Hardware name: Umbra T1 (DT)
pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : tide_walk+0x74/0x1c0 [tidewatch]
lr : tide_read+0x60/0x1c0 [tidewatch]
sp : ffff80000b2ab920
x2 : 0000000000000000 x1 : 0000000000000000 x0 : 0000000000000000
Call trace:
 tide_walk+0x74/0x1c0 [tidewatch]
 tide_read+0x60/0x1c0 [tidewatch]
 vfs_read+0xb4/0x1f0
 el0_svc+0x2c/0x90
Code: f9400a60 b4000640 f9405260 910003fd (f9401400)
---[ end trace 51d3c7e0a94b82f6 ]---"""

X86 = """\
BUG: unable to handle page fault for address: ffffc90003a1b008
#PF: supervisor read access in kernel mode
#PF: error_code(0x0000) - not-present page
PGD 100000067 P4D 100000067 PUD 1001c2067 PMD 103a1b067 PTE 0
Oops: 0000 [#1] PREEMPT SMP NOPTI
CPU: 3 PID: 811 Comm: ring-daemon Not tainted 6.1.52-umbra #1
Hardware name: Umbra X110/X1, BIOS 1.2 02/19/2021
RIP: 0010:ring_fetch+0x4d/0xf0 [ringdrv]
Code: 8b 47 10 48 8b 57 18 83 c0 01 89 47 10 c1 e0 03 48 01 d0 <8b> 00 5b c3
RSP: 0018:ffffc90000003f20 EFLAGS: 00010086
RAX: ffffc90003a1b008 RBX: ffff888103a4e800 RCX: 0000000000000000
CR2: ffffc90003a1b008 CR3: 0000000104c2a000 CR4: 00000000003506f0
Call Trace:
 <TASK>
 ring_ioctl+0x5c/0xa0 [ringdrv]
 __x64_sys_ioctl+0x8a/0xc0
 do_syscall_64+0x3b/0x90
 entry_SYSCALL_64_after_hwframe+0x63/0xcd
RIP: 0033:0x7f05b4e6ec7d
Code: 5b 5d c3 66 <48> 3d 01 f0 ff ff 73 01 c3
RSP: 002b:00007ffe02c1a4b0 EFLAGS: 00000246 ORIG_RAX: 0000000000000010
 </TASK>
Modules linked in: ringdrv
---[ end trace 0000000000000000 ]---"""

WARNING = """\
------------[ cut here ]------------
refcount_t: saturated; leaking memory.
WARNING: CPU: 9 PID: 61204 at lib/refcount.c:22 refcount_warn_saturate+0x6e/0xf0
CPU: 9 PID: 61204 Comm: proxyd Not tainted 5.10.92-umbra #1
RIP: 0010:refcount_warn_saturate+0x6e/0xf0
Call Trace:
 pump_ctx_put+0x48/0x60 [pump]
 __sock_release+0x3d/0xc0
 entry_SYSCALL_64_after_hwframe+0x44/0xa9
RIP: 0033:0x7f6c1d9a47f7
---[ end trace 0f6c21d8e9b47a35 ]---"""

USER_4_9 = """\
indexd[1657]: unhandled level 3 translation fault (11) at 0xffff8c112fe0, esr 0x92000047
pgd = ffff8000f1a2b000
[ffff8c112fe0] *pgd=00000000bb2f4003
, *pud=00000000bb2f4003
, *pmd=00000000bb1a0003
, *pte=0000000000000000

CPU: 1 PID: 1657 Comm: indexd Tainted: G        W       4.9.23-umbra #1
Hardware name: Umbra T1 (DT)
task: ffff8000f0a1b200 task.stack: ffff8000f1c2d000
PC is at 0xaaaac8a9473c
LR is at 0xaaaac8a94a10
pc : [<0000aaaac8a9473c>] lr : [<0000aaaac8a94a10>] pstate: 80000000
sp : 0000ffff8c112fe0
x29: 0000ffff8c112fe0 x28: 0000000000000000"""


def dmesg(start_us: int, text: str, caller: str = "", step_us: int = 4) -> str:
    """A text as dmesg prints it: a stamp before each line, the first at `start_us`."""
    stamps = ((start_us + number * step_us, line) for number, line in enumerate(text.split("\n")))
    return "".join(
        f"[{us // 1_000_000:5d}.{us % 1_000_000:06d}]{caller and f'[{caller:>6}]'} {line}\n"
        for us, line in stamps
    )


def in_turns(one: str, other: str) -> str:
    """Two logs, line by line in turns."""
    pairs = zip(one.splitlines(keepends=True), other.splitlines(keepends=True), strict=True)
    return "".join(line for pair in pairs for line in pair)


@dataclass(frozen=True)
class Seen:
    """What a scan says: the items, and the short forms that the tests compare."""

    items: list[dict[str, Any]]

    def _of(self, kind: str) -> list[dict[str, Any]]:
        return [item for item in self.items if item["type"] == kind]

    @property
    def signatures(self) -> list[str]:
        """The kernel matches, in order, without their common beginning."""
        return [item["signature"].removeprefix("kernel.") for item in self._of("match")]

    @property
    def reports(self) -> list[dict[str, Any]]:
        """The reports of the matches that have one."""
        return [item["report"] for item in self._of("match") if "report" in item]

    @property
    def functions(self) -> list[str | None]:
        """The guilty functions of the reports."""
        return [report["function"] for report in self.reports]

    @property
    def noise(self) -> dict[str, int]:
        """User-space crashes by process."""
        return {item["process"]: item["count"] for item in self._of("noise")}

    @property
    def incidents(self) -> list[dict[str, Any]]:
        """The incidents."""
        return self._of("incident")

    @property
    def gaps(self) -> list[tuple[str, int]]:
        """How each incident's halves were compared, and how far they are apart in µs."""
        return [(item["time_basis"], item["gap_us"]) for item in self.incidents]

    @property
    def nothing(self) -> bool:
        """No kernel match, no noise, no incident."""
        return self.items == []


Scan = Callable[..., Seen]


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    """Scans one log, or several files of one folder, by the shipped catalogue."""

    def run(*logs: str | bytes, host: str | None = "edge-1") -> Seen:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for number, log in enumerate(logs):
            (folder / f"{number}.log").write_bytes(log if isinstance(log, bytes) else log.encode())
        return Seen(scanned(folder, {"host": host} if host else {}, shipped()))

    return run


def test_trap_01_noise_phrase_inside_a_kernel_oops(scan: Scan) -> None:
    """`FSC = 0x05: level 1 translation fault` is a line of the kernel's own report: nobody's noise,
    and no end of the report.
    """
    seen = scan(dmesg(66_946_362, ARM64))
    assert seen.signatures == ["null-pointer", "internal-error"]
    assert seen.noise == {}
    assert [(report["function"], report["complete"]) for report in seen.reports] == [
        ("tide_walk", True)
    ]


def test_trap_02_a_user_fault_that_looks_like_an_oops(scan: Scan) -> None:
    """Page tables, CPU, taint, `PC is at`: the block of a user fault up to 4.12 is all noise, also
    right after a release.
    """
    seen = scan(dmesg(1_000_000, RELEASE) + dmesg(1_200_000, USER_4_9))
    assert seen.signatures == ["tcp-release-state"]
    assert (seen.noise, seen.incidents) == ({"indexd": 1}, [])


@pytest.mark.parametrize(
    "text",
    [
        (
            "unhandled exception: DABT (lower EL), ESR 0x92000046, level 2 translation fault "
            "in libscale.so[7fbd4f0000+6000]"
        ),
        (
            "unhandled exception: DABT (lower EL), ESR 0x0000000092000051, synchronous tag "
            "check fault in scaler[b847a9c80000+1000]"
        ),
        (
            "unhandled exception: undefined instruction, ESR 0x0000000002000000, unknown "
            "exception in scaler[b847a9c80000+1000]"
        ),
        "unhandled exception: User debug trap",
    ],
)
def test_trap_03_the_new_user_form(scan: Scan, text: str) -> None:
    """From 4.17 on neither "unhandled level" nor "(11)" nor an address; the lower exception level
    is the user's.
    """
    seen = scan(
        dmesg(
            1_000_000,
            (
                f"{RELEASE}\nscaler[2510]: {text}\nCPU: 3 PID: 2510 Comm: scaler Not tainted "
                "4.19.81-umbra #1"
            ),
        )
    )
    assert seen.signatures == ["tcp-release-state"]
    assert (seen.noise, seen.incidents) == ({"scaler": 1}, [])


def test_trap_04_a_spurious_translation_fault(scan: Scan) -> None:
    """The kernel warns and goes on: told, but no memory fault, and so no second half."""
    spurious = "Ignoring spurious kernel translation fault at virtual address dead000000000110"
    warning = (
        f"{spurious}\nWARNING: CPU: 0 PID: 44 at arch/arm64/mm/fault.c:393 "
        "__do_kernel_fault+0x1b0/0x1e4\nCall trace:\n tide_walk+0x4/0x8"
    )
    seen = scan(dmesg(1_000_000, f"{RELEASE}\n------------[ cut here ]------------\n{warning}"))
    assert seen.signatures[:2] == ["tcp-release-state", "spurious-translation-fault"]
    assert (seen.noise, seen.incidents) == ({}, [])


def test_trap_05_general_protection_of_both_sorts(scan: Scan) -> None:
    """The same two words: with `ip:` a program's, with the address and an oops number the
    kernel's.
    """
    for user in (
        "general protection fault ip:7feb96eb56a1 sp:20000fd0 error:0 in",
        "general protection ip:7feb96eb56a1 sp:20000fd0 error:0 in",
    ):
        seen = scan(
            dmesg(1_000_000, f"{RELEASE}\ntraps: fuzz-229[3616] {user} demo[7feb96e80000+178000]")
        )
        assert (seen.noise, seen.incidents) == ({"fuzz-229": 1}, [])
    for kernel in (
        (
            "general protection fault, probably for non-canonical address 0xdffffc0000000001: "
            "0000 [#1] PREEMPT SMP KASAN"
        ),
        (
            "Oops: general protection fault, probably for non-canonical address "
            "0xdffffc0000000001: 0000 [#1] PREEMPT SMP KASAN"
        ),
        "general protection fault: 0000 [#1] SMP",
    ):
        seen = scan(dmesg(1_000_000, f"{RELEASE}\n{kernel}"))
        assert seen.signatures == ["tcp-release-state", "general-protection"]
        assert len(seen.incidents) == 1


def test_trap_06_a_fatal_signal_with_a_kernel_backtrace(scan: Scan) -> None:
    """Two programs die at once and the kernel shows its own stack for each, piece by piece: noise
    all the same.
    """
    block = """\
{0}/{1}: potentially unexpected fatal signal 11.
CPU: 1 PID: {1} Comm: {0} Tainted: P           O    4.1.52 #1
[<c0011a2c>] (unwind_backtrace) from [<c000ed50>] (show_stack+0x10/0x14)
[<c000ed50>] (show_stack) from [<c0023a18>] (get_signal+0x5b0/0x610)
[<c0023a18>] (get_signal) from [<c000e4a0>] (do_signal+0x90/0x3f0)
pc : [<b6d1c2a0>]    lr : [<b6d1c21c>]    psr: 60000010"""
    seen = scan(
        in_turns(
            dmesg(1_000_000, block.format("meter", 30680)),
            dmesg(1_000_002, block.format("relay", 306)),
        )
    )
    assert (seen.signatures, seen.noise) == ([], {"meter": 1, "relay": 1})


def test_trap_07_a_kernel_oops_right_after_a_user_fault(scan: Scan) -> None:
    """79 µs after a segfault the kernel itself faults: the one is noise, the other half of an
    incident.
    """
    seen = scan(
        dmesg(260_186_100_000, RELEASE)
        + dmesg(260_187_598_024, SEGFAULT)
        + dmesg(260_187_598_103, X86)
    )
    assert seen.signatures == ["tcp-release-state", "x86-page-fault", "oops"]
    assert (seen.noise, seen.functions) == ({"indexd": 1}, ["ring_fetch"])
    assert seen.gaps == [("kernel", 1_498_103)]


def test_trap_08_a_half_alone_or_on_another_host(scan: Scan) -> None:
    """Releases of any state and number alone, a fault alone, and halves of two hosts: no
    incident.
    """
    text = "IPv4: Attempt to release TCP socket in state {} 00000000b95f1{}"
    releases = "".join(
        dmesg(1_000_000 * second, text.format(state, second))
        for second, state in ((101, 1), (102, 3), (103, 10), (104, 10))
    )
    assert (scan(releases).signatures, scan(releases).incidents) == (["tcp-release-state"] * 4, [])
    assert scan(dmesg(9_000_000, X86)).incidents == []
    stream = (
        f"Mar  9 04:17:52 web-1 kernel: [  100.000000] {RELEASE}\nMar  9 04:17:52 web-2 kernel: "
        f"[  100.400000] {HEAD}\n"
    )
    seen = scan(stream, host=None)
    assert (seen.signatures, seen.incidents) == (["tcp-release-state", "paging-request"], [])


@pytest.mark.parametrize(
    "head",
    [
        HEAD,
        "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000990",
        "Unable to handle kernel read from unreadable memory at virtual address 0000000000000110",
        "Unable to handle kernel write to read-only memory at virtual address ffff80000a1b2c30",
        (
            "Unable to handle kernel access to user memory outside uaccess routines at virtual "
            "address 0000000000000030"
        ),
        "Unable to handle kernel execution of user memory at virtual address 0000000000000030",
        "BUG: unable to handle kernel paging request at 0000000000031a07",
        "BUG: unable to handle kernel NULL pointer dereference at 0000000000000a90",
        "BUG: kernel NULL pointer dereference, address: 0000000000000068",
        "BUG: unable to handle page fault for address: ffffed1012345678",
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
def test_trap_09_the_second_half_in_other_words(scan: Scan, head: str) -> None:
    """Whatever a kernel line and an architecture call it, it is the second half."""
    seen = scan(dmesg(5_000_000, RELEASE) + dmesg(9_001_000, head))
    assert seen.gaps == [("kernel", 4_001_000)]
    assert seen.incidents[0]["rule"] == PAIR_RULE


@pytest.mark.parametrize("prefix", ["IPv4: ", ""])
@pytest.mark.parametrize(
    "pointer", ["ffff8804345b8e80", "00000000f7fb3e79", "cfbfd540", "(____ptrval____)", "(ptrval)"]
)
@pytest.mark.parametrize("address", ["0001950b", "0000000000019abb"])
def test_trap_10_pointers_of_every_width(
    scan: Scan, prefix: str, pointer: str, address: str
) -> None:
    """Raw, hashed, 32 bits, hidden at early boot; with and without the prefix; eight and sixteen
    digits.
    """
    release = f"{prefix}Attempt to release TCP socket in state 10 {pointer}"
    seen = scan(
        dmesg(
            7_000_000,
            f"{release}\nUnable to handle kernel paging request at virtual address {address}",
        )
    )
    (incident,) = seen.incidents
    first, second = incident["evidence"]
    assert first["fields"] == {"state": "10", "socket": pointer}
    assert second["fields"]["fault_address"] == address


def test_trap_11_two_cpus_interleaved_with_caller_ids(scan: Scan) -> None:
    """Line by line in turns, a driver's line between: each report holds what its own caller
    printed.
    """
    one, other = (
        dmesg(9_000_000, ARM64, "T3083"),
        dmesg(9_000_002, ARM64.replace("tide_", "ebb_").replace("PID: 212", "PID: 213"), "T3080"),
    )
    rows = in_turns(one, other).splitlines(keepends=True)
    stranger = dmesg(
        9_000_060, "arm-scmi firmware:scmi: timed out in resp(caller: scmi_get+0x1/0x2)", "T12"
    )
    seen = scan("".join([*rows[:28], stranger, *rows[28:]]))
    assert sorted(
        (report["function"], report["pid"], report["complete"]) for report in seen.reports
    ) == [
        ("ebb_walk", 213, True),
        ("tide_walk", 212, True),
    ]


def test_trap_11_a_line_of_a_driver_within_a_block_without_caller_ids(scan: Scan) -> None:
    """Between `CPU:` and `Hardware name:` another processor has its say: the report is none the
    worse.
    """
    stranger = "arm-scmi firmware:scmi: timed out in resp(caller: scmi_get+0x1/0x2)\nHardware name"
    (report,) = scan(dmesg(9_000_000, ARM64.replace("Hardware name", stranger, 1))).reports
    assert (report["function"], report["hardware"], report["complete"]) == (
        "tide_walk",
        "Umbra T1 (DT)",
        True,
    )


def test_trap_12_every_line_twice(scan: Scan) -> None:
    """One log of two consoles: one release, one fault, one report."""
    log = dmesg(5_000_000, RELEASE) + dmesg(5_400_000, ARM64)
    seen = scan("".join(line * 2 for line in log.splitlines(keepends=True)))
    assert seen.signatures == ["tcp-release-state", "null-pointer", "internal-error"]
    assert [len(incident["evidence"]) for incident in seen.incidents] == [2]
    assert seen.functions == ["tide_walk"]


@pytest.mark.parametrize(
    "before",
    [
        "er run is 0h 15m",
        "lab-3 login: ",
        "[root@lab-3 dir]# ",
        "** 93 printk messages dropped ** ",
    ],
)
def test_trap_13_text_before_the_stamp(scan: Scan, before: str) -> None:
    """A prompt, a program's output, a note on lost messages stand on the same row as the head."""
    seen = scan(dmesg(5_000_000, RELEASE) + before + dmesg(5_400_000, X86))
    assert (seen.signatures, seen.functions) == (
        ["tcp-release-state", "x86-page-fault", "oops"],
        ["ring_fetch"],
    )
    assert seen.gaps == [("kernel", 400_000)]


def test_trap_13_a_code_line_over_two_rows(scan: Scan) -> None:
    """A narrow console breaks `Code:`; the instruction is still the marked one."""
    whole = scan(dmesg(5_400_000, X86)).reports
    broken = scan(dmesg(5_400_000, X86.replace(" c1 e0 03 48", "\nc1 e0 03 48", 1))).reports
    assert whole[0]["instruction"]
    assert (broken[0]["function"], broken[0]["instruction"]) == (
        whole[0]["function"],
        whole[0]["instruction"],
    )


def test_trap_13_a_head_without_its_stamp(scan: Scan) -> None:
    """The stamp of the first line is lost: the head is still told, and its report read."""
    seen = scan(dmesg(5_400_000, X86).partition("] ")[2])
    assert (seen.signatures, seen.functions) == (["x86-page-fault", "oops"], ["ring_fetch"])


def test_trap_14_continuation_pieces(scan: Scan) -> None:
    """A page-table walk in pieces, as lines with stamps of their own or as `c` records: neither a
    fault nor the end of one.
    """
    walk = (
        "[0000000000000028] *pgd=0000000000000000\n, *pud=0000000000000000\n, *pmd=0000000000000000"
    )
    old = ARM64.replace("[0000000000000028] user address but active_mm is swapper", walk)
    for log in (
        dmesg(5_400_000, old),
        "".join(
            f"{4},{n},{5_400_000 + n},{'c' if line.startswith(',') else '-'};{line}\n"
            for n, line in enumerate(old.split("\n"))
        ),
    ):
        seen = scan(log)
        assert (seen.signatures, seen.functions) == (
            ["null-pointer", "internal-error"],
            ["tide_walk"],
        )
        assert seen.reports[0]["complete"]


@pytest.mark.parametrize(
    "comm",
    [
        "MediaPD~der #12",
        "Trash:store1",
        "plugin-containe",
        "a/b (c)",
        "[kworker]",
        "x[1]",
        "it's 100% \\o/",
        "ünïcödé",
    ],
)
def test_trap_15_names_of_processes(scan: Scan, comm: str) -> None:
    """Blanks, signs, brackets, colons: the name is read whole, in noise and in a report."""
    user = f"{comm}[52]: segfault at 10 ip 000000000040113a sp 00007ffd1c2b3a40 error 4"
    seen = scan(dmesg(5_000_000, user) + dmesg(5_400_000, ARM64.replace("tide-reader", comm)))
    assert seen.noise == {comm: 1}
    assert [(report["comm"], report["pid"], report["function"]) for report in seen.reports] == [
        (comm, 212, "tide_walk")
    ]


def forged() -> Iterable[str]:
    """The pair as user space can write it, one log for each way."""
    pair = (RELEASE, HEAD)
    yield "".join(f"30,{n},4120011{n},-;{text}\n" for n, text in enumerate(pair))
    yield "".join(f"Jul  4 10:00:01 edge-1 mailscan[812]: {text}\n" for text in pair)
    yield "".join(
        f"<13>Jul  4 10:00:01 edge-1 kernel: [ 4120.30000{n}] {text}\n"
        for n, text in enumerate(pair)
    )
    for transport in ("syslog", "stdout", "journal"):
        fields = {
            "_TRANSPORT": transport,
            "SYSLOG_FACILITY": "0",
            "SYSLOG_IDENTIFIER": "kernel",
            "_PID": "4411",
            "_HOSTNAME": "edge-1",
        }
        yield "".join(
            json.dumps({**fields, "__REALTIME_TIMESTAMP": f"177303347200000{n}", "MESSAGE": text})
            + "\n"
            for n, text in enumerate(pair)
        )
    yield "".join(dmesg(4_120_300_000, f"systemd[1]: test-runner: {text}") for text in pair)
    yield "".join(f"logs/kern.log:{n}:[ 4120.300000] {text}\n" for n, text in enumerate(pair))


@pytest.mark.parametrize("log", list(forged()))
def test_trap_16_forged_lines(scan: Scan, log: str) -> None:
    """/dev/kmsg, syslog, the journal, a quotation, the output of a search: user space wrote it, so
    it is nothing.
    """
    assert scan(log).nothing


def test_trap_16_a_name_that_spells_a_signature(scan: Scan) -> None:
    """A program that calls itself like a fault and crashes after a release is noise."""
    text = (
        "Unable to handl[4401]: segfault at 10 ip 000000000040113a sp 00007ffd1c2b3a40 error 4 "
        "in evil[400000+1000]"
    )
    seen = scan(dmesg(5_000_000, f"{RELEASE}\n{text}"))
    assert (seen.signatures, seen.noise, seen.incidents) == (
        ["tcp-release-state"],
        {"Unable to handl": 1},
        [],
    )


def test_trap_17_an_uptime_of_eight_digits(scan: Scan) -> None:
    """Two years up: the stamp is wider than its column, and exact to the microsecond."""
    seen = scan(dmesg(61_817_741_123_456, RELEASE) + dmesg(61_817_741_615_773, HEAD))
    assert seen.gaps == [("kernel", 492_317)]


def test_trap_17_the_same_uptime_on_two_boots(scan: Scan) -> None:
    """Half a second apart by uptime, a banner between: two boots, no incident."""
    banner = dmesg(
        0,
        (
            "Linux version 5.15.31-umbra (build@umbra) (gcc 10.2.1) #1 SMP Mon Mar 28 10:00:01 UTC "
            "2022"
        ),
    )
    seen = scan(banner + dmesg(100_000_000, RELEASE) + banner + dmesg(100_500_000, HEAD))
    assert (seen.signatures, seen.incidents) == (["tcp-release-state", "paging-request"], [])


def test_trap_17_a_journal_that_reads_late(scan: Scan) -> None:
    """journald stamps when it reads, up to seconds late and not evenly: the kernel's own stamp
    counts.
    """
    fields = {
        "_TRANSPORT": "kernel",
        "_BOOT_ID": "9d41f0c27a5b4e1d8c3360aa1f7be254",
        "_HOSTNAME": "edge-1",
        "SYSLOG_FACILITY": "0",
    }
    rows = ((0, 100_000, RELEASE), (1, 14_900_000, HEAD))
    log = "".join(
        json.dumps(
            {
                **fields,
                "__REALTIME_TIMESTAMP": str(1_773_033_472_000_000 + late),
                "__MONOTONIC_TIMESTAMP": str(5_000_000_000 + late),
                "_SOURCE_MONOTONIC_TIMESTAMP": str(5_000_000_000 + number * 700_000),
                "MESSAGE": text,
            }
        )
        + "\n"
        for number, late, text in rows
    )
    assert scan(log, host=None).gaps == [("kernel", 700_000)]


@pytest.mark.parametrize(
    "log",
    [
        f"[Tue Jan 24 19:21:10 2026] {RELEASE}\n[Tue Jan 24 19:21:12 2026] {HEAD}\n",
        f"Jan 24 19:21:10 edge-1 kernel: {RELEASE}\nJan 24 19:21:12 edge-1 kernel: {HEAD}\n",
    ],
)
def test_trap_17_whole_seconds_and_no_year(scan: Scan, log: str) -> None:
    """With no kernel time the wall clock is compared, and the incident says so."""
    assert scan(log, host=None).gaps == [("wall", 2_000_000)]


def test_trap_18_the_second_half_comes_after_the_reboot(scan: Scan) -> None:
    """The dump of the old boot is shipped when the new one has long been logging: the window is one
    of kernel time.
    """
    stamp = "Mar  9 04:{} edge-1 kernel: [{}] {}\n"
    log = stamp.format("17:52", "90211.402118", RELEASE)
    log += stamp.format(
        "21:30",
        "    0.000000",
        (
            "Linux version 5.15.31-umbra (build@umbra) (gcc 10.2.1) #1 SMP Mon Mar 28 10:00:01 UTC "
            "2022"
        ),
    )
    log += stamp.format("21:34", "    4.117802", "tidewatch: ready")
    dump = dmesg(90_211_402_118, RELEASE) + dmesg(90_213_913_259, X86)
    seen = scan(log, dump)
    assert seen.gaps == [("kernel", 2_511_141)]
    assert seen.functions == ["ring_fetch"]
    head_only = scan(log, dmesg(90_213_913_259, X86))
    assert [incident["id"] for incident in head_only.incidents] == [
        incident["id"] for incident in seen.incidents
    ]


def test_trap_18_a_new_boot_is_not_the_second_half(scan: Scan) -> None:
    """Seven seconds by the wall clock lie between the release and a fault of the next boot: no
    incident.
    """
    log = f"Mar  9 04:17:50 edge-1 kernel: [90211.402118] {RELEASE}\n"
    log += (
        "Mar  9 04:17:53 edge-1 kernel: [    0.000000] Linux version 5.15.31-umbra "
        "(build@umbra) (gcc 10.2.1) #1 SMP\n"
    )
    log += f"Mar  9 04:17:57 edge-1 kernel: [    4.117802] {HEAD}\n"
    seen = scan(log, host=None)
    assert (seen.signatures, seen.incidents) == (["tcp-release-state", "paging-request"], [])


@pytest.mark.parametrize(
    ("pc", "lr"),
    [
        ("0xffffd4a61638f258", "0xffffd4a61638f1f0"),
        ("0x0", "tide_read+0x60/0x1c0 [tidewatch]"),
        ("0xffffffffdeadbeef", "tide_read+0x60/0x1c0 [tidewatch]"),
    ],
)
def test_trap_19_a_pc_without_a_symbol(scan: Scan, pc: str, lr: str) -> None:
    """A jump into nowhere names nobody: whoever jumped is named, by the first frame that has a
    name.
    """
    text = ARM64.replace("pc : tide_walk+0x74/0x1c0 [tidewatch]", f"pc : {pc}").replace(
        "lr : tide_read+0x60/0x1c0 [tidewatch]", f"lr : {lr}"
    )
    seen = scan(dmesg(5_400_000, text.replace(" tide_walk+0x74/0x1c0 [tidewatch]", f" {pc}")))
    assert seen.functions == ["tide_read"]


def test_trap_19_generic_functions_are_not_guilty(scan: Scan) -> None:
    """Locks and string functions fault for their callers."""
    for generic in (
        "__lock_acquire",
        "__hwasan_check_x0_67043363",
        "__list_del_entry_valid",
        "memcpy",
    ):
        seen = scan(
            dmesg(
                5_400_000,
                ARM64.replace("tide_walk+0x74/0x1c0 [tidewatch]", f"{generic}+0x74/0x1c0"),
            )
        )
        assert seen.functions == ["tide_read"], generic
    assert scan(dmesg(5_400_000, WARNING)).reports[0]["function"] == "pump_ctx_put"


@pytest.mark.parametrize("suffix", [".isra.36", ".constprop.0", ".part.0", ".part.0.cold"])
@pytest.mark.parametrize("module", ["tidewatch", None])
def test_trap_20_symbols_with_suffixes(scan: Scan, suffix: str, module: str | None) -> None:
    """What the compiler appends is kept for people and dropped for identity: one problem, whatever
    built the kernel.
    """

    def seen(name: str) -> Seen:
        printed = f"{name}+0x74/0x10000" + (f" [{module}]" if module else "")
        return scan(
            dmesg(5_000_000, RELEASE)
            + dmesg(5_400_000, ARM64.replace("tide_walk+0x74/0x1c0 [tidewatch]", printed))
        )

    plain, dressed = seen("tide_walk"), seen(f"tide_walk{suffix}")
    (report,) = dressed.reports
    assert (report["function"], report["display_function"], report["module"]) == (
        "tide_walk",
        f"tide_walk{suffix}",
        module,
    )
    assert dressed.incidents[0]["fingerprint"] == plain.incidents[0]["fingerprint"]


def test_trap_20_addresses_and_stack_dumps_in_a_trace(scan: Scan) -> None:
    """4.14 prints `[<address>]` before each frame and dumps of exception stacks between them: these
    are no frames.
    """
    text = ARM64.replace(
        " tide_walk+0x74",
        (
            "Exception stack(0xffff00000a36f950 to 0xffff00000a36fa90)\nf940: 000000000002346f "
            "ffff000009063480\n tide_walk+0x74"
        ),
    )
    text = (
        text.replace("pc : tide_walk", "PC is at tide_walk")
        .replace("\n tide_", "\n[<ffff0000088213a8>] tide_")
        .replace("\n vfs", "\n[<ffff000008810000>] vfs")
    )
    (report,) = scan(dmesg(5_400_000, text)).reports
    assert [frame["function"] for frame in report["frames"]] == [
        "tide_walk",
        "tide_read",
        "vfs_read",
        "el0_svc",
    ]
    assert report["function"] == "tide_walk"


def test_trap_20_decoded_frames(scan: Scan) -> None:
    """A trace that was decoded on the way has files and inlined callers in place of offsets."""
    text = ARM64.replace(
        "tide_walk+0x74/0x1c0 [tidewatch]", "tide_walk (drivers/umbra/tide.c:123) tidewatch"
    )
    text = text.replace(
        "lr : tide_read+0x60/0x1c0 [tidewatch]",
        "lr : tide_read (drivers/umbra/tide.c:88) tidewatch",
    )
    (report,) = scan(dmesg(5_400_000, text)).reports
    assert report["function"] == "tide_walk"


KASAN = """\
BUG: KASAN: slab-out-of-bounds in tide_parse+0x1c4/0x3a0 [tidewatch]
Read of size 4 at addr ffff00000a1b2c3c by task fuzz/911

CPU: 1 PID: 911 Comm: fuzz Not tainted 5.15.31-umbra #2
Call trace:
 dump_backtrace+0x0/0x2b0
 show_stack+0x24/0x30"""
LOCKDEP = """\
======================================================
WARNING: possible circular locking dependency detected
5.15.31-umbra #2 Not tainted
------------------------------------------------------
fuzz/911 is trying to acquire lock:
ffff0000c1a2b3c8 (&tide->lock){+.+.}-{3:3}, at: tide_detach+0x34/0x90"""


@pytest.mark.parametrize(("cut", "function"), [(KASAN, "tide_parse"), (LOCKDEP, "tide_detach")])
def test_trap_21_an_oops_inside_another_report(scan: Scan, cut: str, function: str) -> None:
    """The kernel faults while it prints a report: two crashes, and the second is the one that
    counts.
    """
    seen = scan(dmesg(5_000_000, RELEASE) + dmesg(5_300_000, cut) + dmesg(5_400_000, ARM64))
    assert [(report["function"], report["complete"]) for report in seen.reports] == [
        (function, False),
        ("tide_walk", True),
    ]
    assert [incident["report"]["function"] for incident in seen.incidents] == ["tide_walk"]


@pytest.mark.parametrize("rows", [12, 17, 20, 23])
def test_trap_22_a_cut_block(scan: Scan, rows: int) -> None:
    """No end mark: what is there is told, and that it is not all."""
    text = "\n".join(X86.split("\n")[:rows])
    seen = scan(dmesg(5_000_000, RELEASE) + dmesg(5_400_000, text))
    assert [(report["function"], report["complete"]) for report in seen.reports] == [
        ("ring_fetch", False)
    ]
    assert len(seen.incidents) == 1


def test_trap_22_messages_lost_within_a_block(scan: Scan) -> None:
    """The console could not keep up: the report goes on behind the gap, to its end mark."""
    rows = dmesg(5_400_000, ARM64).splitlines()
    (report,) = scan(
        "\n".join([*rows[:6], "** 9 printk messages dropped ** " + rows[16], *rows[17:], ""])
    ).reports
    assert (report["function"], report["complete"]) == ("tide_walk", True)


def test_trap_23_a_user_fault_at_a_kernel_address(scan: Scan) -> None:
    """Where a program pointed does not say who crashed."""
    seen = scan(
        dmesg(
            5_000_000,
            f"{RELEASE}\nsleeper[15639]: segfault (11) at c000000000004c20 nip 10000718 lr "
            "10000708 code 1 in sleeper[10000000+10000]\n"
            "prober[31]: unhandled level 0 translation fault (11) at 0xffff000008081000, "
            "esr 0x92000004\n"
            "walker[32]: segfault at ffffffff81000000 ip 000000000040113a sp "
            "00007ffd1c2b3a40 error 5 in walker[400000+1000]",
        )
    )
    assert seen.signatures == ["tcp-release-state"]
    assert (seen.noise, seen.incidents) == ({"sleeper": 1, "prober": 1, "walker": 1}, [])


@pytest.mark.parametrize(
    "log",
    [
        dmesg(5_000_000, f"{RELEASE}\n{X86}").upper(),
        "".join(f"> {line}\n" for line in dmesg(5_000_000, f"{RELEASE}\n{HEAD}").splitlines()),
        "Message from syslogd@edge-1 at Fri Jul 26 05:57:37 2026 ...\n",
        f'the log says "{HEAD}"\n',
    ],
    ids=["capitals", "mail", "wall", "quotation"],
)
def test_trap_24_copies(scan: Scan, log: str) -> None:
    """Capitals, a quoted mail, the wall of a syslog daemon, a quotation: repetitions of a fault are
    none.
    """
    assert scan(log).nothing


def walled() -> str:
    """The pair, and after its report the daemon's wall, which a terminal shows with the kernel's
    stamp.
    """
    block = dmesg(5_400_000, ARM64)
    emergency = next(line for line in block.splitlines() if "Internal error" in line)
    wall = f"\nMessage from syslogd@edge-1 at Fri Jul 26 05:57:37 2026 ...\n kernel:{emergency}\n\n"
    return dmesg(5_000_000, RELEASE) + block + wall


def test_trap_24_a_wall_beside_the_log(scan: Scan) -> None:
    """The line and its copy are one match, and the crash is one."""
    seen = scan(walled())
    assert seen.signatures == ["tcp-release-state", "null-pointer", "internal-error"]
    assert [incident["report"]["function"] for incident in seen.incidents] == ["tide_walk"]


def test_trap_24_a_wall_is_no_report(scan: Scan) -> None:
    """The copy says nothing that the report did not say."""
    assert scan(walled()).functions == ["tide_walk"]


def test_trap_25_a_warning_between_the_halves(scan: Scan) -> None:
    """The warning's trace is not the oops's, and a user's `RIP: 0033` names no function."""
    seen = scan(dmesg(5_000_000, RELEASE) + dmesg(5_200_000, WARNING) + dmesg(6_483_000, X86))
    assert seen.signatures == ["tcp-release-state", "refcount", "warning", "x86-page-fault", "oops"]
    assert [
        (report["kind"], report["function"])
        for report in seen.reports
        if report["kind"] == "memory-fault"
    ] == [("memory-fault", "ring_fetch")]
    assert seen.gaps == [("kernel", 1_483_000)]
    assert seen.incidents[0]["report"]["registers"]["rbx"] == "0xffff888103a4e800"
