"""Blocks of every architecture and generation, written from the kernels' formats, and what must be
read in them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detector.crash import TAINTS, read
from detector.model import Block, Boot, CrashReport, Match
from tests.support.feeding import blocks
from tests.support.shipped import shipped

FOLDER = Path(__file__).parent / "blocks"

EXPECTED: dict[str, dict[str, Any]] = {
    "arm64-3.18": {
        "title": "BUG: unable to handle kernel paging request in frob_ring_reap",
        "offset": 0x74,
        "module": "frob",
        "kernel": "3.18.31-perf",
        "arch": "arm64",
        "hardware": "Example Board rev2 (DT)",
        "cpu": 3,
        "pid": 2114,
        "comm": "frob worker/1",
        "tainted": "GWO",
        "fault_address": 0x6B6B6B6B6B6B6B83,
        "esr": 0x96000004,
        "code_mark": 4,
    },
    "arm64-4.14": {
        "title": "BUG: unable to handle kernel NULL pointer dereference in frob_lookup",
        "function": "frob_lookup",
        "display_function": "frob_lookup.isra.7",
        "kernel": "4.14.0-115.el7a.aarch64",
        "comm": "swapper/12",
        "tainted": "",
        "fault_address": 0x18,
        "esr": 0x96000006,
    },
    "arm64-5.10": {
        "title": "BUG: unable to handle kernel access to user memory in frob_ioctl",
        "esr": 0x96000044,
        "fault_address": 0xAAAAE1B0C010,
    },
    "arm64-6.6": {
        "title": "BUG: unable to handle kernel write to read-only memory in frob_patch_ops",
        "comm": "(udev-worker)",
        "tainted": "GOE",
        "esr": 0x9600004F,
        "panic": "Oops: Fatal exception",
    },
    "arm64-6.12-no-symbol": {
        "title": "BUG: unable to handle kernel execution of user memory in frob_dispatch",
        "comm": "frob:reader #3",
        "offset": 0x60,
        "code": (),
        "fault_address": 0,
    },
    "x86_64-2.6.32": {
        "title": "BUG: unable to handle kernel NULL pointer dereference in frob_unlink",
        "kernel": "2.6.32-431.el6.x86_64",
        "arch": "x86_64",
        "cpu": 4,
        "pid": 8112,
        "comm": "frobd",
        "fault_address": 0,
        "error_code": 2,
    },
    "x86_64-4.19-gpf": {
        "title": "general protection fault in frob_cmd_done",
        "display_function": "frob_cmd_done.cold.3",
        "tainted": "PWOE",
        "fault_address": None,
    },
    "x86_64-6.8": {
        "title": "BUG: unable to handle kernel paging request in frob_ring_write",
        "display_function": "frob_ring_write.constprop.0",
        "comm": "Trash:store1",
        "kernel": "6.8.0-45-generic",
        "error_code": 2,
        "fault_address": 0xFFFFB0A2C0A3D008,
        "code_mark": 25,
    },
    "x86_64-6.14-gpf": {
        "title": "general protection fault in frob_open",
        "fault_address": 0xDFFFFC0000000003,
        "pid": 811,
    },
    "i386-2.6.18": {
        "title": "BUG: unable to handle kernel paging request in frob_tx_done",
        "arch": "i386",
        "kernel": "2.6.18-53.el5",
        "cpu": 1,
        "comm": "swapper",
        "fault_address": 0x6B6B6B8B,
    },
    "arm-4.9": {
        "title": "BUG: unable to handle kernel NULL pointer dereference in frob_gpio_read",
        "arch": "arm",
        "kernel": "4.9.33-v7+",
        "error_code": 5,
        "fault_address": 0x1C,
        "code_mark": 4,
    },
    "arm-6.1": {
        "title": "BUG: unable to handle kernel paging request in frob_dma_kick",
        "module": "frob",
        "error_code": 0x807,
    },
    "ppc64-3.10": {
        "title": "BUG: unable to handle kernel paging request in frob_free_req",
        "arch": "ppc64",
        "kernel": "3.10.0-957.el7.ppc64",
        "tainted": "GOE",
        "fault_address": 0x28,
        "code_mark": 10,
    },
    "ppc64le-6.6": {
        "title": "BUG: unable to handle kernel NULL pointer dereference in frob_reset",
        "fault_address": 0x10C,
        "code_mark": 7,
    },
    "s390x-6.4": {
        "title": "BUG: unable to handle kernel pointer dereference in frob_walk_start",
        "arch": "s390x",
        "module": "frob_s390",
        "error_code": 0x3B,
        "fault_address": 0xA00000000,
    },
    "s390x-3.12-bug": {
        "title": "kernel BUG in frob_alloc_table",
        "kind": "kernel-bug",
        "error_code": 1,
    },
    "riscv64-6.1": {
        "title": "BUG: unable to handle kernel paging request in frob_gpio_set",
        "arch": "riscv64",
        "fault_address": 0x61FED09482,
        "code_mark": 8,
    },
    "loongarch64-6.6": {
        "title": "BUG: unable to handle kernel paging request in frob_kick",
        "arch": "loongarch64",
        "fault_address": 0xFFFF800000002064,
        "code_mark": 3,
    },
    "mips-5.15": {
        "title": "BUG: unable to handle kernel paging request in frob_sta_remove",
        "arch": "mips",
        "fault_address": 0x2C,
        "code_mark": 3,
    },
    "warning-3.10": {
        "title": "WARNING in frob_watchdog",
        "kind": "warning",
        "cpu": 3,
        "module": "frob",
    },
    "warning-5.15-refcount": {
        "title": "WARNING: refcount bug in frob_ctx_put",
        "display_function": "frob_ctx_put.part.0",
        "fault_address": None,
    },
    "warning-6.17": {
        "title": "WARNING in frob_reserve",
        "kernel": "6.17.0-example",
        "comm": "systemd",
        "cpu": 1,
        "pid": 1,
    },
    "kasan-6.6": {
        "title": "KASAN: slab-use-after-free Read in frob_req_done",
        "kind": "kasan",
        "comm": "frob io:3",
        "fault_address": 0xFFFF88810A1D2410,
    },
    "soft-lockup-5.4": {
        "title": "BUG: soft lockup in frob_scrub_work",
        "tainted": "GOEL",
        "comm": "kworker/3:1",
    },
    "hung-task-6.1": {
        "title": "INFO: task hung in frob_flush_queue",
        "comm": "frob writer:1",
        "pid": 7712,
        "kernel": "6.1.0-18-amd64",
    },
    "rcu-stall-5.10": {
        "package": "Debian 5.10.209-2",
        "title": "INFO: rcu detected stall in frob_ioctl",
        "cpu": 1,
        "pid": 911,
    },
    "lockdep-6.1": {"title": "possible deadlock in frob_detach", "kernel": "6.1.0-example"},
    "bug-list-5.10": {
        "title": "BUG: corrupted list in frob_dequeue",
        "kind": "kernel-bug",
        "code_mark": 5,
    },
}

REGISTERS: dict[str, dict[str, int]] = {
    "arm64-3.18": {"x0": 0xFFFFFFC0B2E18810, "x1": 0x18, "pc": 0xFFFFFFBFFC01A4F4,
        "lr": 0xFFFFFFBFFC01B1C8, "pstate": 0x60000145},
    "arm64-6.6": {"x8": 1, "x6": 0x3F, "x27": 0xFFFF00000A1B2C00, "sp": 0xFFFF8000857B39F0},
    "x86_64-6.8": {"rax": 0xFFFFB0A2C0A3D008, "r8": 0x40, "cr2": 0xFFFFB0A2C0A3D008,
        "rsp": 0xFFFFB0A2C3B2FC80, "fs": 0x7F6A5C1D1740},
    "x86_64-2.6.32": {"rip": 0xFFFFFFFFA01B42D1, "r13": 0, "cr2": 0},
    "i386-2.6.18": {"eax": 0x6B6B6B6B, "edi": 0xF7A3C200, "eip": 0xF88A51C2},
    "arm-4.9": {"r15": 0x7F0A1124, "r14": 0x7F0A12B8, "r13": 0xA1A13E50, "r11": 0xA1A13E64, "r0": 0,
        "psr": 0x60000013},
    "ppc64-3.10": {"nip": 0xD0000000058C2A44, "r0": 0xD0000000058C31C8, "r5": 1,
        "r11": 0xD0000000058C7D90, "dar": 0x28},
    "s390x-6.4": {"psw_addr": 0x3FF7FC3D47E, "r1": 0xA00000000, "r6": 0x40, "r15": 0x380005EF9E8},
    "s390x-3.12-bug": {"psw_addr": 0x431F8E, "r0": 0xC7FFF88, "r15": 0x6EF4B858},
    "riscv64-6.1": {"epc": 0xFFFFFFFF0190A11A, "a0": 0x61FED09482, "cause": 0xD},
    "loongarch64-6.6": {"a0": 0x9000000101D06000, "era": 0xFFFF800002A4C1D8,
        "badv": 0xFFFF800000002064},
    "mips-5.15": {"r4": 0x82A3C400, "r31": 0x82D1A2F0, "epc": 0x82D1A1D4, "badva": 0x2C},
}  # fmt: skip

ENDLESS = {"hung-task-6.1", "lockdep-6.1", "rcu-stall-5.10", "soft-lockup-5.4", "i386-2.6.18"}
"""They print no end mark, and the file ends with them."""


def reading(name: str) -> CrashReport:
    """The one report of a file."""
    (block,) = blocks((FOLDER / f"{name}.log").read_text(encoding="utf-8"))
    return read(block, shipped().lists["generic-functions"])


def block(*lines: str, cls: str = "memory-fault") -> Block:
    """A block of these lines."""
    head = Match(
        "kernel.test",
        cls,
        "kernel",
        "critical",
        lines[0],
        {},
        "log",
        1,
        "web01",
        Boot(),
        None,
        None,
    )
    return Block(head, lines, complete=True)


def test_every_file_is_expected() -> None:
    """No block lies there unread."""
    assert {path.stem for path in FOLDER.glob("*.log")} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_report(name: str) -> None:
    """Title, function and facts of the block are those that its lines say."""
    report = reading(name)
    assert {key: getattr(report, key) for key in EXPECTED[name]} == EXPECTED[name]
    assert report.title is not None
    assert report.function == report.title.rpartition(" in ")[2]
    assert report.complete == (name not in ENDLESS)
    assert set(report.tainted or "") <= set(TAINTS)


@pytest.mark.parametrize("name", sorted(REGISTERS))
def test_registers(name: str) -> None:
    """The registers of the crashing context, by lower-case names."""
    registers = reading(name).registers
    assert {key: registers.get(key) for key in REGISTERS[name]} == REGISTERS[name]


def test_user_registers_are_not_the_kernels() -> None:
    """What stands under `RIP: 0033` is user space: neither its function, nor its registers, nor its
    code.
    """
    report = reading("x86_64-6.8")
    assert "orig_rax" not in report.registers
    assert report.registers["rbx"] == 0xFFFF94A2C5A3D000
    assert report.code[report.code_mark or 0] == "48"
    assert report.code[0] == "8b"


def test_trace_of_the_crashing_context() -> None:
    """Frames end where others' traces begin; doubtful ones are kept and marked; modules and offsets
    are read.
    """
    frames = reading("kasan-6.6").frames
    assert [frame.function for frame in frames][-3:] == [
        "frob_req_done",
        "frob_irq_thread",
        "irq_thread_fn",
    ]
    frames = reading("x86_64-6.8").frames
    assert [frame.function for frame in frames if frame.reliable][:2] == [
        "frob_submit",
        "__x64_sys_ioctl",
    ]
    assert (frames[4].module, frames[4].offset, frames[4].size) == ("frob", 0x9A, 0x120)
    assert [frame.function for frame in reading("arm-4.9").frames] == [
        "frob_gpio_read",
        "frob_show",
        "dev_attr_show",
        "sysfs_kf_seq_show",
    ]
    assert reading("riscv64-6.1").frames[0].function == "frob_gpio_set"


def test_system_call_prefixes_go_but_a_modules_name_stays() -> None:
    """`__x64_sys_foo` and `SyS_foo` are one system call; `sys_imageblit [sysimgblt]` is no system
    call.
    """
    head, trace = "BUG: unable to handle page fault for address: ffffb0a2c0a3d008", "Call Trace:"
    assert read(block(head, "RIP: 0010:__x64_sys_frob+0x1/0x20", trace)).function == "sys_frob"
    assert read(block(head, "RIP: 0010:__do_sys_frob+0x1/0x20", trace)).function == "frob"
    assert (
        read(block(head, "RIP: 0010:sys_imageblit+0x1/0x20 [sysimgblt]", trace)).function
        == "sys_imageblit"
    )


def test_all_generic_names_the_program_counter() -> None:
    """Where every frame is generic, the function at the program counter is better than none."""
    report = read(
        block(
            "BUG: unable to handle page fault for address: 0000000000000010",
            "RIP: 0010:memcpy+0x1/0x20",
        ),
        {"memcpy"},
    )
    assert report.function == "memcpy"


def test_no_function_no_in() -> None:
    """A head alone has a title, and names nothing that it does not know."""
    report = read(block("Unable to handle kernel paging request at virtual address 0001950b"))
    assert (report.title, report.function, report.fault_address) == (
        "BUG: unable to handle kernel paging request",
        None,
        0x1950B,
    )


def test_comm_cannot_fake_the_release() -> None:
    """A process may carry kernel words in its name; the release is what stands after the last of
    them.
    """
    line = "CPU: 1 PID: 7 Comm: a Not tainted 9.9 Not tainted 6.1.0-18-amd64 #1 Debian"
    report = read(block("general protection fault: 0000 [#1] SMP", line))
    assert (report.kernel, report.comm) == ("6.1.0-18-amd64", "a Not tainted 9.9")


def test_code_broken_over_lines() -> None:
    """A Code line that a mail program broke is one line."""
    report = read(
        block(
            "general protection fault: 0000 [#1] SMP",
            "RIP: 0010:frob+0x1/0x20",
            "Code: 48 8b",
            "<48> 8b 32",
            "RSP: 0018:ffffb1c0c3b2fe28",
        )
    )
    assert (report.code, report.code_mark) == (("48", "8b", "48", "8b", "32"), 2)


def test_titles_hold_no_numbers_that_vary() -> None:
    """Addresses, line numbers and counts are put as words."""
    report = read(
        block(
            "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
            cls="panic",
        )
    )
    assert report.title == "kernel panic: VFS: Unable to mount root fs on unknown-block(NUM,NUM)"
    report = read(
        block(
            "BUG: frob 0xffff888101d06000 is stuck at frob.c:12 for 4711 s",
            cls="kernel-bug-message",
        )
    )
    assert report.title == "BUG: frob ADDR is stuck at frob.c:LINE for NUM s"


def test_a_cut_register_is_no_value() -> None:
    """Digits are missing at the end of a line that was cut."""
    report = read(
        block(
            "BUG: unable to handle page fault for address: ffffb0a2c0a3d008",
            "RIP: 0010:frob+0x1/0x20",
            "RAX: ffffb0a2c0a3d008 RBX: ffff94a2",
            "Code: 48 8b <48> 8",
        )
    )
    assert (report.registers["rax"], "rbx" in report.registers) == (0xFFFFB0A2C0A3D008, False)
    assert report.code == ("48", "8b", "48")
    report = read(
        block(
            "Unable to handle kernel paging request at virtual address ffff801f4c2b8000",
            "x29: ffff801f7a1d4000 x28: 0000000000000000",
            "x21: ffff801f7a1d4000 x20: 00000000000",
        )
    )
    assert (report.registers["x21"], "x20" in report.registers) == (0xFFFF801F7A1D4000, False)


@pytest.mark.parametrize(
    ("head", "function", "title"),
    [
        (
            "WARNING: CPU: 2 PID: 1 at net/frob.c:762 frob_recv+0x2ac/0x2c0",
            "frob_recv",
            "WARNING in frob_recv",
        ),
        ("WARNING: at net/frob.c:255 frob_dog+0x25e/0x270()", "frob_dog", "WARNING in frob_dog"),
        (
            "WARNING: fs/frob.c:312 at frob_evict+0x1a2/0x8c0, CPU#1: rm/5121",
            "frob_evict",
            "WARNING in frob_evict",
        ),
        (
            "BUG: KMSAN: uninit-value in frob_hash+0x3f/0x90",
            "frob_hash",
            "KMSAN: uninit-value in frob_hash",
        ),
    ],
)
def test_the_head_names_the_function(head: str, function: str, title: str) -> None:
    """Where nothing but the head is left, its own symbol is the function."""
    cls = "kmsan" if "KMSAN" in head else "warning"
    report = read(block(head, cls=cls), shipped().lists["generic-functions"])
    assert (report.function, report.title) == (function, title)


def test_the_pcs_frame_before_a_vendors_die_hooks() -> None:
    """A vendor's die hook prints a trace of its own handling: what stands above the faulting
    function there ran after the fault.
    """
    report = read(
        block(
            "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000",
            "pc : __pi_strcmp+0x8c/0x154",
            "lr : frob_find+0x50/0x90",
            "Call trace:",
            " dump_backtrace+0x0/0x18c",
            " acme_die_hook+0xc4/0x10c",
            " die+0xac/0x37c",
            " el1_da+0x1c/0xac",
            " __pi_strcmp+0x8c/0x154",
            " frob_register+0x58/0x108",
        ),
        shipped().lists["generic-functions"],
    )
    assert report.function == "frob_register"


def test_a_call_of_null_names_the_caller() -> None:
    """The program counter is 0: who jumped there stands in the trace, or in the link register."""
    head = "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000"
    arm64 = block(
        head, "pc : 0x0", "lr : frob_kick+0x50/0x90", "Call trace:", " 0x0", " frob_run+0x1/0x2"
    )
    x86 = block(
        "BUG: kernel NULL pointer dereference, address: 0000000000000000",
        "RIP: 0010:0x0",
        "Code: Unable to access opcode bytes at RIP 0xffffffffffffffd6.",
        "Call Trace:",
        " frob_run+0x1/0x2",
    )
    old = block(
        "BUG: unable to handle kernel NULL pointer dereference at           (null)",
        "IP: [<          (null)>]           (null)",
        "Call Trace:",
        " [<ffffffffa01b4a11>] frob_run+0x61/0xc0 [frob]",
    )
    assert [read(each).function for each in (arm64, x86, old)] == ["frob_run"] * 3
    assert read(block(head, "pc : 0x0", "lr : frob_kick+0x50/0x90")).function == "frob_kick"


def test_a_trace_glued_to_the_stack() -> None:
    """x86 to 4.9 printed `Call Trace:` behind the last stack word."""
    report = read(
        block(
            "BUG: unable to handle kernel paging request at ffff8800a2c0a3d0",
            "Stack:",
            " ffff88042f4f9dc8 ffffffffa01b4a11 0000000000000000Call Trace:",
            " [<ffffffffa01b4a11>] frob_release+0x61/0xc0 [frob]",
        )
    )
    assert (report.function, len(report.frames)) == ("frob_release", 1)


def test_arms_unwinder_is_nobodys_fault() -> None:
    """It stands on top of every trace that arm prints (arch/arm/kernel/unwind.c)."""
    report = read(
        block(
            "WARNING: at arch/arm/frob.c:850 frob_set_rate+0x21c/0x280()",
            (
                "[<c00473a0>] (unwind_backtrace+0x0/0xf8) from [<c00736c8>] "
                "(warn_slowpath_common+0x4c/0x64)"
            ),
            (
                "[<c00736c8>] (warn_slowpath_common+0x4c/0x64) from [<c00736fc>] "
                "(warn_slowpath_null+0x1c/0x24)"
            ),
            (
                "[<c00736fc>] (warn_slowpath_null+0x1c/0x24) from [<c0059f54>] "
                "(frob_set_rate+0x21c/0x280)"
            ),
            cls="warning",
        ),
        shipped().lists["generic-functions"],
    )
    assert (report.function, report.arch) == ("frob_set_rate", "arm")


def test_mips_names_the_program_counter() -> None:
    """`epc` and `ra` stand before a wide colon (arch/mips/kernel/process.c)."""
    head = (
        "CPU 1 Unable to handle kernel paging request at virtual address 00000628, epc == "
        "8010c560, ra == 8010c444"
    )
    report = read(
        block(head, "epc   : 8010c560 frob_put+0x1d4/0x228", "ra    : 8010c444 frob+0xb8/0x228")
    )
    assert (report.function, report.offset) == ("frob_put", 0x1D4)
    report = read(block(head, "epc   : 00000000 0x0", "ra    : 8010c444 frob+0xb8/0x228"))
    assert report.function == "frob"


def test_riscvs_frames_follow_the_registers() -> None:
    """arch/riscv/kernel/process.c prints no line above the trace, and the line with the symbol of
    the program counter may be lost.
    """
    log = (FOLDER / "riscv64-6.1.log").read_text(encoding="utf-8")
    rest = "\n".join(row for row in log.splitlines() if "epc : frob" not in row)
    assert read(blocks(rest)[0], shipped().lists["generic-functions"]).function == "frob_gpio_set"


def test_powerpcs_trap_names_who_warned() -> None:
    """A panic of panic_on_warn shows the function only where the trap's frame is."""
    report = read(
        block(
            "WARNING: CPU: 1 PID: 9 at kernel/frob.c:12",
            "Kernel panic - not syncing: panic_on_warn set ...",
            "Call Trace:",
            "[c0000000f] [c000000000a1d2e0] .dump_stack+0xb0/0xf0 (unreliable)",
            "[c0000000f] [c000000000a1d2e0] .panic+0x150/0x398",
            "--- interrupt: 700 at .frob_check+0x3c/0x90",
            "[c0000000f] [c000000000a1d2e0] .frob_run+0x10/0x20",
            cls="warning",
        ),
        shipped().lists["generic-functions"],
    )
    assert report.function == "frob_check"


