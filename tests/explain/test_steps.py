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
from detector.explain.step_rules import OOPS, RULES, StepFacts
from detector.explain.steps import next_steps
from detector.model import CrashReport
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


def test_the_table_in_the_documentation_is_the_one_that_is_used():
    """docs/next-steps.md is made from the rules: `make docs` writes it anew."""
    assert (DOCS / "next-steps.md").read_text(encoding="utf-8") == page()


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
    assert [rule for rule in RULES if not any(map(rule.holds, crashes))] == []


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
