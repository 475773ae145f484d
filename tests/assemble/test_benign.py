"""Logs without a fault: what was asked for (SysRq, a driver's dump_stack), what tools say of
themselves, what programs print. No signature that tells of a report's rest, and no other, claims a
line of them.
"""

from __future__ import annotations

import pytest

from tests.assemble.mutilation.kinds import stamped
from tests.assemble.mutilation.reports import scanned
from tests.support.shipped import shipped

SYSRQ_TASKS = """\
sysrq: Show Blocked State
task:frobd           state:D stack:    0 pid:  811 ppid:     1 flags:0x00004002
Call Trace:
 <TASK>
 __schedule+0x2da/0x520
 schedule+0x5e/0xd0
 frob_wait+0x8b/0x210 [frob]
 entry_SYSCALL_64_after_hwframe+0x78/0x80
 </TASK>
RIP: 0033:0x7f6a5c31a94f
RSP: 002b:00007ffd1a2b3c40 EFLAGS: 00000246 ORIG_RAX: 0000000000000010
"""
SYSRQ_CPUS = """\
sysrq: Show backtrace of all active CPUs
NMI backtrace for cpu 3
CPU: 3 PID: 0 Comm: swapper/3 Not tainted 6.1.0-example #1
Hardware name: Example Server/X11, BIOS 3.2 10/16/2019
RIP: 0010:frob_idle+0xb/0x10
RSP: 0018:ffffb0a2c3b2fc80 EFLAGS: 00000246
RAX: 0000000000000003 RBX: ffff94a2c5a3d000 RCX: 0000000000000000
CR2: 00007f6a5c1d1740 CR3: 000000010f20a000 CR4: 0000000000350ee0
Call Trace:
 <TASK>
 ? __warn+0x81/0x130
 ? kasan_report+0xc1/0xf0
 do_idle+0x1c0/0x240
 secondary_startup_64_no_verify+0xe0/0xeb
 </TASK>
"""
SYSRQ_REGISTERS = """\
sysrq: Show Regs
CPU: 1 PID: 811 Comm: frobd Not tainted 6.1.0-example #1
Hardware name: Example Board (DT)
pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : frob_idle+0x14/0x20
lr : frob_idle+0x10/0x20
sp : ffff80001234bd90
x29: ffff80001234bd90 x28: ffff000012345600 x27: 0000000000000000
Call trace:
 frob_idle+0x14/0x20
 io_schedule+0x44/0x60
 wait_for_completion+0x88/0xf0
"""
USER_REGISTERS = """\
frobd[811]: unhandled level 2 translation fault (11) at 0x00000000, esr 0x92000006
CPU: 1 PID: 811 Comm: frobd Not tainted 6.1.0-example #1
Hardware name: Example Board (DT)
pstate: 60001000 (nZCv daif -PAN -UAO -TCO -DIT +SSBS BTYPE=--)
pc : 0000000000400544
lr : 0000000000400560
sp : 0000fffff7c3a1b0
x29: 0000fffff7c3a1b0 x28: 0000000000000000 x27: 0000000000000000
Kernel command line: root=/dev/sda1 panic=10 oops=panic
[<0>] io_schedule+0x44/0x60
"""
ASKED_FOR = """\
frob 0000:01:00.0: state at reset:
CPU: 1 PID: 311 Comm: frobd Not tainted 6.1.0-example #1
Hardware name: Example Board (DT)
Call trace:
 dump_backtrace+0x0/0x1e0
 show_stack+0x18/0x24
 dump_stack_lvl+0x64/0x80
 dump_stack+0x18/0x34
 frob_reset+0x44/0x90
 el0t_64_sync+0x18c/0x190
"""
TOOLS_AT_BOOT = """\
kasan: KernelAddressSanitizer initialized (generic)
kfence: initialized - using 2097152 bytes for 255 objects at 0xffff888237a00000-0xffff888237c00000
kmemleak: Kernel memory leak detector initialized (mem pool available: 15679)
kmemleak: Automatic memory scanning thread started
Running RCU self tests
Running RCU synchronous self tests
rcu: Hierarchical RCU implementation.
rcu: RCU lockdep checking is enabled.
rcu: Adjusting geometry for rcu_fanout_leaf=16, nr_cpu_ids=8
Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar
... MAX_LOCKDEP_SUBCLASSES:  8
NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.
page_owner is disabled
slub_debug: enabled for kmalloc-64
mce: CPU0: Thermal monitoring enabled (TM1)
Kernel Offset: 0x2a000000 from 0xffffffff81000000 (relocation range: \
0xffffffff80000000-0xffffffffbfffffff)
"""
PROGRAMS = """\
systemd[1]: Rebooting in 10 seconds..
frobd[811]: unreferenced object 0xc625e000 (size 2048):
frobd[811]: Local variable buf created at: main
frobd[811]: caller is frob_reset+0x1a/0x60
frobd[811]: Read of size 4 by task frobd/811
frobd[811]: last function: frob_reset
frobd[811]: PGD database opened at 4096
frobd: in_atomic(): 1, irqs_disabled(): 0, pid: 1, name: frobd
audit: type=1400 audit(1700000001.123:7): apparmor="DENIED" operation="bad_page" comm="spin_dump"
printk: console [ttyS0] enabled
"""
QUIET = {
    "sysrq-w": SYSRQ_TASKS,
    "sysrq-l": SYSRQ_CPUS,
    "sysrq-p": SYSRQ_REGISTERS,
    "user-registers": USER_REGISTERS,
    "dump_stack": ASKED_FOR,
    "boot": TOOLS_AT_BOOT,
    "programs": PROGRAMS,
}


@pytest.mark.parametrize("name", QUIET)
def test_nothing_is_claimed(name: str) -> None:
    """Neither a match nor a report."""
    (said,) = scanned([stamped(QUIET[name].splitlines())])
    assert (said.matches, said.reports) == ((), ())


def test_all_of_it_in_one_log() -> None:
    """One after the other on one host: what one leaves open, the next does not complete."""
    rows = [row for _ in range(3) for log in QUIET.values() for row in log.splitlines()]
    (said,) = scanned([stamped(rows)])
    assert (said.matches, said.reports) == ((), ())


@pytest.mark.parametrize(
    "signature",
    [one for one in shipped().signatures if one.opens == "rest" and not one.marker],
    ids=lambda one: one.id,
)
def test_a_program_that_prints_such_a_line_is_not_believed(signature) -> None:
    """Each line that tells of a report's rest, behind a program's name."""
    rows = [f"frobd[811]: {text}" for text in signature.examples]
    (said,) = scanned([stamped(rows)])
    assert said.matches == ()
