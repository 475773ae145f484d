"""Names the versions of what came with the package: program, patterns, index of known bugs.

The version of the patterns is a digest of the files that came with the package; own ones and an
index of one's own are not in it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import detector
from detector.app.known import shipped_path
from detector.known.codec import open_index
from detector.known.index import UnreadableIndexError
from detector.render.units import several
from detector.settings import shipped_patterns_dir

_DIGITS = 12  # of a digest, in hexadecimal


def versions() -> list[str]:
    """A line each."""
    return [
        f"oopswatch {detector.__version__}",
        f"patterns {digest(shipped_patterns_dir())}",
        f"known bugs {_index(shipped_path())}",
    ]


def digest(folder: Path) -> str:
    """The digest of all pattern files of a folder, by their paths in it."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*.toml")):
        name, data = path.relative_to(folder).as_posix().encode(), path.read_bytes()
        total.update(b"%d %s %d\n" % (len(name), name, len(data)))
        total.update(data)
    return total.hexdigest()[:_DIGITS]


def _index(path: Path) -> str:
    try:
        index = open_index(path.read_bytes())
    except (OSError, UnreadableIndexError) as error:
        return f"cannot be read: {error}"
    return f"{index.version[:_DIGITS]}, {several(len(index.bugs), 'bug')} with a trace"
