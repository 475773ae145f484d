"""The steps that are given: each only where it can work, and the documentation's table is
theirs.
"""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from detector.explain.__main__ import page
from detector.explain.step_facts import OOPS, StepFacts
from detector.explain.step_rules import RULES
from detector.explain.steps import next_steps
from detector.model import CrashReport, Frame
from tests.support.crashes import match
from tests.support.shipped import ROOT as PATTERNS

DOCS = Path(__file__).parents[2] / "docs"
QEMU = "QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.13.0 04/01/2014"
SERVER = "Demo Inc. R7/0ABC, BIOS 2.1 01/01/2020"
KINDS = sorted(
    {
        signature["class"]
        for path in PATTERNS.glob("kernel/*.toml")
        for signature in tomllib.loads(path.read_text(encoding="utf-8"))["signature"]
    }
)
REPORT = CrashReport(
    kind="warning",
    title="WARNING in demo_put",
    function="demo_put",
    display_function="demo_put",
    offset=0x6D,
    size=0x80,
    arch="x86_64",
    pid=71,
    hardware=SERVER,
)


def _on(report: CrashReport, kernel: str, *, loaded: bool = False) -> CrashReport:
    """The report of a kernel that says whether a dump kernel was loaded, where it can."""
    kdump = "Kdump: loaded " if loaded else ""
    head = f"CPU: 1 PID: 71 Comm: demo {kdump}Not tainted {kernel} #1"
    return replace(report, kernel=kernel, lines=(head,))


def test_the_table_in_the_documentation_is_the_one_that_is_used():
    """docs/next-steps.md is made from the rules: `make docs` writes it anew."""
    assert (DOCS / "next-steps.md").read_text(encoding="utf-8") == page()


def _after(report: CrashReport, kernel: str, last: str) -> CrashReport:
    """The report of a kernel whose log ends with a line."""
    headed = _on(report, kernel)
    return replace(headed, lines=(*headed.lines, last))


@pytest.mark.parametrize(
    ("kind", "panic", "hardware"),
    [*itertools.product(KINDS, (None, "Fatal exception", "Fatal machine check"), (SERVER, QEMU))],
)
def test_no_step_that_cannot_work(kind, panic, hardware):
    """A dump only of what died or may have, a live look only at what goes on, no management
    controller of a guest, none of either where the hardware is to blame.
    """
    report = replace(REPORT, kind=kind, panic=panic, hardware=hardware)
    steps = next_steps(report, (), (), None)
    died = panic is not None or kind == "panic"
    by_hardware = panic == "Fatal machine check"
    looks_at_dump = any(step.startswith("crash:") or "/var/crash" in step for step in steps)
    looks_live = any("/proc/sysrq-trigger" in step or "/proc/71/" in step for step in steps)
    assert looks_at_dump == (
        (died or kind in OOPS) and not by_hardware and kind != "firmware-panic"
    )
    assert not (looks_live and died)
    assert any("ipmitool" in step for step in steps) == (by_hardware and hardware is SERVER)
    assert not (looks_live and looks_at_dump)
    assert steps or kind == "firmware-panic"


def test_every_rule_is_reached():
    """A rule that no crash can reach would be a promise of the table that nobody keeps."""
    lines = (
        "1 lock held by demo/71:",
        "rcu: rcu_sched kthread starved for 110 jiffies!",
        "oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/demo,task_memcg=/demo,task=a,pid=1,uid=0",
    )
    crashes = [
        StepFacts(
            replace(
                REPORT,
                kind=kind,
                panic=panic,
                hardware=hardware,
                lines=lines,
                display_function=name,
            )
        )
        for kind in KINDS
        for panic in (None, "VFS: Unable to mount root fs", "Fatal machine check")
        for hardware in (SERVER, QEMU)
        for name in ("demo_put", "bpf_prog_0123456789abcdef_demo")
    ]
    crashes += [StepFacts(report) for report in (*SITUATIONS.values(), EEH, *SHOWN)]
    assert [rule for rule in RULES if not any(map(rule.holds, crashes))] == []


