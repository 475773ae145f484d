"""Files that grow, over rotation: what `tail -F` does, for many files at once.

In: paths, and a call of `poll` now and then. Out: chunks of what was added. A file is followed by
what it is, not by its name: renamed, it is read on until nothing comes any more, while its
successor is read from its beginning, as is one that was truncated. What logrotate copies or
compresses beside a followed file is not read again. Reads no clock: who calls decides how often.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from detector.sources.errors import SourceProblem
from detector.sources.files.decompress import HEAD_SIZE, is_compressed, not_a_log
from detector.sources.files.framing import FileChunk, Framer
from detector.sources.files.paths import Input, expand

# This many bytes before the position are compared, to see a file that was truncated and has grown
# past the position since.
TAIL = 64
# A file that has lost its name is let go after so many polls without anything new: its writer may
# hold it open for a while.
LINGER = 10

Number = tuple[int, int]


class FileFollower:
    """Follows what `paths` name, those files included that come later. `problems` is added to."""

    def __init__(self, paths: Sequence[str], problems: list[SourceProblem]) -> None:
        self._paths = paths
        self._problems = problems
        self._followed: dict[Number, _Growing] = {}
        self._left_out: dict[str, Number] = {}
        self._first = True
        self._cut = 0

    def begin(self) -> list[Input]:
        """Opens what is there; returns the inputs that do not grow (compressed files, pipes,
        dumps), for the caller to read.
        """
        once = self._look()
        self._first = False
        return once

    def poll(self, size: int) -> Iterator[FileChunk]:
        """Yields what was added since the last call, in blocks of up to `size` bytes."""
        self._look()
        for number, growing in list(self._followed.items()):
            try:
                yield from growing.grown(size)
            except (OSError, ValueError) as error:
                self._problems.append(SourceProblem(growing.name, str(error)))
                growing.idle = LINGER
                growing.named = False
                self._left_out[growing.name] = number
            if not growing.named and growing.idle >= LINGER:
                yield from growing.finish()
                self._cut += growing.cut
                del self._followed[number]

    @property
    def cut(self) -> int:
        """Returns how many lines were too long, and so came in pieces."""
        return self._cut + sum(growing.cut for growing in self._followed.values())

    def close(self) -> None:
        """Closes all files."""
        for growing in self._followed.values():
            growing.close()

    def _look(self) -> list[Input]:
        """Sees which files there are now, and opens those that are new."""
        for growing in self._followed.values():
            growing.named = False
        once = []
        for item in expand(self._paths)[0]:
            try:
                status = Path(item.files[0]).stat()
                number = (status.st_dev, status.st_ino)
                if number in self._followed:
                    self._followed[number].named = True
                elif self._left_out.get(item.name) != number and not self._open(item, number):
                    self._left_out[item.name] = number
                    once.append(item)
            except OSError as error:
                if self._left_out.get(item.name) != (0, 0):
                    self._problems.append(
                        SourceProblem(item.name, f"cannot be read: {error.strerror}")
                    )
                    self._left_out[item.name] = (0, 0)
        return once

    def _open(self, item: Input, number: Number) -> bool:
        """Begins to follow a file; False for one that does not grow, or that is a rotated copy of a
        followed one.
        """
        path = Path(item.name)
        if (
            len(item.files) > 1
            or not path.is_file()
            or (not self._first and self._is_rotated(path))
        ):
            return False
        file = os.open(path, os.O_RDONLY)
        if is_compressed(os.pread(file, 8, 0)):
            os.close(file)
            return False
        self._followed[number] = _Growing(item.name, file)
        return True

    def _is_rotated(self, path: Path) -> bool:
        """Returns whether a file that has come since is named as logrotate names: kern.log.1,
        kern.log-20261122.gz, kern-20261122.log.
        """
        for growing in self._followed.values():
            known = Path(growing.name)
            stem, suffix = re.escape(known.stem), re.escape(known.suffix)
            rotated = (
                rf"{stem}(?:{suffix})?[.-](?:\d[\d-]*|old|bak)(?:{suffix})?(?:\.(?:gz|xz"
                rf"|bz2|zst|lz4))?"
            )
            if known.parent == path.parent and re.fullmatch(rotated, path.name):
                return True
        return False


class _Growing:
    """One open file. `named` is False once no path leads to it; `idle` counts the polls since
    something came.
    """

    def __init__(self, name: str, file: int) -> None:
        self.name = name
        self.named = True
        self.idle = 0
        self._file = file
        self._framer = Framer(name)
        self._position = 0
        self._tail = b""
        self._cut = 0

    @property
    def cut(self) -> int:
        """Returns how many of its lines came in pieces."""
        return self._cut + self._framer.cut

    def grown(self, size: int) -> Iterator[FileChunk]:
        """The chunks of what was added. Raises ValueError for what is not a log, OSError for what
        cannot be read.
        """
        self.idle += 1
        if self._truncated():
            yield from self._framer.finish()
            self._cut += self._framer.cut
            self._framer = Framer(self.name)
            self._position, self._tail = 0, b""
        while data := os.pread(self._file, size, self._position):
            if not self._position and (kind := not_a_log(data[:HEAD_SIZE])):
                raise ValueError(kind)
            self.idle = 0
            self._position += len(data)
            self._tail = (self._tail + data)[-TAIL:]
            yield from self._framer.feed(data)

    def finish(self) -> Iterator[FileChunk]:
        """The end of the file: what is left of it, without a line end."""
        yield from self._framer.finish()
        self.close()

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    def _truncated(self) -> bool:
        size = os.fstat(self._file).st_size
        if size == self._position or not self._position:
            return False
        return (
            size < self._position
            or os.pread(self._file, len(self._tail), self._position - len(self._tail)) != self._tail
        )
