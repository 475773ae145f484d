"""Scans files ahead of the process that reads them, in processes of their own.

What they find saves the reader the search, never the decision.

In: files in the order in which they will be read. Out: the scanner's hits in each block of a plain
one, the bytes of a compressed one. Hits of a block hold only for exactly its bytes, so that whoever
reads the file gets the same with them as without. Blocks that nobody looked through (an odd end, a
line of many blocks, a process that died) come without hits.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

from detector.line_ends import line_ends
from detector.scan import Scanner, Searched
from detector.sources.files.decompress import DAMAGE, NotALogError, OpenInput, is_compressed
from detector.sources.files.framing import HEAD_LIMIT, FileChunk
from detector.sources.files.shapes import shape_of

# Blocks that one process looks through before it goes on to another part of the file.
PART = 32
# Blocks that a process holds while nobody takes them.
WAITING = 64

# By the end of a block: its length, its records, where hits end.
PartFacts = dict[int, tuple[int, int, bytes]]


@dataclass(frozen=True, slots=True)
class ScanTask:
    """A part of a plain file from one block to another, or a whole compressed one (`last` is
    None).
    """

    file: str
    first: int = 0
    last: int | None = None


class Ahead:
    """The processes, and their messages so far. `jobs` of them share the tasks in turn."""

    def __init__(
        self, files: Sequence[str], jobs: int, literals: Sequence[Searched], block: int
    ) -> None:
        self._tasks = [task for file in dict.fromkeys(files) for task in _tasks(file, block)]
        self._firsts: dict[str, int] = {}
        for index, task in enumerate(self._tasks):
            self._firsts.setdefault(task.file, index)
        self._pipes: list[Connection] = []
        self._processes = []
        context = get_context("fork")
        scanner = Scanner(literals if self._tasks else ())  # compiled once, for all of them
        for number in range(min(jobs, len(self._tasks))):
            receiving, sending = context.Pipe(duplex=False)
            mine = list(enumerate(self._tasks))[number::jobs]
            process = context.Process(
                target=_work, args=(mine, scanner, block, sending), daemon=True
            )
            process.start()
            sending.close()
            self._pipes.append(receiving)
            self._processes.append(process)

    def reading(self, file: str) -> Remote | None:
        """The bytes of a compressed file, unpacked elsewhere; None for any other. Raises what
        opening it has raised there.
        """
        index = self._firsts.pop(file, None)
        if index is None:
            return None
        if self._tasks[index].last is not None:
            self._firsts[file] = index
            return None
        return Remote(self._messages(index))

    def facts(self, file: str) -> Iterator[PartFacts]:
        """Yields the facts of a plain file, once for each block.

        The blocks of a part share its facts.
        """
        index = self._firsts.pop(file, None)
        while index is not None and index < len(self._tasks) and self._tasks[index].file == file:
            facts: PartFacts = next(self._messages(index), {})
            task = self._tasks[index]
            for _ in range(task.first, task.last or task.first):
                yield facts
            index += 1

    def close(self) -> None:
        """Ends the processes."""
        for process in self._processes:
            process.terminate()
            process.join()
        for pipe in self._pipes:
            pipe.close()

    def _messages(self, index: int) -> Iterator[Any]:
        """Yields the messages of one task; passes over those of earlier ones that nobody took."""
        pipe = self._pipes[index % len(self._pipes)]
        while True:
            try:
                number, message = pipe.recv()
            except EOFError:
                return
            if number == index:
                yield message


class Remote:
    """A compressed file that another process reads: used as `OpenInput` is."""

    compressed = True

    def __init__(self, messages: Iterator[Any]) -> None:
        self.done = 0
        self._messages = messages
        self._take()  # that it is open

    def read(self, _size: int) -> bytes:
        """The next bytes, in the blocks that `OpenInput` makes; none at the end. Raises what
        reading has raised there.
        """
        data: bytes
        self.done, data = self._take()
        return data

    def close(self) -> None:
        """Nothing is open here."""

    def _take(self) -> Any:
        message = next(self._messages, OSError("the process that unpacked it has ended"))
        if isinstance(message, Exception):
            raise message
        return message


def give_hits(facts: PartFacts, chunk: FileChunk) -> None:
    """Gives a chunk its hits, if it is one of those that were looked through."""
    length, count, hits = facts.get(chunk.end, (-1, 0, b""))
    if length == len(chunk.data):
        ends = array("I")
        ends.frombytes(hits)
        chunk.take_hits(ends, count)


def _tasks(file: str, block: int) -> Iterator[ScanTask]:
    """What can be done ahead for a file; nothing for what is small, no file, or a document."""
    try:
        status = Path(file).stat()
        if not stat.S_ISREG(status.st_mode):
            return
        with Path(file).open("rb") as opened:
            head = opened.read(HEAD_LIMIT)
    except OSError:
        return
    if is_compressed(head):
        yield ScanTask(file)
    elif status.st_size > block and shape_of(head) is None:
        blocks = -(-status.st_size // block)
        for first in range(0, blocks, PART):
            yield ScanTask(file, first, min(first + PART, blocks))


def _work(
    tasks: Sequence[tuple[int, ScanTask]],
    scanner: Scanner,
    block: int,
    pipe: Connection,
) -> None:
    """One process: tells of its tasks in order, `WAITING` messages ahead of who takes them."""
    waiting: Queue[Any] = Queue(WAITING)
    Thread(target=_send, args=(waiting, pipe), daemon=True).start()
    for number, task in tasks:
        for message in (
            [_look(task, block, scanner)] if task.last is not None else _unpack(task.file, block)
        ):
            waiting.put((number, message))
    waiting.put(None)
    waiting.join()


def _send(waiting: Queue[Any], pipe: Connection) -> None:
    while (message := waiting.get()) is not None:
        pipe.send(message)
        waiting.task_done()
    pipe.close()
    waiting.task_done()


def _unpack(file: str, block: int) -> Iterator[tuple[int, bytes] | Exception]:
    """That the file is open, then its blocks, each with how far the file was read, an empty one at
    the end; or what went wrong.
    """
    try:
        reading = OpenInput(file)
        yield 0, b""
        try:
            while data := reading.read(block):
                yield reading.done, data
            yield reading.done, b""
        finally:
            reading.close()
    except NotALogError as kind:
        yield kind
    except DAMAGE as error:
        yield OSError(*error.args) if isinstance(error, OSError) else EOFError(str(error))


def _look(task: ScanTask, block: int, scanner: Scanner) -> PartFacts:
    """What the scanner finds in the blocks of a task, each cut where a reader of the whole file
    cuts it: at its last line end.
    """
    facts: PartFacts = {}
    try:
        file = os.open(task.file, os.O_RDONLY)
    except OSError:
        return facts
    try:
        begun = task.first * block
        before = os.pread(file, min(block, begun), max(0, begun - block))
        start = begun - len(before) + before.rfind(b"\n") + 1
        for number in range(task.first, task.last or 0):
            data = os.pread(file, (number + 1) * block - start, start)
            end = data.rfind(b"\n") + 1
            if end:
                data = data[:end]
                facts[start + end] = (
                    len(data),
                    line_ends(data),
                    array("I", scanner.ends(data)).tobytes(),
                )
                start += end
    except OSError:
        pass
    finally:
        os.close(file)
    return facts