FAULT = replace(REPORT, kind="memory-fault")
EEH = replace(REPORT, lines=("WARNING: at arch/powerpc/platforms/pseries/eeh.c:390",))
SHOWN = (
    replace(REPORT, kind="memory-pressure", lines=("demo: page allocation failure: order:0, ",)),
    replace(REPORT, kind="memory-pressure", lines=("demo: vmalloc error: size 4096, ",)),
    replace(
        REPORT,
        kind="hung-task",
        lines=(
            "INFO: task demo:71 can't die for more than 143 seconds.",
            "task:demo            state:R  running task     stack:29600 pid:71    ppid:63",
        ),
    ),
)
SITUATIONS = {
    "dump kernel loaded": _on(FAULT, "6.1.0", loaded=True),
    "none loaded": _on(FAULT, "6.1.0"),
    "a kernel that does not say": _on(FAULT, "4.4.0"),
    "powerpc, which has fadump": replace(_on(FAULT, "6.1.0"), arch="ppc64"),
    "virtual, none loaded": replace(_on(FAULT, "6.1.0"), hardware=QEMU),
    "a board": replace(_on(FAULT, "5.10.0"), arch="arm", hardware="Demo Board (DT)"),
    "a phone": replace(_on(FAULT, "5.10.198-android13-4-00050-g12345678-ab1234567"), arch="arm64"),
    "a panic while it came up": replace(
        _on(FAULT, "6.1.0"), frames=(Frame("demo_init"), Frame("kernel_init"))
    ),
    "the same in a guest": replace(
        _on(FAULT, "6.1.0"), frames=(Frame("demo_init"), Frame("kernel_init")), hardware=QEMU
    ),
    "idle on the first CPU": replace(
        _on(FAULT, "6.1.0", loaded=True), frames=(Frame("do_idle"), Frame("start_kernel"))
    ),
    "an oops that ended a task": replace(
        _after(FAULT, "4.4.0", "---[ end trace 0000000000000000 ]---"),
        frames=(Frame("demo_put"), Frame("entry_SYSCALL_64_fastpath")),
    ),
    "the same in a soft interrupt": replace(
        _after(FAULT, "4.4.0", "---[ end trace 0000000000000000 ]---"),
        frames=(Frame("demo_put"), Frame("__do_softirq")),
    ),
    "a panic that reboots at once": replace(
        _after(FAULT, "4.4.0", "Rebooting in 1 seconds.."), panic="demo", hardware=QEMU
    ),
    "a panic that waits for a day": replace(
        _after(FAULT, "4.4.0", "Rebooting in 86400 seconds.."), panic="demo", hardware=QEMU
    ),
    "a panic that stays": replace(
        _after(FAULT, "4.4.0", "---[ end Kernel panic - not syncing: demo"),
        panic="demo",
    ),
    "by SysRq": replace(_on(FAULT, "6.1.0", loaded=True), frames=(Frame("sysrq_handle_crash"),)),
    "a test": replace(_on(FAULT, "6.1.0", loaded=True), frames=(Frame("lkdtm_BUG"),)),
    "hung tasks": replace(
        _on(REPORT, "6.1.0", loaded=True), kind="hung-task", panic="hung_task: blocked tasks"
    ),
    "a lockup": replace(
        _on(REPORT, "6.1.0", loaded=True), kind="soft-lockup", panic="softlockup: hung tasks"
    ),
}
# (what must be among the steps, what must not) in each situation.
_LIVE_DUMP = ("crash: bt", "/var/crash")
EXPECTED = {
    "dump kernel loaded": (_LIVE_DUMP, ("pstore", "netconsole", "earlycon", "faddr2line")),
    "none loaded": (("pstore", "netconsole", "systemctl status kdump"), ("crash:", "/var/crash")),
    "a kernel that does not say": (_LIVE_DUMP, ("pstore",)),
    "powerpc, which has fadump": (_LIVE_DUMP, ("pstore",)),
    "virtual, none loaded": (("virsh dump", "pstore"), ("crash:", "ipmitool")),
    "a board": (("ramoops", "serial console"), ("crash:", "systemctl status kdump", "adb")),
    "a phone": (("adb shell",), ("crash:", "netconsole", "systemctl", "/var/crash")),
    "a panic while it came up": (("earlycon",), ("crash:", "pstore", "/var/crash", "virsh")),
    "the same in a guest": (("earlycon", "virsh console"), ("crash:", "/var/crash")),
    "idle on the first CPU": (_LIVE_DUMP, ("earlycon",)),
    "an oops that ended a task": (
        ("sysctl kernel.panic_on_oops", "host: dmesg", "faddr2line"),
        ("crash:", "/var/crash", "pstore", "systemctl status kdump", "virsh"),
    ),
    "the same in a soft interrupt": (_LIVE_DUMP, ("host: dmesg", "reboot it")),
    "a panic that reboots at once": (("pstore",), ("crash:", "/var/crash", "virsh dump")),
    "a panic that waits for a day": (("pstore", "virsh dump"), ("crash:", "/var/crash")),
    "a panic that stays": (("pstore",), ("crash:", "/var/crash", "host: dmesg")),
    "by SysRq": (("last -xF", "crash: foreach bt"), ("crash: dis", "faddr2line")),
    "a test": (("test: is this the report",), ("crash:", "faddr2line", "/var/crash")),
    "hung tasks": (("crash: foreach UN bt",), ("sysrq-trigger", "pstore")),
    "a lockup": (("crash: bt -a",), ("sysrq-trigger", "pstore")),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_can_be_done_where(situation):
    """A dump where one can be, else what is left of the kernel's words, by the kind of machine."""
    steps = "\n".join(next_steps(SITUATIONS[situation], (), (), None))
    wanted, unwanted = EXPECTED[situation]
    assert [part for part in wanted if part not in steps] == []
    assert [part for part in unwanted if part in steps] == []


def test_a_function_of_a_module_is_looked_up_in_its_module():
    """vmlinux holds no symbol of a module."""
    steps = next_steps(replace(REPORT, module="demo"), (), (), None)
    assert (
        "debug information: scripts/faddr2line demo.ko demo_put+0x6d/0x80 (file and line)" in steps
    )


def test_names_from_the_log_are_plain_symbols():
    """What is no symbol, module or path reaches no command."""
    evil = "x;reboot"
    report = replace(
        REPORT,
        kind="oom",
        function=evil,
        display_function=evil,
        module=evil,
        comm=evil,
        lines=(
            f"oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/{evil},task_memcg=/,task=a,pid=1,uid=0",
        ),
    )
    for kind in ("oom", "memory-fault", "hung-task"):
        assert not any(
            "reboot" in step for step in next_steps(replace(report, kind=kind), (), (), None)
        )


def test_a_machine_check_beside_a_panic_is_the_hardwares():
    """The panic's own report does not lead to a dump."""
    evidence = [match("mce: …", "machine-check", status="b200000000070f0f", mcgstatus="5")]
    steps = next_steps(replace(REPORT, kind="panic", panic="demo"), evidence, (), None)
    assert any("ras-mc-ctl" in step for step in steps)
    assert not any(step.startswith("crash:") for step in steps)


def test_a_word_of_a_message_is_no_symbol():
    """`still in use (1) [unmount of proc proc]` names what was done, not a function."""
    report = replace(
        REPORT, kind="panic", panic="demo", function="unmount", display_function="unmount",
        offset=None, size=None,
    )  # fmt: skip
    assert not any("unmount" in step for step in next_steps(report, (), (), None))
    there = replace(report, frames=(Frame("unmount"),))
    assert "crash: dis -l unmount" in next_steps(there, (), (), None)


def test_nothing_takes_a_dump_in_the_first_moments():
    """A kernel for dumps is loaded by programs, which run later."""
    report = replace(REPORT, kind="double-fault", pid=0, comm="swapper/0")
    early = replace(match("PANIC: double fault", "double-fault"), kernel_time_us=4_000)
    late = replace(early, kernel_time_us=400_000_000)
    assert not any("crash:" in step for step in next_steps(report, (early,), (), None))
    assert any("crash: bt" in step for step in next_steps(report, (late,), (), None))
