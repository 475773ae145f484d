"""Finds what a dead kernel left on disk, and cuts it into records.

In: folders of pstore and kdump. Out: files, and their text in records that end with a line. Nothing
is parsed or removed here. systemd-pstore moves /sys/fs/pstore to /var/lib/systemd/pstore (systemd
v243); kdump writes vmcore-dmesg.txt (kexec-tools) or dmesg.DATE (Debian's kdump-tools).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from detector.errors import UserError

PLACES = (
    "/sys/fs/pstore/dmesg-*",
    "/var/lib/systemd/pstore/*/dmesg.txt",
    "/var/lib/systemd/pstore/*/dmesg-*",
    "/var/crash/*/vmcore-dmesg.txt",
    "/var/crash/*/dmesg.*",
)
# Well below a broker's message.max.bytes (1 MiB by default).
RECORD_BYTES = 512 * 1024
# A log buffer is smaller; what is larger is no kernel's log.
MOST_BYTES = 256 * 1024 * 1024


def dump_files(patterns: Iterable[str] = PLACES) -> list[Path]:
    """The files that fit absolute patterns with *, each once, the oldest first."""
    paths = {
        path
        for pattern in patterns
        for path in Path("/").glob(pattern.removeprefix("/"))
        if path.is_file()
    }
    return sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path))


def content_of(path: Path) -> bytes:
    """A file's bytes. Raises UserError where it cannot be read, or is no log by its size."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path}: larger than {MOST_BYTES >> 20} MiB: that is no kernel log")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def digest_of(content: bytes) -> str:
    """Returns the SHA-256 of a content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def records_of(content: bytes) -> Iterator[bytes]:
    """Cuts a content into pieces of `RECORD_BYTES` at most, behind line ends if there are any."""
    start = 0
    while start < len(content):
        end = start + RECORD_BYTES
        if end < len(content):
            end = content.rfind(b"\n", start, end) + 1 or end
        yield content[start:end]
        start = end
