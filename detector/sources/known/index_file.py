"""The index of known bugs as a file: found, read when it is first needed, read anew when it
changes.

In: the paths where it may be, the first that is there counts. Out: the `Index` in force, or every
bug. A file that cannot be used, or that a setting names and is not there, is told once by
`on_fault` and the next one is taken. A new index is
written beside the old one, read back, and then renamed over it.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from stat import S_ISREG
from typing import TypeVar

from detector.known.bug import Bug
from detector.known.codec import Header, decode, open_index
from detector.known.index import Index, UnreadableIndexError
from detector.sources.errors import SourceError
from detector.sources.whole_file import write_whole

NAME = "known-bugs.zst"
"""The name of the file, in whatever folder."""

T = TypeVar("T")
Stamp = tuple[str, int, int, int]


class IndexFile:
    """The index in force, safe to share between threads.

    Reading it costs a look at the file's state, unless that has changed.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        on_fault: Callable[[str], None] | None = None,
        setting: str | None = None,
    ) -> None:
        """`setting` is the name of the one that says the first path, None where none does."""
        self._paths = tuple(paths)
        self._setting = setting
        self._on_fault = on_fault or (lambda _text: None)
        self._lock = threading.Lock()
        self._stamp: tuple[Stamp, ...] | None = None
        self._index = Index.of(())
        self._used: Path | None = None

    def current(self) -> Index:
        """The index; one without bugs where no file can be used."""
        stamp = tuple(state for path in self._paths if (state := _stamp(path)) is not None)
        if stamp == self._stamp:
            return self._index
        with self._lock:
            if stamp != self._stamp:
                self._index = self._read()
                self._stamp = stamp
            return self._index

    @property
    def path(self) -> Path | None:
        """The file that would be read now."""
        return next((path for path in self._paths if path.is_file()), None)

    def missing(self) -> str | None:
        """The message about a setting's file that is not there; None where it is there."""
        if self._setting is None or self._paths[0].exists():
            return None
        return (
            f"{self._setting}: {self._paths[0]}: there is no such file, so another index is used: "
            "`oopswatch known update --from PATH` writes it"
        )

    def whole(self) -> tuple[Path, Header, list[Bug]]:
        """Every bug, also those without a trace, and the file that holds them. Raises SourceError
        where no file can be used.
        """
        usable = self._first(lambda path: (path, *read(path, whole=True)))
        if usable is None:
            raise SourceError(
                "there is no index of known bugs: `oopswatch known update --from PATH`"
            )
        return usable

    def used(self) -> Path | None:
        """The file of the current index; None where no file can be used."""
        self.current()
        return self._used

    def _read(self) -> Index:
        usable = self._first(lambda path: (path, _in(path, open_index)))
        self._used, index = usable or (None, Index.of(()))
        return index

    def _first(self, reading: Callable[[Path], T]) -> T | None:
        """What is read of the first file that can be used."""
        for path in self._paths:
            try:
                return reading(path)
            except FileNotFoundError:
                if path == self._paths[0] and (fault := self.missing()):
                    self._on_fault(fault)
            except SourceError as error:
                self._on_fault(str(error))
        return None


def read(path: Path, *, whole: bool = False) -> tuple[Header, list[Bug]]:
    """The bugs of a file; FileNotFoundError where there is none, SourceError where it is of no
    use.
    """
    return _in(path, partial(decode, whole=whole))


def _in(path: Path, reading: Callable[[bytes], T]) -> T:
    """What is read of a file."""
    try:
        if not S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise SourceError(f"{path}: is no file")
        with _without_collection():
            return reading(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except UnreadableIndexError as error:
        raise SourceError(f"{path}: {error}; `oopswatch known update` writes a new one") from error


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pauses the collection of garbage: an index is 100,000 objects, none of them garbage, and
    looking through them again and again takes twice the time of making them.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def write(path: Path, data: bytes) -> Header:
    """Writes an index: beside the old one, read back, then renamed over it."""
    header, _ = write_whole(path, data, partial(read, whole=True))
    return header


def _stamp(path: Path) -> Stamp | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return str(path), state.st_mtime_ns, state.st_size, state.st_ino
