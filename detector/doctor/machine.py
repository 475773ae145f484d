"""Checks this machine: clock, disk, limits, locale. Reads only."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from detector.doctor.result import CheckResult

_LEAST_FREE = 1 << 30  # bytes
_LEAST_FILES = 4096
_NO_SHARED_MEMORY = frozenset(("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "lustre", "ceph"))
# adjtimex(2) returns TIME_ERROR while the clock is not synchronised.
_TIME_ERROR = 5


def check_machine(history: Path) -> Iterator[CheckResult]:
    """Yields what there is to say of the machine that keeps the history at this path."""
    yield check_clock()
    yield from check_disk(history)
    yield check_limits()
    yield check_locale(sys.getfilesystemencoding())


def check_clock() -> CheckResult:
    """Says whether the kernel's clock is kept by NTP, as adjtimex(2) tells."""
    # struct timex of the kernel is 208 bytes on 64 bit; modes 0 asks and changes nothing.
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))
    if state != _TIME_ERROR:
        return CheckResult("ok", "clock", "synchronised")
    return CheckResult(
        "note",
        "clock",
        "no NTP keeps it, or a container hides that",
        "run chrony or systemd-timesyncd: reports and silences go by this clock",
    )


def check_disk(history: Path) -> Iterator[CheckResult]:
    """Says whether the history's folder can be written, has room, and lies on a local disk."""
    folder = history.parent.absolute()
    if not folder.is_dir():
        yield CheckResult("fault", "disk", f"{folder} is not there", f"mkdir -p {folder}")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield CheckResult(
            "fault",
            "disk",
            f"{folder} cannot be written",
            "give it to the user that runs oopswatch",
        )
    free = shutil.disk_usage(folder).free
    size = history.stat().st_size if history.is_file() else 0
    text = f"{free / (1 << 30):.1f} GiB free at {folder}, history {size / (1 << 20):.0f} MiB"
    if free < max(_LEAST_FREE, size // 10):
        yield CheckResult(
            "fault", "disk", text, "make room, or shorten retention (`oopswatch keep --help`)"
        )
    else:
        yield CheckResult("ok", "disk", text)
    kind = file_system(folder, Path("/proc/self/mounts").read_text("utf-8", "replace"))
    if kind in _NO_SHARED_MEMORY:
        yield CheckResult(
            "fault",
            "disk",
            f"{folder} is on {kind}: SQLite's write-ahead log needs a local disk",
            "put store.path on a local disk",
        )


def file_system(folder: Path, mounts: str) -> str | None:
    """Returns the type of the file system of a folder, by the text of /proc/self/mounts."""
    kinds = {}
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split(" ")
        kinds[point.encode().decode("unicode_escape")] = kind
    for parent in (folder, *folder.parents):
        if str(parent) in kinds:
            return kinds[str(parent)]
    return None


def check_limits() -> CheckResult:
    """Says whether enough files may be open for pages, brokers and receivers."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _LEAST_FILES:
        return CheckResult("ok", "limits", f"{soft} open files")
    return CheckResult(
        "note",
        "limits",
        f"only {soft} open files: `serve` refuses connections when they are used up",
        "LimitNOFILE=65536 in the unit, or ulimit -n 65536",
    )


def check_locale(encoding: str) -> CheckResult:
    """Says whether names of files and output are UTF-8."""
    if encoding.lower().replace("-", "") == "utf8":
        return CheckResult("ok", "locale", encoding)
    return CheckResult(
        "note",
        "locale",
        f"{encoding}: characters outside of it are spelled out in output",
        "set LC_ALL=C.UTF-8",
    )
