"""The records of text that somebody pasted: without quotes and numbers around its lines,
framed as a file's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from detector.model import Record
from detector.parse import pasted
from detector.sources.files import line_ends
from detector.sources.files.framing import Framer


def records_of(source: str, text: bytes) -> Iterator[Record]:
    """The records of a text."""
    lines = line_ends.unified(text).split(b"\n")
    yield from _framed(source, b"\n".join(pasted.plain(lines)))


def unquoted(records: Iterable[Record]) -> Iterator[Record]:
    """Records that were framed already: as they are, unless something was put around their
    lines.
    """
    held = list(records)
    values = [record.value for record in held]
    texts = pasted.plain(values)
    if texts == values:
        yield from held
    elif held:
        yield from _framed(held[0].source, b"\n".join(texts))


def _framed(source: str, text: bytes) -> Iterator[Record]:
    framer = Framer(source)
    ended = text if text.endswith(b"\n") or not text else text + b"\n"
    for chunk in (*framer.feed(ended), *framer.finish()):
        position = 0
        while position < len(chunk.data):
            record, _, position = chunk.record_at(position)
            yield record
