"""Files, folders, globs and standard input as a source.

In: paths. Out: batches of chunks, a file after the other, each to its end; with `follow`, from then
on what is added to them. What cannot be read is a `SourceProblem` and stops nothing else.
Positions are not kept: a file is read from its beginning each time.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event

from detector.scan import Searched
from detector.sources.errors import LostPartitionsError, SourceError, SourceProblem
from detector.sources.files.decompress import DAMAGE, STDIN, NotALogError, OpenInput
from detector.sources.files.follow import FileFollower
from detector.sources.files.framing import FileChunk, Framer
from detector.sources.files.paths import Input, expand
from detector.sources.files.prescan import Ahead, PartFacts, give_hits

BLOCK_SIZE = 1024 * 1024
# Chunks of small files are one batch up to so many bytes.
GATHERED = BLOCK_SIZE // 2
POLL_S = 0.5
# Blocks are freed and made again all the time. glibc gives what is freed at once back to the kernel
# beyond a threshold, which it raises to the size of a larger block that is freed, and to twice that
# for the end of the heap (malloc/malloc.c, `mp_.mmap_threshold`): without such a block each page
# is faulted in anew, which is a tenth of a scan. It is never written to, so it takes no memory.
_RAISING = 8 * BLOCK_SIZE

ReadProgress = Callable[[int, int | None], None]


class FileSource:
    """Reads logs to their end, or follows them until `stop`. `problems` says what was not read;
    `failed` whether any of it matters.

    `on_progress(done, total)` is told after each block: bytes as they lie on the disk; the total is
    None where it cannot be known. With more than one of `jobs`, so many processes look for
    `literals` ahead, or unpack: what is read is the same, in the same order.
    """

    def __init__(
        self,
        paths: Sequence[str],
        *,
        follow: bool = False,
        poll_s: float = POLL_S,
        on_progress: ReadProgress | None = None,
        jobs: int = 1,
        literals: Sequence[Searched] = (),
    ) -> None:
        if follow and STDIN in paths:
            raise SourceError(
                "standard input (-) cannot be followed: it is read as it comes anyway; "
                "leave --follow out"
            )
        if follow and jobs > 1:
            raise SourceError(
                "files that grow are read by one process: leave --jobs or --follow out"
            )
        self._cut = 0
        self._paths = tuple(paths)
        self._follow = follow
        self._poll_s = poll_s
        self.on_progress = on_progress
        self._stopped = Event()
        self._inputs, self.problems = expand(self._paths)
        self._total = _total(self._inputs)
        self._done = 0
        self._logs = 0
        self._follower: FileFollower | None = None
        files = [file for item in self._inputs for file in item.files]
        self._ahead = Ahead(files, jobs, literals, BLOCK_SIZE) if jobs > 1 else None

    @property
    def failed(self) -> bool:
        """True where a path could not be read, or not wholly."""
        return any(problem.fatal for problem in self.problems)

    @property
    def cut_lines(self) -> int:
        """The number of lines that were longer than 16 MiB, and so came in pieces."""
        return self._cut + (self._follower.cut if self._follower else 0)

    def batches(self) -> Iterator[Sequence[FileChunk]]:
        """One chunk a batch, or those of many small files: a batch is a transaction. While
        following, an empty batch each time nothing has come.
        """
        bytes(_RAISING)
        if self._follow:
            yield from self._followed()
            return
        yield from self._gathered()
        self._judge_folders()

    def commit(self, positions: Mapping[str, int]) -> None:
        """Nothing to do: files stay as they are."""

    def confirm(self) -> None:
        """Nothing to do: a file is read by one process."""

    def drop(self, reason: LostPartitionsError) -> None:
        """Never asked for: files are not shared out."""

    def stop(self) -> None:
        """Ends `batches` after the chunk at hand."""
        self._stopped.set()

    def close(self) -> None:
        """Closes what is followed."""
        self.stop()
        if self._follower:
            self._follower.close()
        if self._ahead:
            self._ahead.close()

    def _gathered(self) -> Iterator[list[FileChunk]]:
        """Batches of chunks. What a pipe has said is not held until another input says more."""
        least = 0 if self._total is None else GATHERED
        batch: list[FileChunk] = []
        size = 0
        for item in self._inputs:
            for chunk in self._read(item):
                if self._stopped.is_set():
                    return
                batch.append(chunk)
                size += len(chunk.data)
                if size >= least:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch

    def _read(self, item: Input) -> Iterator[FileChunk]:
        framer = Framer(item.name)
        try:
            for file, skip in zip(item.files, item.skip, strict=True):
                yield from self._read_file(file, skip, item.named, framer)
                if file != item.files[-1]:
                    framer.end_line()
            yield from framer.finish()
        finally:  # also where the reader is interrupted
            self._cut += framer.cut

    def _read_file(self, file: str, skip: int, named: bool, framer: Framer) -> Iterator[FileChunk]:
        """The chunks of one file; a problem ends it, after all that could be read of it."""
        try:
            reading = (self._ahead and self._ahead.reading(file)) or OpenInput(file)
        except NotALogError as kind:
            self.problems.append(SourceProblem(file, str(kind), fatal=named))
            return
        except DAMAGE as error:
            self.problems.append(
                SourceProblem(file, f"cannot be read: {getattr(error, 'strerror', None) or error}")
            )
            return
        before = self._done
        size = 0
        facts = (
            self._ahead.facts(file) if self._ahead and not framer.begun and not skip else iter(())
        )
        try:
            while data := reading.read(BLOCK_SIZE):
                size += len(data)
                self._done = before + reading.done
                yield from _looked_through(framer.feed(data[skip:]), framer, next(facts, {}))
                skip = 0
                self._tell()
        except DAMAGE as error:
            text = f"damaged: {error}; what comes before was read ({size:,} bytes)"
            self.problems.append(
                SourceProblem(file, text if reading.compressed else f"cannot be read on: {error}")
            )
        else:
            self._judge(file, size, getattr(reading, "misnamed", None))
        finally:
            reading.close()
        self._logs += 1

    def _judge(self, file: str, size: int, misnamed: str | None) -> None:
        """Says of a file that was read to its end if it is not what its name claims, or empty."""
        if not size:
            self.problems.append(SourceProblem(file, "empty: nothing to read", fatal=False))
        elif misnamed:
            text = f"not {misnamed} data, whatever its name says: read as plain text"
            self.problems.append(SourceProblem(file, text, fatal=False))

    def _tell(self) -> None:
        if self.on_progress:
            self.on_progress(self._done, self._total)

    def _judge_folders(self) -> None:
        """Nothing read at all, and nothing else said to be wrong: the folders hold no logs."""
        if not self._logs and not self.failed:
            self.problems.extend(
                SourceProblem(path, "no logs in this folder")
                for path in self._paths
                if Path(path).is_dir()
            )

    def _followed(self) -> Iterator[Sequence[FileChunk]]:
        follower = self._follower = FileFollower(self._paths, self.problems)
        for item in follower.begin():
            for chunk in self._read(item):
                yield [chunk]
        while not self._stopped.is_set():
            nothing = True
            for chunk in follower.poll(BLOCK_SIZE):
                nothing = False
                yield [chunk]
                if self._stopped.is_set():
                    return
            if nothing:
                yield []
                self._stopped.wait(self._poll_s)


def _looked_through(
    chunks: Sequence[FileChunk], framer: Framer, facts: PartFacts
) -> Sequence[FileChunk]:
    for chunk in chunks if framer.plain else ():
        give_hits(facts, chunk)
    return chunks


def _total(inputs: Sequence[Input]) -> int | None:
    """Bytes on the disk; None where one of them has no size."""
    total = 0
    for item in inputs:
        for file in item.files:
            if file == STDIN:
                return None
            try:
                status = os.stat(file)  # Path takes 10 µs a file  # noqa: PTH116
            except OSError:
                continue
            if not stat.S_ISREG(status.st_mode):
                return None
            total += status.st_size
    return total
