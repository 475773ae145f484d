"""The records of text that somebody pasted: without quotes and numbers around its lines,
framed as a file's.

Comes in: the lines of a paste. Goes out: the same lines without what was put around them. Only for
text that a person asks about: in a log such a line is a copy, and nobody's fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from detector.lazy_regex import lazy_regex
from detector.model import Record
from detector.sources.files import framing
from detector.sources.files.framing import Framer


def records_of(source: str, text: bytes) -> Iterator[Record]:
    """The records of a text."""
    lines = framing.unified(text).split(b"\n")
    yield from _framed(source, b"\n".join(plain(lines)))


def unquoted(records: Iterable[Record]) -> Iterator[Record]:
    """Records that were framed already: as they are, unless something was put around their
    lines.
    """
    held = list(records)
    values = [record.value for record in held]
    texts = plain(values)
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


_FENCE = lazy_regex(rb"\s*+(?:```|~~~)[\w+-]{0,32}\s*+$")
_QUOTE = lazy_regex(rb"\s{0,8}(?:[>|]\s?)+(?=\s*+\S)")
# A line's number, as editors, `cat -n`, `grep -n`, pages of code and lists write it.
_NUMBER = lazy_regex(
    rb"\s{0,8}(?:[\w./-]{1,256}:)?(\d{1,7})(?:[:.)|]\s?|\t| {1,4}(?=[\[<]|[A-Z][a-z]{2} [ \d]\d ))"
)
_BULLET = lazy_regex(rb"\s{0,8}[*+-]\s+(?=[\[<\w])")
_MARKS = (b'"', b"'", b"`", "“".encode(), "‘".encode(), "«".encode())
_CLOSING = {"“".encode(): "”".encode(), "‘".encode(): "’".encode(), "«".encode(): "»".encode()}
_STAMP = lazy_regex(rb"[\[<]\s*+\d")
# What Markdown writes for a bracket, a star or an underscore that is to be read as one.
_ESCAPED = lazy_regex(rb"\s{0,8}\\\[\s*+\d")
_ESCAPED_NAME = lazy_regex(rb"\w\\_\w|\\<(?:IRQ|TASK|NMI)\\?>")
_ESCAPE = lazy_regex(rb"\\(?=[\[\]_*<>#`])")


def plain(lines: Sequence[bytes]) -> list[bytes]:
    """The lines as they were before somebody wrote them down; as many as came."""
    matched = [b"" if _FENCE.match(line) else line for line in lines]
    if _most(matched, _QUOTE):
        matched = [_without(line, _QUOTE) for line in matched]
    matched = [_unmarked(line) for line in matched]
    if _most(matched, _ESCAPED) or any(_ESCAPED_NAME.search(line) for line in matched):
        matched = [_ESCAPE.sub(b"", line) for line in matched]
    if _numbered(matched):
        matched = [_without(line, _NUMBER) for line in matched]
    elif _most(matched, _BULLET):
        matched = [_without(line, _BULLET) for line in matched]
    return [_unmarked(line) for line in matched]


def _most(lines: Sequence[bytes], form: re.Pattern[bytes]) -> bool:
    """Returns whether more than half of the lines that say something have a form."""
    spoken = [line for line in lines if line.strip()]
    return 2 * sum(bool(form.match(line)) for line in spoken) > len(spoken)


def _without(line: bytes, form: re.Pattern[bytes]) -> bytes:
    matched = form.match(line)
    return line[matched.end() :] if matched else line


def _numbered(lines: Sequence[bytes]) -> bool:
    """Returns whether the lines carry rising numbers, or one does before a stamp."""
    numbers = [
        (int(matched[1]), line[matched.end() :])
        for line in lines
        if (matched := _NUMBER.match(line))
    ]
    spoken = sum(bool(line.strip()) for line in lines)
    if not numbers or 2 * len(numbers) <= spoken:
        return False
    if len(numbers) == 1:
        return bool(_STAMP.match(numbers[0][1]))
    return all(first < second for (first, _), (second, _) in pairwise(numbers))


def _unmarked(line: bytes) -> bytes:
    """A line without the marks around it; a mark on one side alone is the line's own, but for
    what begins a stamp.
    """
    bare = line.strip()
    for mark in _MARKS:
        end = _CLOSING.get(mark, mark)
        if not bare.startswith(mark):
            continue
        inner = bare[len(mark) :]
        if inner.rstrip(b",;").endswith(end) and inner.rstrip(b",;") != end:
            return inner.rstrip(b",;")[: -len(end)]
        if _STAMP.match(inner):
            return inner
    return line
