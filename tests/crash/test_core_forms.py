"""What the core of the kernel says of itself, one after the other on one console: each is a report
of its own, with the function that a reader looks for.
"""

from __future__ import annotations

from pathlib import Path

from detector.cli.pattern_tests import scanned
from tests.support.shipped import shipped

LOG = """\
[  201.086710] unregister_netdevice: waiting for demo0 to become free. Usage count = 2
[  201.086720] ref_tracker: netdev@ffff88801f4e85c0 has 1/1 users at
[  201.086721]      __netdev_tracker_alloc include/linux/netdevice.h:4389 [inline]
[  201.086722]      netdev_hold include/linux/netdevice.h:4418 [inline]
[  201.086723]      frob_attach+0x1a4/0x2f0 drivers/net/frob.c:88
[  201.086724]      frob_newlink+0x4c0/0x9a0
[  201.086725]      rtnl_newlink+0x1c69/0x2900
[  211.100000] docker0: port 1(veth1) entered forwarding state
[  301.000000] sysfs: cannot create duplicate filename '/devices/virtual/frob/frob0'
[  301.000001] CPU: 1 PID: 812 Comm: frobd Not tainted 6.6.30-example #1
[  301.000002] Hardware name: Example Board, BIOS 1.0
[  301.000003] Call Trace:
[  301.000004]  <TASK>
[  301.000005]  dump_stack_lvl+0x48/0x70
[  301.000006]  sysfs_warn_dup+0x5b/0x70
[  301.000007]  sysfs_create_dir_ns+0xe4/0x100
[  301.000008]  kobject_add_internal+0xbe/0x290
[  301.000009]  kobject_add+0x7a/0xf0
[  301.000010]  device_add+0xee/0x7c0
[  301.000011]  frob_register+0x80/0x120 [frob]
[  301.000012]  do_syscall_64+0x5c/0x90
[  301.000013]  </TASK>
[  401.00000] unchecked MSR access error: RDMSR from 0x852 at rIP: 0xffffffff9ae7eb87 (frob+0x7/0x9)
[  401.000001] Call Trace:
[  401.000002]  <TASK>
[  401.000003]  ? native_read_msr+0x7/0x40
[  401.000004]  frob_probe_msr+0x35/0x60
[  401.000005]  ret_from_fork+0x22/0x30
[  501.000000] slab error in verify_redzone_free(): cache `size-64': double free detected
[  501.000001] Pid: 88, comm: frobd Not tainted 2.6.32-754.el6.x86_64 #1
[  501.000002] Call Trace:
[  501.000003]  [<ffffffff81170000>] ? __slab_error+0x2a/0x30
[  501.000004]  [<ffffffff81170000>] cache_free_debugcheck+0x2a/0x30
[  501.000005]  [<ffffffff81170000>] kfree+0x2a/0x30
[  501.000006]  [<ffffffff81170000>] frob_release+0x2a/0x30
[  601.000000] bad: scheduling from the idle thread!
[  601.000001] CPU: 1 PID: 0 Comm: swapper/1 Not tainted 6.6.30-example #1
[  601.000003] Call Trace:
[  601.000004]  dump_stack_lvl+0x48/0x70
[  601.000005]  dequeue_task_idle+0x2d/0x40
[  601.000006]  __schedule+0x404/0x990
[  601.000007]  schedule+0x54/0xc0
[  601.000008]  frob_enter+0x11/0x20
"""

HEADLESS = {
    "[  100.000001] task:frobd  state:D stack:13880 pid:4711  ppid:1      flags:0x00004006\n"
    "[  100.000002] Call Trace:\n"
    "[  100.000004]  __schedule+0x2eb/0x8d0\n"
    "[  100.000005]  schedule+0x5b/0xd0\n"
    "[  100.000006]  frob_wait+0xb3/0x1a0 [frob]\n": "task in uninterruptible sleep in frob_wait",
    "[  100.000001] Sending NMI from CPU 3 to CPUs 0-2:\n"
    "[  100.000002] NMI backtrace for cpu 1\n"
    "[  100.000003] CPU: 1 PID: 4711 Comm: frobd Not tainted 6.1.0-example #1\n"
    "[  100.000005] RIP: 0010:frob_spin+0x64/0x2a0 [frob]\n"
    "[  100.000009] Call Trace:\n"
    "[  100.000011]  frob_ioctl+0x44/0x90 [frob]\n": "backtrace of CPUs, in frob_spin",
    "[   12.100000] Bad kernel stack pointer c00000003ffe7fb0 at c00000000000e7a4\n"
    "[   12.100001] Oops: Bad kernel stack pointer, sig: 6 [#1]\n"
    "[   12.100010] NIP [c00000000000e7a4] frob_exit+0x24/0x60\n": "kernel oops in frob_exit",
}
"""Reports whose head is lost, and powerpc's that are announced: title by log."""

TITLES = [
    "unregister_netdevice: waiting for DEV to become free",
    "ref_tracker: leaked reference in frob_attach",
    "sysfs: name given twice in frob_register",
    "unchecked MSR access error in frob_probe_msr",
    "BUG: slab error in frob_release",
    "BUG: scheduling from the idle thread in frob_enter",
]


def test_each_is_a_report_with_its_function(tmp_path: Path) -> None:
    """The leak of a reference does not join the line that waits for it; chatter is in none."""
    path = tmp_path / "log"
    path.write_text(LOG, encoding="utf-8")
    items = [item for item in scanned(path, {}, shipped()) if item["type"] == "match"]
    assert [item["report"]["title"] for item in items] == TITLES


def test_traces_that_were_asked_for_are_no_report(tmp_path: Path) -> None:
    """SysRq says so above them."""
    path = tmp_path / "log"
    for asked in ("sysrq: Show Blocked State", "sysrq: SysRq : Show backtrace of all active CPUs"):
        for log in list(HEADLESS)[:2]:
            path.write_text(f"[  100.000000] {asked}\n{log}", encoding="utf-8")
            assert not [item for item in scanned(path, {}, shipped()) if item["type"] == "match"]


def test_what_lost_its_head_still_names_its_function(tmp_path: Path) -> None:
    """A hung task, a lockup's traces, and a head that only announces: one report each."""
    for number, (log, title) in enumerate(HEADLESS.items()):
        path = tmp_path / str(number)
        path.write_text(log, encoding="utf-8")
        reports = [item["report"] for item in scanned(path, {}, shipped()) if item.get("report")]
        assert [report["title"] for report in reports] == [title]
