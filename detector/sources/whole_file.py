"""Writes a file so that it is whole or not there: beside the old one, proved, then renamed.

In: a path, its bytes, what proves them. Out: what the proof returns. Errors are SourceErrors of one
line that name the file; the old file stays where the new one is not proved.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from detector.sources.errors import SourceError

T = TypeVar("T")


def write_whole(path: Path, data: bytes, prove: Callable[[Path], T]) -> T:
    """Writes a file in one step; `prove` reads it before it gets its name, and may refuse it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise SourceError(f"{path}: cannot be written: {error.strerror}") from error
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        proof = prove(beside)
        beside.chmod(0o644)
        beside.replace(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)
    return proof
