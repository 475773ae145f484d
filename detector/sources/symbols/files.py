"""Reads one file of bounded size: an image, a module, a pack.

In: a path. Out: its bytes. Errors are SourceErrors of one line that name the file.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from detector.sources.errors import SourceError


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a file that is no larger than `most`."""
    try:
        # Without O_NONBLOCK a named pipe would wait for its writer for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise SourceError(f"{path}: is no regular file")
            if state.st_size > most:
                raise SourceError(
                    f"{path}: has {state.st_size >> 20} MB, more than {most >> 20} MB: is it a "
                    "vmlinux with debug information? /boot/vmlinuz-RELEASE is enough"
                )
            return file.read(most + 1)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
