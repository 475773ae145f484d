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
from detector.sources.files.decompress import DAMAGE, NotALogError, OpenInput

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
_READ_BYTES = 1024 * 1024


def dump_files(patterns: Iterable[str] = PLACES) -> list[Path]:
    """The files that fit absolute patterns with *, each once, the oldest first."""
    paths = {
        path
        for pattern in patterns
        for path in Path("/").glob(pattern.removeprefix("/"))
        if path.is_file()
    }
    return sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path))


def content_of(path: Path) -> tuple[bytes, str | None]:
    """A file's text, decompressed, and the damage that ends it early, if any.

    Raises UserError where it cannot be read, or is no log by its size or by its bytes.
    """
    pieces: list[bytes] = []
    size = 0
    try:
        opened = OpenInput(str(path))
    except NotALogError as error:
        raise UserError(f"{path}: {error}") from error
    except DAMAGE as error:
        raise UserError(f"{path}: cannot be read: {_reason(error)}") from error
    damage = None
    try:
        while piece := opened.read(_READ_BYTES):
            size += len(piece)
            if size > MOST_BYTES:
                limit = f"{MOST_BYTES >> 20} MiB"
                raise UserError(f"{path}: larger than {limit}: that is no kernel log")
            pieces.append(piece)
    except DAMAGE as error:
        damage = _reason(error)
    finally:
        opened.close()
    if damage and not pieces:
        raise UserError(f"{path}: cannot be read: {damage}")
    return b"".join(pieces), damage


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


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
