"""Recognises the kernel log of this machine's present boot, whoever hands it over.

In: the beginning of a log, and the kernel's own buffer. Out: True where lines of both agree in
kernel time, to the microsecond, and text. Lines at time zero are alike on many machines, and count
for nothing; so does a text without kernel times (`dmesg -T`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

KMSG = "/dev/kmsg"
# So many lines must agree, and none may differ.
LEAST = 5
_STAMPED = re.compile(rb"^.{0,40}?\[ *(\d+)\.(\d{6})\](?:\[ *[TC]\d+\])? (.*)$", re.MULTILINE)
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")
_RECORD_BYTES = 8_192

Stamped = tuple[int, bytes]


def is_of_this_boot(head: bytes, own: Iterable[Stamped]) -> bool:
    """True where the kernel's own buffer has all whole lines of a log's beginning.

    The buffer is a ring: lines that are older than its first are not missed.
    """
    whole = head[: head.rfind(b"\n") + 1]
    lines = [
        (int(matched[1]) * 1_000_000 + int(matched[2]), matched[3].rstrip())
        for matched in _STAMPED.finditer(whole)
    ]
    known = set(own)
    first = min((at_us for at_us, _ in known), default=0)
    later = [line for line in lines if line[0] > max(first, 0)]
    return len(later) >= LEAST and all(line in known for line in later)


def own_records(path: str = KMSG) -> Iterator[Stamped]:
    """The records of the kernel's buffer, each line of their texts by itself; none where it may
    not be read.
    """
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            while record := _record(descriptor):
                yield from _lines(record)
        finally:
            os.close(descriptor)


def _record(descriptor: int) -> bytes:
    """The next record; empty after the last. One that was overwritten meanwhile is passed over."""
    while True:
        try:
            return os.read(descriptor, _RECORD_BYTES)
        except BlockingIOError:
            return b""
        except BrokenPipeError:
            continue


def _lines(record: bytes) -> Iterator[Stamped]:
    header, _, rest = record.partition(b";")
    fields = header.split(b",")
    if len(fields) < 3 or not fields[2].isdigit():
        return
    text = _ESCAPED.sub(lambda matched: bytes([int(matched[1], 16)]), rest.split(b"\n", 1)[0])
    for line in text.split(b"\n"):
        yield int(fields[2]), line.rstrip()
