"""Explains references that were not given back: file systems, network devices, address
spaces.

In: a report of class `vfs-busy`, `netdev-reference` or `mm-teardown`. Out: statements. Formats:
fs/dcache.c umount_check(), fs/super.c generic_shutdown_super(), fs/open.c filp_close(),
net/core/dev.c netdev_wait_allrefs(), kernel/fork.c check_mm() (3.x to 6.x).
"""

from __future__ import annotations

from collections.abc import Container

from detector.explain.block_text import first, quoted
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Statement

_DENTRY = lazy_regex(
    r"BUG: Dentry .{1,200} still in use \((?P<count>-?\d+)\) *\[unmount of (?P<what>[^\]]{1,80})\]"
)
_INODES = lazy_regex(r"VFS: Busy inodes after unmount of (?P<what>\S+?)[. ]")
_CLOSED = lazy_regex(r"VFS: Close: file count is 0")
_NETDEV = lazy_regex(
    r"unregister_netdevice: waiting for (?P<device>\S{1,32}) to become free\. "
    r"Usage count = (?P<count>-?\d+)"
)
_RSS = lazy_regex(
    r"BUG: Bad rss-counter state mm:\S+ (?:idx|type):(?P<type>\w+) val:(?P<value>-?\d+)"
)
_TABLES = lazy_regex(r"BUG: non-zero (?P<what>\w+) on freeing mm: (?P<value>-?\d+)")


def explain_vfs_busy(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A file system that goes while in use, or a file that was closed once too often."""
    del skip
    if (closed := first(report.lines, _CLOSED)) is not None:
        text = (
            "A file was closed that nobody holds open any more: its count was 0 (use after free)."
        )
        return [Statement(text, "certain", (quoted(closed),))]
    text = (
        "A file system was unmounted while objects of it were in use: references were not "
        "given back."
    )
    if (dentry := first(report.lines, _DENTRY)) is not None:
        text = (
            f"The file system {dentry['what']} was unmounted while a directory entry of it was in "
            f"use (count {dentry['count']}): references were not given back."
        )
        return [Statement(text, "certain", (quoted(dentry),))]
    if (inodes := first(report.lines, _INODES)) is not None:
        text = (
            f"The file system on {inodes['what']} was unmounted while inodes of it were in use: "
            "references were not given back, and what still uses them uses freed memory."
        )
        return [Statement(text, "certain", (quoted(inodes),))]
    return [Statement(text, "certain", (report.title or "",))]


def explain_netdev(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A network device that cannot go."""
    del skip
    matched = first(report.lines, _NETDEV)
    if matched is None:
        text = "A network device cannot go away, since somebody still holds a reference to it."
        return [Statement(text, "certain", (report.title or "",))]
    text = (
        f"The network device {matched['device']} cannot go away: its count of references is "
        f"{matched['count']}."
    )
    return [Statement(text, "certain", (quoted(matched),))]


def explain_mm_teardown(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A process's memory that was torn down with counters left over."""
    del skip
    rss, tables = first(report.lines, _RSS), first(report.lines, _TABLES)
    if rss is not None:
        text = (
            f"A process's memory was torn down, and its count of pages of type {rss['type']} was "
            f"{rss['value']} instead of 0: pages were leaked, or counted wrongly."
        )
        return [Statement(text, "certain", (quoted(rss),))]
    if tables is not None:
        text = (
            f"A process's memory was torn down, and its {tables['what']} was {tables['value']} "
            "instead of 0: page tables were leaked, or counted wrongly."
        )
        return [Statement(text, "certain", (quoted(tables),))]
    text = "A process's memory was torn down with counters left over."
    return [Statement(text, "certain", (report.title or "",))]
