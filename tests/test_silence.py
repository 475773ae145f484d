"""No line that holds the phrase of a kernel fault is silent: it is read, or it is counted with its
place, and `scan` says so.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.cli import oopswatch
from detector.hooks import Hooks
from detector.sources.files.framing import FileChunk
from detector.store import open_journal
from tests.support.fleet_log import watched

FAULTS = {
    "arm64": "Unable to handle kernel paging request at virtual address ffff80001234a7c8",
    "mips": (
        "CPU 3 Unable to handle kernel paging request at virtual address 00000040, epc == "
        "80101234, ra == 80105678"
    ),
    "x86": "BUG: unable to handle kernel NULL pointer dereference at 0000000000000018",
    "panic": "Kernel panic - not syncing: Fatal exception",
    "lockup": "watchdog: BUG: soft lockup - CPU#7 stuck for 23s! [kworker/7:1:311]",
    "hung": "INFO: task jbd2/sda1-8:412 blocked for more than 245 seconds.",
    "warning": "WARNING: CPU: 3 PID: 77 at net/core/dev.c:1234 netif_rx+0x12/0x34",
    "stall": (
        "rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 1-.... } 40 "
        "jiffies s: 77 root: 0x2/."
    ),
    "xfs": (
        "XFS internal error xfs_trans_cancel at line 1164 of file fs/xfs/xfs_trans.c.  Caller "
        "0xffffffff88123456"
    ),
    "xfs, no mount": (
        "XFS: Internal error XFS_WANT_CORRUPTED_RETURN at line 295 of file "
        "fs/xfs/xfs_alloc.c.  Caller 0xffffffffa0123456"
    ),
    "release": "IPv4: Attempt to release TCP socket in state 10 ffff80001234a000",
}
# What consoles, collectors, vendors and people put before a kernel's line.
SHAPES = {
    "stamp": "[  321.654321] {}",
    "level": "<1>{}",
    "journal, monotonic": "[  321.654321] kernel: {}",
    "dmesg -H": "[Nov22 10:00] eth0: up\n[  +0.512040] {}",
    "dmesg -T": "[Sat Nov 22 10:00:00 2025] {}",
    "syslog": "Nov 22 10:00:00 db-1 kernel: [  321.654321] {}",
    "priority as text": "2025-11-22T10:00:00.000Z kern.alert db-1 kernel: [  321.654321] {}",
    "collector": (
        "2025-11-22 10:00:00 | 192.0.2.7 | <1>Nov 22 10:00:00 db-1 kernel: [  321.654321] {}"
    ),
    "serial console": "[2025-11-22 10:00:00] [  321.654321] {}",
    "tag cut": "Nov 22 10:00:00 db-1 kern[  321.654321] {}",
    "glued": "[  OK  ] Started Network[  321.654321] {}",
    "shell": "/init: 12: .: [  321.654321] {}",
    "vendor, time": "[  321.654321] [2025:11:22 10:00:00]{}",
    "vendor, caller": "<1>[  321.654321] (5)[77:insmod]{}",
    "quoted": "> [  321.654321] {}",
    "quoted twice": "> > [  321.654321] {}",
    "pstore": "Panic#2 Part1\n<1>[  321.654321] {}",
    "unknown words": "[  321.654321] some driver we do not know: {}",
    "web server": '192.0.2.7 - - [22/Nov/2025:10:00:00 +0000] "GET /?q={} HTTP/1.1" 404 9',
    "mark-up": "<td>{}</td>",
    "program": "Nov 22 10:00:00 db-1 app[77]: {}",
}


def counted(lines: str) -> int:
    """How many lines are read, or counted as not understood or not read."""
    with closing(open_journal(":memory:")) as journal:
        pipeline = watched(journal, Hooks())
        data = f"{lines}\n".encode()
        pipeline.handle([FileChunk("some.log", data, len(data), 1)], 0)
        pipeline.finish(10**8)
        totals = pipeline.totals
    return totals.matches + totals.noise + totals.unclaimed + totals.unparsed


@pytest.mark.parametrize("shape", SHAPES)
def test_every_fault_is_read_or_counted_in_every_shape(shape: str) -> None:
    """All of them in one log; and one by itself, which is the worst that can be had of a log."""
    log = "\n".join(SHAPES[shape].format(fault) for fault in FAULTS.values())
    assert counted(log) >= len(FAULTS)
    for fault in ("arm64", "xfs"):
        assert counted(SHAPES[shape].format(FAULTS[fault]))


@settings(max_examples=60, deadline=None)
@given(
    fault=st.sampled_from(list(FAULTS.values())),
    before=st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=30),
    after=st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=30),
)
def test_whatever_stands_around_a_fault(fault: str, before: str, after: str) -> None:
    """Also what nobody has thought of."""
    assert counted(f"{before}{fault}{after}")


def test_scan_says_it_last_with_the_first_place(tmp_path: Path) -> None:
    """For people and as JSON; a log of which every fault was read says nothing."""
    log = tmp_path / "paste.log"
    log.write_text(f"> {FAULTS['arm64']}\n[  7.000001] words: {FAULTS['x86']}\n")
    said = CliRunner().invoke(oopswatch, ["scan", str(log)]).output
    assert "2 lines hold the phrase of a kernel fault and were not understood" in said
    assert f"{log}:" in said
    told = CliRunner().invoke(oopswatch, ["scan", "--json", str(log)]).output
    assert json.loads(told.splitlines()[-1])["unclaimed"] == 2
    log.write_text(f"[  7.000001] {FAULTS['x86']}\n")
    assert "not understood" not in CliRunner().invoke(oopswatch, ["scan", str(log)]).output
