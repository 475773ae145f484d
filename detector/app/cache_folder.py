"""The cache folder: keeps the compiled search for literals from one start to the next.

In: a key and bytes. Out: the same bytes at a later start, or nothing: a folder that cannot be
written, a damaged file, or one that somebody else could have written is as good as none. Files are
written whole under another name first, so that several processes may start at once.
"""

from __future__ import annotations

import os
import platform
import stat
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import mkstemp

# The newest files that stay: one for each catalogue and machine that share the folder.
KEPT = 32
_LARGEST = 64 * 1024 * 1024
_DIGEST = sha256().digest_size


class CacheFolder:
    """Files of one folder by key; `folder` is None where there is none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, key: str) -> bytes | None:
        """Returns the bytes kept under a key; None where there are none that can be trusted."""
        if self._folder is None:
            return None
        try:
            if not _own(self._folder.stat()):
                return None
            with (self._folder / _name(key)).open("rb") as file:
                status = os.fstat(file.fileno())
                if not _own(status) or status.st_size > _LARGEST:
                    return None
                kept = file.read()
        except OSError:
            return None
        data = kept[_DIGEST:]
        return data if sha256(key.encode() + data).digest() == kept[:_DIGEST] else None

    def save(self, key: str, data: bytes) -> None:
        """Keeps some bytes under a key, if that is possible."""
        if self._folder is None:
            return
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _own(self._folder.stat()):
                return
            handle, scratch = mkstemp(dir=self._folder, prefix=".new-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(sha256(key.encode() + data).digest() + data)
                Path(scratch).replace(self._folder / _name(key))
            except OSError:
                Path(scratch).unlink(missing_ok=True)
                raise
            self._drop_oldest(self._folder)

    @staticmethod
    def _drop_oldest(folder: Path) -> None:
        files = [(file.stat().st_mtime_ns, file) for file in folder.glob("*.kept")]
        for _, file in sorted(files, reverse=True)[KEPT:]:
            file.unlink(missing_ok=True)


def cache_folder(environment: Mapping[str, str] = os.environ) -> CacheFolder:
    """The folder of this user: systemd's CACHE_DIRECTORY, else below XDG_CACHE_HOME, else below
    ~/.cache.
    """
    if given := environment.get("CACHE_DIRECTORY", "").partition(":")[0]:
        return CacheFolder(Path(given))
    if shared := environment.get("XDG_CACHE_HOME"):
        return CacheFolder(Path(shared) / "oopswatch")
    try:
        return CacheFolder(Path.home() / ".cache" / "oopswatch")
    except RuntimeError:  # a user without a home
        return CacheFolder(None)


def _own(status: os.stat_result) -> bool:
    """Whether nobody but this user (or root) could have written it."""
    return status.st_uid in {0, os.geteuid()} and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _name(key: str) -> str:
    """The name of a key's file on this kind of processor: machines may share a home."""
    return sha256(f"{key} {_processor()}".encode()).hexdigest()[:40] + ".kept"


def _processor() -> str:
    """What compiled code depends on."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            head = file.read(8192)
    except OSError:
        head = ""
    features = next(
        (line for line in head.splitlines() if line.startswith(("flags", "Features"))), ""
    )
    return f"{platform.machine()} {features}"