def test_symbolized_reports() -> None:
    """syzbot's mails repeat a line for each function that was inlined: the last one is the
    kernel's.
    """
    report = read(
        block(
            "BUG: KASAN: use-after-free in frob_sum include/frob.h:447 [inline]",
            "BUG: KASAN: use-after-free in frob_hash+0x712/0x1bc0 net/frob.c:1475",
            "Read of size 16 at addr ffff888011977660 by task frobd/5897",
            "Call Trace:",
            " kasan_report+0x79/0xd5 mm/kasan/report.c:413",
            " frob_sum include/frob.h:447 [inline]",
            " frob_hash+0x712/0x1bc0 net/frob.c:1475",
            cls="kasan",
        ),
        shipped().lists["generic-functions"],
    )
    assert report.title == "KASAN: use-after-free Read in frob_hash"
    report = read(
        block(
            "WARNING: CPU: 0 PID: 6 at fs/frob.c:1177 frob_put fs/frob.c:1177 [inline]",
            "WARNING: CPU: 0 PID: 6 at fs/frob.c:1177 frob_drop+0x4f/0x80 fs/frob.c:1171",
            "RIP: 0010:frob_put fs/frob.c:1177 [inline]",
            "RIP: 0010:frob_drop+0x4f/0x80 fs/frob.c:1171",
            "Call Trace:",
            " frob_all+0x7b/0xf0 fs/frob.c:1418",
            cls="warning",
        )
    )
    assert report.title == "WARNING in frob_drop"


@pytest.mark.parametrize(
    ("lines", "arch"),
    [
        (("Oops: 0000 [#1] SMP", " entry_SYSCALL_64_after_hwframe+0x44/0xa9"), "x86_64"),
        (("Internal error: Oops: 96000004 [#1] PREEMPT SMP",), "arm64"),
        (("kernel BUG at fs/frob.c:1!", " ret_fast_syscall+0x0/0x58"), "arm"),
        (("Oops: 003b ilc:2 [#1] SMP",), "s390x"),
        (("Oops [#1]", " do_trap_ecall_u+0x1/0x2"), "riscv64"),
        (("BUG: kernel NULL pointer dereference, address: 00000058",), "i386"),
        (("kernel BUG at fs/frob.c:1!", " frob+0x1/0x2"), None),
    ],
)
def test_architecture_from_the_wording(lines: tuple[str, ...], arch: str | None) -> None:
    """Entry code and heads tell it where no registers and no banner do."""
    assert read(block(*lines)).arch == arch


def test_empty_block() -> None:
    """A block without lines is no reason to raise."""
    head = block("x").head
    assert read(Block(head, (), complete=False)).title == ""
