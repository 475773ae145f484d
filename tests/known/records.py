"""CVE records as the kernel's CVE team writes them, made up: invented ids, commits and
functions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

TRACE = """\
demo: pump: hold the valve while it is open

The valve is freed while the pump still reads it:

BUG: KASAN: slab-use-after-free in demo_read_valve+0x10/0x80
Read of size 8 at addr ffff888012345678 by task pump/321

CPU: 1 PID: 321 Comm: pump Not tainted 6.4.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x49/0x63
 kasan_report+0xb8/0x1d4
 demo_read_valve+0x10/0x80
 demo_turn+0x20/0x100
 demo_pump_work+0x30/0x200
 demo_pump_ioctl+0x40/0x300
 demo_dev_ioctl+0x50/0x400
 __x64_sys_ioctl+0x60/0x90
 do_syscall_64+0x35/0x80
 </TASK>

Allocated by task 300:
 kasan_save_stack+0x1e/0x40
 demo_open_valve+0x11/0x50
 demo_setup+0x22/0x60

Freed by task 301:
 kasan_save_stack+0x1e/0x40
 demo_close_valve+0x33/0x70
 demo_teardown+0x44/0x80
"""


def hash_of(number: int) -> str:
    """A commit hash that is no commit's."""
    return f"{number:02d}" + "dead0" * 7 + f"{number:03d}"


def record(
    number: int = 1,
    *,
    since: str = "5.4",
    stable: Sequence[str] = ("5.10.50", "6.1.20"),
    mainline: str | None = "6.5",
    local: Sequence[tuple[str, str]] = (),
    text: str = TRACE,
    title: str = "demo: pump: hold the valve while it is open",
    files: Sequence[str] = ("drivers/demo/pump.c",),
    commits: Sequence[str] | None = None,
) -> Json:
    """A record of a bug that came with `since` and is fixed in `stable` and `mainline`; `local` are
    intervals in stable series that got the bug by a backport.
    """
    ends = [until for _, until in local if until.count(".") == 2]
    fixed = sorted({*stable, *ends}, key=numbers) + ([mainline] if mainline else [])
    hashes = list(commits) if commits is not None else [hash_of(i) for i, _ in enumerate(fixed, 1)]
    git = [
        {"version": hash_of(99), "lessThan": one, "status": "affected", "versionType": "git"}
        for one in hashes
    ]
    backports = [
        {"version": low, "lessThan": high, "status": "affected", "versionType": "semver"}
        for low, high in local
    ]
    linux = {"product": "Linux", "vendor": "Linux", "programFiles": list(files)}
    affected = [{**linux, "defaultStatus": "unaffected", "versions": [*git, *backports]}]
    if mainline:
        affected.append(
            {**linux, "defaultStatus": "affected", "versions": upstream(since, stable, mainline)}
        )
    return {
        "dataType": "CVE_RECORD",
        "cveMetadata": {"cveId": f"CVE-2024-{number:05d}", "state": "PUBLISHED"},
        "containers": {
            "cna": {
                "title": title,
                "descriptions": [{"lang": "en", "value": text}],
                "affected": affected,
            }
        },
    }


def upstream(since: str, stable: Sequence[str], mainline: str) -> list[Json]:
    """The version entries of mainline and of the stable series."""
    fixes = [
        {
            "version": one,
            "lessThanOrEqual": ".".join(one.split(".")[:2]) + ".*",
            "status": "unaffected",
            "versionType": "semver",
        }
        for one in sorted(stable, key=numbers)
    ]
    return [
        {"version": since, "status": "affected"},
        {"version": "0", "lessThan": since, "status": "unaffected", "versionType": "semver"},
        *fixes,
        {
            "version": mainline,
            "lessThanOrEqual": "*",
            "status": "unaffected",
            "versionType": "original_commit_for_fix",
        },
    ]


def numbers(release: str) -> tuple[int, ...]:
    """A release as numbers."""
    return tuple(map(int, release.split(".")))


def as_bytes(value: Json) -> bytes:
    """A record as a file holds it."""
    return json.dumps(value, indent=3).encode()
